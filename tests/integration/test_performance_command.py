"""`cwola performance` on a toy search: what it writes is what the library measures, and draws, and refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose

from analysis import cli
from analysis.compute import Serial
from analysis.config import load_config
from analysis.diagnostics.gains import Benchmark, separations
from analysis.errors import ConfigError
from analysis.learning import Samples
from analysis.learning.metrics import sigma_min
from analysis.methods import METHODS, FromContrast
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.results.performance import load_methods, load_performance
from analysis.results.processed_events import load_processed
from analysis.search.window import fold_tasks
from tests.builders.toy_search import FEW_FIGURES, Cwola, ToySearch, signal_event
from tests.builders.toys import write_nanoaod

pytestmark = pytest.mark.thorough

LEARNING = 'n_members = 1\nfeatures = ["mj1_over_mjj", "mj2_over_mjj"]'


@pytest.fixture(scope="module")
def output(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Events of pseudodata with hidden signal, of simulation and of a signal sample; nobody has searched them."""
    folder = tmp_path_factory.mktemp("performance")
    document = json.loads(toy.datasets.read_text())
    document["qcd"]["files"] = {str(toy.folder / "qcd_1.root"): "Events"}
    document["bump"]["files"] = {str(toy.folder / "bump.root"): "Events"}
    normalised = {"format": "nanoaod", "xsec_pb": 0.01, "lumi_ifb": 20.0}
    document["simulated"] = {
        "files": {str(toy.folder / "qcd_2.root"): "Events"},
        "metadata": normalised | {"kind": "background", "pt_hat_min": 1200, "n_generated": 4000},
    }
    rng = np.random.default_rng(5)
    write_nanoaod(folder / "point.root", [signal_event(rng.normal(3500, 80), rng) for _ in range(300)], run=17)
    document["point"] = {
        "files": {str(folder / "point.root"): "Events"},
        "metadata": normalised | {"kind": "signal", "masses": {"A": 3500}, "n_generated": 300},
    }
    (folder / "datasets.json").write_text(json.dumps(document))
    (folder / "search.toml").write_text(
        toy.config.read_text().replace(FEW_FIGURES, "").replace("n_members = 2", LEARNING)
    )
    options = ["--config", str(folder / "search.toml"), "--output", str(folder / "results"), "--jobs", "1"]
    cli.cli.main(["process", "--datasets", str(folder / "datasets.json"), *options], standalone_mode=False)
    return folder / "results"


def settings(output: Path) -> list[object]:
    return ["--config", output.parent / "search.toml", "--output", output, "--jobs", 1]


def read(output: Path) -> dict[str, Any]:
    (scan,) = json.loads((output / "performance.json").read_text())["scans"]
    assert isinstance(scan, dict)
    return scan


def test_numbers_are_those_of_the_library_and_are_drawn(cwola: Cwola, output: Path) -> None:
    done = cwola("performance", *settings(output), "--trainings", 2, "--weights", "0,1")
    assert done.code == 0, done.err
    scan = read(output)
    assert scan["window"]["signal"] == [3300.0, 3700.0]
    assert (scan["signal"], scan["trainings"], scan["method"]) == ("point", 2, "cwola")

    folder, config = ResultsFolder(output), load_config(path=output.parent / "search.toml")
    events = load_processed(folder)
    table, held_out = events.searched(folder).read(), events.read_signal("point", folder)
    regions = RegionScan.from_config(config.scan)
    window = regions.windows[0]
    assert scan["n_held_out"] == window.in_signal(held_out.mjj).sum()
    benchmark = Benchmark(Samples(table, None, ("bump",)), held_out)
    tasks = [fold_tasks(window, regions.edges(window), config, seed)[0] for seed in (0, 1)]
    found = separations(tasks, benchmark, Serial())
    together, *subsets = scan["subsets"]
    assert_allclose(together["auc"], [one.signal.auc for one in found])
    assert_allclose(together["window_sideband_auc"], [one.sculpting.auc for one in found])
    assert_allclose(together["sic"], [[one.signal.sic(eps) for eps in (0.1, 0.03)] for one in found])
    assert together["auc"][0] != together["auc"][1]
    background = int((window.in_signal(table.mjj) & ~table.in_datasets(("bump",))).sum())
    smallest = [sigma_min(one.signal, background, 25 / background) for one in found]
    assert_allclose(together["sigma_min"], smallest)
    assert f"{np.mean(smallest):.2f}" in done.out

    names = ["mj1_over_mjj", "mj2_over_mjj"]
    assert [(one["use"], one["feature"]) for one in subsets] == [
        *(("alone", name) for name in names),
        *(("without", name) for name in names),
    ]
    # Of two features, one alone is all but the other.
    assert subsets[0]["auc"] == subsets[3]["auc"]
    assert subsets[0]["auc"][0] > 0.9
    zero, one = scan["simulation_weight"]
    assert (zero["weight"], one["weight"]) == (0.0, 1.0)
    assert_allclose(zero["auc"], together["auc"], atol=0.05)

    plots = output / "plots"
    assert {path.name for path in plots.iterdir()} == {"lambda_point.png", "subsets_point.png"}
    drawn = {path.name: path.read_bytes() for path in plots.iterdir()}
    shutil.rmtree(plots)
    assert cwola("plot", *settings(output)).code == 0
    assert {path.name: path.read_bytes() for path in plots.iterdir()} == drawn
    assert cwola("plot", *settings(output), "--blind").code == 0
    assert not list(plots.iterdir())


