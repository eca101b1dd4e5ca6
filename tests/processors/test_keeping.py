"""A file that stays open is the file at its path, as it is now."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import uproot

from analysis.compute import Serial
from analysis.events.table import EventTable
from processors.keeping import forget_file, kept_options
from processors.opening import OPTIONS, open_root
from processors.runner.executor import BadFile, run_tasks
from processors.runner.plan import FileRecord
from tests.builders import toys
from tests.builders.faulty_server import faulty_server
from tests.builders.running import dataset, run


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    forget_file()
    yield
    forget_file()


def written(path: Path, value: float) -> Path:
    """A file with one UUID, whatever it holds."""
    with uproot.recreate(path) as file:
        file.mktree("Events", {"x": np.dtype("f4"), "y": np.dtype("f4")})
        file["Events"].extend({"x": np.full(50, value, np.float32), "y": np.zeros(50, np.float32)})
    return Path(toys.set_uuid(path))


def value_of(path: Path) -> float:
    with open_root(str(path), **kept_options(str(path))) as file:
        values = file["Events"]["x"].array(library="np")
    (value,) = set(values.tolist())
    return float(value)


def descriptors(path: Path) -> int:
    return sum(link.is_symlink() and link.readlink() == path for link in Path("/proc/self/fd").iterdir())


@pytest.fixture
def trees_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the trees that uproot reads from files, and not from its cache."""
    read: list[str] = []
    get = uproot.reading.ReadOnlyKey.get_uncompressed_chunk_cursor

    def noted(key: uproot.reading.ReadOnlyKey) -> object:
        if key.fClassName == "TTree":
            read.append(key.fName)
        return get(key)

    monkeypatch.setattr(uproot.reading.ReadOnlyKey, "get_uncompressed_chunk_cursor", noted)
    return read


def test_a_tree_is_read_once_for_all_who_open_its_file(tmp_path: Path, trees_read: list[str]) -> None:
    path = written(tmp_path / "a.root", 1.0)
    assert [value_of(path) for _ in range(3)] == [1.0] * 3
    assert trees_read == ["Events"]
    assert descriptors(path) == 1
    forget_file()
    assert descriptors(path) == 0


def test_files_with_one_uuid_in_turns_and_at_once(tmp_path: Path) -> None:
    one, other = written(tmp_path / "a.root", 1.0), written(tmp_path / "b.root", 2.0)
    assert [value_of(path) for path in (one, other, one)] == [1.0, 2.0, 1.0]
    assert descriptors(other) == 0
    with open_root(str(one), **kept_options(str(one))) as first, open_root(str(other)) as second:
        assert first["Events"]["x"].array(library="np")[0] == 1.0
        assert second["Events"]["x"].array(library="np")[0] == 2.0


@pytest.mark.parametrize("how", ["replaced", "written over"])
def test_a_file_that_has_changed_is_read_again(tmp_path: Path, how: str) -> None:
    """Even with the same size, UUID and time of modification."""
    path, new = written(tmp_path / "a.root", 1.0), written(tmp_path / "b.root", 2.0)
    times = path.stat()
    assert value_of(path) == 1.0
    assert new.stat().st_size == times.st_size
    if how == "replaced":
        new.replace(path)
    else:
        path.write_bytes(new.read_bytes())
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert value_of(path) == 2.0


def test_files_of_unknown_content_and_missing_files_are_opened_as_ever(tmp_path: Path) -> None:
    assert kept_options("root://server//a.root") is OPTIONS
    missing = tmp_path / "none.root"
    with pytest.raises(FileNotFoundError):
        open_root(str(missing), **kept_options(str(missing)))


def test_chunks_of_a_file_share_its_tree(tmp_path: Path, trees_read: list[str]) -> None:
    path = tmp_path / "a.root"
    toys.write_nanoaod(path, [toys.dijet(toys.jet(900 + number)) for number in range(40)])
    result, table = run(dataset(path), tmp_path / "one", {"mjj_min": 0}, chunksize=10)
    assert len(result.parts) == 4
    assert trees_read.count("Events") == 1
    assert descriptors(path) == 0
    _, whole = run(dataset(path), tmp_path / "other", {"mjj_min": 0}, chunksize=1000)
    assert len(table) == 40
    assert table.table.equals(whole.table)


def test_chunks_of_a_file_on_a_server_share_its_tree_as_long_as_it_is_the_same(
    tmp_path: Path, trees_read: list[str]
) -> None:
    served = tmp_path / "served"
    served.mkdir()

    def serve(first: int) -> None:
        toys.write_nanoaod(served / "a.root", [toys.dijet(toys.jet(first + number)) for number in range(40)])
        toys.set_uuid(served / "a.root")

    def read(address: str) -> EventTable:
        _, table = run(dataset(files=((address, "Events"),)), tmp_path / "parts", {"mjj_min": 0}, chunksize=10)
        return table

    serve(900)
    with faulty_server(served) as server:
        before = read(f"{server.address}/a.root")
        assert trees_read.count("Events") == 2  # for the number of events, and for all chunks
        serve(1000)
        after = read(f"{server.address}/a.root")
    _, expected = run(dataset(served / "a.root"), tmp_path / "local", {"mjj_min": 0})
    assert after.mjj.tolist() == expected.mjj.tolist()
    assert before.mjj.tolist() != after.mjj.tolist()


def test_a_file_that_could_not_be_read_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "a.root"
    toys.write_nanoaod(path, [toys.dijet()] * 3)

    def fail(record: FileRecord) -> None:
        value_of(Path(record.filename))

    (found,) = [one for _, one in run_tasks(Serial(), fail, [FileRecord("a", str(path), "Events", "", 3, "")], "")]
    assert isinstance(found, BadFile)
    assert descriptors(path) == 0
