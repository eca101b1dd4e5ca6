"""Inputs and results of injections, as sent to workers and stored on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.limits.values import MassPlane, Plane
from analysis.regions import MassWindow
from analysis.statistics import SignalSystematic

__all__ = ["EfficiencyMap", "InjectedSelection", "Injection", "InjectionResult", "StoredSystematic"]


@dataclass(frozen=True)
class Injection:
    """One training with hidden signal.

    Attributes
    ----------
    signal : str
        Name of the sample.
    window : MassWindow
    strength : float
        Expected number of injected events after the event selection, at any m_jj.
    sampling : int
        Index of the random choice of events and of the training seed. The choices at several strengths are nested.
    method : str
    features : tuple of str
    counted : bool
        Whether the injected events are searched too, for the display of sensitivity, or left out of the counts.
    """

    signal: str
    window: MassWindow
    strength: float
    sampling: int
    method: str
    features: tuple[str, ...]
    counted: bool = False


@dataclass(frozen=True)
class StoredSystematic:
    """Uncertainty of the yield in one selection; see `analysis.statistics.SignalSystematic`."""

    name: str
    kind: str
    up: float
    down: float | None

    @classmethod
    def of(cls, systematic: SignalSystematic) -> StoredSystematic:
        """Create from the factors of an uncertainty, which must not be templates."""
        down = None if systematic.down is None else float(systematic.down)
        return cls(systematic.name, systematic.kind, float(systematic.up), down)

    @property
    def systematic(self) -> SignalSystematic:
        """Uncertainty as used in a workspace."""
        return SignalSystematic(self.name, self.kind, self.up, self.down)


@dataclass(frozen=True)
class InjectedSelection:
    """One selection of classifiers trained with hidden signal.

    Attributes
    ----------
    name : str
    efficiency : float
        Requested efficiency.
    n_obs : float or None
        Data events in the window; None while blinded.
    background, background_error : float or None
        Events, from the sideband fit; the error includes the uncertainty of a correction for non-closure.
    weight : float
        See `analysis.search.values.SelectionResult`.
    signal, signal_error : float
        Fraction of the selected signal events that this selection keeps in the window, and its statistical error,
        measured with events that were not injected.
    z : float or None
        Significance of the counts, not calibrated; None while blinded.
    absorbed : float or None
        Fraction of the kept signal events that the sideband fit absorbs; None if it cannot be computed.
    coupled_variance : float or None
        See `analysis.calibration.coupled_variance`; None for all events, and without a fit.
    expected_z : float or None
        Asimov significance of a signal of the injected strength, not calibrated.
    observed : float or None
        Limit in units of `Injection.strength`, without signal uncertainties; None while blinded.
    expected : tuple of float
        Expected limits at -2 ... 2 standard deviations of the background; empty without a limit.
    modifiers : tuple of StoredSystematic
        Signal uncertainties.
    fit_p_value : float or None
        p-value of the background fit.
    reason : str or None
        Reason why no limit was set.
    """

    name: str
    efficiency: float
    n_obs: float | None
    background: float | None
    background_error: float | None
    weight: float
    signal: float
    signal_error: float
    z: float | None = None
    absorbed: float | None = None
    coupled_variance: float | None = None
    expected_z: float | None = None
    observed: float | None = None
    expected: tuple[float, ...] = ()
    modifiers: tuple[StoredSystematic, ...] = ()
    fit_p_value: float | None = None
    reason: str | None = None

    @property
    def net(self) -> float:
        """Fraction of the selected signal events in excess of the fitted background."""
        return self.signal * (1.0 - (self.absorbed or 0.0))


@dataclass(frozen=True)
class EfficiencyMap:
    """Event counts of the selections in the plane of the jet masses, for data and signal in the window.

    Attributes
    ----------
    edges : tuple of two tuples of float
        Bin edges of m_1 and m_2, GeV.
    data, signal : mapping of str to tuple
        Events of each selection by name, (n_1, n_2); data are absent while blinded.
    """

    edges: MassPlane
    data: Mapping[str, Plane]
    signal: Mapping[str, Plane]


@dataclass(frozen=True)
class InjectionResult:
    """Result of one injection.

    Attributes
    ----------
    injection : Injection
    n_injected : int
    selections : tuple of InjectedSelection
        Inclusive first. No injection changes it: it is included only without injection, and where injected events are
        searched. Empty if the window failed.
    maps : EfficiencyMap or None
        Only for the first sampling, and if the events have jet masses.
    reason : str or None
        Reason why the window failed.
    """

    injection: Injection
    n_injected: int
    selections: tuple[InjectedSelection, ...]
    maps: EfficiencyMap | None = None
    reason: str | None = None

    def selection(self, name: str) -> InjectedSelection | None:
        """Return the selection with a name; None if it is absent."""
        return next((selection for selection in self.selections if selection.name == name), None)
