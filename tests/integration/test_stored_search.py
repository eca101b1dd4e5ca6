"""A search whose events are read from disk window by window gives what it gives with all of them in memory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Backend, Serial
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.methods import METHODS
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.search.scan import run_scan
from analysis.stages import searched
from analysis.stages.inputs import SearchInputs
from analysis.stages.process import process
from analysis.stages.scan import scan
from tests.builders.toy_tables import toy_config, toy_table

MADE = ("windows", "results.json", "drift.json", "global.json")
SLIDING = {"windows": ((3300.0, 3700.0), (3900.0, 4300.0)), "fit_range": (3000.0, 6500.0)}


def start_again(folder: Path, target: Path) -> Path:
    """Copy a results folder without anything that is made of its events."""
    shutil.copytree(folder, target)
    for name in MADE:
        path = target / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return target


@pytest.fixture
def window_by_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the events of few windows at a time, and never all of them."""

    def refuse(*_: Any, **__: Any) -> EventTable:
        pytest.fail("all events were read")

    monkeypatch.setattr(searched, "AT_ONCE", 0)
    monkeypatch.setattr(SearchInputs, "read", refuse)


def made(folder: Path) -> dict[str, bytes]:
    arrays = sorted((folder / "windows").rglob("*.npz"))
    assert arrays
    return {
        path.name: (folder / path.name).read_bytes() for path in (folder / "results.json", folder / "drift.json")
    } | {str(path.relative_to(folder)): np.load(path)[path.stem].tobytes() for path in arrays}


@pytest.mark.usefixtures("window_by_window")
@pytest.mark.parametrize(
    "name",
    [
        "serial",
        pytest.param("two_processes", marks=pytest.mark.thorough),
        pytest.param("two_dask_workers", marks=pytest.mark.thorough),
    ],
)
def test_results_are_those_of_events_in_memory(
    name: str, finished: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = start_again(finished, tmp_path / "results")
    backend: Backend = request.getfixturevalue(name)
    scan(SearchInputs.load(folder), backend)
    assert made(folder) == made(finished)


def folder_of(path: Path, **learning: Any) -> ResultsFolder:
    """Results folder with tables of pseudodata and simulation that reach beyond the fit ranges."""
    tables = {
        "data": toy_table(6000, random_state=3, fit_range=(2000.0, 8000.0)),
        "simulation": toy_table(6000, random_state=4, fit_range=(2000.0, 8000.0)),
    }
    kinds = {"data": "pseudodata", "simulation": "background"}
    datasets = {
        name: Dataset(name, kind, "table", (), xsec_pb=1.0, lumi_ifb=1.0, n_generated=6000)  # type: ignore[arg-type]
        for name, kind in kinds.items()
    }
    config = toy_config(scan=SLIDING, learning=learning, statistics={"pseudo_experiments": 0})
    folder = ResultsFolder(path, create=True)
    process(datasets, config, folder, Serial(), tables=tables)
    return folder


@pytest.mark.parametrize("method", ["cwola", "salad"])
def test_windows_are_those_of_a_table_in_memory(tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = SearchInputs.load(folder_of(tmp_path / "results", method=method))
    regions: RegionScan = inputs.regions
    in_memory = dict(run_scan(inputs.data, regions, inputs.config, Serial()))
    monkeypatch.setattr(searched, "AT_ONCE", 0)
    stored = searched.StoredSearch.of(inputs, simulation=inputs.needs_simulation)
    read = [stored.covering([window]) for window in regions.windows]
    low, high = regions.windows[0].fit_range
    assert all(len(one.table) < len(inputs.data.table) for one in read)
    assert all(low <= one.table.mjj.min() and one.table.mjj.max() < high for one in read)
    on_disk = dict(run_scan(stored, regions, inputs.config, Serial()))
    assert list(on_disk) == list(in_memory)
    for key, result in on_disk.items():
        other = in_memory[key]
        assert result.passes is not None
        assert result.scores is not None
        np.testing.assert_array_equal(result.passes, other.passes)
        np.testing.assert_array_equal(result.scores, other.scores)
        assert result.models == other.models
        assert [one.background for one in result.selections] == [one.background for one in other.selections]
        assert [one.discovery for one in result.selections] == [one.discovery for one in other.selections]


def test_what_a_method_of_a_plugin_may_use_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = SearchInputs.load(folder_of(tmp_path / "results", features=("x0",)))
    stored = searched.StoredSearch.of(inputs, simulation=False)
    names = inputs.data.table.table.column_names
    built_in = stored.covering(inputs.regions.windows).table.table.column_names
    assert len(built_in) == 5 < len(names)
    monkeypatch.setitem(METHODS.givers, "cwola", "my_methods")
    stored = searched.StoredSearch.of(inputs, simulation=False)
    assert stored.covering(inputs.regions.windows).table.table.column_names == names
    assert stored.covering(inputs.regions.windows) is stored.covering(inputs.regions.windows[:1])
    assert json.loads((tmp_path / "results" / "process.json").read_text())["datasets"]["data"]["parts"]
