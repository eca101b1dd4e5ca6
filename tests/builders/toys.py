"""Small ROOT files with known content, in the layouts of NanoAOD and Delphes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot

from analysis.events.table import EventTable

JET_FIELDS = ("pt", "eta", "phi", "mass", "msoftdrop", "tau1", "tau2", "tau3", "tau4")

JetValues = dict[str, float]
Event = Sequence[JetValues]


def jet(pt: float = 800.0, **values: float) -> JetValues:
    """One jet with sensible values; name the ones that matter."""
    unknown = set(values) - set(JET_FIELDS)
    assert not unknown, unknown
    default = {"eta": 0.0, "phi": 0.0, "mass": 100.0, "msoftdrop": 80.0}
    return {"pt": pt, **default, "tau1": 0.5, "tau2": 0.25, "tau3": 0.2, "tau4": 0.1, **values}


def dijet(first: JetValues | None = None, second: JetValues | None = None) -> list[JetValues]:
    """Two jets back to back; with the defaults m_jj is about 1.6 TeV and |Δy| = 0."""
    return [first or jet(), second or jet(phi=3.0)]


def random_events(n_events: int, seed: int, *, max_jets: int = 4) -> list[list[JetValues]]:
    """Events with 0 to `max_jets` jets in no order, some of them with odd values, as float32 files hold them."""
    rng = np.random.default_rng(seed)
    return [[_random_jet(rng) for _ in range(rng.integers(0, max_jets + 1))] for _ in range(n_events)]


def _random_jet(rng: np.random.Generator) -> JetValues:
    tau1 = 0.0 if rng.random() < 0.05 else rng.uniform(0.01, 1)
    tau2 = tau1 * rng.uniform(0.1, 1.05)
    mass = -1e-5 if rng.random() < 0.05 else rng.uniform(5, 400)
    values = {
        "pt": rng.uniform(150, 2500),
        "eta": rng.normal(0, 1),
        "phi": rng.uniform(-np.pi, np.pi),
        "mass": mass,
        "msoftdrop": -1.0 if rng.random() < 0.1 else rng.uniform(0, max(mass, 0)),
        "tau1": tau1,
        "tau2": tau2,
        "tau3": tau2 * rng.uniform(0.3, 1.02),
        "tau4": 0.01,
    }
    return {name: float(np.float32(value)) for name, value in values.items()}


def write_nanoaod(
    path: Path,
    events: Sequence[Event],
    *,
    run: int = 1,
    first_event: int = 0,
    gen_weight: Sequence[float] | None = None,
    generator_sums: Sequence[float] | None = None,
    generator_counts: Sequence[int] | None = None,
    sums_branch: str = "genEventSumw",
    collection: str = "FatJet",
    drop: Sequence[str] = (),
    extra: Mapping[str, Any] | None = None,
    compressed: bool = True,
) -> Path:
    """Write events in the layout of NanoAOD; fields of the first jet beyond `JET_FIELDS` are written as well.

    `drop` leaves out branches such as "FatJet_tau2" or "run", `extra` adds branches: one value, or several, per event.
    """
    further = [name for name in next((event[0] for event in events if event), {}) if name not in JET_FIELDS]
    kept = [name for name in (*JET_FIELDS, *further) if f"{collection}_{name}" not in drop]
    jets = ak.zip({name: _column(events, name) for name in kept})
    count = len(events)
    numbers = {
        "run": np.full(count, run, np.uint32),
        "luminosityBlock": (np.arange(count) // 100).astype(np.uint32),
        "event": np.arange(first_event, first_event + count, dtype=np.uint64),
    }
    columns: dict[str, Any] = {collection: jets, **{name: v for name, v in numbers.items() if name not in drop}}
    if gen_weight is not None:
        columns["genWeight"] = np.asarray(gen_weight, np.float32)
    columns |= {name: v if isinstance(v, ak.Array) else np.asarray(v) for name, v in (extra or {}).items()}
    # An assignment would write an RNTuple; NanoAOD is a TTree.
    types = {name: v.type if isinstance(v, ak.Array) else v.dtype for name, v in columns.items()}
    with uproot.recreate(path, compression=uproot.ZLIB(1) if compressed else None) as file:
        file.mktree("Events", types).extend(columns)
        if generator_sums is not None:
            runs = {sums_branch: np.asarray(generator_sums, np.float64)}
            if generator_counts is not None:
                runs["genEventCount"] = np.asarray(generator_counts, np.int64)
            file.mktree("Runs", {name: values.dtype for name, values in runs.items()}).extend(runs)
    return path


def as_rntuple(path: Path, source: Path, tree: str, spell: Mapping[str, str] | None = None) -> Path:
    """Write a tree again as an RNTuple, without counters, and with characters of the names replaced."""
    with uproot.open({source: None}) as file:
        arrays = {name: array for name, array in file[tree].arrays(how=dict).items() if not name.startswith("n")}
    table = str.maketrans(dict(spell or {}))
    with uproot.recreate(path) as file:
        file.mkrntuple(tree, {name.translate(table): values for name, values in arrays.items()})
    return path


def set_uuid(path: Path, uuid: bytes = bytes(16)) -> Path:
    """Give a ROOT file another UUID, as a reproducible production gives all its files the same."""
    with uproot.open({path: None}) as file:
        old = file.file.uuid.bytes
    path.write_bytes(path.read_bytes().replace(old, uuid))
    return path


def write_delphes(
    path: Path,
    events: Sequence[Event],
    *,
    weights: Sequence[float] | None = None,
    collection: str = "FatJet",
    compressed: bool = True,
) -> Path:
    """Write events in the layout of Delphes, without groomed jets (uproot cannot write TLorentzVector)."""
    names = {"PT": "pt", "Eta": "eta", "Phi": "phi", "Mass": "mass"}
    taus = [[one[f"tau{n}"] if n < 5 else 0.0 for one in event for n in range(1, 6)] for event in events]
    count = len(events)
    once = np.ones(count, np.int64)
    weight = np.asarray(once if weights is None else weights, np.float32)
    columns = {
        collection: ak.zip({branch: _column(events, name) for branch, name in names.items()}),
        # A flat list of five numbers per jet: "[5]" in the name says how to read it.
        f"{collection}/{collection}.Tau[5]": ak.Array(_jagged(taus)),
        "Event": ak.zip({"Number": ak.unflatten(np.arange(count), once), "Weight": ak.unflatten(weight, once)}),
    }
    with uproot.recreate(path, compression=uproot.ZLIB(1) if compressed else None) as file:
        tree = file.mktree(
            "Delphes",
            {name: v.type for name, v in columns.items()},
            counter_name=counter_name,
            field_name=field_name,
        )
        tree.extend(columns)
    return path


def write_physlite(
    path: Path,
    events: Sequence[Event],
    *,
    collection: str = "AnalysisLargeRJets",
    channel: int = 700_000,
    weights: Sequence[Sequence[float]] | None = None,
) -> Path:
    """Write events in the layout of PHYSLITE: a branch a column, momenta and masses in MeV."""
    fields = {"pt": ("pt", 1000.0), "m": ("mass", 1000.0), "eta": ("eta", 1.0), "phi": ("phi", 1.0)}
    fields |= {f"Tau{n}_wta": (f"tau{n}", 1.0) for n in (1, 2, 3)}
    columns: dict[str, Any] = {
        f"{collection}AuxDyn.{field}": _jagged([[one[name] * unit for one in event] for event in events])
        for field, (name, unit) in fields.items()
    }
    count = len(events)
    numbers = {"runNumber": 300_000, "lumiBlock": 1, "mcChannelNumber": channel}
    columns |= {f"EventInfoAuxDyn.{name}": np.full(count, value, np.uint32) for name, value in numbers.items()}
    columns["EventInfoAuxDyn.eventNumber"] = np.arange(count, dtype=np.uint64)
    columns["EventInfoAuxDyn.mcEventWeights"] = _jagged([[1.0]] * count if weights is None else weights)
    types = {name: v.type if isinstance(v, ak.Array) else v.dtype for name, v in columns.items()}
    with uproot.recreate(path) as file:
        file.mktree("CollectionTree", types).extend(columns)
    return path


def field_name(outer: str, inner: str) -> str:
    """Branch of a field, as Delphes spells it."""
    return inner if outer == "" else f"{outer}/{outer}.{inner}"


def counter_name(name: str) -> str:
    """Branch that counts the entries of a collection, as Delphes spells it."""
    if "/" not in name:
        return f"{name}_size"
    return name.translate(str.maketrans({"/": "_", ".": "_", "[": None, "]": None})) + "_size"


def _column(events: Sequence[Event], name: str) -> ak.Array:
    return _jagged([[one[name] for one in event] for event in events])


def _jagged(lists: Sequence[Sequence[float]]) -> ak.Array:
    counts = np.array([len(one) for one in lists], np.int64)
    flat = np.array([value for one in lists for value in one], np.float32)
    return ak.unflatten(flat, counts)


def assert_identical(one: EventTable, other: EventTable) -> None:
    """Same rows in the same order, bit by bit; NaN equals NaN."""
    assert one.features == other.features
    assert one.table.column_names == other.table.column_names
    for name in one.table.column_names:
        np.testing.assert_array_equal(one.column(name), other.column(name), err_msg=name)
