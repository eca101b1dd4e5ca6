"""What a dask worker does before its first task: compare versions, and take this package if it lacks it.

Workers may not have this package, so this module is sent to them by value: it imports the standard library and
`distributed` (with cloudpickle) alone.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import sys
import zipfile
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import cloudpickle
from distributed import WorkerPlugin, get_worker
from distributed.versions import get_versions

__all__ = ["PACKAGES", "PLUGIN", "Shipment", "Versions", "archive", "compared", "differences", "folders", "run_task"]

Versions = dict[str, "str | None"]

PLUGIN = "cwola-dijet"
"""Name under which workers keep the shipment; a newer one replaces it."""

PACKAGES = ("analysis", "processors")
"""What is shipped."""

COMPARED = ("numpy", "awkward", "coffea", "xgboost", "xgboost-cpu", "pyarrow", "uproot", "hist", "pyhf")
"""Distributions that must be the same everywhere, python (major and minor number) apart."""

_LEFT_OUT = (".pyc", ".root")


class Shipment(WorkerPlugin):
    """Carries this package to workers, those that come later included.

    Parameters
    ----------
    content : bytes
        Zip archive of the package with its data files, from `archive`.
    digest : str
        Of the sources in it.
    expected : dict
        Versions of the client, from `compared`.

    Attributes
    ----------
    problem : str or None
        Why no task may run on this worker.
    """

    def __init__(self, content: bytes, digest: str, expected: Versions) -> None:
        self.content = content
        self.digest = digest
        self.expected = expected
        self.problem: str | None = None

    def setup(self, worker: Any) -> None:
        """Compare versions, and put the package where Python finds it unless the same one is there."""
        found = differences(self.expected, compared(get_versions(COMPARED)["packages"]))
        if found:
            self.problem = "; ".join(f"{name} {here} here, {there} there" for name, here, there in found)
        elif tree_digest(folders(PACKAGES)) != self.digest:
            self._unpack(Path(worker.local_directory) / f"cwola-{self.digest}")

    def _unpack(self, target: Path) -> None:
        if not target.exists():
            unfinished = target.with_name(f".{target.name}")
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                archive.extractall(unfinished)
            unfinished.replace(target)
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]  # another version, from before
        sys.path.insert(0, str(target))
        importlib.invalidate_caches()


def run_task(content: bytes, *shared: Any) -> tuple[str | None, Any]:
    """Run a task on a worker.

    Parameters
    ----------
    content : bytes
        The function and the task, pickled: the scheduler, which unpickles what is submitted, may lack this package.
    *shared : object
        Further arguments.

    Returns
    -------
    refusal : str or None
        Why the task was not run.
    result : object
    """
    worker = get_worker()
    shipment: Any = worker.plugins.get(PLUGIN)
    problem = "it did not take the package, see its log" if shipment is None else shipment.problem
    if problem is not None:
        return f"worker {worker.address}, which came later: {problem}", None
    from analysis.compute.cloudpickled import Sent  # the package is there by now

    function, task = cloudpickle.loads(content)
    return None, function(task, *(one.value if isinstance(one, Sent) else one for one in shared))


def compared(packages: Mapping[str, Any]) -> Versions:
    """Reduce the versions that distributed reports to those that matter."""
    found: Versions = {"python": ".".join(packages["python"].split(".")[:2])}
    found |= {name: packages.get(name) for name in COMPARED}
    cpu = found.pop("xgboost-cpu")  # the same module from a smaller wheel
    found["xgboost"] = found["xgboost"] or cpu
    return found


def differences(here: Versions, there: Versions) -> list[tuple[str, str, str]]:
    """Return (package, version here, version there) where they differ."""
    return [
        (name, version or "absent", there.get(name) or "absent")
        for name, version in here.items()
        if version != there.get(name)
    ]


def folders(packages: Iterable[str]) -> dict[str, Path]:
    """Return where packages lie, those that can be imported."""
    found = {}
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            found[name] = Path(spec.origin).parent
    return found


def tree_digest(places: Mapping[str, Path]) -> str:
    """Digest of the files of packages, the demo and caches left out."""
    total = sha256()
    for name, path in _files(places):
        total.update(f"{name}:{sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()[:16]


def archive(places: Mapping[str, Path]) -> bytes:
    """Zip archive of the files of packages."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        for name, path in _files(places):
            target.write(path, name)
    return stream.getvalue()


def _files(places: Mapping[str, Path]) -> list[tuple[str, Path]]:
    return [
        (f"{package}/{path.relative_to(folder).as_posix()}", path)
        for package, folder in sorted(places.items())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix not in _LEFT_OUT
    ]
