"""The processor alone in coffea's Runner: the events are those of `cwola process`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from coffea.processor import DaskExecutor, FuturesExecutor, IterativeExecutor, Runner

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.errors import ConfigError, DatasetError, InputFileError, ResultsError
from analysis.events.dataset import Slice
from processors.dijet import DijetProcessor
from processors.runner.run import load_table, process_datasets
from tests.builders import toys
from tests.builders.pages import DOCS
from tests.builders.running import TREES, dataset

CONFIG = SearchConfig(selection={"mjj_min": 300, "jet_mass": "ungroomed"})


@pytest.fixture(scope="module", params=["nanoaod", "delphes"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("sample")
    write = toys.write_delphes if request.param == "delphes" else toys.write_nanoaod
    return request.param, write(folder / "a.root", toys.random_events(900, seed=3))


def run_alone(
    processor: DijetProcessor, executor: Any, path: Path, layout: str, kind: str = "background", **metadata: Any
) -> Any:
    """As the documentation does it."""
    runner = Runner(executor=executor, schema=processor.schema, chunksize=250, metadata_cache={})
    fileset = {"sample": {"files": {str(path): TREES[layout]}, "metadata": {"kind": kind, **metadata}}}
    return runner(fileset, processor, iteritems_options=processor.adapter.iteritems_options)


def assert_as_processed(processor: DijetProcessor, output: Any, path: Path, layout: str, folder: Path) -> None:
    one = dataset(path, layout=layout)
    expected = process_datasets({"sample": one}, CONFIG, folder, Serial())
    assert len(output["sample"]["parts"]) == 4
    table = processor.load(output)
    assert len(table) > 100
    toys.assert_identical(load_table(expected, {"sample": one}, ["sample"]), table)
    assert processor.cutflow(output, "sample") == expected.datasets["sample"].cutflow


def test_the_runner_of_coffea_selects_the_same_events(sample: tuple[str, Path], tmp_path: Path) -> None:
    layout, path = sample
    processor = DijetProcessor.from_config(CONFIG, tmp_path / "parts", format=layout)
    output = run_alone(processor, IterativeExecutor(status=False, retries=0), path, layout)
    assert_as_processed(processor, output, path, layout, tmp_path / "other")


def test_a_folder_may_be_an_address(sample: tuple[str, Path], tmp_path: Path) -> None:
    layout, path = sample
    processor = DijetProcessor.from_config(CONFIG, f"file://{tmp_path}/parts", format=layout)
    run_alone(processor, IterativeExecutor(status=False, retries=0), path, layout)
    assert len(list((tmp_path / "parts" / processor.digest / "sample").glob("*.parquet"))) == 4


def test_the_example_of_the_documentation_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "analysis" / "demo").mkdir(parents=True)
    toys.write_nanoaod(tmp_path / "analysis" / "demo" / "qcd.root", toys.random_events(50, seed=3))
    monkeypatch.chdir(tmp_path)
    example = (DOCS / "coffea.md").read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["processor"].cutflow(names["output"], "qcd")["all"].events == 50


@pytest.mark.thorough
@pytest.mark.parametrize("where", ["futures", "dask"])
def test_workers_select_the_same_events(sample: tuple[str, Path], tmp_path: Path, where: str) -> None:
    layout, path = sample
    processor = DijetProcessor.from_config(CONFIG, tmp_path / "parts", format=layout)
    if where == "futures":
        output = run_alone(processor, FuturesExecutor(workers=2, status=False, retries=0), path, layout)
    else:
        from distributed import Client, LocalCluster

        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster,
            Client(cluster) as client,
        ):
            output = run_alone(processor, DaskExecutor(client=client, status=False, retries=0), path, layout)
    assert_as_processed(processor, output, path, layout, tmp_path / "other")


def test_metadata_of_the_fileset_are_used(tmp_path: Path) -> None:
    path = toys.write_nanoaod(tmp_path / "a.root", toys.random_events(900, seed=3))
    processor = DijetProcessor.from_config(CONFIG, tmp_path / "parts")
    executor = IterativeExecutor(status=False, retries=0)
    whole = processor.load(run_alone(processor, executor, path, "nanoaod"))
    part = Slice("event", (0.0, 300.0)).to_json()
    output = run_alone(processor, executor, path, "nanoaod", slice=part)
    chosen = processor.load(output)
    assert len(chosen) == sum(number < 300 for number in whole.column("event"))
    assert 0 < len(chosen) < len(whole)


# coffea 2026.4 warns of every failure, before it raises.
@pytest.mark.filterwarnings("ignore:Performed attempt")
@pytest.mark.parametrize("kind", ["dat", ""])
def test_a_wrong_kind_is_explained(tmp_path: Path, kind: str) -> None:
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()])
    processor = DijetProcessor.from_config(CONFIG, tmp_path / "parts")
    with pytest.raises(Exception, match="Failed processing file") as caught:
        run_alone(processor, IterativeExecutor(status=False, retries=0), path, "nanoaod", kind=kind)
    assert isinstance(caught.value.__cause__, InputFileError)
    assert "must be one of data, pseudodata, background, signal" in str(caught.value.__cause__)


def test_a_lost_part_is_named(tmp_path: Path) -> None:
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()])
    processor = DijetProcessor.from_config(CONFIG, tmp_path / "parts")
    output = run_alone(processor, IterativeExecutor(status=False, retries=0), path, "nanoaod")
    (part,) = (tmp_path / "parts").rglob("*.parquet")
    part.unlink()
    with pytest.raises(ResultsError, match=part.name):
        processor.cutflow(output, "sample")
    with pytest.raises(ResultsError, match=part.name):
        processor.load(output)


def test_what_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no input format 'miniaod'"):
        DijetProcessor.from_config(CONFIG, tmp_path, format="miniaod")
    with pytest.raises(ConfigError, match="no feature 'nosuch'"):
        DijetProcessor.from_config(SearchConfig(learning={"features": ["nosuch"]}), tmp_path)
