"""One window after the cut: count, fit the background beside it, test for an excess, set a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.background import BackgroundFit, MassFunction, choose_order, outside, require_functions
from analysis.config import SearchConfig
from analysis.errors import FitError, StatisticsError
from analysis.learning import Choice, Method, PassWeights, Samples
from analysis.learning.decorrelation import PercentileMap
from analysis.members import MemberSpread, member_spread
from analysis.non_closure import NON_CLOSURE, NonClosure
from analysis.notebook import grid, text_of
from analysis.regions import MassWindow
from analysis.spectra import fill_spectrum, selection_counts, selection_variances, window_counts
from analysis.statistics import (
    Counting,
    DiscoveryResult,
    LimitResult,
    counting_workspace,
    discovery,
    upper_limit,
)
from analysis.table import EventTable

__all__ = ["SearchData", "SelectionResult", "WindowResult", "evaluate_window"]


@dataclass(frozen=True)
class SearchData:
    """The events that are searched.

    Attributes
    ----------
    table : EventTable
        Events of the search region, |Δy| below the configured maximum.
    blinded : bool
        Count nothing inside the windows.
    signal_datasets : tuple of str or None
        Datasets that are simulated signal mixed into pseudodata, for the report of S/√B and for methods that use the
        truth; None for real data.
    simulation : EventTable or None
        Simulated background of the search region, normalised, for methods that need it.
    corrections : mapping of str to mapping of str to NonClosure
        Of the background, by window and selection; empty where it is not corrected.
    """

    table: EventTable
    blinded: bool = False
    signal_datasets: tuple[str, ...] | None = None
    simulation: EventTable | None = None
    corrections: Mapping[str, Mapping[str, NonClosure]] = field(default_factory=dict)

    def samples(self, method: Method) -> Samples:
        """Return what a method may see: simulation and truth only where it says that it uses them."""
        return Samples(
            self.table,
            self.simulation if method.needs_simulation else None,
            self.signal_datasets if method.uses_truth else None,
        )


@dataclass(frozen=True)
class SelectionResult:
    """One selection in one window.

    Attributes
    ----------
    name : str
        "inclusive", or such as "eff_0.1".
    method : str
    features : tuple of str
    efficiency, efficiency_achieved : float
        Requested, and reached on the reference events; while blinded on the events that are shown, those of the fit
        range outside the mask.
    n_obs : float or None
        Observed events in the window; None while blinded.
    background, background_error : float or None
        From the sideband fit, events; None where the fit failed. With `non_closure` both are the corrected ones.
    discovery : DiscoveryResult or None
    s_over_sqrt_b : float or None
        From truth; None for data, and while blinded.
    fit : BackgroundFit or None
    limit : LimitResult or None
    workspace : dict or None
        pyhf workspace, in effective events.
    reason : str or None
        Why something is None, where that is a failure.
    calibrated : bool
        False where so few background events are expected that p-values are not uniform: `discovery.p0_averaged` is
        conservative there.
    weight : float
        Sum of weights per effective event, Σw² / Σw; 1 where every event passes or fails.
    members : MemberSpread or None
        How far the members lie apart where each is cut at its own threshold; None where not, where one of them cannot
        be fitted, and while blinded.
    seeds : tuple of SelectionResult
        The same selection of the further trainings of the window, see `analysis.seeds`.
    non_closure : NonClosure or None
        What the background was corrected by; its error is not in `background_error`.
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
    limit: LimitResult | None = None
    workspace: dict[str, Any] | None = None
    reason: str | None = None
    calibrated: bool = True
    weight: float = 1.0
    members: MemberSpread | None = None
    seeds: tuple[SelectionResult, ...] = ()
    non_closure: NonClosure | None = None

    def __repr__(self) -> str:
        return f"SelectionResult({', '.join(f'{name}: {text_of(value)}' for name, value in self.row.items())})"

    def _repr_html_(self) -> str:
        return grid(f"{self.method} on {', '.join(self.features)}", [*self.row], [[*self.row.values()]])

    @property
    def row(self) -> dict[str, object]:
        """The numbers of a table of selections, by the head of the column."""
        expected = None if self.background is None else f"{text_of(self.background)} ± {text_of(self.total_error)}"
        limit = None if self.limit is None else self.limit.expected_events[2]
        return {
            "Selection": self.name,
            "Efficiency": self.efficiency_achieved,
            "Observed": self.n_obs,
            "Expected": expected,
            "z": None if self.discovery is None else self.discovery.z,
            "Expected limit [events]": limit,
        }

    @property
    def non_closure_error(self) -> float:
        """Error of the correction, events; 0 where there is none."""
        return 0.0 if self.non_closure is None else self.non_closure.events(self.background or 0.0)

    @property
    def total_error(self) -> float | None:
        """Error of the background from the fit and from its correction, events."""
        error = self.background_error
        return None if error is None else float(np.hypot(error, self.non_closure_error))

    @property
    def background_variations(self) -> dict[str, float]:
        """Further errors of the background in the workspace, in effective events, by the name of their parameter."""
        error = self.non_closure_error / self.weight
        return {NON_CLOSURE: error} if error > 0 else {}


