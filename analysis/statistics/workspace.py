"""pyhf workspaces of a counting experiment with a background known to finite precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.errors import StatisticsError

__all__ = ["Counting", "counting_workspace", "signal_events_per_mu"]

POI = "mu"
NUISANCE = "background_fit"

_PULL_RANGE = 10.0
_KEEP_POSITIVE = 0.999


@dataclass(frozen=True)
class Counting:
    """One bin.

    Attributes
    ----------
    n_obs : float or None
        Observed events; None while blinded.
    background : float
        Expected background, events; positive.
    background_error : float
        Its uncertainty from the fit, events; positive.
    """

    n_obs: float | None
    background: float
    background_error: float

    def __post_init__(self) -> None:
        if not (self.background > 0 and self.background_error > 0 and np.isfinite(self.background_error)):
            msg = (
                f"a counting experiment needs a positive background and error, found {self.background:g} +- "
                f"{self.background_error:g} events. Use a looser selection."
            )
            raise StatisticsError(msg)


def signal_events_per_mu(counting: Counting) -> float:
    """Signal events at mu = 1.

    Of the order of the total uncertainty: pyhf's fits lose precision, and its bounds bite, when the template is small
    against the background. It depends on the background alone, so that it is the same blinded or not.
    """
    return float(max(1.0, np.hypot(np.sqrt(counting.background), counting.background_error)))


def counting_workspace(counting: Counting, *, channel: str, measurement: str) -> dict[str, Any]:
    """Write the single-bin model Pois(n | b + theta + mu s) Gauss(theta | 0, sigma) as a pyhf workspace.

    This is Eq. 2.6 of arXiv:2009.02205; the symmetric `histosys` interpolates linearly, so it is exact.

    Parameters
    ----------
    counting : Counting
        Without observation (blinded), the expected background is written in its place.
    channel : str
        Name of the channel.
    measurement : str
        Name of the measurement.

    Returns
    -------
    dict
        Workspace that follows the HistFactory schema 1.0.0.
    """
    b, sigma, s = counting.background, counting.background_error, signal_events_per_mu(counting)
    reach = b + abs((counting.n_obs if counting.n_obs is not None else b) - b)
    mu_max = 10.0 * (reach + 10.0 * np.hypot(np.sqrt(b), sigma) + 10.0) / s
    pull_max = max(_PULL_RANGE, 1.1 * sigma * (reach - b) / (b + sigma**2))  # an excess never pulls further than that
    return {
        "channels": [
            {
                "name": channel,
                "samples": [
                    {
                        "name": "signal",
                        "data": [s],
                        "modifiers": [{"name": POI, "type": "normfactor", "data": None}],
                    },
                    {
                        "name": "background",
                        "data": [b],
                        "modifiers": [
                            {
                                "name": NUISANCE,
                                "type": "histosys",
                                "data": {"hi_data": [b + sigma], "lo_data": [b - sigma]},
                            }
                        ],
                    },
                ],
            }
        ],
        "observations": [{"name": channel, "data": [b if counting.n_obs is None else counting.n_obs]}],
        "measurements": [
            {
                "name": measurement,
                "config": {
                    "poi": POI,
                    "parameters": [
                        {"name": POI, "inits": [0.0], "bounds": [[0.0, float(mu_max)]]},
                        {
                            "name": NUISANCE,
                            "bounds": [[-min(_PULL_RANGE, _KEEP_POSITIVE * b / sigma), float(pull_max)]],
                        },
                    ],
                },
            }
        ],
        "version": "1.0.0",
    }
