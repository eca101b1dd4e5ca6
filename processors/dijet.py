"""The processor: turns a chunk of events into one part of the event table, and one per variation of its jets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, get_args

import numpy as np
from coffea.processor import ProcessorABC
from numpy.typing import NDArray

from analysis.config import SearchConfig, SelectionConfig
from analysis.core.address import parse_address
from analysis.core.location import Location, parse_location
from analysis.errors import InputFileError, ResultsError
from analysis.events.dataset import OBSERVED, Dataset, Kind, Slice
from analysis.events.parts import (
    events_folder,
    read_part_info,
    variation_folder,
    weights_folder,
    write_part,
    write_weights,
)
from analysis.events.schema import SEARCH_REGION, VALIDATION_REGION
from analysis.events.table import EventTable, labels
from processors.calibration import calibrate, require_usable
from processors.features import Feature, compute_features, count_oddities, requested_features, required_features
from processors.formats import Adapter, find_adapter
from processors.objects import Dijets, Floats, Tally
from processors.preparation import prepare_systematics, processing_digest, settings_digest
from processors.selection.cuts import (
    CUTS,
    Cut,
    Selected,
    apply_cuts,
    count_missing_triggers,
    named_branch,
    passes_all,
    prepare_selection,
)
from processors.selection.sanity import count_implausible
from processors.tally import add_up
from processors.variations import Systematics
from processors.weighting import Weights

__all__ = ["DijetProcessor", "part_name"]


def part_name(fileuuid: str, entrystart: int, entrystop: int) -> str:
    """File name of a part, always the same for the same chunk of the same file."""
    return f"{fileuuid}_{entrystart}-{entrystop}.parquet"


@dataclass(frozen=True)
class DijetProcessor(ProcessorABC):
    """Selects dijet events and writes them, with their features, as one parquet part per chunk.

    A part with varied jets holds only the events of the search region, since it serves to compute yields there. Varied
    weights are a part of their own, so that the parts with the events have the same columns in all datasets.
    Carries the functions that it calls, not their names, so that workers need no registry. Keeps no state.

    Attributes
    ----------
    adapter : Adapter
    selection : SelectionConfig
    folder : Location
        Folder of the parts, writable by every worker.
    digest : str
        Digest of the configuration and code that the parts are made with.
    settings : str
        Digest of the configuration alone: parts of other code with the same settings have no use.
    features : tuple of Feature
        Columns of the table.
    cuts : tuple of Cut
    required : frozenset of str
        Features without which a part is not used.
    sqrt_s_gev : float
        Collision energy, GeV: no jet has more than half of it.
    systematics : Systematics
        Applied to simulation.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.config import load_config
    >>> from processors.dijet import DijetProcessor
    >>> processor = DijetProcessor.from_config(load_config(preset="demo"), "parts", format="nanoaod")
    >>> [cut.name for cut in processor.cuts if cut.name.startswith("jet_")]
    ['jet_id', 'jet_pt', 'jet_mass']
    >>> processor.selection.abs_dy_search
    1.2
    """

    adapter: Adapter
    selection: SelectionConfig
    folder: Location
    digest: str
    settings: str
    features: tuple[Feature, ...]
    cuts: tuple[Cut, ...]
    required: frozenset[str] = frozenset()
    sqrt_s_gev: float = 13000.0
    systematics: Systematics = field(default_factory=Systematics)

    @classmethod
    def from_config(
        cls,
        config: SearchConfig,
        folder: Location | str,
        *,
        format: str = "nanoaod",
        datasets: Mapping[str, Dataset] | None = None,
    ) -> Self:
        """Make the processor of a configuration, for coffea's Runner too.

        Parameters
        ----------
        config : SearchConfig
            Selection, features and systematics.
        folder : Location or str
            Path or URL of the folder of the parts, writable by every worker. They are written below it, to a folder
            named by the digest of the configuration.
        format : str
            Format of the files, such as "nanoaod" or "delphes".
        datasets : mapping of str to Dataset, optional
            Datasets to process, if the configuration has systematics of single datasets.

        Returns
        -------
        DijetProcessor

        Raises
        ------
        ConfigError
            If the configuration names a feature that does not exist, or a file with the wrong content.
        DatasetError
            If the format is unknown.
        """
        datasets = datasets or {}
        example = next((name for name, dataset in datasets.items() if dataset.format == format), "of the processor")
        adapter = find_adapter(format, example)
        required = required_features(config)
        selection = prepare_selection(config.selection)
        require_usable(selection, {dataset.kind for dataset in datasets.values()})
        prepared = config.model_copy(update={"selection": selection})
        stamp = processing_digest(prepared)
        top = parse_location(folder) if isinstance(folder, str) else folder
        return cls(
            adapter,
            selection,
            top.absolute() / stamp,
            stamp,
            settings_digest(config),
            requested_features(config),
            tuple(CUTS.values()),
            required,
            sqrt_s_gev=config.background.sqrt_s_gev,
            systematics=prepare_systematics(prepared, datasets),
        )

    @property
    def schema(self) -> Any:
        """Schema of coffea for the files of the format, an argument of the Runner."""
        return self.adapter.schema

    def load(self, output: Mapping[str, Mapping[str, Iterable[str]]]) -> EventTable:
        """Read the selected events of a run.

        Parameters
        ----------
        output : mapping
            Output of the Runner: {dataset: {"parts": names}}.

        Returns
        -------
        EventTable
            Sorted by identity, simulation with its generator weights, not normalised.

        Raises
        ------
        ResultsError
            If a part cannot be read.
        TableError
            If an event occurs twice.
        """
        folders = {dataset: events_folder(self.folder, dataset) for dataset in output}
        paths = [folders[dataset] / name for dataset, made in output.items() for name in sorted(made["parts"])]
        return EventTable.from_parts(paths)

    def cutflow(self, output: Mapping[str, Mapping[str, Iterable[str]]], dataset: str) -> dict[str, Tally]:
        """Return the events of a dataset that are left after each cut.

        Parameters
        ----------
        output : mapping
            Output of the Runner: {dataset: {"parts": names}}.
        dataset : str

        Returns
        -------
        dict of str to Tally

        Raises
        ------
        ResultsError
            If a part cannot be read.
        """
        counts = []
        for name in sorted(output[dataset]["parts"]):
            path = events_folder(self.folder, dataset) / name
            info = read_part_info(path)
            if info is None:
                msg = f"{path} is missing. Process the events again."
                raise ResultsError(msg)
            counts.append(info["cutflow"])
        return add_up(counts)

    def process(self, events: Any) -> dict[str, dict[str, set[str]]]:
        """Process one chunk.

        Parameters
        ----------
        events : coffea NanoEvents
            Events whose metadata contain the dataset, its kind, file and entries, and maybe a slice.

        Returns
        -------
        dict
            {dataset: {"parts": {name of the part}}}.

        Raises
        ------
        InputFileError
            If a required branch is missing, or the weights are invalid.
        """
        meta = _complete(events.metadata)
        systematics = self.systematics.of(meta["dataset"], meta["kind"])
        cuts = (*_slice_cuts(meta["slice"]), *self.cuts)
        dijets = calibrate(self.adapter.read(events, self.selection), self.selection)
        passed = apply_cuts(dijets, self.selection, cuts)
        selected = dijets.take(passed.mask).ordered(self.selection.jet_order)
        weights = systematics.vary_weights(dijets)
        weight_columns = {name: values[passed.mask] for name, values in weights.columns.items()}
        table, unavailable = self._table(selected, weight_columns)
        for name in sorted(self.required & set(unavailable)):
            msg = f"feature '{name}' cannot be computed. {unavailable[name]}"
            raise InputFileError(msg)
        dataset, name = meta["dataset"], part_name(meta["fileuuid"], meta["entrystart"], meta["entrystop"])
        origin = {**self.origin(meta), "settings": self.settings, "file": parse_address(meta["filename"])}
        for variation, varied in systematics.vary_jets(dijets):
            mask = passes_all(varied, self.selection, cuts) & (varied.abs_dy < self.selection.abs_dy_search)
            varied_table, _ = self._table(varied.take(mask).ordered(self.selection.jet_order))
            write_part(variation_folder(self.folder, variation, dataset) / name, varied_table, origin, quick=True)
        if weight_columns:
            write_weights(weights_folder(self.folder, dataset) / name, table, origin)
        info = {
            **origin,
            **self._counts(dijets, passed, selected),
            "generator_weight": dijets.generator_weight,
            "weighted": dijets.weighted,
            "unavailable": unavailable,
            "varied_sums": _to_json(weights.sums),
            "varied_weights": list(weight_columns),
        }
        # Last, so that a complete nominal part implies all the others.
        write_part(events_folder(self.folder, dataset) / name, table, info)
        return {dataset: {"parts": {name}}}

    def postprocess(self, accumulator: Any) -> Any:
        """Return the accumulated output as it is."""
        return accumulator

    def _table(
        self, selected: Dijets, weights: Mapping[str, Floats] | None = None
    ) -> tuple[EventTable, dict[str, str]]:
        """Return the table of selected events, and the features that the file does not provide."""
        columns, unavailable = compute_features(selected, self.features)
        fixed = _fixed_columns(selected, selected.origin.dataset, self.selection.abs_dy_search)
        specs = [feature.spec for feature in self.features]
        return EventTable.from_columns({**fixed, **(weights or {}), **columns}, specs), unavailable

    def _counts(self, dijets: Dijets, passed: Selected, selected: Dijets) -> dict[str, Any]:
        inside = selected.weight[selected.abs_dy < self.selection.abs_dy_search]
        weights = {} if dijets.origin.kind in OBSERVED else {"all": dijets.read_weights, SEARCH_REGION: inside}
        return {
            "weights": {name: Weights.of(values).to_json() for name, values in weights.items()},
            "cutflow": _to_json({**passed.cutflow, SEARCH_REGION: Tally.of(inside)}),
            "n_minus_one": _to_json(passed.n_minus_one),
            "sum_of_weights": passed.cutflow["all"].weight,
            "sanity": count_oddities(selected)
            | count_implausible(dijets, selected, self.sqrt_s_gev, self._branch)
            | count_missing_triggers(dijets, self.selection),
        }

    def _branch(self, column: str) -> str:
        layout, selection = self.adapter.layout, self.selection
        names = {**layout.jet, "jet_mass": layout.groomed.get(selection.jet_mass, layout.jet["mass"])}
        return layout.branch(selection.jet_collection or layout.collection, names[column])

    def origin(self, meta: Mapping[str, Any]) -> dict[str, Any]:
        """Return the inputs, configuration and code of a part; a part with another origin is out of date."""
        return {
            "digest": self.digest,
            "dataset": meta["dataset"],
            "kind": meta["kind"],
            "slice": meta["slice"],
            "systematics": self.systematics.of(meta["dataset"], meta["kind"]).identity(),
            "format": self.adapter.name,
            "tree": meta["treename"],
            "entrystart": int(meta["entrystart"]),
            "entrystop": int(meta["entrystop"]),
            "content": meta["content"],
        }


def _complete(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Add the metadata that `cwola process` gives, but other users of coffea's Runner need not.

    Raises
    ------
    InputFileError
        If the kind of the dataset is not given, or is none.
    """
    kind = meta.get("kind")
    if kind not in get_args(Kind):
        msg = (
            f"dataset {meta['dataset']}: the kind is {kind!r}, but must be one of {', '.join(get_args(Kind))}. Give it "
            "in the metadata of the fileset."
        )
        raise InputFileError(msg)
    return {"slice": None, "content": None, **meta}