@dataclass(frozen=True)
class WindowResult:
    """All selections of one training of a window.

    Attributes
    ----------
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    selections : tuple of SelectionResult
        Inclusive first, which further trainings lack; empty where the window failed.
    spectrum : hist.Hist or None
        Axes `mjj`, `selection`, `variation`.
    models : tuple of tuple of bytes
        xgboost UBJ documents, by fold and member; empty for further trainings.
    passes : (n_events, n_selections) bool or float64, or None
        Pass weights of all searched events; None where the window failed, and while blinded.
    reason : str or None
        Why the window failed, or None.
    scores : (n_events,) float32, or None
        Member mean of the out-of-fold scores, NaN outside the fit range; None where there are no `passes`, and where
        the window was read from disk.
    thresholds : (n_folds, n_cuts, n_selections, 2) float64, or None
        Of the selections, see `analysis.learning.PassWeights`; None where there are no models, or the window was read
        from disk.
    scalings : tuple of PercentileMap
        Of the features, by fold; empty where they are used as they are, while blinded (they tell how many events are
        in the window), and where the window was read from disk.
    choices : tuple of Choice
        Classifier settings by fold, where they were chosen; empty while blinded.
    training_seed : int
        0 for the training that is the result of the window, 1 and more for further ones.
    truth : hist.Hist or None
        What of the spectrum is simulated signal in pseudodata, on the same axes; None where there is none, for further
        trainings, and while blinded: it is part of the data.
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
    scalings: tuple[PercentileMap, ...] = ()
    choices: tuple[Choice, ...] = ()
    training_seed: int = 0
    truth: hist.Hist[Any] | None = None

    def __repr__(self) -> str:
        found = ", ".join(f"{one.name} z {text_of(one.row['z'])}" for one in self.selections)
        return f"WindowResult({self.window.name} GeV, {self.reason or self.status}: {found})"

    def _repr_html_(self) -> str:
        title = f"Window {self.window.name} GeV: {self.reason or self.status}"
        rows = [selection.row for selection in self.selections]
        return grid(title, [*rows[0]] if rows else [], [[*row.values()] for row in rows])

    @property
    def status(self) -> str:
        """Return "ok"; "incomplete" where a selection failed; "failed" where the whole window did."""
        if self.reason is not None:
            return "failed"
        return "incomplete" if any(selection.reason for selection in self.selections) else "ok"


def evaluate_window(  # noqa: PLR0913 - the parts of a window, and two switches
    data: SearchData,
    window: MassWindow,
    edges: NDArray[np.float64],
    passes: PassWeights,
    models: tuple[tuple[bytes, ...], ...],
    config: SearchConfig,
    functions: tuple[MassFunction, ...] | None = None,
    *,
    training_seed: int = 0,
    limits: bool = True,
) -> WindowResult:
    """Test every selection of a window.

    Parameters
    ----------
    data : SearchData
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    passes : PassWeights
        Of all searched events.
    models : tuple of tuple of bytes
        Of the classifiers, kept in the result.
    config : SearchConfig
    functions : tuple of MassFunction, optional
        The background functions that the configuration names; looked up here where they are not given.
    training_seed : int
        Above 0 the inclusive selection, which needs no training, the limits, which take most of the time, and the
        models are left out.
    limits : bool
        Whether limits are wanted.

    Returns
    -------
    WindowResult
    """
    spectrum = fill_spectrum(data.table, edges, passes)
    family = functions or require_functions(config.background.functions, config.background.strategy)
    cut = _Cut(data, window, passes, spectrum, config, family)
    counts = window_counts(data.table, window, passes)
    truth = _truth(data, window, passes)
    first = training_seed == 0
    tested = slice(0 if first else 1, None)
    selections = tuple(
        _evaluate_selection(cut, i, float(counts[i]), truth[i], with_limit=first and limits)
        for i in range(len(passes.names))[tested]
    )
    return WindowResult(
        window,
        edges,
        selections,
        _hide(spectrum, window, data.blinded),
        models if first else (),
        None if data.blinded else _compact(passes.values[:, tested]),
        thresholds=passes.thresholds if first else None,
        training_seed=training_seed,
        truth=_true_spectrum(data, edges, passes) if first else None,
    )


@dataclass(frozen=True)
class _Cut:
    """One window and what is left of it."""

    data: SearchData
    window: MassWindow
    passes: PassWeights
    spectrum: hist.Hist[Any]
    config: SearchConfig
    functions: tuple[MassFunction, ...]


def _compact(passes: NDArray[np.float64]) -> NDArray[Any]:
    """Return weights that are all 0 or 1 as bool: an eighth of the memory."""
    flags = passes.astype(bool)
    return flags if (flags == passes).all() else passes


def _evaluate_selection(
    cut: _Cut, index: int, count: float, s_over_sqrt_b: float | None, *, with_limit: bool
) -> SelectionResult:
    data, window, passes, spectrum, config = cut.data, cut.window, cut.passes, cut.spectrum, cut.config
    name = passes.names[index]
    common: dict[str, Any] = {
        "name": name,
        "method": config.learning.method,
        "features": config.learning.features,
        "efficiency": passes.efficiencies[index],
        "efficiency_achieved": _achieved(cut, index),
        "n_obs": None if data.blinded else count,
        "s_over_sqrt_b": s_over_sqrt_b,
        "non_closure": data.corrections.get(window.name, {}).get(name),
    }
    try:
        fit = choose_order(
            selection_counts(spectrum, name),
            np.asarray(spectrum.axes["mjj"].edges, np.float64),
            mask=window.mask,
            functions=cut.functions,
            alpha=config.background.alpha,
            sqrt_s_gev=config.background.sqrt_s_gev,
            strategy=config.background.strategy,
            variances=selection_variances(spectrum, name),
        )
        expected = fit.estimate(*window.signal)
        background, error = (common["non_closure"] or NonClosure(0.0, 0.0)).corrected(expected.value, expected.up)
        found = SelectionResult(
            **common,
            background=background,
            background_error=error,
            calibrated=expected.calibrated,
            fit=fit,
            weight=expected.weight,
            members=_members(cut, index),
        )
        workspace = _workspace(found, window, Counting(found.n_obs, background, error))
        return replace(
            found,
            discovery=None if data.blinded else discovery(workspace),
            limit=_limit(cut, workspace, found.weight) if with_limit else None,
            workspace=workspace,
        )
    except (FitError, StatisticsError) as error:
        return SelectionResult(**common, reason=f"window {window.name} GeV, selection {name}: {error}")


def _workspace(found: SelectionResult, window: MassWindow, counting: Counting) -> dict[str, Any]:
    return counting_workspace(
        counting.effective(found.weight),
        channel=f"window_{window.name}_{found.name}",
        measurement="search",
        background_variations=found.background_variations,
    )


def _achieved(cut: _Cut, index: int) -> float:
    """Efficiency on the reference events; while blinded on the bins that are shown.

    k / n over all reference events would tell how many of them are inside the mask.
    """
    if not cut.data.blinded or cut.config.learning.threshold_reference == "background-template":
        return cut.passes.achieved[index]
    shown = outside(cut.spectrum.axes["mjj"].edges, cut.window.mask)
    kept, everything = (selection_counts(cut.spectrum, cut.passes.names[i])[shown].sum() for i in (index, 0))
    return float(kept / everything) if everything > 0 else 0.0


def _limit(cut: _Cut, workspace: dict[str, Any], weight: float) -> LimitResult:
    settings = cut.config.statistics
    return upper_limit(
        workspace, level=settings.cls_level, blinded=cut.data.blinded, calculator=settings.calculator
    ).scaled(weight)


def _members(cut: _Cut, index: int) -> MemberSpread | None:
    if cut.passes.members is None or index == 0 or cut.data.blinded:
        return None
    edges, table = np.asarray(cut.spectrum.axes["mjj"].edges, np.float64), cut.data.table
    selected = cut.passes.members[:, :, index].T
    spectra = np.stack([np.histogram(table.mjj[m], edges, weights=table.weight[m])[0] for m in selected])
    try:
        return member_spread(
            spectra,
            edges,
            window=cut.window.signal,
            mask=cut.window.mask,
            functions=cut.functions,
            sqrt_s_gev=cut.config.background.sqrt_s_gev,
        )
    except FitError:
        return None


def _truth(data: SearchData, window: MassWindow, passes: PassWeights) -> list[float | None]:
    """S/√B of each selection from the simulated truth; None while blinded: it tells the counts."""
    if data.signal_datasets is None or data.blinded:
        return [None] * len(passes.names)
    inside = window.in_signal(data.table.mjj)
    weights = (data.table.weight[:, None] * passes.values)[inside]
    is_signal = data.table.in_datasets(data.signal_datasets)[inside]
    signal, background = weights[is_signal].sum(axis=0), weights[~is_signal].sum(axis=0)
    return [float(s / np.sqrt(b)) if b > 0 else None for s, b in zip(signal, background, strict=True)]


def _true_spectrum(data: SearchData, edges: NDArray[np.float64], passes: PassWeights) -> hist.Hist[Any] | None:
    if not data.signal_datasets or data.blinded:
        return None
    return fill_spectrum(data.table, edges, passes, of=data.table.in_datasets(data.signal_datasets))


def _hide(spectrum: hist.Hist[Any], window: MassWindow, blinded: bool) -> hist.Hist[Any]:
    """Empty the masked bins while blinded, so that no file shows them."""
    if not blinded:
        return spectrum
    hidden = spectrum.copy()
    nothing = np.zeros((1, 1, 1, 2))  # broadcast over (mjj, selection, variation); value and variance
    hidden.view(flow=False)[~outside(hidden.axes["mjj"].edges, window.mask)] = nothing
    # Kept as metadata in the file, so that nobody takes the empty bins for a deficit.
    hidden.blinded = True  # type: ignore[attr-defined]
    return hidden
