"""Background of a selection counted in a template: all events in the window times the fraction that passes.

The sidebands after a cut play no part, so scores that sculpt them, as those of a method that was never trained there,
cause no bias (compare arXiv:2411.00085). How well the template describes the background in the window does: an
imperfect template is a systematic error that is not in the estimate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background.estimate import CALIBRATED_FROM, further
from analysis.background.fit import BackgroundFit
from analysis.errors import FitError

__all__ = ["Background", "PassingFraction", "count_in_template", "draw_fractions", "times_fraction"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PassingFraction:
    """Fraction of a background template that passes a cut.

    Attributes
    ----------
    value : float
    error : float
        Statistical; copies of an event count once.
    """

    value: float
    error: float

    @property
    def n_effective(self) -> float:
        """Events of which a binomial fraction has this error; infinite without an error."""
        variance = self.value * (1.0 - self.value)
        return variance / self.error**2 if self.error > 0 else np.inf


@dataclass(frozen=True)
class Background:
    """Background of one selection in the window.

    Attributes
    ----------
    value, error : float
        Events. The error holds those of the fit to all events and of the fraction.
    calibrated : bool
        False if too few events are expected for uniform p-values.
    weight : float
        Sum of weights per effective event, of all events.
    """

    value: float
    error: float
    calibrated: bool
    weight: float


def count_in_template(
    of_all: BackgroundFit, interval: tuple[float, float], passing: PassingFraction, likelihood: str
) -> Background:
    """Multiply the background of all events by the fraction of a template that passes.

    Parameters
    ----------
    of_all : BackgroundFit
        Fit to all events beside the window.
    interval : (low, high)
        The window, GeV.
    passing : PassingFraction
    likelihood : str
        "profile" or "gaussian", see `analysis.background.estimate.error_of`.

    Returns
    -------
    Background

    Raises
    ------
    FitError
        If no event of the template passes.
    """
    if passing.value <= 0:
        msg = "no event of the background template passes. Use a larger efficiency, or more events."
        raise FitError(msg)
    expected = of_all.estimate(*interval)
    whole = np.array(expected.value), np.array(expected.error(likelihood))
    value, up = map(float, times_fraction(*whole, np.array(passing.value), np.array(passing.error)))
    return Background(value, up, value / expected.weight >= CALIBRATED_FROM, expected.weight)


def times_fraction(value: Array, up: Array, fraction: Array, error: Array) -> tuple[Array, Array]:
    """Multiply backgrounds and their upward errors, events, by fractions with errors; all of one shape.

    Returns
    -------
    value, up : float64 arrays
        0 where nothing passes.
    """
    relative = np.divide(error, fraction, out=np.zeros_like(fraction), where=fraction > 0)
    return value * fraction, further(value * fraction, up * fraction, relative)


def draw_fractions(normal: Array, fractions: Sequence[PassingFraction]) -> tuple[Array, Array]:
    """Draw the fractions of fluctuating templates that pass nested cuts.

    Each is binomial, of the effective events. Those of a template, f_a < f_b, have the correlation of nested cuts,
    sqrt(f_a (1 - f_b) / (f_b (1 - f_a))), which is that of Brownian motion at the times f / (1 - f).

    Parameters
    ----------
    normal : (n_templates, n_fractions) float64
        Independent standard normal numbers.
    fractions : sequence of PassingFraction

    Returns
    -------
    value, error : (n_templates, n_fractions) float64
        Fractions, and the errors that each template would give them. A fraction without an error does not fluctuate.
    """
    value = np.tile([one.value for one in fractions], (len(normal), 1))
    error = np.zeros_like(value)
    vary = [i for i, one in enumerate(fractions) if 0 < one.value < 1 and one.error > 0]
    order = sorted(vary, key=lambda i: fractions[i].value)
    if order:
        f = np.array([fractions[i].value for i in order])
        n = np.maximum(np.rint([fractions[i].n_effective for i in order]), 1.0)
        time = f / (1.0 - f)
        path = np.cumsum(normal[:, : len(order)] * np.sqrt(np.diff(time, prepend=0.0)), axis=1)
        drawn = stats.binom.ppf(stats.norm.cdf(path / np.sqrt(time)), n, f) / n
        value[:, order], error[:, order] = drawn, np.sqrt(drawn * (1.0 - drawn) / n)
    return value, error
