"""Local workers do not outlive their command, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import sys, time
from pathlib import Path
from analysis.compute.fork_server import start_fork_server
from analysis.compute.processes import LocalProcesses

if FORKED:
    start_fork_server(["analysis.core"])

def work(task):
    import os, time
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(120)

work.__module__ = "__main__"
list(LocalProcesses(2).map(work, range(4)))
"""


def status(process: int) -> list[str]:
    """State, parent, and more of a process."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


def alive(process: int) -> bool:
    """Zombies are not: their parent here may never ask for them."""
    try:
        return status(process)[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("forked", [False, True])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_busy_workers_end_soon_after_their_command(tmp_path: Path, number: signal.Signals, *, forked: bool) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    (tmp_path / "pids").mkdir()
    script = PARENT.replace("sys.argv[1]", repr(str(tmp_path / "pids"))).replace("FORKED", str(forked))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], env=environment) as parent:
        while len(workers := [int(path.name) for path in (tmp_path / "pids").iterdir()]) < 2:
            assert parent.poll() is None
            time.sleep(0.05)
        ancestors = {int(status(worker)[1]) for worker in workers}
        parent.send_signal(number)
    assert (ancestors == {parent.pid}) != forked
    workers += ancestors - {parent.pid}
    end = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    left = [worker for worker in workers if alive(worker)]
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert left == []


ABANDONED = """
from contextlib import closing
from analysis.compute.processes import LocalProcesses

def work(task):
    import time
    time.sleep(task)
    return task

work.__module__ = "__main__"
with closing(LocalProcesses(2)) as backend:
    for index, result in backend.map(work, [0.0] + [0.1] * 200):
        break
    print(sorted(backend.map(work, [0.01, 0.02])))
    try:
        for index, result in backend.map(work, [0.0] + [60.0] * 20):  # more than are sent to workers at a time
            raise OSError("full")
    except OSError:
        print("stopped")
"""


def test_tasks_that_are_given_up_end_without_a_word() -> None:
    """Loky fails in a thread of its own, with a traceback, if it is shut down with cancelled tasks in its queue."""
    command = [sys.executable, "-c", ABANDONED]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True, timeout=50
    )
    assert done.stdout.splitlines() == ["[(0, 0.01), (1, 0.02)]", "stopped"]
    assert done.stderr == ""
