"""Mass points after a search: workspaces, limits and impacts of the signal samples.

The rule is "fixed-efficiency": it uses the classifiers of the search, and ignores that they would learn from a signal
as large as the limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.config import SearchConfig
from analysis.core.fractions import fraction
from analysis.errors import FitError, StatisticsError, WindowError
from analysis.histograms.spectra import NOMINAL, selection_counts
from analysis.regions import MassWindow
from analysis.search.classifiers import Classifier
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.shape_models import SignalShapeModel, signal_shape_model
from analysis.signals.template import net_yield
from analysis.signals.values import (
    Modifier,
    ShapeResult,
    SignalImpacts,
    SignalLimit,
    SignalResult,
    SignalSelection,
    SignalYield,
)
from analysis.signals.window import approximate_limit
from analysis.signals.yields import SignalSample, SignalYields, signal_modifiers, signal_yields
from analysis.statistics import (
    LimitResult,
    SignalSystematic,
    counting_workspace,
    discovery,
    discovery_events,
    expected_discovery,
    impacts,
    upper_limit,
)

__all__ = ["RULE", "SHAPE", "PointResult", "PointTask", "absorbed_fraction", "evaluate_point"]

Array = NDArray[np.float64]

RULE = "fixed-efficiency"

SHAPE = "shape"
"""The `statistics.model` with templates, and the end of the names of its workspaces."""

_TOYS = 1000
_NEEDED_Z = 3.0


@dataclass(frozen=True)
class PointTask:
    """One signal sample in all windows of the search.

    Attributes
    ----------
    sample : SignalSample
    classifiers : tuple of Classifier
    windows : tuple of WindowResult
        In the same order as the classifiers.
    config : SearchConfig
    """

    sample: SignalSample
    classifiers: tuple[Classifier, ...]
    windows: tuple[WindowResult, ...]
    config: SearchConfig


@dataclass(frozen=True)
class PointResult:
    """Results of one signal sample.

    Attributes
    ----------
    result : SignalResult
    workspaces : dict of str to dict
        pyhf workspaces by the name "<window>_<selection>", for every selection of every window with signal events; of
        the shape model by "<window>_<selection>_shape".
    spectra : dict of str to hist.Hist
        Nominal events by window name, in the normalisation of the sample; axes `mjj` on the fit grid, `selection`,
        `variation`.
    """

    result: SignalResult
    workspaces: dict[str, dict[str, Any]]
    spectra: dict[str, hist.Hist[Any]]


def evaluate_point(task: PointTask) -> PointResult:
    """Count a signal in all selections of all windows, and set limits in the most sensitive window of each selection.

    The window of a selection is the one with the best `approximate_limit` on the signal; observed counts are not used.

    Returns
    -------
    PointResult
    """
    sample = task.sample
    with_shapes = task.config.statistics.model == SHAPE
    yields = [
        signal_yields(sample, classifier, window.edges, shapes=with_shapes)
        for classifier, window in zip(task.classifiers, task.windows, strict=True)
    ]
    counts = [
        count
        for window_yields, window in zip(yields, task.windows, strict=True)
        for count in _count(sample, window_yields, window, task.config.background.sqrt_s_gev)
    ]
    ranked = [count for count in counts if count.rank() is not None]
    result = SignalResult(
        dataset=sample.name,
        masses=dict(sample.masses),
        rule=RULE,
        normalised=sample.normalised,
        xsec_pb=sample.xsec_pb,
        lumi_ifb=sample.lumi_ifb,
        selections=tuple(_limit(count, task) for count in _most_sensitive(ranked)),
        yields=tuple(SignalYield(**count.fields()) for count in counts),
        reason=None,
    )
    workspaces = {count.name: count.workspace() for count in ranked}
    if with_shapes:
        workspaces |= {f"{count.name}_{SHAPE}": count.shape.workspace for count in ranked if count.has_shape}
    return PointResult(result, workspaces, {entry.window.name: entry.spectrum for entry in yields})


def _most_sensitive(counts: Sequence[_Count]) -> list[_Count]:
    """Return the window with the best rank for every selection."""
    names = dict.fromkeys(count.selection.name for count in counts)
    return [min((count for count in counts if count.selection.name == name), key=_Count.rank_value) for name in names]


@dataclass(frozen=True)
class _Count:
    """Signal yield in one selection of one window."""

    sample: SignalSample
    window: MassWindow
    selection: SelectionResult
    events: float
    error: float
    modifiers: tuple[SignalSystematic, ...]
    absorbed: float | None
    reason: str | None
    shape_model: SignalShapeModel | StatisticsError | None = None

    @property
    def name(self) -> str:
        """Name of the workspace."""
        return f"{self.window.name}_{self.selection.name}"

    @property
    def has_shape(self) -> bool:
        """Whether there is a shape model."""
        return isinstance(self.shape_model, SignalShapeModel)

    @property
    def shape(self) -> SignalShapeModel:
        """The shape model.

        Raises
        ------
        StatisticsError
            If it could not be made.
        """
        if isinstance(self.shape_model, StatisticsError):
            raise self.shape_model
        assert self.shape_model is not None
        return self.shape_model

    @property
    def net(self) -> float:
        """Signal events above the fitted background."""
        return self.events * (1.0 - (self.absorbed or 0.0))

    def rank(self) -> float | None:
        """Approximate expected limit in units of the sample's normalisation; None without a limit."""
        background, error = self.selection.background, self.selection.total_error
        if self.reason is not None or self.net <= 0 or not (background and error):
            return None
        return float(approximate_limit(background, error) / self.net)

    def rank_value(self) -> float:
        """Rank, infinite without a limit."""
        rank = self.rank()
        return np.inf if rank is None else rank

    def workspace(self) -> dict[str, Any]:
        selection = self.selection
        return counting_workspace(
            selection.counting.effective(selection.weight),
            channel=f"window_{self.window.name}_{selection.name}",
            measurement=self.sample.name,
            background_variations=selection.background_variations,
            signal_systematics=self.modifiers,
        )

    def strength_per_mu(self, workspace: Mapping[str, Any]) -> float:
        """Return the signal strength at mu = 1 of a workspace."""
        return _signal_events(workspace) * self.selection.weight / self.net

    @property
    def efficiency(self) -> float | None:
        """Acceptance times efficiency, relative to all generated events."""
        generated = self.sample.generated
        return None if not generated else fraction(self.events, generated)

    def fields(self) -> dict[str, Any]:
        """Attributes of the `SignalYield`."""
        return {
            "window": self.window.signal,
            "selection": self.selection.name,
            "events": self.events,
            "events_error": self.error,
            "acceptance_efficiency": self.efficiency,
            "absorbed_fraction": self.absorbed,
            "strength_per_mu": None if self.rank() is None else self.strength_per_mu(self.workspace()),
            "shape_strength_per_mu": self.shape.strength_per_mu if self.has_shape else None,
            "modifiers": tuple(_factors(modifier) for modifier in self.modifiers),
            "reason": self.reason,
        }


