"""Files of code that a user knows: where, for whom, and under which circumstances."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from analysis.core.trust import file_digest, forget_files, known_files, trust_files, trust_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    before = os.umask(0)
    yield tmp_path / "home"
    os.umask(before)


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_entries_are_named_by_their_content_and_are_of_this_user_alone(tmp_path: Path, home: Path) -> None:
    path = write(tmp_path / "a.py", "x = 1\n")
    trust_files([path])
    digest = hashlib.sha256(b"x = 1\n").hexdigest()
    assert known_files() == {digest: str(path)}
    (entry,) = trust_folder().iterdir()
    assert entry.read_text() == f"{digest}  {path}\n"  # as sha256sum prints and checks it
    assert stat.S_IMODE(entry.stat().st_mode) == 0o600
    assert stat.S_IMODE(entry.parent.stat().st_mode) == 0o700
    assert entry.parent == home / "cwola" / "trusted"
    assert forget_files(str(path)) == [str(path)]
    assert known_files() == {}


def test_many_processes_add_at_once(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{n}.py", f"x = {n}\n") for n in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda path: trust_files([path, paths[0]]), paths))
    assert sorted(known_files().values()) == sorted(map(str, paths))
    assert not [path for path in trust_folder().iterdir() if path.name.startswith(".")]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda entry: entry.write_text(""),
    "of another file": lambda entry: entry.write_text(f"{'0' * 64}  /somewhere/a.py\n"),
    "not text": lambda entry: entry.write_bytes(b"\xff\xfe\x00"),
    "a folder": lambda entry: (entry.unlink(), entry.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_entry_makes_nothing_known_and_spoils_no_other(damage: str, tmp_path: Path) -> None:
    kept, damaged = write(tmp_path / "kept.py", "x = 1\n"), write(tmp_path / "damaged.py", "x = 2\n")
    trust_files([kept, damaged])
    entry = trust_folder() / file_digest(damaged)
    DAMAGE[damage](entry)
    assert known_files() == {file_digest(kept): str(kept)}
    if damage != "a folder":
        trust_files([damaged])
        assert known_files() == {file_digest(one): str(one) for one in (kept, damaged)}


@pytest.mark.parametrize("configured", ["", "relative", "."])
def test_the_current_folder_never_says_what_is_known(
    configured: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", configured)
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert trust_folder() == tmp_path / "me" / ".config" / "cwola" / "trusted"
    monkeypatch.setenv("HOME", "me")
    with pytest.raises(OSError, match="set XDG_CONFIG_HOME"):
        trust_folder()
    assert known_files() == {}
