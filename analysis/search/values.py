"""Inputs and results of a search: events and window results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import RESTS_ON_SMOOTHNESS, BackgroundFit, GoodnessOfFit, is_bad_fit, outside
from analysis.background.from_template import PassingFraction
from analysis.core.notebook import grid, text_of
from analysis.events.table import EventTable
from analysis.learning import Choice, Method, Samples
from analysis.learning.decorrelation import FeatureMap
from analysis.regions import MassWindow
from analysis.search.member_spread import MemberSpread
from analysis.search.non_closure import NON_CLOSURE, NonClosure, total_error
from analysis.search.null_distribution import Calibration
from analysis.search.retraining import needs_calibration
from analysis.statistics import Counting, DiscoveryResult, LimitResult, counting_workspace

__all__ = ["SearchData", "SelectionResult", "WindowResult"]


@dataclass(frozen=True)
class SearchData:
    """Input events of a search.

    Attributes
    ----------
    table : EventTable
        Events of the search region, |Δy| below the configured maximum.
    blinded : bool
        Whether counting inside the windows is disabled.
    signal_datasets : tuple of str or None
        Datasets of simulated signal mixed into pseudodata, for the report of S/√B and for methods that use the truth;
        None for real data.
    simulation : EventTable or None
        Simulated background of the search region, normalised, for methods that need it.
    corrections : mapping of str to mapping of str to NonClosure
        Corrections of the background, by window and selection; empty without corrections.
    hidden : tuple of (low, high)
        Masks of all windows of a blinded scan, GeV: a neighbour's sidebands would reveal the count of a window.
    """

    table: EventTable
    blinded: bool = False
    signal_datasets: tuple[str, ...] | None = None
    simulation: EventTable | None = None
    corrections: Mapping[str, Mapping[str, NonClosure]] = field(default_factory=dict)
    hidden: tuple[tuple[float, float], ...] = ()

    def within(self, window: MassWindow) -> Self:
        """Return the events in the fit range of a window, which are all that a window needs, in the same order."""
        simulation = None if self.simulation is None else self.simulation.within(window.fit_range)
        return replace(self, table=self.table.within(window.fit_range), simulation=simulation)

    def samples(self, method: Method) -> Samples:
        """Return the samples for a method: simulation and truth only if it declares that it uses them."""
        return Samples(
            self.table,
            self.simulation if method.needs_simulation else None,
            self.signal_datasets if method.uses_truth else None,
        )


@dataclass(frozen=True)
class SelectionResult:
    """Result of one selection in one window.

    Attributes
    ----------
    name : str
        "inclusive", or a name such as "eff_0.1".
    method : str
    features : tuple of str
    efficiency, efficiency_achieved : float
        Requested efficiency, and efficiency reached on the reference events; while blinded, on the visible events of
        the fit range outside the mask.
    n_obs : float or None
        Observed events in the window; None while blinded.
    background, background_error : float or None
        From the sideband fit, events; None if the fit failed. With `non_closure` both are corrected values.
    discovery : DiscoveryResult or None
    s_over_sqrt_b : float or None
        From truth; None for data, and while blinded.
    fit : BackgroundFit or None
    goodness : GoodnessOfFit or None
        Of `fit`; None if the toys for it cannot be fitted.
    limit : LimitResult or None
    workspace : dict or None
        pyhf workspace, in effective events.
    reason : str or None
        Reason for missing values after a failure.
    calibrated : bool
        False if too few background events are expected for uniform p-values: `discovery.p0_averaged` is then
        conservative.
    weight : float
        Sum of weights per effective event, Σw² / Σw; 1 if every event passes or fails.
    members : MemberSpread or None
        Spread of the members if each is cut at its own threshold; None otherwise, if a member cannot be fitted, and
        while blinded.
    seeds : tuple of SelectionResult
        Same selection in the further trainings of the window, see `analysis.search.seeds`.
    non_closure : NonClosure or None
        Correction of the background; its error is not included in `background_error`.
    likelihood : str
        Model of the background in `workspace`, see `analysis.statistics.Counting`; `background_error` is its error.
    calibration : Calibration or None
        Significance calibrated with retraining; None if it was not measured for these settings, for the inclusive
        selection, which needs no training, and while blinded.
    template : PassingFraction or None
        Fraction of the background template that passes, if the background was counted in it.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.results import ResultsFolder
    >>> _, windows = ResultsFolder(Path("results")).load_results()
    >>> selection = windows[0].selections[0]
    >>> selection.name, int(selection.n_obs), round(selection.discovery.z, 1)
    ('inclusive', 8279, 0.4)
    """

    name: str
    method: str
    features: tuple[str, ...]
    efficiency: float
    efficiency_achieved: float
    n_obs: float | None
    background: float | None = None
    background_error: float | None = None
    discovery: DiscoveryResult | None = None
    s_over_sqrt_b: float | None = None
    fit: BackgroundFit | None = None
    goodness: GoodnessOfFit | None = None
    limit: LimitResult | None = None
    workspace: dict[str, Any] | None = None
    reason: str | None = None
    calibrated: bool = True
    weight: float = 1.0
    members: MemberSpread | None = None
    seeds: tuple[SelectionResult, ...] = ()
    non_closure: NonClosure | None = None
    likelihood: str = "profile"
    calibration: Calibration | None = None
    template: PassingFraction | None = None

    def __repr__(self) -> str:
        return f"SelectionResult({', '.join(f'{name}: {text_of(value)}' for name, value in self.row.items())})"

    def _repr_html_(self) -> str:
        return grid(f"{self.method} on {', '.join(self.features)}", [*self.row], [[*self.row.values()]])

    @property
    def row(self) -> dict[str, object]:
        """Row of a table of selections, by column heading."""
        expected = None if self.background is None else f"{text_of(self.background)} ± {text_of(self.total_error)}"
        limit = None if self.limit is None else self.limit.expected_events[2]
        return {
            "Selection": self.name,
            "Efficiency": self.efficiency_achieved,
            "Observed": self.n_obs,
            "Expected": expected,
            "Calibrated z": None if self.calibration is None else self.calibration.z,
            "Nominal z": None if self.discovery is None else self.discovery.z,
            "Fit p": self.fit_p_value,
            "Expected limit [events]": limit,
        }

    @property
    def local_z(self) -> float | None:
        """Local significance, calibrated if possible; None while blinded and after failures."""
        if self.calibration is not None:
            return self.calibration.z
        return None if self.discovery is None else self.discovery.z

    @property
    def local_z_error(self) -> float | None:
        """Statistical error of `local_z` from its calibration; None without one, and if it is exact."""
        return None if self.calibration is None else self.calibration.z_error or None

    @property
    def local_p0(self) -> float | None:
        """Local p-value, calibrated if possible; None while blinded and after failures."""
        if self.calibration is not None:
            return self.calibration.p0
        return None if self.discovery is None else self.discovery.p0

    @property
    def nominal(self) -> DiscoveryResult | None:
        """Test of the count alone, where a calibration replaces its significance; else None."""
        return None if self.calibration is None or self.calibration.source == "exact" else self.discovery

    @property
    def nominal_z(self) -> float | None:
        """Significance of the count alone, where `local_z` is another one; else None."""
        return None if self.nominal is None else self.nominal.z

    @property
    def lacks_calibration(self) -> bool:
        """Whether z comes from classifiers whose folds train one another, and was not calibrated for that."""
        return self.discovery is not None and self.calibration is None and needs_calibration(self.name, self.method)

    @property
    def fit_p_value(self) -> float | None:
        """p-value of the background fit."""
        return None if self.goodness is None else self.goodness.p_value

    @property
    def fit_p_values(self) -> tuple[float | None, ...]:
        """p-values of the background fits of all trainings."""
        return (self.fit_p_value, *(training.fit_p_value for training in self.seeds))

    @property
    def has_bad_fit(self) -> bool:
        """Whether the background fit is bad, so that background, z, p-values and limits are not to be trusted."""
        return is_bad_fit(self.fit_p_value)

    @property
    def rests_on_smoothness(self) -> bool:
        """Whether a distortion of the spectrum that the sidebands cannot exclude would shift n - b appreciably."""
        return self.fit is not None and (self.fit.hidden_shift or 0.0) > RESTS_ON_SMOOTHNESS

    @property
    def non_closure_error(self) -> float:
        """Error of the correction, events; 0 without a correction."""
        return 0.0 if self.non_closure is None else self.non_closure.events(self.background or 0.0)

    @property
    def total_error(self) -> float | None:
        """Error of the background from the fit and from its correction, events."""
        return total_error(self.background, self.background_error, self.non_closure)

    @property
    def counting(self) -> Counting:
        """Count and background; without observation if `n_obs` is None."""
        return Counting(self.n_obs, self.background or 0.0, self.background_error or 0.0, self.likelihood)

    def counting_workspace(self, window: MassWindow) -> dict[str, Any]:
        """Return the pyhf workspace of the counts, in effective events; without observation if `n_obs` is None."""
        return counting_workspace(
            self.counting.effective(self.weight),
            channel=f"window_{window.name}_{self.name}",
            measurement="search",
            background_variations=self.background_variations,
        )

    @property
    def background_variations(self) -> dict[str, float]:
        """Further errors of the background in the workspace, in effective events, by parameter name."""
        error = self.non_closure_error / self.weight
        return {NON_CLOSURE: error} if error > 0 else {}


@dataclass(frozen=True)
class WindowResult:
    """Result of one training of a window, with all selections.

    Attributes
    ----------
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    selections : tuple of SelectionResult
        Inclusive first, which further trainings lack; empty if the window failed.
    spectrum : hist.Hist or None
        Axes `mjj`, `selection`, `variation`.
    models : tuple of tuple of bytes
        xgboost UBJ documents, by fold and member; empty for further trainings.
    passes : (n_events, n_selections) bool or float64, or None
        Pass weights of the searched events in the fit range, in the order of `EventTable.within`; None if the window
        failed, and while blinded.
    reason : str or None
        Reason of the failure, or None.
    scores : (n_events,) float32, or None
        Member mean of the out-of-fold scores of the same events, NaN in a fold that only trains; None without
        `passes`, and for windows read from disk.
    thresholds : (n_folds, n_cuts, n_selections, 2) float64, or None
        Thresholds of the selections, see `analysis.learning.PassWeights`; None without models, and for windows read
        from disk.
    scalings : tuple of FeatureMap
        Scalings of the features, by fold; empty if features are not scaled, while blinded if they reveal the number of
        events in the window, and for windows read from disk.
    choices : tuple of Choice
        Classifier settings by fold, if they were tuned; empty while blinded.
    learner : str or None
        Name of the learner that trained the models; None if the method trained models of its own.
    training_seed : int
        0 for the training that is the result of the window, 1 and above for further trainings.
    truth : hist.Hist or None
        Simulated signal in the spectrum of pseudodata, on the same axes; None without signal, for further trainings,
        and while blinded, because it is a component of the data.
    hidden : tuple of (low, high)
        Masks of all windows, GeV, whose bins are empty in the spectrum because the search was blinded.

    Examples
    --------
    >>> from pathlib import Path
    >>> from analysis.results import ResultsFolder
    >>> _, windows = ResultsFolder(Path("results")).load_results()
    >>> windows[0].selections[0].name
    'inclusive'
    >>> int(windows[0].spectrum[:, "inclusive", "nominal"].sum().value)  # events in the fit range
    26559
    """

    window: MassWindow
    edges: NDArray[np.float64]
    selections: tuple[SelectionResult, ...] = ()
    spectrum: hist.Hist[Any] | None = None
    models: tuple[tuple[bytes, ...], ...] = ()
    passes: NDArray[Any] | None = None
    reason: str | None = None
    scores: NDArray[np.float32] | None = None
    thresholds: NDArray[np.float64] | None = None
    scalings: tuple[FeatureMap, ...] = ()
    choices: tuple[Choice, ...] = ()
    training_seed: int = 0
    truth: hist.Hist[Any] | None = None
    hidden: tuple[tuple[float, float], ...] = ()
    learner: str | None = "boosted_trees"

    @property
    def shown_bins(self) -> NDArray[np.bool_]:
        """(n_bins,) bool: fit bins with visible counts; while blinded, the bins outside all masks."""
        return outside(self.edges, self.hidden)

    def __repr__(self) -> str:
        found = ", ".join(f"{one.name} z {text_of(one.local_z)}" for one in self.selections)
        return f"WindowResult({self.window.name} GeV, {self.reason or self.status}: {found})"

    def _repr_html_(self) -> str:
        title = f"Window {self.window.name} GeV: {self.reason or self.status}"
        rows = [selection.row for selection in self.selections]
        return grid(title, [*rows[0]] if rows else [], [[*row.values()] for row in rows])

    @property
    def status(self) -> str:
        """Return "ok", "incomplete" if a selection failed, or "failed" if the whole window did."""
        if self.reason is not None:
            return "failed"
        return "incomplete" if any(selection.reason for selection in self.selections) else "ok"