def _factors(one: SignalSystematic) -> Modifier:
    up = float(one.up)
    if one.kind == "lumi":
        return Modifier(one.name, 1.0 + up, 1.0 - up)
    return Modifier(one.name, up, 1.0 / up if one.down is None else float(one.down))


def _count(sample: SignalSample, yields: SignalYields, window: WindowResult, sqrt_s_gev: float) -> list[_Count]:
    counts = []
    for selection in window.selections:
        index = yields.selections.index(selection.name)
        events = float(yields.events[NOMINAL][index])
        absorbed = absorbed_fraction(selection, yields, window, sqrt_s_gev)
        modifiers: list[SignalSystematic] = []
        reason = selection.reason
        try:
            modifiers = signal_modifiers(yields, selection.name, sample.systematics)
        except StatisticsError as error:
            reason = reason or str(error)
        if absorbed is not None and absorbed >= 1:
            reason = reason or "the sideband fit takes all of the signal for background: the mask lies beside its peak."
        count = _Count(
            sample,
            window.window,
            selection,
            events,
            float(np.sqrt(yields.squares[index])),
            tuple(modifiers),
            absorbed,
            reason,
        )
        model = _shape_model(count, window, yields) if yields.spectra and count.rank() is not None else None
        counts.append(replace(count, shape_model=model))
    return counts


def _shape_model(count: _Count, window: WindowResult, yields: SignalYields) -> SignalShapeModel | StatisticsError:
    try:
        return signal_shape_model(count.sample.name, count.selection, window, yields, count.sample.systematics)
    except StatisticsError as error:
        return error


def _limit(one: _Count, task: PointTask) -> SignalSelection:
    workspace, settings, weight = one.workspace(), task.config.statistics, one.selection.weight
    fields, per_mu = one.fields(), one.strength_per_mu(workspace)
    try:
        limit = upper_limit(
            workspace,
            level=settings.cls_level,
            blinded=one.selection.n_obs is None,
            calculator=settings.calculator,
            n_toys=_TOYS,
            random_state=task.config.random_state,
        ).scaled(weight)
        median = limit.expected_events[2] / (_signal_events(workspace) * weight)
        further = _sensitivity(one, workspace)
        expected = impacts(workspace, strength=median).scaled(per_mu)
        observed = None if one.selection.n_obs is None else impacts(workspace).scaled(per_mu)
    except StatisticsError as error:
        return SignalSelection(**{**fields, "reason": str(error)}, limit=None, impacts=None)
    ranked = SignalImpacts(expected, observed)
    if one.shape_model is not None:
        further["shape"] = _shape_result(one, task)
    return SignalSelection(**{**fields, **further}, limit=_signal_limit(one, limit, one.net), impacts=ranked)


