"""A search reads the columns and events that it needs, and gives what it gives with the whole table in memory."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Backend, Serial
from analysis.diagnostics.method_values import MethodResult
from analysis.events.dataset import Dataset
from analysis.events.identity import event_hash
from analysis.events.parts import Part, write_part
from analysis.events.stored import StoredEvents
from analysis.events.table import EventTable
from analysis.export.neutral import export_trees
from analysis.methods import METHODS
from analysis.results import ResultsFolder
from analysis.search.cells import Binning
from analysis.search.scan import run_scan
from analysis.stages.bump3d import bump3d
from analysis.stages.calibrate import calibrate
from analysis.stages.diagnose import diagnose
from analysis.stages.inputs import SearchInputs
from analysis.stages.methods import CompareSettings, compare_methods
from analysis.stages.performance import PerformanceSettings, measure_performance
from analysis.stages.process import process
from analysis.stages.scan import scan
from analysis.stages.validation.two_sample import TwoSampleSettings, compare_templates
from analysis.stages.validation.validate import validate
from analysis.validation import SOURCES
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


def whole(stored: StoredEvents, *_: object) -> EventTable:
    """All events of the region with all columns, whatever is asked for."""
    table = EventTable.from_parts(stored.paths, stored.scales).in_region(stored.region)
    limit = stored.abs_dy_max
    return table if limit is None else table.select(table.column("abs_dy") < limit)


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
    monkeypatch.setattr(StoredEvents, "read", whole)
    inputs = SearchInputs.load(folder)
    assert {"run", "abs_dy"} < set(inputs.fitted.table.table.column_names)
    backend: Backend = request.getfixturevalue(name)
    scan(inputs, backend)
    assert made(folder) == made(finished)


def test_a_scan_does_not_read_the_whole_table(finished: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(finished, folder)
    for one in MADE:
        path = folder / one
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    inputs = SearchInputs.load(folder)
    scan(inputs, Serial())
    columns = set(inputs.fitted.table.table.column_names)
    assert columns == {"event_id", "dataset", "mjj", "weight", *inputs.config.learning.features}


def wide_table(n_events: int, n_signal: int = 0, *, random_state: int) -> EventTable:
    """Events that reach beyond the fit range; a third of them lies in the validation region."""
    table = toy_table(n_events, n_signal, random_state=random_state, fit_range=(2700.0, 8000.0))
    rng = np.random.default_rng(random_state)
    abs_dy = rng.uniform(0.0, 2.1, len(table))
    columns = {
        "event_id": event_hash(random_state, np.arange(len(table))),
        "event": rng.permutation(len(table)),
        "abs_dy": abs_dy,
        "rapidity_region": np.where(abs_dy < 1.2, "search", "validation"),
    }
    return table.replaced(columns)


def split(inputs: SearchInputs, n_parts: int = 3) -> None:
    """Divide the one part of each dataset."""
    record = inputs.folder.path / "process.json"
    document = json.loads(record.read_text())
    for name, dataset in document["datasets"].items():
        (path,) = (Path(str(one)) for one in inputs.events.part_paths(name, inputs.folder))
        part, dataset["parts"] = Part.open(path), []
        table = part.read(part.file.schema_arrow.names)
        for number, rows in enumerate(np.array_split(np.random.default_rng(1).permutation(len(table)), n_parts)):
            dataset["parts"].append(f"{path.stem}_{number}.parquet")
            piece = EventTable(table.take(rows), part.features)
            write_part(path.with_name(dataset["parts"][-1]), piece, part.document["info"])
        path.unlink()
    record.write_text(json.dumps(document))


def inputs_of(path: Path, *, signal: bool = False, **learning: Any) -> SearchInputs:
    """Search of tables of pseudodata and simulation that reach beyond the fit range, in several parts each."""
    tables = {"data": wide_table(24_000, random_state=3), "simulation": wide_table(24_000, random_state=4)}
    kinds = {"data": "pseudodata", "simulation": "background"}
    if signal:
        tables |= {"hidden": wide_table(0, 300, random_state=5), "point": wide_table(0, 300, random_state=6)}
        kinds |= {"hidden": "pseudodata", "point": "signal"}
    rates: dict[str, Any] = {"xsec_pb": 1.0, "lumi_ifb": 1.0, "n_generated": 6000}
    masses = dict.fromkeys(("hidden", "point"), (("A", 3500.0),))
    datasets = {
        name: Dataset(name, kind, "table", (), masses=masses.get(name, ()), **rates)  # type: ignore[arg-type]
        for name, kind in kinds.items()
    }
    folder = ResultsFolder(path, create=True)
    config = toy_config(
        scan=TWO_WINDOWS,
        learning={"n_folds": 2, "classifier": {"n_estimators": 10, "max_depth": 3}} | learning,
        validation={"draws": 2},
        statistics={"pseudo_experiments": 100, "calculator": "asymptotics"},
    )
    process(datasets, config, folder, Serial(), tables=tables)
    split(SearchInputs.load(folder))
    return SearchInputs.load(folder)


def methods_without_times(inputs: SearchInputs) -> list[MethodResult]:
    settings = CompareSettings(("cwola", "salad", "supervised", "pca"))
    return [
        replace(one, trainings=tuple(replace(training, cpu_seconds=0.0) for training in one.trainings))
        for one in compare_methods(inputs, Serial(), settings)
    ]


STAGES: dict[str, Callable[[SearchInputs], object]] = {
    "validate": lambda inputs: validate(inputs, Serial()),
    "two-sample": lambda inputs: compare_templates(
        inputs, Serial(), TwoSampleSettings(permutations=9, trainings=0), sources=[one.name for one in SOURCES]
    ),
    "calibrate": lambda inputs: calibrate(inputs, Serial(), searches=1),
    "bump3d": lambda inputs: bump3d(inputs, [Binning("x0", 2), Binning("x1", (-1.0, 0.0, 1.0))], Serial()),
    "compare": methods_without_times,
    "performance": lambda inputs: measure_performance(inputs, Serial(), PerformanceSettings(trainings=1)),
    "scan": lambda inputs: scan(inputs, Serial()).document,
    "diagnose": lambda inputs: diagnose(inputs, Serial()),
    "trees": lambda inputs: export_trees(inputs.folder, inputs.folder.path / "trees", onnx=False),
}
"""What a stage gives, in an order in which each finds what it needs."""


@pytest.mark.parametrize("method", ["cwola", pytest.param("salad", marks=pytest.mark.thorough)])
def test_stages_give_what_they_give_with_whole_tables(
    tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tested against whole tables, with all columns: none of the events and columns that were left out matters."""
    needed = inputs_of(tmp_path / "needed", signal=True, method=method)
    read: list[StoredEvents] = []
    reader = StoredEvents.read
    with monkeypatch.context() as patch:
        patch.setattr(
            StoredEvents, "read", lambda stored, *wanted: read.append((stored, *wanted)) or reader(stored, *wanted)
        )
        found = {name: make(needed) for name, make in STAGES.items()}
    low, high = needed.config.scan.fit_range
    assert {masses for _, masses, *_ in read} == {(low, high)}
    assert {features for *_, features in read} == {("x0", "x1")}
    everything = inputs_of(tmp_path / "everything", signal=True, method=method)
    monkeypatch.setattr(StoredEvents, "read", whole)
    table = everything.fitted.table
    assert table.mjj.min() < low < high < table.mjj.max()
    for name, make in STAGES.items():
        assert make(everything) == found[name], name
    names = {str(path.relative_to(needed.folder.path)) for path in needed.folder.path.rglob("*.[jc]s*")}
    assert {"diagnostics.json", "validation.json", "two_sample.json", "calibration.json", "bump3d.json"} < names
    for name in {one for one in names if not one.startswith(("methods", "manifest"))}:  # which hold times
        assert (needed.folder.path / name).read_bytes() == (everything.folder.path / name).read_bytes(), name


@pytest.mark.parametrize("method", ["cwola", "salad"])
def test_windows_are_those_of_the_whole_table(tmp_path: Path, method: str) -> None:
    inputs = inputs_of(tmp_path / "results", method=method)
    low, high = inputs.config.scan.fit_range
    mjj = inputs.fitted.table.mjj
    assert low <= mjj.min() < mjj.max() < high
    read, samples = inputs.fitted, [inputs.stored, inputs.stored_background]
    everything = replace(read, table=whole(samples[0]), simulation=read.simulation and whole(samples[1]))
    assert len(mjj) < len(everything.table)
    assert (inputs.fitted.simulation is not None) == (method == "salad")
    expected, needed = (dict(run_scan(data, inputs.regions, inputs.config, Serial())) for data in (everything, read))
    assert list(expected) == list(needed)
    for key, result in needed.items():
        other = expected[key]
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
    names = whole(inputs.stored).table.column_names
    assert inputs.fitted.table.table.column_names == ["event_id", "dataset", "mjj", "weight", "x0"]
    monkeypatch.setitem(METHODS.givers, "cwola", "my_methods")
    assert SearchInputs.load(inputs.folder).fitted.table.table.column_names == names
