"""A search on workers that SLURM starts, with dask-jobqueue, on one node: this machine. The cluster starts empty."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.builders.clusters import kill, make_environment
from tests.builders.ports import free_ports
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.servers

pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue: .ci/servers installs it")

DAEMONS = ("munged", "slurmctld", "slurmd")

CONFIGURATION = """
ClusterName=cwola
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

SITE = """
from dask_jobqueue import SLURMCluster
from distributed import Client


def slurm():
    cluster = SLURMCluster(
        cores=1, processes=1, memory="1 GB", queue="all", walltime="01:00:00", python="{python}",
        log_directory="{folder}", local_directory="{folder}", job_directives_skip=["--mem"],
        scheduler_options={{"host": "127.0.0.1", "dashboard_address": ":0"}},
    )
    cluster.adapt(minimum=0, maximum=2)
    return Client(cluster)
"""


def find(name: str) -> str:
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        pytest.skip(f"needs {name}: .ci/servers installs it where apt-get can")
    return found


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folder of a controller and a node of SLURM that run."""
    programs = [find(name) for name in DAEMONS]
    if os.getuid() != 0:
        pytest.skip("SLURM starts jobs as root alone")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    host, ports = socket.gethostname().partition(".")[0], dict(zip(("controller", "node"), free_ports(2), strict=True))
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(host=host, folder=folder, cpus=os.cpu_count(), **ports))
    munge = [
        "-F",
        "--force",
        "--key-file",
        key,
        "--socket",
        folder / "munge.socket",
        "--pid-file",
        folder / "munge.pid",
    ]
    munge += ["--log-file", folder / "munge.log", "--seed-file", folder / "munge.seed"]
    commands = [[programs[0], *munge], [programs[1], "-D"], [programs[2], "-D", "-N", host]]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(configuration))
        processes = [start(command, folder) for command in commands]
        try:
            limit = time.monotonic() + 60
            while "idle" not in nodes():
                assert time.monotonic() < limit, [path.read_text() for path in sorted(folder.glob("*.out"))]
                time.sleep(0.2)
            yield folder
        finally:
            subprocess.run(["scancel", "--user", "root"], check=False)
            for process in reversed(processes):
                kill(process)


def start(command: list[object], folder: Path) -> subprocess.Popen[bytes]:
    with (folder / f"{Path(str(command[0])).name}.out").open("wb") as log:
        return subprocess.Popen(
            list(map(str, command)), cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def nodes() -> str:
    done = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False)
    return done.stdout


def test_a_search_on_slurm_is_that_of_one_process(
    cwola: Cwola, toy: ToySearch, finished: Path, slurm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = make_environment(tmp_path / "environment")
    (tmp_path / "my_site.py").write_text(SITE.format(python=python, folder=slurm))
    monkeypatch.chdir(tmp_path)
    outcome = cwola("run", *toy.options(tmp_path / "results"), "--cluster", "my_site:slurm")
    assert outcome.code == 0, outcome.err
    assert (tmp_path / "results" / "results.json").read_bytes() == (finished / "results.json").read_bytes()
