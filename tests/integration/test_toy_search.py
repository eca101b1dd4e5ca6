"""The whole chain through the command line, on toy files whose truth is known."""

from __future__ import annotations

import json
import shutil
from html import escape
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import analysis
from analysis import results
from analysis.search.values import WindowResult
from tests.builders.toy_search import Cwola, ToySearch

SCHEMA = Path(analysis.__file__).parent.joinpath("results", "results.schema.json")


def read(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return document


def selections(document: dict[str, Any], window: int) -> dict[str, dict[str, Any]]:
    return {selection["name"]: selection for selection in document["windows"][window]["selections"]}


def test_results_follow_the_schema_and_find_the_signal_where_it_is(finished: Path) -> None:
    document = read(finished)
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))
    peak, other = selections(document, 0), selections(document, 1)
    assert [window["signal"] for window in document["windows"]] == [[3300.0, 3700.0], [3900.0, 4300.0]]
    assert list(peak) == ["inclusive", "eff_0.1", "eff_0.03"]
    assert peak["inclusive"]["efficiency"] == 1
    assert peak["eff_0.03"]["z"] > 6
    assert peak["eff_0.03"]["z"] > peak["inclusive"]["z"] + 3
    assert all(abs(selection["z"]) < 3.5 for selection in other.values())
    # 200 signal events were mixed in; nearly all of them lie in the window.
    b = peak["inclusive"]["n_obs"] - 200
    assert peak["inclusive"]["s_over_sqrt_b"] == pytest.approx(200 / b**0.5, rel=0.05)
    assert document["trials"] == {"windows": 2, "selections": 3, "seeds": 1, "total": 6}
    assert document["global"]["p0"] == pytest.approx(6 * min(s["p0"] for s in (*peak.values(), *other.values())))


def test_cutflow_counts_every_event_of_the_files(finished: Path) -> None:
    cutflow = read(finished)["cutflow"]
    assert cutflow["qcd"]["all"]["events"] == 9000
    assert cutflow["bump"]["all"]["events"] == 200
    assert [entry["entries"] for entry in read(finished)["inputs"]] == [5000, 4000, 300]


def test_two_processes_give_the_same_bytes_as_one(cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path) -> None:
    assert cwola("run", *toy.options(tmp_path / "two", jobs=2)).code == 0
    assert (tmp_path / "two" / "results.json").read_bytes() == (finished / "results.json").read_bytes()
    for model in finished.rglob("*.ubj"):
        assert (tmp_path / "two" / model.relative_to(finished)).read_bytes() == model.read_bytes()


