"""The reader of the selected events, the pointer to them, and folders of the past."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.dataset
import pytest

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.errors import ConfigError, ResultsError, TableError
from analysis.events.dataset import Dataset
from analysis.results import ResultsFolder, load_events
from analysis.stages.process import process
from processors.features import FEATURES, Feature
from tests.builders.toys import assert_identical, dijet, jet, write_nanoaod

EVENTS = [dijet(jet(800.0 + n), jet(790.0, phi=3.0)) for n in range(30)]


@pytest.fixture
def datasets(tmp_path) -> dict[str, Dataset]:
    """Two samples of 30 events, one with a cross-section."""
    found = {}
    for number, name in enumerate(("first", "second"), 1):
        path = write_nanoaod(tmp_path / f"{name}.root", EVENTS, run=number)
        weights = {"xsec_pb": 2.0, "lumi_ifb": 3.0, "n_generated": 60} if name == "second" else {}
        found[name] = Dataset(name, "background", "nanoaod", ((str(path), "Events"),), **weights)
    return found


@pytest.fixture
def folder(tmp_path) -> ResultsFolder:
    return ResultsFolder(tmp_path / "results", create=True)


def select(datasets, folder, **selection) -> Path:
    """Process, and return the folder that the pointer names."""
    process(datasets, SearchConfig(selection=selection), folder, Serial())
    return folder.path / json.loads((folder.path / "events.json").read_text())["folder"]


def test_all_events_are_read_once_and_normalised(datasets, folder):
    select(datasets, folder, pt_min=300)
    current = select(datasets, folder)
    table = load_events(folder)
    assert len(pd.read_parquet(current)) == len(table) == 60
    assert set(table.column("dataset")) == {"first", "second"}
    weights = {name: set(table.weight[table.column("dataset") == name]) for name in ("first", "second")}
    assert weights["first"] == {1.0}
    # 2 pb times 3 / fb over 60 generated events
    assert [*weights["second"]] == [pytest.approx(2.0 * 3000.0 / 60)]
    for other in (folder.path, str(folder.path)):
        assert_identical(load_events(other), table)
    assert set(load_events(folder, ["second"]).column("dataset")) == {"second"}


READERS = {
    "pandas": pd.read_parquet,
    "polars": lambda path: pl.read_parquet(path / "**/*.parquet").to_pandas(),
    "polars, lazy": lambda path: pl.scan_parquet(path).collect().to_pandas(),
    "awkward": lambda path: ak.to_dataframe(ak.from_parquet(str(path))),
    "pyarrow": lambda path: pyarrow.dataset.dataset(path).to_table().to_pandas(),
}


@pytest.mark.parametrize("reader", READERS)
def test_other_programs_read_the_current_folder_as_one_table(reader, datasets, folder):
    select(datasets, folder, pt_min=300)
    path = select(datasets, folder)
    table = load_events(folder)
    frame = READERS[reader](path).sort_values(["dataset", "event_id"])
    assert len(frame) == len(table)
    assert frame["dataset"].astype(str).tolist() == table.column("dataset").tolist()
    for name in ("event_id", "mjj"):
        np.testing.assert_array_equal(frame[name].to_numpy(), table.column(name))


def test_the_pointer_names_the_files(datasets, folder):
    current = select(datasets, folder)
    files = json.loads((folder.path / "events.json").read_text())["files"]
    assert sorted(current / name for name in files) == sorted(path for path in current.rglob("*") if path.is_file())
    assert {name.partition("/")[0] for name in files} == {"first", "second"}
    assert "load_events" in (folder.parts / "README.txt").read_text()


def test_what_cannot_be_read_is_named(datasets, folder):
    with pytest.raises(ResultsError, match="stage `process` has not run"):
        load_events(folder)
    current = select(datasets, folder)
    with pytest.raises(ConfigError, match=r"no dataset 'third'. Datasets: first, second"):
        load_events(folder, ["third"])
    with pytest.raises(TableError, match="name at least one dataset"):
        load_events(folder, [])
    path = next(current.glob("second/*"))
    path.unlink()
    with pytest.raises(ResultsError, match=rf"{path.name} of selected events"):
        load_events(folder)


def test_the_folder_holds_only_what_the_last_processing_used(datasets, folder):
    current = select(datasets, folder)
    stamps = {path.name: path.stat().st_mtime_ns for path in current.rglob("*.parquet")}
    assert select({"first": datasets["first"]}, folder) == current
    assert set(pd.read_parquet(current)["dataset"]) == {"first"}
    assert select(datasets, folder) == current
    assert {path.name: path.stat().st_mtime_ns for path in current.rglob("*.parquet")} == stamps


def test_the_pointer_is_gone_while_events_are_selected(datasets, folder, tmp_path):
    select(datasets, folder)
    (tmp_path / "first.root").write_bytes(b"damaged")
    with pytest.raises(Exception, match=r"first\.root"):
        select(datasets, folder)
    assert not (folder.path / "events.json").exists()


def parts_of(folder: ResultsFolder) -> set[str]:
    return {path.name for path in folder.parts.iterdir() if path.is_dir()}


def test_parts_of_other_settings_stay_and_those_of_other_code_go(datasets, folder, monkeypatch):
    loose, tight = select(datasets, folder), select(datasets, folder, mjj_min=1500)
    assert parts_of(folder) == {loose.name, tight.name}
    feature = FEATURES["mj1"]
    monkeypatch.setitem(FEATURES, "mj1", Feature(feature.spec, lambda dijets: feature.compute(dijets) + 1.0))
    before = load_events(folder).column("mj1")
    changed = select(datasets, folder, mjj_min=1500)
    assert parts_of(folder) == {loose.name, changed.name}
    np.testing.assert_allclose(load_events(folder).column("mj1"), before + 1.0)


def test_parts_in_an_earlier_form_go_and_other_folders_stay(datasets, folder):
    for name in ("0123456789abcdef/dataset=first/a.parquet", "mine/b.parquet", "fedcba9876543210.txt"):
        (folder.parts / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.parts / name).write_bytes(b"")
    current = select(datasets, folder)
    assert sorted(path.name for path in folder.parts.iterdir()) == sorted(
        [current.name, "mine", "fedcba9876543210.txt", "README.txt"]
    )


def test_folders_elsewhere_are_shared_and_left_as_they_are(datasets, folder, tmp_path):
    shared = tmp_path / "shared"
    (shared / "0123456789abcdef").mkdir(parents=True)
    process(datasets, SearchConfig(), folder, Serial(), parts=shared)
    process({"first": datasets["first"]}, SearchConfig(), folder, Serial(), parts=shared)
    pointer = json.loads((folder.path / "events.json").read_text())
    assert len(pointer["files"]) == 1
    assert len(pd.concat(pd.read_parquet(Path(pointer["folder"]) / name) for name in pointer["files"])) == 30
    assert len(list(shared.rglob("*.parquet"))) == 2
    assert (shared / "0123456789abcdef").is_dir()
