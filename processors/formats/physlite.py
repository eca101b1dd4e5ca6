"""ATLAS PHYSLITE files: `AnalysisLargeRJetsAuxDyn.pt` ... in MeV, `Tau1_wta` ..., `EventInfoAuxDyn.runNumber` ...

Large-R jets of PHYSLITE are groomed and calibrated before they are written: `m` is the mass of the soft-dropped (in
older releases, trimmed) jet, and the ungroomed mass is not in the file. `m` therefore serves as the jet mass and in
m_jj, and `selection.jet_mass` must stay "ungroomed". p_T and m are converted to GeV; any other branch that is requested
by name keeps the units of the file.

In an RNTuple, where a name holds no dot, ATLAS writes a colon in its place, as in `AnalysisLargeRJetsAuxDyn:pt`; here
the dot stands for both.
"""

from __future__ import annotations

import re
from typing import Any, ClassVar

import awkward as ak
import numpy as np
from coffea.nanoevents import BaseSchema
from numpy.typing import NDArray
from uproot.behaviors.RNTuple import HasFields
from uproot.interpretation.identify import UnknownInterpretation

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

__all__ = ["PlainPHYSLITESchema", "read_physlite"]

MEV = 1e-3
"""In GeV."""

SUFFIX = "AuxDyn"

NUMBERS = re.compile(r"(std::vector<)*(std::u?int\d+_t|bool|char|float|double)>*")
"""Types of the fields of an RNTuple that hold numbers: one an event, one a jet, or several a jet."""

_ABSENT = {"ungroomed_mass": "the ungroomed mass", "n_constituents": "the number of constituents"}
"""Columns of other formats; `constituentLinks` are objects, not numbers."""

LAYOUT = Layout(
    tree="CollectionTree",
    collection="AnalysisLargeRJets",
    label="{collection}AuxDyn.{field}",
    jet={
        "pt": "pt",
        "eta": "eta",
        "phi": "phi",
        "mass": "m",
        **{f"tau{order}": f"Tau{order}_wta" for order in (1, 2, 3, 4)},
    },
    optional={"groomed_mass": "m", "d2": "D2"},
    event={
        "run": "EventInfoAuxDyn.runNumber",
        "luminosity_block": "EventInfoAuxDyn.lumiBlock",
        "event": "EventInfoAuxDyn.eventNumber",
        "weight": "EventInfoAuxDyn.mcEventWeights",
    },
    mark="AuxDyn.",
    filters="EventInfoAuxDyn.DFCommonJets_eventClean",
)


class PlainPHYSLITESchema(BaseSchema):
    """PHYSLITE files as plain columns, with `group.branch` as a branch of a group.

    coffea's own schema follows all links between objects, which are not needed here, and renames the collections.
    """

    __dask_capable__: ClassVar[bool] = False

    def __init__(self, base_form: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(base_form, *args, **kwargs)
        groups: dict[str, dict[str, Any]] = {}
        for name, form in zip(self._form["fields"], self._form["contents"], strict=True):
            group, _, field = name.replace(":", ".").partition(".")
            groups.setdefault(group, {})[field] = form
        self._form["fields"] = list(groups)
        self._form["contents"] = [_record(group, forms) for group, forms in groups.items()]


def _record(group: str, forms: dict[str, Any]) -> dict[str, Any]:
    # coffea treats a form key that begins with "!invalid," as one without data of its own.
    return {
        "class": "RecordArray",
        "fields": list(forms),
        "contents": list(forms.values()),
        "form_key": f"%21invalid%2C{group}",
    }


def _is_column(branch: Any) -> bool:
    """Return whether a branch holds numbers: others cannot be read, and coffea would warn about each."""
    if f"{SUFFIX}." not in branch.name.replace(":", "."):
        return False
    if isinstance(branch, HasFields):
        return NUMBERS.fullmatch(branch.typename) is not None
    return len(branch.branches) == 0 and not isinstance(branch.interpretation, UnknownInterpretation)


class PHYSLITEJets(JetCollection):
    """Jets of a chunk of a PHYSLITE file; see `processors.objects.JetSource`."""

    def __init__(self, events: Any, selection: SelectionConfig) -> None:
        name = (selection.jet_collection or LAYOUT.collection).removesuffix(SUFFIX)
        super().__init__(events, f"{name}{SUFFIX}", "{collection}.{field}")
        if selection.jet_mass != "ungroomed":
            msg = (
                f"{self.source.where}: selection.jet_mass = '{selection.jet_mass}' is not in PHYSLITE. Its only mass, "
                f"{self.branch('m')}, is that of the groomed jet already: set selection.jet_mass to 'ungroomed'."
            )
            raise InputFileError(msg)

    def column(self, name: str, index: Index) -> Floats:
        """Return one column of some jets, (n,) float64."""
        if name in _ABSENT:
            msg = (
                f"{self.source.where}: no branch of PHYSLITE holds {_ABSENT[name]} of {self.name}. Leave the feature "
                "out of learning.features and selection.optional_features."
            )
            raise InputFileError(msg)
        column = "mass" if name in MASSES else name
        values = self.take({**LAYOUT.jet, **LAYOUT.optional}.get(column, column), index)
        if column == "mass":
            return clean_mass(values * MEV)
        return values * MEV if column == "pt" else values


@adapter("physlite", schema=PlainPHYSLITESchema, layout=LAYOUT, branches=_is_column)
def read_physlite(events: Any, selection: SelectionConfig) -> Dijets:
    """Read a chunk of an ATLAS PHYSLITE file.

    The sum of generator weights before the derivation is not read: it is stored in the tree `MetaData` as objects of
    several cycles and streams. Set `n_generated`.

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
    jets = PHYSLITEJets(events, selection)
    counts = jets.counts("pt")
    pair = leading_pair(counts, jets.flat("pt"))
    columns = EventColumns(events, ".")
    numbers = _numbers(columns, jets.source, pair[0])
    weighting = event_weights(jets.source, _weights(events, jets.source), len(events))
    return make_dijets(pair, jets, columns, numbers, weighting, counts)


def _numbers(columns: EventColumns, source: Provenance, entry: NDArray[np.intp]) -> dict[str, NDArray[np.uint64]]:
    names = ("run", "luminosity_block", "event")
    numbers = {name: columns.column(LAYOUT.event[name], entry).astype(np.uint64) for name in names}
    extra: list[Any] = []
    if source.kind != "data":
        # Run and event numbers of simulation repeat from one process to the next; the channel distinguishes them.
        extra.append(string_hash(source.dataset))
        if "mcChannelNumber" in columns.events["EventInfoAuxDyn"].fields:
            extra.append(columns.column("EventInfoAuxDyn.mcChannelNumber", entry).astype(np.uint64))
    return {**numbers, "event_id": event_hash(*numbers.values(), *extra)}


def _weights(events: Any, source: Provenance) -> NDArray[Any] | None:
    """First weight of each event, which is the nominal one; None for data, which have no weights."""
    group, _, field = LAYOUT.event["weight"].partition(".")
    if field not in events[group].fields:
        return None
    weights = events[group][field]
    if missing := int(np.count_nonzero(ak.to_numpy(ak.num(weights, axis=1)) == 0)):
        msg = f"{source.where}: {missing} events have no weight in {LAYOUT.event['weight']}. Make the file again."
        raise InputFileError(msg)
    nominal: NDArray[Any] = ak.to_numpy(weights[:, 0])
    return nominal
