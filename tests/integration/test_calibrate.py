"""`cwola calibrate`, and the calibrated numbers of `cwola scan`, through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from analysis.results.documents import check_results
from tests.builders.toy_search import Cwola, ToySearch, make_toy

pytestmark = pytest.mark.thorough

CONFIG = """
[scan]
windows = [[3300, 3700], [3900, 4300]]

[learning]
n_folds = 2
n_members = 1
efficiencies = [0.2]
classifier = {n_estimators = 5, max_depth = 2, min_child_weight = 10}

[background]
functions = ["dijet2", "dijet3"]

[statistics]
pseudo_experiments = 20
calculator = "asymptotics"

[validation]
in_run = []

[plots]
formats = ["png"]
only = ["spectrum_3300-3700*"]
"""


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> ToySearch:
    toy = make_toy(tmp_path_factory.mktemp("calibrate"), [6000])
    toy.config.write_text(CONFIG)
    return toy


@pytest.fixture
def output(cwola: Cwola, search: ToySearch, tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    assert cwola("process", *search.options(folder)).code == 0
    return folder


def selections(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    document = json.loads((folder / "results.json").read_text())
    check_results(document)
    return {
        (f"{window['signal'][0]:g}-{window['signal'][1]:g}", one["name"]): one
        for window in document["windows"]
        for one in window["selections"]
    }


def records(folder: Path) -> dict[str, tuple[bytes, int]]:
    return records_of(folder, "calibration")


def records_of(folder: Path, kind: str) -> dict[str, tuple[bytes, int]]:
    files = sorted((folder / kind).iterdir())
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_a_calibrated_window_shows_its_own_width_and_others_none(cwola: Cwola, search: ToySearch, output: Path) -> None:
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    calibrated = cwola("calibrate", *arguments, "--searches", 25, "--window", "3300-3700")
    assert calibrated.code == 0, calibrated.err
    assert "3300-3700" in calibrated.out
    assert cwola("scan", *arguments).code == 0
    found = selections(output)
    stored = json.loads((output / "calibration.json").read_text())["windows"]
    assert list(stored) == ["3300-3700"]
    coupling, one = stored["3300-3700"]["eff_0.2"]["coupling"], found["3300-3700", "eff_0.2"]
    null = one["null_distribution"]
    assert (coupling["searches"], null["searches"], null["mean"]) == (25, 25, 0.0)
    assert one["calibration"] == "searches"
    assert np.sign(null["width"] - 1) == np.sign(coupling["value"])
    assert one["z_calibrated"] == pytest.approx(one["z"] / null["width"])
    assert one["p0_calibrated"] == pytest.approx(norm.sf(one["z_calibrated"]))
    assert one["z_calibrated_error"] > 0
    assert found["3900-4300", "eff_0.2"]["z_calibrated"] is None
    assert cwola("scan", *arguments).code == 0
    assert selections(output) == found  # of windows that were read from disk
    assert found["3300-3700", "inclusive"]["z_calibrated"] is None


def test_calibration_goes_on_where_it_was_and_does_not_depend_on_the_backend(
    cwola: Cwola, search: ToySearch, output: Path
) -> None:
    arguments = ("--output", output, "--config", search.config, "--window", "3900-4300")
    assert cwola("calibrate", *arguments, "--searches", 20, "--jobs", 1).code == 0
    first = records(output)
    assert cwola("calibrate", *arguments, "--searches", 30, "--jobs", 2).code == 0
    later = records(output)
    assert {name: later[name] for name in first} == first
    assert len(later) == 6
    document = (output / "calibration.json").read_bytes()
    lost = min(output.glob("calibration/*.json"))
    content = lost.read_bytes()
    lost.write_text("damaged")
    assert cwola("calibrate", *arguments, "--searches", 30, "--jobs", 1).code == 0
    assert lost.read_bytes() == content
    assert (output / "calibration.json").read_bytes() == document
    assert cwola("calibrate", *arguments, "--searches", 20, "--jobs", 1).code == 0
    assert (output / "calibration.json").read_bytes() == document  # all records count, not only those asked for
    assert cwola("calibrate", *arguments, "--searches", 20, "--jobs", 1, "--seed", 5).code == 0
    assert len(records(output)) == 10


def test_whole_scans_give_the_global_p_value(
    cwola: Cwola, search: ToySearch, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("analysis.stages.scan.LEAST_SCANS", 30)
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    assert cwola("calibrate", *arguments, "--searches", 30).code == 0
    assert cwola("scan", *arguments).code == 0
    found = json.loads((output / "results.json").read_text())["global"]
    assert found["method"] == "retrained-scans"
    assert found["n_toys"] == 30
    largest = np.array(json.loads((output / "calibration.json").read_text())["largest"])
    shown = [one["z"] if one["z_calibrated"] is None else one["z_calibrated"] for one in selections(output).values()]
    counted = (largest >= max(shown)).mean()
    assert found["p0"] == pytest.approx(counted, abs=0.2)
    assert 1 < found["effective_trials"] < 6


def test_nothing_inside_the_masks_is_read_so_that_a_blinded_search_can_be_calibrated(
    cwola: Cwola, search: ToySearch, output: Path
) -> None:
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    window = ("--window", "3300-3700", "--searches", 20)
    assert cwola("calibrate", *arguments, *window).code == 0
    before = (output / "calibration.json").read_bytes()
    assert cwola("scan", *arguments, "--blind").code == 0
    assert all(one["z_calibrated"] is None for one in selections(output).values())
    assert cwola("scan", *arguments).code == 0
    assert selections(output)["3300-3700", "eff_0.2"]["calibration"] == "searches"
    assert (output / "calibration.json").read_bytes() == before


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (("--window", "3300-3800"), "the scan has no window '3300-3800'. Windows: 3300-3700, 3900-4300."),
        (("--config", "salad"), "method salad needs datasets of kind background"),
        (("--config", "supervised"), "method supervised trains on simulated signal"),
    ],
)
def test_what_cannot_be_calibrated_is_one_error(
    cwola: Cwola, search: ToySearch, output: Path, extra: tuple[str, ...], message: str
) -> None:
    if extra[0] == "--config":
        config = search.configured(extra[1], "")
        config.write_text(config.read_text().replace("[learning]", f'[learning]\nmethod = "{extra[1]}"'))
        extra = ()
    else:
        config = search.config
    outcome = cwola("calibrate", "--output", output, "--config", config, "--jobs", 1, "--searches", 20, *extra)
    assert outcome.code == 1
    assert message in outcome.err
    assert outcome.err.count("\n") == 1


def test_expected_significances_of_signals_follow_a_new_calibration(
    cwola: Cwola, limits: ToySearch, search: ToySearch, tmp_path: Path
) -> None:
    output = tmp_path / "results"
    arguments = ("--output", output, "--config", search.config, "--jobs", 1)
    assert cwola("process", "--datasets", limits.datasets, *arguments).code == 0

    def scanned() -> dict[str, Any]:
        done = cwola("scan", *arguments)
        assert done.code == 0, done.err
        (signal,) = json.loads((output / "results.json").read_text())["signals"]
        return next(one for one in signal["selections"] if one["selection"] == "eff_0.2")

    assert "expected_z_calibrated" not in scanned()
    assert cwola("calibrate", *arguments, "--searches", 25, "--window", "3300-3700").code == 0
    found, width = scanned(), selections(output)["3300-3700", "eff_0.2"]["null_distribution"]["width"]
    assert found["window"] == [3300, 3700]
    assert width != 1
    assert found["expected_z_calibrated"] == pytest.approx(found["expected_z"] / width)


def test_hidden_signals_are_calibrated_like_the_scan(
    cwola: Cwola, limits: ToySearch, search: ToySearch, tmp_path: Path
) -> None:
    output, config = tmp_path / "results", tmp_path / "hidden.toml"
    settings = 'window = "scan"\ndisplay_efficiencies = [0.2, 0.1]\nstrengths = [0.5]\nsamplings = 1\n'
    config.write_text(f"{CONFIG}\n[limits]\n{settings}")
    arguments = ("--output", output, "--config", config, "--jobs", 1)
    assert cwola("process", "--datasets", limits.datasets, *arguments).code == 0

    def hidden() -> tuple[list[dict[str, Any]], str]:
        done = cwola("inject", *arguments)
        assert done.code == 0, done.err
        (found,) = json.loads((output / "limits.json").read_text())["sensitivity"]
        assert found["window"] == [3300, 3700]
        return found["curves"], done.out

    before, text = hidden()
    assert all("calibrated" not in curve for curve in before)
    assert "z of hidden signals is not calibrated with retraining" in " ".join(text.split())
    trained = records_of(output, "injections")
    assert cwola("calibrate", *arguments, "--searches", 25, "--window", "3300-3700").code == 0
    (inclusive, cut, other), text = hidden()
    assert records_of(output, "injections") == trained
    assert cwola("scan", *arguments).code == 0
    check_results(json.loads((output / "results.json").read_text()))
    scanned = selections(output)["3300-3700", "eff_0.2"]
    assert scanned["null_distribution"]["width"] != 1
    assert cut["selection"] == "eff_0.2"
    # without hidden signal, and with the seed of the scan, it is the scan
    assert cut["z_without_signal"] == [pytest.approx(scanned["z"])]
    assert cut["calibrated"]["z_without_signal"] == [pytest.approx(scanned["z_calibrated"])]
    assert cut["calibrated"]["source"] == "searches"
    assert "calibrated" not in inclusive
    assert "calibrated" not in other
    assert "at an efficiency of 10 % is not calibrated" in " ".join(text.split())

    # expected significances of `cwola limit` likewise
    assert cwola("limit", *arguments).code == 0
    (scan,) = json.loads((output / "limits.json").read_text())["injections"]
    expected = {one["selection"]: one for one in scan["candidates"]}
    assert "expected_z_calibrated" not in expected["inclusive"]
    of = expected["eff_0.2"]
    pairs = list(zip(of["expected_z"], of["expected_z_calibrated"], strict=True))
    assert all((nominal is None) == (calibrated is None) for (nominal,), (calibrated,) in pairs)
    assert any(nominal is not None and 0 < calibrated < nominal for (nominal,), (calibrated,) in pairs)
