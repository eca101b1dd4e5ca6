"""Signal samples with systematics through the command line, recomputed with plain Python, xgboost and pyhf."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyhf
import pytest
import uproot
import xgboost as xgb

from analysis import cli
from analysis.cli.tables.signals import signal_table
from analysis.config import load_config
from analysis.core.documents import from_json, to_json
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.histograms.spectra import selection_counts
from analysis.results import ResultsFolder
from analysis.results.documents import check_results
from analysis.search.classifiers import load_classifiers
from analysis.search.non_closure import NonClosure
from analysis.search.null_distribution import NullDistribution
from analysis.search.values import SelectionResult
from analysis.signals.points import PointTask, evaluate_point
from analysis.signals.values import SignalResult
from analysis.signals.yields import SignalSample
from tests.builders import plain
from tests.builders.closed_forms import quadrature, signed_z
from tests.builders.toy_search import Cwola, ToySearch
from tests.builders.toys import jet, write_nanoaod

pytestmark = pytest.mark.thorough

WINDOW, SELECTION = "3300-3700", "eff_0.1"
XSEC, LUMI = 0.02, 30.0

CONFIG = """
[scan]
windows = [[3300, 3700]]

[learning]
n_folds = 2
n_members = 2
efficiencies = [0.1]
classifier = {n_estimators = 20, max_depth = 3, min_child_weight = 10}

[background]
functions = ["dijet3"]

[statistics]
pseudo_experiments = 0
calculator = "asymptotics"
"""

SYSTEMATICS = """
[[systematics]]
name = "jms"
kind = "jet-mass-scale"
value = 0.1
datasets = ["point"]

[[systematics]]
name = "jer"
kind = "jet-energy-resolution"
value = 0.03

[[systematics]]
name = "scale"
kind = "generator-weights"
branch = "LHEScaleWeight"
members = [0, 1, 2]
combine = "envelope"
datasets = ["point"]

[[systematics]]
name = "btag"
kind = "event-weight"
up = "btagUp"
down = "btagDown"
datasets = ["point"]

[[systematics]]
name = "luminosity"
kind = "luminosity"
value = 0.017

[[systematics]]
name = "branching"
kind = "rate"
value = 0.05
datasets = ["copy"]
"""

Jet = dict[str, float]


@pytest.fixture(scope="module")
def search(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a signal point, another that is searched as well, and the toy background."""
    folder = tmp_path_factory.mktemp("signals")
    rng = np.random.default_rng(21)
    events = []
    for _ in range(500):
        pt, masses, tau21 = rng.normal(1720, 120), rng.normal([400, 150], 40), rng.uniform(0.1, 0.6, 2)
        events.append(
            [
                jet(pt, eta=0.1, phi=0.0, mass=masses[0], tau1=0.5, tau2=0.5 * tau21[0], tau3=0.1),
                jet(pt, eta=-0.1, phi=np.pi, mass=masses[1], tau1=0.5, tau2=0.5 * tau21[1], tau3=0.1),
            ]
        )
    weights = rng.choice([1.6, 1.6, 1.6, -0.8], 500)
    extra = {
        "LHEScaleWeight": ak.from_regular(ak.Array(rng.uniform(0.7, 1.3, (500, 3)).astype(np.float32))),
        "btagUp": rng.uniform(1.0, 1.2, 500).astype(np.float32),
        "btagDown": rng.uniform(0.9, 1.0, 500).astype(np.float32),
    }
    sums = [float(np.float32(weights).astype(float).sum())]
    write_nanoaod(folder / "point.root", events, run=8, gen_weight=weights, generator_sums=sums, extra=extra)
    document = json.loads(toy.datasets.read_text())
    document["qcd"]["files"] = {str(toy.folder / "qcd_*.root"): "Events"}
    document["bump"]["files"] = {str(toy.folder / "bump.root"): "Events"}
    common = {"kind": "signal", "format": "nanoaod", "masses": {"A": 3500}}
    document["point"] = {
        "files": {"point.root": "Events"},
        "metadata": {**common, "xsec_pb": XSEC, "lumi_ifb": LUMI},
    }
    document["copy"] = {"files": {str(toy.folder / "bump.root"): "Events"}, "metadata": common}
    (folder / "datasets.json").write_text(json.dumps(document))
    (folder / "plain.toml").write_text(CONFIG)
    (folder / "search.toml").write_text(CONFIG + SYSTEMATICS)
    return folder


