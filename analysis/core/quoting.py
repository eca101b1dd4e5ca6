"""Names of users as names of files and folders, on any file system."""

from __future__ import annotations

import hashlib
import re

__all__ = ["escaped", "quoted"]

_UNSAFE = re.compile(r"[^A-Za-z0-9_+,.-]|^[_+,-]|(?<![0-9])\.|\.(?![0-9])", re.DOTALL)
"""All but plain characters and decimal points; dots of `..` and of suffixes, and starts of hidden names, are unsafe."""

_RESERVED = re.compile(r"(?:con|prn|aux|nul|(?:com|lpt)[0-9])(?=\.|$)", re.IGNORECASE)
"""Names of devices on Windows."""

_EMPTY = "%"
_LONGEST = 100
_HEAD = 60
"""Characters. File systems allow 255 bytes, which prefixes and suffixes need a part of."""


def escaped(name: str) -> str:
    """Percent-encode all characters of a name that are unsafe in a file name, in UTF-8; see `quoted`."""
    return _UNSAFE.sub(_encoded, name)


def quoted(name: str) -> str:
    """Turn any name into one file name, different names into different ones, also where a capital is no other letter.

    Letters, digits, inner `_`, `-`, `+`, `,` and decimal points stay, all else is percent-encoded as in URLs. A name
    with capitals ends in `~` and a hexadecimal number whose bit i is set if letter i is a capital: `W/3.5TeV` becomes
    `W%2F3.5TeV~b`. Names that would be longer than 100 characters end in `~~` and a digest.

    Parameters
    ----------
    name : str
        Any text, such as the name of a dataset; also empty.

    Returns
    -------
    str
        1 to 100 ASCII characters.
    """
    text = escaped(name) or _EMPTY
    if _RESERVED.match(text):
        text = f"%{ord(text[0]):02X}{text[1:]}"
    letters = re.findall(r"[A-Za-z]", name)
    if capitals := sum(1 << i for i, letter in enumerate(letters) if letter.isupper()):
        text = f"{text}~{capitals:x}"
    if len(text) <= _LONGEST:
        return text
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{text[:_HEAD]}~~{digest}"


def _encoded(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass"))
