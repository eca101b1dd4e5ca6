"""Workers that are forked from a process that has imported what they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders.commands import REPOSITORY

SCRIPT = """
import os, sys
from analysis.compute import expect_workers, open_backend

expect_workers(["analysis.regions", "not_there"], jobs=2)
os.environ["SET_LATER"] = "here"
os.environ.pop("SET_BEFORE")
os.chdir(sys.argv[1])

def look(task):
    return "analysis.regions" in sys.modules, os.environ.get("SET_LATER"), "SET_BEFORE" in os.environ, os.getcwd()

def die(task):
    if task == 0 and not os.path.exists("died"):
        open("died", "w").close()
        os._exit(1)
    return task

with open_backend(2) as backend:
    print({result for _, result in backend.map(look, range(4))})
    print(sorted(result for _, result in backend.map(die, range(4))))
"""


def printed(folder: Path, **environment: str) -> list[str]:
    """Lines of the script, of which nothing keeps workers from running it again."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    settings = {**os.environ, "SET_BEFORE": "1", "PYTHONPATH": str(REPOSITORY), **environment}
    command = [sys.executable, script, folder]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere libraries may not survive a fork")
def test_forked_workers_have_the_imports_and_work_like_the_command(tmp_path: Path) -> None:
    seen, results = printed(tmp_path)
    assert seen == repr({(True, "here", False, str(tmp_path))})
    assert results == "[0, 1, 2, 3]"  # a worker that dies is started again


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere libraries may not survive a fork")
def test_without_a_socket_workers_import_on_their_own(tmp_path: Path) -> None:
    """The path of a socket has at most 108 characters: a folder for temporary files on a cluster may be too deep."""
    deep = tmp_path / ("deep" * 30)
    deep.mkdir()
    seen, results = printed(tmp_path, TMPDIR=str(deep))
    assert seen == repr({(False, "here", False, str(tmp_path))})
    assert results == "[0, 1, 2, 3]"
    assert list(deep.iterdir()) == []


def test_no_server_is_started_without_workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    from analysis.compute import choice

    started: list[object] = []
    monkeypatch.setattr(choice, "start_fork_server", started.append)
    choice.expect_workers(["a"], jobs=1)
    choice.expect_workers(["b"], executor="serial")
    choice.expect_workers(["c"], dask_address="tcp://nowhere:1")
    assert started == []
    choice.expect_workers(["d"], jobs=2)
    assert started == [["d"]]
