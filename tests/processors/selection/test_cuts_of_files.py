"""Triggers, filters, jet ID, luminosity and veto maps on files, against uproot and plain Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from analysis.config import SearchConfig
from analysis.errors import ConfigError, InputFileError
from analysis.events.table import EventTable
from processors.runner.run import load_table, process_datasets, processing_digest
from tests.builders import toys
from tests.builders.dijets import (
    FRACTIONS,
    corrections,
    jet_id_document,
    plain_jet_id,
    veto_map_document,
    write_json,
)
from tests.builders.running import dataset, run

OPEN = {"pt_min": 0, "leading_pt_min": 0, "abs_eta_max": 10, "abs_dy_validation": 20, "mjj_min": 0}


def read_events(
    path: Path, branches: list[str], jet_branches: list[str], collection: str = "FatJet"
) -> list[dict[str, Any]]:
    """Events with two jets, in plain Python, the two with the largest p_T first."""
    with uproot.open(path) as file:
        tree = file["Events"]
        names = ["run", "luminosityBlock", "event", *branches]
        events = {name: tree[name].array(library="np").tolist() for name in names}
        jets = {name: tree[f"{collection}_{name}"].array().to_list() for name in ("pt", "eta", "phi", *jet_branches)}
    found = []
    for i in range(len(events["event"])):
        here = [{name: column[i][k] for name, column in jets.items()} for k in range(len(jets["pt"][i]))]
        if len(here) >= 2:
            leading = sorted(here, key=lambda jet: -jet["pt"])[:2]
            found.append({**{name: column[i] for name, column in events.items()}, "jets": leading})
    return found


def kept(table: EventTable) -> list[int]:
    return sorted(table.column("event").tolist())


# The v9 file has no event with two fat jets: its other jets serve.
FILES = [
    ("nano_v9_dy", "Jet", "tight", ["HLT_PFHT180", "HLT_IsoMu24"], ["Flag_goodVertices"]),
    (
        "nano_v12_tt",
        "FatJet",
        "tight_lepton_veto",
        ["HLT_PFHT1050", "HLT_Never"],
        ["Flag_ecalLaserCorrFilter", "Flag_goodVertices"],
    ),
    (
        "nano_v15_tt",
        "FatJet",
        "tight_lepton_veto",
        ["HLT_PFHT1050", "HLT_HcalPhiSym", "HLT_Never"],
        ["Flag_ecalLaserCorrFilter"],
    ),
    ("pfnano", "FatJet", "tight", ["HLT_Never", "HLT_Mu3_PFJet40", "HLT_AK8PFHT750_TrimMass50"], ["Flag_METFilters"]),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "collection", "jet_id", "triggers", "filters"), FILES)
def test_triggers_filters_and_jet_id(data, tmp_path, serial, name, collection, jet_id, triggers, filters):
    """The flag of the jet ID where there is one, else the criteria; every step of the cutflow and of N-1."""
    path, veto = data(f"nanoaod/{name}.root"), jet_id == "tight_lepton_veto"
    with uproot.open(path) as file:
        held = [trigger for trigger in triggers if trigger in file["Events"]]
        flagged = f"{collection}_jetId" in file["Events"]
    inputs = ["jetId"] if flagged else [*FRACTIONS, "chHEF", "chMultiplicity", "neMultiplicity"]
    events = read_events(path, [*held, *filters], inputs, collection)

    def passes(jet: dict[str, Any]) -> bool:
        bit = 2 if veto else 1
        return bool(jet["jetId"] >> bit & 1) if flagged else abs(jet["eta"]) < 2.6 and plain_jet_id(jet, veto=veto)

    decisions = {
        "trigger": [any(one[trigger] for trigger in held) for one in events],
        "event_filters": [all(one[name] for name in filters) for one in events],
        "jet_id": [all(map(passes, one["jets"])) for one in events],
    }
    criteria = write_json(tmp_path / "jetid.json", corrections(jet_id_document(veto=veto)))
    selection = {"triggers": triggers, "event_filters": filters, "jet_id": jet_id, "jet_id_file": criteria}
    selection |= {**OPEN, "jet_collection": collection}
    config = SearchConfig(selection=selection, learning={"features": ["mj1", "mj2"]})
    one = {"sample": dataset(path)}
    processed = process_datasets(one, config, tmp_path, serial)
    result, rows = processed.datasets["sample"], list(zip(*decisions.values(), strict=True))
    assert kept(load_table(processed, one, ["sample"])) == sorted(
        event["event"] for event, row in zip(events, rows, strict=True) if all(row)
    )
    assert len(events) >= 10
    assert result.cutflow["two_jets"].events == len(events)
    for i, cut in enumerate(decisions):
        assert result.cutflow[cut].events == sum(all(row[: i + 1]) for row in rows)
        assert result.n_minus_one[cut].events == sum(all(row[:i] + row[i + 1 :]) for row in rows)
    missing = {key: count for key, count in result.sanity.items() if key.startswith("without_")}
    assert missing == {f"without_{trigger}": result.n_entries for trigger in triggers if trigger not in held}


def test_golden_json_and_veto_map(data, tmp_path):
    path = data("nanoaod/nano_v12_tt.root")
    events = read_events(path, [], [])
    golden = {"1": [[81730, 81739], [81746, 81746]]}
    cells = {(i, j) for i in range(10) for j in range(10) if (i + j) % 5 == 0}

    def cell(jet: dict[str, float]) -> tuple[int, int]:
        return sum(jet["eta"] >= edge for edge in range(-4, 5)), int((jet["phi"] + np.pi) / (2 * np.pi / 10))

    expected = [
        one["event"]
        for one in events
        if one["luminosityBlock"] > 81730 and not any(cell(jet) in cells for jet in one["jets"])
    ]
    assert 0 < len(expected) < sum(one["luminosityBlock"] > 81730 for one in events) < len(events)
    files = {
        "lumi_mask": write_json(tmp_path / "golden.json", golden),
        "veto_map": write_json(tmp_path / "map.json", corrections(veto_map_document(cells))),
    }
    copy = copy_as_data(path, tmp_path / "data.root")
    _, table = run(dataset(copy, kind="data"), tmp_path, {**OPEN, **files})
    assert kept(table) == sorted(expected)
    simulated, _ = run(dataset(copy), tmp_path, {**OPEN, **files})
    assert "lumi_mask" not in simulated.cutflow


def copy_as_data(path: Path, copy: Path) -> Path:
    """The same events without generator weights, as data have none."""
    with uproot.open(path) as file:
        tree = file["Events"]
        jets = ak.zip({name: tree[f"FatJet_{name}"].array() for name in toys.JET_FIELDS})
        numbers = {name: tree[name].array(library="np") for name in ("run", "luminosityBlock", "event")}
    with uproot.recreate(copy) as file:
        types = {"FatJet": jets.type, **{name: column.dtype for name, column in numbers.items()}}
        file.mktree("Events", types).extend({"FatJet": jets, **numbers})
    return copy


@pytest.mark.thorough
def test_files_of_the_selection_with_two_processes(tmp_path, serial, two_processes):
    events = toys.random_events(600, seed=3)
    path = toys.write_nanoaod(tmp_path / "data.root", events, run=5)
    golden = write_json(tmp_path / "golden.json", {"5": [[1, 2], [4, 4]]})
    cells = {(i, j) for i in range(3, 7) for j in range(0, 10, 2)}
    vetoed = write_json(tmp_path / "map.json", corrections(veto_map_document(cells)))
    selection = {"lumi_mask": golden, "veto_map": vetoed, "mjj_min": 0}
    data_set = dataset(path, kind="data")
    expected, table = run(data_set, tmp_path / "one", selection, backend=serial)
    found, other = run(data_set, tmp_path / "two", selection, backend=two_processes, chunksize=100)
    toys.assert_identical(table, other)
    assert set(table.column("luminosity_block").tolist()) == {1, 2, 4}
    assert (found.cutflow, found.n_minus_one) == (expected.cutflow, expected.n_minus_one)
    assert 0 < found.cutflow["veto_map"].events < found.cutflow["lumi_mask"].events


def test_parts_depend_on_the_content_of_the_files_and_not_on_their_place(tmp_path):
    digests = []
    for folder, golden in (("one", {"5": [[1, 2]]}), ("two", {"5": [[1, 2]]}), ("three", {"5": [[1, 3]]})):
        (tmp_path / folder).mkdir()
        path = write_json(tmp_path / folder / "golden.json", golden)
        digests.append(processing_digest(SearchConfig(selection={"lumi_mask": path})))
    assert digests[0] == digests[1] != digests[2]


def test_a_golden_json_of_another_period_is_refused_and_finished_parts_are_kept(tmp_path, serial):
    path = toys.write_nanoaod(tmp_path / "data.root", [toys.dijet()] * 5, run=5)
    golden = write_json(tmp_path / "golden.json", {"6": [[1, 9]]})
    config = SearchConfig(selection={"lumi_mask": golden})
    with pytest.raises(ConfigError, match=r"dataset sample: none of its 5 events .*golden\.json.*runs 6 to 6"):
        process_datasets({"sample": dataset(path, kind="data")}, config, tmp_path / "parts", serial)
    assert list((tmp_path / "parts").rglob("*.parquet"))


def test_delphes_has_no_triggers_and_no_jet_id(tmp_path):
    path = toys.write_delphes(tmp_path / "a.root", [toys.dijet()] * 2)
    with pytest.raises(InputFileError, match=r"a\.root.*none of selection\.triggers.*selection\.triggers = \[\]"):
        run(dataset(path, layout="delphes"), tmp_path, {"triggers": ["HLT_PFHT1050"]})
    with pytest.raises(InputFileError, match=r"a\.root.*no branch jetId.*jet_id = 'off'"):
        run(dataset(path, layout="delphes"), tmp_path, {"jet_id": "tight"})


def test_physlite_has_no_named_triggers(data, tmp_path):
    path = next(iter(sorted(data("physlite").glob("*.root"))))
    with pytest.raises(InputFileError, match=r"none of selection\.triggers.*selection\.triggers = \[\]"):
        run(dataset(path, layout="physlite"), tmp_path, {"triggers": ["HLT_PFHT1050"]})
