"""What is injected, and what comes of it: records that go to workers and to disk."""

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
        Expected number of injected events, of those that the event selection keeps, at any m_jj.
    sampling : int
        Number of the random choice of events, and of the training seed. Choices at several strengths are nested.
    method : str
    features : tuple of str
    counted : bool
        The injected events are searched too, for the display of sensitivity, instead of being left out of the counts.
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
        """Take the factors, which must not be templates."""
        down = None if systematic.down is None else float(systematic.down)
        return cls(systematic.name, systematic.kind, float(systematic.up), down)

    @property
    def systematic(self) -> SignalSystematic:
        """For a workspace."""
        return SignalSystematic(self.name, self.kind, self.up, self.down)


@dataclass(frozen=True)
class InjectedSelection:
    """One selection of the classifiers that were trained with hidden signal.

    Attributes
    ----------
    name : str
    efficiency : float
        Requested.
    n_obs : float or None
        Events of the data in the window; None while blinded.
    background, background_error : float or None
        From the sideband fit, events; the error holds that of a correction for non-closure.
    weight : float
        See `analysis.search.values.SelectionResult`.
    signal, signal_error : float
        Fraction of the selected signal events that this selection keeps in the window, and its statistical error; from
        events that were not injected.
    z : float or None
        Of the counts; None while blinded.
    absorbed : float or None
        Fraction of these that the sideband fit takes for background; None where that could not be computed.
    expected_z : float or None
        Asimov significance of a signal of the injected strength.
    observed : float or None
        Limit in units of `Injection.strength`, without uncertainties of the signal; None while blinded.
    expected : tuple of float
        The same at -2 ... 2 standard deviations of the background; empty where there is none.
    modifiers : tuple of StoredSystematic
        Uncertainties of the signal.
    reason : str or None
        Why there is no limit.
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
    expected_z: float | None = None
    observed: float | None = None
    expected: tuple[float, ...] = ()
    modifiers: tuple[StoredSystematic, ...] = ()
    reason: str | None = None

    @property
    def net(self) -> float:
        """Fraction of the selected signal events that stands out over the fitted background."""
        return self.signal * (1.0 - (self.absorbed or 0.0))


@dataclass(frozen=True)
class EfficiencyMap:
    """Efficiency of the selections in the plane of the jet masses, for data in the window and for signal.

    Attributes
    ----------
    edges : tuple of two tuples of float
        Of m_1 and m_2, GeV.
    data, signal : mapping of str to tuple
        Events of each selection by name, (n_1, n_2); data are absent while blinded.
    """

    edges: MassPlane
    data: Mapping[str, Plane]
    signal: Mapping[str, Plane]


@dataclass(frozen=True)
class InjectionResult:
    """What one injection gave.

    Attributes
    ----------
    injection : Injection
    n_injected : int
    selections : tuple of InjectedSelection
        Inclusive first, which no injection changes: it is there without injection, and where injected events are
        searched. Empty where the window failed.
    maps : EfficiencyMap or None
        Of the first sampling, where the events have masses of jets.
    reason : str or None
        Why the window failed.
    """

    injection: Injection
    n_injected: int
    selections: tuple[InjectedSelection, ...]
    maps: EfficiencyMap | None = None
    reason: str | None = None

    def selection(self, name: str) -> InjectedSelection | None:
        """Return the selection of a name, or None."""
        return next((one for one in self.selections if one.name == name), None)
