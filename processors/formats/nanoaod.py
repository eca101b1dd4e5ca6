"""CMS NanoAOD and files of the same layout: `FatJet_*`, `run`, `luminosityBlock`, `event`, `genWeight`."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import awkward as ak
import numpy as np
from coffea.nanoevents import NanoAODSchema
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.errors import InputFileError
from analysis.events.identity import event_hash, string_hash
from processors.formats.adapter import Layout, adapter
from processors.formats.chunk import (
    MASSES,
    EventColumns,
    JetCollection,
    Provenance,
    clean_mass,
    event_weights,
    make_dijets,
)
from processors.objects import Dijets, Floats, Index, leading_pair
from processors.opening import open_root

__all__ = ["PlainNanoAODSchema", "read_nanoaod"]

LAYOUT = Layout(
    tree="Events",
    collection="FatJet",
    label="{collection}_{field}",
    jet={name: name for name in ("pt", "eta", "phi", "mass", "tau1", "tau2", "tau3", "tau4")},
    groomed={"softdrop": "msoftdrop"},
    optional={
        "groomed_mass": "msoftdrop",
        "ungroomed_mass": "mass",
        "n2": "n2b1",
        "n3": "n3b1",
        "n_constituents": "nConstituents",
    },
    event={"run": "run", "luminosity_block": "luminosityBlock", "event": "event", "weight": "genWeight"},
    mark="luminosityBlock",
    counter="n{collection}",
    triggers="HLT_",
    filters="Flag_",
)


class PlainNanoAODSchema(NanoAODSchema):
    """NanoAOD files as plain columns.

    Cross-references and derived items are not needed; without them the schema is faster and emits no warnings.
    Missing event numbers are reported by the adapter, which knows the file. The flags are set in a class of this
    package because worker processes do not see a flag that is set in the driver.
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


class NanoAODJets(JetCollection):
    """Jets of a chunk of a NanoAOD file; see `processors.objects.JetSource`."""

    def __init__(self, events: Any, selection: SelectionConfig) -> None:
        super().__init__(events, selection.jet_collection or LAYOUT.collection, LAYOUT.label)
        self.jet_mass = self._mass_branch(selection.jet_mass)

    def column(self, name: str, index: Index) -> Floats:
        """Return one column of some jets, (n,) float64."""
        branch = self.jet_mass if name == "jet_mass" else LAYOUT.optional.get(name, name)
        values = self.take(branch, index)
        return clean_mass(values) if name in MASSES else values

    def _mass_branch(self, jet_mass: str) -> str:
        branches = {"ungroomed": "mass", **LAYOUT.groomed}
        if jet_mass in branches:
            return branches[jet_mass]
        found = [self.branch(name) for name in branches.values() if name in self.fields]
        msg = (
            f"{self.source.where}: selection.jet_mass = '{jet_mass}' is not in NanoAOD. Masses in this file: "
            f"{', '.join(found)}. Set selection.jet_mass to 'ungroomed' or 'softdrop'."
        )
        raise InputFileError(msg)


def _generator_sum(path: str) -> float | None:
    """Sum of generator weights before any skim."""
    if (sums := _of_runs(path, "genEventSumw")) is None:
        return None
    if not all(map(math.isfinite, sums)):
        msg = (
            "Runs/genEventSumw holds a value that is not finite, so that the simulation cannot be normalised. Make the "
            "file again, or leave it out with --skip-bad-files."
        )
        raise InputFileError(msg)
    return math.fsum(sums)


def _generator_count(path: str) -> int | None:
    """Count the events before any skim."""
    counts = _of_runs(path, "genEventCount")
    return None if counts is None else sum(counts)


def _of_runs(path: str, name: str) -> list[Any] | None:
    """Values of a branch of the tree `Runs` (NanoAOD v6: with an underscore); None if there is none."""
    with open_root(path) as file:
        if "Runs" not in file:
            return None
        runs = file["Runs"]
        found = next((one for one in (name, f"{name}_") if one in runs), None)
        values: list[Any] | None = None if found is None else runs[found].array(library="np").tolist()
        return values


@adapter(
    "nanoaod", schema=PlainNanoAODSchema, layout=LAYOUT, generator_sum=_generator_sum, generator_count=_generator_count
)
def read_nanoaod(events: Any, selection: SelectionConfig) -> Dijets:
    """Read a chunk of a CMS NanoAOD file.

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
    jets = NanoAODJets(events, selection)
    counts = jets.counts("pt")
    pair = leading_pair(counts, jets.flat("pt"))
    weight = LAYOUT.event["weight"]
    raw = ak.to_numpy(events[weight]) if weight in events.fields else None
    numbers = _numbers(events, jets.source, pair[0])
    weighting = event_weights(jets.source, raw, len(events))
    columns = EventColumns(events, "_", LAYOUT.counter)
    calibrated = selection.calibration is None
    return make_dijets(pair, jets, columns, numbers, weighting, counts, calibrated=calibrated)


def _numbers(events: Any, source: Provenance, entry: NDArray[np.intp]) -> dict[str, NDArray[np.uint64]]:
    branches = {name: LAYOUT.event[name] for name in ("run", "luminosity_block", "event")}
    if missing := [name for name in branches.values() if name not in events.fields]:
        msg = (
            f"{source.where}: the branch {missing[0]} is missing. An event is known by run, luminosityBlock and event: "
            "folds, resumption and the search for duplicates need them. Make the file again with these branches."
        )
        raise InputFileError(msg)
    numbers = {
        name: ak.to_numpy(events[branch])[entry].astype(np.uint64, copy=False) for name, branch in branches.items()
    }
    # Event numbers repeat from one simulated sample to the next.
    extra = () if source.kind == "data" else (string_hash(source.dataset),)
    return {**numbers, "event_id": event_hash(*numbers.values(), *extra)}
