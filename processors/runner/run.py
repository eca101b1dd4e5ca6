"""Run the processor over datasets: plan, skip existing parts, process, compare with the plan, add up.

Parts are stored in `<folder>/<digest>/`, see `analysis.events.parts`. The digest covers the selection, the features and
the source text of this package, so a part is reused only if processing would reproduce it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from coffea.processor.executor import WorkItem

from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.location import Location
from analysis.errors import DatasetError, InputFileError
from analysis.events.dataset import Dataset
from analysis.events.stitching import require_tiling
from analysis.events.table import EventTable
from processors.dijet import DijetProcessor
from processors.keeping import forget_file
from processors.objects import Tally
from processors.opening import OPTIONS
from processors.preparation import prepare_systematics, processing_digest
from processors.remote import TIMEOUT
from processors.runner.consistency import require_one_kind
from processors.runner.content import ContentRunner
from processors.runner.damaged import remove_damaged
from processors.runner.executor import BackendExecutor, BadFile, BadFiles
from processors.runner.normalisation import GeneratorSums, normalise, read_generator_sums, require_enough
from processors.runner.plan import FileRecord, Plan, make_plans, require_no_shared_files
from processors.runner.weights import ExtremeWeights, extreme_weights, weights_by_file
from processors.selection.cuts import prepare_selection, require_certified_events
from processors.tally import add_up
from processors.variations import Systematics

__all__ = [
    "DatasetResult",
    "FileRecord",
    "ProcessResult",
    "load_table",
    "process_datasets",
    "processing_digest",
]

CHUNKSIZE = 200_000
"""Events per chunk. Larger chunks need more memory, but hardly less time per event."""

MAX_REPEATS = 2
"""Maximum number of times that parts missing after a run are processed again."""


@dataclass(frozen=True)
class DatasetResult:
    """Result of processing one dataset.

    Attributes
    ----------
    name : str
    parts : tuple of Location
        In the order of files and entries.
    n_entries : int
        Number of processed events.
    sum_of_weights : float or None
        Sum of generator weights before any cut, for the normalisation; None if it is neither known nor needed.
    normalisation : str
        Origin of the sum: "runs" (stored in the file), "n_generated" (set for the dataset) or "none".
    cutflow : dict of str to Tally
        Events left after each cut.
    n_minus_one : dict of str to Tally
        For each cut, the events that pass all the others.
    weights : dict of str to ExtremeWeights
        For simulation, the largest weight among all events ("all") and those of the search region ("search").
    sanity : dict of str to int
        Jets with undefined or clipped features among the selected events.
    files : tuple of FileRecord
    skipped : tuple of BadFile
        Files that are left out because they cannot be used.
    systematics : str or None
        Digest of the configuration and code of the variations.
    variations : dict of str to tuple of Location
        Parts with varied jets, by name of the variation; in the order of `parts`.
    varied_sums : dict of str to float
        Sum of the varied weights that are to be normalised, over the sum of the nominal weights, for all events read.
    weight_parts : tuple of Location
        Parts with varied weights, in the order of `parts`; empty without them.
    """

    name: str
    parts: tuple[Location, ...]
    n_entries: int
    sum_of_weights: float | None
    normalisation: str
    cutflow: dict[str, Tally]
    n_minus_one: dict[str, Tally]
    sanity: dict[str, int]
    files: tuple[FileRecord, ...]
    skipped: tuple[BadFile, ...] = ()
    systematics: str | None = None
    variations: dict[str, tuple[Location, ...]] = field(default_factory=dict)
    varied_sums: dict[str, float] = field(default_factory=dict)
    weights: dict[str, ExtremeWeights] = field(default_factory=dict)
    weight_parts: tuple[Location, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON-ready values; parts by name."""
        return {
            "parts": [path.name for path in self.parts],
            "n_entries": self.n_entries,
            "sum_of_weights": self.sum_of_weights,
            "normalisation": self.normalisation,
            "cutflow": _counts(self.cutflow),
            "n_minus_one": _counts(self.n_minus_one),
            "sanity": self.sanity,
            "files": [asdict(record) for record in self.files],
            "skipped_files": [asdict(record) for record in self.skipped],
            "systematics": self.systematics,
            "variations": list(self.variations),
            "varied_sums": self.varied_sums,
            "weights": {name: asdict(one) for name, one in self.weights.items()},
        }


def _counts(tallies: Mapping[str, Tally]) -> dict[str, dict[str, float]]:
    return {name: {"events": tally.events, "weight": tally.weight} for name, tally in tallies.items()}