def command(search: Path, name: str, config: str, output: Path) -> list[str]:
    datasets = ["--datasets", str(search / "datasets.json")] if name == "process" else []
    return [name, *datasets, "--config", str(search / config), "--output", str(output), "--jobs", "1"]


@pytest.fixture(scope="module")
def finished(search: Path) -> Path:
    """The search without systematics, then with them: nothing is trained again."""
    output = search / "results"
    for config in ("plain.toml", "search.toml"):
        for name in ("process", "scan"):
            cli.cli.main(command(search, name, config, output), standalone_mode=False)
        trained = output / "windows" / WINDOW / "models" / "fold0_member0.ubj"
        time = output / f"{config}.time"
        time.write_text(str(trained.stat().st_mtime_ns))
    return output


@pytest.fixture(scope="module")
def point(finished: Path) -> dict[str, Any]:
    document = json.loads((finished / "results.json").read_text())
    check_results(document)
    (found,) = [one for one in document["signals"] if one["dataset"] == "point"]
    return found


def yield_of(point: dict[str, Any], selection: str = SELECTION) -> dict[str, Any]:
    (found,) = [one for one in point["yields"] if one["selection"] == selection]
    return found


def passing(finished: Path, rows: dict[str, np.ndarray]) -> np.ndarray:
    """Mean over folds of each fold's own cut, from the files of the models."""
    folder = finished / "windows" / WINDOW
    record = json.loads((folder / "classifier.json").read_text())
    X = np.stack([rows[name] for name in record["features"]], axis=1).astype(np.float32)
    seed = load_config(path=finished / "config.json").random_state
    tie = uniform(rows["event_id"], seed, "tie-break")
    found = np.zeros(len(X))
    for fold, n_members in enumerate(record["n_members"]):
        models = [xgb.Booster(model_file=folder / "models" / f"fold{fold}_member{m}.ubj") for m in range(n_members)]
        score = np.mean([one.inplace_predict(X) for one in models], axis=0, dtype=np.float64).astype(np.float32)
        threshold, broken = record["thresholds"][fold][0][1]
        found += (score > threshold) | ((score == threshold) & (tie > broken))
    return found / len(record["n_members"])


def counted(
    search: Path, finished: Path, vary: Callable[[Jet], Jet] = dict, factor: np.ndarray | float = 1.0
) -> dict[str, Any]:
    """Yield and squared weights in the window, from the ROOT file, for varied jets and factors on the weight."""
    path = search / "point.root"
    events = list(plain.nanoaod_events(path))
    factors = np.broadcast_to(factor, len(events))
    varied = [
        {**event, "jets": [vary(one) for one in event["jets"]], "weight": event["weight"] * float(factors[i])}
        for i, event in enumerate(events)
    ]
    rows = plain.table(iter(varied), load_config(path=finished / "config.json").selection)
    rows = {name: values[rows["rapidity_region"] == "search"] for name, values in rows.items()}
    rows["event_id"] = np.array([plain.identity(*map(int, key), plain.text_hash("point")) for key in rows["key"]])
    inside = (rows["mjj"] >= 3300) & (rows["mjj"] < 3700)
    generated = sum(event["weight"] for event in events)
    weights = 1000 * XSEC * LUMI / generated * rows["weight"] * inside
    passes = passing(finished, rows)
    return {"events": weights @ passes, "squares": weights**2 @ passes**2, "inclusive": weights.sum()}


def test_nominal_yield_acceptance_and_statistical_error(search, finished, point):
    one, truth = yield_of(point), counted(search, finished)
    assert 0.2 < truth["events"] / truth["inclusive"] < 0.95
    assert one["events"] == pytest.approx(truth["events"], rel=1e-6)
    assert one["events_error"] == pytest.approx(np.sqrt(truth["squares"]), rel=1e-6)
    assert yield_of(point, "inclusive")["events"] == pytest.approx(truth["inclusive"], rel=1e-6)
    assert one["acceptance_efficiency"] == pytest.approx(truth["events"] / (1000 * XSEC * LUMI), rel=1e-6)


