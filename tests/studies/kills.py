"""Does a search whose client, workers or scheduler are killed at a random moment leave anything behind?

`cwola run` of a toy search, on two local worker processes or on a dask cluster of two workers, which are separate
commands. The client gets the signal alone or with its whole process group, as from a terminal; workers are killed all
at once, and those of dask are replaced two seconds later. Then the same command runs again. A point tells

- `code`, `errors`, `tracebacks`: exit code of the command, and how many lines of either kind it printed;
- `equal`: whether results and models are in the end the bytes of an undisturbed search in one process;
- `processes`: how many processes of the command are left 15 s after it ended;
- `folders`, `remnants`: temporary folders and files that are left once the command has run again.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from uuid import uuid4

import click
import numpy as np

from tests.builders.clusters import Cluster, kill
from tests.builders.commands import interruptible, start
from tests.builders.toy_search import ToySearch, make_toy
from tests.studies.runner import Budget, Point, run, study

NAME = "kills"
SIGNALS = ("SIGINT", "SIGTERM", "SIGKILL")
VICTIMS = (
    ("processes", "client"),
    ("processes", "workers"),
    ("dask", "client"),
    ("dask", "workers"),
    ("dask", "scheduler"),
)
POINTS = [
    {"trial": trial, "where": where, "victim": victim, "signal": name, "group": victim == "client" and trial % 2 == 1}
    for trial, (where, victim), name in product(range(2), VICTIMS, SIGNALS)
]
MARK = "CWOLA_TRIAL"
SETTLED = 15.0
"""Seconds until all processes of a command must be gone."""


def measure(point: Point) -> Point:
    """Run, kill, and run again."""
    toy, expected = reference()
    fraction = np.random.default_rng(POINTS.index(point)).uniform(0.05, 0.95)
    mark = uuid4().hex
    with TemporaryDirectory() as scratch, cluster(point["where"], Path(scratch)) as found:
        folder = Path(scratch)
        (folder / "tmp").mkdir()
        delay = fraction * undisturbed(point["where"])
        first = launch(toy, folder, found, mark)
        time.sleep(delay)
        late = first.poll() is not None
        send(point, first, found, mark)
        _, err = first.communicate(timeout=300)
        processes = wait_for_end(mark)
        if found is not None and point["victim"] == "scheduler":
            restart(found)
        again = launch(toy, folder, found, mark)
        _, err_again = again.communicate(timeout=600)
        return {
            "fraction": round(fraction, 3),
            "late": late,
            "code": first.returncode,
            "errors": err.count("error: "),
            "tracebacks": err.count("Traceback"),
            "code_again": again.returncode,
            "equal": again.returncode == 0 and contents(folder / "output") == expected,
            "processes": processes + wait_for_end(mark),
            "folders": len(list((folder / "tmp").glob("cwola-*"))),
            "remnants": len(list((folder / "output").rglob(".*.tmp"))),
            "last_line": (err.strip().splitlines() or [""])[-1][:120].replace(scratch, ""),
            "said_again": err_again.strip()[:120].replace(scratch, ""),
        }


@cache
def reference() -> tuple[ToySearch, dict[str, bytes]]:
    """The search, and what an undisturbed one in this process yields."""
    folder = Path(mkdtemp(prefix="kills-"))
    toy = make_toy(folder, [2500] * 4)
    command = start("run", *toy.options(folder / "output", jobs=1))
    _, err = command.communicate()
    assert command.returncode == 0, err
    return toy, contents(folder / "output")


@cache
def undisturbed(where: str) -> float:
    """Seconds that the search takes."""
    toy, _ = reference()
    with TemporaryDirectory() as scratch, cluster(where, Path(scratch)) as found:
        (Path(scratch) / "tmp").mkdir()
        begin = time.monotonic()
        command = launch(toy, Path(scratch), found, uuid4().hex)
        _, err = command.communicate()
        assert command.returncode == 0, err
        return time.monotonic() - begin


def contents(output: Path) -> dict[str, bytes]:
    paths = [output / "results.json", *sorted(output.rglob("*.ubj"))]
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in paths}


@contextmanager
def cluster(where: str, folder: Path) -> Iterator[Cluster | None]:
    if where != "dask":
        yield None
        return
    (folder / "cluster").mkdir()
    started = Cluster(folder / "cluster", Path(sys.executable))
    restart(started)
    try:
        yield started
    finally:
        started.stop()


def restart(found: Cluster) -> None:
    """Start the cluster; remains of an earlier one are stopped."""
    found.stop()
    (found.folder / "scheduler.json").unlink(missing_ok=True)
    found.processes.clear()
    found.start_scheduler()
    found.start_worker("one")
    found.start_worker("two")


def launch(toy: ToySearch, folder: Path, found: Cluster | None, mark: str) -> subprocess.Popen[str]:
    options = toy.options(folder / "output", jobs=2)
    if found is not None:
        options += ["--dask-address", found.address, "--dask-timeout", 60]
    environment = {**os.environ, MARK: mark, "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1"}
    return start("run", *options, env=environment, preexec_fn=interruptible)


def send(point: Point, client: subprocess.Popen[str], found: Cluster | None, mark: str) -> None:
    number = signal.Signals[point["signal"]]
    if point["victim"] == "client":
        reach = os.killpg if point["group"] else os.kill
        with suppress(ProcessLookupError):
            reach(client.pid, number)
    elif found is None:
        for pid in marked(mark):
            if pid != client.pid and "loky" in command_of(pid) and "resource_tracker" not in command_of(pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
    else:
        struck = found.processes[:1] if point["victim"] == "scheduler" else found.processes[1:]
        for process in struck:
            os.killpg(process.pid, number)
        if point["victim"] == "workers":
            time.sleep(2)
            for process in struck:
                kill(process)
            found.start_worker("three")
            found.start_worker("four")


def marked(mark: str) -> list[int]:
    """Living processes that have inherited the mark."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdecimal() and f"{MARK}={mark}".encode() in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def command_of(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def wait_for_end(mark: str) -> int:
    """Number of processes that do not end in time; they are killed then."""
    end = time.monotonic() + SETTLED
    while (left := marked(mark)) and time.monotonic() < end:
        time.sleep(0.2)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


@study(minutes=45)
def main(budget: Budget) -> None:
    """Run trials, and print where anything is left or differs."""
    points = run(NAME, POINTS, measure, budget)
    bad = [
        point
        for point in points
        if not point["equal"] or point["processes"] or point["folders"] or point["remnants"] or point["tracebacks"]
    ]
    for point in bad:
        click.echo(str(point))
    click.echo(f"{len(points)} trials, {len(bad)} with another result, or something left")


if __name__ == "__main__":
    main()
