"""A search on a cluster of dask-gateway with its local backend, found by its address gateway://HOST:PORT/NAME."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import dask
import pytest

from tests.builders.clusters import kill, make_environment
from tests.builders.ports import free_ports
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.servers

dask_gateway = pytest.importorskip("dask_gateway", reason="needs dask-gateway: .ci/servers installs it")
pytest.importorskip("dask_gateway_server", reason="needs dask-gateway-server: .ci/servers installs it")

del dask_gateway.Gateway.__del__  # of 2026.3: it raises for a gateway that is closed, which pytest reports at its end

CONFIGURATION = """
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.DaskGateway.address = "127.0.0.1:{private}"
c.DBBackendBase.cluster_heartbeat_period = 2
c.DBBackendBase.cluster_heartbeat_timeout = 120
c.ClusterConfig.adaptive_period = 1
c.Proxy.address = "127.0.0.1:{web}"
c.ClusterConfig.scheduler_cmd = ["{python}", "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = ["{python}", "-m", "distributed.cli.dask_worker"]
"""


def answers(address: str) -> bool:
    """Whether the proxy forwards to the server, which takes a moment longer than both take to start."""
    try:
        with urlopen(f"{address}/api/version", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a server, whose schedulers and workers lack this package."""
    folder = tmp_path_factory.mktemp("gateway")
    ports = dict(zip(("private", "web"), free_ports(2), strict=True))
    configuration = folder / "configuration.py"
    configuration.write_text(CONFIGURATION.format(python=make_environment(folder / "environment"), **ports))
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("dask-gateway-server"), "-f", configuration],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        address = f"http://127.0.0.1:{ports['web']}"
        limit = time.monotonic() + 60
        while not answers(address):
            assert time.monotonic() < limit, (folder / "server.log").read_text()
            time.sleep(0.1)
        with dask.config.set({"gateway.address": address}):
            yield address
    finally:
        process.terminate()  # it stops its clusters
        process.wait(30)
        kill(process)


@pytest.fixture
def cluster(server: str) -> Iterator[Any]:
    """A cluster that starts empty, and adapts to the work."""
    with dask_gateway.Gateway(server).new_cluster() as started:
        started.adapt(minimum=0, maximum=2)
        yield started


def test_a_search_behind_a_gateway_is_that_of_one_process(
    cwola: Cwola, toy: ToySearch, finished: Path, cluster: Any, tmp_path: Path
) -> None:
    outcome = cwola("run", *toy.options(tmp_path / "results"), "--dask-address", cluster.scheduler_address)
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "results" / "results.json").read_bytes() == (finished / "results.json").read_bytes()


@pytest.mark.parametrize(
    ("name", "expected"), [("default.0123456789abcdef", "did not hand out the certificates"), ("", "HOST:PORT/NAME")]
)
def test_an_address_without_a_running_cluster_is_refused(
    cwola: Cwola, toy: ToySearch, server: str, name: str, expected: str, tmp_path: Path
) -> None:
    outcome = cwola("run", *toy.options(tmp_path), "--dask-address", f"gateway://127.0.0.1:1/{name}")
    assert outcome.code != 0
    assert expected in " ".join(outcome.err.split())
    assert "Traceback" not in outcome.err


def test_a_cluster_that_was_stopped_is_refused(cwola: Cwola, toy: ToySearch, cluster: Any, tmp_path: Path) -> None:
    address = cluster.scheduler_address
    cluster.shutdown()
    outcome = cwola("run", *toy.options(tmp_path), "--dask-address", address)
    assert outcome.code != 0
    assert "its status is STOP" in outcome.err
