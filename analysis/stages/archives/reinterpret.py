"""Stage `reinterpret`: limits of an archived search on a signal of somebody else, with classifiers trained again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.documents import to_json
from analysis.core.plugins import require_same_plugins
from analysis.core.scratch import ScratchFolder
from analysis.core.text_files import CONTROL, read_bytes, shown
from analysis.errors import ConfigError, ResultsError, writing
from analysis.events.dataset import Dataset
from analysis.events.parts import Part, events_folder, variation_folder, weights_folder
from analysis.events.schema import FeatureSpec
from analysis.export.archive import SEARCH, ArchiveDocument, open_archive
from analysis.export.archive.container import DOCUMENT
from analysis.export.target import new_folder
from analysis.limits.values import FailedLimit, InjectionLimit
from analysis.results import ResultsFolder
from analysis.results.blinding import blind
from analysis.results.processed_events import ProcessedEvents, load_processed
from analysis.results.selected_events import point_to_events
from analysis.stages.figures import plot_injections
from analysis.stages.files import describe_files
from analysis.stages.inputs import SearchInputs, stage
from analysis.stages.limit import limit
from analysis.stages.process import process
from analysis.stages.score import Rate

__all__ = ["NewSignal", "Reinterpretation", "reinterpret", "unpack_archive"]

_DIGEST = re.compile(r"[0-9a-f]{1,64}")


@dataclass(frozen=True)
class NewSignal:
    """A signal sample.

    Attributes
    ----------
    files : tuple of str
        Paths or URLs of simulated files of one sample.
    name : str or None
        By default the name of the first file.
    format_name, tree : str or None
        Format and tree of the files; by default detected in the first file.
    rate : Rate
        Luminosity, by default that of the archived search; cross-section and number of generated events.
    """

    files: tuple[str, ...]
    name: str | None = None
    format_name: str | None = None
    tree: str | None = None
    rate: Rate = Rate()  # noqa: RUF009 - it is frozen

    def dataset(self, document: ArchiveDocument) -> Dataset:
        """Return the dataset to process.

        Raises
        ------
        ConfigError
            If the name cannot be used or is taken, or a cross-section has no luminosity.
        InputFileError
            If no format is detected.
        """
        name = self.name or PurePath(self.files[0].partition("?")[0]).name.partition(".")[0]
        if not name or CONTROL.search(name):
            msg = f"--name: {shown(name)} is no name of a signal."
            raise ConfigError(msg)
        if name in document.datasets:
            msg = f"the archive has a dataset {name} already: choose another name with --name."
            raise ConfigError(msg)
        lumi = document.lumi_ifb if self.rate.lumi_ifb is None else self.rate.lumi_ifb
        if self.rate.xsec_pb is not None and lumi is None:
            msg = "--xsec needs --lumi: the archive does not tell the luminosity of the search."
            raise ConfigError(msg)
        format_name, files = describe_files(self.files, self.format_name, self.tree)
        return Dataset(
            name,
            "signal",
            format_name,
            files,
            xsec_pb=self.rate.xsec_pb,
            lumi_ifb=lumi,
            n_generated=self.rate.n_generated,
        )


@dataclass(frozen=True)
class Reinterpretation:
    """Limits on a new signal.

    Attributes
    ----------
    name : str
    limits : tuple of InjectionLimit or FailedLimit
    archived : tuple of InjectionLimit or FailedLimit
        Limits of the archived search on its own signals.
    figures : list of pathlib.Path
    notes : tuple of str
    """

    name: str
    limits: tuple[InjectionLimit | FailedLimit, ...]
    archived: tuple[InjectionLimit | FailedLimit, ...]
    figures: list[Path]
    notes: tuple[str, ...]


def unpack_archive(path: Path, output: Path) -> ArchiveDocument:
    """Check an archive, and unpack it into a results folder; one that was unpacked there before is left as it is.

    Parameters
    ----------
    path : pathlib.Path
    output : pathlib.Path
        New or empty folder, or one with the same archive.

    Returns
    -------
    ArchiveDocument

    Raises
    ------
    ResultsError
        If the archive is damaged, see `analysis.export.archive.open_archive`, or the folder is not empty.
    """
    with open_archive(path) as archive:
        try:
            known = read_bytes(output / DOCUMENT) == archive.raw
        except OSError:
            known = False
        if not known:
            with new_folder(output, option="--output") as staged:
                archive.unpack(staged)
        return archive.document


def reinterpret(
    document: ArchiveDocument, signal: NewSignal, config: SearchConfig, folder: ResultsFolder, backend: Backend
) -> Reinterpretation:
    """Select the events of a signal as in the archived search, and set limits on it by all rules.

    Parameters
    ----------
    document : ArchiveDocument
    signal : NewSignal
    config : SearchConfig
        Configuration of the archive, with its plugins loaded.
    folder : ResultsFolder
        Folder of the unpacked archive.
    backend : Backend

    Returns
    -------
    Reinterpretation

    Raises
    ------
    ConfigError
        If a plugin of the search is not loaded or of another version, or the signal cannot be used as it is given.
    ResultsError
        If the archive names files outside it, or its events have other features than those of the signal.
    """
    _require_plugins(document, folder)
    events = load_processed(folder)
    _require_inside(events, config, folder)
    dataset = signal.dataset(document)
    notes = _add_signal(dataset, events, document, config, folder, backend)
    inputs = SearchInputs.load(folder, config)
    limits = limit(inputs, backend, signals=[dataset.name])
    if document.synthetic is not None:
        # No count of synthetic events is an observation.
        stored = folder.load_injections()
        folder.save_limits(stored.search, stored.samples or {}, blind(stored))
        limits = tuple(one for one in folder.load_injections().limits if one.dataset == dataset.name)
    figures = plot_injections(folder, config, backend)
    return Reinterpretation(dataset.name, limits, _archived_limits(folder), figures, notes)


def _archived_limits(folder: ResultsFolder) -> tuple[InjectionLimit | FailedLimit, ...]:
    search = folder.path / SEARCH
    return ResultsFolder(search).load_injections().limits if search.is_dir() else ()


def _require_plugins(document: ArchiveDocument, folder: ResultsFolder) -> None:
    records = [{**to_json(plugin), "of_events": True} for plugin in document.plugins]
    where = f"the archived search in {folder.path} was made"
    require_same_plugins(records, where, "Plugins run as code and are not in archives: ask those who published it.")


def _require_inside(events: ProcessedEvents, config: SearchConfig, folder: ResultsFolder) -> None:
    """Raise if an unpacked archive names a file or address outside it, as no export does."""
    top = folder.path.absolute()
    files = [
        *config.selection.files().values(),
        *(entry.file for entry in config.systematics if entry.file is not None),
    ]
    outside = [str(file.path) for file in files if file.path.parent != top]
    parts = [part for record in events.records.values() for part in record.parts]
    outside += [part for part in parts if part != PurePath(part).name or part.startswith(".")]
    outside += [] if _DIGEST.fullmatch(events.digest) else [events.digest]
    outside += [] if events.location is None else [events.location]
    if outside:
        msg = (
            f"{folder.path} names {shown(outside[0])}, which is outside the archive, and is not used: archives of "
            "`cwola export search` hold all that they name."
        )
        raise ResultsError(msg)


def _add_signal(
    dataset: Dataset,
    events: ProcessedEvents,
    document: ArchiveDocument,
    config: SearchConfig,
    folder: ResultsFolder,
    backend: Backend,
) -> tuple[str, ...]:
    """Select the events of the signal, and put them beside the archived ones; return what the reader must know."""
    _require_selection(events, config, folder)
    with stage("reinterpret"), ScratchFolder(".reinterpreting_", folder.path) as scratch:
        place = ResultsFolder(scratch)
        made = process({dataset.name: dataset}, config, place, backend)
        _require_normalisation(dataset, made)
        _require_features(dataset, made, place, events, folder, document)
        _move_parts(dataset.name, made, place, events, folder)
        _merge(folder, to_json(place.load_process()), dataset.name, config)
    folder.save_config(config)
    point_to_events(folder, load_processed(folder))
    if made.digest == events.digest:
        return ()
    note = (
        f"The events of the archive were selected by other code, of cwola-dijet {document.cwola}, than those of the "
        "signal: see the changelog whether the selection of events has changed since."
    )
    return (note,)


def _require_selection(events: ProcessedEvents, config: SearchConfig, folder: ResultsFolder) -> None:
    same = _plain(events.selection) == _plain(config.selection.model_dump(mode="json"))
    entries = [entry.model_dump(mode="json") for entry in config.systematics]
    if not (same and _plain(events.configured_systematics) == _plain(entries)):
        msg = (
            f"{folder.config} has another [selection] or other [[systematics]] than the archived events. Name a new "
            "folder with --output, to unpack the archive again."
        )
        raise ResultsError(msg)


def _plain(value: Any) -> Any:
    """Return a document with files by name: their folder differs from place to place."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return PurePath(value).name if isinstance(value, str) and "/" in value else value


