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
from analysis.compute.processes import LocalProcesses

def work(task):
    import os, time
    (Path(sys.argv[1]) / str(os.getpid())).touch()
    time.sleep(120)

work.__module__ = "__main__"
list(LocalProcesses(2).map(work, range(4)))
"""


def alive(process: int) -> bool:
    """Zombies are not: their parent here may never ask for them."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
def test_busy_workers_end_soon_after_their_command(tmp_path: Path, number: signal.Signals) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    (tmp_path / "pids").mkdir()
    script = PARENT.replace("sys.argv[1]", repr(str(tmp_path / "pids")))
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3], env=environment) as parent:
        while len(workers := [int(path.name) for path in (tmp_path / "pids").iterdir()]) < 2:
            assert parent.poll() is None
            time.sleep(0.05)
        parent.send_signal(number)
    end = time.monotonic() + 20
    while any(map(alive, workers)) and time.monotonic() < end:
        time.sleep(0.1)
    left = [worker for worker in workers if alive(worker)]
    for worker in left:
        os.kill(worker, signal.SIGKILL)
    assert left == []
