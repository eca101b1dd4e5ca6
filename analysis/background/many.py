"""Background estimates of many spectra with common bins, for pseudo-experiments and validation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.background.bins import Interval, Mask, Sidebands, intervals_of, outside, pass_and_fail
from analysis.background.estimate import Estimates, error_of, estimate_bins, further
from analysis.background.fit import FEWEST_OF_RATIO
from analysis.background.functions import MassFunction, PassFailFunction, function_family, look_up, times_ratio
from analysis.background.likelihood import make_design, solve
from analysis.background.order import ratio_order, supported
from analysis.errors import FitError

__all__ = ["ManyEstimates", "estimate_many"]

Array = NDArray[np.float64]

_FIXED = -1  # order of the ratio where the function is given, or there is none

_CHUNK = 1000
"""Number of spectra fitted together; larger chunks do not fit in the processor cache."""


@dataclass(frozen=True)
class ManyEstimates:
    """Background estimates of many spectra.

    Attributes
    ----------
    value, up, down, log_error : (n_spectra, n_intervals) float64
        As in `WindowEstimate`; zero if not valid.
    n_parameters : (n_spectra,) int64
        Number of parameters of the chosen function.
    valid : (n_spectra,) bool
        Whether the fit is valid.
    """

    value: Array
    up: Array
    down: Array
    log_error: Array
    n_parameters: NDArray[np.int64]
    valid: NDArray[np.bool_]

    def error(self, likelihood: str = "profile", function_error: float = 0.0) -> Array:
        """(n_spectra, n_intervals) float64: upward errors that a likelihood of the count takes, events.

        With a further error of ln b from the choice of the function.
        """
        error = error_of(self.value, self.up, self.log_error, likelihood)
        return error if function_error == 0 else further(self.value, error, function_error)


def estimate_many(
    counts: Array,
    edges: Array,
    *,
    mask: Mask,
    windows: Sequence[Interval],
    functions: Sequence[str | MassFunction],
    sqrt_s_gev: float,
    rest: Array | None = None,
) -> ManyEstimates:
    """Choose the order by the number of events and estimate the background, as `choose_order` for every spectrum.

    With `rest`, the strategy is "transfer-factor", otherwise it is "events". A function that is not log-linear is
    expanded about its fit to the mean of the spectra; if there is none, no fit is valid.

    Parameters
    ----------
    counts : (n_spectra, n_bins) float64
        Whole numbers of events. The masked bins are never read.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    mask : (low, high), or a sequence of them
        GeV.
    windows : sequence of (low, high)
        Intervals of the estimates, GeV.
    functions : sequence of str or MassFunction
        Nested, fewest parameters first.
    sqrt_s_gev : float
    rest : (n_spectra, n_bins) float64, optional
        Events that fail the selection.

    Returns
    -------
    ManyEstimates
    """
    fitted = outside(edges, mask)
    observed, intervals = counts[:, fitted], np.asarray(windows, np.float64).reshape(-1, 2)
    failing = None if rest is None else rest[:, fitted]
    mean = _mean(observed, failing, (edges[:-1][fitted], edges[1:][fitted]), mask)
    result = np.zeros((4, len(counts), len(intervals)))
    valid, number = np.zeros(len(counts), bool), np.zeros(len(counts), np.int64)
    for function, rows in _chosen(observed, failing, functions):
        number[rows] = function.n_parameters
        if not len(rows):
            continue
        try:
            adapted = function.adapted(mean, sqrt_s_gev)
        except FitError:
            continue
        for part in np.array_split(rows, -(-len(rows) // _CHUNK)):
            both = observed[part] if failing is None else np.concatenate([failing[part], observed[part]], axis=1)
            estimates, valid[part] = _estimate(both, mean, adapted, intervals, sqrt_s_gev)
            arrays = [estimates.value, estimates.up, estimates.down, estimates.log_error]
            result[:, part] = np.stack(arrays) * valid[part][:, None]
    return ManyEstimates(result[0], result[1], result[2], result[3], number, valid)


def _chosen(
    observed: Array, rest: Array | None, functions: Sequence[str | MassFunction]
) -> Iterator[tuple[MassFunction, NDArray[np.intp]]]:
    """Functions with the spectra that they are fitted to; spectra with too few filled bins have none."""
    if len(functions) == 1 and isinstance(only := look_up(functions)[0], PassFailFunction):
        family: tuple[MassFunction, ...] = (only,)
        ratio = np.full(len(observed), _FIXED)
    else:
        family = function_family(functions)
        ratio = np.full(len(observed), _FIXED) if rest is None else ratio_order(observed.sum(axis=1))
    shape = observed if rest is None else rest
    filled = (shape > 0).sum(axis=1)
    order = supported(family, filled, shape.sum(axis=1))
    passing = (observed > 0).sum(axis=1)
    for index, power in sorted(set(zip(order.tolist(), ratio.tolist(), strict=True))):
        function = family[index] if power == _FIXED else times_ratio(family[index], power)
        rows = (order == index) & (ratio == power) & (filled > function.n_parameters - function.n_ratio)
        if rest is not None:
            rows &= passing > max(function.n_ratio, FEWEST_OF_RATIO)
        yield function, np.flatnonzero(rows)


def _mean(observed: Array, failing: Array | None, bins: tuple[Array, Array], mask: Mask) -> Sidebands:
    """Mean of the spectra, that of events that fail first."""
    one = [
        Sidebands(*bins, counts.mean(axis=0), np.ones(len(bins[0])), intervals_of(mask), np.zeros(len(bins[0]), bool))
        for counts in ((observed,) if failing is None else (failing, observed))
    ]
    return one[0] if failing is None else pass_and_fail(one[1], one[0])


def _estimate(
    observed: Array, bins: Sidebands, function: MassFunction, intervals: Array, sqrt_s_gev: float
) -> tuple[Estimates, NDArray[np.bool_]]:
    design = make_design(function, bins.low, bins.high, sqrt_s_gev, rest=bins.rest)
    solution = solve(observed, design, np.ones_like(observed))
    target = make_design(function, intervals[:, 0], intervals[:, 1], sqrt_s_gev, design.transform)
    return estimate_bins(target, solution, fitted=(design, np.ones_like(observed))), solution.valid
