"""Agreement between the members of an ensemble, and between trainings with different seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.diagnostics.members import MAX_EVENTS, MemberScores, listed, member_scores, rounded
from analysis.diagnostics.sections import (
    EnsembleSection,
    MemberBand,
    MemberCounts,
    MemberSelection,
    PairCorrelation,
    ScoreDistributions,
    SeedSignificances,
    SpreadProfile,
)
from analysis.diagnostics.values import ScoredWindow
from analysis.events.identity import uniform
from analysis.learning import INCLUSIVE
from analysis.search.classifiers import Classifier, votes

__all__ = ["ensemble", "jaccard"]

N_BINS = 40
PROFILE = (0.0, 0.01, 0.05, *np.linspace(0.1, 0.9, 9).tolist(), 0.95, 0.98, 0.99, 1.0)
"""Quantiles of the mean score that bound the bins of the spread; finer at the usual cuts."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class _Regions:
    """(n_used,) bool masks of the events in the window (None while blinded) and in its sidebands."""

    window: NDArray[np.bool_] | None
    sidebands: NDArray[np.bool_]


def ensemble(window: ScoredWindow, *, max_events: int = MAX_EVENTS) -> EnsembleSection | None:
    """Compare the members of the classifiers of a window.

    Every event is scored by the members of its own fold, which were trained without it; member m of all folds counts
    as one member. If the mean score is cut, each member is cut such that it keeps as much of each fold as the mean.

    Parameters
    ----------
    window : ScoredWindow
    max_events : int
        If the fit range holds more, a fraction of them is used, chosen by a hash of their identity.

    Returns
    -------
    EnsembleSection or None
        None if the window failed.
    """
    classifier = window.classifier
    if classifier is None:
        return None
    scores = member_scores(window, classifier, max_events=max_events)
    if not len(scores.rows):
        return None
    regions = _regions(window, scores)
    return EnsembleSection(
        n_members=scores.values.shape[1],
        n_events=len(scores.rows),
        fraction=scores.fraction,
        scores=_distributions(scores, regions, window.table.weight[scores.rows]),
        profile=_profile(scores, regions),
        rank_correlation=_rank_correlation(scores),
        selections=_selections(window, classifier, scores, regions),
        seeds=_seeds(window),
    )


def _regions(window: ScoredWindow, scores: MemberScores) -> _Regions:
    mjj, mass_window = window.table.mjj[scores.rows], window.result.window
    return _Regions(
        None if window.blinded else mass_window.in_signal(mjj), mass_window.in_lower(mjj) | mass_window.in_upper(mjj)
    )


def _distributions(scores: MemberScores, regions: _Regions, weight: Array) -> ScoreDistributions:
    edges = np.linspace(float(scores.values.min()), float(np.nextafter(scores.values.max(), 2.0)), N_BINS + 1)
    return ScoreDistributions(
        edges=rounded(edges, 9),
        window=None if regions.window is None else _band(scores, regions.window, weight, edges),
        sidebands=_band(scores, regions.sidebands, weight, edges),
    )


def _band(scores: MemberScores, rows: NDArray[np.bool_], weight: Array, edges: Array) -> MemberBand | None:
    """Return the fraction of events per bin of the score in a region: mean score, 16 and 84 % over members."""
    total = weight[rows].sum()
    if total <= 0:
        return None
    columns = [scores.mean()[rows], *scores.values[rows].T]
    sums = np.array([np.histogram(column, edges, weights=weight[rows])[0] for column in columns])
    low, high = np.quantile(sums[1:], [0.16, 0.84], axis=0)
    return MemberBand(listed(sums[0] / total), listed(low / total), listed(high / total))


def _profile(scores: MemberScores, regions: _Regions) -> SpreadProfile | None:
    """Average the standard deviation over the members in bins of the mean score."""
    if scores.values.shape[1] == 1:
        return None
    mean, spread = scores.mean(), scores.values.std(axis=1, ddof=1, dtype=np.float64)
    edges = np.unique(np.quantile(mean, PROFILE))
    if len(edges) < 2:
        return None
    bins = np.clip(np.searchsorted(edges, mean, side="right") - 1, 0, len(edges) - 2)
    window, sidebands = (
        None if rows is None else listed(_averages(spread[rows], bins[rows], len(edges) - 1))
        for rows in (regions.window, regions.sidebands)
    )
    return SpreadProfile(rounded(edges), window, sidebands)


def _averages(values: Array, bins: NDArray[np.int64], n_bins: int) -> Array:
    counts = np.bincount(bins, minlength=n_bins)
    sums = np.bincount(bins, values, n_bins)
    return np.asarray(np.divide(sums, counts, out=np.full(n_bins, np.nan), where=counts > 0))


