"""What a user sees when something goes wrong outside: one message, no traceback, and no finished work is lost."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import time
from pathlib import Path

import pytest

from tests.builders.commands import REPOSITORY, interruptible, start
from tests.builders.toy_search import Cwola, ToySearch, make_toy

pytestmark = pytest.mark.thorough


def small_files_only() -> None:
    """Let no file grow beyond 30 kB: writing fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))


def test_a_full_disk_is_named_and_the_next_run_goes_on(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "full"
    process = start("run", *toy.options(output), preexec_fn=small_files_only)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert err.startswith("error: cannot write ")
    assert str(output) in err
    assert "make room" in err
    assert err.count("\n") == 1
    assert not list(output.rglob("*.tmp"))
    assert cwola("process", *toy.options(output)).code == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_control_c_keeps_what_is_finished(cwola: Cwola, toy: ToySearch, tmp_path: Path, jobs: int) -> None:
    output = tmp_path / "stopped"
    process = start("run", *toy.options(output, jobs), preexec_fn=interruptible)
    deadline = time.monotonic() + 90
    while not list(output.rglob("*.parquet")) and time.monotonic() < deadline:
        time.sleep(0.05)
    parts = set(output.rglob("*.parquet"))
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.strip().endswith("error: interrupted. Finished work is kept; run the same command again to go on.")
    assert "Traceback" not in err
    assert parts
    assert parts <= set(output.rglob("*.parquet"))
    assert cwola("run", *toy.options(output)).code == 0


def test_debug_shows_the_traceback(toy: ToySearch, tmp_path: Path) -> None:
    quiet = start("run", "--preset", "nobody", "--output", tmp_path / "quiet")
    loud = start("run", "--preset", "nobody", "--output", tmp_path / "loud", "--debug")
    assert "Traceback" not in quiet.communicate(timeout=60)[1]
    assert "Traceback" in loud.communicate(timeout=60)[1]
    assert quiet.returncode == loud.returncode == 1


@pytest.mark.parametrize("name", ["analysis", "processors"])
def test_a_package_of_somebody_else_is_refused(tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "theirs" / name
    theirs.mkdir(parents=True)
    (theirs / "__init__.py").write_text("")
    paths = os.pathsep.join([str(theirs.parent), str(REPOSITORY)])
    process = start("presets", env={**os.environ, "PYTHONPATH": paths}, cwd=tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert str(theirs) in err
    assert "PYTHONPATH" in err


def root_without_privilege() -> None:
    """Root may write anywhere: give that up before the command starts."""
    if os.geteuid() == 0:
        drop_from_bounding_set, write_anywhere = 24, 1
        assert ctypes.CDLL(None).prctl(drop_from_bounding_set, write_anywhere, 0, 0, 0) == 0


def test_a_read_only_output_is_named(toy: ToySearch, tmp_path: Path) -> None:
    parent = tmp_path / "archive"
    parent.mkdir(mode=0o555)
    process = start("run", *toy.options(parent / "results"), preexec_fn=root_without_privilege)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert str(parent / "results") in err
    assert "Permission denied" in err
    assert "--output" in err


def test_an_unforeseen_error_is_one_line(cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Path) -> None:
        msg = "several\nlines"
        raise TypeError(msg)

    monkeypatch.setattr("analysis.demo.copy_demo", fail)
    outcome = cwola("demo", tmp_path / "demo")
    assert outcome.code == 1
    assert outcome.err.startswith("error: unexpected TypeError: several lines (test_failures.py, line ")
    assert outcome.err.count("\n") == 1
    assert "--debug" in outcome.err
    with pytest.raises(TypeError):
        cwola("demo", tmp_path / "demo", "--debug")


@pytest.mark.parametrize(
    ("events", "message"), [(60, "1 of 2 windows failed; the others are complete"), (4, "2 of 2 windows failed")]
)
def test_a_search_without_enough_events_says_what_failed(
    cwola: Cwola, tmp_path: Path, events: int, message: str
) -> None:
    few = make_toy(tmp_path, [events])
    outcome = cwola("run", *few.options(tmp_path / "results"))
    assert outcome.code == 1
    assert re.fullmatch(rf"error: {message}\. window \d{{4}}-\d{{4}} GeV: .*\n", outcome.err)
    assert (tmp_path / "results" / "report.html").is_file()
