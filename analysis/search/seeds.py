"""Several trainings of each window, different in nothing but their random numbers, side by side.

The first training, fixed before anything was seen, is the result of a window: its selections have the limit, the
workspace and the plots. The others tell how much of it is the luck of one training. All trainings select among the same
events, so their z are strongly correlated, and their median is no combination: it fluctuates less than one z does, and
its p-value would be conservative. Whoever looks at all of them has looked that many times, and the global p-value
counts every one (`analysis.search.look_elsewhere`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from analysis.learning.metrics import band
from analysis.search.values import SelectionResult, WindowResult

__all__ = ["SeedSpread", "join_seeds", "n_seeds", "seed_spread"]

Quantity = Literal["z", "n_obs", "background"]


@dataclass(frozen=True)
class SeedSpread:
    """One number of a selection over its trainings.

    Attributes
    ----------
    values : tuple of float or None
        By training seed; None where a training has none.
    median, low, high : float
        Quantiles 0.5, 0.16 and 0.84 of those that there are.
    """

    values: tuple[float | None, ...]
    median: float
    low: float
    high: float


def join_seeds(results: Iterable[WindowResult]) -> list[WindowResult]:
    """Put the further trainings of every window beside its first.

    Parameters
    ----------
    results : iterable of WindowResult
        One per window and training seed.

    Returns
    -------
    list of WindowResult
        One per window, of training seed 0, in the order of these; `seeds` of its selections are filled.
    """
    found = sorted(results, key=lambda result: result.training_seed)  # stable: windows stay in order
    further = [result for result in found if result.training_seed > 0]
    return [
        _join(first, [other for other in further if other.window == first.window])
        for first in found
        if first.training_seed == 0
    ]


def n_seeds(results: Iterable[WindowResult]) -> int:
    """Count the trainings of a window, from the results of `join_seeds`."""
    return 1 + max((len(selection.seeds) for result in results for selection in result.selections), default=0)


def seed_spread(selection: SelectionResult, quantity: Quantity) -> SeedSpread | None:
    """Summarise a number over the trainings of a selection.

    Parameters
    ----------
    selection : SelectionResult
        From `join_seeds`.
    quantity : str
        "z", "n_obs" or "background".

    Returns
    -------
    SeedSpread or None
        None where there is one training alone, or none has the number, as while blinded.
    """
    values = tuple(_number(one, quantity) for one in (selection, *selection.seeds))
    known = [value for value in values if value is not None]
    if not selection.seeds or not known:
        return None
    found = band(known)
    return SeedSpread(values, float(found.median), float(found.low), float(found.high))


def _number(selection: SelectionResult, quantity: Quantity) -> float | None:
    if quantity == "z":
        return None if selection.discovery is None else selection.discovery.z
    return selection.n_obs if quantity == "n_obs" else selection.background


def _join(first: WindowResult, others: Sequence[WindowResult]) -> WindowResult:
    inclusive, trained = first.selections[:1], first.selections[1:]
    joined = tuple(replace(one, seeds=tuple(_same(one, other) for other in others)) for one in trained)
    return replace(first, selections=inclusive + joined)


def _same(selection: SelectionResult, other: WindowResult) -> SelectionResult:
    """Return the same selection of another training, or an empty one where that failed."""
    found = [one for one in other.selections if one.name == selection.name]
    empty = SelectionResult(
        selection.name, selection.method, selection.features, selection.efficiency, 0.0, None, reason=other.reason
    )
    return found[0] if found else empty
