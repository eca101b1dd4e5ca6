"""How far the members of an ensemble agree, and trainings with other seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from analysis.diagnostics.members import MAX_EVENTS, MemberScores, listed, member_scores
from analysis.diagnostics.values import ScoredWindow
from analysis.events.identity import uniform
from analysis.learning import INCLUSIVE
from analysis.search.classifiers import Classifier, votes

__all__ = ["ensemble", "jaccard"]

N_BINS = 40
PROFILE = (0.0, 0.01, 0.05, *np.linspace(0.1, 0.9, 9).tolist(), 0.95, 0.98, 0.99, 1.0)
"""Quantiles of the mean score between which the spread is averaged; finer where one cuts."""

Array = NDArray[np.float64]
Regions = dict[str, NDArray[np.bool_]]


def ensemble(window: ScoredWindow, *, max_events: int = MAX_EVENTS) -> dict[str, Any] | None:
    """Compare the members of the classifiers of a window.

    Every event is scored by the members of its own fold, which have not seen it; member m of all folds counts as one.
    A member whose mean with the others is cut is itself cut where it keeps as much of each fold as that cut does.

    Parameters
    ----------
    window : ScoredWindow
        While blinded, its events outside the mask alone are used.
    max_events : int
        Where the fit range holds more, a part of them is used, chosen by a hash of their identity.

    Returns
    -------
    dict or None
        "n_members", "n_events" (used), "fraction" (of the events that it is); "scores", "profile", "rank_correlation",
        "selections" and "seeds" as the functions below have them. None where the window failed.
    """
    classifier = window.classifier
    if classifier is None:
        return None
    scores = member_scores(window, classifier, max_events=max_events)
    if not len(scores.rows):
        return None
    regions = _regions(window, scores)
    return {
        "n_members": scores.values.shape[1],
        "n_events": len(scores.rows),
        "fraction": scores.fraction,
        "scores": _distribution(scores, regions, window.table.weight[scores.rows]),
        "profile": _profile(scores, regions),
        "rank_correlation": _rank_correlation(scores),
        "selections": _selections(window, classifier, scores, regions),
        "seeds": _seeds(window),
    }


def _regions(window: ScoredWindow, scores: MemberScores) -> Regions:
    mjj, one = window.table.mjj[scores.rows], window.result.window
    inside = {} if window.blinded else {"window": one.in_signal(mjj)}
    return inside | {"sidebands": one.in_lower(mjj) | one.in_upper(mjj)}


def _distribution(scores: MemberScores, regions: Regions, weight: Array) -> dict[str, Any]:
    """Part of the events of a region in each bin of the score: of the mean, and 16 and 84 % over single members."""
    edges = np.linspace(float(scores.values.min()), float(np.nextafter(scores.values.max(), 2.0)), N_BINS + 1)
    document: dict[str, Any] = {"edges": listed(edges, 9)}
    for name, rows in regions.items():
        total = weight[rows].sum()
        columns = [scores.mean()[rows], *scores.values[rows].T]
        parts = np.array([np.histogram(one, edges, weights=weight[rows])[0] for one in columns])
        low, high = np.quantile(parts[1:], [0.16, 0.84], axis=0)
        found = {"mean": parts[0], "low": low, "high": high}
        document[name] = {key: listed(value / total) for key, value in found.items()} if total > 0 else None
    return document


def _profile(scores: MemberScores, regions: Regions) -> dict[str, Any] | None:
    """Average the standard deviation over the members in bins of the mean score."""
    if scores.values.shape[1] == 1:
        return None
    mean, spread = scores.mean(), scores.values.std(axis=1, ddof=1, dtype=np.float64)
    edges = np.unique(np.quantile(mean, PROFILE))
    if len(edges) < 2:
        return None
    bins = np.clip(np.searchsorted(edges, mean, side="right") - 1, 0, len(edges) - 2)
    found = {name: _averages(spread[rows], bins[rows], len(edges) - 1) for name, rows in regions.items()}
    return {"edges": listed(edges)} | {name: listed(values) for name, values in found.items()}


def _averages(values: Array, bins: NDArray[np.int64], n_bins: int) -> Array:
    counts = np.bincount(bins, minlength=n_bins)
    sums = np.bincount(bins, values, n_bins)
    return np.asarray(np.divide(sums, counts, out=np.full(n_bins, np.nan), where=counts > 0))


def _rank_correlation(scores: MemberScores) -> dict[str, Any] | None:
    """Spearman's correlation of pairs of members, averaged over the folds: mean, smallest and largest pair."""
    n_members, found = scores.values.shape[1], []
    for fold in np.unique(scores.fold):
        ranks = rankdata(scores.values[scores.fold == fold], axis=0)
        if n_members > 1 and len(ranks) > 1 and (ranks.std(axis=0) > 0).all():
            found.append(np.corrcoef(ranks, rowvar=False)[np.triu_indices(n_members, 1)])
    if not found:
        return None
    pairs = np.mean(found, axis=0)
    return dict(zip(("mean", "low", "high"), listed([pairs.mean(), pairs.min(), pairs.max()]), strict=True))


