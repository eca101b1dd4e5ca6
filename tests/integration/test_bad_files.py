"""Files that go wrong: one message that names the file and the remedy, exit code 1, and what is finished stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import uproot

from tests import toys
from tests.integration.conftest import Cwola, ToySearch


def truncated(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()] * 2000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def being_written(path: Path) -> None:
    with uproot.recreate(path):
        pass


def without_events(path: Path) -> None:
    toys.write_nanoaod(path, [])


def with_another_tree(path: Path) -> None:
    with uproot.recreate(path) as file:
        file.mktree("LuminosityBlocks", {"run": "uint32"})


def without_a_branch(path: Path) -> None:
    toys.write_nanoaod(path, [toys.dijet()], drop=("FatJet_eta",))


def missing(path: Path) -> None:
    assert not path.exists()


WRONG: list[tuple[Callable[[Path], None], list[str]]] = [
    (missing, ["there is no such file", "Correct the path"]),
    (truncated, ["cut off", "again"]),
    (being_written, ["no tree 'Events'", "still running"]),
    (without_events, ["hold no events", "Make them again"]),
    (with_another_tree, ["no tree 'Events'", "LuminosityBlocks"]),
    (without_a_branch, ["FatJet_eta", "missing"]),
]

EDGES = [
    ("delphes_truncated_download", "cut off"),
    ("delphes_still_being_written", "still running"),
    ("delphes_no_tree", "no tree 'Delphes'"),
    ("delphes_zero_events", "hold no events"),
    ("nanoaod_zero_events", "hold no events"),
    ("nanoaod_missing_luminosityblock", "luminosityBlock"),
]


def listed(folder: Path, **datasets: tuple[Path, str]) -> Path:
    """A datasets file of files and formats."""
    document = {
        name: {
            "files": {str(path): "Delphes" if layout == "delphes" else "Events"},
            "metadata": {"kind": "pseudodata", "format": layout},
        }
        for name, (path, layout) in datasets.items()
    }
    path = folder / "datasets.json"
    path.write_text(json.dumps(document))
    return path


def assert_one_message(cwola: Cwola, datasets: Path, output: Path, texts: list[str]) -> None:
    outcome = cwola("run", "--datasets", datasets, "--output", output, "--jobs", 1)
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for text in texts:
        assert text in outcome.err


@pytest.mark.parametrize(("spoil", "texts"), WRONG, ids=[spoil.__name__ for spoil, _ in WRONG])
def test_a_bad_file_is_named(cwola: Cwola, tmp_path: Path, spoil: Callable[[Path], None], texts: list[str]) -> None:
    path = tmp_path / "bad.root"
    spoil(path)
    datasets = listed(tmp_path, qcd=(path, "nanoaod"))
    assert_one_message(cwola, datasets, tmp_path / "results", [str(path), "dataset qcd", *texts])


@pytest.mark.parametrize(("name", "text"), EDGES)
def test_a_bad_file_from_elsewhere_is_named(
    cwola: Cwola, data: Callable[[str], Path], tmp_path: Path, name: str, text: str
) -> None:
    path = data(f"edge/{name}.root")
    datasets = listed(tmp_path, qcd=(path, name.partition("_")[0]))
    assert_one_message(cwola, datasets, tmp_path / "results", [str(path), text])


def test_an_unknown_format_is_named_with_those_that_there_are(cwola: Cwola, tmp_path: Path) -> None:
    path = toys.write_nanoaod(tmp_path / "good.root", [toys.dijet()])
    datasets = listed(tmp_path, qcd=(path, "miniaod"))
    assert_one_message(cwola, datasets, tmp_path / "results", ["miniaod", "nanoaod", "delphes", "dataset 'qcd'"])


def test_good_files_stay_processed_beside_a_bad_one(cwola: Cwola, tmp_path: Path) -> None:
    good = toys.write_nanoaod(tmp_path / "good.root", [toys.dijet()] * 5)
    bad = tmp_path / "bad.root"
    without_a_branch(bad)
    output = tmp_path / "results"
    assert_one_message(cwola, listed(tmp_path, good=(good, "nanoaod"), bad=(bad, "nanoaod")), output, [str(bad)])
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("*.parquet")}
    assert kept
    toys.write_nanoaod(bad, [toys.dijet()] * 7, run=2)
    processed = cwola("process", "--datasets", tmp_path / "datasets.json", "--output", output, "--jobs", 1)
    assert processed.code == 0
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())


def test_a_window_without_sideband_events_is_named(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    config = toy.configured("no_sideband", "")
    config.write_text(config.read_text().replace("[scan]", "[scan]\nsideband_width = 1e-6"))
    outcome = cwola("run", "--datasets", toy.datasets, "--config", config, "--output", tmp_path / "results")
    assert outcome.code == 1
    assert "3300-3700" in outcome.err
    assert "sideband" in outcome.err
    assert "scan.sideband_width" in outcome.err
    assert outcome.err.count("\n") == 1
