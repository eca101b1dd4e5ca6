"""The file of an archive: a zip with checksums of everything, the same bytes for the same members.

Archives come from others. Nothing in them is executed, and they are checked before anything is decoded: the whole file
by the SHA-256 that it ends with, each member by the one in `archive.json`. Only names that a search can have are
unpacked, into a folder that did not exist.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from analysis.core.atomic import replacing_file
from analysis.core.documents import parse_json, to_json
from analysis.core.location import Location, read_file
from analysis.core.sealed import UNSEALED, is_sound_file, seal_file
from analysis.core.text_files import irregular, load_json, shown
from analysis.errors import ResultsError, writing
from analysis.export.archive.document import FORMAT, VERSION, ArchiveDocument, Member

__all__ = ["DOCUMENT", "Archive", "open_archive", "write_archive"]

DOCUMENT = "archive.json"

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of all members, so that equal content gives equal files."""
_PACKED = (".parquet", ".npz")
"""Endings of members that are compressed already."""

_PART = r"[A-Za-z0-9_%+,~=-][A-Za-z0-9_%+,.~=-]*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
"""Members have relative names of plain characters; no part begins with a dot."""
_LONGEST = 400
_MOST = 200_000
_LARGEST_DOCUMENT = 100_000_000
_RATIO = 200
"""Largest ratio of the unpacked size to that of the file; searches have 2 to 10."""
_SMALL = 100_000_000
"""Unpacked size, bytes, up to which the ratio does not matter."""
_BLOCK = 1 << 20
_ENCRYPTED = 0x1


@dataclass(frozen=True)
class Archive:
    """A checked archive.

    Attributes
    ----------
    path : pathlib.Path
    document : ArchiveDocument
    raw : bytes
        `archive.json` as it is.
    """

    path: Path
    document: ArchiveDocument
    raw: bytes = field(repr=False)
    _file: zipfile.ZipFile = field(repr=False)

    def unpack(self, target: Path) -> None:
        """Write all members into a folder, and `archive.json` last.

        Parameters
        ----------
        target : pathlib.Path
            Empty folder.

        Raises
        ------
        ResultsError
            If a member differs from its checksum, or the disk is too small.
        """
        total, free = sum(member.size for member in self.document.members.values()), shutil.disk_usage(target).free
        if total > free:
            msg = f"{self.path} unpacks to {total / 1e6:.0f} MB, and {target} has room for {free / 1e6:.0f} MB."
            raise ResultsError(msg)
        with writing(target):
            for name, member in self.document.members.items():
                path = target.joinpath(*name.split("/"))
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as stream:  # never through a link, never over another file
                    for block in self._blocks(name, member):
                        stream.write(block)
            (target / DOCUMENT).write_bytes(self.raw)

    def _blocks(self, name: str, member: Member) -> Iterator[bytes]:
        """Content of a member, never more than its size."""
        total, size = hashlib.sha256(), 0
        try:
            with self._file.open(name) as stream:
                while block := stream.read(_BLOCK):
                    size += len(block)
                    if size > member.size:
                        raise _damaged(self.path, f"{name} is larger than the {member.size} bytes that are listed")
                    total.update(block)
                    yield block
        except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, NotImplementedError) as error:
            raise _damaged(self.path, f"{name} cannot be unpacked: {error}") from error
        if size != member.size or total.hexdigest() != member.sha256:
            raise _damaged(self.path, f"{name} does not have the SHA-256 that is listed for it")


