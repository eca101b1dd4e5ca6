"""Answers of DAS and rucio, and entries of datasets.json from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.core.address import replicas_of
from analysis.errors import DatasetError
from analysis.events.datasets import load_datasets
from analysis.events.filesets.describe import Given, add_to_file, describe_datasets
from tests.builders.filesets import coffea, das, das_file, pocket_coffea, rucio_file

DATASET = "/JetHT/Run2016G-UL2016_MiniAODv2_NanoAODv9-v1/NANOAOD"
SIMULATED = "/QCD_Pt_600to800_TuneCP5_13TeV_pythia8/RunIISummer20UL16NanoAODv9-106X_v17-v1/NANOAODSIM"
STORE = "/store/data/Run2016G/JetHT/NANOAOD/UL2016_MiniAODv2_NanoAODv9-v1/270000/"
NAMES = [f"{STORE}{name}.root" for name in ("0B", "1C", "2D")]
MC = "/store/mc/RunIISummer20UL16NanoAODv9/QCD_Pt_600to800_TuneCP5_13TeV_pythia8/NANOAODSIM/106X_v17-v1/30000/A.root"


def describe(folder: Path, content: str, name: str = "answer.json", **given: str) -> dict[str, Any]:
    path = folder / name
    path.write_text(content)
    return describe_datasets([path], Given(**given))


@pytest.mark.parametrize("lines", [False, True])
def test_valid_files_of_das_are_listed_once(tmp_path: Path, lines: bool) -> None:
    records = [
        das_file(NAMES[0], dataset=DATASET),
        das_file(NAMES[0], dataset=DATASET, service="rucio:files"),
        das_file(NAMES[1], dataset=DATASET, valid=0),
        das_file(NAMES[2], dataset=DATASET),
        das_file(MC, dataset=SIMULATED),
    ]
    text = "".join(f"{json.dumps(record)}\n" for record in records) if lines else das(records)
    assert describe(tmp_path, text) == {
        "JetHT_Run2016G-UL2016_MiniAODv2_NanoAODv9-v1": {
            "files": {NAMES[0]: "Events", NAMES[2]: "Events"},
            "metadata": {"kind": "data", "format": "nanoaod"},
        },
        "QCD_Pt_600to800_TuneCP5_13TeV_pythia8_RunIISummer20UL16NanoAODv9-106X_v17-v1": {
            "files": {MC: "Events"},
            "metadata": {"kind": "background", "format": "nanoaod"},
        },
    }


def test_replicas_of_rucio_are_ordered_and_readable(tmp_path: Path) -> None:
    pfns = {
        f"gsiftp://a:2811{NAMES[0]}": {"rse": "T2_A"},
        f"root://b//eos{NAMES[0]}": {"rse": "T2_B", "priority": 3},
        f"davs://c:443/cms{NAMES[0]}": {"rse": "T2_C", "priority": 2},
        f"root://d/{NAMES[0]}": {"rse": "T1_D_Tape", "type": "TAPE"},
        f"root://e/{NAMES[0]}": {"rse": "T2_E"},
    }
    records = [rucio_file(NAMES[0], pfns, T2_E="BEING_DELETED"), rucio_file(NAMES[1], {"root://b//1": {"rse": "T2_B"}})]
    text = "".join(f"{json.dumps(record)}\n" for record in records)
    (name, entry), *others = describe(tmp_path, text).items()
    assert not others
    assert name == "JetHT_Run2016G-UL2016_MiniAODv2_NanoAODv9-v1"
    assert entry["files"] == {
        f"https://c:443/cms{NAMES[0]}": {"object_path": "Events", "replicas": [f"root://b//eos{NAMES[0]}"]},
        "root://b//1": "Events",
    }
    path = tmp_path / "datasets.json"
    add_to_file(path, {name: entry})
    first = load_datasets(path)[name].files[0][0]
    assert replicas_of(first) == [f"https://c:443/cms{NAMES[0]}", f"root://b//eos{NAMES[0]}"]


def test_files_of_atlas_are_physlite(tmp_path: Path) -> None:
    name = "DAOD_PHYSLITE.33057212._000001.pool.root.1"
    record = rucio_file(name, {f"root://lapp-se01.in2p3.fr:1094//dpm/{name}": {"rse": "LAPP"}}, "data18_13TeV")
    assert describe(tmp_path, json.dumps([record]), name="periodB.json") == {
        "data18_13TeV": {
            "files": {f"root://lapp-se01.in2p3.fr:1094//dpm/{name}": "CollectionTree"},
            "metadata": {"kind": "data", "format": "physlite"},
        }
    }


def test_without_a_readable_replica_the_file_is_named(tmp_path: Path) -> None:
    record = rucio_file(NAMES[0], {f"srm://a{NAMES[0]}": {"rse": "T2_A"}})
    with pytest.raises(DatasetError, match=rf"answer.json: 1 file has no replica .*{NAMES[0]}"):
        describe(tmp_path, json.dumps([record]))


def test_das_without_files_is_refused(tmp_path: Path) -> None:
    record = {"das": {"services": ["dbs3:dataset_info"]}, "dataset": [{"name": DATASET}]}
    with pytest.raises(DatasetError, match="names no valid file"):
        describe(tmp_path, das([record]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("files.txt", "\n".join(NAMES)),
        ("lfns_12ab.json", json.dumps(NAMES)),
        ("coffea.json", json.dumps({"x": coffea(NAMES, 10, isMC=False)})),
        ("plain.json", json.dumps({"x": dict.fromkeys(NAMES, "Events")})),
        ("list.json", json.dumps({"x": NAMES})),
        ("pocket.json", json.dumps({"x": pocket_coffea(NAMES, simulated=False)})),
    ],
    ids=["files", "lfns", "coffea", "plain", "list", "pocket"],
)
def test_every_kind_of_list_becomes_the_same_entry(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    found = describe_datasets([tmp_path / name], Given(name="JetHT", kind="data"))
    assert list(found) == ["JetHT"]
    assert found["JetHT"]["files"] == dict.fromkeys(NAMES, "Events")
    assert (found["JetHT"]["metadata"]["kind"], found["JetHT"]["metadata"]["format"]) == ("data", "nanoaod")


def test_metadata_of_others_are_kept(tmp_path: Path) -> None:
    entry = pocket_coffea(NAMES, simulated=True)
    found = describe(tmp_path, json.dumps({"QCD": entry}))["QCD"]["metadata"]
    assert found == {"kind": "background", "format": "nanoaod", "xsec_pb": 0.6419, **entry["metadata"]}


def test_files_of_one_name_are_put_together_and_others_are_told_apart(tmp_path: Path) -> None:
    for name, path in zip("ab", NAMES, strict=False):
        (tmp_path / f"{name}.txt").write_text(path)
    both = [tmp_path / "a.txt", tmp_path / "b.txt"]
    assert list(describe_datasets(both, Given(name="x", kind="data"))["x"]["files"]) == NAMES[:2]
    assert list(describe_datasets(both, Given(kind="data"))) == ["a", "b"]
    with pytest.raises(DatasetError, match="a was listed before"):
        describe_datasets([both[0], both[0]], Given(kind="data"))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (NAMES[0], "does not tell whether it is data or simulation.*--kind"),
        ("", "it lists no file"),
        ('{"x": {"files": {}}}', "/x/files: .*at least 1"),
        ('{"x": ', "answer.json: "),
        (None, "cannot read"),
    ],
)
def test_what_cannot_be_converted_is_explained(tmp_path: Path, content: str | None, text: str) -> None:
    path = tmp_path / "answer.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DatasetError, match=text):
        describe_datasets([path], Given())


def test_entries_are_added_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "datasets.json"
    add_to_file(path, {"a": {"files": {"1": "T"}}})
    add_to_file(path, {"b": {"files": {"2": "T"}}})
    assert json.loads(path.read_text()) == {"a": {"files": {"1": "T"}}, "b": {"files": {"2": "T"}}}
    with pytest.raises(DatasetError, match="it has b already"):
        add_to_file(path, {"b": {}})
    path.write_text("[]")
    with pytest.raises(DatasetError, match="it is no fileset"):
        add_to_file(path, {"b": {}})