@dataclass(frozen=True)
class ProcessResult:
    """Result of processing all datasets.

    Attributes
    ----------
    digest : str
        Digest of the configuration and code that the parts were made with.
    folder : Location
        Folder of the parts.
    datasets : dict of str to DatasetResult
    systematics : Systematics
    """

    digest: str
    folder: Location
    datasets: dict[str, DatasetResult]
    systematics: Systematics = field(default_factory=Systematics)

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON-ready values."""
        return {
            "digest": self.digest,
            "systematics": self.systematics.to_json(),
            "datasets": {name: result.to_json() for name, result in self.datasets.items()},
        }


def process_datasets(
    datasets: Mapping[str, Dataset],
    config: SearchConfig,
    folder: Location,
    backend: Backend,
    *,
    chunksize: int = CHUNKSIZE,
    skip_bad_files: bool = False,
    timeout: float = TIMEOUT,
) -> ProcessResult:
    """Select the events of datasets and write them as parts; existing parts are kept.

    Parameters
    ----------
    datasets : mapping of str to Dataset
    config : SearchConfig
        Configuration of the selection, and of the features that the classifier needs.
    folder : Location
        Folder of the parts, with a subfolder for each configuration.
    backend : Backend
        Backend for the tasks.
    chunksize : int
        Approximate number of events per chunk. The results do not depend on it.
    skip_bad_files : bool
        Leave out files that cannot be used, and list them in the result, instead of raising an error.
    timeout : float
        Seconds that a server may take to answer.

    Returns
    -------
    ProcessResult

    Raises
    ------
    ConfigError
        If the configuration names a feature that does not exist, or a file with the wrong content.
    DatasetError
        If a dataset has an unknown format, two observed datasets share a file, slices do not fit together, or a
        dataset cannot be normalised.
    InputFileError
        If files are missing, damaged or incomplete: raised after the others were processed, and names all of them. If
        no usable file of a dataset remains or none has events.
    ProcessingError
        If a function that processes events fails.
    """
    require_tiling(datasets.values())
    config = config.model_copy(update={"selection": prepare_selection(config.selection)})
    stamp, systematics = processing_digest(config), prepare_systematics(config, datasets)
    plans: list[Plan] = []
    bad = BadFiles()
    for name in dict.fromkeys(dataset.format for dataset in datasets.values()):
        processor = DijetProcessor.from_config(config, folder, format=name, datasets=datasets)
        runner = ContentRunner(
            executor=BackendExecutor(backend=backend, bad=bad, timeout=timeout),
            schema=processor.schema,
            skipbadfiles=(_NeverRaised,),  # the executor records bad files; coffea only has to continue without them
            chunksize=chunksize,
            metadata_cache={},  # the default outlives the call, with the old content of changed files
        )
        chosen = [dataset for dataset in datasets.values() if dataset.format == name]
        plans += make_plans(chosen, runner, processor, bad)
    require_no_shared_files(plans)
    remove_damaged(plans, backend)
    _process(plans, bad)
    forget_file()
    sums = read_generator_sums(plans, backend, bad, timeout=timeout)
    plans = [plan.without(bad) for plan in plans]
    _require_usable(plans, skip_bad_files=skip_bad_files)
    results = {plan.dataset.name: _summarise(plan, sums) for plan in plans}
    return ProcessResult(stamp, folder.absolute() / stamp, {name: results[name] for name in datasets}, systematics)


def load_table(result: ProcessResult, datasets: Mapping[str, Dataset], names: Iterable[str]) -> EventTable:
    """Read the events of some datasets, simulation normalised to its cross-section and luminosity.

    Parameters
    ----------
    result : ProcessResult
    datasets : mapping of str to Dataset
        Datasets that were processed.
    names : iterable of str
        Names of the datasets to read.

    Returns
    -------
    EventTable

    Raises
    ------
    DatasetError
        If a dataset was not processed.
    TableError
        If an event occurs twice.
    """
    chosen = list(names)
    if unknown := [name for name in chosen if name not in result.datasets]:
        msg = f"dataset '{unknown[0]}' was not processed. Processed: {', '.join(result.datasets)}."
        raise DatasetError(msg)
    paths = [path for name in chosen for path in result.datasets[name].parts]
    scales = {name: datasets[name].scale(result.datasets[name].sum_of_weights) for name in chosen}
    return EventTable.from_parts(paths, scales)


class _NeverRaised(Exception):  # noqa: N818 - no error
    """Placeholder for the errors that coffea may skip on its own: none."""


def _process(plans: Sequence[Plan], bad: BadFiles) -> None:
    """Process the chunks whose part is missing; check again afterwards, since a part may be lost after processing."""
    for _ in range(1 + MAX_REPEATS):
        for runner in {id(plan.runner): plan.runner for plan in plans}.values():
            same = [plan for plan in plans if plan.runner is runner]
            if items := _missing(same, bad):
                processor = same[0].processor
                runner.run(
                    items,
                    processor,
                    uproot_options=OPTIONS,
                    iteritems_options=processor.adapter.iteritems_options,
                )
    if lost := [plan.path(item) for plan in plans for item in _missing([plan], bad)]:
        msg = (
            f"{len(lost)} parts are missing although they were processed {1 + MAX_REPEATS} times, such as {lost[0]}. "
            "Workers must see the same folder; check that nothing else writes to it, and free disk space."
        )
        raise InputFileError(msg)


def _missing(plans: Sequence[Plan], bad: BadFiles) -> list[WorkItem]:
    return [item for plan in plans for item in plan.missing() if not bad.covers(item)]


def _require_usable(plans: Sequence[Plan], *, skip_bad_files: bool) -> None:
    """Raise for bad files, all in one message, or for datasets without usable events if bad files may be skipped."""
    bad = [file for plan in plans for file in plan.skipped]
    if len(bad) == 1 and not skip_bad_files:
        msg = f"{bad[0]} All other files are processed; --skip-bad-files goes on without this one."
        raise InputFileError(msg)
    if bad and not skip_bad_files:
        lines = [f"  {file}" for file in bad]
        msg = f"{len(bad)} files cannot be used. All others are processed; --skip-bad-files goes on without these:\n"
        raise InputFileError(msg + "\n".join(lines))
    if empty := [plan for plan in plans if not plan.items]:
        name, skipped = empty[0].dataset.name, empty[0].skipped
        reasons = "".join(f"\n  {file}" for file in skipped)
        msg = (
            f"dataset {name}: no file with events is left, since {len(skipped)} of {len(empty[0].dataset.files)} "
            f"cannot be used. Mend them, or leave the dataset out with --exclude {name}.{reasons}"
        )
        raise InputFileError(msg)


def _summarise(plan: Plan, sums: GeneratorSums) -> DatasetResult:
    parts = [(item.filename, info) for item in plan.items if (info := plan.info(item)) is not None]
    infos = [info for _, info in parts]
    _require_one_weight(plan, infos)
    cutflow, n_minus_one = (add_up(info[key] for info in infos) for key in ("cutflow", "n_minus_one"))
    require_certified_events(plan.dataset.name, plan.processor.selection, cutflow)
    names = sorted({name for info in infos for name in info["sanity"]})
    files = weights_by_file(plan, sums, parts)
    weights = {file.filename: file.weights for file in files}
    require_enough(plan, sums, weights)
    require_one_kind(plan.dataset.name, files)
    total, normalisation = normalise(plan, sums, weights)
    return DatasetResult(
        name=plan.dataset.name,
        parts=tuple(plan.path(item) for item in plan.items),
        n_entries=sum(map(len, plan.items)),
        sum_of_weights=total,
        normalisation=normalisation,
        cutflow=cutflow,
        n_minus_one=n_minus_one,
        weights=extreme_weights(parts),
        sanity={name: sum(info["sanity"].get(name, 0) for info in infos) for name in names},
        files=plan.files,
        skipped=plan.skipped,
        systematics=plan.systematics.identity(),
        variations={
            name: tuple(plan.varied_path(item, name) for item in plan.items) for name in plan.systematics.tables
        },
        varied_sums=_relative_sums(add_up(info["varied_sums"] for info in infos), cutflow["all"], plan.dataset.name),
        weight_parts=tuple(plan.weights_path(item) for item in plan.items) if infos[0]["varied_weights"] else (),
    )


def _relative_sums(sums: Mapping[str, Tally], nominal: Tally, dataset: str) -> dict[str, float]:
    if bad := [name for name, one in sums.items() if not one.weight > 0 or not nominal.weight > 0]:
        msg = (
            f"dataset {dataset}: the weights in {bad[0]} cannot be normalised: they sum to {sums[bad[0]].weight:g}, "
            f"the nominal ones to {nominal.weight:g}. Check the branch, or set normalise = false in its entry."
        )
        raise InputFileError(msg)
    return {name: one.weight / nominal.weight for name, one in sums.items()}


def _require_one_weight(plan: Plan, infos: Sequence[Mapping[str, Any]]) -> None:
    weights = {info["generator_weight"]: info["file"] for info in infos if info["generator_weight"] is not None}
    if len(weights) > 1:
        (one, first), (two, second) = list(weights.items())[:2]
        msg = (
            f"dataset {plan.dataset.name}: events of kind '{plan.dataset.kind}' must be unweighted, but have generator "
            f"weight {one:g} in {first} and {two:g} in {second}. Unweight the sample first, or declare it as "
            "background."
        )
        raise InputFileError(msg)
