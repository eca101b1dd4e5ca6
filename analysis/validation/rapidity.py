"""Source "rapidity": data with |Δy| above the search region, where little signal is expected.

ATLAS' first and second search validate with such events (arXiv:2005.02983, 2502.09770). A sample with a lower threshold
X on p̂_T, or on the p_T of the jets, has no smooth m_jj spectrum below 2 X cosh(|Δy| / 2), which is higher at the upper
end of the band than in the search region.
"""

from __future__ import annotations

from dataclasses import replace
from math import cosh

import numpy as np

from analysis.config import SearchConfig
from analysis.regions import MassWindow, RegionScan
from analysis.search.values import SearchData
from analysis.validation.samples import NotTestable, Pools, Setting, SignalFreeSample

__all__ = ["band_edge", "band_limit", "place_in_band", "rapidity_sample"]

_TINY = 1e-9


def band_limit(config: SearchConfig) -> float:
    """Upper end of the band in |Δy|."""
    return config.validation.abs_dy_max or config.selection.abs_dy_validation


def band_edge(config: SearchConfig, pt_hat_min: float | None) -> float | None:
    """Lowest m_jj (GeV) at which the spectrum of the band is smooth.

    Parameters
    ----------
    config : SearchConfig
    pt_hat_min : float or None
        Highest generator threshold of the searched samples, GeV; None without a threshold (data).

    Returns
    -------
    float or None
        `scan.smooth_edge` times cosh(|Δy|_max / 2) / cosh(|Δy|_search / 2) if it is set, otherwise
        2 X cosh(|Δy|_max / 2); None if neither is available.
    """
    high, low = cosh(band_limit(config) / 2), cosh(config.selection.abs_dy_search / 2)
    if config.scan.smooth_edge is not None:
        return config.scan.smooth_edge * high / low
    return None if pt_hat_min is None else 2 * pt_hat_min * high


def place_in_band(
    window: MassWindow, scan: RegionScan, config: SearchConfig, pt_hat_min: float | None
) -> MassWindow | NotTestable:
    """Restrict the fit range of a window to the smooth part of the spectrum of the band."""
    edge = band_edge(config, pt_hat_min)
    if edge is None:
        return window
    edges = scan.edges(window)
    smooth = edges[edges >= edge - _TINY]
    where = f"the spectrum up to |Δy| = {band_limit(config):g} is smooth only from {edge:.0f} GeV"
    if window.lower[0] < edge - _TINY:
        return NotTestable(f"{where}, and the lower sideband starts at {window.lower[0]:g} GeV.")
    if len(smooth) == 0 or smooth[0] > window.mask[0] - scan.bin_width / 2:
        return NotTestable(f"{where}, which leaves no fit bin below the mask at {window.mask[0]:g} GeV.")
    return replace(window, fit_range=(float(smooth[0]), window.fit_range[1]))


def rapidity_sample(pools: Pools, setting: Setting) -> SignalFreeSample | NotTestable:
    """Return the events of the band."""
    config = setting.config
    band = f"{config.selection.abs_dy_search:g} <= |Δy| < {band_limit(config):g}"
    if pools.band is None or not setting.window.in_fit_range(pools.band.mjj).any():
        return NotTestable(f"no events of the data with {band} in the fit range.")
    if setting.needs_simulation and (pools.band_simulation is None or len(pools.band_simulation) == 0):
        return NotTestable(f"the method needs simulation, and there is none with {band}.")
    events = int(np.count_nonzero(setting.window.in_fit_range(pools.band.mjj)))
    low, high = setting.window.fit_range
    notes = [f"{events} events of the data with {band} and m_jj in {low:g}-{high:g} GeV."]
    simulation = pools.band_simulation if setting.needs_simulation else None
    return SignalFreeSample(SearchData(pools.band, simulation=simulation), tuple(notes))