def test_modifiers_are_the_ratios_of_yields_counted_by_hand(search, finished, point):
    nominal = counted(search, finished)["events"]

    def scaled(size: float) -> Callable[[Jet], Jet]:
        return lambda one: {**one, "mass": one["mass"] * size, "msoftdrop": one["msoftdrop"] * size}

    tree = uproot.open(search / "point.root")["Events"]
    weight = tree["genWeight"].array(library="np").astype(float)
    members = tree["LHEScaleWeight"].array().to_numpy().astype(float)
    # A generator weight keeps the sum of all events before cuts.
    ratios = [counted(search, finished, factor=w / (weight @ w / weight.sum()))["events"] / nominal for w in members.T]
    btag = [
        counted(search, finished, factor=tree[name].array(library="np").astype(float))["events"] / nominal
        for name in ("btagUp", "btagDown")
    ]
    jms = [counted(search, finished, scaled(size))["events"] / nominal for size in (1.1, 0.9)]
    assert abs(jms[0] - 1) > 0.01
    found = {item["name"]: item for item in yield_of(point)["modifiers"]}
    expected = {
        "jms": jms,
        "scale": [max(1.0, *ratios), min(1.0, *ratios)],
        "btag": btag,
        "lumi": [1.017, 0.983],
    }
    for name, (up, down) in expected.items():
        assert (found[name]["up"], found[name]["down"]) == pytest.approx((up, down), rel=1e-6), name
    assert set(found) == {*expected, "jer", "signal_statistics"}
    assert found["jer"]["down"] == pytest.approx(1 / found["jer"]["up"])


def test_the_workspace_of_the_signal_is_one_that_pyhf_reads(finished, point):
    path = finished / "signals" / "point" / f"workspace_{WINDOW}_{SELECTION}.json"
    model = pyhf.Workspace(json.loads(path.read_text())).model()
    names = ["background_fit", "btag", "jer", "jms", "lumi", "mu", "scale", "signal_statistics"]
    assert sorted(model.config.parameters) == names
    one = yield_of(point)
    (jms,) = [item for item in one["modifiers"] if item["name"] == "jms"]
    parameters = np.array(model.config.suggested_init())

    def signal(**values: float) -> float:
        shifted = parameters.copy()
        for name, value in values.items():
            shifted[model.config.par_map[name]["slice"]] = value
        without = shifted.copy()
        without[model.config.poi_index] = 0.0
        return float((model.expected_actualdata(shifted) - model.expected_actualdata(without))[0])

    nominal = signal(mu=1.0)
    assert nominal == pytest.approx(one["strength_per_mu"] * one["events"] * (1 - one["absorbed_fraction"]), rel=1e-6)
    assert signal(mu=1.0, jms=1.0) / nominal == pytest.approx(jms["up"], rel=1e-6)
    assert signal(mu=1.0, jms=-1.0) / nominal == pytest.approx(jms["down"], rel=1e-6)
    assert signal(mu=1.0, lumi=1.017) / nominal == pytest.approx(1.017, rel=1e-6)


def test_limits_in_events_in_strength_and_in_fb_belong_together(point):
    (one,) = [item for item in point["selections"] if item["selection"] == SELECTION]
    limit, net = one["limit"], one["events"] * (1 - one["absorbed_fraction"])
    assert limit["rule"] == point["rule"] == "fixed-efficiency"
    for name in ("observed", "expected"):
        events, strength, fb = (np.array(limit[f"{name}_{unit}"]) for unit in ("events", "strength", "fb"))
        np.testing.assert_allclose(strength, events / net, rtol=1e-9)
        np.testing.assert_allclose(fb, strength * 1000 * XSEC, rtol=1e-9)
    for kind, table in one["impacts"].items():
        names = {item["name"] for item in table["parameters"]}
        assert names == {"background_fit", *(item["name"] for item in one["modifiers"])}, kind
    assert one["impacts"]["expected"]["strength"] == pytest.approx(limit["expected_strength"][2], rel=1e-3)


