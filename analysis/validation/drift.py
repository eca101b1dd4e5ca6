"""How far the features tell m_jj, before any training: events below the mask of a window against events above it.

CWoLa cannot tell a signal from a drift: where the features follow m_jj, its classifiers learn m_jj. Two slices beside
the mask are told apart by each feature alone and, with trees of one half of the events for the other, by all together.
An area A under the curve is a distance of √2 Φ⁻¹(A) standard deviations of two normal distributions. It is scaled from
the distance of the slices to that of the sidebands, as a drift that is linear in m_jj, so that it means the same
whatever had to be left out between the slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background import BY_TEMPLATE
from analysis.config import ClassifierConfig, LearningConfig, SearchConfig
from analysis.errors import TableError
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, TemplateMethod, TrainingSet
from analysis.learning.decorrelation import PercentileMap, QuantileScaling
from analysis.methods import METHODS, removes_drift, uses_sidebands
from analysis.regions import Interval, MassWindow

__all__ = [
    "DATA",
    "SIMULATION",
    "Separation",
    "WindowDrift",
    "area_under_curve",
    "drift_notes",
    "measure_drift",
    "slices",
]

Array = NDArray[np.float64]

DATA, SIMULATION = "data", "simulation"

MAX_DRIFT = 0.8
"""Largest drift of all features together without a warning, standard deviations: `tests.studies.drift_warning`."""

ESTABLISHED = 2.0
"""Standard errors by which the drift must exceed that."""

LEAST_EVENTS = 100
"""Events of a slice without which nothing is measured."""

_MOST_EVENTS = 40_000
"""Events of a slice that are used; the error of an area is 0.002 with so many."""

_TESTED = 0.5
"""Fraction of the events that are scored by trees of the others. Folds would train one another: the area of four has an
error that is a third larger than stated, on features without a drift."""

_TREES = ClassifierConfig(max_bin=64, min_child_weight=10.0)
_NO_VARIANCE = 1e-20
_SLICES = np.array([-0.5, 0.5, 1.5])
"""Edges of the bins of percentile scaling: the number of the slice takes the place of m_jj."""


@dataclass(frozen=True)
class Separation:
    """Separation of the slices by one feature, or by all together.

    Attributes
    ----------
    name : str
    auc, auc_error : float
        Probability that an event above the mask has the larger value, or score: 0.5 without a drift.
    drift, drift_error : float
        From the centre of the lower sideband to that of the upper one, in standard deviations; negative for a feature
        that falls with m_jj.
    """

    name: str
    auc: float
    auc_error: float
    drift: float
    drift_error: float

    @property
    def is_large(self) -> bool:
        """Whether the drift is too large for CWoLa, beyond its statistical error."""
        return self.drift - ESTABLISHED * self.drift_error > MAX_DRIFT


@dataclass(frozen=True, kw_only=True)
class WindowDrift:
    """Drift of the features around one window.

    Attributes
    ----------
    window : str
        Name, such as "3300-3700".
    sample : str
        "data" or "simulation".
    below, above : (low, high)
        Slices beside the mask, GeV.
    features : tuple of Separation
        One per feature that is defined for enough events.
    together : Separation or None
        All features; None where nothing was measured.
    reason : str or None
        Why nothing was measured.
    """

    window: str
    sample: str
    below: Interval
    above: Interval
    features: tuple[Separation, ...] = ()
    together: Separation | None = None
    reason: str | None = None

    @property
    def is_large(self) -> bool:
        """Whether CWoLa would learn m_jj and lose its signal."""
        return self.together is not None and self.together.is_large


def measure_drift(
    table: EventTable,
    window: MassWindow,
    learning: LearningConfig,
    *,
    sample: str = DATA,
    hidden: Sequence[Interval] = (),
    seed: int = 0,
) -> WindowDrift:
    """Measure how far the features tell the events below the mask of a window from those above it.

    Parameters
    ----------
    table : EventTable
        Events of the search region; those between the slices are not looked at.
    window : MassWindow
    learning : LearningConfig
        Features, and their scaling: percentiles are those of each slice; quantiles given m_jj are learned from one half
        of the events beside the mask, and measured with the other.
    sample : str
        "data" or "simulation", for the record.
    hidden : sequence of (low, high)
        Further intervals that are not looked at, GeV: the masks of all windows of a blinded search.
    seed : int

    Returns
    -------
    WindowDrift
    """
    below, above = slices(window, hidden)
    found = WindowDrift(window=window.name, sample=sample, below=below, above=above)
    if learning.decorrelation == "quantiles":
        scaling = QuantileScaling(window.fit_range, (window.mask, *hidden), seed, learning.decorrelated_features)
        try:
            table = scaling.fit(table.select(~_tested(table, seed)), learning.features).apply(table)
        except TableError as error:
            return replace(found, reason=str(error))
    events = _Slices.of(table, below, above, seed)
    if events.fewest < LEAST_EVENTS:
        missing = f"fewer than {LEAST_EVENTS} events in {_range(below)} or {_range(above)}, beside the mask."
        return replace(found, reason=missing)
    scale = (sum(window.upper) - sum(window.lower)) / 2 / events.distance
    X = events.table.matrix(learning.features)
    scaled = learning.decorrelation == "percentile"
    tested = _tested(events.table, seed) if learning.decorrelation == "quantiles" else np.ones(len(X), np.bool_)
    columns = zip(learning.features, X.T, strict=True)
    singles = [_single(name, column, tested, events, scale) for name, column in columns]
    together = _separation("all", _trained(X, events, scaled=scaled, seed=seed), scale)
    return replace(found, features=tuple(one for one in singles if one is not None and not scaled), together=together)


def slices(window: MassWindow, hidden: Sequence[Interval] = ()) -> tuple[Interval, Interval]:
    """Slices beside the mask of a window and all that is hidden around it, inside the fit range.

    Parameters
    ----------
    window : MassWindow
    hidden : sequence of (low, high)
        GeV.

    Returns
    -------
    below, above : (low, high)
        GeV, as wide as the window where the fit range allows; empty where it leaves nothing.
    """
    low, high = window.mask
    for start, stop in sorted(hidden):
        if start <= high:
            high = max(high, stop) if stop >= low else high
    for start, stop in sorted(hidden, key=lambda one: -one[1]):
        if stop >= low:
            low = min(low, start) if start <= high else low
    width = window.signal[1] - window.signal[0]
    first, last = window.fit_range
    return (min(low, max(first, low - width)), low), (high, max(high, min(last, high + width)))


@dataclass(frozen=True)
class _Slices:
    """Events of both slices.

    Attributes
    ----------
    table : EventTable
    upper : (n_events,) bool
        Events above the mask.
    weight : (n_events,) float64
        Positive; each slice adds up to 1.
    """

    table: EventTable
    upper: NDArray[np.bool_]
    weight: Array

    @classmethod
    def of(cls, table: EventTable, below: Interval, above: Interval, seed: int) -> _Slices:
        mjj, usable = table.mjj, table.weight > 0
        inside = [usable & (mjj >= low) & (mjj < high) for low, high in (below, above)]
        chance = uniform(table.event_id, seed, "drift")
        kept = [one & (chance * max(one.sum(), 1) < _MOST_EVENTS) for one in inside]
        chosen = table.select(kept[0] | kept[1])
        upper = chosen.mjj >= above[0]
        weight = chosen.weight.copy()
        for side in (upper, ~upper):
            weight[side] /= weight[side].sum() or 1.0
        return cls(chosen, upper, weight)

    @property
    def fewest(self) -> int:
        """Number of events in the smaller slice."""
        return int(min(self.upper.sum(), (~self.upper).sum()))

    @property
    def distance(self) -> float:
        """Distance of the mean masses, GeV."""
        means = [np.average(self.table.mjj[side], weights=self.weight[side]) for side in (self.upper, ~self.upper)]
        return float(means[0] - means[1])

    def area(self, values: NDArray[np.float32], rows: NDArray[np.bool_]) -> tuple[float, float]:
        """Area under the curve of some of the events, and its error."""
        upper, lower = rows & self.upper, rows & ~self.upper
        return area_under_curve(values[upper], values[lower], self.weight[upper], self.weight[lower])


def _tested(table: EventTable, seed: int) -> NDArray[np.bool_]:
    """(n_events,) bool: events that are measured with what the others have learned."""
    tested: NDArray[np.bool_] = uniform(table.event_id, seed, "drift halves") < _TESTED
    return tested


def _single(
    name: str, column: NDArray[np.float32], rows: NDArray[np.bool_], events: _Slices, scale: float
) -> Separation | None:
    known = rows & ~np.isnan(column)
    if min((known & events.upper).sum(), (known & ~events.upper).sum()) < LEAST_EVENTS:
        return None
    return _separation(name, events.area(column, known), scale)


def _trained(X: NDArray[np.float32], events: _Slices, *, scaled: bool, seed: int) -> tuple[float, float]:
    """Area of one half of the events with trees of the other, and its error."""
    tested = _tested(events.table, seed)
    rest = ~tested
    if scaled:
        side, names = events.upper.astype(np.float64), [str(column) for column in range(X.shape[1])]
        X = PercentileMap.fit(side[rest], X[rest], events.weight[rest], _SLICES, names).transform(side, X)
    training = TrainingSet.build(X[rest], events.upper[rest], events.weight[rest], events.table.event_id[rest])
    trees = BoostedTrees(_TREES, 1).fit(training, random_state=np.random.SeedSequence(seed))
    return events.area(trees.predict(X)[:, 0], tested)


def _separation(name: str, area: tuple[float, float], scale: float) -> Separation:
    auc, error = area
    distance = float(stats.norm.ppf(np.clip(auc, 1e-6, 1 - 1e-6)))
    per_area = 2**0.5 * scale
    return Separation(
        name,
        round(auc, 4),
        round(error, 4),
        round(per_area * distance, 3),
        round(per_area * error / float(stats.norm.pdf(distance)), 3),
    )


def area_under_curve(
    above: NDArray[np.floating], below: NDArray[np.floating], above_weight: Array, below_weight: Array
) -> tuple[float, float]:
    """Probability that a value of one sample is larger than one of the other, ties counted half, and its error.

    The error is that of DeLong, DeLong and Clarke-Pearson (Biometrics 44 (1988) 837), with weights; where it is 0,
    since all values are equal or the samples do not overlap, that of samples of the same distribution.

    Parameters
    ----------
    above, below : (n,), (m,) float
        Without NaN.
    above_weight, below_weight : (n,), (m,) float64
        Positive.

    Returns
    -------
    area, error : float
    """
    wins = _fraction_below(above, below, below_weight)
    losses = 1 - _fraction_below(below, above, above_weight)
    area = float(np.average(wins, weights=above_weight))
    parts = [(wins - area, above_weight), (losses - area, below_weight)]
    variance = sum(float(np.square(weight * offset).sum() / weight.sum() ** 2) for offset, weight in parts)
    if variance < _NO_VARIANCE:
        variance = sum(float(np.square(weight).sum() / weight.sum() ** 2) for _, weight in parts) / 12
    return area, variance**0.5


def _fraction_below(values: NDArray[np.floating], others: NDArray[np.floating], weight: Array) -> Array:
    """(n_values,) float64: weighted fraction of the others below each value, ties counted half."""
    order = np.argsort(others)
    cumulative = np.concatenate([[0.0], np.cumsum(weight[order])])
    left, right = (cumulative[np.searchsorted(others[order], values, side=side)] for side in ("left", "right"))
    fraction: Array = (left + right) / (2 * cumulative[-1])
    return fraction


def drift_notes(drifts: Sequence[WindowDrift], config: SearchConfig) -> tuple[str, ...]:
    """Warn of windows in which the features tell m_jj, with the remedy; empty if the method can stand it.

    Parameters
    ----------
    drifts : sequence of WindowDrift
    config : SearchConfig

    Returns
    -------
    tuple of str
        Plain text; at most one note.
    """
    large = {one: one.together for one in drifts if one.together is not None and one.is_large}
    learning, method = config.learning, METHODS.get(config.learning.method)
    untrained = not uses_sidebands(method)
    at_same_mass = untrained and method is not None and (method.needs_simulation or method.uses_truth)
    counted = untrained and config.background.strategy == BY_TEMPLATE
    if not large or at_same_mass or counted or removes_drift(method):
        return ()
    worst, together = max(large.items(), key=lambda pair: pair[1].drift)
    windows = ", ".join(dict.fromkeys(one.window for one in large))
    leading = sorted(worst.features, key=lambda one: -abs(one.drift))[:2]
    named = f" (alone: {', '.join(f'{one.name} {one.drift:+.1f}' for one in leading)})" if leading else ""
    text = (
        f"The features tell m_jj in {windows} GeV: in {worst.sample} around {worst.window} GeV all of them together "
        f"move by {together.drift:.2f} ± {together.drift_error:.2f} standard deviations from the lower to the upper "
        f"sideband{named}; above {MAX_DRIFT:g} "
    )
    if untrained:
        by_template = 'Set background.strategy = "template".'
        text += (
            f"the scores of {learning.method} sculpt the sidebands, which they were not trained on, and a fit of the "
            f"selected events is biased. {by_template if isinstance(method, TemplateMethod) else _remedies(learning)}"
        )
    else:
        text += (
            f"classifiers of {learning.method} learn m_jj, miss a signal, and may find one where there is none. "
            f"{_remedies(learning)}"
        )
    return (text,)


def _remedies(learning: LearningConfig) -> str:
    remedies = [
        "divide features that grow with m_jj by it, as in mj1_over_mjj and mj2_over_mjj",
        *(['set learning.decorrelation = "quantiles" or "percentile"'] if learning.decorrelation == "none" else []),
        'set learning.method = "curtains" with background.strategy = "template"',
        'set learning.method = "salad", which needs simulation',
    ]
    first, *others = remedies
    return f"{first.capitalize()}; or {'; or '.join(others)}."


def _range(interval: Interval) -> str:
    return f"{interval[0]:g}-{interval[1]:g} GeV"
