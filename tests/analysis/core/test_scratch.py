"""Temporary folders of killed processes are removed by the next process; those in use, and foreign ones, stay."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from analysis.compute.processes import LocalProcesses
from analysis.core.scratch import ScratchFolder

HOLD = """
import sys, time
from pathlib import Path
from analysis.core.scratch import ScratchFolder
print(ScratchFolder("cwola-", Path(sys.argv[1])).path, flush=True)
time.sleep(60)
"""


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "cwola-of-something-else").mkdir()
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3]) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        (left / "shared-0").write_text("data")
        with ScratchFolder("cwola-", tmp_path) as own:
            assert left.exists()
        holder.kill()
    with ScratchFolder("cwola-", tmp_path) as own:
        assert {path.name for path in tmp_path.iterdir()} == {"cwola-of-something-else", own.name}
    assert [path.name for path in tmp_path.iterdir()] == ["cwola-of-something-else"]


def test_worker_processes_leave_no_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    backend = LocalProcesses(2)
    assert len(list(tmp_path.glob("cwola-*"))) == 1
    backend.close()
    assert not list(tmp_path.glob("cwola-*"))