def test_the_expected_significance_is_the_closed_form(finished: Path, point: dict[str, Any]):
    (window,) = json.loads((finished / "results.json").read_text())["windows"]
    backgrounds = {one["name"]: (one["background"], one["background_error"]) for one in window["selections"]}
    for one in point["selections"]:
        b, sigma = backgrounds[one["selection"]]
        net = one["events"] * (1 - one["absorbed_fraction"])
        assert one["expected_z"] == pytest.approx(signed_z(b + net, b, sigma), abs=1e-4)
        assert signed_z(b + one["events_3sigma"], b, sigma) == pytest.approx(3, abs=1e-3)


def test_significances_are_printed_where_there_are_any(point: dict[str, Any]):
    def headings(signal: SignalResult) -> list[str]:
        return [str(column.header) for column in signal_table([signal]).columns]

    signal = from_json(SignalResult, point)
    assert headings(signal)[-2:] == ["Expected z", "Net events for 3σ"]
    older = replace(signal, selections=tuple(replace(one, events_3sigma=None) for one in signal.selections))
    assert headings(older)[-1] == "Expected z"
    older = replace(older, selections=tuple(replace(one, expected_z=None) for one in older.selections))
    assert headings(older)[-1] == "fb"


def test_the_correction_of_the_background_is_in_the_workspaces_of_signals(finished: Path, point: dict[str, Any]):
    config, classifiers = load_classifiers(finished)
    _, windows = ResultsFolder(finished).load_results()
    hidden = json.loads((finished / "process.json").read_text())
    table = EventTable.from_parts((finished / "parts" / hidden["digest"] / "point").glob("*.parquet"))
    sample = SignalSample("point", (), {"nominal": table.in_region("search")}, None, None, None, True, ())
    shift = NonClosure(0.0, 0.3)
    corrected = [replace(w, selections=tuple(replace(s, non_closure=shift) for s in w.selections)) for w in windows]
    found = [
        evaluate_point(PointTask(sample, tuple(classifiers), tuple(some), config)) for some in (windows, corrected)
    ]
    one = corrected[0].selections[1]
    model = pyhf.Workspace(found[1].workspaces[f"{WINDOW}_{SELECTION}"]).model()
    assert "non_closure" in model.config.parameters
    for before, after in zip(*(one.result.selections for one in found), strict=True):
        assert after.limit.expected_events[2] > 1.1 * before.limit.expected_events[2]
        assert "non_closure" in {item.name for item in after.impacts.expected.parameters}
    selected = next(item for item in found[1].result.selections if item.selection == SELECTION)
    net = selected.events * (1 - selected.absorbed_fraction)
    total = quadrature(one.background, "profile", one.background_error, 0.3 * one.background)
    assert selected.expected_z == pytest.approx(signed_z(one.background + net, one.background, total), abs=1e-4)


def test_expected_significances_are_calibrated_like_those_of_the_window(finished: Path):
    config, classifiers = load_classifiers(finished)
    _, windows = ResultsFolder(finished).load_results()
    hidden = json.loads((finished / "process.json").read_text())
    table = EventTable.from_parts((finished / "parts" / hidden["digest"] / "point").glob("*.parquet"))
    sample = SignalSample("point", (), {"nominal": table.in_region("search")}, None, None, None, True, ())
    null = NullDistribution(400, 0.1, 1.25, 0.05, 0.04)

    def calibrated(one: SelectionResult) -> SelectionResult:
        return (
            one if one.name == "inclusive" else replace(one, calibration=null.calibration(one.discovery.z, "searches"))
        )

    windows = [replace(w, selections=tuple(map(calibrated, w.selections))) for w in windows]
    result = evaluate_point(PointTask(sample, tuple(classifiers), tuple(windows), config)).result
    inclusive, one = result.selections[0], next(item for item in result.selections if item.selection == SELECTION)
    assert (inclusive.expected_z_calibrated, inclusive.local_expected_z) == (None, inclusive.expected_z)
    assert one.local_expected_z == pytest.approx((one.expected_z - 0.1) / 1.25)
    assert one.expected_z_calibrated_error == pytest.approx(np.hypot(0.05, one.local_expected_z * 0.04) / 1.25)
    b, sigma = next((s.background, s.total_error) for s in windows[0].selections if s.name == SELECTION)
    assert signed_z(b + one.events_3sigma, b, sigma) == pytest.approx(3, abs=1e-3)
    assert (signed_z(b + one.local_events_3sigma, b, sigma) - 0.1) / 1.25 == pytest.approx(3, abs=1e-3)
    assert "calibrated like z of its window" in str(signal_table([result]).title)
    assert not any("calibrated" in key for key in to_json(inclusive))