def _to_json(tallies: Mapping[str, Tally]) -> dict[str, Any]:
    return {name: tally.to_json() for name, tally in tallies.items()}


def _slice_cuts(document: Mapping[str, Any] | None) -> tuple[Cut, ...]:
    """Return the cut that keeps a slice of a sample, if any; the sum of weights includes events outside the slice."""
    if document is None:
        return ()
    part = Slice.from_json(document)

    def inside(dijets: Dijets, _selection: SelectionConfig) -> NDArray[np.bool_]:
        values = named_branch(dijets, part.variable, "slice.variable")
        mask: NDArray[np.bool_] = (values >= part.low) & (values < part.high)
        return mask

    return (Cut("slice", f"slice in {part.variable}", inside),)


def _fixed_columns(dijets: Dijets, dataset: str, abs_dy_search: float) -> dict[str, Any]:
    inside = dijets.abs_dy < abs_dy_search
    return {
        "event_id": dijets.event_id,
        "run": dijets.run,
        "luminosity_block": dijets.luminosity_block,
        "event": dijets.event,
        "dataset": labels(np.zeros(len(dijets), np.int32), [dataset]),
        "rapidity_region": labels(np.where(inside, 0, 1), [SEARCH_REGION, VALIDATION_REGION]),
        "mjj": dijets.mjj,
        "abs_dy": dijets.abs_dy,
        "weight": dijets.weight,
    }