def test_stages_alone_give_what_run_gives(cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "stages"
    processed = cwola("process", *toy.options(output))
    assert processed.code == 0
    assert "9000" in processed.out
    # Of the sources that `run` uses by itself, none can test the toy.
    assert cwola("validate", "--output", output, "--source", "rapidity", "--source", "simulation").code == 0
    scanned = cwola("scan", "--output", output, "--config", toy.config, "--jobs", 1)
    assert scanned.code == 0
    assert "3300-3700" in scanned.out
    assert cwola("plot", "--output", output, "--jobs", 1).code == 0
    assert (output / "results.json").read_bytes() == (finished / "results.json").read_bytes()
    names = sorted(path.name for path in (finished / "plots").iterdir())
    assert sorted(path.name for path in (output / "plots").iterdir()) == names
    assert names == ["scan.png"]


def test_a_second_run_trains_nothing(
    cwola: Cwola, toy: ToySearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "again"
    assert cwola("run", *toy.options(output)).code == 0
    first = (output / "results.json").read_bytes()
    monkeypatch.setattr("analysis.search.window.run_fold", lambda *_: pytest.fail("trained again"))
    monkeypatch.setattr("processors.dijet.DijetProcessor.process", lambda *_: pytest.fail("processed again"))
    assert cwola("run", *toy.options(output)).code == 0
    assert (output / "results.json").read_bytes() == first


def test_an_interrupted_scan_goes_on_where_it_was(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "interrupted"
    save = results.ResultsFolder.save_window

    def save_one(folder: results.ResultsFolder, key: str, result: WindowResult, *, inputs: str) -> None:
        save(folder, key, result, inputs=inputs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(results.ResultsFolder, "save_window", save_one)
        stopped = cwola("run", *toy.options(output))
    assert stopped.code == 130
    assert "kept" in stopped.err
    kept = {path: path.stat().st_mtime_ns for path in output.rglob("window.json")}
    assert len(kept) == 1
    assert cwola("run", *toy.options(output)).code == 0
    assert all(path.stat().st_mtime_ns == time for path, time in kept.items())
    assert (output / "results.json").read_bytes() == (finished / "results.json").read_bytes()


@pytest.mark.thorough
def test_changed_settings_replace_windows_and_leave_no_old_ones(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "changed"
    assert cwola("run", *toy.options(output)).code == 0
    before = read(output)
    assert cwola("scan", "--output", output, "--seed", 5, "--jobs", 1).code == 0
    reseeded = read(output)
    assert reseeded["random_state"] == 5
    assert selections(reseeded, 0)["eff_0.1"]["n_obs"] != selections(before, 0)["eff_0.1"]["n_obs"]
    assert selections(reseeded, 0)["inclusive"]["n_obs"] == selections(before, 0)["inclusive"]["n_obs"]
    one = toy.folder / "one_window.toml"
    one.write_text(toy.config.read_text().replace("[[3300, 3700], [3900, 4300]]", "[[3300, 3700]]"))
    assert cwola("scan", "--output", output, "--config", one, "--jobs", 1).code == 0
    assert [path.name for path in (output / "windows").iterdir()] == ["3300-3700"]


def test_data_are_blind_until_told_otherwise(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "blind"
    options = ["--datasets", toy.with_kind("data"), "--output", output, "--jobs", 1]
    blind = cwola("run", *options, "--config", toy.config)
    assert blind.code == 0
    document = read(output)
    assert document["blinded"] is True
    assert (document["global"]["z"], document["global"]["p0"]) == (None, None)
    for window in document["windows"]:
        for selection in window["selections"]:
            hidden = [selection[key] for key in ("n_obs", "z", "p0", "s_over_sqrt_b")]
            assert hidden == [None] * 4
            assert selection["limit"]["observed_events"] is None
            assert selection["limit"]["expected_events"][2] > 0
    unblinded = toy.configured("unblinded", "\n[statistics]\nunblind = true\n")
    assert cwola("run", *options, "--config", unblinded).code == 0
    revealed = selections(read(output), 0)["inclusive"]
    assert revealed["n_obs"] > 0
    assert revealed["s_over_sqrt_b"] is None


def test_a_window_without_events_is_named_and_the_others_are_kept(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    config = toy.folder / "empty_window.toml"
    text = toy.config.read_text().replace("[3900, 4300]]", "[7600, 7900]]\nfit_range = [3000, 9000]")
    config.write_text(text)
    output = tmp_path / "empty"
    outcome = cwola("run", "--datasets", toy.datasets, "--config", config, "--output", output, "--jobs", 1)
    assert outcome.code == 1
    assert "7600-7900" in outcome.err
    assert "scan.last" in outcome.err
    document = read(output)
    assert [window["status"] for window in document["windows"]] == ["ok", "failed"]
    assert (output / "plots" / "scan.png").exists()


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["run", "--datasets", "nowhere.json"], ["nowhere.json", "--datasets"]),
        (["run", "--preset", "nobody"], ["nobody", "demo"]),
        (["run", "--preset", "best"], ["sets no windows", "[scan]", "fit_range", "cwola demo"]),
        (["run", "--config", "{folder}/typo.toml"], ["learning.n_fold", "n_folds"]),
        (["run", "--config", "{folder}/low.toml"], ["3300-3700", "2.5 times pt_hat_min", "scan.smooth_edge"]),
        (["run", "--exclude", "nobody"], ["nobody", "qcd"]),
        (["run", "--exclude", "qcd", "--exclude", "bump"], ["no dataset of kind"]),
        (["run", "--config", "{folder}/method.toml"], ["magic", "cwola"]),
        (["run", "--config", "{folder}/function.toml"], ["polynomial", "dijet2"]),
        (["run", "--config", "{folder}/feature.toml"], ["m_jj", "mj2"]),
        (["scan"], ["process"]),
        (["plot"], ["no results folder"]),
    ],
)
def test_mistakes_give_one_clear_line(
    cwola: Cwola, toy: ToySearch, tmp_path: Path, arguments: list[str], texts: list[str]
) -> None:
    broken = {
        "typo": "[learning]\nn_fold = 3\n",
        "low": "[scan]\nwindows = [[3300, 3700]]\nfit_range = [2800, 6500]\n",
        "method": '[learning]\nmethod = "magic"\n',
        "function": '[background]\nfunctions = ["polynomial"]\n',
        "feature": '[learning]\nfeatures = ["m_jj"]\n',
    }
    for name, text in broken.items():
        (toy.folder / f"{name}.toml").write_text(text)
    output = tmp_path / "output"
    if arguments == ["scan"]:
        output.mkdir()
    given = [argument.format(folder=toy.folder) for argument in arguments]
    if given[0] == "run" and "--datasets" not in given:
        given += ["--datasets", str(toy.datasets)]
    outcome = cwola(*given, "--output", output)
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for text in texts:
        assert text in outcome.err


def test_an_output_that_is_a_file_or_read_only_is_refused(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("mine")
    outcome = cwola("run", *toy.options(occupied))
    assert outcome.code == 1
    assert str(occupied) in outcome.err
    assert occupied.read_text() == "mine"


def test_output_is_quiet_off_a_terminal(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    outcome = cwola("run", *toy.options(tmp_path / "quiet"))
    assert outcome.err == ""
    assert "\x1b" not in outcome.out
    assert "\r" not in outcome.out
    log = (tmp_path / "quiet" / "cwola.log").read_text()
    assert "scan: finished" in log


def test_a_spectrum_of_unknown_smoothness_is_told_on_the_terminal_and_in_the_report(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    shutil.copytree(finished, output)
    assert "notes" not in json.loads((output / "results.json").read_text())
    process = json.loads((output / "process.json").read_text())
    del process["datasets"]["qcd"]["dataset"]["pt_hat_min"]
    (output / "process.json").write_text(json.dumps(process))
    outcome = cwola("scan", "--output", output, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    (note,) = json.loads((output / "results.json").read_text())["notes"]
    assert note.startswith("Nothing tells where the spectrum is smooth")
    assert note in outcome.out.replace("\n", " ")
    assert cwola("report", "--output", output).code == 0
    assert escape(note) in (output / "report.html").read_text()
