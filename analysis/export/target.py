"""Output folder of an export."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.core.atomic import remnants, unfinished
from analysis.errors import ResultsError, writing

__all__ = ["new_folder", "write_compact", "write_json"]


@contextmanager
def new_folder(target: Path, option: str = "--to") -> Iterator[Path]:
    """Yield an empty folder that becomes `target` once complete, and is removed on failure.

    Parameters
    ----------
    target : pathlib.Path
    option : str
        Option that names the folder, for the message.

    Raises
    ------
    ResultsError
        If `target` is a file or a folder that is not empty, or cannot be written.
    """
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        msg = f"{target} is not empty, and nothing in it is replaced. Delete it, or name another folder with {option}."
        raise ResultsError(msg)
    for remnant in remnants(target):
        shutil.rmtree(remnant, ignore_errors=True)
    temporary = unfinished(target)
    try:
        with writing(target):
            temporary.mkdir(parents=True)
            yield temporary
            if target.is_dir():
                target.rmdir()
            temporary.replace(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON document; NaN and infinities are not allowed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def write_compact(path: Path, document: Any) -> None:
    """Write a JSON document of many numbers in one line; NaN and infinities are not allowed."""
    path.write_text(json.dumps(document, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")
