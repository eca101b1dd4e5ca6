"""Searches on dask clusters of separate commands that lack this package: the result is that of serial."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from distributed import Client, Security
from distributed.versions import VersionMismatchWarning

from analysis import cli
from analysis.compute import DaskWorkers
from analysis.compute.worker import PACKAGES, folders
from analysis.errors import ComputeError
from analysis.events.table import EventTable
from analysis.results import ResultsFolder
from analysis.results.processed_events import load_processed
from tests.builders.clients import kill_and_resume
from tests.builders.clusters import OTHER_WORKERS, Cluster, kill, make_certificate, make_environment, running
from tests.builders.toy_search import Cwola, ToySearch, make_toy

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_environment(tmp_path_factory.mktemp("environment"))


@pytest.fixture(scope="module")
def cluster(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(tmp_path_factory.mktemp("cluster") / "tcp", environment) as started:
        yield started


@pytest.fixture
def monitor(cluster: Cluster) -> Iterator[Client]:
    with warnings.catch_warnings():
        if OTHER_WORKERS is not None:
            warnings.simplefilter("ignore", VersionMismatchWarning)
        client = Client(cluster.address, set_as_default=False)
    with client:
        client.wait_for_workers(2, timeout=120)
        yield client


def commands(toy: ToySearch, output: Path, *where: object) -> list[list[object]]:
    """Process, validate and scan somewhere; figures are drawn on this machine anyway."""
    options = ["--config", toy.config, "--output", output, *where]
    return [
        ["process", *toy.options(output), *where],
        ["validate", *options, "--source", "rapidity", "--source", "simulation"],
        ["scan", *options],
    ]


def search(cwola: Cwola, toy: ToySearch, output: Path, *where: object) -> None:
    for command in commands(toy, output, *where):
        outcome = cwola(*command)
        assert outcome.code == 0, outcome.err


def events(folder: Path) -> EventTable:
    results = ResultsFolder(folder)
    return load_processed(results).searched(results).read()


def without_workers(folder: Path) -> dict[str, Any]:
    """Everything in `results.json` but the versions of libraries on workers, which are named if they differ."""
    document: dict[str, Any] = json.loads((folder / "results.json").read_text())
    document["versions"] = {k: v for k, v in document["versions"].items() if not k.endswith(" of workers")}
    return document


def assert_same(output: Path, finished: Path) -> None:
    """Tables, numbers and models are those of the serial search."""
    found, expected = events(output), events(finished)
    assert found.table.schema.equals(expected.table.schema, check_metadata=True)
    for name in expected.table.column_names:
        np.testing.assert_array_equal(found.column(name), expected.column(name), err_msg=name)
    if OTHER_WORKERS is None:
        assert (output / "results.json").read_bytes() == (finished / "results.json").read_bytes()
    assert without_workers(output) == without_workers(finished)
    for model in finished.rglob("*.ubj"):
        assert (output / model.relative_to(finished)).read_bytes() == model.read_bytes()


KILLED = {"process": ["_guarded"], "scan": ["attempt_fold"]}
"""Tasks whose worker is killed, by command."""


class Killer(Thread):
    """Kills, once each, a worker that runs a task of the given name, or all; their commands start new ones.

    Attributes
    ----------
    killed : list of (str, str)
        Task and worker.
    """

    def __init__(self, client: Client, tasks: list[str], *, every_worker: bool = False) -> None:
        super().__init__(daemon=True)
        self.killed: list[tuple[str, str]] = []
        self._client, self._tasks, self._every_worker = client, tasks, every_worker
        self._pids = client.run(os.getpid)
        self._over = Event()

    def finish(self) -> None:
        """Look for no further task, and wait until the commands have started new workers."""
        self._over.set()
        self.join(120)

    def run(self) -> None:
        for task in self._tasks:
            while not (victim := self._victim(task)):  # tasks of the toy search take a tenth of a second
                if self._over.is_set():
                    return
            killed = list(self._pids) if self._every_worker else [victim]
            for worker in killed:
                os.kill(self._pids[worker], signal.SIGKILL)
            self.killed.append((task, victim))
            self._await_others(killed)

    def _await_others(self, killed: list[str]) -> None:
        """Wait until as many workers are there as before, since tasks may all go to new ones."""
        while len(current := set(self._client.nthreads()) - set(killed)) < len(self._pids):
            time.sleep(0.05)
        self._pids = self._client.run(os.getpid, workers=list(current))

    def _victim(self, task: str) -> str | None:
        busy = [
            worker
            for worker, keys in self._client.processing().items()
            if worker in self._pids and any(key.startswith(task) for key in keys)
        ]
        known = {worker for _, worker in self.killed}
        return next((worker for worker in busy if worker not in known), None)


@pytest.mark.parametrize("every_worker", [False, True])
def test_killed_workers_change_nothing(
    cwola: Cwola,
    toy: ToySearch,
    finished: Path,
    cluster: Cluster,
    monitor: Client,
    tmp_path: Path,
    *,
    every_worker: bool,
) -> None:
    killed: list[tuple[str, str]] = []
    for command in commands(toy, tmp_path / "killed", "--dask-address", cluster.address):
        killer = Killer(monitor, KILLED.get(str(command[0]), []), every_worker=every_worker)
        killer.start()
        outcome = cwola(*command)
        killer.finish()
        assert outcome.code == 0, outcome.err
        killed += killer.killed
    assert [task for task, _ in killed] == ["_guarded", "attempt_fold"]
    assert len({worker for _, worker in killed}) == 2
    assert_same(tmp_path / "killed", finished)


@pytest.mark.parametrize(
    ("task", "lost", "text"),
    [
        ("_guarded", slice(1), "the dask scheduler is gone"),
        ("attempt_fold", slice(1, None), "has had no worker for 1 s"),
    ],
)
def test_a_lost_cluster_loses_no_finished_work(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path, task: str, lost: slice, text: str
) -> None:
    output = tmp_path / "output"
    with running(tmp_path / "cluster", Path(sys.executable)) as doomed:
        process, _, scan = commands(toy, output, "--dask-address", doomed.address)
        with Client(doomed.address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            killer = Thread(target=lose, args=(client, doomed, task, lost))
            killer.start()
            for command in (process, scan)[: 1 + (task == "attempt_fold")]:
                failed = cwola(*command, "--dask-timeout", 1)
            killer.join()
    assert failed.code == 1
    assert failed.err.splitlines()[-1].startswith("error: ")
    assert text in failed.err.splitlines()[-1]
    made = [(path, path.stat().st_mtime_ns) for path in output.glob("parts/*/*/*.parquet")]
    search(cwola, toy, output, "--jobs", 1)
    assert [(path, path.stat().st_mtime_ns) for path, _ in made] == made
    assert_same(output, finished)


def lose(client: Client, cluster: Cluster, task: str, lost: slice) -> None:
    """Kill processes of a cluster as soon as it runs a task of the given name."""
    while not any(key.startswith(task) for keys in client.processing().values() for key in keys):
        time.sleep(0.01)
    for process in cluster.processes[lost]:
        kill(process)


def test_injections_survive_a_killed_worker(
    cwola: Cwola, limits: ToySearch, cluster: Cluster, monitor: Client, tmp_path: Path
) -> None:
    for name, where in {"serial": ("--jobs", 1), "cluster": ("--dask-address", cluster.address)}.items():
        assert cwola("process", *limits.options(tmp_path / name)).code == 0
        killer = Killer(monitor, ["inject"] if name == "cluster" else [])
        killer.start()
        outcome = cwola("limit", "--output", tmp_path / name, *where)
        assert outcome.code == 0, outcome.err
        killer.finish()
        assert len(killer.killed) == (name == "cluster")
    found = {name: (tmp_path / name / "limits.json").read_bytes() for name in ("serial", "cluster")}
    assert found["cluster"] == found["serial"]
    injections = [sorted((tmp_path / name / "injections").glob("*.json")) for name in ("serial", "cluster")]
    assert [path.name for path in injections[0]] == [path.name for path in injections[1]]
    assert all(one.read_bytes() == other.read_bytes() for one, other in zip(*injections, strict=True))


def test_the_same_with_certificates_and_parts_elsewhere(
    cwola: Cwola, toy: ToySearch, finished: Path, environment: Path, tmp_path: Path
) -> None:
    certificate, key = make_certificate(tmp_path)
    files = ("--tls-ca-file", str(certificate), "--tls-cert", str(certificate), "--tls-key", str(key))
    output, away = tmp_path / "tls", f"dir://::file://{tmp_path}/elsewhere"
    with running(tmp_path / "cluster", environment, security=files) as started:
        assert started.address.startswith("tls://")
        process, validate, scan = commands(toy, output, "--dask-address", started.address)
        bare = cwola(*process)
        assert bare.code == 1
        assert "--dask-tls" in bare.err
        tls = ["--dask-tls", f"{certificate},{certificate},{key}"]
        done = [cwola(*process, *tls, "--parts", away), cwola(*validate, *tls), cwola(*scan, *tls)]
    assert [one.code for one in done] == [0, 0, 0], "".join(one.err for one in done)
    assert not (output / "parts").exists()
    assert list((tmp_path / "elsewhere").rglob("*.parquet"))
    assert_same(output, finished)


def test_other_versions_are_refused_before_anything_is_read(
    cwola: Cwola, toy: ToySearch, cluster: Cluster, monitor: Client, tmp_path: Path
) -> None:
    backend = DaskWorkers(monitor)
    odd = make_environment(tmp_path / "odd", {"numpy": "1.0.7", "coffea": "2020.1"})
    command = cluster.start_worker("odd", python=odd)
    try:
        monitor.wait_for_workers(3, timeout=120)
        names = monitor.run(lambda dask_worker: str(dask_worker.name))
        address = next(address for address, name in names.items() if name == "odd")
        with pytest.raises(ComputeError, match=rf"{address}, which came later.*numpy .* here, 1.0 there"):
            dict(backend.map(len, ["task"] * 60))
        outcome = cwola("process", *toy.options(tmp_path / "refused"), "--dask-address", cluster.address)
    finally:
        kill(command)
        # The cluster is shared with later tests, whose clients must not see these versions.
        end = time.monotonic() + 60
        while len(monitor.nthreads()) > 2 and time.monotonic() < end:
            time.sleep(0.1)
    assert outcome.code == 1
    for text in ("numpy", "1.0 on", "coffea", "2020.1", address, "pip install"):
        assert text in outcome.err
    assert "awkward" not in outcome.err
    assert not (tmp_path / "refused" / "parts").exists()


def test_versions_of_workers_that_may_differ_are_named(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path
) -> None:
    python, output = make_environment(tmp_path / "older", {"uproot": "5.7.1", "pyarrow": "17.0.0"}), tmp_path / "output"
    with running(tmp_path / "cluster", python) as started:
        search(cwola, toy, output, "--dask-address", started.address)
    found = json.loads((output / "results.json").read_text())["versions"]
    assert (found["uproot of workers"], found["pyarrow of workers"]) == ("5.7.1", "17.0.0")
    assert without_workers(output) == without_workers(finished)


def test_files_are_scored_from_where_the_user_is(
    cwola: Cwola, finished: Path, cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_toy(tmp_path, [50])
    monkeypatch.chdir(tmp_path)
    for name, where in {"here": ["--jobs", 1], "there": ["--dask-address", cluster.address]}.items():
        outcome = cwola("score", "bump.root", "--models", finished, "--output", f"{name}.csv", *where)
        assert outcome.code == 0, outcome.err
    assert (tmp_path / "there.csv").read_text() == (tmp_path / "here.csv").read_text()


def test_a_killed_client_goes_on_where_it_was(toy: ToySearch, finished: Path, cluster: Cluster, tmp_path: Path) -> None:
    given = commands(toy, Path("OUTPUT"), "--dask-address", cluster.address)
    for output in kill_and_resume(given, tmp_path, n_kills=2, seed=1):
        assert_same(output, finished)


@pytest.mark.slow
def test_a_client_killed_twenty_times(cwola: Cwola, cluster: Cluster, tmp_path: Path) -> None:
    """Many small files, so that it is killed in both stages."""
    toy = make_toy(tmp_path, [375] * 24)
    search(cwola, toy, tmp_path / "serial")
    given = commands(toy, Path("OUTPUT"), "--dask-address", cluster.address)
    for output in kill_and_resume(given, tmp_path, n_kills=20, seed=2):
        assert_same(output, tmp_path / "serial")


CLUSTERS = """
from distributed import Client, LocalCluster

