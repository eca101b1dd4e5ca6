"""The global p-value of a search that counts against templates: pseudo-experiments of fits and of passing fractions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.learning import PassWeights
from analysis.regions import MassWindow, RegionScan
from analysis.results import ResultsFolder
from analysis.search.evaluation import evaluate_window
from analysis.search.look_elsewhere import global_result
from analysis.search.pseudo_experiments import Look, draw_passing, null_model, scan_significances
from analysis.search.scan import run_scan
from analysis.search.values import SearchData, WindowResult
from tests.builders.toy_tables import dijet_masses, table_of, toy_config, toy_table

CUTS = (0.2, 0.05)


def config_with(toys: int, **learning: object) -> SearchConfig:
    return toy_config(
        learning={"efficiencies": CUTS, "method": "curtains", "n_members": 1, **learning},
        background={"strategy": "template"},
        scan={"first": 3300.0, "last": 4500.0, "step": 400.0},
        statistics={"pseudo_experiments": toys, "calculator": "asymptotics"},
    )


CONFIG = config_with(100)
SCAN = RegionScan.from_config(CONFIG.scan)


def searched(seed: int, n_events: int = 8000, n_template: int = 1500) -> tuple[SearchData, list[WindowResult]]:
    """Search without training: a random score per window, cut at fixed values, and a template of random scores."""
    rng = np.random.default_rng(seed)
    mjj = dijet_masses(n_events, rng)
    data = SearchData(table_of(mjj, rng.normal(size=(n_events, 1)).astype(np.float32)))
    results = []
    for window in SCAN.windows:
        score, template = rng.random(n_events), rng.random(n_template)
        passing = [np.ones(n_events), *((score < cut).astype(float) for cut in CUTS)]
        fractions = np.array([1.0, *((template < cut).mean() for cut in CUTS)])
        errors = np.sqrt(fractions * (1 - fractions) / n_template)
        results.append(evaluated(data, window, np.stack(passing, axis=1), np.stack([fractions, errors], axis=1)))
    return data, results


def evaluated(
    data: SearchData, window: MassWindow, values: NDArray[np.float64], template: NDArray[np.float64]
) -> WindowResult:
    thresholds = np.zeros((1, 1, len(CUTS) + 1, 2))
    passes = PassWeights((1.0, *CUTS), (1.0, *CUTS), values, thresholds, template=template)
    return evaluate_window(data, window, SCAN.edges(window), passes, (), CONFIG, limits=False)


@pytest.mark.thorough
def test_the_global_p_value_is_uniform_without_signal() -> None:
    found = []
    for seed in range(200):
        result = global_result(*searched(seed), SCAN, CONFIG, Serial())
        assert result.n_toys == 100
        found.append(result.p0)  # the Bonferroni bound where no toy reaches the excess
    assert stats.kstest(found, "uniform").pvalue > 0.01
    assert np.mean(np.array(found) < 0.1) == pytest.approx(0.1, abs=3 * np.sqrt(0.09 / len(found)) + 0.01)


def test_pseudo_experiments_are_tested_as_the_data_are() -> None:
    data, results = searched(3)
    passes, fits, looks = [np.ones(len(data.table))], [results[0].selections[0].fit], []
    for result in results:
        assert result.passes is not None
        for index, one in enumerate(result.selections):
            look = Look(
                0, result.window, CONFIG.background.functions, fraction=one.template, template=result.window.name
            )
            if one.template is not None:
                look = replace(look, spectrum=len(passes))
                passes.append(result.passes[:, index].astype(float))
                fits.append(None)
            looks.append(look)
    columns = np.stack(passes, axis=1)
    model = null_model(data.table.mjj, columns, fits, looks, SCAN.edges(results[0].window))
    counts = np.stack([np.histogram(data.table.mjj, model.cells, weights=c)[0] for c in columns.T])[None].astype(float)
    shown = [one.discovery.z for result in results for one in result.selections if one.discovery is not None]
    np.testing.assert_allclose(scan_significances(counts, model)[0], shown, atol=2e-3)
    # What a selection expects is its fraction of all events, and the fractions of a window fluctuate together.
    for look in looks:
        if look.fraction is not None:
            low, high = np.searchsorted(model.cells, look.window.signal)
            expected = (model.passes.T @ model.expected)[:, low:high].sum(axis=1)
            assert expected[look.spectrum] == pytest.approx(look.fraction.value * expected[0], rel=1e-3)
    value, _ = draw_passing(model, 1, range(3000))
    correlation = np.corrcoef(value[:, [1, 2, 4, 5]].T)
    a, b = (one.value for one in (results[0].selections[i].template for i in (2, 1)) if one is not None)
    assert correlation[0, 1] == pytest.approx(np.sqrt(a * (1 - b) / (b * (1 - a))), abs=0.06)
    assert abs(correlation[:2, 2:]).max() < 0.06
    np.testing.assert_array_equal(draw_passing(model, 1, range(50, 60))[0], value[50:60])


@pytest.mark.thorough
def test_a_folder_on_disk_gives_the_same_global_p_value(tmp_path: Path) -> None:
    """A whole search with `curtains`, all numbers of it stored."""
    config = config_with(200)
    data = SearchData(toy_table(9000, random_state=4))
    results = [result for _, result in run_scan(data, SCAN, config, Serial())]
    folder = ResultsFolder(tmp_path)
    for result in results:
        folder.save_window(result.window.name, result)
    stored = list(folder.load_windows([result.window.name for result in results]).values())
    found = global_result(data, results, SCAN, config, Serial())
    assert (found.method, found.n_trials) == ("pseudo-experiments", 9)
    assert global_result(data, stored, SCAN, config, Serial()) == found
    local = stats.norm.sf(max(one.discovery.z for r in results for one in r.selections if one.discovery is not None))
    assert local < found.p0 + 0.05
    assert found.p0 < 9 * local
