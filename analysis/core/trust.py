"""Files of code that this user knows, by SHA-256, under the user's configuration folder.

A results folder may name plugins of somebody else. As with direnv, such code runs only if its content is known here.
Each known file has an entry of its own, named by its digest: entries are added and removed without a lock.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from analysis.core.atomic import unfinished

__all__ = ["file_digest", "forget_files", "known_files", "trust_files", "trust_folder"]


def trust_folder() -> Path:
    """Return the folder of the entries, below `XDG_CONFIG_HOME` or `~/.config`; it may not exist.

    Raises
    ------
    OSError
        If the user has no home folder.
    """
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    # A relative path is invalid by the XDG specification: it would let the current folder make files known.
    top = Path(configured) if Path(configured).is_absolute() else Path(os.path.expanduser("~"), ".config")  # noqa: PTH111
    if not top.is_absolute():
        msg = "this user has no home folder; set XDG_CONFIG_HOME"
        raise OSError(msg)
    return top / "cwola" / "trusted"


def file_digest(path: Path) -> str:
    """SHA-256 of a file, as 64 hex digits."""
    return sha256(path.read_bytes()).hexdigest()


def known_files() -> dict[str, str]:
    """Return the path of each known file when it became known, by SHA-256; damaged entries make nothing known."""
    try:
        entries = sorted(path for path in trust_folder().iterdir() if not path.name.startswith("."))
    except OSError:
        return {}
    known = {entry.name: _path(entry) for entry in entries}
    return {digest: path for digest, path in known.items() if path is not None}


def _path(entry: Path) -> str | None:
    """Path that an entry holds; None if it is damaged."""
    try:
        digest, _, path = entry.read_text(encoding="utf-8").rstrip("\n").partition("  ")
    except (OSError, UnicodeDecodeError):
        return None
    return path if path and digest == entry.name else None


def trust_files(paths: Iterable[Path]) -> None:
    """Make files known by their content. Entries are complete or absent, and readable by this user alone.

    Parameters
    ----------
    paths : iterable of pathlib.Path

    Raises
    ------
    OSError
        If a file cannot be read, or the configuration folder cannot be written.
    """
    folder, known = trust_folder(), known_files()
    digests = {file_digest(path): path.absolute() for path in paths}
    for digest, path in digests.items():
        if digest not in known:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(folder / digest, f"{digest}  {path}\n")


def forget_files(wanted: str) -> list[str]:
    """Remove the entries of a path or of a SHA-256, and return the paths of their files.

    Raises
    ------
    OSError
        If an entry cannot be removed.
    """
    absolute = str(Path(wanted).absolute())
    found = {digest: path for digest, path in known_files().items() if wanted == digest or absolute == path}
    for digest in found:
        (trust_folder() / digest).unlink(missing_ok=True)
    return list(found.values())


def _write(path: Path, text: str) -> None:
    temporary = unfinished(path)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
