"""Spurious signal: excess or deficit that the fit produces on signal-free spectra."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.background.bins import Interval
from analysis.background.fit import BackgroundFit
from analysis.errors import FitError

__all__ = ["SpuriousSignal", "spurious_signal"]

Array = NDArray[np.float64]

_LEAST_FITTED = 0.9


@dataclass(frozen=True)
class SpuriousSignal:
    """Mean of n - b in a window over signal-free spectra.

    Attributes
    ----------
    value : float
        Events; positive if the fit is too low and fakes a signal.
    error : float
        Error of `value`, events: from the spread of the spectra, or for a single spectrum from the Poisson error of n
        and the error of b.
    relative : float
        `value` per event of background.
    relative_error : float
    n_spectra : int
        Number of spectra with a valid fit.
    """

    value: float
    error: float
    relative: float
    relative_error: float
    n_spectra: int

    @property
    def significant(self) -> bool:
        """Whether `value` is more than two errors from zero."""
        return abs(self.value) > 2 * self.error


def spurious_signal(
    spectra: Array, edges: Array, *, window: Interval, fit: Callable[[Array], BackgroundFit]
) -> SpuriousSignal:
    """Measure the spurious signal of a procedure on signal-free samples.

    Samples are validation data, simulation or toys of a smooth spectrum, each with as many events as the data under
    study: the bias of a procedure that chooses its function depends on the number of events.

    Parameters
    ----------
    spectra : (n_spectra, n_bins) float64
        Events per bin.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    window : (low, high)
        Signal region on bin edges, GeV.
    fit : callable
        Maps counts (n_bins,) to a fit that does not use the window, such as `choose_order` with its arguments bound.

    Returns
    -------
    SpuriousSignal

    Raises
    ------
    FitError
        If the window is not on bin edges, or more than one in ten spectra cannot be fitted.

    Examples
    --------
    >>> from functools import partial
    >>> import numpy as np
    >>> from analysis.background import FUNCTIONS, fit_background, spurious_signal
    >>> edges = np.arange(3000.0, 6501.0, 100.0)
    >>> x = (edges[1:] + edges[:-1]) / 2 / 13000
    >>> spectra = np.round([40 * (1 - x) ** 9 / x**5])
    >>> for name in ("dijet3", "exp2"):
    ...     options = {"function": FUNCTIONS[name], "mask": (3200, 3800), "sqrt_s_gev": 13000}
    ...     fit = partial(fit_background, edges=edges, **options)
    ...     found = spurious_signal(spectra, edges, window=(3300, 3700), fit=fit)
    ...     print(name, round(found.value), round(found.error))
    dijet3 -3 120
    exp2 -322 106
    """
    inside = (edges[:-1] >= window[0]) & (edges[1:] <= window[1])
    if not inside.any() or not all(np.isclose(edges, edge, rtol=1e-9).any() for edge in window):
        msg = f"the window {window[0]:g}-{window[1]:g} GeV is not on the edges of the spectrum. Choose bins that fit."
        raise FitError(msg)
    spectra = np.atleast_2d(spectra)
    net, background, variance = [], [], []
    for counts in spectra:
        try:
            estimate = fit(counts).estimate(*window)
        except FitError as error:
            last = str(error)
            continue
        observed = float(counts[inside].sum())
        net.append(observed - estimate.value)
        background.append(estimate.value)
        variance.append(observed + ((estimate.up + estimate.down) / 2) ** 2)
    if len(net) < _LEAST_FITTED * len(spectra):
        msg = f"{len(spectra) - len(net)} of {len(spectra)} signal-free spectra could not be fitted; the last: {last}"
        raise FitError(msg)
    value, scale = float(np.mean(net)), float(np.mean(background))
    spread = np.std(net, ddof=1) / np.sqrt(len(net)) if len(net) > 1 else np.sqrt(variance[0])
    return SpuriousSignal(value, float(spread), value / scale, float(spread) / scale, len(net))
