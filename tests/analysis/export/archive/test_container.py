"""Archives: the same bytes for the same members, nothing of a changed one is used, and nothing leaves its folder."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.core.sealed import UNSEALED, seal_file
from analysis.errors import ResultsError
from analysis.export.archive import ArchiveDocument, open_archive, write_archive

MEMBERS = {"config.json": b"{}\n", "parts/00ff/qcd/one_0-5.parquet": bytes(range(256)), "search/windows/a/b.npz": b"12"}
DOCUMENT = ArchiveDocument(cwola="1.2.3", datasets=("qcd",), lumi_ifb=20.0, plugins=())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "search.zip"
    write_archive(path, MEMBERS, DOCUMENT)
    return path


def unpacked(path: Path, target: Path) -> dict[str, bytes]:
    target.mkdir()
    with open_archive(path) as found:
        found.unpack(target)
    return {file.relative_to(target).as_posix(): file.read_bytes() for file in target.rglob("*") if file.is_file()}


def forged(path: Path, members: Mapping[str, bytes], listed: Any = None, *, mode: int = stat.S_IFREG | 0o644) -> Path:
    """Write what somebody could, who knows the format: all checksums are right."""
    listing = listed or {name: {"size": len(text), "sha256": sha256(text)} for name, text in members.items()}
    document = {"format": "cwola-search", "version": 1, "cwola": "0", "datasets": [], "lumi_ifb": None, "plugins": []}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            file.writestr(info, text)
        file.writestr("archive.json", json.dumps(document | {"members": listing}))
        file.comment = UNSEALED
    seal_file(path)
    return path


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def refused(path: Path, target: Path, reason: str) -> None:
    """The archive is one error with this reason, and nothing lies outside the folder that was to be filled."""
    before = sorted(one for one in target.parent.iterdir() if one != target)
    with pytest.raises(ResultsError, match=reason):
        unpacked(path, target)
    assert sorted(one for one in target.parent.iterdir() if one != target) == before


def test_members_come_back_with_their_document(archive: Path, tmp_path: Path) -> None:
    found = unpacked(archive, tmp_path / "new")
    document = json.loads(found.pop("archive.json"))
    assert found == MEMBERS
    assert document["members"] == {n: {"size": len(c), "sha256": sha256(c)} for n, c in MEMBERS.items()}
    assert (document["cwola"], document["lumi_ifb"], document["version"]) == ("1.2.3", 20.0, 1)


def test_other_programs_read_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as file:
        assert file.testzip() is None
        assert {name: file.read(name) for name in MEMBERS} == MEMBERS


def test_equal_members_give_equal_bytes_whose_digest_is_returned(archive: Path, tmp_path: Path) -> None:
    file = tmp_path / "member"
    file.write_bytes(MEMBERS["config.json"])
    other = tmp_path / "other.zip"
    digest = write_archive(other, dict(reversed(MEMBERS.items())) | {"config.json": file}, DOCUMENT)
    assert other.read_bytes() == archive.read_bytes()
    assert digest == sha256(other.read_bytes())


def test_no_byte_can_change(archive: Path) -> None:
    content = archive.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1
        archive.write_bytes(changed)
        with pytest.raises(ResultsError), open_archive(archive):
            pass


@pytest.mark.parametrize("length", [0, 10, -100, -1])
def test_half_an_archive_is_one_error(archive: Path, length: int) -> None:
    archive.write_bytes(archive.read_bytes()[:length])
    with pytest.raises(ResultsError, match="Fetch it again"), open_archive(archive):
        pass


def test_something_else_is_no_archive(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("text")
    for name, reason in (("pipe", "a named pipe"), ("text", "is not an archive"), ("none", "cannot read|is not an")):
        with pytest.raises(ResultsError, match=reason), open_archive(tmp_path / name):
            pass
    with zipfile.ZipFile(tmp_path / "zip", "w") as file:
        file.writestr("config.json", "{}")
        file.comment = UNSEALED
    seal_file(tmp_path / "zip")
    with pytest.raises(ResultsError, match=r"has no archive\.json"), open_archive(tmp_path / "zip"):
        pass


@pytest.mark.parametrize(
    "name",
    [
        "../out",
        "a/../../out",
        "/tmp/out",
        "a//b",
        ".hidden",
        "a/.hidden",
        "C:/out",
        "a\\..\\out",
        "a\x00b",
        "a/",
        "run.py",
    ],
)
def test_names_that_lead_elsewhere_or_are_code_are_refused(tmp_path: Path, name: str) -> None:
    refused(forged(tmp_path / "bad.zip", {name: b"text"}), tmp_path / "new", "damaged or was changed")
    with pytest.raises(ResultsError, match="cannot be a member"):
        write_archive(tmp_path / "own.zip", {name: b"text"}, DOCUMENT)


def test_links_are_refused(tmp_path: Path) -> None:
    path = forged(tmp_path / "bad.zip", {"link": b"/etc/passwd"}, mode=stat.S_IFLNK | 0o777)
    refused(path, tmp_path / "new", "not a regular file")


def test_a_member_that_differs_from_its_checksum_is_refused(tmp_path: Path) -> None:
    for size, digest, reason in ((4, sha256(b"else"), "SHA-256"), (3, sha256(b"text"), "larger"), (5, "", "SHA-256")):
        path = forged(tmp_path / "bad.zip", {"config.json": b"text"}, {"config.json": {"size": size, "sha256": digest}})
        refused(path, tmp_path / f"new{size}", reason)


def test_members_are_those_that_are_listed(tmp_path: Path) -> None:
    one = {"size": 4, "sha256": sha256(b"text")}
    path = forged(tmp_path / "less.zip", {"a": b"text"}, {"a": one, "b": one})
    refused(path, tmp_path / "new", "not both")
    refused(forged(tmp_path / "more.zip", {"a": b"text", "b": b"text"}, {"a": one}), tmp_path / "newer", "not both")
    refused(forged(tmp_path / "case.zip", {"a": b"text", "A": b"text"}), tmp_path / "newest", "there twice")


def test_a_bomb_does_not_explode(tmp_path: Path) -> None:
    zeros = bytes(200_000_000)
    refused(forged(tmp_path / "bomb.zip", {"a": zeros}), tmp_path / "new", "claim to unpack to 200000000")
    path = forged(tmp_path / "liar.zip", {"a": zeros}, {"a": {"size": 10, "sha256": sha256(zeros[:10])}})
    refused(path, tmp_path / "newer", "larger than the 10 bytes")
    assert (tmp_path / "newer" / "a").stat().st_size <= 10


def test_a_newer_version_says_which_cwola_reads_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as file:
        file.writestr("archive.json", json.dumps({"format": "cwola-search", "version": 2, "cwola": "9.1", "else": 1}))
        file.comment = UNSEALED
    seal_file(tmp_path / "new.zip")
    with pytest.raises(ResultsError, match=r"version 2 .* '9\.1'"), open_archive(tmp_path / "new.zip"):
        pass


def test_files_that_are_there_are_not_replaced_and_links_not_followed(archive: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "config.json").symlink_to(mine)
    with open_archive(archive) as found, pytest.raises(ResultsError, match="cannot write"):
        found.unpack(tmp_path / "new")
    assert mine.read_text() == "mine"


def test_a_full_disk_is_told_before_anything_is_written(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: _Usage(10))
    (tmp_path / "new").mkdir()
    with open_archive(archive) as found, pytest.raises(ResultsError, match="has room for"):
        found.unpack(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


class _Usage:
    def __init__(self, free: int) -> None:
        self.free = free


def test_random_bytes_are_members_too(tmp_path: Path) -> None:
    members = {f"parts/{i}.npz": np.random.default_rng(i).bytes(100_000 * i) for i in range(4)}
    write_archive(tmp_path / "large.zip", members, DOCUMENT)
    found = unpacked(tmp_path / "large.zip", tmp_path / "new")
    assert {name: found[name] for name in members} == members
