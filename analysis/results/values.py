"""Data classes of the files of a results folder; `results.json` also has a published JSON Schema.

`analysis.core.documents` converts them to JSON and back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, final

from pydantic import Field

from analysis.background import RESTS_ON_SMOOTHNESS, OrderStep, TermTable, is_bad_fit
from analysis.background.from_template import PassingFraction
from analysis.core.documents import ABSENT
from analysis.limits.values import FailedLimit, FailedSensitivity, InjectionLimit, Sensitivity
from analysis.regions import Interval, MassWindow
from analysis.search.member_spread import MemberSpread
from analysis.search.non_closure import NonClosure, total_error
from analysis.search.null_distribution import CalibrationSource, NullDistribution
from analysis.search.retraining import needs_calibration
from analysis.search.seeds import SeedSpread
from analysis.signals.values import SignalResult
from analysis.statistics import GlobalResult, LimitResult
from analysis.validation.values import WindowValidation

__all__ = [
    "ChoiceDocument",
    "Cut",
    "Cutflow",
    "FitDocument",
    "FitState",
    "InputFile",
    "PluginDocument",
    "Results",
    "SelectionDocument",
    "SkippedFile",
    "WindowDocument",
]


@dataclass(frozen=True)
class Cut:
    """Number of events that pass a cut, and their sum of weights."""

    events: int
    weight: float


Cutflow = Mapping[str, Mapping[str, Cut]]
"""Passing events by dataset and cut."""


@dataclass(frozen=True)
class InputFile:
    """One input file of a search."""

    dataset: str
    kind: str
    file: str
    tree: str
    uuid: str
    entries: int
    content: str | None = field(default=None, metadata=ABSENT)

    @property
    def identity(self) -> tuple[str, str | None]:
        """UUID and digest of the content, which a copy shares."""
        return self.uuid, self.content


@dataclass(frozen=True)
class SkippedFile:
    """One skipped input file; `entries` is None if it cannot be opened."""

    dataset: str
    file: str
    reason: str
    entries: int | None


@dataclass(frozen=True)
class PluginDocument:
    """A plugin module of the user: SHA-256 of its source, and the names it adds, by kind."""

    name: str
    sha256: str
    adds: Mapping[str, tuple[str, ...]]
    of_events: bool


@dataclass(frozen=True)
class FitState:
    """Parameters needed to evaluate a background fit again; see `analysis.background.BackgroundFit`.

    The terms of a function that a plugin gave, or that depend on the fit, are stored with it.
    """

    sqrt_s_gev: float
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    transform: tuple[tuple[float, ...], ...]
    cumulants: tuple[tuple[tuple[float, ...], ...], ...] | None
    terms: TermTable | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True, kw_only=True)
class FitDocument:
    """Background fit of one selection.

    Attributes
    ----------
    function : str
    chi2 : float
        Poisson deviance relative to the saturated model.
    ndof : int
    p_value : float or None
        Goodness of fit; None if the toys for it cannot be fitted.
    p_value_method : str or None
        "asymptotics" or "toys".
    parameters : mapping of str to float
    path : tuple of OrderStep
        Steps of the choice of the function order.
    function_error, hidden_shift : float, float or None
        As in `analysis.background.BackgroundFit`.
    state : FitState or None
        Only in the file of a window.
    """

    function: str
    chi2: float
    ndof: int
    p_value: float | None
    p_value_method: str | None = None
    parameters: Mapping[str, float] = field(default_factory=dict)
    path: tuple[OrderStep, ...] = ()
    function_error: float = 0.0
    hidden_shift: float | None = None
    state: FitState | None = field(default=None, metadata=ABSENT)


@dataclass(frozen=True, kw_only=True)
class SelectionDocument:
    """One selection of one window; other attributes as in `analysis.search.values.SelectionResult`.

    Attributes
    ----------
    z, p0, p0_toys, p0_averaged : float or None
        Results of the discovery test; None while blinded.
    z_calibrated, z_calibrated_error, p0_calibrated, p0_calibrated_error : float or None
        Results calibrated with retraining, with their statistical errors; None without a calibration.
    calibration : str or None
        Source of the calibration, a key of `CALIBRATION_SOURCES`.
    null_distribution : NullDistribution or None
        Distribution of z without signal, from that source.
    asymptotics_trusted : bool or None
    seeds : mapping of str to SeedSpread or None
        Spread of "z", "n_obs", "background" and "fit_p_value" over all trainings; empty for a single one.
    """

    name: str
    method: str
    features: tuple[str, ...]
    efficiency: float
    efficiency_achieved: float
    n_obs: float | None
    background: float | None
    background_error: float | None
    weight: float = 1.0
    calibrated: bool = True
    z: float | None
    p0: float | None
    p0_toys: float | None = None
    p0_averaged: float | None = None
    asymptotics_trusted: bool | None = None
    z_calibrated: float | None = None
    z_calibrated_error: float | None = None
    p0_calibrated: float | None = None
    p0_calibrated_error: float | None = None
    calibration: CalibrationSource | None = field(default=None, metadata=ABSENT)
    null_distribution: NullDistribution | None = field(default=None, metadata=ABSENT)
    s_over_sqrt_b: float | None
    non_closure: NonClosure | None = None
    likelihood: str = "profile"
    fit: FitDocument | None
    limit: LimitResult | None
    reason: str | None = None
    members: MemberSpread | None = field(default=None, metadata=ABSENT)
    template: PassingFraction | None = field(default=None, metadata=ABSENT)
    seeds: Mapping[str, SeedSpread | None] = field(default_factory=dict, metadata=ABSENT)

    @property
    def total_error(self) -> float | None:
        """Background uncertainty from the fit and from its correction, events."""
        return total_error(self.background, self.background_error, self.non_closure)

    @property
    def fit_p_value(self) -> float | None:
        """p-value of the background fit."""
        return None if self.fit is None else self.fit.p_value

    @property
    def fit_p_values(self) -> tuple[float | None, ...]:
        """p-values of the background fits of all trainings."""
        spread = self.seeds.get("fit_p_value")
        return (self.fit_p_value,) if spread is None else spread.values

    @property
    def local_z(self) -> float | None:
        """Local significance, calibrated if possible."""
        return self.z if self.z_calibrated is None else self.z_calibrated

    @property
    def local_p0(self) -> float | None:
        """Local p-value, calibrated if possible."""
        return self.p0 if self.p0_calibrated is None else self.p0_calibrated

    @property
    def local_z_error(self) -> float | None:
        """Statistical error of `local_z` from its calibration; None without one, and if it is exact."""
        return self.z_calibrated_error or None

    @property
    def nominal_z(self) -> float | None:
        """Significance of the count alone, where `local_z` is another one; else None."""
        return None if self.calibration in (None, "exact") else self.z

    @property
    def nominal_p0(self) -> float | None:
        """p-value of the count alone, where `local_p0` is another one; else None."""
        return None if self.calibration in (None, "exact") else self.p0

    @property
    def lacks_calibration(self) -> bool:
        """Whether z comes from a classifier whose folds train one another, and was not calibrated for that."""
        return self.z is not None and self.z_calibrated is None and needs_calibration(self.name, self.method)

    @property
    def rests_on_smoothness(self) -> bool:
        """Whether a distortion of the spectrum that the sidebands cannot exclude would shift n - b appreciably."""
        return self.fit is not None and (self.fit.hidden_shift or 0.0) > RESTS_ON_SMOOTHNESS

    @property
    def has_bad_fit(self) -> bool:
        """Whether the background fit is bad, so that background, z, p-values and limits are not to be trusted."""
        return is_bad_fit(self.fit_p_value)

    @property
    def is_approximate(self) -> bool:
        """Whether z and p0 are approximate: few background events, or toys of the sidebands give another z."""
        return self.z is not None and not (self.calibrated and self.asymptotics_trusted)


@dataclass(frozen=True)
class ChoiceDocument:
    """Settings of the training of one fold, chosen on the other folds; see `analysis.learning.Choice`."""

    classifier: Mapping[str, Any]
    value: float
    working_point: int | None


@final
@dataclass(frozen=True, kw_only=True)
class WindowDocument:
    """All selections of one window.

    Attributes
    ----------
    signal, lower, upper, mask, fit_range : (low, high)
        GeV.
    edges : tuple of float or None
        Fit bins, GeV; only in the file of a window, like `training_seed` and `hidden`.
    training_seed : int
    status : str
        "ok", "incomplete" or "failed".
    reason : str or None
    selections : tuple of SelectionDocument
    hidden : tuple of (low, high)
        Masks that are empty in the spectrum, GeV.
    choices : tuple of ChoiceDocument
    validation : WindowValidation or None
    """

    signal: Interval
    lower: Interval
    upper: Interval
    mask: Interval
    fit_range: Interval
    edges: tuple[float, ...] | None = field(default=None, metadata=ABSENT)
    training_seed: int | None = field(default=None, metadata=ABSENT)
    status: str
    reason: str | None
    selections: tuple[SelectionDocument, ...]
    hidden: tuple[Interval, ...] = field(default=(), metadata=ABSENT)
    choices: tuple[ChoiceDocument, ...] = field(default=(), metadata=ABSENT)
    validation: WindowValidation | None = field(default=None, metadata=ABSENT)

    @property
    def window(self) -> MassWindow:
        """Signal region, sidebands, mask and fit range."""
        return MassWindow(self.signal, self.lower, self.upper, self.mask, self.fit_range)

    @property
    def name(self) -> str:
        """Name for files and messages, such as `3300-3700`."""
        return self.window.name


@final
@dataclass(frozen=True, kw_only=True)
class Results:
    """Content of `results.json`.

    Attributes
    ----------
    schema : int
    config_digest : str
    versions : mapping of str to str
    plugins : tuple of PluginDocument
    random_state : int
    inputs : tuple of InputFile
    skipped_files : tuple of SkippedFile
    cutflow, n_minus_one : mapping of str to mapping of str to Cut
        By dataset and cut.
    trials : mapping of str to int
    blinded : bool
        Counts inside the masks are absent.
    windows : tuple of WindowDocument
    global_ : GlobalResult
    signals : tuple of SignalResult
    limits : tuple of InjectionLimit or FailedLimit
    sensitivity : tuple of Sensitivity or FailedSensitivity
    notes : tuple of str
        Notes on the searched part of the spectrum.
    schema_error : str or None
        First place that does not fit the published JSON Schema.
    """

    schema: int = 1
    config_digest: str
    versions: Mapping[str, str]
    plugins: tuple[PluginDocument, ...] = ()
    random_state: int
    inputs: tuple[InputFile, ...]
    skipped_files: tuple[SkippedFile, ...] = ()
    cutflow: Cutflow
    n_minus_one: Cutflow = field(default_factory=dict)
    trials: Mapping[str, int]
    blinded: bool
    windows: tuple[WindowDocument, ...]
    global_: Annotated[GlobalResult, Field(alias="global")]
    signals: tuple[SignalResult, ...] = field(default=(), metadata=ABSENT)
    limits: tuple[InjectionLimit | FailedLimit, ...] = field(default=(), metadata=ABSENT)
    sensitivity: tuple[Sensitivity | FailedSensitivity, ...] = field(default=(), metadata=ABSENT)
    notes: tuple[str, ...] = field(default=(), metadata=ABSENT)
    schema_error: str | None = field(default=None, metadata=ABSENT)

    @property
    def selections(self) -> Iterator[SelectionDocument]:
        """Iterate over all selections of all windows."""
        return (selection for window in self.windows for selection in window.selections)
