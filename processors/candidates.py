"""Input formats: one adapter each turns a chunk of events into `Dijets`. The only module that knows branch names.

An adapter reads flat buffers and picks the two leading jets; after it there are no jagged arrays. What it does with
values that are not numbers or not physical:

* Jets are ordered in p_T. A jet whose p_T is NaN counts as leading, so that its event fails the cut
  `finite_kinematics` wherever it stands.
* A mass in (-1, 0) GeV is a rounding error and becomes 0. A mass of -1 GeV or below is a sentinel for "missing"
  (CMS writes `msoftdrop` = -1 where grooming leaves no jet) and becomes NaN.
* Observed events (data, pseudodata) have weight 1. If their files carry generator weights, these must all be equal.
  Simulation keeps its generator weights, negative ones too.
* m_jj and the rapidities come from the full ungroomed four-vectors in float64, whatever mass the features use.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

import awkward as ak
import numpy as np
import uproot
import vector
from coffea.nanoevents import DelphesSchema, NanoAODSchema
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.datasets import OBSERVED
from analysis.errors import DatasetError, InputFileError
from analysis.identity import event_hash, string_hash
from processors.objects import Dijets, Floats, Jet, Tally, leading_pair

__all__ = [
    "ADAPTERS",
    "Adapter",
    "PlainDelphesSchema",
    "PlainNanoAODSchema",
    "adapter",
    "find_adapter",
]

TAU_ORDERS = (1, 2, 3, 4)

MISSING_MASS = -1.0
"""Masses at or below this value, GeV, mean that there is none."""


class PlainNanoAODSchema(NanoAODSchema):
    """NanoAOD as plain columns.

    Nothing here needs cross-references or derived items; without them the schema is faster and gives no warnings.
    Missing event numbers are reported by the adapter, which knows the file. The flags live in a class of this
    package because a flag set in the driver is not seen by worker processes.
    """

    warn_missing_crossrefs = False
    event_ids: ClassVar[list[str]] = []
    mixins: ClassVar[dict[str, str]] = {}
    all_cross_references: ClassVar[dict[str, str]] = {}
    nested_items: ClassVar[dict[str, Any]] = {}
    nested_index_items: ClassVar[dict[str, Any]] = {}
    special_items: ClassVar[dict[str, Any]] = {}
    full_like_items: ClassVar[dict[str, Any]] = {}
    rename_items: ClassVar[dict[str, str]] = {}
    alias_items: ClassVar[dict[str, str]] = {}


class PlainDelphesSchema(DelphesSchema):
    """Delphes as plain columns, so that a jet collection of any name is read the same way."""

    mixins: ClassVar[dict[str, str]] = {}


@dataclass(frozen=True)
class Adapter:
    """How one file format is read.

    Attributes
    ----------
    name : str
        Value of `format` in `datasets.json`.
    schema : type
        coffea schema that names the branches.
    read : callable
        (events, SelectionConfig) -> Dijets, for one chunk.
    generator_sum : callable or None
        Path -> sum of generator weights before any skim as the file records it, or None where it does not.
    """

    name: str
    schema: type
    read: Callable[[Any, SelectionConfig], Dijets]
    generator_sum: Callable[[str], float | None] | None = None


ADAPTERS: dict[str, Adapter] = {}
"""Adapters by format name."""

Reader = Callable[[Any, SelectionConfig], Dijets]


def adapter(
    name: str, *, schema: type, generator_sum: Callable[[str], float | None] | None = None
) -> Callable[[Reader], Reader]:
    """Register a function as the adapter of a format; see `Adapter` for the arguments."""

    def register(read: Reader) -> Reader:
        ADAPTERS[name] = Adapter(name, schema, read, generator_sum)
        return read

    return register


def find_adapter(name: str, dataset: str) -> Adapter:
    """Look up the adapter of a format, which a dataset asks for.

    Raises
    ------
    DatasetError
        If there is none.
    """
    if name not in ADAPTERS:
        msg = (
            f"dataset '{dataset}': there is no input format '{name}'. Formats: {', '.join(sorted(ADAPTERS))}. Correct "
            "metadata.format in the datasets file."
        )
        raise DatasetError(msg)
    return ADAPTERS[name]


@dataclass(frozen=True)
class _Source:
    """Where a chunk comes from."""

    file: str
    dataset: str
    kind: str
    uuid: str
    entrystart: int

    @classmethod
    def of(cls, events: Any) -> _Source:
        meta = events.metadata
        return cls(meta["filename"], meta["dataset"], meta["kind"], meta["fileuuid"], int(meta["entrystart"]))

    @property
    def where(self) -> str:
        return f"{self.file} (dataset {self.dataset})"


class _Collection:
    """A jet collection of one chunk, its branches as flat arrays; `label` is how the format spells a branch."""

    def __init__(self, events: Any, name: str, label: str) -> None:
        self.source, self.name, self.label = _Source.of(events), name, label
        if name not in events.fields:
            raise InputFileError(self._no_collection(list(events.fields)))
        self.collection = events[name]
        self.fields = list(self.collection.fields)

    def records(self, field: str) -> Any:
        """Values of a branch for all jets of the chunk, as an awkward array (n_jets, ...)."""
        return ak.flatten(self._jagged(field), axis=1)

    def flat(self, field: str) -> Floats:
        """Numbers of a branch for all jets of the chunk, (n_jets, ...) float64."""
        values: Floats = ak.to_numpy(self.records(field)).astype(np.float64)
        return values

    def counts(self, field: str) -> NDArray[np.int64]:
        """Count the jets of each event, (n_events,), by means of a branch."""
        counts: NDArray[np.int64] = ak.to_numpy(ak.num(self._jagged(field), axis=1))
        return counts

    def _jagged(self, field: str) -> Any:
        if field not in self.fields:
            raise InputFileError(self.missing(field))
        return self.collection[field]

    def missing(self, field: str) -> str:
        """Say that a branch is missing, and which others are like it."""
        near = [self._branch(name) for name in _similar(field, self.fields)]
        return (
            f"{self.source.where}: branch {self._branch(field)} is missing. "
            f"Similar branches: {', '.join(near) or 'none'}. Use a file that holds it, a configuration that does not "
            "need it (selection.jet_mass, learning.features), or another selection.jet_collection; check that "
            "metadata.format is right."
        )

    def _branch(self, field: str) -> str:
        return self.label.format(collection=self.name, field=field).replace("_5", "[5]")

    def _no_collection(self, found: list[str]) -> str:
        names = [name for name in found if not name.endswith(".offsets")]
        jets = [name for name in names if "jet" in name.lower()]
        near = dict.fromkeys([*_similar(self.name, names), *sorted(jets)] or names)
        return (
            f"{self.source.where}: there is no jet collection '{self.name}'. Collections with similar names: "
            f"{', '.join(list(near)[:8]) or 'none'}. Set selection.jet_collection, or correct metadata.format."
        )


def _similar(name: str, names: list[str]) -> list[str]:
    lowered = {other.lower(): other for other in names}
    return [lowered[found] for found in get_close_matches(name.lower(), lowered, n=6, cutoff=0.5)]


def _clean_mass(mass: Floats) -> Floats:
    return np.where(mass <= MISSING_MASS, np.nan, np.maximum(mass, 0.0))


def _weights(source: _Source, raw: NDArray[Any] | None, count: int) -> tuple[Floats, float | None]:
    """Weights (count,) of all events of a chunk, and the common generator weight if events are observed."""
    if raw is None or len(raw) == 0:
        return np.ones(count), None
    weights = raw.astype(np.float64)
    if bad := int((~np.isfinite(weights)).sum()):
        msg = f"{source.where}: {bad} generator weights are not finite. The file is damaged: make it again."
        raise InputFileError(msg)
    if source.kind not in OBSERVED:
        return weights, None
    low, high = float(weights.min()), float(weights.max())
    if low != high:
        msg = (
            f"{source.where}: events of kind '{source.kind}' must be unweighted, but their generator weights run from "
            f"{low:g} to {high:g}. Unweight the sample first, or declare it as background."
        )
        raise InputFileError(msg)
    return np.ones(count), low


def _kinematics(first: Jet, second: Jet) -> tuple[Floats, Floats]:
    with np.errstate(all="ignore"):  # jets that are not finite fail a cut later
        one, two = first.four_vector(), second.four_vector()
        return np.ascontiguousarray((one + two).mass), np.abs(one.rapidity - two.rapidity)


def _dijets(
    pair: tuple[NDArray[np.intp], ...],
    jets: Jet,
    numbers: Mapping[str, NDArray[np.uint64]],
    weighting: tuple[Floats, float | None],
) -> Dijets:
    entry, first, second = pair
    one, two = jets.take(first), jets.take(second)
    mjj, abs_dy = _kinematics(one, two)
    weights, common = weighting
    return Dijets(
        one,
        two,
        mjj,
        abs_dy,
        entry,
        weight=weights[entry],
        read=Tally.of(weights),
        generator_weight=common,
        **numbers,
    )


def _generator_sum(path: str) -> float | None:
    """Sum of generator weights before any skim, which NanoAOD keeps in the tree `Runs` (v6: with an underscore)."""
    with uproot.open(path) as file:
        if "Runs" not in file:
            return None
        runs = file["Runs"]
        for name in ("genEventSumw", "genEventSumw_"):
            if name in runs:
                return math.fsum(runs[name].array(library="np").tolist())
    return None


@adapter("nanoaod", schema=PlainNanoAODSchema, generator_sum=_generator_sum)
def read_nanoaod(events: Any, selection: SelectionConfig) -> Dijets:
    """CMS NanoAOD, and files that follow its layout: `FatJet_*`, `run`, `luminosityBlock`, `event`, `genWeight`.

    Parameters
    ----------
    events : coffea NanoEvents
        One chunk.
    selection : SelectionConfig

    Returns
    -------
    Dijets

    Raises
    ------
    InputFileError
        If a branch is missing, or observed events are weighted.
    """
    jets = _Collection(events, selection.jet_collection, "{collection}_{field}")
    pair = leading_pair(jets.counts("pt"), jets.flat("pt"))
    mass = _clean_mass(jets.flat("mass"))
    taus = {order: jets.flat(f"tau{order}") for order in TAU_ORDERS if f"tau{order}" in jets.fields}
    absent = {order: jets.missing(f"tau{order}") for order in TAU_ORDERS if order not in taus}
    groomed = mass if selection.jet_mass == "ungroomed" else _nanoaod_groomed_mass(jets, selection.jet_mass)
    candidates = Jet(jets.flat("pt"), jets.flat("eta"), jets.flat("phi"), mass, groomed, taus, absent)
    raw = ak.to_numpy(events["genWeight"]) if "genWeight" in events.fields else None
    numbers = _nanoaod_numbers(events, jets.source, pair[0])
    return _dijets(pair, candidates, numbers, _weights(jets.source, raw, len(events)))


def _nanoaod_groomed_mass(jets: _Collection, jet_mass: str) -> Floats:
    if jet_mass == "softdrop":
        return _clean_mass(jets.flat("msoftdrop"))
    found = [f"{jets.name}_{name}" for name in ("mass", "msoftdrop") if name in jets.fields]
    msg = (
        f"{jets.source.where}: selection.jet_mass = '{jet_mass}' is not in NanoAOD. Masses in this file: "
        f"{', '.join(found)}. Set selection.jet_mass to 'ungroomed' or 'softdrop'."
    )
    raise InputFileError(msg)


def _nanoaod_numbers(events: Any, source: _Source, entry: NDArray[np.intp]) -> dict[str, NDArray[np.uint64]]:
    branches = {"run": "run", "luminosity_block": "luminosityBlock", "event": "event"}
    if missing := [name for name in branches.values() if name not in events.fields]:
        msg = (
            f"{source.where}: the branch {missing[0]} is missing. An event is known by run, luminosityBlock and event: "
            "folds, resumption and the search for duplicates need them. Make the file again with these branches."
        )
        raise InputFileError(msg)
    numbers = {name: ak.to_numpy(events[branch])[entry].astype(np.uint64) for name, branch in branches.items()}
    # Simulated samples repeat each other's event numbers.
    extra = () if source.kind == "data" else (string_hash(source.dataset),)
    return {**numbers, "event_id": event_hash(*numbers.values(), *extra)}


@adapter("delphes", schema=PlainDelphesSchema)
def read_delphes(events: Any, selection: SelectionConfig) -> Dijets:
    """Delphes: `FatJet.PT` ..., `Tau[5]` with τ1 first, `SoftDroppedP4[5]` ... with the groomed jet first.

    Delphes keeps no run or luminosity block, and event numbers repeat across files: an event is known by its
    dataset, the UUID of its file and its entry there.

    Parameters
    ----------
    events : coffea NanoEvents
        One chunk.
    selection : SelectionConfig

    Returns
    -------
    Dijets

    Raises
    ------
    InputFileError
        If a branch is missing, or observed events are weighted.
    """
    jets = _Collection(events, selection.jet_collection, "{collection}.{field}")
    pair = leading_pair(jets.counts("PT"), jets.flat("PT"))
    mass = _clean_mass(jets.flat("Mass"))
    table = jets.flat("Tau_5") if "Tau_5" in jets.fields else None
    taus = {} if table is None else {order: table[:, order - 1] for order in TAU_ORDERS}
    absent = {order: jets.missing("Tau_5") for order in TAU_ORDERS if order not in taus}
    groomed = mass if selection.jet_mass == "ungroomed" else _delphes_groomed_mass(jets, selection.jet_mass)
    candidates = Jet(jets.flat("PT"), jets.flat("Eta"), jets.flat("Phi"), mass, groomed, taus, absent)
    numbers = _delphes_numbers(jets.source, pair[0])
    return _dijets(pair, candidates, numbers, _weights(jets.source, _delphes_weights(events), len(events)))


def _delphes_groomed_mass(jets: _Collection, jet_mass: str) -> Floats:
    """Masses (n_jets,) of the groomed jets, GeV; a four-vector of zero means that there is none."""
    branch = {"softdrop": "SoftDroppedP4_5", "trimmed": "TrimmedP4_5", "pruned": "PrunedP4_5"}[jet_mass]
    p4 = jets.records(branch)[:, 0]
    columns = {name: ak.to_numpy(p4[name]).astype(np.float64) for name in ("x", "y", "z", "t")}
    vectors: Any = vector.MomentumNumpy4D(columns)
    return np.where(columns["t"] == 0.0, np.nan, _clean_mass(vectors.mass))


def _delphes_numbers(source: _Source, entry: NDArray[np.intp]) -> dict[str, NDArray[np.uint64]]:
    number = (entry + source.entrystart).astype(np.uint64)
    zero = np.zeros_like(number)
    identity = event_hash(string_hash(source.dataset), string_hash(source.uuid), number)
    return {"run": zero, "luminosity_block": zero, "event": number, "event_id": identity}


def _delphes_weights(events: Any) -> NDArray[Any] | None:
    if "Event" not in events.fields or "Weight" not in events["Event"].fields:
        return None
    weights: NDArray[Any] = ak.to_numpy(events["Event"]["Weight"])
    return weights
