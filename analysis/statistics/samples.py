"""Parts of a pyhf workspace: samples with their modifiers, and the parameters of its measurement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import StatisticsError

__all__ = [
    "POI",
    "PULL_RANGE",
    "SPURIOUS",
    "SignalSystematic",
    "pull_bounds",
    "scaled_sample",
    "shifted_sample",
    "signal_sample",
    "signal_statistics",
    "systematic_parameters",
]

Array = NDArray[np.float64]

POI = "mu"
SPURIOUS = "spurious_signal"
PULL_RANGE = 10.0  # standard deviations

_KEEP_POSITIVE = 0.999
_KINDS = ("normsys", "histosys", "lumi")


@dataclass(frozen=True)
class SignalSystematic:
    """Systematic uncertainty of the signal.

    Attributes
    ----------
    name : str
        Name of the nuisance parameter; "lumi" for the luminosity.
    kind : str
        "normsys": `up` and `down` are positive factors on the yield. "histosys": they are templates (n_bins,) in
        events; half their difference is used on both sides, because pyhf's interpolation has a kink if the two differ
        (None mirrors the other side). "lumi": `up` is the relative uncertainty.
    up : float or (n_bins,) float64
    down : float, (n_bins,) float64 or None
    """

    name: str
    kind: str
    up: float | Array
    down: float | Array | None = None

    def __post_init__(self) -> None:
        if self.kind not in _KINDS:
            msg = f"signal systematic '{self.name}' has kind {self.kind!r}; kinds: {', '.join(_KINDS)}."
            raise StatisticsError(msg)
        values = [np.asarray(value, dtype=float) for value in (self.up, self.down) if value is not None]
        if not all(np.isfinite(value).all() for value in values) or (
            self.kind != "histosys" and not all(value.ndim == 0 and value > 0 for value in values)
        ):
            msg = f"signal systematic '{self.name}' needs finite values, and positive numbers for {self.kind}."
            raise StatisticsError(msg)


def signal_statistics(sum_of_weights: float, sum_of_squares: float) -> SignalSystematic:
    """Statistical uncertainty of a simulated signal, as one factor on its yield.

    Not bin by bin: `staterror` on nearly empty signal bins adds one parameter per bin, and makes fits fail.

    Parameters
    ----------
    sum_of_weights, sum_of_squares : float
        Sums over the selected simulated events.

    Returns
    -------
    SignalSystematic
    """
    if not (sum_of_weights > 0 and sum_of_squares > 0):
        msg = f"a simulated signal needs positive weights, found a sum of {sum_of_weights:g}. Simulate more events."
        raise StatisticsError(msg)
    relative = float(np.sqrt(sum_of_squares) / sum_of_weights)
    return SignalSystematic("signal_statistics", "normsys", up=1.0 + relative, down=1.0 / (1.0 + relative))


def signal_sample(template: Array, systematics: Sequence[SignalSystematic], scale: float = 1.0) -> dict[str, Any]:
    """Write the signal sample, scaled by the parameter of interest.

    Parameters
    ----------
    template : (n_bins,) float64
        Signal at one unit of the parameter.
    systematics : sequence of SignalSystematic
    scale : float
        Conversion factor from the events of `histosys` templates to the events of `template`.
    """
    modifiers = [{"name": POI, "type": "normfactor", "data": None}]
    modifiers += [_modifier(systematic, template, scale) for systematic in systematics]
    return {"name": "signal", "data": template.tolist(), "modifiers": modifiers}


def shifted_sample(name: str, nominal: Array, shifts: Mapping[str, Array]) -> dict[str, Any]:
    """Write a sample with a symmetric `histosys` per shift (n_bins,): linear in its parameter, therefore exact."""
    modifiers = [
        {
            "name": shift,
            "type": "histosys",
            "data": {"hi_data": (nominal + size).tolist(), "lo_data": (nominal - size).tolist()},
        }
        for shift, size in shifts.items()
    ]
    return {"name": name, "data": nominal.tolist(), "modifiers": modifiers}


def scaled_sample(name: str, nominal: Array, factors: Mapping[str, float]) -> dict[str, Any]:
    """Write a sample with a `normsys` per factor at +1, its inverse at -1: exponential in its parameter."""
    modifiers = [
        {"name": one, "type": "normsys", "data": {"hi": factor, "lo": 1.0 / factor}} for one, factor in factors.items()
    ]
    return {"name": name, "data": nominal.tolist(), "modifiers": modifiers}


def pull_bounds(background: Array, shift: Array) -> list[list[float]]:
    """Bounds of one parameter that keep the background positive, at most ten standard deviations."""
    down = min(PULL_RANGE, _KEEP_POSITIVE / max(float((shift / background).max()), 1e-9))
    up = min(PULL_RANGE, _KEEP_POSITIVE / max(float((-shift / background).max()), 1e-9))
    return [[-down, up]]


def systematic_parameters(systematics: Sequence[SignalSystematic]) -> list[dict[str, Any]]:
    """Write the measurement parameters of the signal systematics: the luminosity's auxiliary datum."""
    return [
        {
            "name": "lumi",
            "auxdata": [1.0],
            "sigmas": [float(systematic.up)],
            "inits": [1.0],
            "bounds": [[max(0.0, 1.0 - PULL_RANGE * float(systematic.up)), 1.0 + PULL_RANGE * float(systematic.up)]],
        }
        for systematic in systematics
        if systematic.kind == "lumi"
    ]


def _modifier(systematic: SignalSystematic, template: Array, scale: float) -> dict[str, Any]:
    if systematic.kind == "lumi":
        return {"name": "lumi", "type": "lumi", "data": None}
    if systematic.kind == "normsys":
        up = float(systematic.up)
        down = 1.0 / up if systematic.down is None else float(systematic.down)
        return {"name": systematic.name, "type": "normsys", "data": {"hi": up, "lo": down}}
    up_template = np.asarray(systematic.up, dtype=float) * scale
    down_template = 2 * template - up_template if systematic.down is None else np.asarray(systematic.down) * scale
    if up_template.shape != template.shape or down_template.shape != template.shape:
        msg = f"'{systematic.name}' needs signal templates of {template.size} bins, found {up_template.size}."
        raise StatisticsError(msg)
    # Both sides stay positive: a negative rate has no likelihood.
    shift = np.clip((up_template - down_template) / 2, -_KEEP_POSITIVE * template, _KEEP_POSITIVE * template)
    return {
        "name": systematic.name,
        "type": "histosys",
        "data": {"hi_data": (template + shift).tolist(), "lo_data": (template - shift).tolist()},
    }
