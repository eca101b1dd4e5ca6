"""Mass windows: signal region, sidebands, fit mask and fit range of a scan.

All intervals are half-open [low, high) in GeV.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.core.counted import counted
from analysis.core.notebook import facts, grid
from analysis.errors import ConfigError, WindowError

if TYPE_CHECKING:
    from analysis.config import ScanConfig

__all__ = [
    "Interval",
    "MassWindow",
    "RegionScan",
    "bins_of",
    "edges_of",
    "in_any",
    "known_edge",
    "smooth_edge",
    "span_of",
    "window_name",
]

Interval = tuple[float, float]

_TINY = 1e-6  # GeV

_INTERVALS = ("signal", "lower", "upper", "mask", "fit_range")

SMOOTH_EDGE_FACTOR = 2.5
"""m_jj / p̂_T above which a sample cut at p̂_T is smooth for |Δy| < 1.2.

The kinematic edge is 2 p̂_T cosh(|Δy| / 2) = 2.37 p̂_T; the slope of the spectrum settles near 2.5 p̂_T.
"""


def smooth_edge(pt_hat_min: float) -> float:
    """Lowest m_jj (GeV) above which a sample with generator cut `pt_hat_min` (GeV) falls smoothly."""
    return SMOOTH_EDGE_FACTOR * pt_hat_min


def known_edge(pt_hat_min: float | None, edge: float | None) -> float | None:
    """Lowest m_jj (GeV) at which the spectrum is known to be smooth.

    Parameters
    ----------
    pt_hat_min : float or None
        Highest generator threshold of the samples, GeV; None if unknown (data).
    edge : float or None
        Smooth edge as set by the analyst, GeV; replaces the one derived from `pt_hat_min`.

    Returns
    -------
    float or None
        None if neither is known.
    """
    return edge if edge is not None or pt_hat_min is None else smooth_edge(pt_hat_min)


def in_any(mjj: NDArray[np.float64], intervals: Iterable[Interval]) -> NDArray[np.bool_]:
    """(n_events,) bool: masses in any of the intervals [low, high), GeV."""
    inside = np.zeros(len(mjj), bool)
    for interval in intervals:
        inside |= _inside(mjj, interval)
    return inside


def _inside(mjj: NDArray[np.float64], interval: Interval) -> NDArray[np.bool_]:
    return (mjj >= interval[0]) & (mjj < interval[1])


def bins_of(edges: NDArray[np.float64], interval: Interval) -> slice:
    """Bins that make up an interval (GeV).

    Raises
    ------
    WindowError
        If the ends of the interval are not bin edges.
    """
    ends = [int(abs(edges - value).argmin()) for value in interval]
    if any(abs(edges[i] - value) > _TINY for i, value in zip(ends, interval, strict=True)) or ends[0] >= ends[1]:
        msg = (
            f"the interval {interval[0]:g}-{interval[1]:g} GeV is not made of bins of {edges[0]:g}-{edges[-1]:g} GeV. "
            "Choose bin edges as its ends."
        )
        raise WindowError(msg)
    return slice(ends[0], ends[1])


def edges_of(edges: NDArray[np.float64], bins: slice) -> NDArray[np.float64]:
    """Edges (n + 1,) of the n bins returned by `bins_of`, GeV."""
    return edges[bins.start : bins.stop + 1]


def window_name(signal: Sequence[float]) -> str:
    """Name a window for files and messages by its signal region, GeV, such as `3300-3700`."""
    low, high = signal
    return f"{low:g}-{high:g}"


@dataclass(frozen=True)
class MassWindow:
    """One mass window of the scan.

    Attributes
    ----------
    signal : (low, high)
        Signal region, GeV. Events are counted in exactly this interval.
    lower, upper : (low, high)
        Training sidebands, GeV.
    mask : (low, high)
        Interval excluded from the background fit, GeV; on the fit grid.
    fit_range : (low, high)
        Range of the background fit, GeV; on the fit grid.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.regions import MassWindow
    >>> window = MassWindow((3300, 3700), (3100, 3300), (3700, 3900), (3200, 3800), (3000, 6500))
    >>> window.name
    '3300-3700'
    >>> window.in_signal(np.array([3299.9, 3300.0, 3699.9, 3700.0])).tolist()
    [False, True, True, False]
    """

    signal: Interval
    lower: Interval
    upper: Interval
    mask: Interval
    fit_range: Interval

    @property
    def name(self) -> str:
        """Name for files and messages, such as `3300-3700`."""
        return window_name(self.signal)

    def _repr_html_(self) -> str:
        return facts(f"Window {self.name} GeV", {name: _range(getattr(self, name)) for name in _INTERVALS})

    def in_signal(self, mjj: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n_events,) bool: inside the signal region. `mjj` in GeV."""
        return _inside(mjj, self.signal)

    def in_lower(self, mjj: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n_events,) bool: inside the lower sideband. `mjj` in GeV."""
        return _inside(mjj, self.lower)

    def in_upper(self, mjj: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n_events,) bool: inside the upper sideband. `mjj` in GeV."""
        return _inside(mjj, self.upper)

    def in_fit_range(self, mjj: NDArray[np.float64]) -> NDArray[np.bool_]:
        """(n_events,) bool: inside the fit range. `mjj` in GeV."""
        return _inside(mjj, self.fit_range)

    def to_json(self) -> dict[str, Any]:
        """Return the intervals as lists."""
        return {key: list(getattr(self, key)) for key in _INTERVALS}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> MassWindow:
        """Build a window from `to_json`; other keys are ignored."""
        return cls(**{key: (float(document[key][0]), float(document[key][1])) for key in _INTERVALS})


