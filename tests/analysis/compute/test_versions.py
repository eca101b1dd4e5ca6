"""Versions on a cluster: which differences are refused, in which words, and what is asked of whom."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

import cloudpickle
import distributed
import pytest
from distributed import LocalCluster
from distributed.versions import VersionMismatchWarning
from packaging.requirements import Requirement

from analysis.compute import connect, versions
from analysis.compute.versions import ask_client, require_same_versions
from analysis.compute.worker import COMPARED, OLDEST, RECORDED, compared, installed, recorded
from analysis.errors import ComputeError
from analysis.results import documents

HERE = {"python": "3.11.7", "xgboost": None, "xgboost-cpu": "3.2.0", "iminuit": "2.33.0", "scipy": "1.17.1"}
HERE |= {"awkward": "2.14.0", "coffea": "2026.9.0", "hist": "2.10.1", "pyarrow": "26.0.1", "uproot": "5.7.7"}
HERE |= dict.fromkeys([name for name in (*COMPARED, *RECORDED) if name not in HERE], "1.0.7")


class Scheduler:
    """A scheduler and workers that answer with the versions they are given.

    Attributes
    ----------
    ran : list of str
        Workers that were sent a function.
    silent : bool
        Workers do not answer.
    """

    def __init__(self, scheduler: dict[str, str | None], workers: dict[str, dict[str, str | None]]) -> None:
        self.own, self.workers = HERE | scheduler, {name: HERE | one for name, one in workers.items()}
        self.ran: list[str] = []
        self.silent = False

    async def versions(self, packages: list[str]) -> dict[str, Any]:
        assert not packages  # distributed before 2025.4 would import them, the scheduler too
        return {"packages": {name: bare(name, self.own[name]) for name in ("python", "distributed", "numpy")}}

    async def broadcast(
        self, *, msg: dict[str, Any], on_error: str, workers: list[str] | None = None
    ) -> dict[str, Any]:
        assert on_error == "ignore"
        if self.silent:
            await asyncio.sleep(60)
        if msg["op"] == "versions":
            names = ("python", "distributed", "numpy")
            return {
                worker: {"packages": {name: bare(name, one[name]) for name in names}}
                for worker, one in self.workers.items()
            }
        assert cloudpickle.loads(msg["function"])()["python"]
        self.ran = list(workers or [])
        return {worker: {"status": "OK", "result": self.workers[worker]} for worker in self.ran}


def bare(name: str, version: str | None) -> str | None:
    """Version as distributed gives it."""
    return f"{version}.final.0" if name == "python" else version


class Connected:
    """A client."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler

    def sync(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return asyncio.run(function(*arguments))


@pytest.fixture
def as_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.compute.worker.installed", lambda: dict(HERE))


CLUSTERS = [
    ({}, {"a": {}, "b": {}}, []),
    ({"numpy": "0.9"}, {"a": {}}, []),  # a scheduler only forwards tasks
    ({"python": "3.11.1"}, {"a": {"python": "3.11.2"}}, []),
    ({}, {"a": {"scipy": "0.9", "iminuit": "0.9", "vector": None}}, []),
    ({}, {"a": {"xgboost": "3.2.0", "xgboost-cpu": None}}, []),  # the same module
    ({}, {"a": {"numpy": "1.0.11"}}, []),
    ({}, {"a": {"numpy": "1.1.0"}}, ["numpy: 1.0 here, 1.1 on worker a"]),
    (
        {},
        {"a": {"awkward": "2.8.11", "hist": "2.10.0", "pyarrow": "17.0.0", "uproot": "5.7.0"}},
        [],
    ),
    ({}, {"a": {"awkward": "2.15.0", "hist": "3.0", "pyarrow": "100.0.0"}}, []),
    ({}, {"a": {"pyarrow": "16.1.0"}}, ["pyarrow: 26.0.1 here, 16.1.0 on worker a"]),
    (
        {},
        {"a": {"uproot": "5.6.12"}, "b": {"uproot": None}},
        [
            "uproot: 5.7.7 here, 5.6.12 on worker a",
            "uproot: 5.7.7 here, absent on worker b",
        ],
    ),
    ({"distributed": "2025.3.1"}, {}, ["distributed: 1.0.7 here, 2025.3.1 on the scheduler"]),
    ({"python": "3.12.0"}, {}, ["python: 3.11 here, 3.12 on the scheduler"]),
    ({}, {"a": {"pyhf": None}, "b": {}}, ["pyhf: 1.0.7 here, absent on worker a"]),
    ({}, {"a": {"xgboost-cpu": None}}, ["xgboost: 3.2.0 here, absent on worker a"]),
    (
        {"distributed": "2025.3.1"},
        {name: {"distributed": "2025.3.1", "coffea": "2025.7.0"} for name in "abcde"},
        [
            "distributed: 1.0.7 here, 2025.3.1 on the scheduler, worker a, worker b and 3 more",
            "coffea: 2026.9.0 here, 2025.7.0 on worker a, worker b, worker c and 2 more",
        ],
    ),
]


@pytest.mark.parametrize(("scheduler", "workers", "lines"), CLUSTERS)
@pytest.mark.usefixtures("as_here")
def test_all_differences_that_count_are_refused_in_one_message(
    scheduler: dict[str, str | None], workers: dict[str, dict[str, str | None]], lines: list[str]
) -> None:
    found = ask_client(Connected(Scheduler(scheduler, workers)), 1.0)
    assert list(found) == ["the scheduler", *(f"worker {name}" for name in workers)]
    if not lines:
        require_same_versions(compared(HERE), found)
        return
    with pytest.raises(ComputeError) as caught:
        require_same_versions(compared(HERE), found)
    message = str(caught.value).splitlines()
    assert message[1:-1] == [f"  {line}" for line in lines]
    assert "pip install NAME==VERSION" in message[-1]


@pytest.mark.usefixtures("as_here")
def test_a_worker_of_another_python_is_sent_no_function() -> None:
    cluster = Scheduler({}, {"same": {}, "other": {"python": "3.12.7", "coffea": "0.7"}})
    found = ask_client(Connected(cluster), 1.0)
    assert cluster.ran == ["same"]
    with pytest.raises(ComputeError, match=r"python: 3.11 here, 3.12 on worker other\n"):
        require_same_versions(compared(HERE), found)


@pytest.mark.usefixtures("as_here")
def test_workers_that_do_not_answer_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "ANSWER", 0.05)
    cluster = Scheduler({"distributed": "2025.3.1"}, {"a": {}})
    cluster.silent = True
    start = time.monotonic()
    found = ask_client(Connected(cluster), 1.0)
    assert time.monotonic() - start < 5
    assert list(found) == ["the scheduler"]


