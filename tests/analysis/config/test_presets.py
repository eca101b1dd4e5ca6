"""Published set-ups: their numbers, what in them is ours, and that they run."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from typing import Any

import numpy as np
import pytest

from analysis.config import SearchConfig, load_config
from analysis.errors import WindowError
from analysis.events.schema import FeatureSpec
from analysis.events.table import EventTable
from analysis.methods import METHODS, SACWoLa, configured_method
from analysis.regions import RegionScan
from analysis.search.requirements import require_known
from analysis.search.values import SearchData
from analysis.search.window import run_window
from tests.builders.toy_tables import dijet_masses, table_of

CWOLA_BINS = (2001, 2107, 2219, 2337, 2461, 2592, 2730, 2875, 3028, 3189, 3358, 3536, 3724, 3922, 4131, 4350)
"""GeV; `mjj` bins in the code of the authors of arXiv:1902.02634."""

FEATURE_SETS = [
    ["mj1", "mj2"],
    ["mj1", "mj2", "tau21_j1", "tau21_j2"],
    ["mj1", "mj2", "tau21_j1", "tau21_j2", "tau32_j1", "tau32_j2"],
]
"""Of the second search of ATLAS."""

PUBLISHED: dict[str, dict[str, Any]] = {
    "atlas-2020": {
        "selection.jet_mass": "trimmed",
        "selection.pt_min": 200,
        "selection.leading_pt_min": 500,
        "selection.jet_mass_min": 30,
        "selection.jet_mass_max": 500,
        "selection.abs_dy_search": 1.2,
        "selection.mjj_min": 1800,
        "selection.mjj_max": 8200,
        "scan.windows": [[2740, 3280], [3280, 3940], [3940, 4730], [4730, 5680], [5680, 6810]],
        "scan.masks": [[2500, 3600], [3000, 4300], [3600, 5200], [4300, 6200], [5200, 7500]],
        "scan.fit_range": [1800, 8200],
        "scan.bin_width": 100,
        "learning.method": "cwola",
        "learning.features": ["mj1", "mj2"],
        "learning.decorrelation": "percentile",
        "learning.n_folds": 5,
        "learning.cross_fitting": "nested",
        "background.strategy": "chi2-acceptance",
        "background.sqrt_s_gev": 13000,
        "limits.samplings": 5,
    },
    "atlas-2025": {
        "scan.width": 600,
        "scan.step": 300,
        "scan.sideband_width": 600,
        "learning.method": "salad",
        "learning.features": ["mj1", "mj2", "tau21_j1", "tau21_j2"],
        "learning.n_folds": 5,
        "learning.cross_fitting": "kfold",
        "learning.n_members": 10,
        "learning.ensemble": "mean-count",
        "learning.threshold_reference": "background-template",
        "learning.efficiencies": [0.1, 0.02],
        "background.sqrt_s_gev": 13000,
        "limits.methods": ["salad", "curtains"],
        "limits.feature_sets": FEATURE_SETS,
    },
    "sa-cwola-2021": {
        "selection.leading_pt_min": 1300,
        "scan.windows": [[3300, 3700]],
        "scan.sideband_width": 200,
        "scan.mask_margin": 0,
        "scan.fit_range": [2600, 5000],
        "scan.bin_width": (5000 - 2600) / 30,
        "learning.method": "sa_cwola",
        "learning.features": ["mj2", "delta_mj", "tau21_j1", "tau21_j2"],
        "learning.n_folds": 2,
        "learning.cross_fitting": "kfold",
        "learning.n_members": 5,
        "learning.ensemble": "mean-score",
        "background.functions": ["dijet4"],
        "statistics.likelihood": "gaussian",
    },
    "cwola-hunting-2019": {
        "selection.jet_mass_max": 500,
        "scan.windows": [[CWOLA_BINS[i - 1], CWOLA_BINS[i + 2]] for i in range(3, 12)],
        "scan.sidebands": [[CWOLA_BINS[i - 3], CWOLA_BINS[i + 4]] for i in range(3, 12)],
        "scan.fit_range": [2001, 4350],
        "learning.method": "cwola",
        "learning.features": ["mj1", "mj2", "tau21_j1", "tau21_j2", "tau32_j1", "tau32_j2"],
        "learning.n_folds": 5,
        "learning.cross_fitting": "nested",
        "learning.n_candidates": 20,
        "learning.candidate_efficiency": 0.005,
        "learning.ensemble": "mean-score",
        "learning.threshold_reference": "spectrum",
        "statistics.likelihood": "gaussian",
    },
}
"""From arXiv:2005.02983, 2502.09770, 2009.02205 and 1902.02634, with the code of the last; GeV."""

every_preset = pytest.mark.parametrize("name", PUBLISHED)


def text_of(name: str) -> str:
    return resources.files("analysis").joinpath("presets", f"{name}.toml").read_text(encoding="utf-8")


def flat(document: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in document.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def marked_as_ours(text: str) -> set[str]:
    """Keys whose lines, or the header of whose section, say so."""
    section, key, whole, found = "", "", False, set()
    for line in text.splitlines():
        if header := re.match(r"\[([a-z.]+)\]", line):
            section, whole, key = header[1], _ours(line), ""
        elif name := re.match(r"([a-z_]+) =", line):
            key = f"{section}.{name[1]}"
        if key and (whole or _ours(line)):
            found.add(key)
    return found


def _ours(line: str) -> bool:
    return re.search(r"\bours\b", line.partition("#")[2]) is not None


@every_preset
def test_published_numbers_are_in_it_and_all_others_are_marked_as_ours(name: str) -> None:
    document = tomllib.loads(text_of(name))
    document.pop("variants", None)
    values, ours = flat(document), marked_as_ours(text_of(name))
    for key, expected in PUBLISHED[name].items():
        assert values[key] == expected, key
    assert set(values) - ours == set(PUBLISHED[name])


def test_the_second_atlas_search_has_both_methods_with_all_features() -> None:
    config = load_config(preset="atlas-2025")
    searches = [config, *map(config.variant, config.variants)]
    found = [(one.learning.method, list(one.learning.features)) for one in searches]
    assert found[0] == ("salad", FEATURE_SETS[1])
    assert sorted(found) == sorted((method, features) for method in ("salad", "curtains") for features in FEATURE_SETS)


def test_windows_of_the_first_atlas_search_are_a_ladder_of_factors_of_1_2() -> None:
    scan = RegionScan.from_config(load_config(preset="atlas-2020").scan)
    for window in scan.windows:
        for low, high in (window.lower, window.signal, window.upper):
            assert high / low == pytest.approx(1.2, abs=0.005)
    edges = scan.edges(scan.windows[0])
    assert (len(edges) - 1, edges[0], edges[-1]) == (64, 1800, 8200)


def test_windows_of_the_second_atlas_search_overlap_by_half() -> None:
    windows = RegionScan.from_config(load_config(preset="atlas-2025").scan).windows
    assert windows[0].signal[0] >= 2900
    for one, two in zip(windows, windows[2:], strict=False):
        assert one.upper == two.signal
        assert two.lower == one.signal


def test_cwola_hunting_has_logarithmic_bins_and_nine_hypotheses() -> None:
    np.testing.assert_allclose(np.diff(np.log(CWOLA_BINS)), np.log(4350 / 2001) / 15, rtol=0.02)
    windows = RegionScan.from_config(load_config(preset="cwola-hunting-2019").scan).windows
    assert len(windows) == 9
    assert sum(low <= 3000 < high for low, high in (window.signal for window in windows)) == 3


@every_preset
def test_where_the_sample_is_not_smooth_it_is_refused(name: str) -> None:
    config = load_config(preset=name)
    scan = RegionScan.from_config(config.scan)
    with pytest.raises(WindowError, match=r"the spectrum is smooth only from 3000 GeV \(2\.5 times pt_hat_min = 1200"):
        scan.require_smooth(1200.0)
    scan.require_smooth(config.scan.fit_range[0] / 2.5)


def light(name: str) -> SearchConfig:
    """The preset with fewer and smaller trees, for toys of a few thousand events."""
    small = {"n_estimators": 20, "max_depth": 3, "min_child_weight": 10.0}
    learning = {"n_candidates": 2, "n_members": 3, "n_folds": 3, "classifier": small}
    return load_config(preset=name, overrides={"learning": learning, "statistics": {"calculator": "asymptotics"}})


def preset_table(config: SearchConfig, *, n_background: int, strength: float, random_state: int) -> EventTable:
    """Toy events with the features of a preset, independent of the mass, and a peak of S/√B = strength lying apart."""
    rng = np.random.default_rng(random_state)
    window = RegionScan.from_config(config.scan).windows[0]
    background = dijet_masses(n_background, rng, fit_range=window.fit_range)
    n_signal = int(strength * np.sqrt(window.in_signal(background).sum()))
    centre = sum(window.signal) / 2
    mjj = np.concatenate([background, rng.normal(centre, 0.02 * centre, n_signal)])
    names = config.learning.features
    X = np.concatenate([rng.normal(size=(n_background, len(names))), rng.normal(1.8, 0.3, (n_signal, len(names)))])
    order = rng.permutation(len(mjj))
    toy = table_of(mjj[order], X[order].astype(np.float32)).table
    columns = [*toy.column_names[: -len(names)], *names]
    return EventTable(
        toy.rename_columns(columns), tuple(FeatureSpec(name, name, "", (20, -5.0, 5.0)) for name in names)
    )


def test_the_weight_of_the_simulation_is_that_of_the_configuration() -> None:
    for weight in (0.0, 0.3):
        config = load_config(preset="sa-cwola-2021", overrides={"learning": {"simulation_weight": weight}})
        assert configured_method(config.learning) == SACWoLa(simulation_weight=weight)
    assert 0.3 <= load_config(preset="sa-cwola-2021").learning.simulation_weight <= 0.6
    assert configured_method(load_config(preset="atlas-2025").learning) is METHODS["salad"]


@every_preset
def test_it_finds_a_signal_in_a_toy(name: str) -> None:
    config = light(name)
    require_known(config)
    scan = RegionScan.from_config(config.scan)
    data = SearchData(
        preset_table(config, n_background=30_000, strength=2.5, random_state=1),
        simulation=preset_table(config, n_background=30_000, strength=0, random_state=2),
    )
    result = run_window(data, scan.windows[0], scan, config)
    assert result.status != "failed", result.reason
    z = {one.name: one.discovery.z for one in result.selections if one.discovery is not None}
    assert abs(z["inclusive"] - 2.5) < 2.5
    assert max(z.values()) > z["inclusive"] + 2
    assert max(z.values()) > 5
