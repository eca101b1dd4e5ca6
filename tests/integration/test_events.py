"""Control figures and lists of events through the command line, on the toy search."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pyarrow.parquet as pq
import pytest
import uhi.io.json

from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough


@pytest.fixture
def copied(finished: Path, tmp_path: Path) -> Path:
    """Results of the toy search that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "results"))


def processed_rows(folder: Path, names: list[str]) -> list[dict[str, Any]]:
    """All rows of the parts that the record of the processing names, read one by one."""
    record = json.loads((folder / "process.json").read_text())
    rows: list[dict[str, Any]] = []
    for name in names:
        for part in record["datasets"][name]["parts"]:
            rows += pq.read_table(folder / "parts" / record["digest"] / name / part).to_pylist()
    return rows


def passing(folder: Path, window: str, selection: int) -> dict[tuple[int, int, int], dict[str, Any]]:
    """Events that the stored passes let through inside the window, counted without the package's reader."""
    low, high = map(float, window.split("-"))
    rows = processed_rows(folder, ["qcd", "bump"])
    rows = sorted((row for row in rows if row["rapidity_region"] == "search"), key=lambda row: row["event_id"])
    passes = np.load(folder / "windows" / window / "passes.npz")["passes"][:, selection]
    assert len(passes) == len(rows)
    return {
        (row["run"], row["luminosity_block"], row["event"]): row
        for row, passed in zip(rows, passes, strict=True)
        if passed and low <= row["mjj"] < high
    }


def identities(rows: list[dict[str, str]]) -> list[tuple[int, int, int]]:
    return [(int(row["run"]), int(row["luminosity_block"]), int(row["event"])) for row in rows]


@pytest.mark.parametrize(("selection", "index"), [("inclusive", 0), ("eff_0.03", 2)])
def test_the_listed_events_are_those_that_pass(
    cwola: Cwola, copied: Path, tmp_path: Path, selection: str, index: int
) -> None:
    target = tmp_path / "picked.csv"
    done = cwola("select", copied, "--window", "3300:3700", "--selection", selection, "--output", target)
    assert done.code == 0, done.err
    with target.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    expected = passing(copied, "3300-3700", index)
    assert len(rows) == len(expected) > 100
    assert set(identities(rows)) == set(expected)
    document = json.loads((copied / "results.json").read_text())
    assert sum(float(row["weight"]) for row in rows) == document["windows"][0]["selections"][index]["n_obs"]
    for row, key in zip(rows, identities(rows), strict=True):
        assert float(row["mjj"]) == expected[key]["mjj"]
        assert np.float32(row["tau21_j1"]) == np.float32(expected[key]["tau21_j1"])
        assert row["dataset"] == expected[key]["dataset"]
        assert int(row["event_id"]) == expected[key]["event_id"]
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] > 0
    assert f"{len(rows)} events" in done.out


def test_tight_selections_hold_the_highest_scores_of_each_fold(cwola: Cwola, copied: Path, tmp_path: Path) -> None:
    tables = {}
    for selection in ("inclusive", "eff_0.1"):
        target = tmp_path / f"{selection}.parquet"
        assert cwola("select", copied, "--window", "3300:3700", "--selection", selection, "--output", target).code == 0
        tables[selection] = pq.read_table(target).to_pylist()
    kept = {(row["run"], row["event"]) for row in tables["eff_0.1"]}
    passed = [row["score"] for row in tables["inclusive"] if (row["run"], row["event"]) in kept]
    failed = [row["score"] for row in tables["inclusive"] if (row["run"], row["event"]) not in kept]
    # Thresholds differ between the three folds, so that the two overlap a little.
    assert np.quantile(passed, 0.1) > np.quantile(failed, 0.9)
    # The toy signal, of which 200 events were mixed in, has the highest scores.
    assert np.mean([row["dataset"] == "bump" for row in tables["inclusive"][:50]]) > 0.9


def test_lines_for_cms_tools_in_order_of_identity(cwola: Cwola, copied: Path, tmp_path: Path) -> None:
    target = tmp_path / "picked.txt"
    arguments = ["--window", "3900:4300", "--selection", "eff_0.1", "--order", "identity", "--output", target]
    assert cwola("select", copied, *arguments).code == 0
    found = [tuple(map(int, line.split(":"))) for line in target.read_text().splitlines()]
    assert found == sorted(passing(copied, "3900-4300", 1))


def test_the_list_goes_to_the_results_folder_by_default(cwola: Cwola, copied: Path) -> None:
    assert cwola("select", copied, "--window", "3300:3700", "--selection", "eff_0.1").code == 0
    assert (copied / "selected" / "3300-3700_eff_0.1.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("3300:3800", "inclusive"), "--window 3300:3800 is no window of"),
        (("3300:3800", "inclusive"), "Windows: 3300:3700, 3900:4300."),
        (("3300:3700", "eff_0.2"), "Selections: inclusive, eff_0.1, eff_0.03."),
        (("3700:3300", "inclusive"), "expected LO:HI with LO below HI"),
    ],
)
def test_a_wrong_window_or_selection_is_named_with_those_that_there_are(
    cwola: Cwola, copied: Path, tmp_path: Path, arguments: tuple[str, str], message: str
) -> None:
    window, selection = arguments
    done = cwola("select", copied, "--window", window, "--selection", selection, "--output", tmp_path / "out.csv")
    assert done.code == 1
    assert message in done.err
    assert not (tmp_path / "out.csv").exists()