def _rank_correlation(scores: MemberScores) -> PairCorrelation | None:
    """Return Spearman's correlation of pairs of members, averaged over folds: mean, smallest and largest."""
    n_members, correlations = scores.values.shape[1], []
    for fold in np.unique(scores.fold):
        ranks = rankdata(scores.values[scores.fold == fold], axis=0)
        if n_members > 1 and len(ranks) > 1 and (ranks.std(axis=0) > 0).all():
            correlations.append(np.corrcoef(ranks, rowvar=False)[np.triu_indices(n_members, 1)])
    if not correlations:
        return None
    pairs = np.mean(correlations, axis=0)
    return PairCorrelation(*rounded([pairs.mean(), pairs.min(), pairs.max()]))


def _selections(
    window: ScoredWindow, classifier: Classifier, scores: MemberScores, regions: _Regions
) -> tuple[MemberSelection, ...]:
    """Compare the selections of ensemble and members; overlaps include all used events of the fit range."""
    weight = window.table.weight[scores.rows]
    together, alone = _passing(window, classifier, scores, weight)
    selections = []
    for index, name in enumerate(classifier.selections):
        if name == INCLUSIVE:
            continue
        ensemble, members = together[:, index], alone[:, :, index]
        pairs = jaccard(members.T, members.T, weight)[np.triu_indices(members.shape[1], 1)]
        selections.append(
            MemberSelection(
                name=name,
                efficiency=classifier.efficiencies[index],
                window=None if regions.window is None else _counts(ensemble, members, regions.window, weight),
                sidebands=_counts(ensemble, members, regions.sidebands, weight),
                jaccard_members=listed([pairs.mean(), pairs.min(), pairs.max()]) if pairs.size else None,
                jaccard_ensemble=listed(jaccard(ensemble[None], members.T, weight)),
            )
        )
    return tuple(selections)


def _counts(ensemble: Array, members: NDArray[np.bool_], rows: NDArray[np.bool_], weight: Array) -> MemberCounts:
    return MemberCounts(listed(weight[rows] @ ensemble[rows])[0], listed(weight[rows] @ members[rows]))


def _passing(
    window: ScoredWindow, classifier: Classifier, scores: MemberScores, weight: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the pass weights (n_used, n_selections) and the decisions of members (n_used, n_members, n_selections)."""
    tie = uniform(window.table.event_id[scores.rows], window.random_state, "tie-break")
    n_cuts, n_selections = classifier.thresholds.shape[1:3]
    together = np.zeros((len(tie), n_selections))
    alone = np.zeros((*scores.values.shape, n_selections), bool)
    for fold, thresholds in enumerate(classifier.thresholds):
        rows = np.flatnonzero(scores.fold == fold)
        cut = scores.mean()[rows, None] if n_cuts == 1 else scores.values[rows]
        decided = votes(cut, tie[rows], thresholds)
        together[rows] = decided.mean(axis=1)
        alone[rows] = (
            decided
            if n_cuts == scores.values.shape[1]
            else _equally_many(scores.values[rows], tie[rows], weight[rows], together[rows])
        )
    return together, alone


def _equally_many(values: NDArray[np.float32], tie: Array, weight: Array, together: Array) -> NDArray[np.bool_]:
    """Select the highest scores per member, with the weight of the ensemble: (n_events, n_members, n_selections)."""
    passes = np.zeros((*values.shape, together.shape[1]), bool)
    for member, score in enumerate(values.T):
        order = np.lexsort((tie, score))[::-1]
        kept = np.concatenate([[0.0], np.cumsum(weight[order])])
        for selection, wanted in enumerate(weight @ together):
            passes[order[: int(np.abs(kept - wanted).argmin())], member, selection] = True
    return passes


def jaccard(first: NDArray[Any], second: NDArray[Any], weight: Array) -> Array:
    """Return the overlap of sets of events, Σ w min(a, b) / Σ w max(a, b) with pass weights a and b from 0 to 1.

    Parameters
    ----------
    first : (n_first, n_events) bool or float64
    second : (n_second, n_events) bool
        These sets contain events fully or not at all, so that min is the product.
    weight : (n_events,) float64

    Returns
    -------
    (n_first, n_second) float64
        NaN if both sets are empty.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    both = (a * weight) @ b.T
    either = (a @ weight)[:, None] + (b @ weight)[None] - both
    return np.asarray(np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0))


def _seeds(window: ScoredWindow) -> tuple[SeedSignificances, ...]:
    """Return the significance of each selection by training seed, result first; empty for a single training."""
    return tuple(
        SeedSignificances(
            selection.name,
            tuple(None if seed.discovery is None else seed.discovery.z for seed in (selection, *selection.seeds)),
        )
        for selection in window.result.selections
        if selection.seeds and not window.blinded
    )
