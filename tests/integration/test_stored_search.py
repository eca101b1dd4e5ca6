"""A search reads the columns and events that it needs, and gives what it gives with the whole table in memory."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Backend, Serial
from analysis.events.dataset import Dataset
from analysis.methods import METHODS
from analysis.results import ResultsFolder
from analysis.search.scan import run_scan
from analysis.stages.inputs import SearchInputs
from analysis.stages.process import process
from analysis.stages.scan import scan
from tests.builders.toy_tables import toy_config, toy_table

MADE = ("windows", "results.json", "drift.json", "global.json")
TWO_WINDOWS = {"windows": ((3300.0, 3700.0), (3900.0, 4300.0)), "fit_range": (3000.0, 6500.0)}

every_backend = pytest.mark.parametrize(
    "name",
    [
        "serial",
        pytest.param("two_processes", marks=pytest.mark.thorough),
        pytest.param("two_dask_workers", marks=pytest.mark.thorough),
    ],
)


def made(folder: Path) -> dict[str, bytes]:
    arrays = sorted((folder / "windows").rglob("*.npz"))
    assert arrays
    documents = {name: (folder / name).read_bytes() for name in ("results.json", "drift.json")}
    return documents | {str(path.relative_to(folder)): np.load(path)[path.stem].tobytes() for path in arrays}


@every_backend
def test_results_are_those_of_the_whole_table(
    name: str, finished: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "results"
    shutil.copytree(finished, folder)
    for one in MADE:
        path = folder / one
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setattr(SearchInputs, "fitted", SearchInputs.data)
    inputs = SearchInputs.load(folder)
    assert {"run", "abs_dy"} < set(inputs.fitted.table.table.column_names)
    backend: Backend = request.getfixturevalue(name)
    scan(inputs, backend)
    assert made(folder) == made(finished)


def test_a_scan_does_not_read_the_whole_table(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "results"
    shutil.copytree(finished, folder)
    for one in MADE:
        path = folder / one
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    monkeypatch.setattr(SearchInputs, "read", lambda *_, **__: pytest.fail("all events were read"))
    inputs = SearchInputs.load(folder)
    scan(inputs, Serial())
    columns = set(inputs.fitted.table.table.column_names)
    assert columns == {"event_id", "dataset", "mjj", "weight", *inputs.config.learning.features}


def inputs_of(path: Path, **learning: Any) -> SearchInputs:
    """Search of tables of pseudodata and simulation that reach beyond the fit range."""
    tables = {
        "data": toy_table(6000, random_state=3, fit_range=(2000.0, 8000.0)),
        "simulation": toy_table(6000, random_state=4, fit_range=(2000.0, 8000.0)),
    }
    kinds = {"data": "pseudodata", "simulation": "background"}
    datasets = {
        name: Dataset(name, kind, "table", (), xsec_pb=1.0, lumi_ifb=1.0, n_generated=6000)  # type: ignore[arg-type]
        for name, kind in kinds.items()
    }
    folder = ResultsFolder(path, create=True)
    process(datasets, toy_config(scan=TWO_WINDOWS, learning=learning), folder, Serial(), tables=tables)
    return SearchInputs.load(folder)


@pytest.mark.parametrize("method", ["cwola", "salad"])
def test_windows_are_those_of_the_whole_table(tmp_path: Path, method: str) -> None:
    inputs = inputs_of(tmp_path / "results", method=method)
    low, high = inputs.config.scan.fit_range
    mjj = inputs.fitted.table.mjj
    assert low <= mjj.min() < mjj.max() < high
    assert len(mjj) < len(inputs.data.table)
    assert (inputs.fitted.simulation is not None) == (method == "salad")
    whole, needed = (
        dict(run_scan(data, inputs.regions, inputs.config, Serial())) for data in (inputs.data, inputs.fitted)
    )
    assert list(whole) == list(needed)
    for key, result in needed.items():
        other = whole[key]
        assert result.passes is not None
        assert len(result.passes) == len(mjj)
        np.testing.assert_array_equal(result.passes, other.passes)
        assert result.scores is not None
        assert other.scores is not None
        np.testing.assert_array_equal(result.scores, other.scores)
        assert result.models == other.models
        assert [one.background for one in result.selections] == [one.background for one in other.selections]
        assert [one.discovery for one in result.selections] == [one.discovery for one in other.selections]


def test_what_a_method_of_a_plugin_may_use_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = inputs_of(tmp_path / "results", features=("x0",))
    names = inputs.data.table.table.column_names
    assert inputs.fitted.table.table.column_names == ["event_id", "dataset", "mjj", "weight", "x0"]
    monkeypatch.setitem(METHODS.givers, "cwola", "my_methods")
    assert SearchInputs.load(inputs.folder).fitted.table.table.column_names == names
