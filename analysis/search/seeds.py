"""Several trainings of each window that differ only in their random numbers.

The first training, fixed in advance, is the result of a window: its selections have the limit, the workspace and the
plots. The other trainings show how much of it depends on the random numbers of one training. All trainings select among
the same events, so that their z are strongly correlated, and their median is not a combination: it fluctuates less than
a single z, and its p-value would be conservative. Every training is a further test, which the global p-value counts
(`analysis.search.look_elsewhere`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from analysis.learning.metrics import band
from analysis.search.null_distribution import Calibration
from analysis.search.values import SelectionResult, WindowResult

__all__ = ["SeedSpread", "join_seeds", "n_seeds", "seed_spread"]

Quantity = Literal["z", "n_obs", "background", "fit_p_value"]


@dataclass(frozen=True)
class SeedSpread:
    """Spread of one quantity of a selection over its trainings.

    Attributes
    ----------
    values : tuple of float or None
        Values by training seed; None for trainings without one.
    median, low, high : float
        Quantiles 0.5, 0.16 and 0.84 of the available values.
    """

    values: tuple[float | None, ...]
    median: float
    low: float
    high: float

    def calibrated(self, calibration: Calibration) -> SeedSpread:
        """Return the spread of z if the z of every training is calibrated in the same way, which keeps their order."""
        values = tuple(None if z is None else calibration.again(z).z for z in self.values)
        return SeedSpread(values, *(calibration.again(z).z for z in (self.median, self.low, self.high)))


def join_seeds(results: Iterable[WindowResult]) -> list[WindowResult]:
    """Attach the further trainings of every window to its first.

    Parameters
    ----------
    results : iterable of WindowResult
        One per window and training seed.

    Returns
    -------
    list of WindowResult
        One per window, of training seed 0, in the same order; `seeds` of its selections are filled.
    """
    ordered = sorted(results, key=lambda result: result.training_seed)  # stable: windows stay in order
    further = [result for result in ordered if result.training_seed > 0]
    return [
        _join(first, [other for other in further if other.window == first.window])
        for first in ordered
        if first.training_seed == 0
    ]


def n_seeds(results: Iterable[WindowResult]) -> int:
    """Return the number of trainings per window, from the results of `join_seeds`."""
    return 1 + max((len(selection.seeds) for result in results for selection in result.selections), default=0)


def seed_spread(selection: SelectionResult, quantity: Quantity) -> SeedSpread | None:
    """Summarise a quantity over the trainings of a selection.

    Parameters
    ----------
    selection : SelectionResult
        From `join_seeds`.
    quantity : str
        "z", "n_obs", "background" or "fit_p_value".

    Returns
    -------
    SeedSpread or None
        None with only one training, or without any value, as while blinded.
    """
    values = tuple(_number(training, quantity) for training in (selection, *selection.seeds))
    available = [value for value in values if value is not None]
    if not selection.seeds or not available:
        return None
    quantiles = band(available)
    return SeedSpread(values, float(quantiles.median), float(quantiles.low), float(quantiles.high))


def _number(selection: SelectionResult, quantity: Quantity) -> float | None:
    if quantity == "z":
        return None if selection.discovery is None else selection.discovery.z
    return float(value) if (value := getattr(selection, quantity)) is not None else None


def _join(first: WindowResult, others: Sequence[WindowResult]) -> WindowResult:
    inclusive, trained = first.selections[:1], first.selections[1:]
    joined = tuple(replace(entry, seeds=tuple(_same(entry, other) for other in others)) for entry in trained)
    return replace(first, selections=inclusive + joined)


def _same(selection: SelectionResult, other: WindowResult) -> SelectionResult:
    """Return the same selection of another training, or an empty one if that training failed."""
    same = [candidate for candidate in other.selections if candidate.name == selection.name]
    empty = SelectionResult(
        selection.name, selection.method, selection.features, selection.efficiency, 0.0, None, reason=other.reason
    )
    return same[0] if same else empty
