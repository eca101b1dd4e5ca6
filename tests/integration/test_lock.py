"""Two commands in one results folder, and commands that are ended from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.core.lock import locked
from analysis.errors import ResultsError
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

HOLD = """
import sys, time
from pathlib import Path
from analysis.core.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock."""
    started = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "held\n"
    return started


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_second_command_names_the_first_until_that_is_gone(cwola: Cwola, tmp_path: Path, end: int) -> None:
    first = holder(tmp_path)
    try:
        refused = cwola("scan", "--output", tmp_path)
        assert refused.code == 1
        assert f"error: {tmp_path} is in use by `cwola" in refused.err
        assert f"process {first.pid} on " in refused.err
        assert len(refused.err.strip().splitlines()) == 1
    finally:
        first.send_signal(end)
        first.communicate()
    with locked(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".lock").read_text()
    assert (tmp_path / ".lock").read_text() == ""


def test_an_error_releases_the_lock(tmp_path: Path) -> None:
    def fail() -> None:
        with locked(tmp_path):
            msg = "something else"
            raise ResultsError(msg)

    with pytest.raises(ResultsError, match="something else"):
        fail()
    with locked(tmp_path):
        pass


@pytest.mark.parametrize("name", [".lock", "cwola.log"])
@pytest.mark.parametrize("text", ["of the user\n", None])
def test_a_link_in_a_folder_of_somebody_else_leads_to_no_file_of_the_user(
    name: str, text: str | None, cwola: Cwola, tmp_path: Path
) -> None:
    results, own = tmp_path / "results", tmp_path / "own"
    results.mkdir()
    if text is not None:
        own.write_text(text)
    (results / name).symlink_to(own)
    refused = cwola("report", "--output", results)
    assert refused.code == 1
    assert refused.err.startswith(f"error: {results / name} is a link, which cwola never makes")
    assert (own.read_text() if own.exists() else None) == text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_batch_system_ends_a_run_as_ctrl_c_does(toy: ToySearch, tmp_path: Path, number: int) -> None:
    output = tmp_path / "results"
    command = [sys.executable, "-m", "cwola", "run", *map(str, toy.options(output, jobs=2))]
    started = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (output / "process.json").exists():
        time.sleep(0.1)
    children = _children(started.pid)
    assert children
    started.send_signal(number)
    _, err = started.communicate(timeout=60)
    assert started.returncode == 130
    assert "interrupted. Finished work is kept" in err
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and any(map(_runs, children)):
        time.sleep(0.1)
    assert not any(map(_runs, children))


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False).stdout.split()
    return [int(one) for one in found]


def _runs(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
