"""Stage `export search`: the search of a results folder as one file, for the signals of others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import analysis
from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.documents import from_json, to_json
from analysis.core.location import Location, read_file
from analysis.core.plugins import plugin_records
from analysis.core.scratch import ScratchFolder
from analysis.errors import ConfigError, writing
from analysis.export.archive import (
    ArchiveDocument,
    LimitDifference,
    SyntheticEvents,
    event_members,
    search_members,
    write_archive,
)
from analysis.export.archive.contents import portable_process
from analysis.export.archive.texts import text_members
from analysis.export.portable import portable_config
from analysis.limits.values import FailedLimit, InjectionLimit, LimitsFile
from analysis.results import ResultsFolder
from analysis.results.blinding import blind
from analysis.results.files import write_json
from analysis.results.values import PluginDocument
from analysis.stages.archives.synthetic import synthetic_record, write_synthetic
from analysis.stages.inputs import SearchInputs, stage
from analysis.stages.limit import limit, stored_limits, with_simulation
from analysis.statistics.two_sample import PermutationTest, Trial, Union, classifier_tests, trial
from analysis.validation.synthetic import SYNTHETIC, closure_union, make_synthetic

__all__ = ["ExportedSearch", "export_search"]

_PERMUTATIONS = 20
_MOST = 20_000
"""Events of either sample of the closure test."""

_HIDDEN, _ASKED = "the search is blinded", "the events are restricted"


@dataclass(frozen=True)
class ExportedSearch:
    """An archive that was written.

    Attributes
    ----------
    path : pathlib.Path
    sha256 : str
    size : int
        Bytes.
    document : ArchiveDocument
    """

    path: Path
    sha256: str
    size: int
    document: ArchiveDocument


def export_search(
    inputs: SearchInputs,
    backend: Backend,
    target: Path,
    *,
    synthetic: bool = False,
    texts: Mapping[str, bytes] | None = None,
) -> ExportedSearch:
    """Write the search of a results folder as one file.

    Parameters
    ----------
    inputs : SearchInputs
    backend : Backend
    target : pathlib.Path
        The archive; an existing file is replaced.
    synthetic : bool
        Give away synthetic events of the background model instead of those of the search; always so while blinded.
    texts : mapping of str to bytes, optional
        `licence` and `citation`, see `analysis.export.archive.texts.text_members`.

    Returns
    -------
    ExportedSearch

    Raises
    ------
    ConfigError
        If the events were selected with other settings, the search is blinded and the results on disk are not, or
        synthetic events are wanted and the background is corrected for its non-closure.
    TableError, FitError
        If no synthetic events can be made.
    ResultsError
        If the results are of other events, or a file cannot be read or written.
    """
    inputs.events.require_selection(inputs.config, inputs.folder)
    _require_same_search(inputs)
    limits = stored_limits(inputs)
    if limits is not None and inputs.blinded:
        limits = blind(limits)
    with stage("export search"):
        if synthetic or inputs.blinded:
            config, members, found = _with_synthetic(inputs, backend, limits, target)
        else:
            config, members, found = inputs.config, _with_events(inputs), None
        members |= portable_config(config, plugins=False)
        members |= search_members(
            inputs.folder, inputs.config, limits, of_events=found is None, models=not inputs.blinded
        )
        observed = [SYNTHETIC] if found is not None else list(inputs.observed)
        document = ArchiveDocument(
            cwola=analysis.__version__,
            datasets=(*observed, *_simulated(inputs)),
            lumi_ifb=_luminosity(inputs),
            plugins=tuple(from_json(PluginDocument, record) for record in plugin_records()),
            synthetic=found,
        )
        members |= text_members(document, **(texts or {}))
        digest = write_archive(target, members, document)
    return ExportedSearch(target, digest, target.stat().st_size, document)


def _require_same_search(inputs: SearchInputs) -> None:
    """Raise if the results on disk are of other events, or show what the configuration hides."""
    folder = inputs.folder
    if not folder.has_results:
        return
    results = folder.read_results()
    if inputs.blinded and not results.blinded:
        msg = (
            f"the configuration hides what is in the windows, and the results in {folder.path} show it. Run `cwola "
            f"scan --output {folder.path}` with this configuration, or unblind it too."
        )
        raise ConfigError(msg)
    for window in results.windows:
        if window.status != "failed":
            folder.require_inputs(window.name, inputs.searched)


def _corrected(inputs: SearchInputs) -> bool:
    return inputs.config.statistics.non_closure != "none"


def _simulated(inputs: SearchInputs) -> list[str]:
    """Names of the simulated datasets that limits need: signals, and background for methods with simulation."""
    needed = with_simulation(inputs.config) or _corrected(inputs)
    return [name for name in inputs.events.datasets if name in inputs.signals or (needed and name in inputs.background)]


def _luminosity(inputs: SearchInputs) -> float | None:
    values = {dataset.lumi_ifb for dataset in inputs.signals.values()}
    return values.pop() if len(values) == 1 else None


def _with_events(inputs: SearchInputs) -> dict[str, Location | bytes]:
    names, folder = [*inputs.observed, *_simulated(inputs)], inputs.folder
    found: dict[str, Location | bytes] = {**event_members(inputs.events, folder, names)}
    found["process.json"] = _process(folder, names)
    if _corrected(inputs):
        records = [folder.path / "validation.json", *sorted((folder.path / "validation").glob("*.json"))]
        found |= {path.relative_to(folder.path).as_posix(): path for path in records if path.is_file()}
    return found


def _process(folder: ResultsFolder, names: Sequence[str], further: Mapping[str, Any] | None = None) -> bytes:
    document = portable_process(to_json(folder.load_process()), names)
    document["datasets"] = {**(further or {}), **document["datasets"]}
    return json.dumps(document, indent=1, allow_nan=False).encode()


def _with_synthetic(
    inputs: SearchInputs, backend: Backend, limits: LimitsFile | None, target: Path
) -> tuple[SearchConfig, dict[str, Location | bytes], SyntheticEvents]:
    """Make synthetic events, and measure how well they stand for the others."""
    if _corrected(inputs):
        msg = (
            'statistics.non_closure = "correct" holds for the events that were validated, not for synthetic ones. '
            'Export without --synthetic, or with non_closure = "none".'
        )
        raise ConfigError(msg)
    config, masks = _open_kind(inputs), inputs.hidden
    table = inputs.stored.read(config.scan.fit_range)  # all features, which are written
    made = make_synthetic(table, config, masks)
    names = _simulated(inputs)
    with writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with ScratchFolder(".exporting_", target.parent) as scratch:
        staged = ResultsFolder(scratch)
        part, content = write_synthetic(staged, inputs.events.digest, made.table)
        members: dict[str, Location | bytes] = {part.relative_to(scratch).as_posix(): part.read_bytes()}
        members |= event_members(inputs.events, inputs.folder, names)
        record = synthetic_record(made.table, part.name, content, inputs.threshold)
        members["process.json"] = _process(inputs.folder, names, {SYNTHETIC: record})
        compared = _limit_differences(members, config, staged, backend, limits)
    found = SyntheticEvents(
        reason=_HIDDEN if inputs.blinded else _ASKED,
        n_events=len(made.table),
        n_parents=made.n_parents,
        masks=masks,
        tests=_closure(closure_union(table, config, masks, config.learning.features, most=_MOST), config, backend),
        limits=compared,
    )
    return config, members, found


def _open_kind(inputs: SearchInputs) -> SearchConfig:
    """Return the configuration with which pseudodata are blinded as the data were."""
    statistics = inputs.config.statistics.model_copy(update={"blind": inputs.blinded})
    return inputs.config.model_copy(update={"statistics": statistics})


def _closure(union: Union, config: SearchConfig, backend: Backend) -> tuple[PermutationTest, ...]:
    numbers = range(_PERMUTATIONS + 1)
    results = backend.map(_closure_trial, numbers, shared=(union, config.random_state))
    done = dict(track(results, total=len(numbers), description="Closure of synthetic events"))
    return classifier_tests([done[number] for number in numbers])


def _closure_trial(number: int, shared: tuple[Union, int]) -> Trial:
    union, seed = shared
    return trial(union, number, seed=seed)


def _limit_differences(
    members: Mapping[str, Location | bytes],
    config: SearchConfig,
    staged: ResultsFolder,
    backend: Backend,
    limits: LimitsFile | None,
) -> tuple[LimitDifference, ...]:
    """Set the limits of the search again, with synthetic events."""
    before = _expected(() if limits is None else limits.limits)
    if not before:
        return ()
    for name, content in members.items():
        path = staged.path.joinpath(*name.split("/"))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else read_file(content))
    _select_as(staged, config)
    inputs = SearchInputs.load(staged, config)
    after = _expected(limit(inputs, backend, signals=list(dict.fromkeys(signal for signal, _ in before))))
    return tuple(
        LimitDifference(signal=signal, rule=rule, selected=value, synthetic=after.get((signal, rule)))
        for (signal, rule), value in before.items()
    )


def _select_as(staged: ResultsFolder, config: SearchConfig) -> None:
    """Name the files of this configuration in the record of the events, whose paths were taken out."""
    document = to_json(staged.load_process())
    document["selection"] = config.selection.model_dump(mode="json")
    document["configured_systematics"] = [entry.model_dump(mode="json") for entry in config.systematics]
    write_json(staged.path / "process.json", document)


def _expected(limits: Sequence[InjectionLimit | FailedLimit]) -> dict[tuple[str, str], float]:
    """Median expected limits by signal and rule."""
    return {
        (one.dataset, one.rule): median
        for one in limits
        if isinstance(one, InjectionLimit) and (median := one.expected_selected[2]) is not None
    }
