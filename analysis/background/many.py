"""Background estimates of many spectra with common bins, for pseudo-experiments and validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.background.bins import Interval, Mask, outside
from analysis.background.estimate import Estimates, estimate_bins
from analysis.background.functions import MassFunction, function_family
from analysis.background.likelihood import make_design, solve
from analysis.background.order import supported

__all__ = ["ManyEstimates", "estimate_many"]

Array = NDArray[np.float64]

_CHUNK = 1000
"""Number of spectra fitted together; larger chunks do not fit in the processor cache."""


@dataclass(frozen=True)
class ManyEstimates:
    """Background estimates of many spectra.

    Attributes
    ----------
    value, up, down : (n_spectra, n_intervals) float64
        As in `WindowEstimate`, events; zero if not valid.
    n_parameters : (n_spectra,) int64
        Number of parameters of the chosen function.
    valid : (n_spectra,) bool
        Whether the fit is valid.
    """

    value: Array
    up: Array
    down: Array
    n_parameters: NDArray[np.int64]
    valid: NDArray[np.bool_]


def estimate_many(
    counts: Array,
    edges: Array,
    *,
    mask: Mask,
    windows: Sequence[Interval],
    functions: Sequence[str | MassFunction],
    sqrt_s_gev: float,
) -> ManyEstimates:
    """Choose the order by the number of events and estimate the background, as `choose_order` for every spectrum.

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

    Returns
    -------
    ManyEstimates
    """
    family, fitted = function_family(functions), outside(edges, mask)
    observed, intervals = counts[:, fitted], np.asarray(windows, np.float64).reshape(-1, 2)
    low, high = edges[:-1][fitted], edges[1:][fitted]
    filled = (observed > 0).sum(axis=1)
    order = supported(family, filled, observed.sum(axis=1))
    number = np.array([function.n_parameters for function in family])[order]
    result = np.zeros((3, len(counts), len(intervals)))
    valid = np.zeros(len(counts), bool)
    for index, function in enumerate(family):
        rows = np.flatnonzero((order == index) & (filled > function.n_parameters))
        for part in np.array_split(rows, max(1, -(-len(rows) // _CHUNK))):
            if len(part):
                estimates, valid[part] = _estimate(observed[part], (low, high), function, intervals, sqrt_s_gev)
                result[:, part] = np.stack([estimates.value, estimates.up, estimates.down]) * valid[part][:, None]
    return ManyEstimates(result[0], result[1], result[2], number, valid)


def _estimate(
    observed: Array, bins: tuple[Array, Array], function: MassFunction, intervals: Array, sqrt_s_gev: float
) -> tuple[Estimates, NDArray[np.bool_]]:
    design = make_design(function, *bins, sqrt_s_gev)
    solution = solve(observed, design, np.ones_like(observed))
    target = make_design(function, intervals[:, 0], intervals[:, 1], sqrt_s_gev, design.transform)
    return estimate_bins(target, solution), solution.valid
