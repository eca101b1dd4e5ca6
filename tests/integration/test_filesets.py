"""Searches of filesets that other tools wrote, without a datasets file of one's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders import toys
from tests.builders.filesets import coffea, das, das_file, pocket_coffea
from tests.builders.toy_search import Cwola

DATASET = "/JetHT/Run2016G-UL2016_MiniAODv2_NanoAODv9-v1/NANOAOD"
NAME = "/store/data/Run2016G/JetHT/NANOAOD/UL2016_MiniAODv2_NanoAODv9-v1/270000/0B.root"
N_EVENTS = 30


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A folder that holds the file with the logical name."""
    path = tmp_path / f"disk{NAME}"
    path.parent.mkdir(parents=True)
    toys.write_nanoaod(path, [toys.dijet()] * N_EVENTS, run=278_820)
    return tmp_path / "disk"


def processed(cwola: Cwola, folder: Path, datasets: Path, *options: object) -> dict[str, Any]:
    config = folder / "search.toml"
    config.write_text('preset = "demo"\n[selection]\njet_mass = "softdrop"\nmjj_min = 500\n')
    output = folder / "results"
    outcome = cwola(*("process", "--datasets", datasets, "--config", config, "--output", output, "--jobs", 1, *options))
    assert outcome.code == 0, outcome.err
    document: dict[str, Any] = json.loads((output / "process.json").read_text())["datasets"]
    return document


@pytest.mark.parametrize("kind", ["coffea", "pocket_coffea", "list"])
def test_filesets_are_processed_as_they_are(
    cwola: Cwola, disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    entry: Any = coffea([NAME], N_EVENTS, isMC=False, year=2016)
    if kind == "pocket_coffea":
        entry = pocket_coffea([NAME], simulated=False)
    elif kind == "list":
        (tmp_path / "files.txt").write_text(f"# run G\n{NAME}\n")
        entry = {"files": "files.txt", "metadata": {"kind": "data"}}
    path = tmp_path / "fileset.json"
    path.write_text(json.dumps({"JetHT": entry}))
    monkeypatch.setenv("CWOLA_REDIRECTOR", f"{tmp_path}/elsewhere {disk}")
    record = processed(cwola, tmp_path, path)["JetHT"]
    assert record["cutflow"]["all"]["events"] == N_EVENTS
    assert [file["filename"] for file in record["files"]] == [f"{tmp_path}/elsewhere{NAME}"]
    own = {key: value for key, value in entry["metadata"].items() if key != "kind"}
    assert (record["dataset"]["kind"], record["dataset"]["own"]) == ("data", own)


def test_answers_of_das_are_converted_and_processed(cwola: Cwola, disk: Path, tmp_path: Path) -> None:
    answer, datasets = tmp_path / "jetht.json", tmp_path / "datasets.json"
    answer.write_text(das([das_file(NAME, dataset=DATASET)]))
    shown = cwola("datasets", answer)
    assert shown.code == 0, shown.err
    made = cwola("datasets", answer, "--output", datasets)
    assert "JetHT_Run2016G-UL2016_MiniAODv2_NanoAODv9-v1: data, 1 files" in made.out
    assert json.loads(shown.out) == json.loads(datasets.read_text())
    (record,) = processed(cwola, tmp_path, datasets, "--redirector", disk).values()
    assert record["cutflow"]["all"]["events"] == N_EVENTS
    refused = cwola("process", "--datasets", datasets, "--output", tmp_path / "none")
    assert refused.code == 1
    assert refused.err.count("\n") == 1
    assert "--redirector" in refused.err