def test_versions_come_over_a_bare_connection_before_a_client_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of another version may fail at its first message."""

    class Unusable:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            pytest.fail("a client was made")

    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options, host="127.0.0.1", protocol="tcp://") as cluster:
        found = versions.ask_address(cluster.scheduler_address, distributed.Security(), 10)
        assert len(found) == 2
        assert all(one == compared(installed()) for one in found.values())
        monkeypatch.setattr(distributed, "Client", Unusable)
        monkeypatch.setattr("analysis.compute.worker.installed", lambda: installed() | {"distributed": "1.0"})
        text = r"^the dask cluster has other versions.*\n  distributed: 1.0 here, .* on the scheduler"
        with (
            pytest.raises(ComputeError, match=text),
            connect.open_dask(cluster.scheduler_address, None, None, timeout=10, local_jobs=1),
        ):
            pass


@pytest.mark.filterwarnings("error")
def test_dask_does_not_warn_of_what_may_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"warning": "pandas differs", "error": ""}
    monkeypatch.setattr("distributed.versions.error_message", lambda *_, **__: told)
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": ":0"}
    with LocalCluster(**options, host="127.0.0.1", protocol="tcp://") as cluster:
        with (
            pytest.warns(VersionMismatchWarning, match="pandas differs"),
            distributed.Client(cluster.scheduler_address),
        ):
            pass
        with connect.open_dask(cluster.scheduler_address, None, None, timeout=10, local_jobs=1) as backend:
            assert list(backend.map(len, ["one"])) == [(0, 3)]


def test_what_is_too_old_on_a_worker_is_too_old_for_this_package() -> None:
    needed = [Requirement(one) for one in metadata.requires("cwola-dijet") or []]
    floors = {one.name: str(one.specifier).removeprefix(">=") for one in needed if one.name in OLDEST}
    assert {name: tuple(map(int, floors[name].split("."))) for name in OLDEST} == OLDEST


def test_all_versions_in_the_results_are_compared_or_recorded() -> None:
    assert set(documents._LIBRARIES) <= {*COMPARED, *RECORDED}
    assert not set(COMPARED) & set(RECORDED)


def test_versions_of_workers_that_differ_are_named_with_the_results() -> None:
    assert recorded(HERE) == {name: HERE[name] for name in RECORDED}
    assert {"iminuit", "scipy", "vector", "awkward"} < {*RECORDED}
    alone = documents.software_versions()
    found = documents.software_versions({"scipy": ("1.16.3", "1.17.1"), "iminuit": ("2.30.0",)})
    assert found == alone | {"scipy of workers": "1.16.3, 1.17.1", "iminuit of workers": "2.30.0"}
