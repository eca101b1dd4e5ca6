"""Events on disk read by mass range and columns are those of the whole table, in the same order."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.errors import ResultsError, TableError
from analysis.events.identity import event_hash
from analysis.events.parts import Part, write_part
from analysis.events.schema import FeatureSpec
from analysis.events.stored import StoredEvents, _Examined
from analysis.events.table import EventTable
from tests.builders.toys import assert_identical

SPECS = tuple(FeatureSpec(name, name, "", (10, 0.0, 1.0)) for name in ("a", "b", "c"))
RNG = np.random.default_rng(0)
N = 3000


def events(n: int = N, **columns: object) -> EventTable:
    values = {
        "event_id": event_hash(1, 1, np.arange(n)),
        "run": np.ones(n),
        "luminosity_block": np.ones(n),
        "event": np.arange(n),
        "dataset": RNG.choice(["x", "y", "z"], n),
        "rapidity_region": RNG.choice(["search", "validation"], n),
        "mjj": RNG.uniform(1000.0, 5000.0, n),
        "abs_dy": RNG.uniform(0.0, 2.0, n),
        "weight": RNG.uniform(0.5, 1.5, n),
        **{spec.name: RNG.normal(size=n).astype(np.float32) for spec in SPECS},
    }
    return EventTable.from_columns({**values, **columns}, SPECS)


def stored(folder: Path, table: EventTable, n_parts: int = 23, scales: dict[str, float] | None = None) -> StoredEvents:
    paths = tuple(folder / f"{number}.parquet" for number in range(n_parts))
    for rows, path in zip(np.array_split(RNG.permutation(len(table)), n_parts), paths, strict=True):
        write_part(path, EventTable(table.table.take(rows), table.features), {})
    return StoredEvents(paths, scales or {}, "search")


def colliding() -> EventTable:
    """Simulation that repeats event numbers: the identities are equal, the kinematics are not."""
    identity = event_hash(9, np.arange(N))
    identity[1:N:2] = identity[: N - 1 : 2]
    return events(event_id=identity, event=np.arange(N) // 2)


@pytest.mark.parametrize("make", [events, colliding])
def test_a_range_and_some_columns_are_those_of_the_whole_table(tmp_path: Path, make: object) -> None:
    scales = {"x": 2.0, "y": 0.3}
    on_disk = stored(tmp_path, make(), scales=scales)  # type: ignore[operator]
    whole = EventTable.from_parts(on_disk.paths, scales).in_region("search")
    chosen = whole.select((whole.mjj >= 1500.0) & (whole.mjj < 2500.0))
    assert 100 < len(chosen) < len(whole)
    assert_identical(on_disk.read((1500.0, 2500.0)), chosen)
    for reader in (on_disk, replace(on_disk, paths=on_disk.paths[::-1], _examined=_Examined())):
        some = reader.read((1500.0, 2500.0), ["c", "a"])
        assert some.feature_names == ("a", "c")
        assert some.table.column_names == ["event_id", "dataset", "mjj", "weight", "a", "c"]
        for name in some.table.column_names:
            assert some.column(name).tolist() == chosen.column(name).tolist()
    assert sorted(np.concatenate(list(on_disk.masses()))) == sorted(whole.mjj)


@pytest.mark.parametrize("make", [events, colliding])
def test_a_band_is_that_of_the_whole_table(tmp_path: Path, make: object) -> None:
    searched = stored(tmp_path, make())  # type: ignore[operator]
    whole = EventTable.from_parts(searched.paths).in_region("validation")
    band = whole.select((whole.column("abs_dy") < 1.3) & (whole.mjj >= 1500.0) & (whole.mjj < 2500.0))
    assert 100 < len(band) < len(whole.within((1500.0, 2500.0)))
    assert_identical(replace(searched, region="validation", abs_dy_max=1.3).read((1500.0, 2500.0)), band)
    narrow, wide = (len(np.concatenate(list(one.masses()))) for one in (replace(searched, abs_dy_max=1.3), searched))
    assert 0 < narrow < wide


def test_events_are_checked_once_for_all_regions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = stored(tmp_path, events())
    searched.read((1000.0, 2000.0), ["a"])
    columns: list[str] = []
    read = Part.read
    monkeypatch.setattr(Part, "read", lambda part, names: columns.extend(names) or read(part, names))
    replace(searched, region="validation").read((1000.0, 2000.0), ["b"])
    assert set(columns) == {"event_id", "dataset", "mjj", "weight", "rapidity_region", "b"}
    with_copy = stored(tmp_path, EventTable.joined([one := events(), EventTable(one.table.slice(7, 1), SPECS)]))
    for _ in range(2):  # a failed check is repeated
        with pytest.raises(TableError, match="1 event occurs twice"):
            with_copy.read((1000.0, 2000.0), ["a"])


def test_copies_are_found_whatever_their_masses(tmp_path: Path) -> None:
    table = events(rapidity_region=["search"] * N)
    again = EventTable(table.table.slice(7, 1), SPECS).replaced({"mjj": np.array([4999.0])})
    on_disk = stored(tmp_path, EventTable.joined([table, again]))
    with pytest.raises(TableError, match="1 event occurs twice, such as run 1, luminosity block 1, event 7 of dataset"):
        on_disk.read((1000.0, 2000.0), ["a"])


def test_a_mass_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    good = events()
    mjj = good.mjj.copy()
    mjj[[3, 5]] = np.nan
    bad = EventTable(good.table.set_column(good.table.column_names.index("mjj"), "mjj", [mjj]), SPECS)
    with pytest.raises(TableError, match="column 'mjj' holds 2 values that are not finite"):
        stored(tmp_path, bad).read((1000.0, 2000.0), ["a"])


def test_nothing_to_read_and_unknown_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="there are no parts to read"):
        StoredEvents((), {}, "search").read()
    on_disk = stored(tmp_path, events())
    with pytest.raises(TableError, match=r"'d' is not in the event table\. Features: a, b, c"):
        on_disk.read(features=["a", "d"])
    on_disk.paths[1].write_bytes(on_disk.paths[1].read_bytes()[:-1])  # type: ignore[union-attr]
    with pytest.raises(ResultsError, match=r"1\.parquet is damaged"):
        on_disk.read((1500.0, 2500.0), ["a"])


def test_an_empty_range_is_an_empty_table(tmp_path: Path) -> None:
    on_disk = stored(tmp_path, events(), scales={"x": 2.0})
    assert len(on_disk.read((6000.0, 7000.0), ["a"])) == 0
