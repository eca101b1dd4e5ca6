"""Backends: all results, once each, whatever happens to workers."""

from __future__ import annotations

import errno
import multiprocessing.synchronize
import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Serial, TaskFailure, available_cpus, open_backend, track
from analysis.compute.choice import ADDRESS_VARIABLE, choose_executor
from analysis.errors import ComputeError


def square(task: int) -> int:
    return task * task


def scaled(task: int, shared: dict[str, np.ndarray]) -> float:
    return float(task * shared["values"].sum())


def writes_into_shared(task: int, shared: dict[str, np.ndarray]) -> None:
    shared["values"][0] = task


def fails_at_three(task: int) -> int:
    if task == 3:
        msg = "three is wrong"
        raise ValueError(msg)
    return task


def dies_once(task: tuple[int, str]) -> int:
    """Kill the worker when task 2 runs for the first time."""
    number, marker = task
    if number == 2 and not Path(marker).exists():
        Path(marker).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def dies(task: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return task


def all_die_once(task: int, shared: dict[str, Any]) -> float:
    """Kill both workers, once each, and with them what they were sent."""
    for name in ("first", "second"):
        marker = Path(shared["folder"]) / name
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)
    return float(shared["values"].sum())


def process_id(task: int) -> int:
    return os.getpid()


class Counted:
    """Notes in a file which process has unpickled it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self.folder,)


def _unpickle(folder: str) -> Counted:
    with (Path(folder) / "unpickled").open("a") as log:
        log.write(f"{os.getpid()}\n")
    return Counted(folder)


def waits(task: int, shared: Counted) -> int:
    time.sleep(0.05)
    return os.getpid()


@pytest.fixture(params=["serial", "two_processes", "two_dask_workers"])
def backend(request):
    return request.getfixturevalue(request.param)


def test_every_task_once(backend):
    found = list(backend.map(square, range(250)))
    assert sorted(found) == [(i, i * i) for i in range(250)]
    assert list(backend.map(square, [])) == []


def test_shared_data_reach_every_task(backend):
    shared = {"values": np.arange(1000.0), "empty": np.zeros(0)}
    assert dict(backend.map(scaled, [1, 2, 3], shared=shared)) == {i: (i + 1) * 499500.0 for i in range(3)}
    assert dict(backend.map(scaled, [1], shared={"values": np.ones(3)})) == {0: 3.0}


@pytest.mark.parametrize("name", ["two_processes", "two_dask_workers"])
def test_shared_data_are_unpickled_once_per_worker(name, request, tmp_path):
    backend, shared = request.getfixturevalue(name), Counted(str(tmp_path))
    workers = {pid for _ in range(2) for pid in dict(backend.map(waits, range(12), shared=shared)).values()}
    unpickled = (tmp_path / "unpickled").read_text().split()
    assert sorted(map(int, unpickled)) == sorted(workers)


def test_workers_cannot_change_shared_data(two_processes):
    """They see one file; a write must fail and not reach the others."""
    with pytest.raises(TaskFailure, match="read-only"):
        list(two_processes.map(writes_into_shared, [1], shared={"values": np.arange(1000.0)}))


def test_failure_tells_task_and_cause(backend):
    with pytest.raises(TaskFailure) as caught:
        list(backend.map(fails_at_three, [5, 4, 3, 2]))
    assert caught.value.index == 2
    assert isinstance(caught.value.__cause__, ValueError)
    assert "three is wrong" in str(caught.value.__cause__)
    assert dict(backend.map(square, [2])) == {0: 4}


@pytest.mark.parametrize("name", ["two_processes", "two_dask_workers"])
def test_killed_worker_loses_nothing(name, request, tmp_path):
    marker = tmp_path / "died"
    found = list(request.getfixturevalue(name).map(dies_once, [(i, str(marker)) for i in range(12)]))
    assert marker.exists()
    assert sorted(found) == [(i, i) for i in range(12)]


def test_task_that_always_kills_its_worker_is_given_up(two_processes):
    with pytest.raises(ComputeError, match=r"1 task was lost 4 times.*fewer --jobs"):
        list(two_processes.map(dies, [0]))
    assert dict(two_processes.map(square, [3])) == {0: 9}


def test_shared_data_that_died_with_the_workers_are_sent_again(two_dask_workers, tmp_path):
    shared = {"values": np.arange(10.0), "folder": str(tmp_path)}
    assert dict(two_dask_workers.map(all_die_once, range(4), shared=shared)) == dict.fromkeys(range(4), 45.0)


def test_task_that_always_kills_its_dask_worker_is_given_up(two_dask_workers):
    with pytest.raises(ComputeError, match=r"1 task was lost 4 times.*dask workers died"):
        list(two_dask_workers.map(dies, [0]))
    assert dict(two_dask_workers.map(square, [3])) == {0: 9}


def test_work_runs_in_other_processes(two_processes):
    assert os.getpid() not in dict(two_processes.map(process_id, range(4))).values()
    assert set(dict(Serial().map(process_id, range(4))).values()) == {os.getpid()}


def test_functions_defined_on_the_spot_reach_workers(two_processes):
    offset = 10
    assert dict(two_processes.map(lambda task: task + offset, [1])) == {0: 11}


def test_one_job_is_serial():
    with open_backend(1) as backend:
        assert isinstance(backend, Serial)
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)


def test_progress_passes_everything_through(capsys):
    assert list(track(iter(range(5)), total=5, description="x")) == list(range(5))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("given", "environment", "expected"),
    [
        ({"jobs": 1}, "tcp://a:1", "serial"),
        ({"jobs": 2}, "tcp://a:1", "processes"),
        ({"executor": "serial"}, "tcp://a:1", "serial"),
        ({"executor": "processes", "jobs": 1}, None, "processes"),
        ({}, "tcp://a:1", "dask"),
        ({"dask_address": "tcp://b:1"}, None, "dask"),
        ({"dask_address": "tcp://b:1", "jobs": 3}, None, "dask"),
        ({"cluster": "a:b"}, "tcp://a:1", "dask"),
    ],
)
def test_what_is_said_decides_where_work_runs(given, environment, expected, monkeypatch):
    monkeypatch.delenv(ADDRESS_VARIABLE, raising=False)
    if environment is not None:
        monkeypatch.setenv(ADDRESS_VARIABLE, environment)
    absent = dict.fromkeys(["jobs", "executor", "dask_address", "cluster", "dask_tls"])
    assert choose_executor(**{**absent, **given}) == expected


def test_files_that_workers_share_hold_raw_arrays_and_no_pickle(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    values = np.arange(100_000.0)
    with open_backend(2) as backend:
        assert dict(backend.map(scaled, [1, 2], shared={"values": values})) == {0: values.sum(), 1: 2 * values.sum()}
        (folder,) = tmp_path.glob("cwola-*")
        assert folder.stat().st_mode & 0o077 == 0
        (file,) = folder.glob("shared-*")
        assert file.read_bytes() == values.tobytes()
    assert not folder.exists()


@pytest.mark.parametrize("options", [{"jobs": 2}, {"jobs": 2, "executor": "dask"}])
def test_processes_without_semaphores_are_refused_with_a_remedy(options, monkeypatch):
    def fail(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(multiprocessing.synchronize.SemLock, "__init__", fail)
    with pytest.raises(ComputeError, match=r"Read-only file system.*--jobs 1.*/dev/shm"), open_backend(**options):
        pass
    with open_backend(1) as serial:
        assert dict(serial.map(square, [2])) == {0: 4}
