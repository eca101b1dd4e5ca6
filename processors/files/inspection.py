"""Inspect a ROOT file: its format, jet collections and branches, missing inputs and the consequences for a search.

The file is read as processing would read it, but only its first events: a file that fails here fails there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
from coffea.processor.executor import UprootMissTreeError
from uproot.behaviors.RNTuple import HasFields
from uproot.behaviors.TBranch import HasBranches
from uproot.exceptions import KeyInFileError

from analysis.core.address import full_address, hide_secrets, parse_address
from analysis.errors import InputFileError
from processors.features import tagger_feature
from processors.files.trial import Task, Trial, try_reading
from processors.formats import ADAPTERS, Adapter
from processors.opening import open_root
from processors.runner.isolation import isolated_classes
from processors.runner.problems import explain, require_regular

__all__ = ["JetCollectionReport", "Missing", "Report", "inspect_file"]

COUNTED = 100_000
"""Maximum number of events in which jets are counted."""

TREES = ("TTree", "TNtuple", "TNtupleD", "ROOT::RNTuple")
"""Classes of objects in a file that hold events."""

FIRST_RUN = 100_000
"""No experiment at the LHC has data with smaller run numbers; simulation has."""


@dataclass(frozen=True)
class JetCollectionReport:
    """Jets of one collection.

    Attributes
    ----------
    name : str
    jets : int
        Number of jets in the counted events.
    mean : float
        Mean number of jets per event.
    two_or_more : int
        Number of events with at least two jets.
    """

    name: str
    jets: int
    mean: float
    two_or_more: int


@dataclass(frozen=True)
class Missing:
    """Missing content of a file, and its consequences."""

    what: str
    cost: str


@dataclass(frozen=True)
class Report:
    """Content of an input file.

    Attributes
    ----------
    file, format, tree : str
    events, counted : int
        Number of events in the tree, and number of events in which jets were counted.
    collections : tuple of JetCollectionReport
        The collection that is used by default comes first.
    columns, event_columns : dict of str to (str or None)
        Branch of each column of the jets and of the events.
    generator_sum : float or None
        Sum of generator weights before any skim, as the file records it.
    triggers, filters : tuple of str
        Branches with trigger decisions and event filters.
    optional_features : tuple of str
        Optional features that can be computed, without taggers.
    taggers : tuple of str
        Branches of the jets that are taggers, each a feature by its name and `_j1` or `_j2`.
    missing : tuple of Missing
    problem : str or None
        Reason why the file cannot be processed.
    datasets : dict
        An entry for `datasets.json`.
    """

    file: str
    format: str
    tree: str
    events: int
    counted: int
    collections: tuple[JetCollectionReport, ...]
    columns: dict[str, str | None]
    event_columns: dict[str, str | None]
    generator_sum: float | None
    triggers: tuple[str, ...]
    filters: tuple[str, ...]
    optional_features: tuple[str, ...]
    taggers: tuple[str, ...]
    missing: tuple[Missing, ...]
    problem: str | None
    datasets: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON-ready values."""
        return asdict(self)


def inspect_file(path: str, tree: str | None = None) -> Report:
    """Inspect an input file.

    Parameters
    ----------
    path : str
        Path or URL.
    tree : str, optional
        Name of the tree; by default the tree of one of the formats.

    Returns
    -------
    Report

    Raises
    ------
    InputFileError
        If the file cannot be read, has no events, or does not match any format.
    """
    defaults = [adapter.layout.tree for adapter in ADAPTERS.values()]
    address = parse_address(path)
    task = Task(_dataset_name(address), address, tree or "' or '".join(defaults))
    with _explained(task), isolated_classes(), open_root(address) as file:
        name, events, branches, adapter = _find_format(file, task, tree)
        return _report(file, events, branches, adapter, replace(task, treename=name))


