"""`cwola export search` and `cwola reinterpret`: the limit of somebody else is that of `cwola limit`."""

from __future__ import annotations

import json
import re
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import cli
from analysis.core.plugins import unload_plugins
from analysis.events.parts import read_part_info, write_part
from analysis.events.table import EventTable
from tests.builders.toy_search import N_GENERATED, Cwola, ToySearch, signal_event
from tests.builders.toys import write_nanoaod

pytestmark = pytest.mark.thorough

MASKS = ((3200.0, 3800.0), (3800.0, 4400.0))

MARKER = """
from pathlib import Path

from processors.features import feature

Path({marker!r}).touch()


@feature("mj_sum", label="sum", unit="GeV", bins=(20, 0.0, 2000.0))
def mj_sum(dijets):
    return dijets.first.jet_mass + dijets.second.jet_mass
"""


def run(*arguments: object) -> None:
    try:
        cli.cli.main(list(map(str, arguments)), standalone_mode=False)
    finally:
        unload_plugins()


def limits_of(folder: Path, name: str) -> list[dict[str, Any]]:
    limits = json.loads((folder / "limits.json").read_text())["limits"]
    return [one for one in limits if one["dataset"] == name]


@dataclass(frozen=True)
class Theirs:
    """A finished search with its archives, the file of somebody else's signal, and its limits by `cwola limit`."""

    folder: Path
    results: Path
    signal: Path
    limits: list[dict[str, Any]]

    @property
    def archive(self) -> Path:
        return self.folder / "search.zip"


