"""Folders below `parts/`: files that are not of the last processing, and parts that no processing will use again."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Collection
from pathlib import Path

from analysis.core.location import Location
from analysis.errors import writing
from analysis.events.parts import VARIED, read_part_info

__all__ = ["remove_outdated", "restore_unlisted", "set_aside"]

_log = logging.getLogger("cwola")

_UNLISTED = "unlisted"
_DIGEST = re.compile(r"[0-9a-f]{16}")


def restore_unlisted(parts: Path) -> None:
    """Bring back the files that `set_aside` moved, so that they can be used again.

    Raises
    ------
    ResultsError
        If files cannot be moved.
    """
    with writing(parts):
        for path in sorted(parts.glob(f"{_UNLISTED}/*/*/*.parquet")):
            target = parts / path.relative_to(parts / _UNLISTED)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                path.replace(target)


def set_aside(current: Path, listed: Collection[Location]) -> None:
    """Move files that are not listed, such as those of an excluded dataset, out of the folder of the selected events.

    Raises
    ------
    ResultsError
        If files cannot be moved.
    """
    with writing(current):
        for path in sorted(path for path in current.rglob("*") if path.is_file() and path not in listed):
            target = current.parent / _UNLISTED / path.relative_to(current.parent)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)


def remove_outdated(current: Path) -> None:
    """Remove the parts that other code made with the settings of the current ones, and those in an earlier form.

    Parts of other settings stay, since these settings may come back.

    Parameters
    ----------
    current : pathlib.Path
        Folder of the current selection, beside those of others.

    Raises
    ------
    ResultsError
        If a folder cannot be removed.
    """
    settings = _settings(current)
    for folder in sorted(current.parent.iterdir()):
        if folder == current or not (_DIGEST.fullmatch(folder.name) and folder.is_dir()):
            continue
        if _settings(folder) in (None, settings):
            with writing(folder):
                for beside in (VARIED, _UNLISTED):
                    shutil.rmtree(current.parent / beside / folder.name, ignore_errors=True)
                shutil.rmtree(folder)
            _log.info("removed %s: parts of these settings by other code, or in an earlier form", folder)


def _settings(folder: Path) -> str | None:
    """Digest of the settings of the parts of a folder; None if it holds none in the present form."""
    for path in folder.glob("*/*.parquet"):
        if info := read_part_info(path):
            found: str | None = info.get("settings")
            return found
    return None
