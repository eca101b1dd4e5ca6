"""Parts on disk: no damage goes unseen, and other programs read them."""

from __future__ import annotations

from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest

from analysis.core.location import RemotePath
from analysis.errors import ResultsError
from analysis.events.parts import (
    Part,
    events_folder,
    is_damaged,
    read_part_info,
    write_part,
    write_weights,
)
from analysis.events.table import EventTable
from tests.builders.flips import REFUSED, flips, outcome
from tests.builders.toy_tables import toy_table
from tests.builders.toys import assert_identical

TABLE = toy_table(200, 20, random_state=1)
WRITERS = {
    "events": lambda path: write_part(path, TABLE, {"n": 1}),
    "variations": lambda path: write_part(path, TABLE, {"n": 1}, quick=True),
    "weights": lambda path: write_weights(path, weighted(TABLE), {"n": 1}),
}


def weighted(table: EventTable) -> EventTable:
    """The table with two varied weights."""
    extra = table.table.append_column("weight_aUp", table.table["weight"])
    return EventTable(extra.append_column("weight_aDown", table.table["weight"]), table.features)


@pytest.mark.parametrize("kind", WRITERS)
def test_no_flipped_byte_is_read(tmp_path, kind):
    path = tmp_path / "part.parquet"
    WRITERS[kind](path)
    content = path.read_bytes()
    assert Part.open(path).file.metadata.num_rows == len(TABLE)
    found = set()
    for _, copy in flips(content, 150, seed=1):
        path.write_bytes(copy)
        assert is_damaged(path)
        found.add(outcome(Part.open, path, lambda part: False))
    assert found == {REFUSED}


@pytest.mark.parametrize("kind", WRITERS)
def test_other_readers_can_verify_the_pages(tmp_path, kind):
    """Half of the bytes of a part are pages, whose checksums pyarrow and others verify without the seal."""
    path = tmp_path / "part.parquet"
    WRITERS[kind](path)
    content = path.read_bytes()
    expected, changed = pq.read_table(path), 0
    for _, copy in flips(content, 60, seed=2):
        try:
            changed += not pq.read_table(pa.BufferReader(copy), page_checksum_verification=True).equals(expected)
        except (OSError, pa.ArrowException, UnicodeDecodeError):
            continue
    assert changed <= 1


@pytest.mark.parametrize(
    ("written", "damaged"), [(b'"info"', b'"jnfo"'), (b'{"n": 1}', b"[1, 2,3]"), (b'{"n"', b'{{n"')]
)
def test_a_damaged_record_is_none(tmp_path, written, damaged):
    path = tmp_path / "part.parquet"
    write_part(path, TABLE, {"n": 1})
    assert read_part_info(path) == {"n": 1}
    path.write_bytes(path.read_bytes().replace(written, damaged))
    assert read_part_info(path) is None


@pytest.mark.parametrize("length", [0, 4, 1000, -1])
def test_a_part_that_was_cut_off_is_refused(tmp_path, length):
    path = tmp_path / "part.parquet"
    write_part(path, TABLE, {})
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ResultsError, match=r"part\.parquet is damaged.*Run `cwola process` again"):
        EventTable.from_parts([path])


def test_missing_and_unreadable_parts_are_named(tmp_path):
    with pytest.raises(ResultsError, match=r"no file .*absent\.parquet of selected events.*cwola process"):
        Part.open(tmp_path / "absent.parquet")
    (tmp_path / "folder.parquet").mkdir()
    with pytest.raises(ResultsError, match=r"cannot read .*folder\.parquet: Is a directory"):
        Part.open(tmp_path / "folder.parquet")
    assert not is_damaged(tmp_path / "absent.parquet")


def test_damage_elsewhere_is_seen_as_well(memory):
    path = RemotePath("memory://top") / "part.parquet"
    write_part(path, TABLE, {"n": 3})
    assert (read_part_info(path), is_damaged(path)) == ({"n": 3}, False)
    store = memory.cat("/top/part.parquet")
    memory.pipe("/top/part.parquet", store[:50] + bytes([store[50] ^ 1]) + store[51:])
    with pytest.raises(ResultsError, match=r"memory://top/part\.parquet is damaged"):
        EventTable.from_parts([path])


@pytest.fixture
def folder(tmp_path) -> Path:
    """Folder of three parts of two datasets, one of them empty."""
    half = len(TABLE) // 2
    for dataset, rows in (("qcd", slice(0, half)), ("run=C", slice(half, None)), ("qcd", slice(0, 0))):
        mask = np.zeros(len(TABLE), bool)
        mask[rows] = True
        part = TABLE.select(mask)
        part = part.replaced({"dataset": pa.array([dataset] * len(part), pa.string())})
        write_part(events_folder(tmp_path, dataset) / f"{mask.sum()}.parquet", part, {})
    return tmp_path


READERS = {
    "pandas": lambda folder: {name: values.to_numpy() for name, values in pd.read_parquet(folder).items()},
    "awkward": lambda folder: {n: np.array(ak.to_list(v[n])) for v in [ak.from_parquet(folder)] for n in v.fields},
    "pyarrow": lambda folder: {
        n: pads.dataset(folder).to_table()[n].to_numpy() for n in pads.dataset(folder).schema.names
    },
}


@pytest.mark.parametrize("reader", READERS)
def test_other_programs_read_the_folder_as_one_table(folder, reader):
    found = READERS[reader](folder)
    expected = EventTable.from_parts(folder.rglob("*.parquet"))
    assert list(found) == expected.table.column_names
    order = np.argsort(found["event_id"])
    for name, values in found.items():
        np.testing.assert_array_equal(values[order], expected.column(name), err_msg=name)
    assert set(found["dataset"]) == {"qcd", "run=C"}


def test_weights_of_other_events_are_refused(tmp_path):
    write_part(tmp_path / "a.parquet", TABLE, {})
    write_weights(tmp_path / "w.parquet", weighted(TABLE), {})
    table = EventTable.from_parts(
        [tmp_path / "a.parquet"], weights=["weight_aUp"], weight_paths=[tmp_path / "w.parquet"]
    )
    np.testing.assert_array_equal(table.column("weight_aUp"), table.weight)
    write_weights(tmp_path / "w.parquet", weighted(TABLE.select(np.arange(len(TABLE)) > 0)), {})
    with pytest.raises(ResultsError, match=r"w\.parquet holds the weights of other events"):
        EventTable.from_parts([tmp_path / "a.parquet"], weights=["weight_aUp"], weight_paths=[tmp_path / "w.parquet"])


def test_what_is_written_is_what_is_read(tmp_path):
    write_part(tmp_path / "a.parquet", TABLE, {"n": 1})
    table = EventTable.from_parts([tmp_path / "a.parquet"])
    order = np.argsort(TABLE.event_id)
    assert_identical(table, EventTable(TABLE.table.take(pa.array(order)), TABLE.features))
    write_part(tmp_path / "b.parquet", TABLE, {"n": 1})
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