def test_the_spectrum_of_a_sample_adds_up_to_its_yield(finished: Path, point: dict[str, Any]):
    spectrum = ResultsFolder(finished).load_signal_spectra()["point"][WINDOW]
    for one in point["yields"]:
        counts = selection_counts(spectrum, one["selection"])
        edges = spectrum.axes["mjj"].edges
        assert counts[(edges[:-1] >= 3300) & (edges[1:] <= 3700)].sum() == pytest.approx(one["events"])
        assert counts.sum() > one["events"] > 0


def test_adding_systematics_trains_nothing_again(finished):
    before, after = ((finished / f"{name}.toml.time").read_text() for name in ("plain", "search"))
    assert before == after


def test_a_signal_that_is_searched_as_well_is_not_scored(finished):
    signals = json.loads((finished / "results.json").read_text())["signals"]
    (copy,) = [one for one in signals if one["dataset"] == "copy"]
    assert copy["selections"] == copy["yields"] == []
    assert "its file is searched as dataset bump: models that saw an event must not score it" in copy["reason"]


def test_the_impacts_are_printed(cwola: Cwola, finished: Path):
    done = cwola("impacts", "--output", finished, "--signal", "point", "--selection", SELECTION)
    assert done.code == 0, done.err
    assert f"point, {SELECTION}, 3300-3700 GeV: expected μ = " in done.out
    assert all(name in done.out for name in ("jms", "jer", "scale", "btag", "lumi", "background_fit"))
    unknown = cwola("impacts", "--output", finished, "--signal", "other")
    assert unknown.code == 1
    assert "Signals: point, copy." in unknown.err


def test_another_configuration_asks_for_the_events_first(cwola: Cwola, search: Path, finished: Path):
    done = cwola(*command(search, "scan", "plain.toml", finished))
    assert done.code == 1
    assert "were processed with other entries in [[systematics]]. Run `cwola process`" in done.err


def test_scoring_a_file_needs_none_of_the_systematics(
    cwola: Cwola, search: Path, finished: Path, tmp_path: Path, point
):
    """An entry for one dataset is nothing that a file of one's own could lack."""
    output = tmp_path / "scored.parquet"
    done = cwola("score", search / "point.root", "--models", finished, "--output", output, "--jobs", 1)
    assert done.code == 0, done.err
    line = next(line for line in done.out.splitlines() if SELECTION in line)
    assert f"{yield_of(point)['acceptance_efficiency']:.4g}" in line


def test_nothing_observed_is_told_while_blinded(finished: Path):
    """The same point with events of the table alone: no count enters, and only expected results come out."""
    folder = ResultsFolder(finished)
    config, classifiers = load_classifiers(finished)
    _, windows = folder.load_results()
    hidden = json.loads((finished / "process.json").read_text())
    parts = finished / "parts" / hidden["digest"] / "point"
    table = EventTable.from_parts(parts.glob("*.parquet")).in_region("search")
    sample = SignalSample("point", (("A", 3500.0),), {"nominal": table}, None, None, None, False, ())
    blind = [replace(w, selections=tuple(replace(s, n_obs=None) for s in w.selections)) for w in windows]
    blinded = evaluate_point(PointTask(sample, tuple(classifiers), tuple(blind), config))
    result, workspaces = blinded.result, blinded.workspaces
    assert result.selections
    for one in result.selections:
        assert one.impacts.observed is None
        assert (one.limit.observed_events, one.limit.observed_strength) == (None, None)
        assert one.limit.expected_fb is None
        assert one.acceptance_efficiency is None
        assert one.expected_z is None  # of a strength that nobody gave
        assert one.events_3sigma > 0
    for workspace in workspaces.values():
        background = workspace["channels"][0]["samples"][1]["data"]
        assert workspace["observations"][0]["data"] == background