def _require_normalisation(dataset: Dataset, made: ProcessedEvents) -> None:
    if dataset.is_normalised and made.records[dataset.name].sum_of_weights is None:
        msg = (
            "the files do not record how many events were generated, so --xsec cannot be applied. Give --generated "
            "NUMBER, the sum of generator weights before any cut."
        )
        raise ConfigError(msg)


def _require_features(
    dataset: Dataset,
    made: ProcessedEvents,
    place: ResultsFolder,
    events: ProcessedEvents,
    folder: ResultsFolder,
    document: ArchiveDocument,
) -> None:
    """Raise if another version computes other features."""
    own = _features([dataset.name], made, place)
    archived = _features(list(events.records), events, folder)
    if own != archived:
        names = [", ".join(spec.name for spec in specs) for specs in (own, archived)]
        msg = (
            f"the signal has the features {names[0]}, and the archived events {names[1]}, or with other definitions. "
            f"Install cwola-dijet {document.cwola}, which wrote the archive."
        )
        raise ResultsError(msg)


def _features(names: Sequence[str], events: ProcessedEvents, folder: ResultsFolder) -> tuple[FeatureSpec, ...]:
    path = next(path for name in names for path in events.part_paths(name, folder))
    return Part.open(path).features


def _move_parts(
    name: str, made: ProcessedEvents, place: ResultsFolder, events: ProcessedEvents, folder: ResultsFolder
) -> None:
    source, target = place.parts / made.digest, folder.parts / events.digest
    folders = [(events_folder(source, name), events_folder(target, name))]
    folders.append((weights_folder(source, name), weights_folder(target, name)))
    folders += [
        (variation_folder(source, variation, name), variation_folder(target, variation, name))
        for variation in made.records[name].variations
    ]
    for before, after in folders:
        assert isinstance(before, Path)
        assert isinstance(after, Path)
        if before.is_dir():
            with writing(after):
                shutil.rmtree(after, ignore_errors=True)
                after.parent.mkdir(parents=True, exist_ok=True)
                before.replace(after)


def _merge(folder: ResultsFolder, made: Mapping[str, Any], name: str, config: SearchConfig) -> None:
    """Add the signal to the record of the archived events."""
    document = to_json(folder.load_process())
    document["datasets"][name] = made["datasets"][name]
    known = {entry["name"] for entry in document["systematics"]}
    document["systematics"] += [entry for entry in made["systematics"] if entry["name"] not in known]
    document["selection"] = config.selection.model_dump(mode="json")
    document["configured_systematics"] = [entry.model_dump(mode="json") for entry in config.systematics]
    folder.save_process(document)
