"""The selection once more, event by event in plain Python: the truth that the package is compared with.

It shares no code with the package and reads files with uproot alone. The event identity is written with Python
integers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import uproot

from analysis.config import SelectionConfig

MASK = 2**64 - 1
NAN = math.nan


def splitmix64(state: int) -> int:
    """One step of SplitMix64, as published: add the golden gamma, then mix."""
    z = (state + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def text_hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def identity(*keys: int) -> int:
    state = 0
    for key in keys:
        state = splitmix64(state ^ splitmix64(key))
    return state


def nanoaod_events(path: Path, stop: int | None = None, collection: str = "FatJet") -> Iterator[dict[str, Any]]:
    names = ("pt", "eta", "phi", "mass", "msoftdrop", "tau1", "tau2", "tau3")
    with uproot.open(path) as file:
        tree = file["Events"]
        names = tuple(name for name in names if f"{collection}_{name}" in tree)
        columns = {name: tree[f"{collection}_{name}"].array(library="np", entry_stop=stop) for name in names}
        numbers = [tree[name].array(library="np", entry_stop=stop) for name in ("run", "luminosityBlock", "event")]
        weights = tree["genWeight"].array(library="np", entry_stop=stop) if "genWeight" in tree else None
    for entry in range(len(numbers[0])):
        jets = [
            dict(zip(names, map(float, row), strict=True))
            for row in zip(*(columns[n][entry] for n in names), strict=True)
        ]
        weight = 1.0 if weights is None else float(weights[entry])
        yield {"jets": jets, "key": tuple(int(column[entry]) for column in numbers), "weight": weight}


def physlite_events(path: Path, stop: int | None = None) -> Iterator[dict[str, Any]]:
    """Events with MeV turned into GeV by division, and the process (channel) as part of the identity."""
    fields = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"} | {f"tau{n}": f"Tau{n}_wta" for n in (1, 2, 3)}
    with uproot.open(path) as file:
        tree = file["CollectionTree"]

        def read(branch: str) -> list[Any]:
            return tree[branch].array(entry_stop=stop).to_list()

        columns = {name: read(f"AnalysisLargeRJetsAuxDyn.{field}") for name, field in fields.items()}
        info = {
            name: read(f"EventInfoAuxDyn.{name}")
            for name in ("runNumber", "lumiBlock", "eventNumber", "mcChannelNumber", "mcEventWeights")
        }
    for entry in range(len(info["runNumber"])):
        jets = [{name: columns[name][entry][i] for name in fields} for i in range(len(columns["pt"][entry]))]
        jets = [{**one, "pt": one["pt"] / 1000, "mass": one["mass"] / 1000} for one in jets]
        yield {
            "jets": jets,
            "key": tuple(info[name][entry] for name in ("runNumber", "lumiBlock", "eventNumber")),
            "channel": info["mcChannelNumber"][entry],
            "weight": info["mcEventWeights"][entry][0],
        }


def delphes_events(path: Path, stop: int | None = None, collection: str = "FatJet") -> Iterator[dict[str, Any]]:
    groomed = {"softdrop": "SoftDroppedP4[5]", "trimmed": "TrimmedP4[5]", "pruned": "PrunedP4[5]"}
    branches = {"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass"}
    with uproot.open(path) as file:
        tree, uuid = file["Delphes"], str(file.file.uuid)
        held = set(tree.keys())

        def read(branch: str) -> Any:
            return tree[f"{collection}/{collection}.{branch}"].array(entry_stop=stop).to_list()

        columns = {name: read(branch) for name, branch in branches.items()}
        taus = read("Tau[5]")
        p4 = {name: read(branch) for name, branch in groomed.items() if f"{collection}/{collection}.{branch}" in held}
        weights = tree["Event/Event.Weight"].array(entry_stop=stop).to_list()
    for entry in range(len(taus)):
        jets = []
        for i in range(len(taus[entry])):
            one = {name: column[entry][i] for name, column in columns.items()}
            one |= {f"tau{n}": taus[entry][i][n - 1] for n in (1, 2, 3)}
            one |= {name: _length(column[entry][i][0]) for name, column in p4.items()}
            jets.append(one)
        yield {"jets": jets, "key": (0, 0, entry), "uuid": uuid, "weight": weights[entry][0]}


def _length(p4: dict[str, Any]) -> float:
    p, energy = p4["fP"], p4["fE"]
    return math.sqrt(max(energy**2 - p["fX"] ** 2 - p["fY"] ** 2 - p["fZ"] ** 2, 0.0))


def select(event: dict[str, Any], selection: SelectionConfig) -> dict[str, float] | None:
    """Row of the table for an event, or None if it is not selected."""
    jets = sorted(event["jets"], key=lambda one: -one["pt"])[:2]
    if len(jets) < 2:
        return None
    jets = [{**one, "mass": max(one["mass"], 0.0), "m": _chosen_mass(one, selection)} for one in jets]
    vectors = [_four_vector(one) for one in jets]
    energy, px, py, pz = (sum(v[i] for v in vectors) for i in range(4))
    row = {
        "mjj": math.sqrt(energy**2 - px**2 - py**2 - pz**2),
        "abs_dy": abs(_rapidity(vectors[0]) - _rapidity(vectors[1])),
    }
    keep = (
        min(one["pt"] for one in jets) >= selection.pt_min
        and jets[0]["pt"] >= selection.leading_pt_min
        and max(abs(one["eta"]) for one in jets) <= selection.abs_eta_max
        and all(_in_window(one["m"], selection) for one in jets)
        and row["abs_dy"] < selection.abs_dy_validation
        and row["mjj"] >= selection.mjj_min
    )
    return {**row, **_features(jets, row["mjj"], selection)} if keep else None


def _chosen_mass(one: dict[str, float], selection: SelectionConfig) -> float:
    if selection.jet_mass == "ungroomed":
        return max(one["mass"], 0.0)
    mass = one["msoftdrop"] if "msoftdrop" in one else one[selection.jet_mass]
    return NAN if mass <= -1 else max(mass, 0.0)


def _in_window(mass: float, selection: SelectionConfig) -> bool:
    if math.isnan(mass):
        return selection.jet_mass_min == 0
    return selection.jet_mass_min <= mass < selection.jet_mass_max


def _four_vector(one: dict[str, float]) -> tuple[float, float, float, float]:
    px, py = one["pt"] * math.cos(one["phi"]), one["pt"] * math.sin(one["phi"])
    pz = one["pt"] * math.sinh(one["eta"])
    return math.sqrt(px**2 + py**2 + pz**2 + one["mass"] ** 2), px, py, pz


def _rapidity(p4: tuple[float, float, float, float]) -> float:
    return 0.5 * math.log((p4[0] + p4[3]) / (p4[0] - p4[3]))


def _features(jets: list[dict[str, float]], mjj: float, selection: SelectionConfig) -> dict[str, float]:
    one, two = jets
    if selection.jet_order == "mass" and (one["m"] < two["m"] or (math.isnan(one["m"]) and not math.isnan(two["m"]))):
        one, two = two, one
    return {
        "mj1": one["m"],
        "mj2": two["m"],
        "delta_mj": one["m"] - two["m"],
        "tau21_j1": _ratio(one.get("tau2", NAN), one.get("tau1", NAN)),
        "tau21_j2": _ratio(two.get("tau2", NAN), two.get("tau1", NAN)),
        "tau32_j1": _ratio(one.get("tau3", NAN), one.get("tau2", NAN)),
        "tau32_j2": _ratio(two.get("tau3", NAN), two.get("tau2", NAN)),
        "mj1_over_mjj": one["m"] / mjj,
        "mj2_over_mjj": two["m"] / mjj,
    }


def _ratio(upper: float, lower: float) -> float:
    if not (lower > 0 and upper >= 0):
        return NAN
    return min(upper / lower, 1.0)


def expected_identity(layout: str, kind: str, dataset: str, row: dict[str, Any]) -> int:
    """Identity of a selected event of a dataset, as the formats define it."""
    if layout == "delphes":
        return identity(text_hash(dataset), text_hash(row["uuid"]), int(row["key"][2]))
    numbers = [int(number) for number in row["key"]]
    if kind != "data":
        numbers.append(text_hash(dataset))
        if layout == "physlite":
            numbers.append(int(row["channel"]))
    return identity(*numbers)


def table(events: Iterator[dict[str, Any]], selection: SelectionConfig) -> dict[str, np.ndarray]:
    """Columns of all selected events, in the order of the file."""
    rows = []
    for event in events:
        if (row := select(event, selection)) is not None:
            region = "search" if row["abs_dy"] < selection.abs_dy_search else "validation"
            known = {"uuid": event.get("uuid", ""), "channel": event.get("channel"), "weight": event["weight"]}
            rows.append({**row, **known, "key": event["key"], "rapidity_region": region})
    return {name: np.array([row[name] for row in rows]) for name in (rows[0] if rows else ())}
