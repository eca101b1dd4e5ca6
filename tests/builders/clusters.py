"""Dask clusters of separate commands, in an environment in which this package is absent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

OURS = ("analysis", "processors", "tests", "cwola", "__editable__")
"""What the names of our own files in a site-packages folder begin with, whether installed as a wheel or editable."""

START_TIMEOUT = 120


OTHER_WORKERS = os.environ.get("CWOLA_TEST_WORKERS")
"""Python of another environment, with whose libraries the workers of the tests run; None for those that are here."""


def make_environment(folder: Path, versions: dict[str, str] | None = None) -> Path:
    """Make a virtual environment with all that is installed here but this package; returns its Python.

    Its site-packages folder holds links, so that neither an installed wheel nor the .pth file of an editable install
    is seen. `versions` are what some distributions pretend to be. With `CWOLA_TEST_WORKERS` the libraries are those of
    that Python, which must be of the same version.
    """
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    python = folder / "bin" / "python"
    site = next((folder / "lib").glob("python3*/site-packages"))
    for source in map(Path, sys.path if OTHER_WORKERS is None else _path_of(OTHER_WORKERS)):
        if any(source.glob("*.dist-info")):
            for entry in source.iterdir():
                link = site / entry.name
                if not entry.name.startswith((*OURS, "__pycache__")) and entry.suffix != ".pth" and not link.exists():
                    link.symlink_to(entry)
    for name, version in (versions or {}).items():
        for link in site.glob(f"{name}-*.dist-info"):
            link.unlink()
        pretended = site / f"{name}-{version}.dist-info"
        pretended.mkdir()
        (pretended / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    check = "import importlib.util as i; assert i.find_spec('distributed') and not i.find_spec('analysis')"
    subprocess.run([python, "-c", check], cwd=folder, env=clean(), check=True)
    return python


def _path_of(python: str) -> list[str]:
    command = [python, "-c", "import json, sys; print(json.dumps(sys.path))"]
    return list(json.loads(subprocess.run(command, env=clean(), capture_output=True, check=True).stdout))


def clean() -> dict[str, str]:
    """The environment of this process without what would lead Python to this package."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DASK_"))}


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate that is its own authority, and its key."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    target = ["-keyout", key, "-out", certificate, "-subj", "/CN=cwola-test"]
    subprocess.run(["openssl", "req", *kind, *target], check=True, capture_output=True)
    return certificate, key


@dataclass
class Cluster:
    """A scheduler and its workers.

    Attributes
    ----------
    folder : pathlib.Path
        Of logs and of the scheduler file.
    python : pathlib.Path
    security : tuple of str
        Options of scheduler and workers.
    """

    folder: Path
    python: Path
    security: tuple[str, ...] = ()
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return str(json.loads((self.folder / "scheduler.json").read_text())["address"])

    def start_scheduler(self) -> None:
        file = self.folder / "scheduler.json"
        protocol = ["--protocol", "tls"] if self.security else []
        self._start("dask_scheduler", ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file), *protocol])
        limit = time.monotonic() + START_TIMEOUT
        while not file.exists() or not file.read_text().endswith("}"):
            assert time.monotonic() < limit, "the scheduler did not start"
            time.sleep(0.05)

    def start_worker(self, name: str, *, threads: int = 1, python: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a command of its own; it starts its worker process again if that dies."""
        options = ["--nthreads", str(threads), "--local-directory", str(self.folder), "--name", name, "--death-timeout"]
        return self._start("dask_worker", [self.address, *options, "120"], python=python)

    def stop(self) -> None:
        for process in self.processes:
            kill(process)

    def _start(self, command: str, options: Sequence[str], python: Path | None = None) -> subprocess.Popen[bytes]:
        with (self.folder / f"{command}_{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [
                    python or self.python,
                    "-m",
                    f"distributed.cli.{command}",
                    *options,
                    "--dashboard-address",
                    ":0",
                    *self.security,
                ],
                cwd=self.folder,
                env=clean(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a command with its worker process."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def running(folder: Path, python: Path, *, security: tuple[str, ...] = ()) -> Iterator[Cluster]:
    """A cluster of two workers, one with one thread and one with two."""
    folder.mkdir(parents=True)
    cluster = Cluster(folder, python, security)
    try:
        cluster.start_scheduler()
        cluster.start_worker("one", threads=1)
        cluster.start_worker("two", threads=2)
        yield cluster
    finally:
        cluster.stop()
