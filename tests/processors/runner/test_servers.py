"""Files on servers: what goes wrong is told apart, in the time that was given, and replicas are tried in turn."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from analysis.compute import Serial
from analysis.core.address import Address
from analysis.errors import ProcessingError
from processors.opening import open_root
from processors.remote import TIMEOUT, seconds_to_answer
from processors.runner import executor
from processors.runner.executor import BadFile, run_tasks
from processors.runner.patience import patience
from processors.runner.plan import FileRecord
from processors.runner.server_problems import is_refused, server_problem
from tests.builders import toys
from tests.builders.faulty_server import FaultyServer, faulty_server
from tests.builders.running import dataset, run

N_EVENTS = 2000
SECONDS = 0.3


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "PAUSE", 0.0)
    monkeypatch.setattr(executor, "_LAST_READ", {})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    toys.write_nanoaod(folder / "a.root", toys.random_events(N_EVENTS, seed=1))
    return folder


@pytest.fixture
def server(folder: Path) -> Iterator[FaultyServer]:
    with faulty_server(folder) as state:
        yield state


@pytest.fixture
def closed() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}/a.root"


def count(record: FileRecord) -> int:
    with open_root(record.filename) as file:
        found: int = file["Events"].num_entries
        assert len(file["Events"]["event"].array()) == found
        return found


def outcome(address: str, function: Any = count) -> Any:
    """Result of a task on a file, or a `BadFile`."""
    ((_, found),) = run_tasks(Serial(), function, [FileRecord("x", address, "Events", "", 0, "")], "", timeout=SECONDS)
    return found


@pytest.mark.parametrize(
    ("fault", "texts", "requests"),
    [
        ("401", ["refuses access", "401 Unauthorized", "token"], 1),
        ("403", ["refuses access", "403 Forbidden", "token"], 1),
        ("404", ["there is no such file on the server", "Correct the address"], 1),
        ("410", ["there is no such file on the server", "410 Gone"], 1),
        ("418", ["refuses the request", "418"], 1),
        ("429", ["at present", "429 Too Many Requests", "Try again later"], 3),
        ("500", ["at present", "500 Internal Server Error"], 3),
        ("503", ["at present", "503 Service Unavailable", "Try again later"], 3),
        ("no ranges", ["no range requests", "Download"], 1),
        ("silent", ["did not answer in time", "--timeout"], 3),
        ("half", ["did not answer in time", "--timeout"], 3),
    ],
)
def test_answers_of_a_server_are_told_apart(server: FaultyServer, fault: str, texts: list[str], requests: int) -> None:
    server.fault = fault
    start = time.monotonic()
    bad = outcome(f"{server.address}/a.root")
    assert isinstance(bad, BadFile)
    for text in texts:
        assert text in bad.reason
    assert len(server.requests) == requests
    assert time.monotonic() - start < 3 * SECONDS + 2


def test_a_dead_server_is_told_from_a_silent_one(closed: str) -> None:
    assert "the server cannot be reached" in outcome(closed).reason


@pytest.mark.parametrize(("good", "requests"), [(0, 3), (1, 4), (2, 5), (4, 7)])
def test_each_attempt_ends_after_the_timeout_wherever_the_server_stops(
    server: FaultyServer, good: int, requests: int
) -> None:
    server.fault, server.good = "silent", good
    start = time.monotonic()
    assert "did not answer in time" in outcome(f"{server.address}/a.root").reason
    assert 3 * SECONDS <= time.monotonic() - start < 3 * SECONDS + 2
    assert len(server.requests) == requests


def test_a_status_in_the_middle_of_a_file_is_told(server: FaultyServer) -> None:
    outcome(f"{server.address}/a.root")
    server.good, server.fault = len(server.requests) - 1, "503"  # the request for the column
    server.requests.clear()
    assert "503 Service Unavailable" in outcome(f"{server.address}/a.root").reason


def test_an_overloaded_server_is_asked_again(server: FaultyServer) -> None:
    server.fault = "503"

    def recovers(record: FileRecord) -> int:
        try:
            return count(record)
        finally:
            server.fault = ""

    assert outcome(f"{server.address}/a.root", recovers) == N_EVENTS


def test_the_length_of_a_file_needs_no_request(server: FaultyServer, folder: Path) -> None:
    with open_root(f"{server.address}/a.root") as file:
        before = len(server.requests)
        assert file.file.source.num_bytes == (folder / "a.root").stat().st_size
    assert len(server.requests) == before


def test_events_from_a_server_are_those_of_the_file(server: FaultyServer, folder: Path, tmp_path: Path) -> None:
    local, expected = run(dataset(folder / "a.root"), tmp_path / "local")
    files = ((f"{server.address}/a.root", "Events"),)
    remote, found = run(dataset(files=files), tmp_path / "remote", chunksize=700)
    toys.assert_identical(expected, found)
    assert len(found) > 100
    assert remote.cutflow["all"] == local.cutflow["all"]


@pytest.mark.parametrize("first", ["missing", "dead", "silent"])
def test_replicas_are_tried_in_turn(
    server: FaultyServer, folder: Path, tmp_path: Path, closed: str, first: str
) -> None:
    with faulty_server(folder) as other:
        other.fault = "silent" if first == "silent" else "404"
        bad = closed if first == "dead" else f"{other.address}/a.root"
        file = Address(bad, replicas=[f"{server.address}/a.root"])
        found, table = run(dataset(files=((file, "Events"),)), tmp_path / "x", chunksize=700, timeout=SECONDS)
        _, expected = run(dataset(folder / "a.root"), tmp_path / "local")
        toys.assert_identical(expected, table)
        assert [record.filename for record in found.files] == [bad]
        assert not found.skipped
        assert len(other.requests) <= 1  # the replica that was read is tried first from then on


def test_without_a_good_replica_each_has_its_reason(server: FaultyServer, closed: str) -> None:
    server.fault = "403"
    bad = outcome(Address(closed, replicas=[f"{server.address}/a.root", "/none/a.root"]))
    assert bad.filename == closed
    for text in (f"{closed}: the server cannot be reached", "a.root: the server refuses access", "no such file"):
        assert text in bad.reason


def test_a_fault_of_the_code_is_no_reason_to_try_a_replica(server: FaultyServer) -> None:
    def wrong(record: FileRecord) -> int:
        return count(record) // 0

    with pytest.raises(ProcessingError, match="ZeroDivisionError"):
        outcome(Address(f"{server.address}/a.root", replicas=["/none/a.root"]), wrong)


def test_time_limits_reach_each_file_system_and_are_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TIMEOUTRESOLUTION", "CONNECTIONRETRY", "CONNECTIONWINDOW"):
        monkeypatch.setenv(f"XRD_{name}", "7") if name == "CONNECTIONRETRY" else monkeypatch.delenv(
            f"XRD_{name}", raising=False
        )
    monkeypatch.setitem(fsspec.config.conf, "https", {"client_kwargs": {"trust_env": True}, "block_size": 5})
    before = dict(fsspec.config.conf)
    with patience(["https://a/b", "root://a//b", "s3://a/b", "/a/b"], 5):
        settings = fsspec.config.conf
        client = settings["https"]["client_kwargs"]
        assert (client["trust_env"], client["timeout"].sock_read, client["timeout"].total) == (True, 5, None)
        assert settings["https"]["block_size"] == 5
        assert settings["root"] == {"timeout": 5}
        s3 = settings["s3"]["config_kwargs"]
        assert (s3["connect_timeout"], s3["read_timeout"], s3["retries"]) == (5, 5, {"total_max_attempts": 1})
        assert seconds_to_answer.get() == 5
        assert (os.environ["XRD_TIMEOUTRESOLUTION"], os.environ["XRD_CONNECTIONWINDOW"]) == ("1", "5")
        assert os.environ["XRD_CONNECTIONRETRY"] == "7"
    assert fsspec.config.conf == before
    assert seconds_to_answer.get() == TIMEOUT


class _ClientError(Exception):
    """As botocore's."""

    def __init__(self, status: int) -> None:
        self.response = {"ResponseMetadata": {"HTTPStatusCode": status}}


class NoCredentialsError(Exception):
    """As botocore's."""


@pytest.mark.parametrize(
    ("error", "text", "refused"),
    [
        (_ClientError(403), "refuses access (403 Forbidden)", True),
        (_ClientError(503), "at present (503", False),
        (NoCredentialsError("Unable to locate credentials"), "no credentials for s3://", True),
        (OSError("Failed to open file: [ERROR] Server responded with an error: [3011] No such file"), "no such", True),
        (OSError("Failed to open file: [ERROR] Server responded with an error: [3010] Permission"), "refuses", True),
        (OSError("Failed to open file: [FATAL] Auth failed"), "refuses access", True),
        (OSError("Failed to open file: [ERROR] Operation expired"), "did not answer in time", False),
        (OSError("Failed to open file: [FATAL] Connection error"), "cannot be reached", False),
        (ValueError("not of the server"), None, False),
    ],
)
def test_errors_of_s3_and_xrootd_are_told_apart(error: Exception, text: str | None, refused: bool) -> None:
    found = server_problem([error], "s3://bucket/a.root")
    assert found is None if text is None else text in (found or "")
    assert is_refused([error]) is refused
