"""Window and mask of a mass point with the best expected limit on its reconstructed template.

They are not centred on the nominal mass: reconstructed peaks are below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import FitError, StatisticsError, WindowError
from analysis.learning import INCLUSIVE
from analysis.regions import Interval, MassWindow, bins_of
from analysis.signals.template import NetYield, SignalTemplate, net_yields
from analysis.statistics import Counting, counting_workspace, upper_limit

__all__ = ["WindowChoice", "approximate_limit", "choose_window"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class WindowChoice:
    """Window and mask of a mass point.

    Attributes
    ----------
    signal, mask : (low, high)
        GeV, on the fit grid.
    expected : NetYield
        Net yield at the normalisation of the template.
    limit : float
        Median expected 95 % CLs limit on the strength of the template, from pyhf.
    candidates : int
        Number of compared pairs of window and mask.
    """

    signal: Interval
    mask: Interval
    expected: NetYield
    limit: float
    candidates: int

    def mass_window(self, reach: Interval, fit_range: Interval) -> MassWindow:
        """Return the search window, with its training sidebands from the start to the end of `reach`, GeV."""
        low, high = self.signal
        return MassWindow(self.signal, (reach[0], low), (high, reach[1]), self.mask, fit_range)


def choose_window(
    template: SignalTemplate,
    background: Array,
    function: str,
    *,
    sqrt_s_gev: float,
    selection: str = INCLUSIVE,
    max_margin: float = 300.0,
    min_sideband: float = 200.0,
    level: float = 0.05,
) -> WindowChoice:
    """Choose the window and mask with the best expected limit on a mass point.

    Every window and mask on the fit grid is compared by `approximate_limit` of its background, its fit error on the
    Asimov spectrum, and the net yield at that limit; the limit of the best pair is computed by pyhf. Observed counts
    are not used.

    Parameters
    ----------
    template : SignalTemplate
        Template on the fit grid.
    background : (n_bins,) float64
        Expected background events of the same selection on the fit grid.
    function : str
        Background function of the search.
    sqrt_s_gev : float
        Collision energy, GeV.
    selection : str
    max_margin : float
        Widest mask margin on each side of the window, GeV; the two sides may differ, as the tails do.
    min_sideband : float
        Narrowest range that remains for the fit on each side of the mask, GeV.
    level : float
        Signals with CLs < level are excluded.

    Returns
    -------
    WindowChoice

    Raises
    ------
    WindowError
        If no window has signal and sidebands.
    """
    signal, edges = template.yields(selection)[0], template.edges
    best: tuple[float, Interval, Interval, NetYield] | None = None
    n_candidates = 0
    for mask, windows in _candidates(signal, edges, max_margin, min_sideband):
        for window, expected in _compare(windows, background, signal, edges, function, mask, sqrt_s_gev):
            n_candidates += 1
            if expected.net <= 0:
                continue
            strength = approximate_limit(expected.background, expected.background_error) / expected.net
            if best is None or strength < best[0]:
                best = (strength, window, mask, expected)
    if best is None:
        msg = (
            f"no window in {edges[0]:g}-{edges[-1]:g} GeV has signal events and sidebands of {min_sideband:g} GeV for "
            f"{function}. Widen the fit range, or choose another mass point."
        )
        raise WindowError(msg)
    _, window, mask, expected = best
    limit = _median_limit(expected, level) / expected.net
    return WindowChoice(window, mask, expected, limit, n_candidates)


def approximate_limit(background: Array | float, error: Array | float) -> Any:
    """Median expected 95 % CLs limit in events, accurate to a few percent, for ranking windows.

    1.5 + sqrt(1.5^2 + 1.96^2 (b + sigma^2)): exactly 3.0 events without background, and 1.96 standard deviations for
    large backgrounds.

    Parameters
    ----------
    background, error : float or float64 array
        Expected events in the window and their uncertainty.

    Returns
    -------
    float or float64 array
    """
    return 1.5 + np.sqrt(1.5**2 + 1.96**2 * (np.asarray(background) + np.asarray(error) ** 2))


def _candidates(
    signal: Array, edges: Array, max_margin: float, min_sideband: float
) -> Iterator[tuple[Interval, list[Interval]]]:
    """Masks, and the windows inside them that contain the highest bin, with at most the maximum margin on each side."""
    peak, tiny = int(signal.argmax()), 1e-6
    lows, highs = edges[: peak + 1], edges[peak + 1 :]
    for mask_low in lows[lows >= edges[0] + min_sideband - tiny]:
        for mask_high in highs[highs <= edges[-1] - min_sideband + tiny]:
            windows = [
                (float(low), float(high))
                for low in lows[(lows >= mask_low) & (lows <= mask_low + max_margin + tiny)]
                for high in highs[(highs <= mask_high) & (highs >= mask_high - max_margin - tiny)]
            ]
            yield (float(mask_low), float(mask_high)), windows


def _compare(
    windows: Sequence[Interval],
    background: Array,
    signal: Array,
    edges: Array,
    function: str,
    mask: Interval,
    sqrt_s_gev: float,
) -> list[tuple[Interval, NetYield]]:
    """Net yields at the normalisation of the template, with the absorption for a signal as strong as the limit."""
    inside = bins_of(edges, mask)
    scale = float(approximate_limit(background[inside].sum(), 0.0) / signal[inside].sum())
    try:
        weak = net_yields(background, scale * signal, edges, function, windows, mask, sqrt_s_gev)
    except FitError:
        return []
    full = [replace(net, gross=net.gross / scale, absorbed=net.absorbed / scale) for net in weak]
    return list(zip(windows, full, strict=True))


def _median_limit(expected: NetYield, level: float) -> float:
    counting = Counting(None, expected.background, expected.background_error)
    workspace = counting_workspace(counting, channel="mass_point", measurement="expected")
    median = upper_limit(workspace, level=level, blinded=True).expected_events[2]
    if not median > 0:
        msg = f"the expected limit over {expected.background:g} events is not positive: {median:g}."
        raise StatisticsError(msg)
    return median
