"""Clusters of separate commands that lose all workers, or the scheduler, while tasks run."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
from distributed import Client, LocalCluster

from analysis.compute import DaskWorkers, open_backend, workers
from analysis.errors import ComputeError
from tests.builders.clusters import Cluster, kill

N_TASKS = 12


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(workers, "QUIET", 0.5)
    monkeypatch.setattr(workers, "POLL", 0.2)
    monkeypatch.setattr(workers, "ANSWER", 0.5)
    started = Cluster(tmp_path, Path(sys.executable))
    started.start_scheduler()
    yield started
    started.stop()


def run_until(cluster: Cluster, timeout: float, happens: Callable[[], object]) -> dict[int, float]:
    """Results of the tasks; something happens after the first."""

    def add_slowly(task: int, shared: dict[str, np.ndarray]) -> float:  # sent by value: workers lack the tests
        time.sleep(0.1)
        return task + float(shared["values"].sum())

    with open_backend(dask_address=cluster.address, dask_timeout=timeout) as backend:
        outcomes = backend.map(add_slowly, range(N_TASKS), shared={"values": np.ones(10)})
        results = dict([next(outcomes)])
        happens()
        return results | dict(outcomes)


@pytest.mark.thorough
def test_work_goes_on_with_workers_that_come_later(cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    """There is none at the start, and the one that comes is lost with the shared data."""
    start = Timer(1.0, lambda: cluster.start_worker("first"))
    start.start()

    def lose() -> None:
        kill(cluster.processes[-1])
        Timer(1.0, lambda: cluster.start_worker("second")).start()

    assert run_until(cluster, 60, lose) == {task: task + 10.0 for task in range(N_TASKS)}
    said = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in said if "again" in line] == ["1): going on."] * 2
    assert said[0].startswith(f"the dask scheduler {cluster.address} has had no worker for")


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("process", "number", "text"),
    [
        (
            1,
            signal.SIGKILL,
            r"no worker for 1 s, with work waiting. Finished work is kept: start workers.*--dask-timeout",
        ),
        (0, signal.SIGKILL, r"scheduler is gone. Finished work is kept"),
        (0, signal.SIGSTOP, r"has not answered for 1 s, with work waiting. Finished work is kept"),
    ],
)
def test_a_lost_cluster_is_given_up(cluster: Cluster, process: int, number: signal.Signals, text: str) -> None:
    cluster.start_worker("only")
    with Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(1, timeout=60)
    start = time.monotonic()

    def lose() -> None:
        nonlocal start
        os.killpg(cluster.processes[process].pid, number)
        start = time.monotonic()

    with pytest.raises(ComputeError, match=text):
        run_until(cluster, 1.0, lose)
    assert time.monotonic() - start < 10


def test_a_scheduler_that_is_lost_after_the_work_leaves_no_traceback(
    cluster: Cluster, capfd: pytest.CaptureFixture[str]
) -> None:
    cluster.start_worker("only")
    with open_backend(dask_address=cluster.address) as backend:
        assert dict(backend.map(int, ["3"])) == {0: 3}
        kill(cluster.processes[0])
        time.sleep(0.5)
    err = capfd.readouterr().err
    assert "Traceback" not in err
    assert "distributed" not in err


def test_a_cluster_that_adapts_starts_its_workers_for_the_work() -> None:
    """It has none at the start, and none again between two calls: the second is for tasks with shared data."""
    adapting = {"minimum": 0, "maximum": 2, "interval": "100ms", "wait_count": 2, "target_duration": "1s"}
    with (
        LocalCluster(n_workers=0, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        cluster.adapt(**adapting)
        time.sleep(0.5)
        assert not client.nthreads()
        backend = DaskWorkers(client, timeout=60)
        assert dict(backend.map(abs, [-1, -2])) == {0: 1, 1: 2}
        limit = time.monotonic() + 60
        while client.nthreads():
            assert time.monotonic() < limit, "the cluster should stop idle workers"
            time.sleep(0.1)
        shared = {"values": np.ones(10)}
        assert dict(backend.map(_add, [1.0, 2.0], shared=shared)) == {0: 11.0, 1: 12.0}


def _add(task: float, shared: dict[str, np.ndarray]) -> float:
    return task + float(shared["values"].sum())
