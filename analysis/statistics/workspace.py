"""pyhf workspaces of a counting experiment with a background known with finite precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import StatisticsError
from analysis.statistics.counting_models import counting_z, require_likelihood
from analysis.statistics.samples import (
    POI,
    PULL_RANGE,
    SPURIOUS,
    SignalSystematic,
    pull_bounds,
    scaled_sample,
    shifted_sample,
    signal_sample,
    systematic_parameters,
)

__all__ = ["Counting", "counting_workspace", "signal_events_per_mu"]

NUISANCE = "background_fit"

_KEEP_POSITIVE = 0.999


@dataclass(frozen=True)
class Counting:
    """Counting experiment in one bin.

    Attributes
    ----------
    n_obs : float or None
        Observed events; None while blinded.
    background : float
        Expected background, events; positive.
    background_error : float
        Uncertainty of the background from the fit, events; positive.
    likelihood : str
        Model of the background, see `analysis.statistics.counting_models`: "profile", log-normal, or "gaussian".
    """

    n_obs: float | None
    background: float
    background_error: float
    likelihood: str = "profile"

    def __post_init__(self) -> None:
        require_likelihood(self.likelihood)
        if not (self.background > 0 and self.background_error > 0 and np.isfinite(self.background_error)):
            msg = (
                f"a counting experiment needs a positive background and error, found {self.background:g} +- "
                f"{self.background_error:g} events. Use a looser selection."
            )
            raise StatisticsError(msg)

    @property
    def z(self) -> float | None:
        """Signed significance as by `counting_z`; None without observation. Counts must be Poisson, see `effective`."""
        if self.n_obs is None:
            return None
        n, background, error = map(np.array, (self.n_obs, self.background, self.background_error))
        return float(counting_z(n, background, error, self.likelihood))

    def effective(self, weight: float) -> Counting:
        """Convert sums of weights to effective events of `weight` each, Σw² / Σw, whose counts are Poisson."""
        n_obs = None if self.n_obs is None else self.n_obs / weight
        return Counting(n_obs, self.background / weight, self.background_error / weight, self.likelihood)


def signal_events_per_mu(counting: Counting) -> float:
    """Signal events at mu = 1.

    About the total uncertainty: pyhf's fits lose precision, and its bounds become active, if the template is small
    compared to the background. It depends on the background only, and is therefore the same blinded or not.
    """
    return float(max(1.0, np.hypot(np.sqrt(counting.background), counting.background_error)))


def counting_workspace(
    counting: Counting,
    *,
    channel: str,
    measurement: str,
    background_variations: Mapping[str, float] | None = None,
    spurious_signal: float = 0.0,
    signal_systematics: Sequence[SignalSystematic] = (),
) -> dict[str, Any]:
    """Write the model of a single bin as a pyhf workspace.

    "profile": Pois(n | b exp(sigma theta) + mu s) Gauss(theta | 0, 1), a `normsys` whose sides are inverse to each
    other. "gaussian": Pois(n | b + theta + mu s) Gauss(theta | 0, sigma), Eq. 2.6 of arXiv:2009.02205, a symmetric
    `histosys`, which interpolates linearly. Both are exact: pyhf alone gives the same p-values.

    Parameters
    ----------
    counting : Counting
        Without observation (blinded), the observed count is set to the expected background.
    channel : str
        Name of the channel.
    measurement : str
        Name of the measurement.
    background_variations : mapping of str to float
        Further one-sigma errors of the background, events, each with its own parameter.
    spurious_signal : float
        One-sigma size of a fake signal from the background function, events; 0 for none.
    signal_systematics : sequence of SignalSystematic
        `histosys` templates are in units of one signal event.

    Returns
    -------
    dict
        Workspace that follows the HistFactory schema 1.0.0.

    Examples
    --------
    >>> from analysis.statistics import Counting, counting_workspace
    >>> workspace = counting_workspace(Counting(120.0, 100.0, 5.0), channel="3300-3700", measurement="search")
    >>> workspace["observations"]
    [{'name': '3300-3700', 'data': [120.0]}]
    >>> [sample["name"] for sample in workspace["channels"][0]["samples"]]
    ['signal', 'background']
    """
    b, s = np.array([counting.background]), np.array([signal_events_per_mu(counting)])
    errors = {NUISANCE: counting.background_error, **(background_variations or {})}
    if spurious_signal > 0:
        errors[SPURIOUS] = spurious_signal
    samples = [signal_sample(s, signal_systematics, float(s[0])), *_background(counting, b, errors)]
    parameters: list[dict[str, Any]] = [
        *_parameters(counting, float(s[0])),
        *({"name": name, "bounds": _bounds(counting, error)} for name, error in errors.items() if name != NUISANCE),
        *systematic_parameters(signal_systematics),
    ]
    observed = counting.background if counting.n_obs is None else counting.n_obs
    return {
        "channels": [{"name": channel, "samples": samples}],
        "observations": [{"name": channel, "data": [observed]}],
        "measurements": [{"name": measurement, "config": {"poi": POI, "parameters": parameters}}],
        "version": "1.0.0",
    }


def _background(counting: Counting, b: NDArray[np.float64], errors: Mapping[str, float]) -> list[dict[str, Any]]:
    if counting.likelihood == "profile":
        return [scaled_sample("background", b, {name: 1.0 + error / b[0] for name, error in errors.items()})]
    shifts = {name: np.array([error]) for name, error in errors.items()}
    samples = [shifted_sample("background", b, {name: one for name, one in shifts.items() if name != SPURIOUS})]
    if SPURIOUS in shifts:
        samples.append(shifted_sample(SPURIOUS, np.zeros(1), {SPURIOUS: shifts[SPURIOUS]}))
    return samples


def _bounds(counting: Counting, error: float) -> list[list[float]]:
    if counting.likelihood == "profile":
        return [[-PULL_RANGE, PULL_RANGE]]
    return pull_bounds(np.array([counting.background]), np.array([error]))


def _parameters(counting: Counting, s: float) -> list[dict[str, Any]]:
    """Bounds of the signal strength and of the background nuisance: wide enough that only b >= 0 is ever active."""
    b, sigma = counting.background, counting.background_error
    excess = 0.0 if counting.n_obs is None else abs(counting.n_obs - b)
    mu_max = 10.0 * (b + excess + 10.0 * np.hypot(np.sqrt(b), sigma) + 10.0) / s
    pull_max = max(PULL_RANGE, 1.1 * sigma * excess / (b + sigma**2))  # largest pull from an excess
    pull_min = -PULL_RANGE if counting.likelihood == "profile" else -min(PULL_RANGE, _KEEP_POSITIVE * b / sigma)
    return [
        {"name": POI, "inits": [0.0], "bounds": [[0.0, float(mu_max)]]},
        {"name": NUISANCE, "bounds": [[pull_min, float(pull_max)]]},
    ]
