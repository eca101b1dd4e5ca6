"""Where tests find real files, and the backends they run on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from analysis.compute import Backend, DaskWorkers, Serial, open_backend
from analysis.core.plugins import unload_plugins

# Workers of pytest-xdist and commands that tests start inherit it. One thread of BLAS each: more wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def _data_folder() -> Path:
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("CWOLA_TEST_DATA", beside))


@pytest.fixture(scope="session", autouse=True)
def own_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Plugins that tests name become known in a folder of theirs, also in subprocesses, never in that of the user."""
    folder = tmp_path_factory.mktemp("configuration")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def data() -> Callable[[str], Path]:
    """Path of a real file; the test is skipped without it, or fails if CWOLA_REQUIRE_DATA is 1."""

    def find(name: str) -> Path:
        path = _data_folder() / name
        if not path.exists():
            reason = f"needs the data file {name}: set CWOLA_TEST_DATA to the folder that holds it"
            if os.environ.get("CWOLA_REQUIRE_DATA") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return path

    return find


@pytest.fixture
def serial() -> Backend:
    return Serial()


@pytest.fixture(scope="session")
def two_processes() -> Iterator[Backend]:
    with open_backend(2) as backend:
        yield backend


@pytest.fixture(scope="session")
def two_dask_workers() -> Iterator[Backend]:
    """Two worker processes of a local cluster, with a nanny each that starts them again.

    The scheduler gives a task up after one death, so that it is our resubmission that is tested. On a busy machine a
    worker may need more than 15 seconds to start again, after which the cluster would let it go for good. Nor does it
    drop copies of data that idle workers hold, every two seconds, and send them again with the next task.
    """
    import dask
    from distributed import Client, LocalCluster

    with (
        dask.config.set(
            {
                "distributed.scheduler.allowed-failures": 0,
                "distributed.deploy.lost-worker-timeout": "300s",
                "distributed.scheduler.active-memory-manager.start": False,
            }
        ),
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        yield DaskWorkers(client)


@pytest.fixture
def forgotten_plugins() -> Iterator[None]:
    """What a test loads is gone after it."""
    yield
    unload_plugins()


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """The file system of `memory://`, which a whole process shares: empty before and after the test."""
    system = fsspec.filesystem("memory")
    _empty(system)
    yield system
    _empty(system)


def _empty(system: MemoryFileSystem) -> None:
    system.store.clear()
    system.pseudo_dirs[:] = [""]
