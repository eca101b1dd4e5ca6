"""What an event table refuses, and that its rows do not depend on how they were stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analysis.errors import TableError
from analysis.events.identity import event_hash
from analysis.events.parts import read_part_info, write_part
from analysis.events.schema import FeatureSpec
from analysis.events.table import EventTable
from tests.builders.toys import assert_identical

SPECS = (FeatureSpec("mj1", "m", "GeV", (10, 0.0, 500.0)), FeatureSpec("tau21_j1", "t", "", (10, 0.0, 1.0)))


def make(events, *, dataset="a", run=1, **columns) -> EventTable:
    events = np.asarray(events, np.uint64)
    n = len(events)
    values = {
        "event_id": event_hash(run, 1, events),
        "run": np.full(n, run),
        "luminosity_block": np.ones(n),
        "event": events,
        "dataset": [dataset] * n,
        "rapidity_region": ["search" if e % 2 == 0 else "validation" for e in events.tolist()],
        "mjj": 1000.0 + events,
        "abs_dy": np.full(n, 0.5),
        "weight": np.full(n, 2.0),
        "mj1": np.asarray(events, np.float32),
        "tau21_j1": np.full(n, np.nan),
    }
    return EventTable.from_columns({**values, **columns}, SPECS)


def parts(folder: Path, *tables: EventTable) -> list[Path]:
    paths = [folder / f"{i}.parquet" for i in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        write_part(path, table, {"n": len(table)})
    return paths


def test_order_of_rows_depends_on_the_events_alone(tmp_path):
    rng = np.random.default_rng(0)
    events = np.arange(500)
    one = parts(tmp_path / "one", make(events[:200]), make(events[200:]))
    shuffled = rng.permutation(events)
    other = parts(tmp_path / "two", *(make(chunk) for chunk in np.array_split(shuffled, 7)), make([]))
    table = EventTable.from_parts(one)
    assert_identical(table, EventTable.from_parts(reversed(other)))
    assert table.event_id.tolist() == sorted(event_hash(1, 1, events).tolist())
    np.testing.assert_array_equal(table.mjj, 1000.0 + table.column("event"))


def test_weights_are_scaled_per_dataset(tmp_path):
    paths = parts(tmp_path, make(range(3), dataset="a"), make(range(3, 5), dataset="b"), make([9], dataset="c"))
    table = EventTable.from_parts(paths, {"a": 0.5, "b": 10.0})
    labels = table.column("dataset")
    assert {name: set(table.weight[labels == name]) for name in "abc"} == {"a": {1.0}, "b": {20.0}, "c": {2.0}}


@pytest.mark.parametrize("name", ["mjj", "weight", "event_id", "dataset", "rapidity_region", "abs_dy"])
def test_classifier_may_not_see_truth_or_mjj(name):
    with pytest.raises(TableError, match=rf"'{name}' may not be trained on\. Features: mj1, tau21_j1"):
        make([1, 2]).matrix(["mj1", name])


def test_unknown_feature_is_not_in_the_table():
    with pytest.raises(TableError, match=r"'mj9' is not in the event table\. Features: mj1, tau21_j1"):
        make([1, 2]).matrix(["mj9"])


def test_matrix_has_the_columns_in_the_order_asked_for():
    matrix = make([7, 8]).matrix(["tau21_j1", "mj1"])
    np.testing.assert_array_equal(matrix, np.array([[np.nan, 7], [np.nan, 8]], np.float32))
    some = make([7, 8, 9]).matrix(["mj1"], np.array([True, False, True]))
    np.testing.assert_array_equal(some, np.array([[7], [9]], np.float32))
    assert matrix.dtype == some.dtype == np.float32


def test_event_that_occurs_twice_is_refused(tmp_path):
    paths = parts(tmp_path, make([1, 2, 3]), make([3, 4]))
    with pytest.raises(
        TableError, match=r"1 event occurs twice, such as run 1, luminosity block 1, event 3 of dataset a"
    ):
        EventTable.from_parts(paths)


def test_event_of_two_data_streams_is_refused(tmp_path):
    """Real data: one event can be in two primary datasets. It has one identity."""
    paths = parts(tmp_path, make([1, 2], dataset="jets"), make([2, 5], dataset="met"))
    with pytest.raises(TableError, match=r"event 2 of dataset jets and met"):
        EventTable.from_parts(paths)


def simulated(events, **columns) -> EventTable:
    """Events whose identity covers the dataset, as that of simulation does."""
    return make(events, event_id=event_hash(1, 1, np.asarray(events, np.uint64), 99), **columns)


def test_simulation_may_repeat_a_number_with_other_kinematics(tmp_path):
    """Only an event with the same kinematics is a copy; the order of rows does not depend on that of the files."""
    first, second = simulated([1, 2, 3]), simulated([2, 3], mjj=[1500.0, 1003.0], abs_dy=[0.5, 0.6])
    table = EventTable.from_parts(parts(tmp_path / "one", first, second))
    assert len(table) == 5
    assert_identical(table, EventTable.from_parts(parts(tmp_path / "two", second, first)))
    copy = simulated([3], abs_dy=[0.6])
    with pytest.raises(TableError, match=r"1 event occurs twice, such as run 1, luminosity block 1, event 3 of"):
        EventTable.from_parts(parts(tmp_path / "three", first, second, copy))


def test_real_data_may_not_repeat_a_number_at_all(tmp_path):
    """The same collision, reconstructed twice."""
    with pytest.raises(TableError, match=r"1 event occurs twice, such as .* event 2 of dataset a"):
        EventTable.from_parts(parts(tmp_path, make([1, 2]), make([2], mjj=[1500.0])))


def test_several_copies_are_named(tmp_path):
    with pytest.raises(TableError, match=r"4 events occur twice, such as (run 1, luminosity block 1, event \d;? ?){3}"):
        EventTable.from_parts(parts(tmp_path, make([1, 2, 3, 4]), make([1, 2, 3, 4])))


def test_different_events_with_the_same_hash_are_kept(tmp_path):
    """A collision of two identities is no copy."""
    paths = parts(tmp_path, make([1], event_id=[5]), make([2], event_id=[5]))
    assert len(EventTable.from_parts(paths)) == 2


@pytest.mark.parametrize("column", ["mjj", "weight"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(column, bad):
    with pytest.raises(TableError, match=rf"'{column}' holds 1 values that are not finite"):
        make([1, 2], **{column: [1.0, bad]})


def test_stored_part_with_nan_is_refused(tmp_path):
    path, table = tmp_path / "a.parquet", make([1, 2]).table
    broken = table.set_column(table.column_names.index("mjj"), "mjj", pa.array([1.0, np.nan]))
    write_part(path, EventTable(broken, SPECS), {})
    with pytest.raises(TableError, match="'mjj' holds 1 values"):
        EventTable.from_parts([path])


def test_missing_column_is_named():
    with pytest.raises(TableError, match=r"lacks the columns event_id, run"):
        EventTable.from_columns({"mjj": [1.0]}, SPECS)


def test_no_parts_say_what_may_be_wrong():
    with pytest.raises(TableError, match="no parts to read"):
        EventTable.from_parts([])


def test_parts_with_other_features_are_refused(tmp_path):
    first, second = parts(tmp_path, make([1]), make([2]))
    odd = EventTable(make([2]).table, (SPECS[0], FeatureSpec("tau21_j1", "another label", "", (10, 0.0, 1.0))))
    write_part(second, odd, {})
    with pytest.raises(TableError, match=r"1\.parquet has other features than .*0\.parquet"):
        EventTable.from_parts([first, second])


def test_part_keeps_specifications_and_record(tmp_path):
    (path,) = parts(tmp_path, make([1, 2, 3]))
    assert EventTable.from_parts([path]).features == SPECS
    assert read_part_info(path) == {"n": 3}
    assert [file.name for file in tmp_path.iterdir()] == ["0.parquet"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"\0" * 1000])
def test_file_that_is_no_part_has_no_record(tmp_path, content):
    path = tmp_path / "x.parquet"
    path.write_bytes(content)
    assert read_part_info(path) is None
    assert read_part_info(tmp_path / "absent.parquet") is None


def test_parquet_of_another_program_has_no_record(tmp_path):
    pq.write_table(pa.table({"x": [1]}), tmp_path / "x.parquet")
    assert read_part_info(tmp_path / "x.parquet") is None


def test_subsets():
    table = make(range(10), dataset="a")
    assert table.in_region("search").column("event").tolist() == [0, 2, 4, 6, 8]
    assert table.select(table.mjj > 1007).column("event").tolist() == [8, 9]
    assert table.in_datasets(["b"]).sum() == 0
    assert table.in_datasets(["a", "b"]).all()


def test_events_within_masses_are_those_from_the_lower_to_below_the_upper_end():
    table = make([0, 1, 2, 3, 4])
    assert table.within((1001.0, 1004.0)).mjj.tolist() == [1001.0, 1002.0, 1003.0]
    assert table.within((1000.0, 1004.5)) is table
