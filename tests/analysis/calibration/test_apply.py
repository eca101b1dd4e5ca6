"""Which calibration a selection gets, and what it does to the significance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.calibration.apply import Calibrations
from analysis.calibration.coupling import Coupling, labels_of
from analysis.calibration.shipped import ShippedCouplings, ShippedEntry, settings_digest, shipped_couplings
from analysis.config import SearchConfig, load_config
from analysis.regions import RegionScan
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.search.window import run_window
from tests.builders.toy_tables import toy_config, toy_table

CONFIG = toy_config(scan={"windows": [[3300.0, 3700.0]]}, statistics={"calculator": "asymptotics"})
SCAN = RegionScan.from_config(CONFIG.scan)
DATA = SearchData(toy_table(9000, 300, random_state=4))
OWN = Coupling(0.9, 0.1, 500)


def settings(**learning: object) -> SearchConfig:
    return load_config(preset="demo", overrides={"learning": learning})


def entry(n_window: int, value: float, config: SearchConfig) -> ShippedEntry:
    return ShippedEntry("demo", settings_digest(config), n_window, {"eff_0.1": Coupling(value, 0.1, 400)})


def test_couplings_are_interpolated_in_the_logarithm_of_the_events() -> None:
    config = settings()
    table = ShippedCouplings((entry(30_000, 0.8, config), entry(3000, 0.4, config)))
    assert table.at(config, 3000)["eff_0.1"].value == pytest.approx(0.4)
    middle = table.at(config, 3000 * 10**0.5)["eff_0.1"]
    assert middle.value == pytest.approx(0.6)
    assert middle.error == pytest.approx(0.1 / 2**0.5)
    assert table.at(config, 30_000)["eff_0.1"].value == pytest.approx(0.8)
    assert table.at(config, 3500)["eff_0.1"].value < middle.value


@pytest.mark.parametrize("n_window", [0, 2000, 50_000])
def test_nothing_is_extrapolated_beyond_the_sizes_of_the_study(n_window: int) -> None:
    config = settings()
    assert ShippedCouplings((entry(3000, 0.4, config), entry(30_000, 0.8, config))).at(config, n_window) == {}


@pytest.mark.parametrize(
    "learning",
    [
        {"n_members": 9},
        {"classifier": {"max_depth": 5}},
        {"features": ["mj1", "mj2"]},
        {"ensemble": "mean-count"},
        {"n_folds": 4},
    ],
)
def test_other_settings_have_no_shipped_coupling(learning: dict[str, object]) -> None:
    table = ShippedCouplings((entry(3000, 0.4, settings()),))
    assert table.at(settings(**learning), 3000) == {}


@pytest.mark.parametrize(
    "learning",
    [{}, {"features": ["mj1", "mj2", "tau21_j1", "tau21_j2"]}, {"n_seeds": 3}, {"efficiencies": [0.1, 0.003]}],
)
def test_as_many_other_features_further_trainings_and_other_cuts_keep_it(learning: dict[str, object]) -> None:
    table = ShippedCouplings((entry(3000, 0.4, settings()),))
    assert "eff_0.1" in table.at(settings(**learning), 3000)


def test_cuts_that_choose_the_training_are_part_of_the_settings() -> None:
    tuning = {"criterion": "argos", "grid": {"max_depth": [2, 3]}}
    table = ShippedCouplings((entry(3000, 0.4, settings(tuning=tuning)),))
    assert "eff_0.1" in table.at(settings(tuning=tuning), 3000)
    assert table.at(settings(tuning=tuning, efficiencies=[0.1, 0.003]), 3000) == {}


def test_the_table_of_the_package_is_for_the_presets_as_they_are() -> None:
    for one in shipped_couplings().entries:
        assert one.settings == settings_digest(load_config(preset=one.preset)), one.preset
        for name, coupling in one.selections.items():
            assert name.startswith("eff_")
            assert coupling.searches >= 20
            assert coupling.error > 0
            assert coupling.value / coupling.error > -3
            assert coupling.value < 2.0


@pytest.fixture(scope="module")
def result() -> WindowResult:
    return run_window(DATA, SCAN.windows[0], SCAN, CONFIG)


def of(found: tuple[WindowResult, ...]) -> dict[str, SelectionResult]:
    return {selection.name: selection for selection in found[0].selections}


def test_measured_comes_before_shipped_and_exact_before_both(result: WindowResult) -> None:
    name, window = result.selections[1].name, result.window
    z = result.selections[1].discovery
    assert z is not None
    searched = {window.name: {name: OWN}}
    shipped = {window.name: {name: Coupling(0.5, 0.1, 400)}}
    labels = {window.name: labels_of(window, DATA.table.mjj)}
    everything = Calibrations(searched=searched, shipped=shipped, labels=labels)
    cases = {
        "exact": replace(everything, exact=True),
        "searches": everything,
        "shipped": replace(everything, searched={}),
        None: replace(everything, searched={}, shipped={}),
    }
    for source, calibrations in cases.items():
        found = of(calibrations.applied([result]))[name].calibration
        assert (None if found is None else found.source) == source
    exact = of(cases["exact"].applied([result]))[name]
    assert exact.local_z == z.z
    widths = []
    for source in ("searches", "shipped"):
        found = of(cases[source].applied([result]))[name].calibration
        assert found is not None
        assert found.null is not None
        assert found.z == pytest.approx(z.z / found.null.width)
        widths.append(found.null.width)
    assert (widths[0] ** 2 - 1) / (widths[1] ** 2 - 1) == pytest.approx(0.9 / 0.5)
    assert 1.0 < widths[1] < 1.3


def test_all_events_and_selections_without_a_result_are_not_calibrated(result: WindowResult) -> None:
    labels = {result.window.name: labels_of(result.window, DATA.table.mjj)}
    searched = {result.window.name: {one.name: OWN for one in result.selections}}
    calibrations = Calibrations(searched=searched, labels=labels)
    blinded = replace(result, selections=tuple(replace(one, discovery=None) for one in result.selections))
    assert of(calibrations.applied([result]))["inclusive"].calibration is None
    assert all(one.calibration is None for one in of(calibrations.applied([blinded])).values())


def test_further_trainings_are_calibrated_alike(result: WindowResult) -> None:
    trained = result.selections[1]
    joined = replace(result, selections=(result.selections[0], replace(trained, seeds=(trained,))))
    labels = {result.window.name: labels_of(result.window, DATA.table.mjj)}
    calibrations = Calibrations(searched={result.window.name: {trained.name: OWN}}, labels=labels)
    found = of(calibrations.applied([joined]))[trained.name]
    assert found.calibration is not None
    assert found.seeds[0].calibration == found.calibration
