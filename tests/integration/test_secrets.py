"""Passwords and tokens in addresses of input files: the files are read, and no file or message holds the secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from processors.runner import executor
from tests.builders.clusters import make_environment, running
from tests.builders.file_server import PASSWORD, protected
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

OLD, NEW = "t0ken-of-yesterday", "t0ken-of-today"

SECRETS = (PASSWORD, OLD, NEW)


@pytest.fixture
def tokens() -> set[str]:
    return {OLD}


@pytest.fixture
def server(toy: ToySearch, tokens: set[str]) -> Iterator[str]:
    with protected(toy.folder, tokens) as address:
        yield address


def address(server: str, token: str, name: str = "qcd_1.root") -> str:
    return f"http://me:{PASSWORD}@{server}/{name}?authz={token}"


def listed(tmp_path: Path, *files: str) -> Path:
    metadata = {"kind": "pseudodata", "format": "nanoaod", "pt_hat_min": 1200}
    path = tmp_path / "datasets.json"
    path.write_text(json.dumps({"qcd": {"files": dict.fromkeys(files, "Events"), "metadata": metadata}}))
    return path


def revealed(folder: Path) -> list[str]:
    """Files with a secret in their content, or in the metadata of a parquet file."""
    found = []
    for path in folder.rglob("*"):
        if path.is_file():
            texts = [path.read_bytes()]
            if path.suffix == ".parquet":
                texts += (pq.read_schema(path).metadata or {}).values()
            if any(secret.encode() in text for secret in SECRETS for text in texts):
                found.append(path.name)
    return found


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_search_stores_no_secret_and_keeps_its_parts_when_the_token_is_renewed(
    jobs: int, cwola: Cwola, toy: ToySearch, server: str, tokens: set[str], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    command = ["run" if jobs == 1 else "process", "--config", toy.config, "--output", results, "--jobs", jobs]
    outcome = cwola(*command, "--datasets", listed(tmp_path, address(server, OLD)))
    assert outcome.code == 0, outcome.err
    assert not any(secret in outcome.out + outcome.err for secret in SECRETS)
    assert revealed(results) == []
    (record,) = json.loads((results / "process.json").read_text())["datasets"]["qcd"]["files"]
    assert record["filename"] == f"http://{server}/qcd_1.root"
    parts = {path: path.stat().st_mtime_ns for path in results.rglob("*.parquet")}
    windows = {path: path.stat().st_mtime_ns for path in results.rglob("window.json")}
    assert parts
    tokens.clear()
    tokens.add(NEW)
    again = cwola(*command, "--datasets", listed(tmp_path, address(server, NEW)))
    assert again.code == 0, again.err
    assert {path: path.stat().st_mtime_ns for path in results.rglob("*.parquet")} == parts
    assert {path: path.stat().st_mtime_ns for path in results.rglob("window.json")} == windows
    assert revealed(results) == []


def test_a_cluster_reads_files_by_password_and_token_and_logs_neither(
    cwola: Cwola, toy: ToySearch, server: str, tmp_path: Path
) -> None:
    """Scheduler and workers write what fails into their logs, and the beginning of its arguments."""
    datasets = listed(tmp_path, address(server, OLD), address(server, NEW, "qcd_2.root"))
    command = ["process", "--datasets", datasets, "--config", toy.config, "--skip-bad-files"]
    with running(tmp_path / "cluster", make_environment(tmp_path / "environment")) as cluster:
        outcome = cwola(*command, "--output", tmp_path / "results", "--dask-address", cluster.address)
    assert outcome.code == 0, outcome.err
    record = json.loads((tmp_path / "results" / "process.json").read_text())["datasets"]["qcd"]
    assert [one["filename"] for one in record["files"]] == [f"http://{server}/qcd_1.root"]
    assert f"http://{server}/qcd_2.root" in outcome.out + outcome.err
    assert not any(secret in outcome.out + outcome.err for secret in SECRETS)
    assert revealed(tmp_path / "results") == []
    assert any("dask_worker" in path.name for path in (tmp_path / "cluster").glob("*.log"))
    assert revealed(tmp_path / "cluster") == []


@pytest.mark.parametrize("options", [[], ["--debug"], ["--skip-bad-files"], ["--jobs", 2]])
def test_messages_about_a_file_that_is_refused_hold_no_secret(
    options: list[object], cwola: Cwola, server: str, toy: ToySearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "ATTEMPTS", 1)
    monkeypatch.setattr(executor, "PAUSE", 0.0)
    good = [str(toy.folder / "qcd_2.root")] if "--skip-bad-files" in options else []
    datasets = listed(tmp_path, address(server, NEW), address(server, OLD, "gone.root"), *good)
    command = ["process", "--datasets", datasets, "--config", toy.config, "--output", tmp_path / "results"]
    try:
        outcome = cwola(*command, *options)
    except Exception as error:  # noqa: BLE001 - as --debug raises it
        outcome = type("Outcome", (), {"code": 1, "out": "", "err": str(error)})
    assert outcome.code == (0 if "--skip-bad-files" in options else 1)
    shown = outcome.out + outcome.err
    assert f"http://{server}/gone.root" in shown
    assert f"http://{server}/qcd_1.root" in shown
    assert not any(secret in shown for secret in SECRETS)
    assert revealed(tmp_path / "results") == []


def test_single_files_are_inspected_and_scored_without_showing_a_secret(
    cwola: Cwola, server: str, finished: Path, tmp_path: Path
) -> None:
    inspected = cwola("inspect", address(server, OLD, "bump.root"), "--json")
    assert inspected.code == 0, inspected.err
    assert json.loads(inspected.out)["file"] == f"http://{server}/bump.root"
    scored = tmp_path / "scored.parquet"
    used = cwola("score", address(server, OLD, "bump.root"), "--models", finished, "--output", scored, "--jobs", 1)
    assert "was used in the search itself" in used.err  # after the file was read
    refused = cwola("inspect", address(server, NEW, "bump.root"))
    assert refused.code == 1
    for outcome in (inspected, used, refused):
        assert not any(secret in outcome.out + outcome.err for secret in SECRETS)


def test_the_log_holds_the_command_line_without_secrets(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    parts = f"memory://me:{PASSWORD}@parts/x?token={OLD}"
    datasets = listed(tmp_path, str(tmp_path / "gone.root"))
    results = ["--output", tmp_path / "results", "--parts", parts]
    refused = cwola("process", "--datasets", datasets, "--config", toy.config, *results)
    assert "gone.root" in refused.err
    log = (tmp_path / "results" / "cwola.log").read_text()
    assert "--parts memory://parts/x" in log
    assert revealed(tmp_path / "results") == []
