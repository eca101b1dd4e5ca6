"""Command lines that are killed at random points and run again."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["analysis.stages.scan", "processors.runner.run", "distributed", "analysis.plots"])


def kill_and_resume(commands: Sequence[Sequence[object]], folder: Path, *, n_kills: int, seed: int) -> Iterator[Path]:
    """Run commands, kill them at random points, and run them again until they are finished; then start anew.

    Checks that nothing which was finished when they were killed is made again.

    Parameters
    ----------
    commands : sequence of sequences
        Arguments of command lines that follow each other; the path OUTPUT stands for a folder.
    folder : pathlib.Path
    n_kills : int
        In turn with SIGKILL and SIGINT.
    seed : int

    Yields
    ------
    pathlib.Path
        Each finished results folder.
    """
    rng = random.Random(seed)
    kills, number, duration = 0, 0, 0.0
    while kills < n_kills or number < 2:
        output = folder / str(number)
        done: dict[Path, int] = {}
        start, killed, code = time.monotonic(), False, None
        while code != 0:
            signum = (signal.SIGKILL, signal.SIGINT)[kills % 2]
            wait = rng.uniform(0, duration) if number >= 2 and kills < n_kills else None
            code = _run(commands, output, wait, signum)
            assert code in (0, -signum, 130), (output / "cwola.log").read_text()
            killed |= code != 0
            kills += code != 0
            assert {path: finished(output).get(path) for path in done} == done
            done = finished(output)
        if not killed:  # the first is slow, since workers import what they need
            duration = time.monotonic() - start
        number += 1
        yield output


def finished(output: Path) -> dict[Path, int]:
    """When parts and windows that are complete were made."""
    paths = [*output.glob("parts/*/*/*.parquet"), *output.glob("windows/[!.]*/window.json")]
    return {path: path.stat().st_mtime_ns for path in paths}


def _run(
    commands: Sequence[Sequence[object]],
    output: Path,
    wait: float | None = None,
    signum: signal.Signals = signal.SIGKILL,
) -> int | None:
    """Run the commands in a process, and send it a signal after a time; returns its exit code."""
    given = [[str(output) if str(one) == "OUTPUT" else str(one) for one in command] for command in commands]
    process = _CONTEXT.Process(target=_main, args=(given, f"{output}.txt"))
    process.start()
    process.join(wait)
    if process.is_alive():
        assert process.pid is not None
        os.kill(process.pid, signum)
        process.join()
    return process.exitcode


def _main(commands: list[list[str]], log: str) -> None:
    from analysis import cli

    signal.signal(signal.SIGINT, signal.default_int_handler)  # where the tests run in the background it is ignored
    stream: Any = Path(log).open("a", encoding="utf-8")  # noqa: SIM115 - for the life of this process
    sys.stdout = sys.stderr = stream
    for command in commands:
        sys.argv = ["cwola", *command]
        cli.main()
