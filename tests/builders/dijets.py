"""Dijets in memory, and correction files for their cuts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from analysis.errors import InputFileError
from processors.objects import Dijets, Jet, Provenance, Tally


class Arrays:
    """Jets, or events, that are in memory already."""

    def __init__(self, columns):
        self.columns = columns

    def column(self, name, index):
        if name not in self.columns:
            raise InputFileError(f"a.root: branch FatJet_{name} is missing")
        return self.columns[name][index]


def make_dijets(n: int = 1, first=None, second=None, events=None, kind="background", **values) -> Dijets:
    """Dijets of n events; `first` and `second` give columns of the jets, `events` branches of the events."""
    jets = [
        {"pt": 800.0, "eta": 0.0, "phi": 0.0, "mass": 100.0, "jet_mass": 80.0, **(one or {})} for one in (first, second)
    ]
    names = set(jets[0]) | set(jets[1])
    source = Arrays(
        {
            name: np.concatenate([np.broadcast_to(np.asarray(one.get(name, np.nan), float), n) for one in jets])
            for name in names
        }
    )
    columns = {"mjj": 2000.0, "abs_dy": 0.5, **values}
    columns = {name: np.broadcast_to(np.asarray(v, float), n) for name, v in columns.items()}
    numbers = dict.fromkeys(("run", "luminosity_block", "event", "event_id"), np.arange(n, dtype=np.uint64))
    weight = columns.pop("weight", np.ones(n))
    return Dijets(
        Jet(source, np.arange(n)),
        Jet(source, n + np.arange(n)),
        entry=np.arange(n),
        weight=weight,
        events=Arrays({name: np.asarray(v) for name, v in (events or {}).items()}),
        origin=Provenance("a.root", "sample", kind, "", 0),
        read=Tally(n + 5, 100.0),
        read_weights=weight,
        jet_counts=np.full(n, 2),
        **columns,
        **numbers,
    )


def write_json(path: Path, document) -> Path:
    path.write_text(json.dumps(document))
    return path


FRACTIONS = {"neHEF": 0.99, "neEmEF": 0.90, "muEF": 0.80, "chEmEF": 0.80}
"""Upper limits of the CMS jet ID of 2022 and later for |η| < 2.6; the last two are the lepton veto."""


def plain_jet_id(jet: dict[str, float], *, veto: bool) -> bool:
    names = FRACTIONS if veto else ("neHEF", "neEmEF")
    return (
        all(jet[name] < FRACTIONS[name] for name in names)
        and jet["chHEF"] > 0.01
        and jet["chMultiplicity"] > 0
        and jet["chMultiplicity"] + jet["neMultiplicity"] > 1
    )


def jet_id_document(*, veto: bool) -> dict[str, Any]:
    """The same criteria for |η| < 2.6 in correctionlib's form, one binning inside the other."""
    inputs = ["eta", "chHEF", "neHEF", "chEmEF", "neEmEF", "muEF", "chMultiplicity", "neMultiplicity", "multiplicity"]
    node: Any = 1.0

    def within(node, name, low, high):
        edges = [-1000.0, low, high, 1000.0]
        return {"nodetype": "binning", "input": name, "edges": edges, "content": [0.0, node, 0.0], "flow": "clamp"}

    for name in FRACTIONS if veto else ("neHEF", "neEmEF"):
        node = within(node, name, -1.0, FRACTIONS[name])
    node = within(node, "chHEF", math.nextafter(0.01, 1), 2.0)
    node = within(node, "chMultiplicity", 0.5, 500.0)
    node = within(node, "multiplicity", 1.5, 500.0)
    node = within(node, "eta", -2.6, 2.6)
    kinds = {name: "int" if name.endswith("ultiplicity") else "real" for name in inputs}
    return {
        "name": "AK8PUPPI_TightLeptonVeto" if veto else "AK8PUPPI_Tight",
        "version": 1,
        "inputs": [{"name": name, "type": kind} for name, kind in kinds.items()],
        "output": {"name": "pass", "type": "real"},
        "data": node,
    }


def corrections(*documents) -> dict[str, Any]:
    return {"schema_version": 2, "corrections": list(documents)}


def veto_map_document(cells, name: str = "V1") -> dict[str, Any]:
    """A map with cells of size 1 in η, from -5.191, and 10 cells in φ."""
    eta = [-5.191, *map(float, range(-4, 5)), 5.191]
    phi = [-math.pi + i * 2 * math.pi / 10 for i in range(10)] + [math.pi]
    content = [float((i, j) in cells) for i in range(10) for j in range(10)]
    binned = {
        "nodetype": "multibinning",
        "inputs": ["eta", "phi"],
        "edges": [eta, phi],
        "content": content,
        "flow": "error",
    }
    kinds = {"nodetype": "category", "input": "type", "content": [{"key": "jetvetomap", "value": binned}]}
    inputs = [{"name": "type", "type": "string"}, {"name": "eta", "type": "real"}, {"name": "phi", "type": "real"}]
    return {"name": name, "version": 1, "inputs": inputs, "output": {"name": "w", "type": "real"}, "data": kinds}
