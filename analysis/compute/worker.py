"""Preparation of a dask worker before its first task: compare versions, and install this package if it is missing.

Workers may not have this package, so this module is sent to them by value: it imports only the standard library and
`distributed` (with cloudpickle).
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import re
import sys
import time
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from hashlib import sha256
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Any

import cloudpickle
from distributed import WorkerPlugin, get_worker

__all__ = [
    "PACKAGES",
    "PLUGIN",
    "Shipment",
    "Versions",
    "archive",
    "compared",
    "differences",
    "folders",
    "installed",
    "packed",
    "recorded",
    "run_task",
    "short",
    "stay",
]

Versions = dict[str, "str | None"]

PLUGIN = "cwola-dijet"
"""Name of the shipment on the workers; a newer shipment replaces it."""

PACKAGES = ("analysis", "processors")
"""Packages that are shipped."""

COMPARED = ("numpy", "coffea", "xgboost", "xgboost-cpu", "pyhf", "distributed")
"""Distributions whose versions must agree everywhere, in addition to Python; see `short`."""

OLDEST = {"awkward": (2, 8, 11), "hist": (2, 10), "pyarrow": (17,), "uproot": (5, 7)}
"""Distributions of which any version from this one on, as in `pyproject.toml`, gives the same numbers."""

RECORDED = ("iminuit", "scipy", "vector", *OLDEST)
"""Distributions whose versions may differ: results depend on them at the level of rounding. They are recorded."""

_LEFT_OUT = (".pyc", ".root")


class Shipment(WorkerPlugin):
    """Carries this package to workers, including workers that join later.

    Parameters
    ----------
    content : bytes
        Zip archive of the package with its data files, from `archive`.
    digest : str
        Digest of the sources in the archive.
    expected : dict
        Versions of the client, from `compared`.

    Attributes
    ----------
    problem : str or None
        Reason why no task may run on this worker.
    recorded : dict
        Versions on this worker, from `recorded`.
    """

    def __init__(self, content: bytes, digest: str, expected: Versions) -> None:
        self.content = content
        self.digest = digest
        self.expected = expected
        self.problem: str | None = None
        self.recorded: dict[str, str] = {}

    def setup(self, worker: Any) -> None:
        """Compare versions, and add the package to the import path unless the same package is already installed."""
        found = installed()
        self.recorded = recorded(found)
        mismatches = differences(self.expected, compared(found))
        if mismatches:
            self.problem = "; ".join(f"{name} {here} here, {there} there" for name, here, there in mismatches)
        elif tree_digest(folders(PACKAGES)) != self.digest:
            self._unpack(Path(worker.local_directory) / f"cwola-{self.digest}")

    def _unpack(self, target: Path) -> None:
        if not target.exists():
            unfinished = target.with_name(f".{target.name}")
            with zipfile.ZipFile(io.BytesIO(self.content)) as archive:
                archive.extractall(unfinished)
            unfinished.replace(target)
        for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
            del sys.modules[name]  # another version, imported earlier
        sys.path.insert(0, str(target))
        importlib.invalidate_caches()


def packed(value: Any) -> bytes:
    """Pickle and compress: dask writes the beginning of all arguments to its logs, and tasks may hold passwords."""
    return zlib.compress(cloudpickle.dumps(value), 1)


def run_task(content: bytes, *shared: Any) -> tuple[str | None, dict[str, str], Any]:
    """Run a task on a worker.

    Parameters
    ----------
    content : bytes
        Function and task from `packed`: the scheduler unpickles submitted objects, and may lack this package.
    *shared : object
        Further arguments.

    Returns
    -------
    refusal : str or None
        Reason why the task was not run.
    versions : dict
        Versions on the worker, from `recorded`.
    result : object
    """
    worker = get_worker()
    shipment: Any = worker.plugins.get(PLUGIN)
    problem = "it did not take the package, see its log" if shipment is None else shipment.problem
    if problem is not None:
        return f"worker {worker.address}, which came later: {problem}", {}, None
    from analysis.compute.cloudpickled import Sent  # the package is importable by now

    function, task = cloudpickle.loads(zlib.decompress(content))
    return None, shipment.recorded, function(task, *(one.value if isinstance(one, Sent) else one for one in shared))


def stay(key: str) -> None:
    """Keep a thread of a worker busy until the task of this key is cancelled, or its client is gone."""
    tasks = get_worker().state.tasks
    while (task := tasks.get(key)) is not None and task.state == "executing":
        time.sleep(0.05)


def installed() -> Versions:
    """Look up the versions of Python and of all that is compared or recorded, without an import; None if absent."""
    versions: Versions = {"python": python_version()}
    for name in (*COMPARED, *RECORDED):
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    return versions


def short(name: str, version: str | None) -> str | None:
    """Return the part of a version that counts: of Python and numpy the first two numbers."""
    return ".".join(version.split(".")[:2]) if name in {"python", "numpy"} and version else version


def compared(packages: Mapping[str, Any]) -> Versions:
    """Select the versions that must agree, or not be too old, from those of `installed`."""
    versions: Versions = {name: short(name, packages.get(name)) for name in ("python", *COMPARED, *OLDEST)}
    cpu = versions.pop("xgboost-cpu")  # the same module from a smaller wheel
    versions["xgboost"] = versions["xgboost"] or cpu
    return versions


def recorded(packages: Mapping[str, Any]) -> dict[str, str]:
    """Select the versions that may differ, of the packages that are installed."""
    return {name: packages[name] for name in RECORDED if packages.get(name)}


def differences(here: Versions, there: Versions) -> list[tuple[str, str, str]]:
    """Return (package, version here, version there) for packages whose versions there are not to be used."""
    return [
        (name, version or "absent", there.get(name) or "absent")
        for name, version in here.items()
        if version != there.get(name) and not _is_new_enough(name, there.get(name))
    ]


def _is_new_enough(name: str, version: str | None) -> bool:
    if version is None or name not in OLDEST:
        return False
    return tuple(map(int, re.findall(r"\d+", version))) >= OLDEST[name]


def folders(packages: Iterable[str]) -> dict[str, Path]:
    """Return the folders of the packages that can be imported."""
    places = {}
    for name in packages:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin is not None:
            places[name] = Path(spec.origin).parent
    return places


def tree_digest(places: Mapping[str, Path]) -> str:
    """Digest of the files of packages, without the demo and caches."""
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
