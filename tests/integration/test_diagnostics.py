"""The stage after a scan that says what the cuts do to the events."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Backend
from analysis.config import load_config
from analysis.core.documents import to_json
from analysis.results import ResultsFolder
from analysis.results.processed_events import load_processed
from analysis.stages.diagnose import diagnose
from analysis.stages.inputs import SearchInputs
from tests.builders.toy_search import Cwola, ToySearch


def diagnosed(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((folder / "diagnostics.json").read_text())["windows"]
    return found


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> ResultsFolder:
    return ResultsFolder(shutil.copytree(finished, tmp_path / "results"))


def run(folder: ResultsFolder, backend: Backend) -> list[dict[str, Any]]:
    """The windows as the documents that `diagnostics.json` holds."""
    found = diagnose(SearchInputs.load(folder, load_config(path=folder.config)), backend)
    return [to_json(window) for window in found]


def test_a_run_counts_the_events_of_its_results(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    windows = diagnosed(finished)
    assert [one["window"]["signal"] for one in windows] == [[3300, 3700], [3900, 4300]]
    for one, result in zip(windows, results["windows"], strict=True):
        assert one["blinded"] is False
        counts = {selection["name"]: selection["n_obs"] for selection in result["selections"]}
        for feature in one["features"]["features"]:
            original = feature["original"]
            shown = {"inclusive": original["regions"]["window"], **original["selections"]}
            assert {name: sum(h["values"]) + h["outside"] for name, h in shown.items()} == pytest.approx(counts)
        plane = np.array(one["masses"]["regions"]["window"])
        assert 0.97 * counts["inclusive"] < plane.sum() <= counts["inclusive"]
        passing = np.nansum(np.array(one["masses"]["passing"]["eff_0.1"], float) * plane)
        assert passing == pytest.approx(counts["eff_0.1"], rel=0.05)
        assert one["masses"]["expected"] == result["selections"][0]["background"]
        averages = {selection["name"]: selection["average"] for selection in one["sculpting"]["selections"]}
        # a part 0.1 of all events passes; of those beside the mask, without the signal, fewer
        assert averages["eff_0.1"] == pytest.approx(0.1, abs=0.025)
    # the signal has jet masses of 400 and 150 GeV
    plane = windows[0]["masses"]
    places = np.unravel_index(np.nanargmax(np.array(plane["pull"], float)), (20, 20))
    for place, edges, mass in zip(places, plane["edges"], (400, 150), strict=True):
        assert edges[place] - 40 < mass < edges[place + 1] + 40


def test_diagnostics_are_made_once(copied: ResultsFolder, serial: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (copied.path / "diagnostics.json").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr("analysis.stages.diagnose.diagnose_windows", lambda *_, **__: pytest.fail("made again"))
        assert run(copied, serial) == diagnosed(copied.path)
    (copied.path / "diagnostics.json").unlink()
    run(copied, serial)
    assert (copied.path / "diagnostics.json").read_bytes() == before


def test_without_the_events_the_figures_are_left_out_with_one_line(
    copied: ResultsFolder, serial: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    document = json.loads((copied.path / "diagnostics.json").read_text())
    shutil.rmtree(copied.parts)
    caplog.set_level("WARNING", logger="cwola")
    # of other code, but of these windows
    (copied.path / "diagnostics.json").write_text(json.dumps({**document, "key": "older"}))
    assert run(copied, serial) == document["windows"]
    # of other windows
    (copied.path / "diagnostics.json").write_text(json.dumps({**document, "key": "older", "window_keys": []}))
    assert run(copied, serial) == []
    kept, lost = (record.getMessage() for record in caplog.records)
    assert "are those of before" in kept
    assert "are left out" in lost
    assert copied.load_diagnostics() is None


def test_other_events_than_those_of_the_search_are_refused(
    copied: ResultsFolder, serial: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    (copied.path / "diagnostics.json").unlink()
    events = load_processed(copied).without(["bump"])
    caplog.set_level("WARNING", logger="cwola")
    assert diagnose(SearchInputs(events, load_config(path=copied.config), copied), serial) == []
    (record,) = caplog.records
    assert "searched with other events" in record.getMessage()
    assert not (copied.path / "diagnostics.json").exists()


def test_a_search_of_scaled_features_shows_percentiles_unless_it_is_blinded(
    cwola: Cwola, toy: ToySearch, tmp_path: Path
) -> None:
    text = toy.config.read_text().replace("[[3300, 3700], [3900, 4300]]", "[[3300, 3700]]")
    text = text.replace("[learning]", '[learning]\ndecorrelation = "percentile"')
    (toy.folder / "scaled.toml").write_text(text)
    output = tmp_path / "scaled"
    options = ["--output", output, "--jobs", 1]
    config = ["--config", toy.folder / "scaled.toml"]
    assert cwola("process", *options, *config, "--datasets", toy.datasets).code == 0
    assert cwola("scan", *options, *config).code == 0
    trained = [one for one in diagnosed(output)[0]["features"]["features"] if one["trained"]]
    for feature in trained:
        for region in feature["scaled"]["regions"].values():
            values = np.array(region["values"])
            assert values.sum() > 300
            assert ((values - values.mean()) ** 2 / values.mean()).sum() < 30
    assert cwola("scan", *options, *config, "--blind").code == 0
    blinded = diagnosed(output)[0]
    assert blinded["blinded"] is True
    assert all(one["scaled"] is None for one in blinded["features"]["features"])
    assert set(blinded["features"]["features"][0]["original"]["regions"]) == {"lower", "upper"}
