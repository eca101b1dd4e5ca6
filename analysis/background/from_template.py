"""Background of a selection counted in a template: all events in the window times the fraction that passes.

The sidebands after a cut play no part, so scores that sculpt them, as those of a method that was never trained there,
cause no bias (compare arXiv:2411.00085). How well the template describes the background in the window does: an
imperfect template is a systematic error that is not in the estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.background.estimate import CALIBRATED_FROM, further
from analysis.background.fit import BackgroundFit
from analysis.errors import FitError

__all__ = ["Background", "count_in_template"]


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
    of_all: BackgroundFit, interval: tuple[float, float], passing: tuple[float, float], likelihood: str
) -> Background:
    """Multiply the background of all events by the fraction of a template that passes.

    Parameters
    ----------
    of_all : BackgroundFit
        Fit to all events beside the window.
    interval : (low, high)
        The window, GeV.
    passing : (fraction, error)
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
    fraction, error = passing
    if fraction <= 0:
        msg = "no event of the background template passes. Use a larger efficiency, or more events."
        raise FitError(msg)
    expected = of_all.estimate(*interval)
    value = expected.value * fraction
    up = further(np.array(value), np.array(expected.error(likelihood) * fraction), error / fraction)
    return Background(value, float(up), value / expected.weight >= CALIBRATED_FROM, expected.weight)
