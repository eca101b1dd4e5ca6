"""`cwola limit` and `cwola inject` through the command line: results, resume, Ctrl-C, several processes, a cluster."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis import cli
from analysis.results.documents import check_results
from tests.builders.commands import interruptible, start
from tests.builders.toy_search import N_GENERATED, Cwola, ToySearch

pytestmark = pytest.mark.thorough

N_INJECTIONS = 3 * 2


def run(*arguments: object) -> None:
    cli.cli.main(list(map(str, arguments)), standalone_mode=False)


@pytest.fixture(scope="module")
def finished(limits: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder of processing and limits, made once; do not change it."""
    output = tmp_path_factory.mktemp("with_limits") / "results"
    run("process", *limits.options(output))
    run("limit", "--output", output, "--jobs", 1)
    return output


@pytest.fixture
def again(finished: Path, tmp_path: Path) -> Path:
    """A copy of the results folder that may be changed."""
    return Path(shutil.copytree(finished, tmp_path / "again"))


def read(output: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((output / "limits.json").read_text())["limits"]
    return found


def test_every_rule_stands_beside_the_others(finished: Path) -> None:
    found = {one["rule"]: one for one in read(finished)}
    assert list(found) == ["inclusive", "fixed-efficiency", "atlas-2020", "atlas-2025"]
    assert all(one["reason"] is None for one in found.values())
    expected = {rule: one["expected_selected"][2] for rule, one in found.items()}
    assert max(expected["atlas-2020"], expected["atlas-2025"]) <= expected["inclusive"] * 1.001
    assert found["inclusive"]["selection"] == "inclusive"
    assert found["atlas-2020"]["strength"] <= found["atlas-2020"]["expected_selected"][2] * (1 + 1e-9)


def test_limits_in_fb_follow_from_acceptance_and_luminosity(finished: Path) -> None:
    """N = sigma L A: 20 / fb, and A = selected over 900 generated events."""
    record = json.loads((finished / "process.json").read_text())["datasets"]["point"]
    selected = list(record["cutflow"].values())[-1]["events"]
    for one in read(finished):
        factor = N_GENERATED / (selected * 20.0)
        assert one["fb_per_selected"] == pytest.approx(factor)
        assert one["observed_fb"] == pytest.approx(factor * one["observed_selected"])
        np.testing.assert_allclose(one["expected_fb"], np.multiply(factor, one["expected_selected"]))


def test_injections_are_not_made_again(again: Path, cwola: Cwola) -> None:
    records = sorted((again / "injections").glob("*.json"))
    assert len(records) == N_INJECTIONS
    before = {path.name: path.stat().st_mtime_ns for path in records}
    lost = records[2]
    content = lost.read_bytes()
    lost.unlink()
    assert cwola("limit", "--output", again, "--jobs", 1).code == 0
    after = {path.name: path.stat().st_mtime_ns for path in (again / "injections").glob("*.json")}
    assert {name for name in before if before[name] != after[name]} == {lost.name}
    assert lost.read_bytes() == content


def test_several_processes_give_the_same(finished: Path, limits: ToySearch, cwola: Cwola, tmp_path: Path) -> None:
    output = tmp_path / "parallel"
    assert cwola("process", *limits.options(output)).code == 0
    outcome = cwola("limit", "--output", output, "--jobs", 2, "--signal", "point")
    assert outcome.code == 0
    assert "atlas-2025" in outcome.out
    assert read(output) == read(finished)


def test_control_c_loses_nothing_that_is_finished(
    finished: Path, limits: ToySearch, cwola: Cwola, tmp_path: Path
) -> None:
    output = tmp_path / "stopped"
    assert cwola("process", *limits.options(output)).code == 0
    process = start("limit", "--output", output, "--jobs", 2, preexec_fn=interruptible)
    deadline = time.monotonic() + 90
    while len(list(output.glob("injections/[!.]*.json"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    kept = {path: path.stat().st_mtime_ns for path in output.glob("injections/[!.]*.json")}
    assert 2 <= len(kept) < N_INJECTIONS
    assert process.returncode == 130, err
    assert cwola("limit", "--output", output, "--jobs", 1).code == 0
    assert all(path.stat().st_mtime_ns == time_ for path, time_ in kept.items())
    assert read(output) == read(finished)


def test_blinded_data_give_expected_limits_only(limits: ToySearch, cwola: Cwola, tmp_path: Path) -> None:
    document = json.loads(limits.datasets.read_text())
    document["qcd"]["metadata"] = {"kind": "data", "format": "nanoaod"}
    path = tmp_path / "data.json"
    path.write_text(json.dumps(document))
    output = tmp_path / "blind"
    assert cwola("process", "--datasets", path, "--config", limits.config, "--output", output, "--jobs", 1).code == 0
    assert cwola("limit", "--output", output, "--jobs", 1).code == 0
    for one in read(output):
        assert one["observed_selected"] is one["observed_fb"] is None
        assert one["expected_selected"][2] > 0
    records = [json.loads(record.read_text()) for record in (output / "injections").glob("*.json")]
    assert all(s["n_obs"] is s["z"] is s["observed"] is None for record in records for s in record["selections"])
    assert all(not record["maps"]["data"] for record in records if record["maps"])
    outcome = cwola("inject", "--output", output, "--jobs", 1)
    assert outcome.code == 1
    assert "blinded" in outcome.err
    assert "kind pseudodata" in outcome.err


def test_what_is_hidden_at_three_sigma_is_seen_with_more(again: Path, cwola: Cwola) -> None:
    outcome = cwola("inject", "--output", again, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    document = json.loads((again / "limits.json").read_text())
    assert document["limits"]
    (found,) = document["sensitivity"]
    inclusive, *cut = found["curves"]
    assert inclusive["expected_z"][0] == pytest.approx(3.0, abs=0.3)
    assert [one["efficiency"] for one in cut] == [0.1, 0.03]
    assert cut[-1]["z_added"][1] > 5
    for curve in found["curves"]:
        added = np.subtract(curve["z_with_signal"], curve["z_without_signal"])
        assert curve["z_added"][1] == pytest.approx(np.median(added))


def test_the_status_tells_limits_and_hidden_signals_apart(
    again: Path, limits: ToySearch, cwola: Cwola, tmp_path: Path
) -> None:
    def states(*arguments: object) -> dict[str, str]:
        outcome = cwola("status", again, "--json", *arguments)
        assert outcome.code == 0, outcome.err
        (table,) = json.loads(outcome.out)["tables"]
        return {stage: state for stage, window, state, _ in table["data"] if window == "all"}

    assert states()["limit"] == "finished"
    assert "inject" not in states()
    assert cwola("inject", "--output", again, "--jobs", 1).code == 0
    found = states()
    assert (found["limit"], found["inject"]) == ("finished", "finished")
    config = tmp_path / "other.toml"
    config.write_text(limits.config.read_text().replace("n_folds = 3", "n_folds = 2"))
    other = states("--config", config)
    assert (other["limit"], other["inject"]) == ("stale", "stale")


def test_a_scan_shows_them_and_keeps_the_schema(again: Path, cwola: Cwola) -> None:
    assert cwola("scan", "--output", again, "--jobs", 1).code == 0
    document = json.loads((again / "results.json").read_text())
    check_results(document)
    assert document["limits"] == read(again)
    broken = {**document, "limits": [{**document["limits"][0], "rule": "mine"}]}
    with pytest.raises(Exception, match="limits"):
        check_results(broken)


def test_mistakes_give_one_clear_line(again: Path, limits: ToySearch, cwola: Cwola, tmp_path: Path) -> None:
    outcome = cwola("limit", "--output", again, "--signal", "nothing")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "no dataset nothing of kind signal. Signals: point" in outcome.err
    few = tmp_path / "few.toml"
    few.write_text(limits.config.read_text().replace("[0.1, 0.4]", "[50.0]"))
    outcome = cwola("limit", "--output", again, "--config", few)
    assert "point" in outcome.out
    assert "Simulate at least four times as many, or lower limits.strengths" in " ".join(outcome.out.split())
    outcome = cwola("limit", "--output", tmp_path / "nowhere")
    assert "there is no results folder" in outcome.err


def test_a_sample_that_is_searched_too_is_refused(limits: ToySearch, cwola: Cwola, tmp_path: Path) -> None:
    document = json.loads(limits.datasets.read_text())
    document["hidden"] = {"files": document["point"]["files"], "metadata": {"kind": "pseudodata", "format": "nanoaod"}}
    path = tmp_path / "both.json"
    path.write_text(json.dumps(document))
    output = tmp_path / "both"
    assert cwola("process", "--datasets", path, "--config", limits.config, "--output", output, "--jobs", 1).code == 0
    outcome = cwola("limit", "--output", output, "--jobs", 1)
    assert "its file is searched as dataset hidden" in " ".join(outcome.out.split())
    assert not list(output.glob("injections/*.json"))