def test_a_wrong_suffix_is_refused(cwola: Cwola, copied: Path, tmp_path: Path) -> None:
    arguments = ["--window", "3300:3700", "--selection", "eff_0.1", "--output", tmp_path / "out.xlsx"]
    done = cwola("select", copied, *arguments)
    assert done.code == 1
    assert ".csv, .parquet, .txt" in done.err


def test_folders_that_do_not_fit_together_are_refused(cwola: Cwola, copied: Path, tmp_path: Path) -> None:
    arguments = ["select", copied, "--window", "3300:3700", "--selection", "eff_0.1", "--output", tmp_path / "out.csv"]
    scores = copied / "windows" / "3300-3700" / "scores.npz"
    kept = scores.read_bytes()
    scores.unlink()
    missing = cwola(*arguments)
    scores.write_bytes(kept)
    record = copied / "process.json"
    document = json.loads(record.read_text())
    document["datasets"]["qcd"]["parts"] = document["datasets"]["qcd"]["parts"][:1]
    record.write_text(json.dumps(document))
    other = cwola(*arguments)
    assert missing.code == other.code == 1
    assert "holds no scores" in missing.err
    assert "with other events" in other.err
    assert "cwola scan" in missing.err
    assert not (tmp_path / "out.csv").exists()


def test_events_that_do_not_add_up_to_the_count_are_refused(cwola: Cwola, copied: Path, tmp_path: Path) -> None:
    path = copied / "windows" / "3300-3700" / "passes.npz"
    passes = np.load(path)["passes"]
    np.savez_compressed(path, passes=np.roll(passes, 1, axis=0))
    arguments = ["--window", "3300:3700", "--selection", "eff_0.1", "--output", tmp_path / "out.csv"]
    done = cwola("select", copied, *arguments)
    assert done.code == 1
    assert "events pass, but results.json has n_obs" in done.err
    assert not (tmp_path / "out.csv").exists()


def test_blinded_data_are_not_listed(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "blinded"
    arguments = ["--datasets", toy.with_kind("data"), "--config", toy.config, "--output", output, "--jobs", 1]
    assert cwola("run", *arguments).code == 0
    assert not list(output.rglob("scores.npz"))
    done = cwola("select", output, "--window", "3300:3700", "--selection", "eff_0.1")
    assert done.code == 1
    assert "unblind = true" in done.err
    assert not (output / "selected").exists()

    assert cwola("plot", "--control", "--output", output, "--jobs", 1).code == 0
    document = read_histograms(output)
    assert document["blinded"]
    mjj = document["histograms"]["mjj"]["qcd", "search", :]
    edges = mjj.axes[0].edges
    hidden = ((edges[1:] > 3200) & (edges[:-1] < 3800)) | ((edges[1:] > 3800) & (edges[:-1] < 4400))
    assert mjj.values()[hidden].sum() == 0
    assert mjj.values()[~hidden].sum() > 0
    beside = [row for row in processed_rows(output, ["qcd"]) if row["rapidity_region"] == "search"]
    beside = [row for row in beside if 3000 <= row["mjj"] < 3200 or 4400 <= row["mjj"] < 6500]
    assert document["histograms"]["tau21_j1"]["qcd", "search", :].sum(flow=True).value == len(beside)

    unblinded = toy.configured("unblinded", "\n[statistics]\nunblind = true\n")
    assert cwola("scan", "--output", output, "--config", unblinded, "--jobs", 1).code == 0
    assert cwola("select", output, "--window", "3300:3700", "--selection", "eff_0.1").code == 0


def read_histograms(folder: Path) -> dict[str, Any]:
    text = (folder / "plots" / "control" / "histograms.json").read_text()
    document: dict[str, Any] = json.loads(text, object_hook=uhi.io.json.object_hook)
    document["histograms"] = {name: hist.Hist(one) for name, one in document["histograms"].items()}
    return document


def test_control_figures_come_from_the_processed_events_alone(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "control"
    assert cwola("process", *toy.options(output)).code == 0
    done = cwola("plot", "--control", "--output", output, "--jobs", 1)
    assert done.code == 0, done.err
    folder = output / "plots" / "control"
    assert {"search_mjj.png", "search_mj2.png", "sideband_tau21_j1.png", "search_abs_dy.png"} <= {
        path.name for path in folder.iterdir()
    }
    assert not list(folder.glob("*.pdf"))  # plots.formats of the toy's configuration
    histograms = read_histograms(output)["histograms"]
    rows = [row for row in processed_rows(output, ["qcd", "bump"]) if row["rapidity_region"] == "search"]
    expected = np.histogram([row["mj2"] for row in rows if 3000 <= row["mjj"] < 6500], 50, (0, 500))[0]
    found = histograms["mj2"]["qcd", "search", :] + histograms["mj2"]["bump", "search", :]
    np.testing.assert_array_equal(found.values(), expected)


def test_control_figures_need_processed_events(cwola: Cwola, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = cwola("plot", "--control", "--output", tmp_path / "empty")
    assert done.code == 1
    assert "cwola process" in done.err


def test_a_folder_of_an_earlier_version_says_so(cwola: Cwola, copied: Path) -> None:
    record = copied / "process.json"
    document = json.loads(record.read_text())
    del document["datasets"]["qcd"]["skipped_files"]
    record.write_text(json.dumps(document))
    done = cwola("scan", "--output", copied)
    assert done.code == 1
    assert "process.json is damaged, or of another version, at /datasets/qcd/skipped_files: field required" in done.err
    assert "cwola process" in done.err