def _shape_result(one: _Count, task: PointTask) -> ShapeResult:
    """Test the shape of a signal: limits, significance and impacts."""
    settings, hidden = task.config.statistics, one.selection.n_obs is None
    try:
        model, workspace = one.shape, one.shape.workspace
        limit = upper_limit(
            workspace,
            level=settings.cls_level,
            blinded=hidden,
            calculator=settings.calculator,
            n_toys=_TOYS,
            random_state=task.config.random_state,
        )
        per_event = model.strength_per_mu / _signal_events(workspace)
        expected = impacts(workspace, strength=limit.expected_events[2] / _signal_events(workspace))
        observed = None if hidden else impacts(workspace).scaled(model.strength_per_mu)
        found = None if hidden else discovery(workspace, n_toys=_TOYS, random_state=task.config.random_state)
    except StatisticsError as error:
        return ShapeResult(reason=str(error))
    return ShapeResult(
        limit=_signal_limit(one, limit.scaled(per_event * one.events), one.events),
        z=None if found is None else found.z,
        p0=None if found is None else found.p0,
        p0_toys=None if found is None else found.p0_toys,
        strength_per_mu=model.strength_per_mu,
        n_bins=len(workspace["observations"][0]["data"]),
        impacts=SignalImpacts(expected.scaled(model.strength_per_mu), observed),
    )


def _sensitivity(one: _Count, workspace: dict[str, Any]) -> dict[str, Any]:
    """Return the expected z of the net signal, and the net signal for a z of 3; observed counts are not used."""
    weight, calibration = one.selection.weight, one.selection.calibration
    z = expected_discovery(workspace, one.net / weight) if one.sample.normalised else None
    found = {"expected_z": z, "events_3sigma": discovery_events(workspace, _NEEDED_Z) * weight}
    if calibration is None:
        return found
    found["events_3sigma_calibrated"] = discovery_events(workspace, calibration.nominal(_NEEDED_Z)) * weight
    if z is not None:
        expected = calibration.again(z)
        found |= {"expected_z_calibrated": expected.z, "expected_z_calibrated_error": expected.z_error}
    return found


def _signal_events(workspace: Mapping[str, Any]) -> float:
    (signal,) = [sample for sample in workspace["channels"][0]["samples"] if sample["name"] == "signal"]
    return float(sum(signal["data"]))


def _signal_limit(one: _Count, limit: LimitResult, events: float) -> SignalLimit:
    """Limits in events, of which the sample has `events`; in units of its normalisation and, if possible, in fb."""
    generated, lumi = one.sample.generated, one.sample.lumi_ifb
    factors = {"strength": 1.0 / events}
    if generated and lumi:
        factors["fb"] = generated / (events * lumi)
    further: dict[str, Any] = {}
    for unit, factor in factors.items():
        observed = limit.observed_events
        further[f"observed_{unit}"] = None if observed is None else observed * factor
        further[f"expected_{unit}"] = tuple(value * factor for value in limit.expected_events)
    return SignalLimit(**{**asdict(limit), "rule": RULE}, **further)


def absorbed_fraction(
    selection: SelectionResult, yields: SignalYields, window: WindowResult, sqrt_s_gev: float
) -> float | None:
    """Fraction of the yield absorbed by the sideband fit, for a signal about as strong as the limit."""
    events = float(yields.events[NOMINAL][yields.selections.index(selection.name)])
    if selection.fit is None or selection.background is None or events <= 0:
        return None
    fit, spectrum = selection.fit, selection_counts(yields.spectrum, selection.name)
    strength = approximate_limit(selection.background, selection.total_error or 0.0) / events
    rest = None
    if fit.function.n_ratio:
        rest = fit.expected_rest(window.edges), strength * (yields.inclusive - spectrum)
    try:
        result = net_yield(
            fit.expected(window.edges)[0],
            strength * spectrum,
            window.edges,
            fit.function.name,
            window=window.window.signal,
            mask=window.window.mask,
            sqrt_s_gev=sqrt_s_gev,
            rest=rest,
        )
    except (FitError, WindowError):
        return None
    return result.absorbed_fraction
