"""A mass point: its reconstructed template, its acceptance, and what of its yield the sideband fit leaves over.

A signal peak has tails. Those outside the mask pull the sideband fit up, so that part of the signal in the window is
taken for background: the yield that enters a workspace is net of that. Window and mask of a mass point come from its
reconstructed template, by the best expected limit, never from its nominal mass: reconstructed peaks sit below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import estimate_many
from analysis.errors import FitError, StatisticsError, TableError, WindowError
from analysis.learning import INCLUSIVE, PassWeights
from analysis.regions import Interval, MassWindow
from analysis.spectra import NOMINAL, fill_spectrum
from analysis.statistics import Counting, counting_workspace, upper_limit
from analysis.table import EventTable

__all__ = [
    "NetYield",
    "SignalTemplate",
    "WindowChoice",
    "approximate_limit",
    "choose_window",
    "net_yield",
    "signal_template",
]

Array = NDArray[np.float64]

_TINY = 1e-6  # GeV


@dataclass(frozen=True)
class SignalTemplate:
    """Reconstructed m_jj spectrum of a mass point, in the normalisation of its event weights.

    Attributes
    ----------
    spectrum : hist.Hist
        Axes `mjj` (GeV), `selection`, `variation`, with the sum of squared weights; events beyond the edges are in the
        flow bins.
    acceptance, acceptance_error : float
        Selected over generated events, in the search region and before any classifier, and its binomial uncertainty.
    """

    spectrum: hist.Hist[Any]
    acceptance: float
    acceptance_error: float

    @property
    def edges(self) -> Array:
        """(n_bins + 1,) float64: bin edges, GeV."""
        return np.asarray(self.spectrum.axes["mjj"].edges, np.float64)

    def yields(self, selection: str = INCLUSIVE) -> tuple[Array, Array]:
        """Return events (n_bins,) float64 of a selection, and their variances."""
        return self._columns(selection, flow=False)

    def efficiency(self, selection: str, interval: Interval | None = None) -> tuple[float, float]:
        """Fraction of the selected events that a classifier's selection keeps.

        Parameters
        ----------
        selection : str
        interval : (low, high), optional
            Count only events in this interval, GeV, on bin edges. Default: all events.

        Returns
        -------
        efficiency, error : float
            The error is binomial, with weights.

        Raises
        ------
        WindowError
            If the interval is not on bin edges or holds no signal event.
        """
        bins = slice(None) if interval is None else bins_of(self.edges, interval)
        columns = [self._columns(name, flow=interval is None) for name in (INCLUSIVE, selection)]
        (total, total_squared), (kept, kept_squared) = [
            (float(values[bins].sum()), float(variances[bins].sum())) for values, variances in columns
        ]
        if total <= 0:
            msg = f"there is no signal event in {interval} GeV; choose a window where the template has events."
            raise WindowError(msg)
        return kept / total, _binomial_error(kept, kept_squared, total, total_squared)

    def _columns(self, selection: str, *, flow: bool) -> tuple[Array, Array]:
        axes = self.spectrum.axes
        at = (slice(None), axes["selection"].index(selection), axes["variation"].index(NOMINAL))
        values, variances = self.spectrum.values(flow=flow), self.spectrum.variances(flow=flow)
        return np.asarray(values, np.float64)[at], np.asarray(variances, np.float64)[at]


def signal_template(
    table: EventTable, edges: Array, *, generated: float, passes: PassWeights | None = None
) -> SignalTemplate:
    """Histogram the events of a mass point and count its acceptance.

    Parameters
    ----------
    table : EventTable
        Selected events of one signal dataset in the search region.
    edges : (n_bins + 1,) float64
        Bin edges, GeV: the fit grid.
    generated : float
        Sum of the weights of all generated events, before any cut, in the normalisation of the table.
    passes : PassWeights, optional
        Of the classifiers of one window. Default: the inclusive selection alone.

    Returns
    -------
    SignalTemplate

    Raises
    ------
    TableError
        If no event was selected, or more were selected than generated.
    """
    selected, squared = float(table.weight.sum()), float((table.weight**2).sum())
    if not 0 < selected <= generated * (1 + 1e-9):
        msg = (
            f"the sum of weights of the selected signal events, {selected:g}, must be positive and at most that of the "
            f"generated ones, {generated:g}. Check the selection, and n_generated of the dataset."
        )
        raise TableError(msg)
    if passes is None:
        passes = PassWeights((1.0,), (1.0,), np.ones((len(table), 1)), np.full((1, 1, 2), -np.inf))
    # Weights of the events that failed are not kept; on average they are those of the selected ones.
    error = _binomial_error(selected, squared, generated, squared * generated / selected)
    return SignalTemplate(fill_spectrum(table, edges, passes), min(selected / generated, 1.0), error)


@dataclass(frozen=True)
class NetYield:
    """What of a signal yield stands out over the background that is fitted beside it.

    Attributes
    ----------
    gross : float
        Signal events in the window.
    absorbed : float
        Of these, events that the sideband fit adds to the background because of the tails outside the mask.
    background, background_error : float
        Events in the window, and their uncertainty from the fit, without signal.
    """

    gross: float
    absorbed: float
    background: float
    background_error: float

    @property
    def net(self) -> float:
        """Signal events that a workspace may count on."""
        return self.gross - self.absorbed

    @property
    def absorbed_fraction(self) -> float:
        """Absorbed over gross."""
        return self.absorbed / self.gross


def net_yield(
    background: Array,
    signal: Array,
    edges: Array,
    function: str,
    *,
    window: Interval,
    mask: Interval,
    sqrt_s_gev: float,
    fit_range: Interval | None = None,
) -> NetYield:
    """Refit the Asimov spectrum with and without signal: s_eff = s - [b_fit(b + s) - b_fit(b)].

    Parameters
    ----------
    background : (n_bins,) float64
        Expected background events, such as `BackgroundFit.expected(edges)[0]`.
    signal : (n_bins,) float64
        Signal events at the strength of interest, such as that of the limit; the absorbed fraction hardly depends on it
        while the signal is small against the background.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    function : str
        The same as in the search, such as `BackgroundFit.function.name`.
    window, mask : (low, high)
        Signal region and interval left out of the fit, GeV; the window on bin edges.
    sqrt_s_gev : float
        Collision energy, GeV.
    fit_range : (low, high), optional
        GeV, on bin edges. Default: all bins.

    Returns
    -------
    NetYield

    Raises
    ------
    FitError
        If the Asimov spectrum cannot be fitted.
    WindowError
        If the window is not on bin edges.
    """
    (found,) = _net_yields(background, signal, edges, function, (window,), mask, sqrt_s_gev, fit_range)
    return found


def _net_yields(
    background: Array,
    signal: Array,
    edges: Array,
    function: str,
    windows: Sequence[Interval],
    mask: Interval,
    sqrt_s_gev: float,
    fit_range: Interval | None = None,
) -> list[NetYield]:
    """Net yields of several windows with one mask, from one pair of fits."""
    gross = [float(signal[bins_of(edges, window)].sum()) for window in windows]
    fitted = slice(None) if fit_range is None else bins_of(edges, fit_range)
    found = estimate_many(
        np.stack([background, background + signal])[:, fitted],
        np.unique([edges[:-1][fitted], edges[1:][fitted]]),
        mask=mask,
        windows=windows,
        functions=(function,),
        sqrt_s_gev=sqrt_s_gev,
    )
    if not found.valid.all():
        msg = (
            f"the fit of {function} to the expected spectrum in {edges[0]:g}-{edges[-1]:g} GeV, mask "
            f"{mask[0]:g}-{mask[1]:g} GeV, found no minimum. Use fewer parameters or a narrower mask."
        )
        raise FitError(msg)
    absorbed, expected, error = (
        array.tolist() for array in (found.value[1] - found.value[0], found.value[0], found.up[0])
    )
    return [NetYield(*values) for values in zip(gross, absorbed, expected, error, strict=True)]


@dataclass(frozen=True)
class WindowChoice:
    """Window and mask of a mass point.

    Attributes
    ----------
    signal, mask : (low, high)
        GeV, on the fit grid.
    expected : NetYield
        At the normalisation of the template.
    limit : float
        Median expected 95 % CLs limit on the strength of the template, from pyhf.
    candidates : int
        Pairs of window and mask that were compared.
    """

    signal: Interval
    mask: Interval
    expected: NetYield
    limit: float
    candidates: int

    def mass_window(self, *, sideband_width: float, fit_range: Interval) -> MassWindow:
        """Window of the search with training sidebands of a width in GeV on each side."""
        low, high = self.signal
        return MassWindow(self.signal, (low - sideband_width, low), (high, high + sideband_width), self.mask, fit_range)


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

    Every window and mask on the fit grid is compared by `approximate_limit` of its background, the error that
    the fit gives on the Asimov spectrum, and the net yield at that limit; the winner's limit is computed by pyhf. No
    observed count enters.

    Parameters
    ----------
    template : SignalTemplate
        On the fit grid.
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
        Narrowest range that the mask must leave to the fit on each side, GeV.
    level : float
        Limits exclude where CLs < level.

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
    """Median expected 95 % CLs limit in events, good to a few percent, for ranking windows.

    1.5 + sqrt(1.5^2 + 1.96^2 (b + sigma^2)): the exact 3.0 events without background, and 1.96 standard deviations
    where there is much.

    Parameters
    ----------
    background, error : float or float64 array
        Expected events in the window and their uncertainty.

    Returns
    -------
    float or float64 array
    """
    return 1.5 + np.sqrt(1.5**2 + 1.96**2 * (np.asarray(background) + np.asarray(error) ** 2))


def bins_of(edges: Array, interval: Interval) -> slice:
    """Bins that make up an interval (GeV).

    Raises
    ------
    WindowError
        If its ends are not bin edges.
    """
    found = [int(abs(edges - value).argmin()) for value in interval]
    if any(abs(edges[i] - value) > _TINY for i, value in zip(found, interval, strict=True)) or found[0] >= found[1]:
        msg = (
            f"the interval {interval[0]:g}-{interval[1]:g} GeV is not made of bins of {edges[0]:g}-{edges[-1]:g} GeV. "
            "Choose bin edges as its ends."
        )
        raise WindowError(msg)
    return slice(found[0], found[1])


def _candidates(
    signal: Array, edges: Array, max_margin: float, min_sideband: float
) -> Iterator[tuple[Interval, list[Interval]]]:
    """Masks, and the windows inside them that hold the highest bin and are not further than the margin from an end."""
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
    """Net yields at the normalisation of the template, from what is absorbed of a signal as strong as the limit."""
    inside = bins_of(edges, mask)
    scale = float(approximate_limit(background[inside].sum(), 0.0) / signal[inside].sum())
    try:
        weak = _net_yields(background, scale * signal, edges, function, windows, mask, sqrt_s_gev)
    except FitError:
        return []
    full = [replace(one, gross=one.gross / scale, absorbed=one.absorbed / scale) for one in weak]
    return list(zip(windows, full, strict=True))


def _median_limit(expected: NetYield, level: float) -> float:
    counting = Counting(None, expected.background, expected.background_error)
    workspace = counting_workspace(counting, channel="mass_point", measurement="expected")
    median = upper_limit(workspace, level=level, blinded=True).expected_events[2]
    if not median > 0:
        msg = f"the expected limit over {expected.background:g} events is not positive: {median:g}."
        raise StatisticsError(msg)
    return median


def _binomial_error(kept: float, kept_squared: float, total: float, total_squared: float) -> float:
    """Uncertainty of kept / total for weighted events, from the sums of weights and of squared weights."""
    fraction = kept / total
    variance = (1 - 2 * fraction) * kept_squared + fraction**2 * total_squared
    return float(np.sqrt(max(variance, 0.0)) / total)
