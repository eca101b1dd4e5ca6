"""Limits, injections and sensitivities of signal samples, as in `limits.json` and `results.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from analysis.background import is_bad_fit
from analysis.core.documents import ABSENT
from analysis.regions import Interval, MassWindow
from analysis.search.null_distribution import CalibrationSource

__all__ = [
    "CalibratedCurve",
    "Expected",
    "FailedLimit",
    "FailedSensitivity",
    "InjectionCandidate",
    "InjectionLimit",
    "InjectionScan",
    "LimitsFile",
    "MassPlane",
    "Plane",
    "PlaneCounts",
    "Sensitivity",
    "SensitivityCurve",
]

Expected = tuple[float | None, float | None, float | None, float | None, float | None]
"""At -2, -1, 0, 1, 2 standard deviations."""

Plane = tuple[tuple[float, ...], ...]
BySampling = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True, kw_only=True)
class FailedLimit:
    """Signal without a limit by one rule, or by all rules if `rule` is None, with the reason."""

    dataset: str
    masses: Mapping[str, float]
    xsec_pb: float | None = None
    lumi_ifb: float | None = None
    rule: str | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class InjectionLimit:
    """Limit on a signal sample by one rule, with classifiers retrained with injected signal.

    Attributes
    ----------
    dataset : str
    masses : mapping of str to float
        GeV.
    xsec_pb, lumi_ifb : float or None
    rule : str
    window, mask : (low, high)
        GeV.
    method : str or None
        None without a classifier.
    features : tuple of str
    selection : str
    strength : float
        Injected signal events after the event selection at which the limit is read; the expected root for "atlas-2025".
    level : float
        One minus the confidence level.
    observed_selected : float or None
        Signal events after the event selection; None while blinded, or without a limit.
    expected_selected : (5,) tuple of float or None
        Pre-fit, at -2, -1, 0, 1, 2 standard deviations.
    spread_selected : float
        Standard deviation of the expected limit over samplings, included in the band.
    fit_p_value : float or None
        p-value of the background fits of the chosen selection, the median over the samplings.
    fb_per_selected : float or None
        None without luminosity or acceptance, like both limits in fb.
    observed_fb, expected_fb
    reason : None
    """

    dataset: str
    masses: Mapping[str, float]
    xsec_pb: float | None = None
    lumi_ifb: float | None = None
    rule: str
    window: Interval
    mask: Interval
    method: str | None
    features: tuple[str, ...]
    selection: str
    strength: float
    level: float
    observed_selected: float | None
    expected_selected: Expected
    spread_selected: float
    fit_p_value: float | None = None
    fb_per_selected: float | None
    reason: None = None
    observed_fb: float | None
    expected_fb: Expected | None

    @property
    def has_bad_fit(self) -> bool:
        """Whether the background fits are bad, so that the limit is not to be trusted."""
        return is_bad_fit(self.fit_p_value)


@dataclass(frozen=True, kw_only=True)
class InjectionCandidate:
    """One selection against the injected strength; arrays are nested by strength, then by sampling.

    Attributes
    ----------
    method : str
    features : tuple of str
    selection : str
    strengths : tuple of float
        Selected signal events.
    efficiency, expected_z, expected, observed : tuple of tuple of float or None
        Fraction of the selected signal events, nominal Asimov significance, and limits in selected signal events.
    expected_z_calibrated : tuple of tuple of float or None
        `expected_z` calibrated with retraining; None, and empty for all, without a calibration.
    """

    method: str
    features: tuple[str, ...]
    selection: str
    strengths: tuple[float, ...]
    efficiency: BySampling
    expected_z: BySampling = ()
    expected_z_calibrated: BySampling = field(default=(), metadata=ABSENT)
    expected: BySampling
    observed: BySampling = ()


MassPlane = tuple[tuple[float, ...], tuple[float, ...]]
"""Bin edges of both jet masses, GeV."""


@dataclass(frozen=True)
class PlaneCounts:
    """Data and signal events in the plane of the jet masses, (n_1, n_2) by selection.

    `data` is empty while blinded; `strength` is the injected strength.
    """

    strength: float
    edges: MassPlane
    data: Mapping[str, Plane]
    signal: Mapping[str, Plane]


@dataclass(frozen=True, kw_only=True)
class InjectionScan:
    """Efficiencies and limits of all selections of one signal against the injected strength."""

    dataset: str
    signal: Interval
    lower: Interval
    upper: Interval
    mask: Interval
    fit_range: Interval
    left_out: tuple[float, ...] = ()
    candidates: tuple[InjectionCandidate, ...]
    maps: tuple[PlaneCounts, ...] = ()

    @property
    def window(self) -> MassWindow:
        """Window of the search for the signal."""
        return MassWindow(self.signal, self.lower, self.upper, self.mask, self.fit_range)


@dataclass(frozen=True, kw_only=True)
class CalibratedCurve:
    """Significances of a `SensitivityCurve` calibrated with retraining.

    Attributes
    ----------
    source : str
        Key of `analysis.search.null_distribution.CALIBRATION_SOURCES`.
    z_with_signal, z_without_signal, z_added, expected_z
        As in `SensitivityCurve`.
    z_with_signal_error : tuple of float or None
        Statistical errors from the finite number of searches without signal; all samplings share them.
    """

    source: CalibrationSource
    z_with_signal: tuple[float | None, ...]
    z_with_signal_error: tuple[float | None, ...]
    z_without_signal: tuple[float | None, ...]
    z_added: tuple[float, float, float] | None
    expected_z: tuple[float | None, ...]


@dataclass(frozen=True, kw_only=True)
class SensitivityCurve:
    """Nominal significance of one selection with and without hidden signal, by sampling.

    Attributes
    ----------
    method : str
    features : tuple of str
    selection : str
    efficiency : float or None
    signal_efficiency : tuple of float
    z_with_signal, z_without_signal : tuple of float or None
    z_added : (3,) tuple of float, or None
        Quantiles 0.16, 0.5 and 0.84 of the difference.
    expected_z : tuple of float or None
    calibrated : CalibratedCurve or None
        None without a calibration, which all events do not need.
    """

    method: str
    features: tuple[str, ...]
    selection: str
    efficiency: float | None
    signal_efficiency: tuple[float, ...] = ()
    z_with_signal: tuple[float | None, ...]
    z_without_signal: tuple[float | None, ...]
    z_added: tuple[float, float, float] | None
    expected_z: tuple[float | None, ...] = ()
    calibrated: CalibratedCurve | None = field(default=None, metadata=ABSENT)

    @property
    def shown(self) -> SensitivityCurve | CalibratedCurve:
        """Significances to show: calibrated ones if there are any."""
        return self.calibrated or self


@dataclass(frozen=True)
class FailedSensitivity:
    """Signal that could not be hidden, with the reason."""

    dataset: str
    curves: tuple[()]
    reason: str


@dataclass(frozen=True, kw_only=True)
class Sensitivity:
    """Significance of a signal hidden at a known inclusive significance.

    Attributes
    ----------
    dataset : str
    masses : mapping of str to float
    window : (low, high)
        GeV.
    strength : float
        Expected number of hidden events after the event selection.
    n_injected : tuple of int
        By sampling.
    curves : tuple of SensitivityCurve
    reason : None
    """

    dataset: str
    masses: Mapping[str, float]
    window: Interval
    strength: float
    n_injected: tuple[int, ...] = ()
    curves: tuple[SensitivityCurve, ...]
    reason: None = None


@final
@dataclass(frozen=True, kw_only=True)
class LimitsFile:
    """Content of `limits.json`.

    Attributes
    ----------
    search : str
        Fingerprint of the search.
    samples : mapping of str to str
        Fingerprints of the signal samples.
    limits, injections, sensitivity
    """

    search: str = ""
    samples: Mapping[str, str] | None = None
    limits: tuple[InjectionLimit | FailedLimit, ...] = field(default=(), metadata=ABSENT)
    injections: tuple[InjectionScan, ...] = field(default=(), metadata=ABSENT)
    sensitivity: tuple[Sensitivity | FailedSensitivity, ...] = field(default=(), metadata=ABSENT)