@contextmanager
def _explained(task: Task) -> Iterator[None]:
    try:
        require_regular(task)
        yield
    except Exception as error:
        explained = explain(error, task)
        # The datasets file does not exist yet.
        text = str(explained).replace(f" (dataset {task.dataset})", "", 1).replace(" in the datasets file", "")
        raise type(explained)(hide_secrets(text, task.filename)) from error


def _dataset_name(path: str) -> str:
    stem = path.rpartition("/")[2].removesuffix(".root")
    return re.sub(r"[^A-Za-z0-9_-]+", "_", stem) or "sample"


def _find_format(file: Any, task: Task, tree: str | None) -> tuple[str, Any, dict[str, str], Adapter]:
    """Return name and tree of the events, its branches (name in messages to name in uproot), and its format."""
    seen = []
    for name in _trees(file, tree):
        try:
            events = file[name]
        except KeyInFileError as error:
            raise UprootMissTreeError(str(error)) from error
        if not isinstance(events, (HasBranches, HasFields)):
            msg = f"{task.filename}: '{name}' is a {events.classname}, not a tree. Name the tree of the events."
            raise InputFileError(msg)
        _require_names(events, name, task)
        branches = {_spelled(str(key), events): str(key) for key in events.keys(recursive=True)}
        for adapter in ADAPTERS.values():
            by_name = name == adapter.layout.tree and adapter.layout.recognises(branches)
            if by_name or adapter.layout.collections(branches):
                return name, events, branches, adapter
        seen.append(f"{name} ({', '.join(list(branches)[:5])} ...)" if branches else f"{name} (no branches)")
    if not seen:
        held = [f"{name} ({kind})" for name, kind in file.classnames(cycle=False).items()]
        raise UprootMissTreeError(task.filename) from KeyInFileError(task.treename, keys=held, file_path=None)
    wanted = "; ".join(
        f"{name}: tree {one.layout.tree} with {one.layout.branch(one.layout.collection, one.layout.jet['pt'])}"
        for name, one in ADAPTERS.items()
    )
    msg = (
        f"{task.filename}: none of the formats is recognised. Trees: {', '.join(seen)}. Expected {wanted}, or another "
        "jet collection with p_T, η, φ, mass and substructure. Name the tree with --tree."
    )
    raise InputFileError(msg)


def _require_names(events: Any, name: str, task: Task) -> None:
    if not isinstance(events, HasFields):
        return
    if dotted := [field.name for field in events.fields if "." in field.name]:
        msg = (
            f"{task.filename}: the field {dotted[0]} of the RNTuple '{name}' cannot be read, since a dot in a name "
            f"stands for a field of a record. Write it with a colon, as ATLAS does: {dotted[0].replace('.', ':')}."
        )
        raise InputFileError(msg)


def _spelled(key: str, events: Any) -> str:
    """Name of a branch as formats spell it; a field of an RNTuple cannot hold the dot that they have."""
    return key.replace(":", ".") if isinstance(events, HasFields) else key.rpartition("/")[2]


def _trees(file: Any, tree: str | None) -> list[str]:
    """Names of the trees to inspect; the default trees of the formats come first."""
    if tree is not None:
        return [tree]
    defaults = {adapter.layout.tree for adapter in ADAPTERS.values()}
    names = [name for name, kind in file.classnames(cycle=False).items() if kind in TREES]
    return sorted(names, key=lambda name: name not in defaults)


