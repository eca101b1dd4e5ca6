"""Tables of events through the command line and from Python: the results are those of the ROOT files behind them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.results import ResultsFolder, load_events
from tests.builders.pages import printed_files
from tests.builders.toy_search import Cwola, ToySearch

FEATURES = ("mj1_over_mjj", "mj2_over_mjj", "tau21_j1", "tau21_j2")


def read(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return document


def write_tables(finished: Path, folder: Path) -> Path:
    """Write the selected events of the toy as parquet, and a datasets file that names them as tables."""
    document: dict[str, Any] = {}
    for name, masses in {"qcd": {}, "bump": {"A": 3500}}.items():
        events = load_events(finished, [name])
        pq.write_table(events.table.drop(["event_id", "dataset", "rapidity_region"]), folder / f"{name}.parquet")
        metadata: dict[str, Any] = {"kind": "pseudodata", "format": "table", "masses": masses}
        document[name] = {
            "files": {f"{name}.parquet": ""},
            "metadata": metadata | ({} if masses else {"pt_hat_min": 1200}),
        }
    (folder / "datasets.json").write_text(json.dumps(document))
    return folder / "datasets.json"


def test_tables_of_the_selected_events_give_the_results_of_the_root_files(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path
) -> None:
    """And the folder serves the later commands."""
    datasets, output = write_tables(finished, tmp_path), tmp_path / "results"
    done = cwola("process", "--datasets", datasets, "--config", toy.config, "--output", output)
    assert done.code == 0, done.err
    assert cwola("scan", "--output", output, "--jobs", 1).code == 0
    expected, found = read(finished), read(output)
    without_verdicts = [[{**window, "validation": None} for window in one["windows"]] for one in (expected, found)]
    assert without_verdicts[0] == without_verdicts[1]
    assert found["global"] == expected["global"]
    assert cwola("plot", "--output", output, "--jobs", 1).code == 0
    assert cwola("report", "--output", output).code == 0
    assert "pseudodata" in (output / "report.html").read_text()
    assert cwola("export", "classifiers", "--output", output, "--to", tmp_path / "models").code == 0
    exported = cwola("export", "trees", "--output", output, "--to", tmp_path / "trees")
    assert exported.code == 0, exported.err
    assert "3300-3700 GeV, JSON: 0 of 10000 decisions changed" in exported.out
    assert (tmp_path / "trees" / "trees_3900-4300.json").is_file()
    window = ["--window", "3300:3700", "--selection", "eff_0.03"]
    lists = [tmp_path / "root.txt", tmp_path / "table.txt"]
    for folder, path in zip((finished, output), lists, strict=True):
        assert cwola("select", folder, *window, "--output", path).code == 0
    assert lists[0].read_text() == lists[1].read_text()


def make_arrays(finished: Path, folder: Path) -> None:
    events = load_events(finished)
    np.savez(folder / "events.npz", mjj=events.mjj, **{name: events.column(name) for name in FEATURES})


def test_scan_takes_tables_and_signals_and_trains_again_only_for_other_events(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path
) -> None:
    make_arrays(finished, tmp_path)
    signal = load_events(finished, ["bump"])
    np.savez(tmp_path / "point.npz", m=signal.mjj, **{name: signal.column(name) for name in FEATURES})
    output = tmp_path / "results"
    options = ["--table", tmp_path / "events.npz", "--config", toy.config, "--output", output, "--jobs", 1]
    assert cwola("scan", *options, "--signal-table", f"point={tmp_path / 'point.npz'}").code == 1  # its mass is `m`
    np.savez(tmp_path / "point.npz", mjj=signal.mjj, **{name: signal.column(name) for name in FEATURES})
    done = cwola("scan", *options, "--kind", "pseudodata", "--signal-table", f"point={tmp_path / 'point.npz'}")
    assert done.code == 0, done.err
    assert [one["dataset"] for one in read(output)["signals"]] == ["point"]
    yields = {one["selection"]: one["events"] for one in read(output)["signals"][0]["selections"]}
    assert yields["inclusive"] == ((signal.mjj >= 3300) & (signal.mjj < 3700)).sum()

    models = {path: path.stat().st_mtime_ns for path in output.rglob("*.ubj")}
    assert cwola("scan", *options, "--kind", "pseudodata").code == 0
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.ubj")} == models
    keys = ResultsFolder(output).load_manifest().window_keys
    arrays = dict(np.load(tmp_path / "events.npz"))
    arrays["tau21_j1"][0] += 0.01
    np.savez(tmp_path / "events.npz", **arrays)
    assert cwola("scan", *options, "--kind", "pseudodata").code == 0
    assert not set(ResultsFolder(output).load_manifest().window_keys or ()) & set(keys or ())


def test_a_table_is_real_data_and_blinded_unless_said_otherwise(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path
) -> None:
    make_arrays(finished, tmp_path)
    done = cwola(
        "process", "--table", tmp_path / "events.npz", "--config", toy.config, "--output", tmp_path / "results"
    )
    assert done.code == 0, done.err
    assert "golden JSON" not in done.out
    assert ResultsFolder(tmp_path / "results").load_process().datasets["events"].dataset["kind"] == "data"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--column", "mjj=M"], "--column needs --table FILE"),
        (["--table", "a.npz", "--column", "mjj"], "--column mjj: expected KEY=NAME"),
        (["--table", "a.npz", "--column", "mass=M"], "--column mass: there is no such key. Keys: mjj, weight, run"),
        (["--table", "a.npz", "--table", "b/a.npz"], "two tables are named 'a'"),
        (["--table", "a.npz"], "a.npz: there is no such file"),
        (["--kind", "data"], "--kind needs --table FILE"),
    ],
)
def test_options_of_tables_are_checked(
    cwola: Cwola, toy: ToySearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old").mkdir()
    done = cwola("scan", *options, "--config", toy.config, "--output", "old")
    assert done.code == 1
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.thorough
def test_the_printed_script_makes_a_results_folder_from_arrays(toy: ToySearch, finished: Path, tmp_path: Path) -> None:
    script = printed_files("tables.md")["search_arrays.py"]
    body = [line for line in script.splitlines() if line]
    assert len(body) - sum(line.startswith(("import", "from")) for line in body) <= 15
    make_arrays(finished, tmp_path)
    shutil.copy(toy.config, tmp_path / "search.toml")
    (tmp_path / "search_arrays.py").write_text(script)
    repository = str(Path(__file__).parents[2])
    command = [
        sys.executable,
        "-c",
        f"import sys; sys.path.insert(0, {repository!r}); exec(open('search_arrays.py').read())",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "results/report.html"
    assert "3300" in (tmp_path / "results" / "report.html").read_text()
    (window, _) = read(tmp_path / "results")["windows"]
    best = {selection["name"]: selection["z"] for selection in window["selections"]}
    assert best["eff_0.03"] > 6  # the 200 hidden signal events
