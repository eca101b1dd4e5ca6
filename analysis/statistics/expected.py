"""Expected significance of a signal, from the Asimov data set of signal and background (arXiv:1007.1727)."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import brentq

from analysis.errors import StatisticsError
from analysis.statistics.likelihood import Likelihood
from analysis.statistics.toys import signed_roots

__all__ = ["discovery_events", "expected_discovery"]

_TOLERANCE = 1e-4
_MAX_DOUBLINGS = 60


def expected_discovery(workspace: dict[str, Any], events: float) -> float:
    """Median discovery significance of a signal, from its Asimov data.

    Pre-fit: the data are the expectation of pyhf's model with the signal and all nuisance parameters at their nominal
    values; observed counts are not used.

    Parameters
    ----------
    workspace : dict
        pyhf workspace whose parameter of interest scales the signal; any number of bins.
    events : float
        Signal events summed over all bins, in the event unit of the workspace.

    Returns
    -------
    float

    Raises
    ------
    StatisticsError
        If the workspace cannot be used, the number of events is not finite and positive, or a fit fails.

    Examples
    --------
    >>> from math import log, sqrt
    >>> from analysis.statistics import Counting, counting_workspace, expected_discovery
    >>> counting = Counting(None, 100.0, 0.01, likelihood="gaussian")  # a background that is nearly known
    >>> workspace = counting_workspace(counting, channel="3300-3700", measurement="search")
    >>> round(expected_discovery(workspace, 20.0), 2)
    1.94
    >>> round(sqrt(2 * (120 * log(120 / 100) - 20)), 2)  # arXiv:1007.1727, Eq. 97
    1.94
    """
    if not (np.isfinite(events) and events > 0):
        msg = f"an expected significance needs a positive number of signal events, found {events:g}."
        raise StatisticsError(msg)
    likelihood = Likelihood(workspace)
    return _asimov_z(likelihood, events / likelihood.events)


def discovery_events(workspace: dict[str, Any], z: float) -> float:
    """Return the number of signal events with an expected significance of `z`.

    Parameters
    ----------
    workspace : dict
        As for `expected_discovery`.
    z : float
        Positive.

    Returns
    -------
    float
        In the event unit of the workspace.

    Raises
    ------
    StatisticsError
        If the workspace cannot be used, no number of events is enough, or a fit fails.
    """
    likelihood = Likelihood(workspace)
    high = z  # mu = 1 is of the order of one standard deviation in the workspaces of this package
    for _ in range(_MAX_DOUBLINGS):
        if _asimov_z(likelihood, high) > z:
            break
        high *= 2.0
    else:
        msg = f"no number of signal events gives an expected significance of {z:g}: check the errors of the background."
        raise StatisticsError(msg)
    mu = brentq(lambda strength: _asimov_z(likelihood, strength) - z, 0.0, high, rtol=_TOLERANCE)
    return float(mu) * likelihood.events


def _asimov_z(likelihood: Likelihood, mu: float) -> float:
    if mu == 0:
        return 0.0
    parameters = likelihood.start[None].copy()
    parameters[0, likelihood.poi] = mu
    return float(signed_roots(likelihood, likelihood.expected(parameters))[0])
