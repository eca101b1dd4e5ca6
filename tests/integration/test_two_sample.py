"""`cwola twosample`, and the closure of templates in `cwola validate`, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builders.toy_search import Cwola, ToySearch, make_toy

pytestmark = pytest.mark.thorough

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


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> ToySearch:
    """A drift that CWoLa cannot stand, in data and simulation."""
    toy = make_toy(tmp_path_factory.mktemp("templates"), [3000, 3000], drift=0.1)
    document = json.loads(toy.datasets.read_text())
    document["qcd"]["files"] = {"qcd_1.root": "Events"}
    simulation = {"kind": "background", "format": "nanoaod", "pt_hat_min": 1200}
    document["simulation"] = {"files": {"qcd_2.root": "Events"}, "metadata": simulation}
    toy.datasets.write_text(json.dumps(document))
    toy.config.write_text(CONFIG)
    return toy


def compared(output: Path) -> dict[str, dict[str, Any]]:
    document = json.loads((output / "two_sample.json").read_text())
    return {f"{one['sample']} of {one['method']}": one for one in document["tests"]}


def test_the_error_of_a_template_stands_beside_the_data_and_finished_work_is_kept(
    cwola: Cwola, tmp_path: Path, search: ToySearch
) -> None:
    output = tmp_path / "results"
    assert cwola("process", *search.options(output)).code == 0
    arguments = ("--output", output, "--config", search.config, "--jobs", 1, "--source", "simulation")
    options = ("--permutations", 99, "--trainings", 9)
    shown = cwola("twosample", *arguments, *options)
    assert shown.code == 0
    assert "Window against the template of cwola" in shown.out
    found = compared(output)
    for sample in ("data", "simulation"):
        tests = {one["name"]: one for one in found[f"{sample} of cwola"]["tests"]}
        assert list(tests) == ["divergence", "auc", "likelihood-ratio"]
        assert tests["divergence"]["p"] <= 0.03
        assert tests["auc"]["p"] == 0.1  # none of nine trainings
    records = {path: path.stat().st_mtime_ns for path in (output / "two_sample").iterdir()}
    assert len(records) == 2
    assert cwola("twosample", *arguments, *options).code == 0
    assert {path: path.stat().st_mtime_ns for path in (output / "two_sample").iterdir()} == records

    other = tmp_path / "other.toml"
    other.write_text(search.config.read_text().replace("[learning]", '[learning]\nmethod = "data_vs_simulation"'))
    repeated = ("--output", output, "--config", other, "--jobs", 1, "--permutations", 49, "--trainings", 0)
    assert cwola("twosample", *repeated, "--source", "exact-null").code == 0
    found = compared(output)
    assert list(found) == ["data of data_vs_simulation", "exact-null of data_vs_simulation"]
    (test,) = found["exact-null of data_vs_simulation"]["tests"]
    assert test["p"] > 0.04


def test_validation_holds_and_shows_the_closure_of_the_template(
    cwola: Cwola, tmp_path: Path, search: ToySearch
) -> None:
    output = tmp_path / "results"
    assert cwola("process", *search.options(output)).code == 0
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    shown = cwola("validate", *arguments, "--source", "simulation", "--source", "rapidity")
    assert shown.code == 0
    assert "template" in shown.out
    sources = {
        one["source"]: one for one in json.loads((output / "validation.json").read_text())["windows"][0]["sources"]
    }
    closure = sources["simulation"]["template"]
    assert closure["p"] == 0.01
    assert closure["divergence"] > 4 * closure["spread"]
    assert sources["rapidity"]["template"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--window", "1-2"], "the scan has no window '1-2'"),
        (["--source", "nothing"], "unknown source 'nothing'"),
    ],
)
def test_unknown_names_are_refused(
    cwola: Cwola, tmp_path: Path, search: ToySearch, arguments: list[str], message: str
) -> None:
    output = tmp_path / "results"
    assert cwola("process", *search.options(output)).code == 0
    shown = cwola("twosample", "--output", output, "--config", search.config, "--jobs", 1, *arguments)
    assert shown.code == 1
    assert message in shown.err
