"""A mass point: its reconstructed template, its acceptance, and its net yield after the sideband fit.

A signal peak has tails. Tails outside the mask pull the sideband fit up, so that a fraction of the signal in the window
is absorbed in the background: a workspace uses the net yield.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import MassFunction, estimate_many
from analysis.background.functions import look_up
from analysis.errors import FitError, TableError, WindowError
from analysis.events.table import EventTable
from analysis.histograms.spectra import NOMINAL, fill_spectrum
from analysis.learning import INCLUSIVE, PassWeights
from analysis.regions import Interval, bins_of

__all__ = ["NetYield", "SignalTemplate", "net_yield", "net_yields", "signal_template"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SignalTemplate:
    """Reconstructed m_jj spectrum of a mass point, in the normalisation of its event weights.

    Attributes
    ----------
    spectrum : hist.Hist
        Axes `mjj` (GeV), `selection`, `variation`, with the sum of squared weights; events outside the edges are in the
        flow bins.
    acceptance, acceptance_error : float
        Selected over generated events, in the search region before any classifier, and its binomial uncertainty.
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
        """Fraction of the selected events that pass a classifier selection.

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
            If the interval is not on bin edges or contains no signal events.
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
        Pass weights of the classifiers of one window. Default: the inclusive selection only.

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
        passes = PassWeights.everything(len(table))
    # Weights of failed events are not stored; their mean is taken from the selected events.
    error = _binomial_error(selected, squared, generated, squared * generated / selected)
    return SignalTemplate(fill_spectrum(table, edges, passes), min(selected / generated, 1.0), error)


@dataclass(frozen=True)
class NetYield:
    """Signal yield in a window, and its absorption by the sideband fit.

    Attributes
    ----------
    gross : float
        Signal events in the window.
    absorbed : float
        Signal events that the sideband fit adds to the background because of tails outside the mask.
    background, background_error : float
        Events in the window, and their uncertainty from the fit, without signal.
    """

    gross: float
    absorbed: float
    background: float
    background_error: float

    @property
    def net(self) -> float:
        """Signal events above the fitted background, for use in a workspace."""
        return self.gross - self.absorbed

    @property
    def absorbed_fraction(self) -> float:
        """Absorbed over gross events."""
        return self.absorbed / self.gross


def net_yield(  # noqa: PLR0913 - two spectra and where to fit them
    background: Array,
    signal: Array,
    edges: Array,
    function: str | MassFunction,
    *,
    window: Interval,
    mask: Interval,
    sqrt_s_gev: float,
    fit_range: Interval | None = None,
    rest: tuple[Array, Array] | None = None,
) -> NetYield:
    """Refit the Asimov spectrum with and without signal: s_eff = s - [b_fit(b + s) - b_fit(b)].

    Parameters
    ----------
    background : (n_bins,) float64
        Expected background events, such as `BackgroundFit.expected(edges)[0]`.
    signal : (n_bins,) float64
        Signal events at the strength of interest, such as the limit; the absorbed fraction hardly depends on the
        strength while the signal is small compared to the background.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    function : str or MassFunction
        Function of the search, such as `BackgroundFit.function`.
    window, mask : (low, high)
        Signal region, on bin edges, and interval excluded from the fit, GeV.
    sqrt_s_gev : float
        Collision energy, GeV.
    fit_range : (low, high), optional
        Range of the fit, GeV, on bin edges. Default: all bins.
    rest : ((n_bins,) float64, (n_bins,) float64), optional
        Expected background and signal events that fail the selection, for a function of both such as `dijet5*ratio1`.

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
    (result,) = net_yields(background, signal, edges, function, (window,), mask, sqrt_s_gev, fit_range, rest=rest)
    return result


def net_yields(  # noqa: PLR0913 - two spectra and where to fit them
    background: Array,
    signal: Array,
    edges: Array,
    function: str | MassFunction,
    windows: Sequence[Interval],
    mask: Interval,
    sqrt_s_gev: float,
    fit_range: Interval | None = None,
    *,
    rest: tuple[Array, Array] | None = None,
) -> list[NetYield]:
    """Net yields of several windows with a common mask, from one pair of fits."""
    gross = [float(signal[bins_of(edges, window)].sum()) for window in windows]
    fitted = slice(None) if fit_range is None else bins_of(edges, fit_range)
    estimates = estimate_many(
        np.stack([background, background + signal])[:, fitted],
        np.unique([edges[:-1][fitted], edges[1:][fitted]]),
        mask=mask,
        windows=windows,
        functions=(function,),
        sqrt_s_gev=sqrt_s_gev,
        rest=None if rest is None else np.stack([rest[0], rest[0] + rest[1]])[:, fitted],
    )
    if not estimates.valid.all():
        name = look_up([function])[0].name
        msg = (
            f"the fit of {name} to the expected spectrum in {edges[0]:g}-{edges[-1]:g} GeV, mask "
            f"{mask[0]:g}-{mask[1]:g} GeV, found no minimum. Use fewer parameters or a narrower mask."
        )
        raise FitError(msg)
    absorbed, expected, error = (
        array.tolist() for array in (estimates.value[1] - estimates.value[0], estimates.value[0], estimates.error()[0])
    )
    return [NetYield(*values) for values in zip(gross, absorbed, expected, error, strict=True)]


def _binomial_error(kept: float, kept_squared: float, total: float, total_squared: float) -> float:
    """Uncertainty of kept / total for weighted events, from the sums of weights and of squared weights."""
    fraction = kept / total
    variance = (1 - 2 * fraction) * kept_squared + fraction**2 * total_squared
    return float(np.sqrt(max(variance, 0.0)) / total)
