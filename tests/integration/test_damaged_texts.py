"""Text files of every kind, damaged by chance or no files at all: one error or none, soon, and in little memory."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.builders.commands import start
from tests.builders.damaged_texts import INPUTS, READERS, RESULTS, Kind, damages, prepare, remove_made
from tests.builders.toy_search import Cwola

N_EXAMPLES = 15
"""Of each of the 20 kinds."""

MOST_SECONDS = 60
MOST_BYTES = 1_000_000_000
LONGEST = 3000
"""Characters of a message."""


class TooLongError(BaseException):
    """Not to be caught by what is tested."""


@pytest.fixture(scope="module")
def kinds(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Kind]]:
    """All kinds by name, in the current folder."""
    folder = tmp_path_factory.mktemp("texts")
    shutil.copytree(finished, folder / "results")
    found = prepare(folder)
    with chdir(folder):
        yield found


@contextmanager
def limited() -> Iterator[None]:
    """End what takes too long."""

    def stop(*_: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, MOST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def replaced(path: Path, content: bytes) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)
        remove_made(Path())


def memory(name: str) -> int:
    """Bytes of VmRSS, in use, or VmHWM, the most in use since the last reset."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024


def assert_one_error(code: int, err: str) -> None:
    assert code in (0, 1), err
    if code:
        assert err.startswith("error: "), err
        assert err.count("\n") == 1, err
        assert len(err) < LONGEST, err


@pytest.mark.parametrize("name", [kind.name for kind in INPUTS] + list(RESULTS))
def test_a_damaged_text_ends_in_one_error(kinds: dict[str, Kind], cwola: Cwola, name: str) -> None:
    @settings(
        max_examples=N_EXAMPLES,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    )
    @given(case=damages(kinds[name]))
    def run(case: tuple[tuple[str, ...], bytes]) -> None:
        command, content = case
        with replaced(Path(name), content), limited():
            outcome = cwola(*command)
        assert_one_error(outcome.code, outcome.err)

    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
    before = memory("VmRSS")
    run()
    assert memory("VmHWM") - before < MOST_BYTES


def assert_undamaged_is_read(kinds: dict[str, Kind], cwola: Cwola, name: str) -> None:
    for command in kinds[name].commands[:1]:
        assert cwola(*command).code == 0
    remove_made(Path())
