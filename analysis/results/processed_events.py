"""Selected events of a results folder, for the stages after the processing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from analysis.config import SearchConfig
from analysis.core.documents import digest
from analysis.core.location import Location, parse_location
from analysis.core.notebook import grid
from analysis.core.plugins import require_same_plugins
from analysis.errors import ConfigError
from analysis.events.dataset import Dataset
from analysis.events.datasets import exclude_datasets, observed_datasets
from analysis.events.parts import events_folder, variation_folder, weights_folder
from analysis.events.schema import SEARCH_REGION
from analysis.events.stored import StoredEvents
from analysis.events.table import EventTable
from analysis.results.folder import ResultsFolder
from analysis.results.process_values import ProcessedDataset
from analysis.results.values import Cutflow, InputFile, SkippedFile

__all__ = ["ProcessedEvents", "is_blinded", "load_processed", "unblinding_setting"]


@dataclass(frozen=True)
class ProcessedEvents:
    """Output of the processing stage in a results folder.

    Attributes
    ----------
    datasets : dict of str to Dataset
    records : mapping of str to ProcessedDataset
        Parts, sum of weights, cutflow, files and sanity counters of each dataset.
    digest : str
        Digest of the selection and code that made the parts; names their folder.
    selection : dict
        The selection as configured.
    systematics : list of dict
        Varied systematics: name, kind, effect ("jets", "weights" or "rate"), datasets, sides, members, combine and
        value.
    configured_systematics : list of dict
        Entries of the systematics in the configuration.
    plugins : tuple of dict
        Records of the plugins used in the processing.
    location : str or None
        Address of the parts; None if they are in the results folder.
    """

    datasets: dict[str, Dataset]
    records: Mapping[str, ProcessedDataset]
    digest: str
    selection: dict[str, Any]
    systematics: list[dict[str, Any]] = field(default_factory=list)
    configured_systematics: list[dict[str, Any]] = field(default_factory=list)
    plugins: tuple[dict[str, Any], ...] = ()
    location: str | None = None

    def __repr__(self) -> str:
        return f"ProcessedEvents({', '.join(self.datasets)})"

    def _repr_html_(self) -> str:
        cutflow = self.cutflow
        cuts = dict.fromkeys(cut for passed in cutflow.values() for cut in passed)
        rows = [[cut, *(passed[cut].events if cut in passed else None for passed in cutflow.values())] for cut in cuts]
        return grid("Events that are left after each cut", ["Cut", *cutflow], rows)

    @property
    def skipped_files(self) -> tuple[SkippedFile, ...]:
        """Files that were left out."""
        return tuple(
            SkippedFile(name, file.filename, file.reason, file.n_entries)
            for name, record in self.records.items()
            for file in record.skipped_files
        )

    @property
    def cutflow(self) -> Cutflow:
        """Events and weights after each cut, by dataset."""
        return {name: record.cutflow for name, record in self.records.items()}

    @property
    def n_minus_one(self) -> Cutflow:
        """Events and weights that pass all other cuts, by dataset and cut."""
        return {name: record.n_minus_one for name, record in self.records.items()}

    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """Files that were read."""
        return tuple(
            InputFile(
                name,
                self.datasets[name].kind,
                file.filename,
                file.treename,
                file.uuid,
                file.n_entries,
                file.content,
            )
            for name, record in self.records.items()
            for file in record.files
        )

    def parts_folder(self, folder: ResultsFolder) -> Location:
        """Return the folder of the parts: in the results folder, unless they are stored elsewhere."""
        return folder.parts if self.location is None else parse_location(self.location)

    def part_paths(self, name: str, folder: ResultsFolder) -> tuple[Location, ...]:
        """Return the paths of the parts of one dataset."""
        top = self.parts_folder(folder)
        return self._in(events_folder(top / self.digest, name), name)

    def _in(self, folder: Location, name: str) -> tuple[Location, ...]:
        return tuple(folder / part for part in self.records[name].parts)

    def scale(self, name: str) -> float:
        """Return the factor that normalises the weights of one dataset."""
        return self.datasets[name].scale(self.records[name].sum_of_weights)

    def content(self, name: str) -> list[Any]:
        """Return the identity of the selected events of one dataset: its parts and the content of its input files."""
        record = self.records[name]
        return [record.parts, [file.content for file in record.files]]

    def identity(self, *, blinded: bool) -> str:
        """Return the digest of the searched events, independent of the location of their files."""
        observed = observed_datasets(self.datasets)
        identities = [[name, dataset.is_signal, self.content(name)] for name, dataset in observed.items()]
        return digest([self.digest, blinded, *identities])

    def stored(self, names: Iterable[str], folder: ResultsFolder) -> StoredEvents:
        """Return the normalised events of some datasets in the search region, to be read by mass range and columns."""
        chosen = list(names)
        paths = tuple(path for name in chosen for path in self.part_paths(name, folder))
        return StoredEvents(paths, {name: self.scale(name) for name in chosen}, SEARCH_REGION)

    def searched(self, folder: ResultsFolder) -> StoredEvents:
        """Return the events that are searched, in the order of all arrays of a scan."""
        return self.stored(observed_datasets(self.datasets), folder)

    def read_signal(self, name: str, folder: ResultsFolder, weights: Sequence[str] = ()) -> EventTable:
        """Read the normalised events of one dataset in the search region, with the varied weights in columns `weights`.

        A varied weight that preserves the sum before cuts is divided by the ratio of the sums.
        """
        table = EventTable.from_parts(
            self.part_paths(name, folder),
            {name: self.scale(name)},
            weights=weights,
            weight_paths=self._in(weights_folder(self.parts_folder(folder) / self.digest, name), name),
        )
        ratios = self.records[name].varied_sums
        factors = {weight: 1.0 / ratios[weight] for weight in weights if weight in ratios}
        return table.reweighted(factors).in_region(SEARCH_REGION)

    def read_variation(self, name: str, variation: str, folder: ResultsFolder) -> EventTable:
        """Read the normalised events of one dataset with varied jets."""
        parts = variation_folder(self.parts_folder(folder) / self.digest, variation, name)
        return EventTable.from_parts(self._in(parts, name), {name: self.scale(name)})

    def systematics_of(self, name: str) -> list[dict[str, Any]]:
        """Return the systematics of one dataset."""
        return [one for one in self.systematics if not one["datasets"] or name in one["datasets"]]

    def read_all(self, name: str, folder: ResultsFolder) -> EventTable:
        """Read all normalised events of one dataset, in both rapidity regions, for users: no stage needs them."""
        return EventTable.from_parts(self.part_paths(name, folder), {name: self.scale(name)})

    def require_selection(self, config: SearchConfig, folder: ResultsFolder) -> None:
        """Raise if the events were processed with another selection, other systematics or other plugins.

        Raises
        ------
        ConfigError
        """
        if self.selection != config.selection.model_dump(mode="json"):
            msg = (
                f"the events in {self.parts_folder(folder)} were selected with other settings in [selection]. Run "
                "`cwola process` with this configuration first."
            )
            raise ConfigError(msg)
        if self.configured_systematics != [one.model_dump(mode="json") for one in config.systematics]:
            msg = (
                f"the events in {folder.parts} were processed with other entries in [[systematics]]. Run `cwola "
                "process` with this configuration first: nothing is trained again."
            )
            raise ConfigError(msg)
        where, remedy = f"the events in {folder.parts} were selected", "Or run `cwola process` with this configuration."
        require_same_plugins(self.plugins, where, remedy)

    def without(self, names: Iterable[str]) -> ProcessedEvents:
        """Drop datasets by name."""
        kept = exclude_datasets(self.datasets, names)
        return replace(self, datasets=kept, records={name: self.records[name] for name in kept})


def load_processed(folder: ResultsFolder) -> ProcessedEvents:
    """Read the record of the processing stage.

    Raises
    ------
    ResultsError
        If the stage has not run, or ran in an earlier version.
    """
    stored = folder.load_process()
    return ProcessedEvents(
        datasets={name: Dataset.from_json(record.dataset) for name, record in stored.datasets.items()},
        records=stored.datasets,
        digest=stored.digest,
        selection=dict(stored.selection),
        systematics=[dict(one) for one in stored.systematics],
        configured_systematics=[dict(one) for one in stored.configured_systematics],
        plugins=tuple(dict(plugin) for plugin in stored.plugins),
        location=stored.parts,
    )


def is_blinded(events: ProcessedEvents, config: SearchConfig) -> bool:
    """Return whether events inside the windows must not be shown.

    True if the configuration sets `blind`, and for real data unless it sets `unblind`.
    """
    kinds = {dataset.kind for dataset in observed_datasets(events.datasets).values()}
    return config.statistics.blind or ("data" in kinds and not config.statistics.unblind)


def unblinding_setting(events: ProcessedEvents) -> str:
    """Return the setting that unblinds the results."""
    kinds = {dataset.kind for dataset in observed_datasets(events.datasets).values()}
    return "statistics.unblind = true" if "data" in kinds else "statistics.blind = false"
