"""`cwola bump3d` on a toy search: the signal in its cell, what is hidden of data, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from analysis import cli
from analysis.core.documents import to_json
from analysis.results import ResultsFolder
from tests.builders.toy_search import Cwola, ToySearch

FAST = "\n[statistics]\npseudo_experiments = 40\n"


@pytest.fixture(scope="module")
def output(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Selected events with a signal of jet masses 400 and 150 GeV at 3.5 TeV; nobody has searched them."""
    folder = tmp_path_factory.mktemp("bump3d") / "results"
    config = ["--config", str(toy.configured("bump3d", FAST)), "--output", str(folder), "--jobs", "1"]
    cli.cli.main(["process", "--datasets", str(toy.datasets), *config], standalone_mode=False)
    return folder


@pytest.fixture
def options(output: Path, toy: ToySearch, tmp_path: Path) -> list[object]:
    shutil.copytree(output, tmp_path / "results")
    config = toy.configured("bump3d", FAST)
    return ["--config", config, "--output", tmp_path / "results", "--jobs", 1]


def read(options: list[object]) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((Path(str(options[3])) / "bump3d.json").read_text())
    return document


def test_a_signal_is_found_in_its_cell_and_written(cwola: Cwola, options: list[object]) -> None:
    done = cwola("bump3d", *options, "--feature", "mj1:20,200,600", "--feature", "mj2:20,100,300")
    assert done.code == 0, done.err
    assert "Largest excess: local z = " in done.out
    assert "in 3300-3700 GeV, mj1 200 to 600, mj2 100 to 300." in done.out
    document = read(options)
    assert [axis["edges"] for axis in document["axes"]] == [[20.0, 200.0, 600.0], [20.0, 100.0, 300.0]]
    assert [window["name"] for window in document["windows"]] == ["3300-3700", "3900-4300"]
    best = max(document["windows"][0]["cells"], key=lambda cell: cell["z"] or 0.0)
    assert best["ranges"] == [[200.0, 600.0], [100.0, 300.0]]
    # 200 events were mixed in; nearly all of them lie in the window, and most in the cell.
    assert best["n_obs"] - best["background"] == pytest.approx(190, abs=25)
    assert document["global"]["p0"] < 1e-6
    folder = ResultsFolder(Path(str(options[3])))
    assert to_json(folder.load_bump3d()) == document
    assert folder._manifest().unblinding is not None  # counts were shown: on record as for a scan


def test_cells_are_quantiles_of_masses_over_mjj_by_default(cwola: Cwola, options: list[object], toy: ToySearch) -> None:
    done = cwola("bump3d", "--config", toy.configured("none", FAST.replace("40", "0")), *options[2:])
    assert done.code == 0, done.err
    assert [(axis["feature"], len(axis["edges"]) - 1) for axis in read(options)["axes"]] == [
        ("mj1_over_mjj", 5),
        ("mj2_over_mjj", 5),
    ]
    total, best = read(options)["global"], max(c["z"] or 0 for w in read(options)["windows"] for c in w["cells"])
    assert best > 6
    assert "Bonferroni upper bound over" in done.out
    assert total["n_trials"] == sum(c["z"] is not None for w in read(options)["windows"] for c in w["cells"])


def test_nothing_of_data_is_shown_until_they_are_unblinded(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    options = ["--config", toy.config, "--output", output, "--jobs", 1]
    assert cwola("process", "--datasets", toy.with_kind("data"), *options).code == 0
    cells = ["--feature", "mj1:2", "--feature", "mj2:2"]
    done = cwola("bump3d", *options, *cells)
    assert done.code == 0, done.err
    assert "Blinded: no count" in done.out
    assert "Largest excess" not in done.out
    document = json.loads((output / "bump3d.json").read_text())
    found = [cell for window in document["windows"] for cell in window["cells"]]
    assert {cell[name] for cell in found for name in ("n_obs", "z", "p0", "p0_toys")} == {None}
    assert all(cell["background"] > 0 for cell in found)
    assert (document["blinded"], document["global"]["p0"]) == (True, None)
    assert not (output / "manifest.json").exists()
    unblinded = toy.configured("unblinded_cells", f"{FAST}unblind = true\n")
    assert cwola("bump3d", "--config", unblinded, *options[2:], *cells).code == 0
    (record,) = json.loads((output / "manifest.json").read_text())["unblinding"]
    assert record["setting"] == "statistics.unblind = true"


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (["mass"], "no cells can be made: 'mass' is not in the event table. Features: "),
        (["mj1:0"], "feature mj1: expected at least 1 bin, found 0."),
        (["mj1:"], "--feature: expected NAME, NAME:BINS or NAME:EDGE,EDGE,..., found 'mj1:'."),
        (["mj1:nan"], "found 'mj1:nan'"),
        (["mj1:1,x"], "found 'mj1:1,x'"),
        (["mj1:9,3"], "feature mj1: expected two or more rising edges"),
        (["mj1", "mj1:3"], "different features for the cells, found mj1, mj1."),
        (["mj1:5000,6000"], "is in a cell of mj1. Give edges that hold the events."),
    ],
)
def test_mistakes_give_one_clear_line(cwola: Cwola, options: list[object], features: list[str], reason: str) -> None:
    done = cwola("bump3d", *options, *(part for one in features for part in ("--feature", one)))
    assert done.code == 1
    assert done.err.startswith("error: ")
    assert reason in done.err
    assert len(done.err.splitlines()) == 1
    assert not (Path(str(options[3])) / "bump3d.json").exists()


def test_a_window_without_a_fit_is_named_and_the_others_are_kept(cwola: Cwola, options: list[object]) -> None:
    """Hardly any background has such masses: beside the mask of the window of the signal there is none."""
    done = cwola("bump3d", *options, "--feature", "mj1:390,410", "--feature", "mj2:145,155")
    assert done.code == 1
    assert "no cell could be fitted in 1 of 2 windows. window 3300-3700 GeV" in done.err
    assert [window["name"] for window in read(options)["windows"]] == ["3300-3700", "3900-4300"]
