"""`cwola status` tells what the stages would do, and changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.results import ResultsFolder
from analysis.results.turn_on import TurnOnFile
from analysis.statistics.efficiencies import measure_turn_on
from tests.builders.toy_search import Cwola, ToySearch

WINDOWS = ("3300-3700", "3900-4300")
HOLD = """
import sys, time
from pathlib import Path
from analysis.core.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def results(finished: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(finished, tmp_path / "results"))


def states(cwola: Cwola, *arguments: object) -> dict[tuple[str, str], str]:
    """State and note by stage and window."""
    done = cwola("status", *arguments, "--json")
    assert (done.code, done.err) == (0, "")
    (table,) = json.loads(done.out)["tables"]
    assert table["columns"] == ["stage", "window", "state", "note"]
    return {(stage, window): state for stage, window, state, _ in table["data"]}


def content(folder: Path) -> dict[str, Any]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, sha256(path.read_bytes()).hexdigest()) for path in files}


def edit(path: Path, **changes: Any) -> None:
    document = json.loads(path.read_text())
    for section, values in changes.items():
        document[section] = {**document[section], **values} if isinstance(values, dict) else values
    path.write_text(json.dumps(document))


def test_everything_of_a_complete_run_is_finished_and_left_as_it_is(cwola: Cwola, results: Path) -> None:
    before = content(results)
    found = states(cwola, results)
    assert content(results) == before
    stages = {stage for stage, _ in found}
    assert stages == {"process", "validate", "drift", "scan", "diagnose", "plot", "report"}
    assert {window for stage, window in found if stage == "scan"} == {"all", *WINDOWS}
    assert set(found.values()) == {"finished"}


def test_the_table_fits_a_terminal_and_names_the_last_command(cwola: Cwola, results: Path, toy: ToySearch) -> None:
    done = cwola("status", results, "--config", toy.config)
    assert re.search(r"^ scan +3300-3700 +finished", done.out, re.MULTILINE)
    assert re.search(r"Last command: `cwola.*`, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.", done.out)
    table = [line for line in done.out.splitlines() if line.startswith(" ")]
    assert max(map(len, table)) <= 80


