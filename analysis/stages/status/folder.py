"""State of a results folder, stage by stage."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property

from analysis.config import SearchConfig
from analysis.core.counted import counted
from analysis.core.lock import holder
from analysis.core.text_files import open_regular
from analysis.errors import ConfigError, ResultsError
from analysis.regions import MassWindow
from analysis.results import ResultsFolder
from analysis.results.folder import StoredTraining
from analysis.results.manifest import Manifest
from analysis.results.performance import performance_fingerprint
from analysis.results.processed_events import ProcessedEvents, load_processed
from analysis.search.non_closure import NonClosure
from analysis.search.requirements import measured_corrections
from analysis.stages.calibrate import calibration_key
from analysis.stages.diagnose import diagnosis_key
from analysis.stages.inputs import SearchInputs
from analysis.stages.process import changed_files, selection_problem
from analysis.stages.scan import training_keys
from analysis.stages.signals import signals_key
from analysis.stages.status.log import last_command
from analysis.stages.status.values import (
    FINISHED,
    INCOMPLETE,
    NOT_STARTED,
    RUNNING,
    STALE,
    UNKNOWN,
    FolderStatus,
    StageStatus,
)
from analysis.stages.validation.drift import drift_key
from analysis.stages.validation.two_sample import TwoSampleSettings, comparison_key
from analysis.stages.validation.validate import load_verdicts, sample_keys
from analysis.validation import find_sources
from analysis.validation.verdicts import corrections as measured_non_closure

__all__ = ["folder_status"]

_OF_A_RUN = ("process", "validate", "drift", "scan", "signals", "diagnose", "plot", "report")
_MARKS = ("process.json", "config.json", "results.json", "cwola.log")
"""Files of which a results folder has at least one."""

_OTHER = "other settings, events or code"
_HEAD = 100_000
"""Bytes at the beginning of a report, which name the results that it shows."""


def folder_status(folder: ResultsFolder, config: SearchConfig | None, *, exclude: Iterable[str] = ()) -> FolderStatus:
    """Tell what is finished, running, stale and not started in a results folder, without a change to it.

    Parameters
    ----------
    folder : ResultsFolder
        May be read-only, and in use by another command.
    config : SearchConfig or None
        Settings that the results are compared with; None if there are none yet.
    exclude : iterable of str
        Datasets that the scan leaves out.

    Returns
    -------
    FolderStatus

    Raises
    ------
    ResultsError
        If it is no results folder, or a file is damaged.
    """
    held = holder(folder.path)
    if held is None and not any((folder.path / name).exists() for name in _MARKS):
        msg = (
            f"{folder.path} is not a results folder, or nothing was done in it: it has none of {', '.join(_MARKS)}. "
            f"Run `cwola run --output {folder.path}`, or name another folder."
        )
        raise ResultsError(msg)
    last = last_command(folder.log)
    stages, notes = _stages(folder, config, exclude)
    active = set(last.stages) if held is not None and last is not None else set()
    shown = tuple(_running(one, active, interrupted=held is None) for one in stages)
    return FolderStatus(shown, held, None if last is None else last.text, tuple(notes))


def _running(found: StageStatus, active: set[str], *, interrupted: bool) -> StageStatus:
    """Mark the stages that run, and their windows in work."""
    if found.stage in active and (found.window == "" or found.state == INCOMPLETE):
        return replace(found, state=RUNNING)
    if interrupted and found.state == INCOMPLETE and found.window == "":
        return replace(found, note=f"{found.note}; nothing is running")
    return found


def _stages(
    folder: ResultsFolder, config: SearchConfig | None, exclude: Iterable[str]
) -> tuple[list[StageStatus], list[str]]:
    if config is None or not (folder.path / "process.json").exists():
        return [StageStatus(stage, "", NOT_STARTED) for stage in _OF_A_RUN], []
    events = load_processed(folder)
    state = _State(events, SearchInputs(events.without(exclude), config, folder))
    try:
        problem = selection_problem(events, config, folder)
        searched = list(state.stages())
    except ConfigError as error:
        unknown = [StageStatus(stage, "", UNKNOWN) for stage in _OF_A_RUN]
        return unknown, [f"It cannot be told what is current: {error}"]
    changed = changed_files(events)
    notes = [f"process: {problem}"] * bool(problem)
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        notes.append(f"process: the content of {changed[0]}{more} has changed. Run `cwola process` or `cwola run`.")
    n_files = sum(len(record.files) for record in events.records.values())
    if not notes:
        return [StageStatus("process", "", FINISHED, counted(n_files, "file")), *searched], state.notes
    found = StageStatus("process", "", STALE, "changed input files" if changed else "other selection")
    return [found, *map(_outdated, searched)], [*notes, *state.notes]


def _outdated(found: StageStatus) -> StageStatus:
    """Mark a result of events that would be selected again."""
    return replace(found, state=STALE, note="of stale events") if found.state == FINISHED else found


@dataclass
class _State:
    """State of all stages after `process`; `events` are those of all datasets."""

    events: ProcessedEvents
    inputs: SearchInputs
    notes: list[str] = field(default_factory=list)

    def stages(self) -> Iterator[StageStatus]:
        """Yield the stages in the order of `cwola run`, and then the others of which there are results."""
        folder, inputs = self.inputs.folder, self.inputs
        yield from self._validate()
        yield self._keyed("drift", "drift.json", drift_key(inputs))
        yield from self._scan()
        if inputs.signals:
            yield self._keyed("signals", "signals/signals.json", signals_key(inputs, self._first_keys))
        yield self._keyed("diagnose", "diagnostics.json", diagnosis_key(inputs, self._keys_as_stored))
        yield self._plot()
        yield self._report()
        yield from self._injections()
        performance = performance_fingerprint(self.events, inputs.config)
        further = {
            "calibrate": ("calibration.json", calibration_key(inputs)),
            "performance": ("performance.json", performance),
            "compare": ("methods.json", performance),
        }
        for stage, (name, key) in further.items():
            if (folder.path / name).exists():
                yield self._keyed(stage, name, key)
        yield from self._studies()
        for variant in inputs.config.variants:
            self.notes.append(f"Variant {variant.name}: see `cwola status {folder.path / 'variants' / variant.name}`.")

    def _studies(self) -> Iterator[StageStatus]:
        """Yield what was measured beside the search."""
        inputs, folder = self.inputs, self.inputs.folder
        if (turn_on := folder.load_turn_on()) is not None:
            current = turn_on.triggers == inputs.config.selection.triggers
            yield StageStatus("turnon", "", *((FINISHED,) if current else (STALE, "other triggers")))
        if (folder.path / "bump3d.json").exists():
            hunt, windows = folder.load_bump3d(), [window.name for window in inputs.regions.windows]
            current = (hunt.inputs, [window.name for window in hunt.windows]) == (inputs.searched, windows)
            yield StageStatus("bump3d", "", *((FINISHED,) if current else (STALE, "other windows or events")))
        if (found := folder.load_two_sample()) is not None:
            with suppress(ConfigError, TypeError):
                current = found.key == comparison_key(inputs, found.tests, TwoSampleSettings(**found.settings))
                yield StageStatus("twosample", "", *((FINISHED,) if current else (STALE, _OTHER)))
                return
            yield StageStatus("twosample", "", STALE, "other windows or samples")

    def _keyed(self, stage: str, name: str, key: str) -> StageStatus:
        stored = self.inputs.folder.stored_key(name, stage if stage in _COMMANDS else "scan")
        if stored is None:
            return StageStatus(stage, "", NOT_STARTED)
        return StageStatus(stage, "", *((FINISHED,) if stored == key else (STALE, _OTHER)))

    def _validate(self) -> Iterator[StageStatus]:
        config, folder = self.inputs.config, self.inputs.folder
        sources = find_sources(config.validation.in_run or config.validation.sources)
        key = sample_keys(self.inputs)
        windows = []
        for window in self.inputs.regions.windows:
            wanted = {
                f"validation/{window.name}_{source.name}_{number}.json": key(source, window, number)
                for source in sources
                for number in range(config.validation.draws if source.repeated else 1)
            }
            stored = {name: found for name in wanted if (found := folder.stored_key(name, "validate")) is not None}
            current = sum(wanted[name] == found for name, found in stored.items())
            windows.append(_counted("validate", window.name, current, len(stored), len(wanted), "samples"))
        yield _whole("validate", windows)
        yield from windows

    @cached_property
    def _corrections(self) -> Mapping[str, Mapping[str, NonClosure]]:
        verdicts, config = load_verdicts(self.inputs), self.inputs.config
        return measured_corrections(measured_non_closure(verdicts) if verdicts else None, self.inputs.regions, config)

    @cached_property
    def _keys(self) -> dict[tuple[MassWindow, int], str]:
        return training_keys(self.inputs, self._corrections)

    @property
    def _first_keys(self) -> list[str]:
        return [key for (_, seed), key in self._keys.items() if seed == 0]

    @property
    def _keys_as_stored(self) -> list[str]:
        """First trainings of the windows, and then further ones, as in the manifest."""
        return [*self._first_keys, *(key for (_, seed), key in self._keys.items() if seed)]

    def _scan(self) -> Iterator[StageStatus]:
        stored, windows = self.inputs.folder.stored_trainings(), []
        for window in self.inputs.regions.windows:
            wanted = {seed: key for (one, seed), key in self._keys.items() if one == window}
            found = {seed: stored[window.name, seed] for seed in wanted if (window.name, seed) in stored}
            windows.append(self._window(window.name, wanted, found))
        whole = _whole("scan", windows)
        if whole.state == FINISHED and self._shown != self._keys_as_stored:
            what = "of other windows" if self._shown else "not written yet"
            whole = replace(whole, state=INCOMPLETE, note=f"results.json is {what}")
        yield whole
        yield from windows

    @cached_property
    def _shown(self) -> list[str]:
        """Keys of the trainings in `results.json`; empty without it."""
        manifest = self._manifest
        return [] if manifest is None else [*(manifest.window_keys or ()), *(manifest.seed_keys or ())]

    @cached_property
    def _manifest(self) -> Manifest | None:
        """Manifest of a complete scan; None without one."""
        folder = self.inputs.folder
        if not (folder.has_results and (folder.path / "manifest.json").exists()):
            return None
        manifest = folder.read(Manifest, "manifest.json", "scan")
        return None if manifest.window_keys is None else manifest

    def _window(self, name: str, wanted: Mapping[int, str], stored: Mapping[int, StoredTraining]) -> StageStatus:
        current = {seed: one for seed, one in stored.items() if one.key == wanted[seed]}
        folds = sum(self._kept(key) for seed, key in wanted.items() if seed not in current)
        found = _counted("scan", name, len(current), len(stored), len(wanted), "trainings")
        if folds and found.state != FINISHED:
            n_folds = self.inputs.config.learning.n_folds * len(wanted)
            return replace(found, state=INCOMPLETE, note=f"{folds} of {n_folds} folds are trained")
        if found.state == STALE and any(one.inputs != self.inputs.searched for one in stored.values()):
            return replace(found, note="other events")
        if found.state == FINISHED and (bad := [one for one in current.values() if one.status != "ok"]):
            self.notes += [f"scan: {one.reason}" for one in bad[:1] if one.reason]
            return replace(found, note=bad[0].status)
        return found

    def _kept(self, key: str) -> int:
        """Return the number of finished folds of a training in work."""
        return len(list(self.inputs.folder.folds.glob(f"{key}-*")))

    def _plot(self) -> StageStatus:
        folder, manifest = self.inputs.folder, self._manifest
        if manifest is None or manifest.drawn is None:
            return StageStatus("plot", "", NOT_STARTED)
        if not folder.has_current_figures():
            return StageStatus("plot", "", STALE, "other results")
        return self._of_results("plot")

    def _report(self) -> StageStatus:
        manifest = self._manifest
        try:
            with open_regular(self.inputs.folder.path / "report.html") as page:
                head = page.read(_HEAD).decode("utf-8", errors="replace")
        except OSError:
            return StageStatus("report", "", NOT_STARTED)
        if manifest is None or f'datetime="{manifest.created}"' not in head:
            return StageStatus("report", "", STALE, "other results")
        return self._of_results("report")

    def _of_results(self, stage: str) -> StageStatus:
        """Return the state of what shows `results.json` as it is."""
        if self._shown == self._keys_as_stored:
            return StageStatus(stage, "", FINISHED)
        return StageStatus(stage, "", STALE, "of stale results")

    def _injections(self) -> Iterator[StageStatus]:
        inputs, stored = self.inputs, self.inputs.folder.load_injections()
        samples, made = inputs.samples_fingerprints(), stored.samples or {}
        for stage, found in {"limit": stored.limits, "inject": stored.sensitivity}.items():
            if not found:
                continue
            if stored.search != inputs.limits_fingerprint(self._corrections):
                yield StageStatus(stage, "", STALE, _OTHER)
                continue
            names = {one.dataset for one in found}
            current = sum(name in names and made.get(name) == sample for name, sample in samples.items())
            state = FINISHED if current == len(samples) else INCOMPLETE
            yield StageStatus(stage, "", state, f"{current} of {counted(len(samples), 'signal')}")


_COMMANDS = ("validate", "calibrate", "performance", "compare")
"""Stages whose command has their name."""


def _counted(stage: str, window: str, current: int, stored: int, wanted: int, things: str) -> StageStatus:
    note = f"{current} of {wanted} {things}" if wanted > 1 else ""
    if current == wanted:
        return StageStatus(stage, window, FINISHED, note)
    if current:
        return StageStatus(stage, window, INCOMPLETE, note)
    return StageStatus(stage, window, *((STALE, _OTHER) if stored else (NOT_STARTED,)))


def _whole(stage: str, windows: list[StageStatus]) -> StageStatus:
    """Return the state of a stage by those of its windows."""
    states = {one.state for one in windows}
    done = sum(one.state == FINISHED for one in windows)
    note = f"{done} of {counted(len(windows), 'window')}"
    if states <= {FINISHED}:
        return StageStatus(stage, "", FINISHED, note)
    if states == {NOT_STARTED}:
        return StageStatus(stage, "", NOT_STARTED)
    if states <= {STALE, NOT_STARTED}:
        return StageStatus(stage, "", STALE, _OTHER)
    return StageStatus(stage, "", INCOMPLETE, note)
