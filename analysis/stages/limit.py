"""Stages `limit` and `inject`: parallel, resumable injections of the signal samples, and the results derived."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

from analysis.background import FUNCTIONS
from analysis.calibration import WindowCouplings
from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.documents import to_json
from analysis.core.fingerprint import fingerprint
from analysis.errors import ConfigError, CwolaError, StatisticsError
from analysis.histograms.mass_plane import MASSES
from analysis.learning import LEARNERS
from analysis.limits import (
    RULES,
    FinalTask,
    LimitPoint,
    candidates,
    candidates_of,
    failed_limit,
    injection_limits,
    injection_scan,
    prepare_point,
    search_sensitivity,
    strength_of_significance,
    with_uncertainties,
)
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import InjectedSelection, Injection, InjectionResult
from analysis.limits.scans import Classifiers
from analysis.limits.values import FailedLimit, FailedSensitivity, InjectionLimit, LimitsFile, Sensitivity
from analysis.methods import METHODS, configured_method
from analysis.search.non_closure import NonClosure
from analysis.search.requirements import measured_corrections, require_known, require_samples
from analysis.stages.calibrate import load_couplings
from analysis.stages.inputs import SearchInputs, is_built_in, stage
from analysis.stages.signals import searched_too, signal_sample
from analysis.stages.validation.validate import load_verdicts
from analysis.validation.verdicts import corrections

__all__ = ["limit", "sensitivity", "stored_limits", "with_simulation"]

_log = logging.getLogger("cwola")

_KIND = "injections"
_SAME = 0.1
"""Relative difference below which the refinement treats two strengths as equal."""


def limit(
    inputs: SearchInputs, backend: Backend, *, signals: Sequence[str] = ()
) -> tuple[InjectionLimit | FailedLimit, ...]:
    """Set limits on the signal samples by all rules, and write them; stored injections are reused.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    signals : sequence of str
        Names of signal datasets; all if empty.

    Returns
    -------
    tuple of InjectionLimit or FailedLimit

    Examples
    --------
    >>> from analysis.compute import open_backend
    >>> from analysis.config import load_config
    >>> from analysis.stages.inputs import SearchInputs
    >>> from analysis.stages.limit import limit
    >>> quick = {"n_folds": 2, "n_members": 1, "efficiencies": [0.1, 0.01], "classifier": {"n_estimators": 10}}
    >>> once = {"samplings": 1, "strengths": [1.0]}
    >>> config = load_config(overrides={"learning": quick, "scan": {"last": 3700}, "limits": once})
    >>> with open_backend(1) as backend:
    ...     found = limit(SearchInputs.load("results", config), backend, signals=["wprime_3500_500_100"])
    >>> expected = {one.rule: one.expected_selected[2] for one in found}
    >>> list(expected)
    ['inclusive', 'fixed-efficiency', 'atlas-2020', 'atlas-2025']
    >>> expected["atlas-2025"] < 0.5 * expected["inclusive"]  # what the classifier gains
    True
    """
    job = _Job.of(inputs, backend, signals)
    config = inputs.config
    with stage("limit"):
        points, failed = job.prepare()
        injected = job.run([task for point in points for task in job.tasks(point, point.strengths)])
        for _ in range(config.limits.refinements):
            injected += job.run([task for point in points for task in job.tasks(point, _roots(point, injected))])
        limits: list[InjectionLimit | FailedLimit] = [
            failed_limit(job.shared.samples[name], reason) for name, reason in failed.items()
        ]
        scans = []
        finish = partial(_finish, job)
        for point in points:
            results = _of(point, injected)
            limits += injection_limits(point, job.shared.samples[point.signal], results, finish=finish)
            scans.append(injection_scan(point, results, job.couplings(point)))
        job.save(LimitsFile(limits=tuple(limits), injections=tuple(scans)))
    return tuple(limits)


def sensitivity(
    inputs: SearchInputs, backend: Backend, *, signals: Sequence[str] = ()
) -> tuple[Sensitivity | FailedSensitivity, ...]:
    """Search for signals hidden at a given inclusive significance, and compare with the search without them.

    Parameters
    ----------
    inputs, backend, signals
        As in `limit`.

    Returns
    -------
    tuple of Sensitivity or FailedSensitivity

    Raises
    ------
    ConfigError
        If the search is blinded, since the results would reveal the counts inside the window.

    Examples
    --------
    >>> from analysis.compute import open_backend
    >>> from analysis.config import load_config
    >>> from analysis.stages.inputs import SearchInputs
    >>> from analysis.stages.limit import sensitivity
    >>> quick = {"n_folds": 2, "n_members": 1, "efficiencies": [0.1, 0.01], "classifier": {"n_estimators": 10}}
    >>> once = {"samplings": 1, "display_efficiencies": [0.01]}
    >>> config = load_config(overrides={"learning": quick, "scan": {"last": 3700}, "limits": once})
    >>> with open_backend(1) as backend:
    ...     (found,) = sensitivity(SearchInputs.load("results", config), backend, signals=["wprime_3500_500_100"])
    >>> inclusive, cut = found.curves
    >>> round(inclusive.expected_z[0])  # the signal is hidden at three standard deviations
    3
    >>> cut.z_with_signal[0] > cut.z_without_signal[0] + 2
    True
    """
    job = _Job.of(inputs, backend, signals)
    if job.shared.search.blinded:
        msg = (
            "the search is blinded, and signal hidden in its events would show their counts. `cwola limit` gives the "
            "expected significance of every injected strength; or hide signal in datasets of kind pseudodata."
        )
        raise ConfigError(msg)
    with stage("inject"):
        points, failed = job.prepare()
        tasks = []
        for point in points:
            strength = float(f"{_displayed(point, inputs.config):.4g}")
            tasks += job.tasks(point, (0.0, strength), counted=True)
        injected = job.run(tasks)
        sensitivities: tuple[Sensitivity | FailedSensitivity, ...] = (
            *(FailedSensitivity(name, (), reason) for name, reason in failed.items()),
            *(job.sensitivity(point, _of(point, injected)) for point in points),
        )
        job.save(LimitsFile(sensitivity=sensitivities))
    return sensitivities


def stored_limits(inputs: SearchInputs) -> LimitsFile | None:
    """Read the results of injections of this search; None if there are none, or they are of another one.

    Raises
    ------
    ConfigError
        If the background is to be corrected, and its non-closure is not measured.
    ResultsError
        If the file is damaged.
    """
    stored = inputs.folder.load_injections()
    return stored if stored.search == inputs.limits_fingerprint(_corrections(inputs)) else None


def with_simulation(config: SearchConfig) -> bool:
    """Whether limits need simulated background."""
    methods = config.limits.methods or (config.learning.method,)
    configured = (
        configured_method(_with_learning(config, name, config.learning.features).learning) for name in methods
    )
    return any(method.needs_simulation for method in configured)


@dataclass(frozen=True)
class _Job:
    """Request for injections: search inputs, events and samples, unusable signals, and backend."""

    inputs: SearchInputs
    shared: InjectionData
    refused: Mapping[str, str]
    backend: Backend

    @classmethod
    def of(cls, inputs: SearchInputs, backend: Backend, signals: Sequence[str]) -> _Job:
        """Check the request and read the events."""
        config, available = inputs.config, list(inputs.signals)
        inputs.events.require_selection(config, inputs.folder)
        if unknown := [name for name in signals if name not in available]:
            msg = f"there is no dataset {unknown[0]} of kind signal. Signals: {', '.join(available) or 'none'}."
            raise ConfigError(msg)
        if not available:
            msg = "there is no dataset of kind signal: add one to the datasets file and run `cwola process` again."
            raise ConfigError(msg)
        simulation = False
        for method in config.limits.methods or (config.learning.method,):
            configured = _with_learning(config, method, config.learning.features)
            require_known(configured)
            require_samples(configured, truth=inputs.truth is not None, simulation=bool(inputs.background))
            simulation |= configured_method(configured.learning).needs_simulation
        chosen = list(signals) or available
        samples = {name: signal_sample(inputs, name) for name in chosen}
        needed = _features(inputs)
        data = replace(inputs.read_fitted(needed, simulation=simulation), corrections=_corrections(inputs))
        refused = {name: reason for name in chosen if (reason := searched_too(inputs.events, name)) is not None}
        return cls(inputs, InjectionData(data, samples, config), refused, backend)

    def prepare(self) -> tuple[list[LimitPoint], dict[str, str]]:
        """Choose windows and strengths of the signals; the dictionary holds the reasons of signals without them."""
        refused = dict(self.refused)
        names = [name for name in self.shared.samples if name not in refused]
        points: dict[str, LimitPoint] = {}
        prepared = self.backend.map(_prepare, names, shared=self.shared)
        for index, point in track(prepared, total=len(names), description="Choosing windows and strengths"):
            if isinstance(point, LimitPoint):
                points[names[index]] = point
                _log.info("signal %s: window %s, strengths %s", point.signal, point.window.name, point.strengths)
            else:
                refused[names[index]] = str(point)
        return [points[name] for name in names if name in points], refused

    def tasks(self, point: LimitPoint, strengths: Iterable[float], *, counted: bool = False) -> list[Injection]:
        """List the injections of a signal."""
        return [
            Injection(point.signal, point.window, strength, sampling, method, features, counted)
            for sampling in range(self.shared.config.limits.samplings)
            for method, features in self.classifiers
            for strength in strengths
        ]

    @property
    def classifiers(self) -> list[Classifiers]:
        """Methods and features of all injections."""
        config = self.shared.config
        methods = config.limits.methods or (config.learning.method,)
        return list(product(methods, config.limits.feature_sets or (config.learning.features,)))

    def sensitivity(self, point: LimitPoint, results: Sequence[InjectionResult]) -> Sensitivity:
        """Tabulate the significances of a hidden signal, calibrated where possible."""
        return search_sensitivity(point, results, self.shared.samples[point.signal], self.couplings(point))

    def couplings(self, point: LimitPoint) -> dict[Classifiers, WindowCouplings]:
        """Return the couplings of folds in the window of a signal."""
        n_window = int(point.window.in_signal(self.shared.search.table.mjj).sum())
        return load_couplings(self.inputs, point.window, n_window, self.classifiers)

    def run(self, tasks: Sequence[Injection]) -> list[InjectionResult]:
        """Run the injections that are not on disk, and return the results of all in order."""
        keys = [self.key(task) for task in tasks]
        results = self.inputs.folder.load_records(InjectionResult, _KIND, keys)
        pending = [(key, task) for key, task in zip(keys, tasks, strict=True) if key not in results]
        for key, result in self._inject(pending):
            self.inputs.folder.save_record(_KIND, key, result)
            results[key] = result
        return [results[key] for key in keys]

    def _inject(self, pending: Sequence[tuple[str, Injection]]) -> Iterator[tuple[str, InjectionResult]]:
        if not pending:
            return
        results = self.backend.map(inject, [task for _, task in pending], shared=self.shared)
        for index, result in track(results, total=len(pending), description="Injecting signal"):
            yield pending[index][0], result

    def key(self, task: Injection) -> str:
        """Return the fingerprint of one injection."""
        config = self.shared.configured(task)
        searched = self.inputs.identity_with(self.shared.search.simulation is not None)
        return fingerprint(
            code=["analysis.limits.injection"],
            events=[searched, self.inputs.sample(task.signal)],
            config=(config, "learning", "background", "statistics"),
            seed=config.random_state,
            plugins=[
                (METHODS, [task.method]),
                (LEARNERS, [config.learning.learner]),
                (FUNCTIONS, config.background.functions),
            ],
            corrections=self.shared.search.corrections.get(task.window.name),
            task=to_json(task),
            bin_width=config.scan.bin_width,
        )

    def save(self, found: LimitsFile) -> None:
        """Add the results to the stored ones of the same search."""
        search = self.inputs.limits_fingerprint(self.shared.search.corrections)
        self.inputs.folder.save_limits(search, self.inputs.samples_fingerprints(), found)


def _features(inputs: SearchInputs) -> tuple[str, ...] | None:
    """Return what injections need of the events: features to train on, and the masses of maps; None for all columns."""
    config = inputs.config
    if not all(map(is_built_in, config.limits.methods or (config.learning.method,))):
        return None
    for features in config.limits.feature_sets:
        inputs.stored.require_features(features)
    sets = (config.learning.features, *config.limits.feature_sets)
    known = [spec.name for spec in inputs.stored.features]
    return tuple({name for features in sets for name in features} | {name for name in MASSES if name in known})


def _corrections(inputs: SearchInputs) -> dict[str, dict[str, NonClosure]]:
    """Return the measured non-closure of the windows; empty if the background is not corrected for it."""
    config = inputs.config
    if config.statistics.non_closure == "none":
        return {}
    if config.limits.window != "scan" or config.limits.methods or config.limits.feature_sets:
        msg = (
            'statistics.non_closure = "correct" holds for the windows, method and features that were validated: set '
            'limits.window = "scan" and leave out limits.methods and limits.feature_sets, or set non_closure = "none".'
        )
        raise ConfigError(msg)
    verdicts = load_verdicts(inputs)
    measured = corrections(verdicts) if verdicts else None
    return measured_corrections(measured, inputs.regions, config)


def _prepare(name: str, shared: InjectionData) -> LimitPoint | CwolaError:
    try:
        return prepare_point(name, shared)
    except CwolaError as error:
        return error


def _finish(job: _Job, tasks: Sequence[FinalTask]) -> list[InjectedSelection]:
    finished = job.backend.map(partial(with_uncertainties, settings=job.shared.config.statistics), tasks)
    by_index = dict(track(finished, total=len(tasks), description="Setting limits"))
    return [by_index[index] for index in range(len(tasks))]


def _displayed(point: LimitPoint, config: SearchConfig) -> float:
    return strength_of_significance(point, config.limits.display_significance, config.statistics.likelihood)


def _of(point: LimitPoint, found: Iterable[InjectionResult]) -> list[InjectionResult]:
    return [result for result in found if result.injection.signal == point.signal]


def _roots(point: LimitPoint, found: Sequence[InjectionResult]) -> list[float]:
    """Return the strengths at which the rules read their expected limits, without those close to tried ones."""
    results = _of(point, found)
    tried = [result.injection.strength for result in results]
    wanted: list[float] = []
    for rule in RULES.values():
        with suppress(StatisticsError):
            usable = [one.expected_scan for one in candidates_of(rule, candidates(results))]
            strength = float(f"{rule.reading(usable).strength:.4g}")
            if all(abs(strength - other) > _SAME * strength for other in (*tried, *wanted)):
                wanted.append(strength)
    return wanted


def _with_learning(config: SearchConfig, method: str, features: tuple[str, ...]) -> SearchConfig:
    learning = config.learning.model_copy(update={"method": method, "features": features})
    return config.model_copy(update={"learning": learning})
