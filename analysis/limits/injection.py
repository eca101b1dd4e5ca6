"""One injection: train with hidden signal, then count data and signal with the trained classifiers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.calibration import Labels, coupled_variance, labels_of, template_masses
from analysis.config import SearchConfig
from analysis.core.fractions import fraction
from analysis.errors import StatisticsError, TableError, WindowError
from analysis.events.table import EventTable
from analysis.histograms.spectra import NOMINAL, window_counts
from analysis.learning import INCLUSIVE, CrossFit, Method, PassWeights
from analysis.limits.efficiency_maps import efficiency_map
from analysis.limits.injection_values import (
    EfficiencyMap,
    InjectedSelection,
    Injection,
    InjectionResult,
    StoredSystematic,
)
from analysis.limits.signal_events import add_signal, held_out, sample_signal
from analysis.regions import MassWindow, RegionScan
from analysis.search.classifiers import Classifier, score_events
from analysis.search.evaluation import evaluate_window
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.search.window import fold_tasks, train_folds, working_points
from analysis.signals.points import absorbed_fraction
from analysis.signals.yields import SignalSample, SignalYields, signal_modifiers, signal_yields
from analysis.statistics import Counting, counting_workspace, counting_z, upper_limit

__all__ = ["InjectionData", "inject"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class InjectionData:
    """Inputs shared by all injections.

    Attributes
    ----------
    search : SearchData
    samples : dict of str to SignalSample
        By name; events are drawn from the nominal table.
    config : SearchConfig
    """

    search: SearchData
    samples: Mapping[str, SignalSample]
    config: SearchConfig

    def configured(self, task: Injection) -> SearchConfig:
        """Return the configuration with the method and features of a task."""
        update: dict[str, Any] = {"method": task.method, "features": task.features}
        if task.counted:
            update |= {"efficiencies": self.config.limits.display_efficiencies, "working_point": "each"}
        learning = self.config.learning.model_copy(update=update)
        return self.config.model_copy(update={"learning": learning})


def inject(task: Injection, shared: InjectionData) -> InjectionResult:
    """Train with hidden signal, and count data and signal with the trained classifiers.

    Parameters
    ----------
    task : Injection
    shared : InjectionData

    Returns
    -------
    InjectionResult
        With a reason instead of selections if no events are left to train on or to count.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.limits import Injection, InjectionData, inject
    >>> from analysis.stages.inputs import SearchInputs
    >>> from analysis.stages.signals import signal_sample
    >>> inputs = SearchInputs.load("results")
    >>> quick = {"n_folds": 2, "n_members": 1, "efficiencies": [0.1], "classifier": {"n_estimators": 5}}
    >>> config = load_config(overrides={"learning": quick, "scan": {"last": 3700}})
    >>> name, window = "wprime_3500_500_100", inputs.regions.windows[0]
    >>> shared = InjectionData(inputs.fitted, {name: signal_sample(inputs, name)}, config)
    >>> result = inject(Injection(name, window, 100.0, 0, "cwola", config.learning.features), shared)
    >>> found = result.selections[0]
    >>> found.name, bool(found.signal > found.efficiency)  # the classifier has learned the signal
    ('eff_0.1', True)
    """
    sample, config = shared.samples[task.signal], shared.configured(task)
    pool = sample.tables[NOMINAL]
    chosen = sample_signal(pool, task.strength, task.sampling, purpose=task.signal, random_state=config.random_state)
    search = shared.search.within(task.window)
    try:
        trained = _train(task, add_signal(search, chosen, task.signal), len(search.table), config)
    except (TableError, WindowError) as error:
        return InjectionResult(task, len(chosen), (), reason=str(error))
    rest, classifier = held_out(sample, chosen), trained.classifier(task, config)
    yields = signal_yields(rest, classifier, trained.edges)
    passes = trained.passes if task.counted or not (task.strength or task.sampling) else _selective(trained.passes)
    counted = _Counted(task, trained, passes, rest, yields, config)
    maps = _maps(trained, rest, classifier) if task.sampling == 0 else None
    return InjectionResult(task, len(chosen), counted.selections(), maps)


@dataclass(frozen=True)
class _Trained:
    """Classifiers of a window, their cuts, and the events to count."""

    data: SearchData
    edges: Array
    fit: CrossFit
    passes: PassWeights
    method: Method

    def labels(self, window: MassWindow) -> Labels:
        """Return the weights of the labels of the events to count."""
        return labels_of(window, self.data.table.mjj, template_masses(self.method, self.data.simulation))

    def classifier(self, task: Injection, config: SearchConfig) -> Classifier:
        """Return the classifiers, to apply to events outside the training."""
        passes = self.passes
        return Classifier(
            task.window,
            task.features,
            self.fit.models,
            self.fit.scalings,
            passes.names,
            passes.efficiencies,
            passes.achieved,
            passes.thresholds,
            config.random_state,
        )


def _train(task: Injection, joined: SearchData, n_data: int, config: SearchConfig) -> _Trained:
    edges = RegionScan((task.window,), config.scan.bin_width).edges(task.window)
    jobs = fold_tasks(task.window, edges, config, task.sampling)
    fit = train_folds(jobs, joined)
    if task.counted:
        data = joined
    else:
        fit = fit.first(n_data)
        kept = EventTable(joined.table.table.slice(0, n_data), joined.table.features)
        data = replace(joined, table=kept)
    passes = working_points(fit, task.window, data.table, config)
    return _Trained(data, edges, fit, passes, jobs[0].method)


def _selective(passes: PassWeights) -> PassWeights:
    """Drop the inclusive selection, which no injection changes: its limit is set once."""
    return replace(
        passes,
        efficiencies=passes.efficiencies[1:],
        achieved=passes.achieved[1:],
        values=passes.values[:, 1:],
        thresholds=passes.thresholds[:, :, 1:],
        members=None,
        names=passes.names[1:],
        template=None if passes.template is None else passes.template[1:],
    )


@dataclass(frozen=True)
class _Counted:
    """Data and signal in the selections of a window."""

    task: Injection
    trained: _Trained
    passes: PassWeights
    rest: SignalSample
    yields: SignalYields
    config: SearchConfig

    def selections(self) -> tuple[InjectedSelection, ...]:
        task, data, edges = self.task, self.trained.data, self.trained.edges
        # Expected limits must not depend on the counts, not even through fitted nuisance parameters.
        blind = replace(data, blinded=True)
        result = evaluate_window(blind, task.window, edges, self.passes, (), self.config)
        labels = self.trained.labels(task.window)
        counts = window_counts(data.table, task.window, self.passes).tolist()
        observed = [None] * len(counts) if data.blinded else counts
        return tuple(
            self._selection(one, n, result, labels) for one, n in zip(result.selections, observed, strict=True)
        )

    def _selection(
        self, one: SelectionResult, n_obs: float | None, result: WindowResult, labels: Labels
    ) -> InjectedSelection:
        index, total = self.yields.selections.index(one.name), float(self.rest.tables[NOMINAL].weight.sum())
        events, sqrt_s_gev = float(self.yields.events[NOMINAL][index]), self.config.background.sqrt_s_gev
        found = InjectedSelection(
            name=one.name,
            efficiency=one.efficiency,
            n_obs=n_obs,
            background=one.background,
            background_error=one.total_error,
            weight=one.weight,
            signal=fraction(float(events), float(total)),
            signal_error=float(np.sqrt(self.yields.squares[index])) / total,
            absorbed=absorbed_fraction(one, self.yields, result, sqrt_s_gev),
            coupled_variance=(
                None if one.name == INCLUSIVE else coupled_variance(one, labels, result.window, result.edges)
            ),
            fit_p_value=one.fit_p_value,
            reason=one.reason,
        )
        if found.reason is None and found.net <= 0:
            what = "no signal event passes" if found.signal <= 0 else "the sideband fit takes the signal for background"
            found = replace(found, reason=f"window {self.task.window.name} GeV, selection {found.name}: {what}.")
        return self._with_limits(found, one)

    def _with_limits(self, found: InjectedSelection, one: SelectionResult) -> InjectedSelection:
        if one.limit is None or not found.background or not found.background_error:
            return found
        likelihood = self.config.statistics.likelihood
        counting = Counting(found.n_obs, found.background, found.background_error, likelihood).effective(found.weight)
        found = replace(found, z=None if counting.n_obs is None else _significance(counting, counting.n_obs))
        if found.reason is not None:
            return found
        try:
            systematics = signal_modifiers(self.yields, found.name, self.rest.systematics)
            modifiers = tuple(map(StoredSystematic.of, systematics))
            observed = self._observed(counting, found)
        except StatisticsError as error:
            return replace(found, reason=str(error))
        asimov = counting.background + self.task.strength * found.net / found.weight
        return replace(
            found,
            modifiers=modifiers,
            expected_z=_significance(counting, asimov),
            observed=observed,
            expected=tuple(value / found.net for value in one.limit.expected_events),
        )

    def _observed(self, counting: Counting, found: InjectedSelection) -> float | None:
        if counting.n_obs is None:
            return None
        workspace = counting_workspace(counting, channel=found.name, measurement=self.task.signal)
        settings = self.config.statistics
        limit = upper_limit(workspace, level=settings.cls_level, calculator=settings.calculator).scaled(found.weight)
        return None if limit.observed_events is None else limit.observed_events / found.net


def _significance(counting: Counting, n: float) -> float:
    n_obs, b, error = (np.array([value]) for value in (n, counting.background, counting.background_error))
    return float(counting_z(n_obs, b, error, counting.likelihood)[0])


def _maps(trained: _Trained, rest: SignalSample, classifier: Classifier) -> EfficiencyMap | None:
    data, nominal = trained.data, rest.tables[NOMINAL]
    inside = classifier.window.in_signal(data.table.mjj)
    passes = replace(trained.passes, values=trained.passes.values[inside], members=None)
    signal = nominal.select(classifier.window.in_signal(nominal.mjj))
    selected = score_events(signal, classifier).passes
    counted = efficiency_map(data.table.select(inside), passes, signal, selected)
    return replace(counted, data={}) if counted is not None and data.blinded else counted