def test_the_best_classifier_of_the_only_signal_has_a_regret_of_one(cwola: Cwola, output: Path) -> None:
    if not (output / "performance.json").exists():
        cwola("performance", *settings(output), "--trainings", 2, "--weights", "0,1")
    scan, found = read(output), json.loads((output / "performance.json").read_text())["regret"]
    gains = (*scan["simulation_weight"], *scan["subsets"])
    means = {one["classifier"]: np.mean(gain["sigma_min"]) for one, gain in zip(found, gains, strict=True)}
    best = min(means.values())
    assert {one["classifier"]: one["worst"] for one in found} == pytest.approx(
        {name: value / best for name, value in means.items()}
    )


def test_one_scan_in_one_window(cwola: Cwola, output: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    copy = tmp_path / "results"
    shutil.copytree(output, copy, ignore=shutil.ignore_patterns("plots", "performance.json"))
    options = ["--config", output.parent / "search.toml", "--output", copy, "--jobs", 1, "--trainings", 1]
    done = cwola("performance", *options, "--scan", "simulation-weight", "--weights", "0.5", "--window", "3900:4300")
    # The signal is not there.
    assert done.code == 1
    assert "no event of point has its dijet mass in 3900-4300 GeV" in done.err
    done = cwola("performance", *options, "--scan", "simulation-weight", "--weights", "0.5", "--window", "3300:3700")
    assert done.code == 0, done.err
    assert "λ = 0.5" in done.out
    assert read(copy)["subsets"] == []
    assert {path.name for path in (copy / "plots").iterdir()} == {"lambda_point.png"}
    folder, config = ResultsFolder(copy), load_config(path=output.parent / "search.toml")
    assert load_performance(folder, config)
    for change in ({"random_state": 5}, {"learning": {"n_folds": 4}}, {"learning": {"method": "supervised"}}):
        other = load_config(path=output.parent / "search.toml", overrides=change)
        assert load_performance(folder, other) == ()
    process = json.loads((copy / "process.json").read_text())
    for file in process["datasets"]["point"]["files"]:
        file["content"] = "changed in place"
    (copy / "process.json").write_text(json.dumps(process))
    assert load_performance(folder, config) == ()  # of other events
    for name, load, command in (("performance", load_performance, "performance"), ("methods", load_methods, "compare")):
        caplog.clear()
        (copy / f"{name}.json").write_text('{"key": ')
        assert load(folder, config) == ()
        assert f"{name}.json is damaged, or of other events" in caplog.text
        assert f"`cwola {command} --output {copy}`" in caplog.text
    shutil.rmtree(copy / "plots")
    done = cwola("plot", *options[:-2])
    assert not (copy / "plots" / "lambda_point.png").exists()
    assert "cwola performance" in (copy / "cwola.log").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--signal", "gone"], "no dataset gone of kind signal to measure with. Signals: point."),
        (["--signal", "bump"], "no dataset bump of kind signal"),
        (["--window", "3000:3400"], "Windows: 3300:3700, 3900:4300."),
        (["--weights", "0,-1"], "expected numbers that are not negative, such as 0,0.5,1, found '0,-1'"),
        (["--weights", "a"], "found 'a'"),
    ],
)
def test_what_is_not_there_is_refused(cwola: Cwola, output: Path, options: list[object], message: str) -> None:
    done = cwola("performance", *settings(output), *options)
    assert done.code != 0
    assert message in " ".join(done.err.split())


