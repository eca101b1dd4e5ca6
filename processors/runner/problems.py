"""Explain problems with input files in plain words, with a remedy."""

from __future__ import annotations

import lzma
import struct
import traceback
import zlib
from pathlib import Path
from typing import Protocol

from coffea.processor.executor import UprootMissTreeError
from uproot.exceptions import KeyInFileError

from analysis.core.text_files import FOLDER, irregular
from analysis.errors import CwolaError, InputFileError, ProcessingError
from processors.runner.server_problems import is_network, is_refused, server_problem

__all__ = ["FileTask", "explain", "is_passing", "require_regular"]

ROOT_HEADER_BYTES = 64
LARGE_FILE_VERSION = 1_000_000
"""From this version number on, a ROOT header holds 8-byte positions."""

READING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)
READERS = {"uproot", "fsspec", "aiohttp", "cramjam", "fsspec_xrootd", "s3fs", "remote.py"}
"""Packages that read files: an error raised inside one of them is attributed to the file."""

MATERIALISATION = ("awkward", "_nplikes", "virtual.py")
"""Module that fetches the content of a branch at first use: an error raised below it is attributed to the file."""


class FileTask(Protocol):
    """A task on one input file, such as coffea's WorkItem."""

    @property
    def dataset(self) -> str:
        """Name of the dataset."""

    @property
    def filename(self) -> str:
        """Path or URL."""

    @property
    def treename(self) -> str:
        """Name of the tree."""


def is_passing(error: BaseException) -> bool:
    """Return whether an error may be temporary, so that reading the file is worth another attempt.

    This holds for all read errors: network, disk, data that cannot be decompressed. It does not hold for a missing
    file, tree or branch, for an unexpected layout, or if a server refuses the file.
    """
    chain = _causes(error)
    refused = (CwolaError, KeyInFileError, PermissionError, ImportError)
    if any(isinstance(cause, refused) for cause in chain) or is_refused(chain):
        return False
    if any(isinstance(cause, FileNotFoundError) for cause in chain) and not is_network(chain):
        return False
    if any(str(cause).startswith("Failed creating nanoevents") for cause in chain):
        return any(isinstance(cause, READING_ERRORS) for cause in chain)
    return _is_reading(chain)


def _is_reading(chain: list[BaseException]) -> bool:
    return any(
        isinstance(cause, READING_ERRORS) or READERS & _packages(cause) or _materialises(cause) for cause in chain
    )


def _packages(error: BaseException) -> set[str]:
    """Names of the folders of all modules in the traceback of an exception."""
    return {part for path in _modules(error) for part in path.parts}


def _materialises(error: BaseException) -> bool:
    return any(path.parts[-len(MATERIALISATION) :] == MATERIALISATION for path in _modules(error))


def _modules(error: BaseException) -> list[Path]:
    return [Path(frame.filename) for frame in traceback.extract_tb(error.__traceback__)]


def explain(error: BaseException, task: FileTask) -> CwolaError:
    """Turn an exception raised while a file was read into one that names the file and a remedy.

    Parameters
    ----------
    error : BaseException
    task : FileTask

    Returns
    -------
    CwolaError
        The error of this package in the chain of causes, if any; otherwise an `InputFileError` if reading failed, and a
        `ProcessingError` for any other failure.
    """
    if ours := _own_error(error):
        return ours
    chain = _causes(error)
    where = f"{task.filename} (dataset {task.dataset})"
    if problem := _file_problem(chain, task):
        return InputFileError(f"{where}: {problem}")
    root = chain[-1]
    text = f"{type(root).__name__}: {root}".splitlines()[0]
    if any(str(cause).startswith("Failed creating nanoevents") for cause in chain):
        return InputFileError(
            f"{where}: {text} ({_place(root)}). The branches do not have the layout of metadata.format: correct it in "
            "the datasets file. If it is right, the file is damaged: download or make it again."
        )
    if _is_reading(chain):
        return InputFileError(
            f"{where}: the file cannot be read: {text} ({_place(root)}). Check that it is complete; download or make "
            "it again."
        )
    return ProcessingError(
        f"{where}: {text} ({_place(root)}). If the line named here is in a module of yours, correct it there; else "
        "check that the file has the layout of metadata.format."
    )


def require_regular(task: FileTask) -> None:
    """Refuse a named pipe, which would be waited for, or a device, which may never end.

    Raises
    ------
    InputFileError
    """
    kind = None if "://" in task.filename else irregular(Path(task.filename))
    if kind not in (None, FOLDER):
        msg = f"{task.filename} (dataset {task.dataset}): this is {kind}, not a file. Copy what it yields to a file."
        raise InputFileError(msg)


def _own_error(error: BaseException) -> CwolaError | None:
    return next((cause for cause in _causes(error) if isinstance(cause, CwolaError)), None)


def _causes(error: BaseException) -> list[BaseException]:
    """Return an exception and its chain of causes, down to the root."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return chain


def _file_problem(chain: list[BaseException], task: FileTask) -> str | None:
    if "://" in task.filename:
        return server_problem(chain, task.filename) or _content_problem(chain, task)
    return _content_problem(chain, task)


def _content_problem(chain: list[BaseException], task: FileTask) -> str | None:
    if problem := _path_problem(chain, Path(task.filename)):
        return problem
    lengths = _lengths(Path(task.filename))
    if lengths is None:
        empty = "" if Path(task.filename).stat().st_size else " but an empty one"
        return f"this is not a ROOT file{empty}. Download or make it again."
    found, stated = lengths
    if found < stated:
        return f"the file is cut off: it has {found} of {stated} bytes. Download or copy it again."
    if any(isinstance(cause, UprootMissTreeError) for cause in chain):
        keys = ", ".join(str(key).split(";")[0] for key in getattr(chain[-1], "keys", None) or [])
        hint = f" and accounts for {stated} of {found} bytes only" if found > stated else ""
        return (
            f"there is no tree '{task.treename}'; the file holds {keys or 'nothing'}{hint}. Correct the tree in the "
            "datasets file; if the job that writes the file is still running, wait for it; if it died, make the "
            "file again."
        )
    return None


def _path_problem(chain: list[BaseException], path: Path) -> str | None:
    if path.is_dir():
        return "this is a folder, not a ROOT file. Name its files, such as with folder/*.root in the datasets file."
    if any(isinstance(cause, FileNotFoundError) for cause in chain):
        return "there is no such file. Correct the path in the datasets file."
    if any(isinstance(cause, PermissionError) for cause in chain):
        return "the file may not be read (permission denied)."
    return None


def _lengths(path: Path) -> tuple[int, int] | None:
    """Actual length of a local ROOT file and the one in its header; (0, 0) if unknown, None if not a ROOT file."""
    try:
        with path.open("rb") as stream:
            header = stream.read(ROOT_HEADER_BYTES)
        found = path.stat().st_size
    except OSError:
        return 0, 0
    if len(header) < ROOT_HEADER_BYTES or not header.startswith(b"root"):
        return None
    version, stated = struct.unpack(">i4xi", header[4:16])
    if version >= LARGE_FILE_VERSION:
        (stated,) = struct.unpack(">q", header[12:20])
    return found, stated


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "no line known"
