"""Results that something has changed under: input files, a method of a plugin, corrections, signal samples."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from fsspec.implementations.memory import MemoryFileSystem

from processors.opening import open_root
from processors.runner.content import content_digest
from tests.builders.pages import printed_files
from tests.builders.toy_search import Cwola, ToySearch, signal_event
from tests.builders.toys import write_nanoaod

METHOD = printed_files("plugins.md")["my_method.py"]

SETTINGS = """
[validation]
sources = ["simulation"]
in_run = []
draws = 1
"""


@pytest.fixture
def search(limits: ToySearch, tmp_path: Path) -> ToySearch:
    """The toy search with a signal sample, in a folder of its own, for one window and few trainings."""
    folder = tmp_path / "search"
    folder.mkdir()
    document = json.loads(limits.datasets.read_text())
    (first, _), second = next(iter(document["qcd"]["files"].items())), folder / "simulation.root"
    qcd = Path(first).parent
    shutil.copy(qcd / "qcd_1.root", folder / "qcd.root")
    shutil.copy(qcd / "qcd_2.root", second)
    shutil.copy(next(iter(document["point"]["files"])), folder / "point.root")
    document["qcd"]["files"] = {"qcd.root": "Events"}
    document["point"]["files"] = {"point.root": "Events"}
    simulation = {"kind": "background", "format": "nanoaod", "pt_hat_min": 1200}
    document["simulation"] = {"files": {"simulation.root": "Events"}, "metadata": simulation}
    (folder / "datasets.json").write_text(json.dumps(document))
    text = limits.config.read_text().replace("n_members = 2", "n_members = 1").replace(", [3900, 4300]", "")
    (folder / "search.toml").write_text(text.replace("samplings = 2", "samplings = 1"))
    return ToySearch(folder)


def results(output: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((output / "results.json").read_text())
    return document


def naive(output: Path) -> list[Any]:
    """Observed and expected limits of the cuts on classifiers that saw no injected signal, and their efficiencies."""
    (injections,) = json.loads((output / "limits.json").read_text())["injections"]
    cuts = [one for one in injections["candidates"] if one["selection"] != "inclusive"]
    return [one[key][0] for one in cuts for key in ("observed", "expected", "efficiency")]


def searched(cwola: Cwola, search: ToySearch, output: Path) -> list[object]:
    """Process, scan and set limits; the options for more."""
    where = ["--config", search.config, "--output", output, "--jobs", 1]
    for command in (["process", "--datasets", search.datasets], ["scan"], ["limit"]):
        done = cwola(*command, *where)
        assert done.code == 0, done.err
    assert results(output)["limits"]
    assert "left out" not in cwola("scan", *where).out
    assert results(output)["limits"]
    return where


def stale(cwola: Cwola, output: Path, where: list[object]) -> None:
    """A scan leaves the limits out, and names the remedy."""
    done = cwola("scan", *where)
    assert done.code == 0, done.err
    assert "limits" not in results(output)
    said = " ".join(done.out.split())
    assert "`cwola limit` found for point" in said
    assert "cwola limit --output" in said
    assert "left out of results.json" in (output / "cwola.log").read_text()


@pytest.mark.thorough
def test_limits_of_a_plugin_that_changed_are_left_out(
    forgotten_plugins: None, cwola: Cwola, search: ToySearch, tmp_path: Path
) -> None:
    plugin, output = search.folder / "my_method.py", tmp_path / "results"
    plugin.write_text(METHOD)
    text = search.config.read_text().replace("[learning]", '[learning]\nmethod = "upper_sideband"')
    search.config.write_text('plugins = ["my_method.py"]\n' + text)
    where = searched(cwola, search, output)
    before = naive(output)
    plugin.write_text(METHOD.replace('"upper sideband"', '"lower sideband"'))
    stale(cwola, output, where)
    assert cwola("limit", *where).code == 0
    assert results(output)["limits"]
    assert naive(output) != before


def test_limits_of_another_correction_are_left_out(cwola: Cwola, search: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    text = search.config.read_text().replace("[statistics]", '[statistics]\nnon_closure = "correct"')
    search.config.write_text(text.replace("[limits]", '[limits]\nwindow = "scan"') + SETTINGS)
    where = ["--config", search.config, "--output", output, "--jobs", 1]
    assert cwola("process", "--datasets", search.datasets, *where).code == 0
    assert cwola("validate", *where).code == 0
    searched(cwola, search, output)
    (record,) = (output / "validation").glob("*_simulation_0.json")
    document = json.loads(record.read_text())
    for one in document["selections"]:
        one["n"] *= 1.2
    record.write_text(json.dumps(document))
    before = [one["non_closure"] for one in results(output)["windows"][0]["selections"]]
    stale(cwola, output, where)
    assert [one["non_closure"] for one in results(output)["windows"][0]["selections"]] != before


def test_limits_on_a_signal_sample_that_was_changed_in_place_are_left_out(
    cwola: Cwola, search: ToySearch, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    where = searched(cwola, search, output)
    before = mean_mass(output, "point")
    rewrite(search.folder / "point.root", 17)
    assert cwola("process", "--datasets", search.datasets, *where).code == 0
    assert mean_mass(output, "point") < before
    stale(cwola, output, where)


def mean_mass(output: Path, name: str) -> float:
    parts = sorted(output.glob(f"parts/*/{name}/*.parquet"))
    return float(np.concatenate([pq.ParquetFile(part).read()["mjj"].to_numpy() for part in parts]).mean())


def rewrite(path: Path, run: int) -> None:
    """Replace the events of a file by others of lower mass, as many, under the same UUID."""
    with uproot.open(path) as file:
        uuid, n_events = file.file.uuid, file["Events"].num_entries
    rng = np.random.default_rng(11)
    write_nanoaod(path, [signal_event(rng.normal(3400, 80), rng) for _ in range(n_events)], run=run)
    with uproot.open(path) as file:
        other = file.file.uuid
    path.write_bytes(path.read_bytes().replace(other.bytes, uuid.bytes))
    with uproot.open(path) as file:
        assert (file.file.uuid, file["Events"].num_entries) == (uuid, n_events)


@pytest.mark.parametrize(("name", "run"), [("point", 17), ("simulation", 2), ("qcd", 1)])
def test_a_file_that_was_changed_in_place_is_read_again(
    cwola: Cwola, search: ToySearch, tmp_path: Path, name: str, run: int
) -> None:
    output, fresh = tmp_path / "results", tmp_path / "fresh"
    options = ["process", "--datasets", search.datasets, "--config", search.config, "--jobs", 1]
    assert cwola(*options, "--output", output).code == 0
    before = mean_mass(output, name)
    others = {
        path: path.stat().st_mtime_ns for path in output.glob("parts/*/*/*.parquet") if name not in str(path.parent)
    }
    rewrite(search.folder / f"{name}.root", run)
    for folder in (output, fresh):
        assert cwola(*options, "--output", folder).code == 0
    assert mean_mass(output, name) == mean_mass(fresh, name) != before
    assert {path: path.stat().st_mtime_ns for path in others} == others


def test_a_file_that_was_copied_is_not_read_again(cwola: Cwola, search: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    options = ["process", "--datasets", search.datasets, "--config", search.config, "--jobs", 1, "--output", output]
    assert cwola(*options).code == 0
    before = {path: path.stat().st_mtime_ns for path in output.glob("parts/*/*/*.parquet")}
    document = json.loads(search.datasets.read_text())
    shutil.copyfile(search.folder / "qcd.root", search.folder / "moved.root")
    (search.folder / "qcd.root").unlink()
    document["qcd"]["files"] = {"moved.root": "Events"}
    search.datasets.write_text(json.dumps(document))
    assert cwola(*options).code == 0
    assert {path: path.stat().st_mtime_ns for path in output.glob("parts/*/*/*.parquet")} == before


def test_scoring_reads_a_file_that_was_changed_in_place(cwola: Cwola, search: ToySearch, tmp_path: Path) -> None:
    output, scored = tmp_path / "results", tmp_path / "scored.csv"
    where = ["--config", search.config, "--output", output, "--jobs", 1]
    assert cwola("process", "--datasets", search.datasets, "--exclude", "point", *where).code == 0
    assert cwola("scan", *where).code == 0
    found = []
    for change in (lambda: None, lambda: rewrite(search.folder / "point.root", 17)):
        change()
        done = cwola("score", search.folder / "point.root", "--models", output, "--output", scored, "--jobs", 1)
        assert done.code == 0, done.err
        found.append(scored.read_text())
    assert found[0] != found[1]


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_the_content_of_a_large_file_is_sampled_everywhere_and_the_same_at_any_address(
    tmp_path: Path, memory: MemoryFileSystem, share: float
) -> None:
    path = large(tmp_path / "large.root")
    before = file_content(str(path))
    memory.pipe("/copy.root", path.read_bytes())
    assert file_content("memory://copy.root") == before
    content = bytearray(path.read_bytes())
    start = int(share * len(content))
    content[start : start + 80_000] = bytes(80_000)
    changed = tmp_path / "changed.root"
    changed.write_bytes(bytes(content))
    assert file_content(str(changed)) != before


def file_content(address: str) -> str:
    with open_root(address) as file:
        return content_digest(file.file.source)


def large(path: Path) -> Path:
    with uproot.recreate(path, compression=None) as file:
        file["Events"] = {"x": np.random.default_rng(1).normal(size=150_000)}
    return path
