"""Files on any file system: the same events, complete or not there at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.core.location import RemotePath, parse_location, reading, write_file
from analysis.errors import ConfigError, ResultsError
from tests.builders.running import dataset, run
from tests.builders.toys import jet, write_nanoaod


def test_addresses_of_this_machine_are_paths():
    assert parse_location("some/folder") == Path("some/folder")
    assert parse_location("file:///some/folder") == Path("/some/folder")
    assert parse_location("memory://some/folder") == RemotePath("memory://some/folder")


def test_paths_are_joined_as_those_of_pathlib():
    path = RemotePath("s3://bucket/top/") / "digest" / "dataset=a/part.parquet"
    assert str(path) == "s3://bucket/top/digest/dataset=a/part.parquet"
    assert path.name == "part.parquet"
    assert path.absolute() == path


@pytest.mark.parametrize("address", ["nonsense://host/folder", "s4://bucket/folder"])
def test_unknown_file_systems_are_refused(address):
    with pytest.raises(ConfigError, match=address.partition(":")[0]):
        parse_location(address)


def test_a_file_is_replaced_as_a_whole_and_leaves_nothing_else(memory):
    path = RemotePath("memory://top") / "a/b.bin"
    for content in (b"first", b"second"):
        write_file(path, content)
        with reading(path) as stream:
            assert stream.read() == content
    assert memory.find("/") == ["/top/a/b.bin"]


def test_what_cannot_be_opened_leaves_what_was_there(memory, monkeypatch):
    path = RemotePath("memory://top") / "b.bin"
    write_file(path, b"first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(type(memory), "open", full)
    with pytest.raises(ResultsError, match=r"memory://top/b.bin: No space left"):
        write_file(path, b"second")
    monkeypatch.undo()
    assert memory.cat("/top/b.bin") == b"first"


def test_parts_elsewhere_hold_the_same_events_and_are_not_made_again(memory, tmp_path):
    rng = np.random.default_rng(1)
    events = [[jet(pt, eta=0.1), jet(pt - 20, eta=-0.2, phi=3.1)] for pt in 1000 + rng.exponential(300, 200)]
    one = dataset(write_nanoaod(tmp_path / "a.root", events))
    _, expected = run(one, tmp_path / "parts", chunksize=60)
    away = RemotePath("memory://top")
    result, found = run(one, away, chunksize=60)
    assert found.table.equals(expected.table)
    assert len(result.parts) == len(memory.find("/top")) > 1
    assert {part.resolve()[1] for part in result.parts} == set(memory.find("/top"))
    before = {name: memory.created(name) for name in memory.find("/top")}
    damaged = result.parts[0].resolve()[1]
    memory.pipe_file(damaged, memory.cat(damaged)[:-1000])
    _, again = run(one, away, chunksize=60)
    assert again.table.equals(expected.table)
    after = {name: memory.created(name) for name in memory.find("/top")}
    assert [name for name in before if before[name] != after[name]] == [damaged]
