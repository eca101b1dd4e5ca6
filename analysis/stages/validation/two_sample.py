"""Stage `two-sample`: the window against the template of the method, in data and in samples without signal."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.fingerprint import fingerprint
from analysis.errors import CwolaError
from analysis.learning import LEARNERS
from analysis.methods import METHODS
from analysis.regions import MassWindow
from analysis.results.record_folder import TwoSampleFile
from analysis.search.requirements import require_known, require_samples
from analysis.search.values import SearchData
from analysis.search.window import WindowTask, window_task
from analysis.stages.inputs import SearchInputs, stage
from analysis.stages.validation.validate import read_pools, sample_keys
from analysis.statistics.two_sample import PermutationTest, Trial, Union, classifier_tests, neighbour_test, trial
from analysis.validation import SOURCES, Draw, NotTestable, Pools, Source, find_sources, plan_draws
from analysis.validation.templates import DATA, TemplateTest, window_and_template

__all__ = ["TwoSampleSettings", "compare_templates", "comparison_key"]

_log = logging.getLogger("cwola")

_KIND = "two_sample"


@dataclass(frozen=True)
class TwoSampleSettings:
    """Settings of the comparison.

    Attributes
    ----------
    permutations : int
        Permutations for the divergence, which needs no training.
    trainings : int
        Permutations for classifiers, each trained anew; 0 leaves these tests out.
    events : int
        Largest number of events of either sample.
    """

    permutations: int = 500
    trainings: int = 50
    events: int = 20_000


def compare_templates(
    inputs: SearchInputs,
    backend: Backend,
    settings: TwoSampleSettings,
    *,
    sources: Sequence[str] | None = None,
    windows: Sequence[str] | None = None,
) -> tuple[TemplateTest, ...]:
    """Test windows against the template of the method, unless it is on disk, and write `two_sample.json`.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    settings : TwoSampleSettings
    sources : sequence of str, optional
        Sources of signal-free samples; by default those that keep the dependence of features on m_jj.
    windows : sequence of str, optional
        Names of the windows; all by default.

    Returns
    -------
    tuple of TemplateTest
        Per window the data, unless the search is blinded, and one sample of each source.

    Raises
    ------
    ConfigError
        If a window or a source is unknown, or the method lacks simulation or truth.
    """
    config, folder = inputs.config, inputs.folder
    inputs.events.require_selection(config, folder)
    require_known(config)
    require_samples(config, truth=inputs.truth is not None, simulation=bool(inputs.background))
    names = [source.name for source in SOURCES if source.keeps_drift] if sources is None else sources
    chosen = find_sources(names)
    with stage("two-sample"):
        rows = [row for window in inputs.regions.named(windows) for row in _rows(inputs, window, chosen)]
        keys = {row.place: _key(inputs, row, settings) for row in rows}
        stored = folder.load_records(TemplateTest, _KIND, keys.values())
        found = {row.place: stored[keys[row.place]] for row in rows if keys[row.place] in stored}
        todo = [row for row in rows if row.place not in found]
        for row, test in _compared(inputs, todo, settings, backend):
            found[row.place] = test
            if row.task is not None:
                folder.save_record(_KIND, keys[row.place], test)
            _log.info("%s in window %s: %s", row.sample, row.window.name, test.reason or "compared")
        tests = tuple(found[row.place] for row in rows)
        folder.save_two_sample(TwoSampleFile(tests, vars(settings), comparison_key(inputs, tests, settings)))
    return tests


def comparison_key(inputs: SearchInputs, tests: Sequence[TemplateTest], settings: TwoSampleSettings) -> str:
    """Fingerprint of tests of windows and samples, as in `two_sample.json`.

    Raises
    ------
    ConfigError
        If the search does not have a window or a sample of the tests.
    """
    sources = find_sources([name for name in dict.fromkeys(test.sample for test in tests) if name != DATA])
    windows = inputs.regions.named([test.window for test in tests])
    keys = {row.place: _key(inputs, row, settings) for window in windows for row in _rows(inputs, window, sources)}
    return fingerprint(code=(), upstream=[keys[test.window, test.sample] for test in tests])


@dataclass(frozen=True)
class _Row:
    """One sample in one window; without a task it cannot be compared."""

    window: MassWindow
    sample: str
    task: WindowTask | None
    draw: Draw | None = None
    reason: str | None = None

    @property
    def place(self) -> tuple[str, str]:
        return self.window.name, self.sample

    def empty(self, method: str) -> TemplateTest:
        return TemplateTest(window=self.window.name, sample=self.sample, method=method, reason=self.reason)


@dataclass(frozen=True)
class _Events:
    """Events of the rows; None where no row needs them."""

    data: SearchData | None
    pools: Pools | None


def _rows(inputs: SearchInputs, window: MassWindow, sources: Sequence[Source]) -> Iterator[_Row]:
    config = _single(inputs.config)
    if inputs.blinded:
        yield _Row(window, DATA, None, reason="the search is blinded: nothing inside the mask is looked at.")
    else:
        yield _Row(window, DATA, window_task(window, inputs.regions, config))
    single = replace(inputs.regions, windows=(window,))
    once = config.model_copy(update={"validation": config.validation.model_copy(update={"draws": 1})})
    for draw in plan_draws(single, once, sources, pt_hat_min=inputs.threshold):
        yield _Row(window, draw.source.name, draw.task, draw, draw.reason)


def _single(config: SearchConfig) -> SearchConfig:
    """Return the configuration with one training per window."""
    return config.model_copy(update={"learning": config.learning.model_copy(update={"n_seeds": 1})})


def _key(inputs: SearchInputs, row: _Row, settings: TwoSampleSettings) -> str:
    config = _single(inputs.config)
    if row.draw is not None:
        upstream = sample_keys(inputs)(row.draw.source, row.window, row.draw.number)
    else:
        upstream = fingerprint(
            code=(),
            events=inputs.identity,
            config=(config, "learning"),
            seed=config.random_state,
            plugins=[(METHODS, [config.learning.method]), (LEARNERS, [config.learning.learner])],
            window=row.window.to_json(),
            edges=inputs.regions.edges(row.window).tolist(),
        )
    return fingerprint(code=["analysis.stages.validation.two_sample"], upstream=[upstream], settings=vars(settings))


def _compared(
    inputs: SearchInputs, rows: Sequence[_Row], settings: TwoSampleSettings, backend: Backend
) -> Iterator[tuple[_Row, TemplateTest]]:
    """Compare row by row; divergences of all rows first, since they take one worker each."""
    method = inputs.config.learning.method
    possible = [row for row in rows if row.task is not None]
    yield from ((row, row.empty(method)) for row in rows if row.task is None)
    if not possible:
        return
    sources = [row.draw.source for row in possible if row.draw is not None]
    events = _Events(
        inputs.fitted if any(row.draw is None for row in possible) else None,
        read_pools(inputs, sources) if sources else None,
    )
    tasks = [(row, method, settings) for row in possible]
    results = backend.map(_measure, tasks, shared=events)
    measured = dict(track(results, total=len(tasks), description="Divergences by nearest neighbours"))
    for index, row in enumerate(possible):
        test, union = measured[index]
        if union is not None and settings.trainings:
            test = replace(test, tests=(*test.tests, *_trained(row, union, settings, backend)))
        yield row, test


def _measure(task: tuple[_Row, str, TwoSampleSettings], events: _Events) -> tuple[TemplateTest, Union | None]:
    """Make the samples of one row, and test their divergence."""
    row, method, settings = task
    assert row.task is not None
    found, data = row.empty(method), events.data
    if row.draw is not None:
        assert events.pools is not None
        setting = replace(row.draw.searched, window=row.task.window, edges=row.task.edges)
        sample = row.draw.source.make(events.pools, setting)
        if isinstance(sample, NotTestable):
            return replace(found, reason=sample.reason), None
        data, found = sample.data, replace(found, notes=sample.notes)
    assert data is not None
    try:
        union = window_and_template(row.task, data, most=settings.events)
    except CwolaError as error:
        return replace(found, reason=str(error)), None
    n_window, n_template = union.sizes
    test = neighbour_test(union, permutations=settings.permutations, seed=row.task.config.random_state)
    return replace(found, n_window=n_window, n_template=n_template, tests=(test,)), union


def _trained(row: _Row, union: Union, settings: TwoSampleSettings, backend: Backend) -> tuple[PermutationTest, ...]:
    assert row.task is not None
    shared = union, row.task.config.random_state
    numbers = range(settings.trainings + 1)
    results = backend.map(_trial, numbers, shared=shared)
    description = f"Trainings, {row.sample} in {row.window.name} GeV"
    done = dict(track(results, total=len(numbers), description=description))
    return classifier_tests([done[number] for number in numbers])


def _trial(number: int, shared: tuple[Union, int]) -> Trial:
    union, seed = shared
    return trial(union, number, seed=seed)
