"""Input files on servers of nginx and XRootD on this machine: the events are those of the local files."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.builders.clusters import kill
from tests.builders.ports import free_ports
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.servers

NGINX = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log {folder}/access.log;
  server {{
    listen 127.0.0.1:{port};
    root {files};
    location /private/ {{ return 403; }}
    location /busy/ {{ return 503; }}
    location /whole/ {{ alias {files}/; max_ranges 0; }}
  }}
}}
"""

XROOTD = """
all.export /
oss.localroot {files}
xrd.port {port}
all.adminpath {folder}
all.pidpath {folder}
"""


@contextmanager
def serving(command: list[object], port: int, folder: Path) -> Iterator[None]:
    """A daemon in the foreground, until it listens."""
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            list(map(str, command)), cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        limit = time.monotonic() + 30
        while not listens(port):
            assert process.poll() is None, (folder / "server.log").read_text()
            assert time.monotonic() < limit, (folder / "server.log").read_text()
            time.sleep(0.05)
        yield
    finally:
        kill(process)


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


def require(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip(f"needs {name}: .ci/servers installs it where apt-get can")
    return found


@pytest.fixture
def nginx(toy: ToySearch, tmp_path: Path) -> Iterator[str]:
    program, port = require("nginx"), free_ports(1)[0]
    folder = tmp_path / "nginx"
    folder.mkdir()
    owner = toy.folder.owner()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, files=toy.folder, port=port, user=owner))
    with serving([program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "start.log"], port, folder):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def xrootd(toy: ToySearch, tmp_path: Path) -> Iterator[str]:
    pytest.importorskip("fsspec_xrootd", reason="needs the extra `xrootd`: .ci/servers installs it")
    program, port = require("xrootd"), free_ports(1)[0]
    folder = tmp_path / "xrootd"
    folder.mkdir()
    (folder / "xrootd.cfg").write_text(XROOTD.format(folder=folder, files=toy.folder, port=port))
    account: list[object] = []
    if toy.folder.owner() == "root":  # as which it refuses to run; another account must see the folders of pytest
        account = ["-R", "daemon"]
        for path in (*folder.parents[:3], toy.folder, toy.folder.parent):
            path.chmod(path.stat().st_mode | 0o055)
        folder.chmod(0o777)
    with serving([program, "-c", folder / "xrootd.cfg", *account], port, folder):
        yield f"root://127.0.0.1:{port}//"


def on_server(toy: ToySearch, address: str, folder: Path) -> Path:
    """Datasets file of the toy search with its files on a server."""
    document = json.loads(toy.datasets.read_text())
    for entry in document.values():
        (pattern,) = entry["files"]
        entry["files"] = {f"{address}{path.name}": "Events" for path in sorted(toy.folder.glob(pattern))}
    path = folder / "datasets.json"
    path.write_text(json.dumps(document))
    return path


def processed(cwola: Cwola, datasets: Path, toy: ToySearch, output: Path) -> dict[str, Any]:
    options = ["--config", toy.config, "--output", output, "--timeout", 20, "--jobs", 2]
    outcome = cwola("process", "--datasets", datasets, *options)
    assert outcome.code == 0, outcome.err
    record: dict[str, Any] = json.loads((output / "process.json").read_text())["datasets"]
    return record


@pytest.mark.parametrize("server", ["nginx", "xrootd"])
def test_events_on_a_server_are_those_of_the_files(
    cwola: Cwola, toy: ToySearch, server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    address = request.getfixturevalue(server)
    expected = processed(cwola, toy.datasets, toy, tmp_path / "local")
    found = processed(cwola, on_server(toy, address, tmp_path), toy, tmp_path / "results")
    assert expected
    for name, record in expected.items():
        for key in ("cutflow", "n_minus_one", "n_entries", "sum_of_weights"):
            assert found[name][key] == record[key]


@pytest.mark.parametrize("server", ["nginx", "xrootd"])
def test_a_missing_file_is_told(
    cwola: Cwola, toy: ToySearch, server: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    address = request.getfixturevalue(server)
    outcome = refused(cwola, toy, f"{address}nosuch.root", tmp_path)
    assert "there is no such file" in outcome


@pytest.mark.parametrize(
    ("below", "text"), [("private/qcd_1.root", "403"), ("busy/qcd_1.root", "503"), ("whole/qcd_1.root", "range")]
)
def test_refusals_of_nginx_are_told_apart(
    cwola: Cwola, toy: ToySearch, nginx: str, below: str, text: str, tmp_path: Path
) -> None:
    assert text in refused(cwola, toy, f"{nginx}{below}", tmp_path)


def refused(cwola: Cwola, toy: ToySearch, address: str, folder: Path) -> str:
    path = folder / "datasets.json"
    path.write_text(json.dumps({"x": {"files": {address: "Events"}, "metadata": {"kind": "pseudodata"}}}))
    options = ["--config", toy.config, "--output", folder / "results", "--timeout", 2, "--jobs", 1]
    outcome = cwola("process", "--datasets", path, *options)
    assert outcome.code == 1
    return " ".join(outcome.err.split())
