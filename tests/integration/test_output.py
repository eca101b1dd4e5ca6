"""A command whose output cannot be written does its work, says so in one line, and does not exit with 0."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from analysis.cli.tables.plain import plain
from analysis.results import ResultsFolder
from analysis.results.verdict import closing_lines
from tests.builders.commands import start
from tests.builders.toy_search import Cwola, ToySearch

FULL = Path("/dev/full")


def closed_pipe() -> int:
    reading, writing = os.pipe()
    os.close(reading)
    return writing


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        pytest.param(
            "full", "No space left on device", marks=pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
        ),
        ("pipe", "Broken pipe"),
        ("closed", "Bad file descriptor"),
    ],
)
def test_output_that_cannot_be_written_is_one_line(output: str, reason: str, tmp_path: Path) -> None:
    target = FULL.open("w") if output == "full" else closed_pipe()
    options = {"preexec_fn": lambda: os.close(1)} if output == "closed" else {}
    process = start("demo", tmp_path / "demo", stdout=target, **options)
    _, err = process.communicate(timeout=60)
    os.close(target) if isinstance(target, int) else target.close()
    assert process.returncode == 1
    assert err == f"error: cannot write to standard output: {reason}. All else was done, and files are complete.\n"
    assert (tmp_path / "demo" / "search.toml").exists()


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full")
def test_errors_that_cannot_be_written_leave_the_exit_code(tmp_path: Path) -> None:
    with FULL.open("w") as full:
        assert start("nocommand", stdout=subprocess.DEVNULL, stderr=full).wait(60) == 2


def test_a_search_ends_with_its_three_lines_and_the_place_of_its_results(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(finished, results)
    done = cwola("run", *toy.options(results))
    *_, searched, found, checked, where = done.out.splitlines()
    assert (done.code, [searched, found, checked]) == (
        0,
        [plain(line) for line in closing_lines(ResultsFolder(results).read_results())],
    )
    assert searched.startswith("Searched ")
    assert "largest local z = " in found
    assert where == f"Results, workspaces and plots: {results}; report: {results / 'report.html'}"
    again = cwola("scan", "--output", results, "--blind")
    *_, searched_blinded, found, _, where = again.out.splitlines()
    assert searched_blinded == re.sub(r"\d+ events of (.*): 2", r"\1, blinded: 2", searched)
    assert found.startswith("Blinded: ")
    assert where == f"Results, workspaces and plots: {results}"