def test_without_truth_or_blinded_there_is_nothing_to_measure(
    cwola: Cwola, output: Path, toy: ToySearch, tmp_path: Path
) -> None:
    config = tmp_path / "blind.toml"
    config.write_text((output.parent / "search.toml").read_text() + "\n[statistics]\nblind = true\n")
    done = cwola("performance", "--config", config, "--output", output, "--jobs", 1)
    assert done.code == 1
    assert "statistics.blind is set" in done.err
    document = json.loads((output.parent / "datasets.json").read_text())
    del document["bump"], document["simulated"]
    datasets = tmp_path / "datasets.json"
    for kind, message in (("data", "the searched events are data"), ("pseudodata", "no dataset of kind background")):
        document["qcd"]["metadata"]["kind"] = kind
        datasets.write_text(json.dumps(document))
        options = ["--config", output.parent / "search.toml", "--output", tmp_path / kind, "--jobs", 1]
        assert cwola("process", "--datasets", datasets, *options).code == 0
        done = cwola("performance", *options, "--scan", "simulation-weight")
        assert done.code == 1
        assert message in done.err


def compared(output: Path) -> dict[str, dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((output / "methods.json").read_text())["results"]
    return {one["method"]: one for one in found}


def test_methods_are_compared_on_the_same_events_and_finished_ones_are_kept(
    cwola: Cwola, output: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "results"
    shutil.copytree(output, copy, ignore=shutil.ignore_patterns("plots", "performance.json"))
    options = ["--config", output.parent / "search.toml", "--output", copy, "--jobs", 1]
    done = cwola("compare", *options, "--methods", "cwola,data_vs_simulation")
    assert done.code == 0, done.err
    assert "point in 3300-3700 GeV, one training" in done.out
    first = compared(copy)
    assert list(first) == ["cwola", "data_vs_simulation"]
    folder, config = ResultsFolder(copy), load_config(path=output.parent / "search.toml")
    events = load_processed(folder)
    regions = RegionScan.from_config(config.scan)
    benchmark = Benchmark(Samples(events.searched(folder).read(), None, ("bump",)), events.read_signal("point", folder))
    window = regions.windows[0]
    (exact,) = separations(fold_tasks(window, regions.edges(window), config, 0)[:1], benchmark, Serial())
    (training,) = first["cwola"]["trainings"]
    assert training["auc"] == pytest.approx(exact.signal.auc)
    assert training["sic"] == pytest.approx([exact.signal.sic(0.01), exact.signal.sic(0.002)])
    assert training["z"] is None  # the signal leaves too few events beside the mask for a fit
    assert first["cwola"]["closure"]["source"] == "no signal"
    assert [path.name for path in (copy / "plots").iterdir()] == ["methods_point_3300-3700.png"]

    records = {path: path.stat().st_mtime_ns for path in (copy / "methods").iterdir()}
    done = cwola("compare", *options)
    assert done.code == 0, done.err
    assert list(compared(copy)) == list(METHODS)
    assert all(one["trainings"] for one in compared(copy).values())
    assert compared(copy)["supervised"]["closure"] is None
    assert compared(copy)["cwola"] == first["cwola"]
    assert {path: path.stat().st_mtime_ns for path in records} == records


def test_methods_that_cannot_run_are_left_out_with_the_reason(
    cwola: Cwola, output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NeedsAnExtra(FromContrast):
        name, uses_truth, needs_simulation = "flows", False, False

        def contrast(self, *_: Any, **__: Any) -> Any:
            msg = "method flows needs flowjax: pip install 'cwola[flows]'"
            raise ConfigError(msg)

    monkeypatch.setitem(METHODS, "flows", NeedsAnExtra())
    copy = tmp_path / "results"
    shutil.copytree(output, copy, ignore=shutil.ignore_patterns("plots", "performance.json", "methods*"))
    process = json.loads((copy / "process.json").read_text())
    del process["datasets"]["simulated"]
    (copy / "process.json").write_text(json.dumps(process))
    options = ["--config", output.parent / "search.toml", "--output", copy, "--jobs", 1]
    done = cwola("compare", *options, "--methods", "cwola,salad,flows")
    assert done.code == 0, done.err
    assert "salad is left out: method salad needs datasets of kind background" in done.out
    assert "flows is left out: method flows needs flowjax" in done.out
    assert [name for name, one in compared(copy).items() if one["trainings"]] == ["cwola"]
    done = cwola("compare", *options, "--methods", "salad")
    assert done.code == 1
    assert "no method can run on these inputs. method salad needs" in done.err
    done = cwola("compare", *options, "--methods", "salat")
    assert done.code == 1
    assert "unknown method 'salat'" in done.err