def write_archive(path: Path, members: Mapping[str, Location | bytes], document: ArchiveDocument) -> str:
    """Write an archive; equal members give equal bytes.

    Parameters
    ----------
    path : pathlib.Path
        Is replaced if it exists.
    members : mapping of str to Location or bytes
        Content, or the file that has it, by name.
    document : ArchiveDocument
        Without the members, which are added.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    ResultsError
        If a name cannot be used, or a file cannot be read or written.
    """
    if bad := [name for name in members if _problem(name) is not None]:
        msg = f"{shown(bad[0])} cannot be a member of an archive: {_problem(bad[0])}."
        raise ResultsError(msg)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    listed: dict[str, Member] = {}
    with replacing_file(path) as temporary:
        with zipfile.ZipFile(temporary, "w", allowZip64=True) as archive:
            for name in sorted(members):
                source = members[name]
                content = source if isinstance(source, bytes) else read_file(source)
                listed[name] = Member(len(content), hashlib.sha256(content).hexdigest())
                archive.writestr(_info(name), content)
            text = json.dumps(to_json(replace(document, members=listed)), indent=1, allow_nan=False)
            archive.writestr(_info(DOCUMENT), f"{text}\n")
            archive.comment = UNSEALED
        seal_file(temporary)
        with temporary.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open and check an archive.

    Raises
    ------
    ResultsError
        If the file is no archive, is damaged or was changed, holds members that no search has or more than fits, or is
        of a newer version.
    """
    try:
        if (kind := irregular(path)) is not None:
            msg = f"{path} is {kind}, not an archive of `cwola export search`."
            raise ResultsError(msg)
        if not zipfile.is_zipfile(path):
            msg = f"{path} is not an archive of `cwola export search`, or not all of it is there. Fetch it again."
            raise ResultsError(msg)
        if not is_sound_file(path):
            raise _damaged(path, "its bytes do not have the SHA-256 that was stored with them")
        with zipfile.ZipFile(path) as file:
            raw = _document_bytes(path, file)
            archive = Archive(path, _document(path, raw), raw, file)
            _require_members(archive, file)
            yield archive
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror or error}."
        raise ResultsError(msg) from error
    except zipfile.BadZipFile as error:
        raise _damaged(path, str(error)) from error


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    info.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
    return info


def _document_bytes(path: Path, file: zipfile.ZipFile) -> bytes:
    try:
        info = file.getinfo(DOCUMENT)
        with file.open(info) as stream:
            raw = stream.read(_LARGEST_DOCUMENT + 1)
    except (KeyError, zlib.error, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        msg = f"{path} is not an archive of `cwola export search`: it has no {DOCUMENT} that can be read."
        raise ResultsError(msg) from error
    if len(raw) > _LARGEST_DOCUMENT:
        raise _damaged(path, f"{DOCUMENT} is too large")
    return raw


def _document(path: Path, raw: bytes) -> ArchiveDocument:
    try:
        head: Any = load_json(raw)
        if not isinstance(head, dict) or head.get("format") != FORMAT:
            raise _damaged(path, f"{DOCUMENT} has another format than {FORMAT}")
        if isinstance(version := head.get("version"), int) and version > VERSION:
            msg = (
                f"{path} is of version {version} of the archives, and this cwola reads versions up to {VERSION}. "
                f"Install the cwola-dijet that wrote it: {shown(head.get('cwola'))}, or a newer one."
            )
            raise ResultsError(msg)
        return parse_json(ArchiveDocument, raw)
    except ValueError as error:
        raise _damaged(path, f"{DOCUMENT} {error}") from error


def _require_members(archive: Archive, file: zipfile.ZipFile) -> None:
    path, members, infos = archive.path, archive.document.members, file.infolist()
    if len(infos) > _MOST:
        raise _damaged(path, f"it has {len(infos)} members, more than {_MOST}")
    names = [info.filename for info in infos]
    if repeated := [name for name, count in Counter(name.lower() for name in names).items() if count > 1]:
        raise _damaged(path, f"{shown(repeated[0])} is there twice")
    for info in infos:
        kind = stat.S_IFMT(info.external_attr >> 16)
        if (problem := _problem(info.filename)) is not None and info.filename != DOCUMENT:
            raise _damaged(path, f"the member {shown(info.filename)} is not allowed: {problem}")
        if kind not in (0, stat.S_IFREG) or info.is_dir():
            raise _damaged(path, f"the member {info.filename} is not a regular file")
        if info.flag_bits & _ENCRYPTED or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _damaged(path, f"the member {info.filename} is encrypted, or compressed in an unknown way")
    if different := {*names} ^ {*members, DOCUMENT}:
        raise _damaged(path, f"{shown(min(different))} is listed in {DOCUMENT} or there, but not both")
    total = sum(member.size for member in members.values())
    if total > max(_SMALL, _RATIO * path.stat().st_size) or any(member.size < 0 for member in members.values()):
        raise _damaged(path, f"its {path.stat().st_size} bytes claim to unpack to {total}")


def _problem(name: str) -> str | None:
    """Why a name cannot be that of a member; None if it can."""
    if len(name) > _LONGEST or not _NAME.fullmatch(name):
        return "names are relative, of plain characters, and no part begins with a dot"
    if name == DOCUMENT or name.endswith((".py", ".pyc", ".so", ".pth")):
        return "archives hold no code"
    return None


def _damaged(path: Path, reason: str) -> ResultsError:
    return ResultsError(
        f"{path} is damaged or was changed, and is not used: {reason}. Fetch it again from where it was published."
    )
