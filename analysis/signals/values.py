"""Yields, limits and impacts of the signal samples, as in "signals" of `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from analysis.core.documents import ABSENT
from analysis.regions import Interval
from analysis.statistics import POST_FIT, Impacts

__all__ = [
    "Modifier",
    "ShapeResult",
    "SignalImpacts",
    "SignalLimit",
    "SignalResult",
    "SignalSelection",
    "SignalYield",
]


@dataclass(frozen=True)
class Modifier:
    """Factors on the yield, one standard deviation up and down."""

    name: str
    up: float
    down: float


@dataclass(frozen=True, kw_only=True)
class SignalYield:
    """Yield of a signal sample in one selection of one window.

    Attributes
    ----------
    window : (low, high)
        Signal region, GeV.
    selection : str
    events, events_error : float
    acceptance_efficiency : float or None
        Fraction of the generated events; None if their number is unknown.
    absorbed_fraction : float or None
        Fraction of the events absorbed by the sideband fit; None if unknown.
    strength_per_mu : float or None
        Signal strength at mu = 1 of the workspace; None without a workspace.
    shape_strength_per_mu : float or None
        The same of the workspace of the shape model.
    modifiers : tuple of Modifier
    reason : str or None
        Reason for a missing limit.
    """

    window: Interval
    selection: str
    events: float
    events_error: float
    acceptance_efficiency: float | None
    absorbed_fraction: float | None = None
    strength_per_mu: float | None = None
    shape_strength_per_mu: float | None = field(default=None, metadata=ABSENT)
    modifiers: tuple[Modifier, ...]
    reason: str | None


@dataclass(frozen=True, kw_only=True)
class SignalLimit:
    """Limit on a signal sample in events, in units of its normalisation and, if possible, in fb.

    Attributes
    ----------
    rule, calculator, construction : str
    observed_events, observed_strength, observed_fb : float or None
        None while blinded.
    expected_events, expected_strength, expected_fb : (5,) tuple of float
        At -2, -1, 0, 1, 2 standard deviations. Limits in fb are None without cross-section and luminosity.
    level : float
    asymptotics_trusted : bool
    expectation : str
        "pre-fit" or "post-fit", see `analysis.statistics.LimitResult`.
    """

    rule: str
    calculator: str
    observed_events: float | None
    expected_events: tuple[float, ...]
    level: float = 0.05
    construction: str = "CLs"
    asymptotics_trusted: bool = True
    expectation: str = POST_FIT
    observed_strength: float | None = None
    expected_strength: tuple[float, ...] | None = None
    observed_fb: float | None = field(default=None, metadata=ABSENT)
    expected_fb: tuple[float, ...] | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True)
class SignalImpacts:
    """Impacts in units of the signal strength, for the expected limit and, unless blinded, for the data."""

    expected: Impacts
    observed: Impacts | None


@dataclass(frozen=True, kw_only=True)
class ShapeResult:
    """Tests of a signal by its shape in all bins of the fit, `statistics.model = "shape"`.

    Attributes
    ----------
    limit : SignalLimit or None
        `observed_events` and `expected_events` are signal events in the window.
    z, p0 : float or None
        Local significance of the template, signed, and its asymptotic p-value; None while blinded.
    p0_toys : float or None
        Fraction of background-only toys with at least this z, where asymptotics are not trusted.
    strength_per_mu : float or None
        Signal strength at mu = 1 of the workspace.
    n_bins : int
        Bins of the workspace; those of the events that fail the selection, if the fit holds them, included.
    impacts : SignalImpacts or None
    reason : str or None
        Reason for missing values.
    """

    limit: SignalLimit | None = None
    z: float | None = None
    p0: float | None = None
    p0_toys: float | None = None
    strength_per_mu: float | None = None
    n_bins: int = 0
    impacts: SignalImpacts | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class SignalSelection(SignalYield):
    """Yield of a selection in the window with the best expected limit, with limit and impacts.

    Attributes
    ----------
    limit : SignalLimit or None
    impacts : SignalImpacts or None
    expected_z : float or None
        Median discovery significance at the normalisation of the sample, pre-fit; None without a normalisation.
    events_3sigma : float or None
        Events in the window, net of the absorbed fraction, for an expected significance of 3.
    expected_z_calibrated, expected_z_calibrated_error : float or None
        `expected_z` calibrated with retraining, and its statistical error; None where the selection has no calibration.
    events_3sigma_calibrated : float or None
        As `events_3sigma`, for a calibrated significance of 3.
    shape : ShapeResult or None
        The signal tested by its shape, beside the count; None for `statistics.model = "counting"`.
    """

    limit: SignalLimit | None
    impacts: SignalImpacts | None
    expected_z: float | None = None
    events_3sigma: float | None = None
    expected_z_calibrated: float | None = field(default=None, metadata=ABSENT)
    expected_z_calibrated_error: float | None = field(default=None, metadata=ABSENT)
    events_3sigma_calibrated: float | None = field(default=None, metadata=ABSENT)
    shape: ShapeResult | None = field(default=None, metadata=ABSENT)

    @property
    def local_expected_z(self) -> float | None:
        """`expected_z`, calibrated if possible."""
        return self.expected_z if self.expected_z_calibrated is None else self.expected_z_calibrated

    @property
    def local_events_3sigma(self) -> float | None:
        """`events_3sigma`, calibrated if possible."""
        return self.events_3sigma if self.events_3sigma_calibrated is None else self.events_3sigma_calibrated


@final
@dataclass(frozen=True, kw_only=True)
class SignalResult:
    """One signal sample, scored by the classifiers of the search.

    Attributes
    ----------
    dataset : str
    masses : mapping of str to float
        Masses of the particles, GeV.
    rule : str
    normalised : bool
        Whether weights are normalised to cross-section and luminosity; otherwise strengths count raw weights.
    xsec_pb, lumi_ifb : float or None
    selections : tuple of SignalSelection
    yields : tuple of SignalYield
        Yields of every selection of every window.
    reason : str or None
        Reason for a sample without evaluation.
    """

    dataset: str
    masses: Mapping[str, float]
    rule: str
    normalised: bool
    xsec_pb: float | None = None
    lumi_ifb: float | None = None
    selections: tuple[SignalSelection, ...]
    yields: tuple[SignalYield, ...]
    reason: str | None
