"""Delphes files: `FatJet.PT` ..., `Tau[5]` with τ1 first, `SoftDroppedP4[5]` ... with the groomed jet first."""

from __future__ import annotations

from typing import Any, ClassVar

import awkward as ak
import numpy as np
import vector
from coffea.nanoevents import DelphesSchema
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.events.identity import event_hash, string_hash
from processors.formats.adapter import Layout, adapter
from processors.formats.chunk import EventColumns, JetCollection, Provenance, clean_mass, event_weights, make_dijets
from processors.objects import Dijets, Floats, Index, as_float64, leading_pair

__all__ = ["PlainDelphesSchema", "read_delphes"]

TAUS = {f"tau{order}": order - 1 for order in (1, 2, 3, 4)}

LAYOUT = Layout(
    tree="Delphes",
    collection="FatJet",
    label="{collection}.{field}",
    jet={"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass", **dict.fromkeys(TAUS, "Tau_5")},
    groomed={"softdrop": "SoftDroppedP4_5", "trimmed": "TrimmedP4_5", "pruned": "PrunedP4_5"},
    optional={"groomed_mass": "SoftDroppedP4_5", "ungroomed_mass": "Mass"},
    event={"weight": "Event.Weight"},
    mark="Jet.PT",
    counter="{collection}_size",
)


class PlainDelphesSchema(DelphesSchema):
    """Delphes files as plain columns, so that a jet collection of any name is read the same way."""

    mixins: ClassVar[dict[str, str]] = {}


class DelphesJets(JetCollection):
    """Jets of a chunk of a Delphes file; see `processors.objects.JetSource`."""

    def __init__(self, events: Any, selection: SelectionConfig) -> None:
        super().__init__(events, selection.jet_collection or LAYOUT.collection, LAYOUT.label)
        self.jet_mass = selection.jet_mass

    def column(self, name: str, index: Index) -> Floats:
        """Return one column of some jets, (n,) float64."""
        if name in ("mass", "ungroomed_mass") or (name == "jet_mass" and self.jet_mass == "ungroomed"):
            return clean_mass(self.take(LAYOUT.jet["mass"], index))
        if name in ("jet_mass", "groomed_mass"):
            grooming = self.jet_mass if name == "jet_mass" else "softdrop"
            return self._groomed_mass(LAYOUT.groomed[grooming], index)
        if name == "n_constituents":
            return self.take("NCharged", index) + self.take("NNeutrals", index)
        if name in TAUS:
            return as_float64(self.flat(LAYOUT.jet[name])[index, TAUS[name]])
        return self.take(LAYOUT.jet.get(name, name), index)

    def _groomed_mass(self, branch: str, index: Index) -> Floats:
        """Masses (n,) of groomed jets, GeV; a null four-vector stands for a missing groomed jet."""
        p4 = self.records(branch)[:, 0]
        columns = {name: ak.to_numpy(p4[name])[index].astype(np.float64) for name in ("x", "y", "z", "t")}
        vectors: Any = vector.MomentumNumpy4D(columns)
        return np.where(columns["t"] == 0.0, np.nan, clean_mass(vectors.mass))


@adapter("delphes", schema=PlainDelphesSchema, layout=LAYOUT)
def read_delphes(events: Any, selection: SelectionConfig) -> Dijets:
    """Read a chunk of a Delphes file.

    Delphes keeps no run or luminosity block, and event numbers repeat across files: an event is identified by its
    dataset, the UUID of its file and its entry in the file.

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
    jets = DelphesJets(events, selection)
    counts = jets.counts("PT")
    pair = leading_pair(counts, jets.flat("PT"))
    numbers = _numbers(jets.source, pair[0])
    weighting = event_weights(jets.source, _weights(events), len(events))
    return make_dijets(pair, jets, EventColumns(events, ".", LAYOUT.counter), numbers, weighting, counts)


def _numbers(source: Provenance, entry: NDArray[np.intp]) -> dict[str, NDArray[np.uint64]]:
    number = (entry + source.entrystart).astype(np.uint64)
    zero = np.zeros_like(number)
    identity = event_hash(string_hash(source.dataset), string_hash(source.uuid), number)
    return {"run": zero, "luminosity_block": zero, "event": number, "event_id": identity}


def _weights(events: Any) -> NDArray[Any] | None:
    if "Event" not in events.fields or "Weight" not in events["Event"].fields:
        return None
    weights: NDArray[Any] = ak.to_numpy(events["Event"]["Weight"])
    return weights