def test_what_is_stale_is_what_the_stages_make_again(
    cwola: Cwola, results: Path, toy: ToySearch, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(toy.config.read_text().replace("n_members = 2", "n_members = 1"))
    found = states(cwola, results, "--config", other)
    assert {found["process", "all"], found["drift", "all"]} == {"finished"}
    stale = {name: found[name] for name in found if name[0] in {"validate", "scan", "diagnose", "plot", "report"}}
    assert set(stale.values()) == {"stale"}
    assert states(cwola, results, "--config", toy.config) == dict.fromkeys(found, "finished")


def test_what_was_measured_beside_the_search_is_listed(
    cwola: Cwola, results: Path, toy: ToySearch, tmp_path: Path
) -> None:
    common = ("--output", results, "--config", toy.config, "--jobs", 1)
    assert cwola("bump3d", *common, "--feature", "mj1:2", "--feature", "mj2:2").code == 0
    assert cwola("twosample", *common, "--source", "rapidity", "--permutations", 19, "--trainings", 0).code == 0
    mass = np.linspace(1000.0, 2000.0, 4000)
    passes = np.random.default_rng(1).random(4000) < stats.norm.cdf(mass, 1400.0, 100.0)
    turn_on = measure_turn_on(mass, passes, np.linspace(1000.0, 2000.0, 21), loss=0.01, step=100.0)
    ResultsFolder(results).save_turn_on(TurnOnFile((), ("low",), ("qcd",), (), turn_on))
    studies = [(name, "all") for name in ("turnon", "bump3d", "twosample")]
    found = states(cwola, results)
    assert [found[one] for one in studies] == ["finished"] * 3
    other = tmp_path / "other.toml"
    text = toy.config.read_text().replace("[3900, 4300]]", "[4000, 4400]]")
    other.write_text(text)
    found = states(cwola, results, "--config", other)
    assert [found[one] for one in studies] == ["finished", "stale", "stale"]
    ResultsFolder(results).save_turn_on(TurnOnFile(("HLT_high",), ("low",), ("qcd",), (), turn_on))
    assert states(cwola, results)["turnon", "all"] == "stale"


def test_another_window_is_not_started(cwola: Cwola, results: Path, toy: ToySearch, tmp_path: Path) -> None:
    more = tmp_path / "more.toml"
    more.write_text(toy.config.read_text().replace("[3900, 4300]]", "[3900, 4300], [4300, 4700]]"))
    found = states(cwola, results, "--config", more)
    scan = {window: state for (stage, window), state in found.items() if stage == "scan"}
    assert scan == {"all": "incomplete", "3300-3700": "finished", "3900-4300": "finished", "4300-4700": "not started"}
    assert found["plot", "all"] == "stale"


def test_events_of_another_selection_make_everything_stale(
    cwola: Cwola, results: Path, toy: ToySearch, tmp_path: Path
) -> None:
    other = tmp_path / "other.toml"
    other.write_text(f"{toy.config.read_text()}\n[selection]\npt_min = 210.0\n")
    done = cwola("status", results, "--config", other)
    assert "were selected with other settings in [selection]" in done.out
    assert set(states(cwola, results, "--config", other).values()) == {"stale"}


def test_a_changed_input_file_makes_everything_stale(cwola: Cwola, results: Path, tmp_path: Path) -> None:
    path = results / "process.json"
    document = json.loads(path.read_text())
    file = document["datasets"]["qcd"]["files"][0]
    copied = Path(shutil.copy(file["filename"], tmp_path / "copy.root"))
    file["filename"] = str(copied)
    path.write_text(json.dumps(document))
    assert set(states(cwola, results).values()) == {"finished"}
    with copied.open("r+b") as stream:
        stream.seek(-100, os.SEEK_END)
        stream.write(b"changed")
    assert set(states(cwola, results).values()) == {"stale"}
    assert f"the content of {copied} has changed" in cwola("status", results).out
    copied.unlink()  # the selected events are there
    assert set(states(cwola, results).values()) == {"finished"}


def test_selected_events_that_are_gone_are_missed(cwola: Cwola, results: Path) -> None:
    next(results.glob("parts/*/qcd/*.parquet")).unlink()
    assert states(cwola, results)["process", "all"] == "stale"
    assert "files of selected events are missing" in cwola("status", results).out


def test_a_window_that_is_missing_is_not_started_and_the_scan_incomplete(cwola: Cwola, results: Path) -> None:
    shutil.rmtree(results / "windows" / WINDOWS[0])
    found = states(cwola, results)
    assert (found["scan", "all"], found["scan", WINDOWS[0]]) == ("incomplete", "not started")
    assert found["scan", WINDOWS[1]] == "finished"
    assert "1 of 2 windows; nothing is running" in cwola("status", results).out


def test_folds_of_a_window_in_work_are_counted(cwola: Cwola, results: Path) -> None:
    window = results / "windows" / WINDOWS[0]
    key = json.loads((window / "window.json").read_text())["key"]
    shutil.rmtree(window)
    (results / "folds").mkdir()
    for number in range(2):
        (results / "folds" / f"{key}-{number}").touch()
    assert states(cwola, results)["scan", WINDOWS[0]] == "incomplete"
    assert "2 of 3 folds are trained" in cwola("status", results).out


@pytest.fixture
def holder(results: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock of the results."""
    started = subprocess.Popen([sys.executable, "-c", HOLD, str(results)], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    yield started
    started.kill()
    started.wait()
    started.stdout.close()


def test_a_running_command_is_named_with_its_stage(cwola: Cwola, results: Path, holder: subprocess.Popen[str]) -> None:
    shutil.rmtree(results / "windows" / WINDOWS[0])
    (results / "plots" / "scan.png").unlink()
    with (results / "cwola.log").open("a") as log:
        log.write("2026-01-02 03:04:05,678 INFO cwola: cwola 0.1.0: scan --output results\n")
        log.write("2026-01-02 03:04:06,678 INFO cwola: scan: started\n")
    found = states(cwola, results)
    assert (found["scan", "all"], found["scan", WINDOWS[0]]) == ("running", "not started")
    assert (found["scan", WINDOWS[1]], found["validate", "all"]) == ("finished", "finished")
    out = cwola("status", results).out
    assert re.search(rf"Running: `cwola.*`, process {holder.pid} on ", out)
    assert "Last command: `cwola scan --output results`, 2026-01-02 03:04:05." in out
    holder.kill()
    holder.wait()
    assert (results / ".lock").read_text() != ""
    assert states(cwola, results)["scan", "all"] == "incomplete"
    assert "Running: " not in cwola("status", results).out


def test_the_first_command_of_a_folder_is_running_before_there_is_a_file(
    cwola: Cwola, results: Path, holder: subprocess.Popen[str]
) -> None:
    for path in results.iterdir():
        if path.name != ".lock":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert set(states(cwola, results).values()) == {"not started"}
    assert f"process {holder.pid} on " in cwola("status", results).out


@pytest.mark.parametrize(
    "name",
    [
        "process.json",
        "config.json",
        "manifest.json",
        "results.json",
        "drift.json",
        "diagnostics.json",
        f"windows/{WINDOWS[0]}/window.json",
        f"validation/{WINDOWS[0]}_rapidity_0.json",
    ],
)
def test_a_damaged_file_is_one_error_with_the_remedy(name: str, cwola: Cwola, results: Path) -> None:
    path = results / name
    path.write_text(path.read_text()[:-20])
    done = cwola("status", results)
    (line,) = done.err.splitlines()
    assert (done.code, done.out) == (1, "")
    assert line.startswith(f"error: {path} is damaged")
    assert "Delete it" in line


def test_folders_without_results_are_refused(cwola: Cwola, tmp_path: Path) -> None:
    done = cwola("status", tmp_path)
    assert done.code == 1
    assert done.err.startswith(f"error: {tmp_path} is not a results folder, or nothing was done in it")
    done = cwola("status", tmp_path / "none")
    assert done.code == 1
    assert done.err.startswith(f"error: there is no results folder {tmp_path / 'none'}. Run `cwola run")


def test_a_folder_that_cannot_be_written_is_read(cwola: Cwola, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in [results, *results.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setattr(os, "access", lambda _, mode, **__: mode != os.W_OK)  # the tests may run as root
    try:
        assert set(states(cwola, results).values()) == {"finished"}
    finally:
        for path in [results, *results.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_plugins_of_the_folder_are_not_run(cwola: Cwola, results: Path) -> None:
    plugin, ran = results / "evil.py", results / "ran"
    plugin.write_text(f"from pathlib import Path\nPath({str(ran)!r}).touch()\n")
    edit(results / "config.json", plugins=[str(plugin)])
    done = cwola("status", results)
    assert done.code == 0
    assert f"plugin evil.py, named in {results / 'config.json'}, is code that you have not named so far" in done.err
    assert not ran.exists()
    edit(results / "config.json", learning={"method": "of_a_plugin"})
    done = cwola("status", results)
    assert (done.code, ran.exists()) == (0, False)
    assert "It cannot be told what is current: unknown method 'of_a_plugin'" in done.out
    assert "unknown" in done.out