def _report(file: Any, events: Any, branches: Mapping[str, str], adapter: Adapter, task: Task) -> Report:
    layout, count = adapter.layout, int(events.num_entries)
    if count == 0:
        msg = f"{task.filename}: the tree '{task.treename}' ({adapter.name}) holds no events. Make the file again."
        raise InputFileError(msg)
    found = layout.collections(branches)
    collection = found[0] if found else layout.collection

    def held(name: str) -> str | None:
        return name if name in branches else None

    columns = {
        name: held(layout.branch(collection, one)) for name, one in [*layout.jet.items(), *layout.groomed.items()]
    }
    event_columns = {name: held(branch) for name, branch in layout.event.items()}
    total = None if adapter.generator_sum is None else adapter.generator_sum(full_address(task.filename))
    uuid = str(file.file.uuid)
    trial = try_reading(adapter, collection, task, uuid) if found else Trial(_no_collection(layout.collection))
    return Report(
        file=task.filename,
        format=adapter.name,
        tree=task.treename,
        events=count,
        counted=min(count, COUNTED),
        collections=tuple(_count(events, branches[layout.branch(one, layout.jet["pt"])], one) for one in found),
        columns=columns,
        event_columns=event_columns,
        generator_sum=total,
        triggers=_beginning(branches, layout.triggers),
        filters=_beginning(branches, layout.filters),
        optional_features=trial.optional,
        taggers=_taggers(layout.branch(collection, ""), branches),
        missing=(
            *_missing_columns(adapter, collection, columns, trial),
            *_missing_sum(event_columns, total),
        ),
        problem=trial.problem,
        datasets=_datasets(events, branches, adapter, task),
    )


def _no_collection(name: str) -> str:
    return f"There is no jet collection such as {name}, with p_T, η, φ, mass and substructure."


def _count(events: Any, branch: str, name: str) -> JetCollectionReport:
    counts = ak.to_numpy(ak.num(events[branch].array(entry_stop=COUNTED), axis=1))
    return JetCollectionReport(name, int(counts.sum()), float(counts.mean()), int((counts >= 2).sum()))


def _beginning(branches: Iterable[str], prefix: str) -> tuple[str, ...]:
    return tuple(sorted(name for name in branches if prefix and name.startswith(prefix)))


def _taggers(prefix: str, branches: Iterable[str]) -> tuple[str, ...]:
    """Names of the taggers among the branches of a jet collection, without the collection."""
    names = (name.removeprefix(prefix) for name in branches if name.startswith(prefix))
    return tuple(sorted(name for name in names if tagger_feature(f"{name}_j1")))


def _missing_columns(
    adapter: Adapter, collection: str, columns: Mapping[str, str | None], trial: Trial
) -> Iterator[Missing]:
    layout = adapter.layout
    for name, one in layout.groomed.items():
        if columns[name] is None:
            yield Missing(layout.branch(collection, one), f'no selection.jet_mass = "{name}"')
    if trial.problem is not None:
        return
    absent = [name for name in layout.jet if columns[name] is None]
    for name in dict.fromkeys([*absent, *trial.lacking]):
        features = trial.lacking.get(name, [])
        cost = f"no {', '.join(features)}" if features else "nothing: no feature needs it"
        yield Missing(layout.branch(collection, layout.jet.get(name, name)), cost)


def _missing_sum(event_columns: Mapping[str, str | None], total: float | None) -> Iterator[Missing]:
    if total is None and event_columns.get("weight") is not None:
        cost = "simulation is normalised with metadata.n_generated, which you must give beside xsec_pb"
        yield Missing("sum of generator weights before skims", cost)


def _datasets(events: Any, branches: Mapping[str, str], adapter: Adapter, task: Task) -> dict[str, Any]:
    path = task.filename if "://" in task.filename else str(Path(task.filename).absolute())
    metadata = {"kind": _kind(events, branches, adapter), "format": adapter.name}
    return {task.dataset: {"files": {path: task.treename}, "metadata": metadata}}


def _kind(events: Any, branches: Mapping[str, str], adapter: Adapter) -> str:
    """Guess the kind: generator weights indicate simulation, large run numbers data, and small ones pseudodata."""
    weight, run = (branches.get(adapter.layout.event.get(name, "")) for name in ("weight", "run"))
    if weight is not None or run is None:
        return "background"
    first = int(events[run].array(library="np", entry_stop=1)[0])
    return "pseudodata" if first < FIRST_RUN else "data"
