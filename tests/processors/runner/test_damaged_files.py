"""Flipped bytes in files: equal numbers or one error, no harm to other files, and damaged parts are made again."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.errors import InputFileError
from analysis.events.dataset import Dataset
from processors.files.inspection import inspect_file
from processors.runner import executor
from processors.runner.isolation import isolated_classes
from processors.runner.run import process_datasets
from tests.builders import toys
from tests.builders.flips import CHANGED, EQUAL, REFUSED, flips, outcome
from tests.builders.running import dataset, run

EVENTS = [toys.dijet(toys.jet(800.0 + 3 * n, mass=100.0 + n), toys.jet(790.0, phi=3.0)) for n in range(40)]
WRITERS = {"nanoaod": toys.write_nanoaod, "delphes": toys.write_delphes}


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(executor, "PAUSE", 0.0)


def numbers(path: Path, layout: str) -> dict[str, Any]:
    """Everything that processing a file gives."""
    result, table = run(dataset(path, layout=layout), path.parent / "parts")
    columns = {name: table.column(name).tobytes() for name in (*table.feature_names, "event_id", "mjj", "weight")}
    return {**columns, "cutflow": result.cutflow, "sum": result.sum_of_weights}


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize("compressed", [True, False])
def test_flipped_bytes_of_root_files(tmp_path, layout, compressed):
    path = WRITERS[layout](tmp_path / "damaged.root", EVENTS, compressed=compressed)
    content = path.read_bytes()
    expected = numbers(path, layout)
    found = set()
    for _, copy in flips(content, 10, seed=3):
        path.write_bytes(copy)
        found.add(outcome(lambda path: numbers(path, layout), path, lambda got: got == expected))
    assert found <= {EQUAL, REFUSED} | (set() if compressed else {CHANGED})
    assert EQUAL in found


@pytest.mark.parametrize(
    ("written", "damaged", "message"),
    [
        (2 * b"\0\0\0\x02", b"\0\0\0\x02\0\x01\0\x02", "the file cannot be read: .*Check that it is complete"),
        (b"FatJet_eta", b"FatJet_\xf1ta", "layout of metadata.format.*If it is right, the file is damaged"),
    ],
    ids=["number of jets", "name of a branch"],
)
def test_damage_that_only_awkward_and_coffea_notice_is_blamed_on_the_file(tmp_path, written, damaged, message):
    path = toys.write_nanoaod(tmp_path / "a.root", EVENTS, compressed=False)
    content = path.read_bytes()
    path.write_bytes(content.replace(written, damaged, 1))
    with pytest.raises(InputFileError, match=rf"a\.root \(dataset sample\): .*{message}"):
        run(dataset(path), tmp_path)


@pytest.mark.parametrize("layout", WRITERS)
@pytest.mark.parametrize(("column", "n_events", "n_undefined"), [("mass", 40, 0), ("tau1", 41, 1)])
def test_a_signalling_nan_is_a_missing_number_without_a_warning(tmp_path, layout, column, n_events, n_undefined):
    """numpy warns where it is converted, and warnings are errors in tests."""
    path, value = tmp_path / "a.root", np.array(0.625, ">f4").tobytes()
    WRITERS[layout](path, [*EVENTS, toys.dijet(toys.jet(2000.0, **{column: 0.625}))], compressed=False)
    content = path.read_bytes()
    assert content.count(value) == 1
    path.write_bytes(content.replace(value, b"\x7f\xa0\0\0"))
    _, table = run(dataset(path, layout=layout), tmp_path, {"jet_mass": "ungroomed"})
    assert (len(table), np.isnan(table.column("tau21_j1")).sum()) == (n_events, n_undefined)


def misleading(path: Path) -> Path:
    """A file whose first branch states another version, for which uproot makes new classes of all versions."""
    content = bytearray(toys.write_nanoaod(path, EVENTS, compressed=False).read_bytes())
    # The version is 13; four bytes before it that begin with a flag give the length.
    at = next(p for p in range(4, len(content)) if content[p : p + 2] == b"\0\x0d" and content[p - 4] == 0x40)
    content[at + 1] = 77
    path.write_bytes(content)
    return path


def known() -> dict[str, tuple[type, dict[int, type]]]:
    return {name: (one, dict(getattr(one, "known_versions", {}))) for name, one in uproot.classes.items()}


@pytest.mark.parametrize(
    "read", [lambda path: run(dataset(path), path.parent), lambda path: inspect_file(str(path))], ids=["run", "inspect"]
)
def test_classes_that_a_damaged_file_describes_are_forgotten(tmp_path, read):
    before = known()
    read(misleading(tmp_path / "a.root"))
    assert known() == before


def test_a_damaged_file_does_no_harm_to_the_next_one(tmp_path, data):
    """With the other class of branches, files that ROOT wrote cannot be opened."""
    good = dataset(data("delphes/wprime_3500_500_100_r10_small.root"), layout="delphes")
    expected = run(good, tmp_path / "before")[1]
    run(dataset(misleading(tmp_path / "a.root")), tmp_path)
    toys.assert_identical(run(good, tmp_path / "after")[1], expected)


def test_classes_of_running_tasks_are_kept_until_the_last_one_ends():
    before = known()
    other_is_open, may_close = threading.Event(), threading.Event()

    def other() -> None:
        with isolated_classes():
            other_is_open.set()
            may_close.wait(10)

    with isolated_classes():
        uproot.classes["Mine"] = type("Mine", (), {})
        thread = threading.Thread(target=other)
        thread.start()
        other_is_open.wait(10)
    assert "Mine" in uproot.classes
    may_close.set()
    thread.join()
    assert known() == before


@pytest.mark.parametrize("stated", [39, 41, 0x67000000_00000028])
def test_a_number_of_events_that_no_branch_has_is_refused(tmp_path, monkeypatch, stated):
    """A wrong one drops events, or plans chunks until the memory is full."""
    path = toys.write_nanoaod(tmp_path / "a.root", EVENTS)
    monkeypatch.setattr(uproot.TTree, "num_entries", property(lambda tree: stated))
    with pytest.raises(InputFileError, match=rf"a\.root.*'Events' states {stated} events, but its branches hold 40"):
        run(dataset(path), tmp_path)


SYSTEMATICS = [
    {"name": "scale", "kind": "jet-mass-scale", "value": 0.1},
    {"name": "pile_up", "kind": "event-weight", "up": "w_up", "down": "w_down"},
]


@pytest.mark.parametrize("kind", ["events", "variations", "weights"])
def test_damaged_parts_are_made_again_and_others_kept(tmp_path, caplog, kind):
    weights = {name: np.ones(len(EVENTS)) for name in ("w_up", "w_down")}
    files = {name: toys.write_nanoaod(tmp_path / f"{name}.root", EVENTS, extra=weights) for name in "ab"}
    datasets = {name: Dataset(name, "background", "nanoaod", ((str(path), "Events"),)) for name, path in files.items()}
    config = SearchConfig(systematics=SYSTEMATICS)

    def process() -> dict[Path, tuple[bytes, int]]:
        result = process_datasets(datasets, config, tmp_path / "parts", Serial())
        return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in result.folder.parent.rglob("*.parquet")}

    before = process()
    damaged = min(path for path in before if kind in path.parts or (kind == "events" and "varied" not in path.parts))
    content = before[damaged][0]
    damaged.write_bytes(content[:500] + bytes([content[500] ^ 1]) + content[501:])
    after = process()
    assert {path: one for path, (one, _) in after.items()} == {path: one for path, (one, _) in before.items()}
    assert [path for path in before if "b" in path.parts and after[path] != before[path]] == []
    assert f"{damaged} is damaged and made again" in caplog.text