def _selections(
    window: ScoredWindow, classifier: Classifier, scores: MemberScores, regions: Regions
) -> list[dict[str, Any]]:
    """Measure what ensemble and members select: sums of weights in the regions, and overlaps of the sets.

    "jaccard_members" are mean, smallest and largest of the pairs, "jaccard_ensemble" one a member; over the used events
    of the fit range.
    """
    weight = window.table.weight[scores.rows]
    together, alone = _passing(window, classifier, scores, weight)
    document = []
    for index, name in enumerate(classifier.selections):
        if name == INCLUSIVE:
            continue
        one, each = together[:, index], alone[:, :, index]
        counts = {key: {"ensemble": one, "members": each} for key in regions}
        pairs = jaccard(each.T, each.T, weight)[np.triu_indices(each.shape[1], 1)]
        document.append(
            {
                "name": name,
                "efficiency": classifier.efficiencies[index],
                "window": None,
                **{
                    region: {key: _counted(passing, rows, weight) for key, passing in counts[region].items()}
                    for region, rows in regions.items()
                },
                "jaccard_members": listed([pairs.mean(), pairs.min(), pairs.max()]) if pairs.size else None,
                "jaccard_ensemble": listed(jaccard(one[None], each.T, weight)),
            }
        )
    return document


def _counted(passing: NDArray[Any], rows: NDArray[np.bool_], weight: Array) -> float | list[float | None] | None:
    sums = listed(weight[rows] @ passing[rows])
    return sums[0] if passing.ndim == 1 else sums


def _passing(
    window: ScoredWindow, classifier: Classifier, scores: MemberScores, weight: Array
) -> tuple[Array, NDArray[np.bool_]]:
    """(n_used, n_selections) pass weights of the ensemble and (n_used, n_members, n_selections) of its members."""
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
    """(n_events, n_members, n_selections) bool: highest scores of each member, as much weight as passes already."""
    passes = np.zeros((*values.shape, together.shape[1]), bool)
    for member, score in enumerate(values.T):
        order = np.lexsort((tie, score))[::-1]
        kept = np.concatenate([[0.0], np.cumsum(weight[order])])
        for selection, wanted in enumerate(weight @ together):
            passes[order[: int(np.abs(kept - wanted).argmin())], member, selection] = True
    return passes


def jaccard(first: NDArray[Any], second: NDArray[Any], weight: Array) -> Array:
    """Overlap of sets of events, Σ w min(a, b) / Σ w max(a, b) with pass weights a and b from 0 to 1.

    Parameters
    ----------
    first : (n_first, n_events) bool or float64
    second : (n_second, n_events) bool
        Where a set passes or fails an event whole, min is the product.
    weight : (n_events,) float64

    Returns
    -------
    (n_first, n_second) float64
        NaN where neither set holds an event.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    both = (a * weight) @ b.T
    either = (a @ weight)[:, None] + (b @ weight)[None] - both
    return np.asarray(np.divide(both, either, out=np.full(both.shape, np.nan), where=either > 0))


def _seeds(window: ScoredWindow) -> list[dict[str, Any]]:
    """Significance of each selection by training seed, that of the result first; empty where there is one training."""
    return [
        {
            "name": one.name,
            "z": [None if seed.discovery is None else seed.discovery.z for seed in (one, *one.seeds)],
        }
        for one in window.result.selections
        if one.seeds and not window.blinded
    ]
