"""`cwola validate` and what `cwola run` and `scan` make of it, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.results.documents import check_results
from tests.builders.toy_search import Cwola, ToySearch, make_toy

CONFIG = """
[scan]
windows = [[3300, 3700], [3900, 4300]]

[learning]
n_folds = 2
n_members = 1
efficiencies = [0.1]
classifier = {n_estimators = 20, max_depth = 3, min_child_weight = 10}

[background]
functions = ["dijet2", "dijet3"]

[statistics]
pseudo_experiments = 0
calculator = "asymptotics"

[plots]
formats = ["png"]
only = ["validation"]
"""


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> ToySearch:
    """A toy search, of which one file plays simulated background."""
    toy = make_toy(tmp_path_factory.mktemp("validate"), [4000, 4000])
    document = json.loads(toy.datasets.read_text())
    document["qcd"]["files"] = {"qcd_1.root": "Events"}
    simulation = {"kind": "background", "format": "nanoaod", "pt_hat_min": 1200}
    document["simulation"] = {"files": {"qcd_2.root": "Events"}, "metadata": simulation}
    toy.datasets.write_text(json.dumps(document))
    toy.config.write_text(CONFIG)
    return toy


def verdicts(folder: Path, name: str = "validation.json") -> dict[str, dict[str, Any]]:
    document = json.loads((folder / name).read_text())
    if name == "validation.json":
        return {window["window"]: window for window in document["windows"]}
    check_results(document)
    return {f"{w['signal'][0]:g}-{w['signal'][1]:g}": w.get("validation", {}) for w in document["windows"]}


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = sorted((folder / "validation").iterdir())
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_run_validates_before_it_scans_and_later_sources_are_known_to_come_late(
    cwola: Cwola, search: ToySearch, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    assert cwola("run", *search.options(output)).code == 0
    first = verdicts(output, "results.json")
    assert list(first) == ["3300-3700", "3900-4300"]
    for window in first.values():
        assert window["decided"] == "before-scan"
        # All toy events have |dy| below 1.
        assert window["sources"]["rapidity"] == "not testable"
        assert window["sources"]["simulation"] in ("valid", "not valid")
        assert [one["name"] for one in window["combined"]] == ["inclusive", "eff_0.1"]
    before = contents(output)
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    late = cwola("validate", *arguments, "--source", "exact-null", "--draws", 1)
    assert late.code == 0
    assert "exact-null" in late.out
    found = verdicts(output)
    assert [one["source"] for one in found["3300-3700"]["sources"]] == ["rapidity", "simulation", "exact-null"]
    assert found["3300-3700"]["decided"] == "after-scan"
    # What was there is neither made again nor lost.
    assert {name: contents(output)[name] for name in before} == before
    again = cwola("scan", *arguments)
    assert "Validated only after they were scanned: 3300-3700, 3900-4300 GeV." in again.out
    assert verdicts(output, "results.json")["3900-4300"]["decided"] == "after-scan"


def test_measured_non_closure_enters_the_result_when_asked(cwola: Cwola, search: ToySearch, tmp_path: Path) -> None:
    config = search.configured("correct", "")
    config.write_text(config.read_text().replace("[statistics]", '[statistics]\nnon_closure = "correct"'))
    output = tmp_path / "results"
    options = ["--datasets", search.datasets, "--config", config, "--output", output, "--jobs", 1]
    assert cwola("process", *options).code == 0
    before = cwola("scan", "--output", output, "--jobs", 1)
    assert (before.code, before.err.count("\n")) == (1, 1)
    assert "cwola validate" in before.err
    assert cwola("run", *options).code == 0
    measured = {name: {one["name"]: one for one in found["combined"]} for name, found in verdicts(output).items()}
    document = json.loads((output / "results.json").read_text())
    for window in document["windows"]:
        name = f"{window['signal'][0]:g}-{window['signal'][1]:g}"
        for one in window["selections"]:
            assert one["non_closure"]["delta"] == measured[name][one["name"]]["delta"]
            assert one["non_closure"]["error"] == measured[name][one["name"]]["delta_error"]
            workspace = (output / "windows" / name / f"workspace_{one['name']}.json").read_text()
            assert '"non_closure"' in workspace


def test_validation_goes_on_where_it_was_and_follows_the_settings(
    cwola: Cwola, search: ToySearch, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    assert cwola("process", *search.options(output)).code == 0
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    assert cwola("validate", *arguments, "--source", "simulation").code == 0
    whole, document = contents(output), (output / "validation.json").read_bytes()
    lost = output / "validation" / "3900-4300_simulation_0.json"
    lost.unlink()
    assert cwola("validate", *arguments, "--source", "simulation").code == 0
    resumed = contents(output)
    assert {name: found[0] for name, found in resumed.items()} == {name: found[0] for name, found in whole.items()}
    assert resumed["3300-3700_simulation_0.json"] == whole["3300-3700_simulation_0.json"]
    assert (output / "validation.json").read_bytes() == document
    # Another judgement takes the same samples, another search does not.
    strict = search.configured("strict", "[validation]\nmax_shift = 1e-6\n")
    assert cwola("validate", *arguments[:2], "--config", strict, "--jobs", 1, "--source", "simulation").code == 0
    assert contents(output) == resumed
    assert cwola("validate", *arguments, "--source", "simulation", "--seed", 5).code == 0
    assert all(contents(output)[name][0] != resumed[name][0] for name in resumed)


def test_nothing_is_validated_where_that_is_switched_off(cwola: Cwola, search: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    config = search.configured("off", "[validation]\nin_run = []\n")
    config.write_text(config.read_text().replace(", [3900, 4300]", ""))
    outcome = cwola("run", "--datasets", search.datasets, "--config", config, "--output", output, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert "No window was validated: `cwola validate`" in outcome.out
    assert verdicts(output, "results.json") == {"3300-3700": {}}


def test_wrong_settings_are_refused(cwola: Cwola, search: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    missing = cwola("validate", "--output", output, "--config", search.config)
    assert missing.code == 1
    assert "there is no results folder" in missing.err
    assert cwola("process", *search.options(output)).code == 0
    arguments = ("validate", "--output", output, "--jobs", 1)
    unknown = cwola(*arguments, "--config", search.config, "--source", "side")
    assert unknown.code == 1
    assert "unknown source 'side'" in unknown.err
    wide = search.configured("wide", "[validation]\nabs_dy_max = 2.5\n")
    outcome = cwola(*arguments, "--config", wide)
    assert outcome.code == 1
    assert "validation.abs_dy_max = 2.5" in outcome.err
