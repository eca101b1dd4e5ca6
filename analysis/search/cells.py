"""Cells of one or more features, fixed before the search, and the results of a search in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from analysis.errors import ConfigError, TableError
from analysis.events.stored import StoredEvents
from analysis.events.table import EventTable
from analysis.regions import Interval, RegionScan, in_any
from analysis.statistics import GlobalResult

__all__ = [
    "MOST_CELLS",
    "Binning",
    "BumpHunt3D",
    "CellAxis",
    "CellResult",
    "CellWindow",
    "cell_axes",
    "cell_of",
    "require_cell_features",
]

MOST_CELLS = 400
"""Cells in a window: each needs a fit, and a flag of every event."""

Bound = float | None


@dataclass(frozen=True)
class Binning:
    """Requested bins of one feature.

    Attributes
    ----------
    feature : str
    bins : int or tuple of float
        Number of quantile bins, or edges, rising, in the unit of the feature.
    """

    feature: str
    bins: int | tuple[float, ...]

    def __post_init__(self) -> None:
        bins = self.bins
        if isinstance(bins, int):
            if bins < 1:
                msg = f"feature {self.feature}: expected at least 1 bin, found {bins}."
                raise ConfigError(msg)
            return
        rising = all(low < high for low, high in pairwise(bins))
        if len(bins) < 2 or not rising or not all(map(isfinite, bins)):
            found = ", ".join(f"{edge:g}" for edge in bins)
            msg = f"feature {self.feature}: expected two or more rising edges, such as 50,100,200, found {found}."
            raise ConfigError(msg)


@dataclass(frozen=True)
class CellAxis:
    """Bins of one feature, all [low, high).

    Attributes
    ----------
    feature : str
    edges : tuple of float or None
        In the unit of the feature; None for the ends of quantile bins, which are open.
    """

    feature: str
    edges: tuple[Bound, ...]

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    def bin_of(self, values: NDArray[np.floating]) -> NDArray[np.intp]:
        """(n_events,) int: bin of each value; -1 outside all bins, and for NaN."""
        ends = (-np.inf, *([None] * (self.n_bins - 1)), np.inf)
        edges = np.array([end if edge is None else edge for edge, end in zip(self.edges, ends, strict=True)], float)
        found = np.searchsorted(edges, values, side="right") - 1
        found[(found >= self.n_bins) | ~np.isfinite(values)] = -1
        return found


@dataclass(frozen=True)
class CellResult:
    """Test of one cell in one window.

    Attributes
    ----------
    ranges : tuple of (low, high)
        Range in each feature; None for an open end.
    n_obs : float or None
        Events in the window; None while blinded.
    background, background_error : float or None
        From the fit beside the mask, events; None if the fit failed.
    z, p0, p0_toys : float or None
        Local significance and p-values, as in `results.json`; None while blinded.
    fit_p_value : float or None
    calibrated : bool
        False if too few events are expected for uniform local p-values; the global p-value holds.
    reason : str or None
        Reason for missing values.
    """

    ranges: tuple[tuple[Bound, Bound], ...]
    n_obs: float | None
    background: float | None
    background_error: float | None
    z: float | None
    p0: float | None
    p0_toys: float | None
    fit_p_value: float | None
    calibrated: bool
    reason: str | None = None


@dataclass(frozen=True)
class CellWindow:
    """All cells of one window.

    Attributes
    ----------
    name : str
    signal : (low, high)
        Range of m_jj, GeV.
    cells : tuple of CellResult
        In the order of the axes, the last feature fastest.
    """

    name: str
    signal: Interval
    cells: tuple[CellResult, ...]

    @property
    def best(self) -> CellResult | None:
        """Cell with the largest z; None if no cell has one."""
        tested = [cell for cell in self.cells if cell.z is not None]
        return max(tested, key=lambda cell: cell.z or 0.0, default=None)

    @property
    def n_fitted(self) -> int:
        """Number of cells with a background."""
        return sum(cell.background is not None for cell in self.cells)


@dataclass(frozen=True)
class BumpHunt3D:
    """Result of the bump hunt, the content of `bump3d.json`.

    Attributes
    ----------
    axes : tuple of CellAxis
    blinded : bool
    windows : tuple of CellWindow
    global_ : GlobalResult
        Over all cells of all windows that were tested.
    config_digest, inputs : str
        Digests of the configuration and of the searched events.
    """

    axes: tuple[CellAxis, ...]
    blinded: bool
    windows: tuple[CellWindow, ...]
    global_: Annotated[GlobalResult, Field(alias="global")]
    config_digest: str = ""
    inputs: str = ""

    @property
    def best(self) -> tuple[CellWindow, CellResult] | None:
        """Window and cell of the largest z; None if no cell has one."""
        found = [(window, window.best) for window in self.windows]
        tested = [(window, cell) for window, cell in found if cell is not None]
        return max(tested, key=lambda one: one[1].z or 0.0, default=None)


def cell_axes(table: EventTable, binnings: Sequence[Binning], scan: RegionScan) -> tuple[CellAxis, ...]:
    """Choose the bins of each feature.

    Quantile bins hold equal numbers of the events of the fit ranges that are in no mask: no event inside a window has
    a say, so that cells are the same while blinded, and fixed for the test.

    Parameters
    ----------
    table : EventTable
    binnings : sequence of Binning
    scan : RegionScan

    Returns
    -------
    tuple of CellAxis

    Raises
    ------
    ConfigError
        If there is no feature, one is named twice, there are too many cells, or the events do not allow so many bins.
    TableError
        If a feature is not in the table.
    """
    names = [one.feature for one in binnings]
    if not names or len(set(names)) < len(names):
        msg = f"expected one or more different features for the cells, found {', '.join(names) or 'none'}."
        raise ConfigError(msg)
    require_cell_features(table, names)
    fit_ranges, masks = ([getattr(window, kind) for window in scan.windows] for kind in ("fit_range", "mask"))
    beside = in_any(table.mjj, fit_ranges) & ~in_any(table.mjj, masks)
    axes = tuple(_axis(one, table.column(one.feature)[beside]) for one in binnings)
    if (n_cells := int(np.prod([axis.n_bins for axis in axes]))) > MOST_CELLS:
        msg = f"{n_cells} cells in each window are more than {MOST_CELLS}. Use fewer or coarser bins."
        raise ConfigError(msg)
    return axes


def cell_of(table: EventTable, axes: Sequence[CellAxis]) -> NDArray[np.intp]:
    """(n_events,) int: cell of each event, the last feature fastest; -1 outside all cells, and for undefined features.

    Raises
    ------
    ConfigError
        If no event is in a cell.
    """
    bins = [axis.bin_of(table.column(axis.feature)) for axis in axes]
    found = np.ravel_multi_index([np.maximum(one, 0) for one in bins], [axis.n_bins for axis in axes])
    cells = np.where(np.min(bins, axis=0) < 0, -1, found)
    if not (cells >= 0).any():
        names = ", ".join(axis.feature for axis in axes)
        msg = f"none of the {len(table)} events is in a cell of {names}. Give edges that hold the events."
        raise ConfigError(msg)
    return cells


def require_cell_features(events: EventTable | StoredEvents, names: Sequence[str]) -> None:
    """Raise if a name is not a feature of the events.

    Raises
    ------
    TableError
    """
    try:
        events.require_features(names)
    except TableError as error:
        msg = f"no cells can be made: {error} Name others with --feature, or select the events again with them."
        raise TableError(msg) from error


def _axis(binning: Binning, values: NDArray[np.floating]) -> CellAxis:
    if not isinstance(binning.bins, int):
        return CellAxis(binning.feature, binning.bins)
    defined = values[np.isfinite(values)]
    if not len(defined):
        msg = (
            f"feature {binning.feature} has no value in the {len(values)} events beside the masks of all windows, from "
            "which quantile bins are made. Give edges, or widen scan.fit_range."
        )
        raise ConfigError(msg)
    inner = np.quantile(defined, np.arange(1, binning.bins) / binning.bins).tolist()
    if any(low >= high for low, high in pairwise(inner)) or (inner and inner[0] <= defined.min()):
        msg = (
            f"feature {binning.feature} has too few different values in the {len(values)} events beside the masks of "
            f"all windows for {binning.bins} quantile bins. Use fewer bins, or give edges."
        )
        raise ConfigError(msg)
    return CellAxis(binning.feature, (None, *inner, None))