def span_of(windows: Sequence[MassWindow]) -> Interval:
    """Smallest interval that holds the fit ranges of some windows, GeV."""
    return min(window.fit_range[0] for window in windows), max(window.fit_range[1] for window in windows)


@dataclass(frozen=True)
class RegionScan:
    """The windows of a search, and the common grid of their fits.

    Attributes
    ----------
    windows : tuple of MassWindow
    bin_width : float
        Width of the fit bins, GeV.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.regions import RegionScan
    >>> scan = RegionScan.from_config(load_config(preset="demo").scan)
    >>> [window.name for window in scan.windows]
    ['3300-3700', '3500-3900', '3700-4100', '3900-4300', '4100-4500']
    >>> scan.windows[0].mask
    (3200.0, 3800.0)
    >>> len(scan.edges(scan.windows[0])) - 1  # bins of 100 GeV from 3.0 to 6.5 TeV
    35
    """

    windows: tuple[MassWindow, ...]
    bin_width: float

    @classmethod
    def from_config(cls, config: ScanConfig) -> RegionScan:
        """Lay out the windows of a configuration.

        Parameters
        ----------
        config : ScanConfig

        Returns
        -------
        RegionScan

        Raises
        ------
        ConfigError
            If a window or its sidebands extend beyond the fit range, or leave no fit bins on a side.
        """
        return cls(
            tuple(_window(index, signal, config) for index, signal in enumerate(config.signal_regions())),
            config.bin_width,
        )

    def _repr_html_(self) -> str:
        rows = [[_range(getattr(window, name)) for name in _INTERVALS] for window in self.windows]
        return grid(f"{counted(len(self.windows), 'window')}, fit bins of {self.bin_width:g} GeV", _INTERVALS, rows)

    def edges(self, window: MassWindow) -> NDArray[np.float64]:
        """Edges (n_bins + 1,) of the fit bins of a window, GeV."""
        low, high = window.fit_range
        return low + self.bin_width * np.arange(round((high - low) / self.bin_width) + 1, dtype=np.float64)

    def named(self, names: Sequence[str] | None) -> tuple[MassWindow, ...]:
        """Return the windows of these names, in the order of the scan; all without names.

        Raises
        ------
        ConfigError
            If the scan has no window of a name.
        """
        known = [window.name for window in self.windows]
        if unknown := [name for name in names or () if name not in known]:
            msg = f"the scan has no window '{unknown[0]}'. Windows: {', '.join(known)}."
            raise ConfigError(msg)
        return tuple(window for window in self.windows if not names or window.name in names)

    def require_smooth(self, pt_hat_min: float | None, *, edge: float | None = None) -> None:
        """Raise if a window extends below the smooth part of the spectrum.

        Parameters
        ----------
        pt_hat_min : float or None
            Highest generator threshold of the samples, GeV; None if unknown (data).
        edge : float, optional
            Smooth edge as set by the analyst, GeV; replaces the one derived from `pt_hat_min`.

        Raises
        ------
        WindowError
            If a sideband or fit range starts below the edge.
        """
        limit = known_edge(pt_hat_min, edge)
        if limit is None:
            return
        for window in self.windows:
            start = min(window.lower[0], window.fit_range[0])
            if start < limit:
                origin = "scan.smooth_edge" if edge is not None else f"2.5 times pt_hat_min = {pt_hat_min:g} GeV"
                msg = (
                    f"window {window.name} GeV: its sideband or fit range starts at {start:g} GeV, but the spectrum is "
                    f"smooth only from {limit:g} GeV ({origin}). Move scan.first and scan.fit_range up, or set "
                    "scan.smooth_edge if you know the edge of your sample."
                )
                raise WindowError(msg)


def _range(interval: Interval) -> str:
    return f"{interval[0]:g}–{interval[1]:g} GeV"


def _window(index: int, signal: Interval, config: ScanConfig) -> MassWindow:
    low, high = signal
    margin = config.mask_margin
    mask = _on_grid(config.masks[index] if config.masks else (low - margin, high + margin), config)
    start, stop = config.sidebands[index] if config.sidebands else config.reach(signal)
    window = MassWindow(
        signal=signal,
        lower=(start, low),
        upper=(high, stop),
        mask=mask,
        fit_range=config.fit_range,
    )
    if min(window.lower[0], mask[0]) < config.fit_range[0] or max(window.upper[1], mask[1]) > config.fit_range[1]:
        msg = (
            f"window {window.name} GeV: its sidebands {window.lower[0]:g}-{window.upper[1]:g} GeV or mask "
            f"{mask[0]:g}-{mask[1]:g} GeV leave the fit range {config.fit_range[0]:g}-{config.fit_range[1]:g} GeV. "
            "Widen scan.fit_range or move the window."
        )
        raise ConfigError(msg)
    below, above = mask[0] - config.fit_range[0], config.fit_range[1] - mask[1]
    if min(below, above) < config.bin_width / 2:
        msg = (
            f"window {window.name} GeV: its mask {mask[0]:g}-{mask[1]:g} GeV leaves no fit bin "
            f"{'below' if below < above else 'above'} it in the fit range. Widen scan.fit_range or "
            "lower scan.mask_margin."
        )
        raise ConfigError(msg)
    return window


def _on_grid(interval: Interval, config: ScanConfig) -> Interval:
    """Widen an interval to the edges of the fit grid."""
    origin, width, tiny = config.fit_range[0], config.bin_width, 1e-9
    low = origin + width * np.floor((interval[0] - origin) / width + tiny)
    high = origin + width * np.ceil((interval[1] - origin) / width - tiny)
    return float(low), float(high)