@pytest.fixture(scope="module")
def theirs(limits: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    folder = tmp_path_factory.mktemp("theirs")
    rng = np.random.default_rng(11)
    signal = folder / "theirs.root"
    write_nanoaod(signal, [signal_event(rng.normal(3550, 80), rng) for _ in range(N_GENERATED)], run=23)
    results, both = folder / "results", folder / "both"
    config = limits.configured("archived", "", figures=["limits_signals_*"])
    run("process", "--datasets", limits.datasets, "--config", config, "--output", results, "--jobs", 1)
    run("limit", "--output", results, "--jobs", 1)
    run("scan", "--output", results, "--jobs", 1)
    document = json.loads(limits.datasets.read_text())
    metadata = {"kind": "signal", "format": "nanoaod", "n_generated": N_GENERATED, "xsec_pb": 0.02, "lumi_ifb": 20.0}
    document["theirs"] = {"files": {str(signal): "Events"}, "metadata": metadata}
    (folder / "both.json").write_text(json.dumps(document))
    run("process", "--datasets", folder / "both.json", "--config", config, "--output", both, "--jobs", 1)
    run("limit", "--output", both, "--signal", "theirs", "--jobs", 1)
    run("export", "search", results, "--output", folder / "search.zip", "--jobs", 1)
    return Theirs(folder, results, signal, limits_of(both, "theirs"))


def test_limits_on_the_same_events_are_equal_in_every_digit(theirs: Theirs, cwola: Cwola, tmp_path: Path) -> None:
    away = tmp_path / "away.zip"
    shutil.copy(theirs.archive, away)
    options = ["--signal", theirs.signal, "--xsec", 0.02, "--generated", N_GENERATED, "--output", tmp_path / "new"]
    outcome = cwola("reinterpret", away, *options, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    found = limits_of(tmp_path / "new", "theirs")
    assert len(found) == 4
    assert any(one["observed_fb"] for one in found)
    assert found == theirs.limits
    assert "For comparison, the archived search" in outcome.out
    assert re.search(r"Time: \d+ s", outcome.out)
    assert list((tmp_path / "new" / "plots").glob("limits_signals_*.png"))
    again = cwola("reinterpret", away, *options, "--jobs", 1)
    assert (again.code, limits_of(tmp_path / "new", "theirs")) == (0, found)
    # The archived search is there as it was, and its classifiers still score.
    scored = cwola("score", theirs.signal, "--models", tmp_path / "new" / "search", "--output", tmp_path / "scored.csv")
    assert scored.code == 0, scored.err


def test_another_groups_delphes_file_is_selected_and_limited(
    theirs: Theirs, cwola: Cwola, tmp_path: Path, data: Callable[[str], Path]
) -> None:
    file = data("delphes/wprime_3500_500_100_r10_full.root")
    outcome = cwola("reinterpret", theirs.archive, "--signal", file, "--output", tmp_path / "new", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    found = limits_of(tmp_path / "new", "wprime_3500_500_100_r10_full")
    assert {one["rule"] for one in found} >= {"inclusive", "atlas-2020", "atlas-2025"}
    assert all(one["reason"] is None and one["expected_selected"][2] > 0 for one in found)
    process = json.loads((tmp_path / "new" / "process.json").read_text())
    assert process["datasets"]["wprime_3500_500_100_r10_full"]["dataset"]["format"] == "delphes"
    assert process["datasets"]["wprime_3500_500_100_r10_full"]["n_entries"] == 3000


def test_the_archive_tells_no_path_and_is_the_same_each_time(theirs: Theirs, tmp_path: Path) -> None:
    run("export", "search", theirs.results, "--output", tmp_path / "again.zip", "--jobs", 1)
    assert (tmp_path / "again.zip").read_bytes() == theirs.archive.read_bytes()
    with zipfile.ZipFile(theirs.archive) as file:
        texts = {name: file.read(name) for name in file.namelist() if not name.endswith((".parquet", ".npz", ".ubj"))}
    assert {"LICENCE.txt", "CITATION.cff", "README.md", "search/results.json", "search/limits.json"} <= texts.keys()
    assert [name for name, text in texts.items() if str(theirs.folder.parent).encode() in text] == []


def test_licence_and_citation_travel_with_it(theirs: Theirs, cwola: Cwola, tmp_path: Path) -> None:
    for name in ("licence", "citation"):
        (tmp_path / name).write_text(f"my {name}")
    options = ["--licence", tmp_path / "licence", "--citation", tmp_path / "citation", "--jobs", 1]
    outcome = cwola("export", "search", theirs.results, "--output", tmp_path / "new.zip", *options)
    assert outcome.code == 0
    assert "No licence" not in outcome.out
    with zipfile.ZipFile(tmp_path / "new.zip") as file:
        assert (file.read("LICENCE.txt"), file.read("CITATION.cff")) == (b"my licence", b"my citation")


def test_a_tampered_archive_is_one_error_and_leaves_nothing(theirs: Theirs, cwola: Cwola, tmp_path: Path) -> None:
    content = bytearray(theirs.archive.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "bad.zip").write_bytes(content)
    outcome = cwola("reinterpret", tmp_path / "bad.zip", "--signal", theirs.signal, "--output", tmp_path / "new")
    assert outcome.code == 1
    assert outcome.err.startswith(f"error: {tmp_path / 'bad.zip'} is damaged or was changed, and is not used")
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--name", "qcd"], "the archive has a dataset qcd already"),
        (["--xsec", 0.1], "there is no sum of generator weights|do not record how many events were generated"),
    ],
)
def test_what_cannot_be_done_is_one_error(
    theirs: Theirs, cwola: Cwola, tmp_path: Path, options: list[object], reason: str
) -> None:
    call = ["reinterpret", theirs.archive, "--signal", theirs.signal, "--output", tmp_path / "new", "--jobs", 1]
    outcome = cwola(*call, *options)
    assert outcome.code == 1
    assert re.search(reason, outcome.err)


def test_a_folder_with_files_is_left_alone(theirs: Theirs, cwola: Cwola, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    outcome = cwola("reinterpret", theirs.archive, "--signal", theirs.signal, "--output", tmp_path / "mine")
    assert outcome.code == 1
    assert "name another folder with --output" in outcome.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["file"]


def test_synthetic_events_stand_for_those_of_the_search(theirs: Theirs, cwola: Cwola, tmp_path: Path) -> None:
    outcome = cwola("export", "search", theirs.results, "--output", tmp_path / "s.zip", "--synthetic", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert "synthetic events stand for those of the search (the events are restricted)" in outcome.out
    assert re.search(r"with an AUC of 0\.\d{3}", outcome.out)
    assert "Expected limits with synthetic events, relative to those of the search, on 1 signal:" in outcome.out
    with zipfile.ZipFile(tmp_path / "s.zip") as file:
        names, document = file.namelist(), json.loads(file.read("archive.json"))
    assert not [name for name in names if "/qcd/" in name or name.endswith(("scores.npz", "passes.npz", "truth.json"))]
    (area,) = (test for test in document["synthetic"]["tests"] if test["name"] == "auc")
    assert area["value"] == pytest.approx(0.5, abs=0.05)
    # The stated differences are those of limits that anybody finds with the archive.
    before = [one for one in limits_of(theirs.results, "point") if one["reason"] is None]
    original = {one["rule"]: one["expected_selected"][2] for one in before}
    stated = {one["rule"]: one for one in document["synthetic"]["limits"]}
    assert {rule: one["selected"] for rule, one in stated.items()} == original
    options = ["--signal", theirs.signal, "--generated", N_GENERATED, "--output", tmp_path / "new", "--jobs", 1]
    outcome = cwola("reinterpret", tmp_path / "s.zip", *options)
    assert outcome.code == 0, outcome.err
    assert "Expected limits with synthetic events" in outcome.out
    found = limits_of(tmp_path / "new", "theirs")
    assert [one.get("observed_selected") for one in found] == [None] * len(found)
    run("limit", "--output", tmp_path / "new", "--signal", "point", "--jobs", 1)
    found = [one for one in limits_of(tmp_path / "new", "point") if one["reason"] is None]
    made = {one["rule"]: one["expected_selected"][2] for one in found}
    assert made == {rule: one["synthetic"] for rule, one in stated.items() if one["synthetic"] is not None}


def test_nothing_of_a_blinded_window_is_in_an_archive(limits: ToySearch, cwola: Cwola, tmp_path: Path) -> None:
    results = tmp_path / "results"
    config = (
        limits.configured("hidden", "", figures=()).read_text().replace("[statistics]", "[statistics]\nblind = true")
    )
    (tmp_path / "blind.toml").write_text(config)
    options = ["--datasets", limits.datasets, "--config", tmp_path / "blind.toml", "--output", results, "--jobs", 1]
    run("process", *options)
    run("scan", "--output", results, "--jobs", 1)
    outcome = cwola("export", "search", results, "--output", tmp_path / "blind.zip", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert "(the search is blinded)" in outcome.out
    assert "Their effect on limits is not measured" in outcome.out
    with zipfile.ZipFile(tmp_path / "blind.zip") as file:
        file.extractall(tmp_path / "open")
    document = json.loads((tmp_path / "open" / "archive.json").read_text())
    assert tuple(map(tuple, document["synthetic"]["masks"])) == MASKS
    # Whatever lies in the masks, and however much of it: the archive is the same to the last byte.
    for path in (results / "parts").glob("*/qcd/*.parquet"):
        table, info = EventTable.from_parts([path]), read_part_info(path)
        inside = (table.mjj >= MASKS[0][0]) & (table.mjj < MASKS[1][1])
        assert inside.sum() > 500
        poison = {name: np.where(inside, np.float32(1e6), table.column(name)) for name in table.feature_names}
        write_part(path, table.replaced(poison).select(~inside | (table.event_id % 3 == 0)), info or {})
    outcome = cwola("export", "search", results, "--output", tmp_path / "other.zip", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "other.zip").read_bytes() == (tmp_path / "blind.zip").read_bytes()
    assert {path.name for path in (tmp_path / "open" / "parts").glob("*/*")} == {"synthetic", "point"}
    assert json.loads((tmp_path / "open" / "config.json").read_text())["statistics"]["blind"] is True
    # Classifiers were trained with the events of the windows.
    windows = {path.name for path in (tmp_path / "open" / "search" / "windows").rglob("*")}
    assert "window.json" in windows
    assert not windows & {"models", "classifier.json", "passes.npz", "scores.npz", "truth.json"}


def test_results_that_show_what_is_hidden_now_are_not_given_away(theirs: Theirs, cwola: Cwola, tmp_path: Path) -> None:
    results = shutil.copytree(theirs.results, tmp_path / "results")
    config = json.loads((results / "config.json").read_text())
    config["statistics"]["blind"] = True
    (results / "config.json").write_text(json.dumps(config))
    outcome = cwola("export", "search", results, "--output", tmp_path / "new.zip", "--jobs", 1)
    assert outcome.code == 1
    assert "the results in" in outcome.err
    assert not (tmp_path / "new.zip").exists()


def test_plugins_are_named_by_their_digest_and_never_run_from_the_archive(
    limits: ToySearch, theirs: Theirs, cwola: Cwola, tmp_path: Path
) -> None:
    marker, plugin = tmp_path / "executed", tmp_path / "mine.py"
    plugin.write_text(MARKER.format(marker=str(marker)))
    results, archive = tmp_path / "results", tmp_path / "search.zip"
    options = ["--datasets", limits.datasets, "--config", limits.config, "--plugin", plugin, "--output", results]
    assert cwola("process", *options, "--jobs", 1).code == 0
    outcome = cwola("export", "search", results, "--plugin", plugin, "--output", archive, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert "Publish the plugin mine.py too (SHA-256" in outcome.out
    with zipfile.ZipFile(archive) as file:
        assert not [name for name in file.namelist() if name.endswith(".py")]
        assert json.loads(file.read("config.json"))["plugins"] == []
    marker.unlink()
    call = ["reinterpret", archive, "--signal", theirs.signal, "--jobs", 1, "--output"]
    without = cwola(*call, tmp_path / "without")
    assert without.code == 1
    assert "with the plugin mine.py (SHA-256" in without.err
    assert not marker.exists()
    plugin.write_text(plugin.read_text() + "\n# changed\n")
    changed = cwola(*call, tmp_path / "changed", "--plugin", plugin)
    assert changed.code == 1
    assert "another version of the plugin mine.py" in changed.err


def test_an_unpacked_archive_names_nothing_outside_it(theirs: Theirs, cwola: Cwola, tmp_path: Path) -> None:
    call = ["reinterpret", theirs.archive, "--signal", theirs.signal, "--output", tmp_path / "new", "--jobs", 1]
    assert cwola(*call, "--name", "qcd").code == 1  # it is unpacked by now
    process = json.loads((tmp_path / "new" / "process.json").read_text())
    for change in (
        {"parts": "memory://elsewhere"},
        {"digest": "../../elsewhere"},
        {"datasets": process["datasets"] | {"qcd": process["datasets"]["qcd"] | {"parts": ["../../secret.parquet"]}}},
    ):
        (tmp_path / "new" / "process.json").write_text(json.dumps(process | change))
        outcome = cwola(*call)
        assert outcome.code == 1
        assert "which is outside the archive, and is not used" in outcome.err
