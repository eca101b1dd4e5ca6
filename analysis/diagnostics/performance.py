"""Separation of hidden signal and background by the scores of a window, with known truth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.fractions import fraction
from analysis.diagnostics.members import listed, rounded
from analysis.diagnostics.region_events import event_folds
from analysis.diagnostics.sections import PerformanceSection, SelectedEfficiency
from analysis.diagnostics.values import ScoredWindow
from analysis.errors import TableError
from analysis.events.identity import string_hash
from analysis.learning.metrics import Band, RocCurve, background_floor, band, mean_roc, roc_curve
from analysis.learning.training_set import positive_weights
from analysis.search.classifiers import Classifier

__all__ = ["performance"]

MIN_SIGNAL = 10
"""Smallest number of signal events in a window for a curve."""

N_REPLICAS = 100
N_POINTS = 120

Array = NDArray[np.float64]


def performance(window: ScoredWindow) -> PerformanceSection | None:
    """Measure the signal efficiency against the background efficiency of the out-of-fold scores in the window.

    Each fold is cut at its own quantile, as in the search. The band is the central 68 % of a Poisson bootstrap of the
    events (Efron, Ann. Stat. 7 (1979) 1): the uncertainty from the numbers of signal and background events, for fixed
    classifiers. The variation between trainings is in the section "ensemble".

    Parameters
    ----------
    window : ScoredWindow

    Returns
    -------
    PerformanceSection or None
        None while blinded, without truth, if the window failed, or if it contains fewer than 10 signal events.
    """
    passes = window.result.passes
    if window.signal_datasets is None or window.scores is None or window.classifier is None or passes is None:
        return None
    inside = window.result.window.in_signal(window.table.mjj) & np.isfinite(window.scores)
    is_signal = window.table.in_datasets(window.signal_datasets)
    signal, background = inside & is_signal, inside & ~is_signal
    if signal.sum() < MIN_SIGNAL or not background.any():
        return None
    background_weight = window.table.weight[background]
    fold = event_folds(window, window.classifier)
    folds = _folds(window, fold, signal, background)
    n_background = int(background.sum())
    grid = np.geomspace(1 / max(n_background, 2), 1.0, N_POINTS)
    values, spread = _measured(folds, grid), _bootstrap(folds, grid, _seed(window))
    low, area, high = rounded([spread.low[0], values[0], spread.high[0]])
    floor = _floor(positive_weights(background_weight, "background"))
    return PerformanceSection(
        n_signal=int(signal.sum()),
        n_background=n_background,
        background_efficiency=rounded(grid),
        signal_efficiency=listed(values[1:]),
        low=listed(spread.low[1:]),
        high=listed(spread.high[1:]),
        auc=(low, area, high),
        floor=floor,
        max_sic=None if floor is None else _max_sic(folds, floor),
        selections=tuple(_selected(window, window.classifier, fold, signal, background)),
    )


def _selected(
    window: ScoredWindow,
    classifier: Classifier,
    fold: NDArray[np.int8],
    signal: NDArray[np.bool_],
    background: NDArray[np.bool_],
) -> Iterator[SelectedEfficiency]:
    """Measure each selection on the events of the folds that it tests."""
    passes, weight = window.result.passes, window.table.weight
    assert passes is not None
    for index, selection in enumerate(window.result.selections):
        tested = classifier.tested(index)[fold]
        of_signal, of_background = (
            _efficiency(passes[rows & tested, index], weight[rows & tested]) for rows in (signal, background)
        )
        yield SelectedEfficiency(selection.name, of_signal, of_background)


@dataclass(frozen=True)
class _Fold:
    """Scores, in decreasing order, and weights of the two classes in one fold."""

    signal: NDArray[np.float32]
    background: NDArray[np.float32]
    signal_weight: Array
    background_weight: Array

    def curve(self) -> RocCurve:
        return roc_curve(
            self.signal,
            self.background,
            signal_weight=self.signal_weight,
            background_weight=self.background_weight,
        )

    def drawn(self, rng: np.random.Generator) -> _Fold:
        """Give every event a Poisson number of copies, 1 on average."""
        copies = [weight * rng.poisson(1.0, len(weight)) for weight in (self.signal_weight, self.background_weight)]
        return _Fold(self.signal, self.background, *copies)

    @property
    def filled(self) -> bool:
        return bool(self.signal_weight.sum() > 0 and self.background_weight.sum() > 0)


def _folds(
    window: ScoredWindow, fold: NDArray[np.int8], signal: NDArray[np.bool_], background: NDArray[np.bool_]
) -> list[_Fold]:
    """Return the folds with events of both classes."""
    assert window.scores is not None
    scores, weight = window.scores, np.zeros(len(window.table))
    for name, rows in (("signal", signal), ("background", background)):
        weight[rows] = positive_weights(window.table.weight[rows], name)
    folds = []
    for k in np.unique(fold):
        s, b = (np.flatnonzero(rows & (fold == k)) for rows in (signal, background))
        s, b = (rows[np.argsort(-scores[rows], kind="stable")] for rows in (s, b))
        folds.append(_Fold(scores[s], scores[b], weight[s], weight[b]))
    return [item for item in folds if item.filled]


def _seed(window: ScoredWindow) -> np.random.SeedSequence:
    key = (string_hash("performance"), string_hash(window.result.window.name))
    return np.random.SeedSequence(window.random_state, spawn_key=key)


def _bootstrap(folds: list[_Fold], grid: Array, seed: np.random.SeedSequence) -> Band:
    """Repeat `_measured` on Poisson replicas of the events."""
    rng, replicas = np.random.default_rng(seed), []
    for _ in range(N_REPLICAS):
        drawn = [replica for replica in (fold.drawn(rng) for fold in folds) if replica.filled]
        if drawn:
            replicas.append(_measured(drawn, grid))
    return band(replicas)


def _measured(folds: list[_Fold], grid: Array) -> Array:
    """Return the area, then the signal efficiency at each background efficiency, averaged over the folds."""
    curves = [fold.curve() for fold in folds]
    averages: Array = np.mean([[curve.auc, *curve.signal_at(grid)] for curve in curves], axis=0)
    return averages


def _floor(background_weight: Array) -> float | None:
    try:
        return background_floor(background_weight)
    except TableError:
        return None


def _max_sic(folds: list[_Fold], floor: float) -> tuple[float, float]:
    sic, efficiency = rounded(mean_roc([fold.curve() for fold in folds]).max_sic(floor))
    return sic, efficiency


def _efficiency(passes: NDArray[Any], weight: Array) -> float | None:
    total = weight.sum()
    return fraction(float((passes * weight).sum()), float(total)) if total > 0 else None
