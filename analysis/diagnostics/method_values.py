"""Values that `methods.json` holds: methods compared on the same events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analysis.diagnostics.regret import Regret, regrets
from analysis.regions import MassWindow

__all__ = ["CUTS", "Closure", "MethodResult", "MethodsFile", "TrainedMethod", "method_regrets"]

CUTS = (1e-2, 2e-3)
"""Background efficiencies at which methods are compared."""


@dataclass(frozen=True, kw_only=True)
class TrainedMethod:
    """One training of a method in one window, measured on one signal sample; see `MethodResult`."""

    sic: tuple[float, ...]
    auc: float
    window_sideband_auc: float
    sigma_min: float | None
    z: float | None = None
    z_calibrated: float | None = None
    cpu_seconds: float


@dataclass(frozen=True)
class Closure:
    """Relative excess of counts without signal, (n - b) / b.

    Attributes
    ----------
    delta, error : float
    source : str
        "validation", or "no signal" for the same pseudodata without the hidden signal.
    """

    delta: float
    error: float
    source: str


@dataclass(frozen=True, kw_only=True)
class MethodResult:
    """One method in one window, measured on one signal sample.

    Attributes
    ----------
    method, signal : str
    window : MassWindow
    n_held_out, n_hidden : int
        Signal events in the window for the measurement, and hidden in the pseudodata.
    selection : str or None
        Selection of z and of the non-closure, of the efficiency nearest to 1 %.
    trainings : tuple of TrainedMethod
        SIC at each of `CUTS`, areas of signal against background and of window against sidebands, the smallest S/√B
        with an Asimov z of 5 (`sigma_min`), z of the hidden signal, and CPU seconds of the training.
    closure : Closure or None
        None for methods that need signal to train on, and without a fit.
    reason : str or None
        Why the method was not trained.
    """

    method: str
    signal: str
    window: MassWindow
    n_held_out: int
    n_hidden: int
    selection: str | None = None
    trainings: tuple[TrainedMethod, ...] = ()
    closure: Closure | None = None
    reason: str | None = None


@dataclass(frozen=True)
class MethodsFile:
    """Content of `methods.json`, with its fingerprint, and the regret of each method over all signals."""

    key: str
    results: tuple[MethodResult, ...]
    regret: tuple[Regret, ...]


def method_regrets(results: Sequence[MethodResult], *, left_out: Sequence[str] = ()) -> tuple[Regret, ...]:
    """Compare methods over all signals and windows.

    Parameters
    ----------
    results : sequence of MethodResult
    left_out : sequence of str
        Methods that use the truth, and that no search can choose.
    """
    found: dict[str, dict[str, list[float | None]]] = {}
    for one in results:
        if one.trainings and one.method not in left_out:
            place = found.setdefault(f"{one.signal} in {one.window.name} GeV", {})
            place[one.method] = [training.sigma_min for training in one.trainings]
    return regrets(found)
