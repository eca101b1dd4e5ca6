"""Expand the addresses of a fileset: wildcards, also on servers, CMS names behind a redirector, and replicas."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from pathlib import Path

import fsspec

from analysis.core.address import Address, full_address, hide_secrets, parse_address
from analysis.core.text_files import one_line
from analysis.errors import DatasetError
from analysis.events.filesets.lists import ListedFile

__all__ = ["expand"]

_LOGICAL = "/store/"
"""Beginning of the logical names of files in CMS."""


def expand(file: ListedFile, redirectors: Sequence[str]) -> list[str]:
    """Find the files that an entry names.

    Parameters
    ----------
    file : ListedFile
    redirectors : sequence of str
        Servers or folders where logical names (`/store/...`) are looked for, in order.

    Returns
    -------
    list of str
        Absolute paths and URLs; an `Address` where a file has secrets or replicas.

    Raises
    ------
    DatasetError
        If a pattern matches nothing, a server does not list its files, or a logical name needs a redirector.
    """
    addresses = [one for address in (file.address, *file.replicas) for one in _redirected(address, redirectors)]
    first, *others = addresses
    if not others:
        return _matches(first, file.folder)
    if any(_is_pattern(address) for address in addresses):
        return _matching_replicas(addresses, file.folder)
    return [_with_replicas([_located(address, file.folder) for address in addresses])]


def _redirected(address: str, redirectors: Sequence[str]) -> list[str]:
    """Addresses of a logical name below each redirector; the path itself if the disk is mounted."""
    if not address.startswith(_LOGICAL) or os.path.lexists(address) or glob.glob(address):  # noqa: PTH207 - may hold **
        return [address]
    if not redirectors:
        msg = (
            f"{address} is a logical name of CMS, not a path on this machine. Name a server that knows it with "
            "--redirector, such as root://cms-xrd-global.cern.ch, or in the variable CWOLA_REDIRECTOR."
        )
        raise DatasetError(msg)
    return [_below(redirector, address) for redirector in redirectors]


def _below(redirector: str, name: str) -> str:
    base = redirector.rstrip("/")
    scheme, mark, rest = base.partition("://")
    if not mark and not base.startswith("/"):
        msg = f"the redirector {redirector} is neither a URL, such as root://cms-xrd-global.cern.ch, nor a folder."
        raise DatasetError(msg)
    doubled = scheme in ("root", "xroot") and "/" not in rest  # host//path: without it, the path is relative
    return f"{base}{'/' if mark and doubled else ''}{name}"


def _matching_replicas(addresses: Sequence[str], folder: Path) -> list[str]:
    """Join the matches of the same pattern on several servers, file by file."""
    found: dict[str, list[str]] = {}
    problems: list[DatasetError] = []
    for address in addresses:
        try:
            matches = _matches(address, folder)
        except DatasetError as error:
            problems.append(error)
            continue
        for match in matches:
            found.setdefault(_name_below(match, _located(address, folder)), []).append(match)
    if not found:
        raise problems[0]
    return [_with_replicas(found[name]) for name in sorted(found)]


def _name_below(match: str, pattern: str) -> str:
    """Part of a match that the wildcards of its pattern decide."""
    fixed = re.split(r"[*?\[]", str(pattern), maxsplit=1)[0]
    return match[len(fixed) :]


def _with_replicas(addresses: Sequence[str]) -> str:
    distinct = list(dict.fromkeys(addresses))
    return distinct[0] if len(distinct) == 1 else Address(full_address(distinct[0]), replicas=distinct[1:])


def _matches(pattern: str, folder: Path) -> list[str]:
    if "://" in pattern:
        return _remote_matches(pattern)
    absolute = _located(pattern, folder)
    if not glob.has_magic(pattern) or os.path.lexists(absolute):
        return [absolute]
    escaped = os.path.abspath(Path(glob.escape(str(folder.absolute()))) / pattern)  # noqa: PTH100
    if paths := sorted(glob.glob(escaped, recursive=True)):  # noqa: PTH207 - absolute patterns
        return paths
    msg = f"no file matches {pattern} (looked for {absolute})."
    raise DatasetError(msg)


def _located(address: str, folder: Path) -> str:
    if "://" in address:
        return parse_address(address)
    return os.path.abspath(folder / address)  # noqa: PTH100 - keeps symbolic links


def _is_pattern(address: str) -> bool:
    return "*" in address.partition("?")[0] if "://" in address else glob.has_magic(address)


def _remote_matches(pattern: str) -> list[str]:
    """List the files of a server. A question mark begins the parameters of a URL; brackets may be part of a name."""
    address = parse_address(pattern)
    if not _is_pattern(pattern):
        return [address]
    top, mark, query = pattern.partition("?")
    scheme = top.partition("://")[0].rpartition("::")[2]
    if scheme in ("http", "https", "dav", "davs"):
        msg = f"{address}: {scheme} servers do not list their files, so wildcards cannot be used. Name each file."
        raise DatasetError(msg)
    try:
        system, path = fsspec.core.url_to_fs(top)
        found = sorted(str(one) for one in system.glob(path))
    except Exception as error:
        reason = hide_secrets(one_line(f"{type(error).__name__}: {error}"), address)
        msg = f"the server of {address} cannot list its files: {reason}"
        raise DatasetError(msg) from error
    if not found:
        msg = f"no file matches {address} on its server."
        raise DatasetError(msg)
    before = _before_path(top, path)
    return [parse_address(f"{before}{one}{mark}{query}") for one in found]


def _before_path(address: str, path: str) -> str:
    """Return the beginning of an address, in front of the path that the file system knows it by."""
    return address[: len(address) - len(path)] if address.endswith(path) else f"{address.partition('://')[0]}://"