def two():
    cluster = LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
    return Client(cluster, set_as_default=False)

def wrong():
    return "a client"

def broken():
    raise OSError("the batch system is down")
"""


def test_a_function_makes_the_client(
    cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_site.py").write_text(CLUSTERS)
    monkeypatch.chdir(tmp_path)
    search(cwola, toy, tmp_path / "made", "--cluster", "my_site:two")
    assert_same(tmp_path / "made", finished)


UPLOADS = """
from distributed import Client
from distributed.diagnostics.plugin import UploadDirectory

def uploaded():
    client = Client(scheduler_file="{file}", set_as_default=False)
    client.wait_for_workers(1, timeout=120)
    client.register_plugin(UploadDirectory("{project}", restart_workers=True, update_path=True))
    return client
"""


@pytest.mark.parametrize("uploaded", ["this version", "another version"])
def test_beside_a_directory_uploaded_by_the_user(
    cwola: Cwola,
    toy: ToySearch,
    finished: Path,
    environment: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uploaded: str,
) -> None:
    """With `UploadDirectory` users send a checkout, whatever its version, which restarts the workers."""
    project = tmp_path / "project"
    for package, folder in folders(PACKAGES).items():
        shutil.copytree(folder, project / package, ignore=shutil.ignore_patterns("__pycache__"))
    if uploaded == "another version":
        (project / "analysis" / "__init__.py").write_text("raise ImportError('the other version was imported')\n")
    started = Cluster(tmp_path / "cluster", environment)
    started.folder.mkdir()
    (tmp_path / "my_uploads.py").write_text(UPLOADS.format(file=started.folder / "scheduler.json", project=project))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "my_uploads", raising=False)
    try:
        started.start_scheduler()
        started.start_worker("one", threads=2)  # dask extracts an upload once a worker, into one folder a machine
        search(cwola, toy, tmp_path / "output", "--cluster", "my_uploads:uploaded")
        extracted = list(started.folder.rglob("project/analysis/__init__.py"))
        shipped = list(started.folder.rglob("cwola-*/analysis/__init__.py"))
    finally:
        started.stop()
    assert extracted
    assert bool(shipped) == (uploaded == "another version")
    assert_same(tmp_path / "output", finished)


@pytest.mark.parametrize(
    ("arguments", "texts"),
    [
        (["--cluster", "my_other_site:two"], ["my_other_site", "failed"]),
        (["--cluster", "my_other_site"], ["MODULE:FUNCTION"]),
        (["--cluster", "my_site:three"], ["no function three"]),
        (["--cluster", "my_site:wrong"], ["returned a str", "distributed.Client"]),
        (["--cluster", "my_site:broken"], ["the batch system is down"]),
        (["--cluster", "my_site:two", "--dask-address", "tcp://localhost:1"], ["--dask-address", "--cluster"]),
        (["--executor", "serial", "--dask-address", "tcp://localhost:1"], ["contradict", "serial"]),
        (["--executor", "serial", "--jobs", "3"], ["--jobs is 3"]),
        (["--executor", "dask"], ["which cluster", "DASK_SCHEDULER_ADDRESS"]),
        (["--dask-address", "tcp://127.0.0.1:1"], ["tcp://127.0.0.1:1", "--executor processes"]),
        (["--dask-address", "tls://127.0.0.1:1", "--dask-tls", "a,b"], ["CA,CERT,KEY"]),
        (["--dask-address", "tls://127.0.0.1:1", "--dask-tls", "a,b,c"], ["no file a"]),
    ],
)
def test_mistakes_give_one_clear_line(
    cwola: Cwola,
    toy: ToySearch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    texts: list[str],
) -> None:
    (tmp_path / "my_site.py").write_text(CLUSTERS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    monkeypatch.setattr("analysis.compute.connect.CONNECT_TIMEOUT", 1)
    outcome = cwola("process", "--datasets", toy.datasets, "--output", tmp_path / "output", *arguments)
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1
    for text in texts:
        assert text in outcome.err


def test_a_scheduler_without_workers_is_not_waited_for_forever(
    cwola: Cwola, toy: ToySearch, environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lonely = Cluster(tmp_path, environment)
    try:
        lonely.start_scheduler()
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", lonely.address)
        arguments = ["process", "--datasets", toy.datasets, "--output", tmp_path / "output", "--dask-timeout", "0.5"]
        outcome = cwola(*arguments)
    finally:
        lonely.stop()
    assert outcome.code == 1
    assert f"{lonely.address} has had no worker for 0.5 s" in outcome.err


DEMO = Path(__file__).parents[2] / "datasets.json"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "serial"
    arguments = ["run", "--datasets", str(DEMO), "--executor", "serial", "--output", str(output)]
    cli.cli.main(arguments, standalone_mode=False)
    return output


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_the_demo_end_to_end(cwola: Cwola, demo: Path, environment: Path, tmp_path: Path, protocol: str) -> None:
    """The whole command, figures included; one worker is killed while events are selected, another in training."""
    security: tuple[str, ...] = ()
    tls: list[object] = []
    if protocol == "tls":
        certificate, key = make_certificate(tmp_path)
        security = ("--tls-ca-file", str(certificate), "--tls-cert", str(certificate), "--tls-key", str(key))
        tls = ["--dask-tls", f"{certificate},{certificate},{key}"]
    with running(tmp_path / "cluster", environment, security=security) as started:
        keys = (
            Security(tls_ca_file=security[1], tls_client_cert=security[3], tls_client_key=security[5]) if tls else None
        )
        with Client(started.address, security=keys, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            killer = Killer(client, ["_guarded", "attempt_fold"])
            killer.start()
            where = ["--dask-address", started.address, *tls]
            outcome = cwola("run", "--datasets", DEMO, "--output", tmp_path / "dask", *where)
            assert outcome.code == 0, outcome.err
            killer.finish()
    assert len({worker for _, worker in killer.killed}) == 2
    assert_same(tmp_path / "dask", demo)
    figures = sorted(path.name for path in (demo / "plots").iterdir())
    assert sorted(path.name for path in (tmp_path / "dask" / "plots").iterdir()) == figures
