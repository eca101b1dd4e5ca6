"""Bounded reading of text files from users and from results folders: no hang, and one clear reason if it fails."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any, BinaryIO

__all__ = [
    "CONTROL",
    "FOLDER",
    "LARGE",
    "MEDIUM",
    "SMALL",
    "check_document",
    "irregular",
    "load_json",
    "load_toml",
    "one_line",
    "open_regular",
    "read_bytes",
    "read_text",
    "shown",
]

SMALL = 1_000_000
"""Size limit of files that users write by hand, bytes."""

MEDIUM = 10_000_000
"""Size limit of lists and tables, bytes."""

LARGE = 100_000_000
"""Size limit of files that programs write, bytes."""

_DEEPEST = 50
_LONGEST = 10_000
_SHOWN = 80

CONTROL = re.compile("[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")
"""Characters that no name may hold: control characters, line ends and halves of surrogate pairs."""

_UNUSABLE = re.compile("[\x00\ud800-\udfff]")
"""Characters that no text may hold."""

FOLDER = "a folder"

_PART = r"""(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')"""
_DOTTED = re.compile(rf"(?<![A-Za-z0-9_-]){_PART}(?:[ \t]*+\.[ \t]*+{_PART}){{{_DEEPEST}}}")
"""Dotted key of too many parts."""

_KINDS = {
    stat.S_IFDIR: FOLDER,
    stat.S_IFIFO: "a named pipe",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFSOCK: "a socket",
}


def read_bytes(path: Path, limit: int = LARGE) -> bytes:
    """Read a regular file of limited size.

    Parameters
    ----------
    path : pathlib.Path
    limit : int
        Largest size, bytes.

    Raises
    ------
    OSError
        If the file cannot be read, is no regular file (a named pipe would be waited for), or is larger.
    """
    with open_regular(path) as stream:
        content = stream.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit / 1e6:g} MB, too large for what it should be", str(path))
    return content


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises
    ------
    OSError
        If the file cannot be read, or is no regular file: a named pipe would be waited for, a device may never end.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as error:  # NUL, or a character that file names cannot hold
        raise OSError(errno.EINVAL, f"no file can have this name ({error})", shown(str(path))) from error
    if kind := _irregular(os.fstat(opened)):
        os.close(opened)
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    return os.fdopen(opened, "rb")


def irregular(path: Path) -> str | None:
    """Return which kind of path it is, such as "a named pipe"; None for a regular file, or if there is none."""
    try:
        return _irregular(path.stat())
    except (OSError, ValueError):
        return None


def _irregular(status: os.stat_result) -> str | None:
    kind = stat.S_IFMT(status.st_mode)
    return None if kind == stat.S_IFREG else _KINDS.get(kind, "no file")


def read_text(path: Path, limit: int = MEDIUM) -> str:
    """Read a text file in UTF-8, with or without a byte order mark. Parameters as for `read_bytes`.

    Raises
    ------
    OSError
        As of `read_bytes`.
    UnicodeDecodeError
    """
    return read_bytes(path, limit).decode("utf-8-sig")


def load_json(text: str | bytes, *, finite: bool = True, longest: int | None = _LONGEST) -> Any:
    """Parse JSON, and check it as `check_document` does; keys may not repeat.

    Raises
    ------
    ValueError
        If the text is not such JSON. The message is one line.
    """
    try:
        document = json.loads(text, object_pairs_hook=_without_repeats)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    check_document(document, finite=finite, longest=longest)
    return document


def load_toml(text: str) -> dict[str, Any]:
    """Parse TOML, and check it as `check_document` does; infinite numbers are allowed.

    Raises
    ------
    ValueError
        If the text is not such TOML. The message is one line.
    """
    if _DOTTED.search(text):  # of which tomllib needs time and memory that grow with the square
        raise ValueError(_too_deep())
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    except ValueError as error:
        raise ValueError(CONTROL.sub(" ", str(error))) from error
    check_document(document, finite=False)
    return document


def check_document(document: Any, *, finite: bool = True, longest: int | None = _LONGEST) -> None:
    """Check a parsed document, so that nothing in it overwhelms its readers.

    Parameters
    ----------
    document : object
        Nested dictionaries, lists and plain values.
    finite : bool
        Whether all numbers must be finite.
    longest : int or None
        Largest number of characters of a text; None for any number.

    Raises
    ------
    ValueError
        If it is nested more than 50 levels deep, a whole number needs more than 64 bits, a text is too long or holds a
        character that cannot be used. The message names the place.
    """
    waiting: list[tuple[Any, tuple[Any, ...], int]] = [(document, (), 1)]
    while waiting:
        value, place, depth = waiting.pop()
        if depth > _DEEPEST:
            raise ValueError(_too_deep())
        if isinstance(value, dict):
            for key in value:
                _check_key(key, place, longest)
            pairs: Any = value.items()
        else:
            pairs = enumerate(value) if isinstance(value, list) else [(None, value)]
        for key, one in pairs:
            if isinstance(one, dict | list):
                waiting.append((one, (place, key), depth + 1))
            else:
                problem = _problem(one, finite=finite, longest=longest)
                if problem is not None:
                    msg = f"at /{_path((place, key))}: {problem}"
                    raise ValueError(msg)


def shown(value: object, length: int = _SHOWN) -> str:
    """Return a value for a message: on one line, without control characters, and cut to a length."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more than 4300 digits, or nested too deeply
        text = f"a value of type {type(value).__name__}"
    text = CONTROL.sub("?", text)
    return text if len(text) <= length else f"{text[: length - 3]}..."


def one_line(text: object, length: int = 300) -> str:
    """Return a message of a library on one line, and cut to a length."""
    line = CONTROL.sub("?", " ".join(str(text).split()))
    return line if len(line) <= length else f"{line[: length - 3]}..."


def _problem(value: Any, *, finite: bool, longest: int | None) -> str | None:
    if isinstance(value, str):
        if longest is not None and len(value) > longest:
            return f"a text of {len(value)} characters, more than {longest}"
        if found := _UNUSABLE.search(value):
            return f"{shown(value)} holds the character {found[0]!a}, which cannot be used"
    elif isinstance(value, int):
        if value.bit_length() > 63:
            return "a whole number of more than 64 bits"
    elif finite and isinstance(value, float) and not math.isfinite(value):
        return f"the number {value} is not finite"
    return None


def _check_key(key: str, place: tuple[Any, ...], longest: int | None) -> None:
    found = CONTROL.search(key)
    if found:
        msg = f"at /{_path(place)}: the key {shown(key)} holds the character {found[0]!a}, which cannot be used"
        raise ValueError(msg)
    if longest is not None and len(key) > longest:
        msg = f"at /{_path(place)}: a key of {len(key)} characters, more than {longest}"
        raise ValueError(msg)


def _path(place: tuple[Any, ...]) -> str:
    parts: list[str] = []
    while place:
        place, key = place
        if key is not None:
            parts.append(shown(key).strip("'\""))
    return "/".join(reversed(parts))


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                msg = f"the key {shown(key)} occurs twice in one object"
                raise ValueError(msg)
            seen.add(key)
    return found


def _too_deep() -> str:
    return f"it is nested more than {_DEEPEST} levels deep"
