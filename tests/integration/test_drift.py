"""What `cwola validate` and `cwola scan` tell of features that follow m_jj, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.toy_search import Cwola, ToySearch, make_toy

CONFIG = """
[scan]
windows = [[3300, 3700]]

[learning]
features = ["mj1", "mj2"]
n_folds = 2
n_members = 1
efficiencies = [0.1]
classifier = {n_estimators = 10, max_depth = 3, min_child_weight = 10}

[background]
functions = ["dijet2"]

[statistics]
pseudo_experiments = 0
calculator = "asymptotics"
"""


def prepared(folder: Path, drift: float) -> ToySearch:
    toy = make_toy(folder, [3000, 3000], drift=drift)
    document = json.loads(toy.datasets.read_text())
    document["qcd"]["files"] = {"qcd_1.root": "Events"}
    simulation = {"kind": "background", "format": "nanoaod", "pt_hat_min": 1200}
    document["simulation"] = {"files": {"qcd_2.root": "Events"}, "metadata": simulation}
    toy.datasets.write_text(json.dumps(document))
    toy.config.write_text(CONFIG)
    return toy


def notes_of(folder: Path) -> list[str]:
    notes: list[str] = json.loads((folder / "results.json").read_text())["notes"]
    return [note for note in notes if "tell m_jj" in note]


def samples_of(folder: Path) -> list[str]:
    return [one["sample"] for one in json.loads((folder / "drift.json").read_text())["windows"]]


@pytest.mark.parametrize(("drift", "warned"), [(0.0, 0), (0.1, 1)])
def test_features_that_follow_the_mass_are_shown_and_warned_of_before_training(
    cwola: Cwola, tmp_path: Path, drift: float, warned: int
) -> None:
    search, output = prepared(tmp_path, drift), tmp_path / "results"
    assert cwola("process", *search.options(output)).code == 0
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    shown = cwola("validate", *arguments, "--source", "rapidity")
    assert shown.code == 0
    assert "Drift of the features with m_jj" in shown.out
    assert shown.out.count("The features tell m_jj in 3300-3700 GeV") == warned
    document = json.loads((output / "drift.json").read_text())
    found: list[dict[str, Any]] = document["windows"]
    assert [one["sample"] for one in found] == ["data", "simulation"]
    assert all((one["together"]["drift"] > 1) == bool(warned) for one in found)
    before = (output / "drift.json").stat().st_mtime_ns
    scanned = cwola("scan", *arguments)
    assert scanned.code == 0
    assert (output / "drift.json").stat().st_mtime_ns == before
    assert len(notes_of(output)) == warned
    log = (output / "cwola.log").read_text()
    assert log.count("The features tell m_jj") == 2 * warned
    if warned:
        assert log.rindex("The features tell m_jj") < log.index("scan: started")


def test_a_damaged_or_older_file_is_made_again(cwola: Cwola, tmp_path: Path) -> None:
    search, output = prepared(tmp_path, 0.0), tmp_path / "results"
    assert cwola("process", *search.options(output)).code == 0
    arguments = ("--output", output, "--config", search.config, "--jobs", 1, "--source", "rapidity")
    assert cwola("validate", *arguments).code == 0
    whole = (output / "drift.json").read_text()
    for text in (whole[:100], whole.replace('"key": "', '"key": "0')):
        (output / "drift.json").write_text(text)
        assert cwola("validate", *arguments).code == 0
        assert (output / "drift.json").read_text() == whole


def test_a_scan_that_needs_no_simulation_does_without_it(cwola: Cwola, tmp_path: Path) -> None:
    search, output = prepared(tmp_path, 0.0), tmp_path / "results"
    assert cwola("process", *search.options(output)).code == 0
    simulated = json.loads((output / "process.json").read_text())["datasets"]["simulation"]["parts"]
    paths = [path for path in (output / "parts").rglob("*.parquet") if any(part in str(path) for part in simulated)]
    assert paths
    kept = [path.read_bytes() for path in paths]
    for path in paths:
        path.write_bytes(b"damaged")
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    assert cwola("scan", *arguments).code == 0
    assert "measured in data alone" in (output / "cwola.log").read_text()
    for path, content in zip(paths, kept, strict=True):
        path.write_bytes(content)
    assert cwola("scan", *arguments).code == 0
    assert [one["sample"] for one in json.loads((output / "drift.json").read_text())["windows"]] == [
        "data",
        "simulation",
    ]
