"""DCTR: weights that turn one sample into another, from boosted classifiers, interpolated between two anchors.

A classifier g that separates a target from a source of equal total weight estimates their density ratio g / (1 - g)
(Andreassen, Nachman, arXiv:1907.08209). In SALAD (arXiv:2001.05001), the mass is one of its features, and it is
evaluated outside the training range. Trees extrapolate a feature as a constant, so here one ratio is trained at each of
two anchors, and its logarithm is interpolated linearly between them; see docs/methods.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.learning.folds import assign_folds
from analysis.learning.protocols import Learner, Model
from analysis.learning.training_set import Rows, TrainingSet, positive_weights

__all__ = ["DensityRatio", "InterpolatedRatio", "chi2_by_feature", "derive_seed", "fit_ratio"]


@dataclass(frozen=True)
class DensityRatio:
    """Density ratio of target over source, learned in folds.

    Attributes
    ----------
    models : tuple of Model
        One per fold, trained without it.
    seed : int
        Seed of the folds.
    """

    models: tuple[Model, ...]
    seed: int

    def log_ratio(self, X: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n_rows,) float64: mean over the models, for rows outside the training samples."""
        return np.mean([_log_odds(model, X) for model in self.models], axis=0)  # type: ignore[no-any-return]

    def out_of_fold(self, X: NDArray[np.float32], group: NDArray[np.uint64]) -> NDArray[np.float64]:
        """(n_rows,) float64: from the model trained without the row, for rows of the training samples."""
        log_ratio, fold = np.zeros(len(X)), self.fold_of(group)
        for index, model in enumerate(self.models):
            log_ratio[fold == index] = _log_odds(model, X[fold == index])
        return log_ratio

    def fold_of(self, group: NDArray[np.uint64]) -> NDArray[np.int8]:
        """(n_rows,) int8: index of the model trained without the event."""
        return assign_folds(group, len(self.models), random_state=self.seed)


def _log_odds(model: Model, X: NDArray[np.float32]) -> NDArray[np.float64]:
    tiny = np.finfo(np.float32).eps
    scores = np.clip(model.predict(X).astype(np.float64).mean(axis=1), tiny, 1 - tiny)
    log_odds: NDArray[np.float64] = np.log(scores / (1 - scores))
    return log_odds


@dataclass(frozen=True)
class InterpolatedRatio:
    """Two density ratios, and the positions on an axis at which they are valid.

    Attributes
    ----------
    lower, upper : DensityRatio
    lower_at, upper_at : float
        Positions on the axis, such as the mean dijet mass of a sideband in GeV.
    max_log : float
        Log weights are clipped to this absolute value.
    """

    lower: DensityRatio
    upper: DensityRatio
    lower_at: float
    upper_at: float
    max_log: float = 5.0

    def weight(self, X: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compute weights of source rows outside the training samples.

        Parameters
        ----------
        X : (n_rows, n_features) float32
        at : (n_rows,) float64
            Positions on the axis.

        Returns
        -------
        (n_rows,) float64
            Target density over source density; positive.
        """
        share = (at - self.lower_at) / (self.upper_at - self.lower_at)
        log_weight = (1 - share) * self.lower.log_ratio(X) + share * self.upper.log_ratio(X)
        weight: NDArray[np.float64] = np.exp(np.clip(log_weight, -self.max_log, self.max_log))
        return weight


def derive_seed(parent: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """Return a child that depends only on parent and key, unlike `spawn`, which counts its calls."""
    return np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, *key))


def fit_ratio(
    target: Rows, source: Rows, learner: Learner, *, n_folds: int, random_state: np.random.SeedSequence
) -> DensityRatio:
    """Learn the density ratio of target over source, both normalised to the same total.

    Parameters
    ----------
    target, source : Rows
    learner : Learner
    n_folds : int
        Number of folds by event identity.
    random_state : numpy.random.SeedSequence

    Returns
    -------
    DensityRatio

    Raises
    ------
    TableError
        If a sample is empty, or its sum of weights is not positive.
    """
    target, source = _sorted(target), _sorted(source)
    seed = int(derive_seed(random_state, 0).generate_state(1)[0])
    return DensityRatio(
        tuple(
            learner.fit(_contrast(target, source, n_folds, fold, seed), random_state=derive_seed(random_state, 1, fold))
            for fold in range(n_folds)
        ),
        seed,
    )


def _sorted(rows: Rows) -> Rows:
    """Sort the rows, so that subsamples of the learner do not depend on the order of events."""
    order = np.lexsort((*rows.X.T, rows.weight, rows.group))
    return rows.where(order)


def _contrast(target: Rows, source: Rows, n_folds: int, left_out: int, seed: int) -> TrainingSet:
    kept = [_without(rows, n_folds, left_out, seed) for rows in (target, source)]
    totals = [rows.weight.sum() for rows in kept]
    labels = np.repeat([1, 0], [len(rows.weight) for rows in kept])
    return TrainingSet.build(
        np.concatenate([rows.X for rows in kept]),
        labels,
        np.concatenate([rows.weight / (total if total > 0 else 1) for rows, total in zip(kept, totals, strict=True)]),
        np.concatenate([rows.group for rows in kept]),
    )


def _without(rows: Rows, n_folds: int, left_out: int, seed: int) -> Rows:
    return rows.where(assign_folds(rows.group, n_folds, random_state=seed) != left_out)


def chi2_by_feature(target: Rows, source: Rows, *, n_bins: int = 10) -> NDArray[np.float64]:
    """Compare the shapes of two samples feature by feature, in bins of equal target count.

    Parameters
    ----------
    target, source : Rows
        Samples. Negative weights of the source are treated as in training, see `positive_weights`.
    n_bins : int

    Returns
    -------
    (n_features,) float64
        Chi-squared per degree of freedom with the statistical errors of both samples; about 1 if they agree. Rows with
        a NaN feature are ignored; NaN if fewer than two bins are filled.
    """
    weight = positive_weights(source.weight, "the reweighted sample")
    pairs = zip(target.X.T.astype(np.float64), source.X.T.astype(np.float64), strict=True)
    return np.array([_chi2(a, target.weight, b, weight, n_bins) for a, b in pairs])


def _chi2(
    target: NDArray[np.float64],
    target_weight: NDArray[np.float64],
    source: NDArray[np.float64],
    source_weight: NDArray[np.float64],
    n_bins: int,
) -> float:
    edges = np.unique(np.nanquantile(target, np.linspace(0, 1, n_bins + 1)[1:-1]))
    fractions, variances = [], []
    for values, weight in ((target, target_weight), (source, source_weight)):
        finite = np.isfinite(values)
        bins = np.searchsorted(edges, values[finite], side="right")
        total = weight[finite].sum()
        fractions.append(np.bincount(bins, weight[finite], len(edges) + 1) / total)
        variances.append(np.bincount(bins, weight[finite] ** 2, len(edges) + 1) / total**2)
    variance = variances[0] + variances[1]
    filled = variance > 0
    if filled.sum() < 2:
        return float("nan")
    pulls = (fractions[0] - fractions[1])[filled] ** 2 / variance[filled]
    return float(pulls.sum() / (filled.sum() - 1))
