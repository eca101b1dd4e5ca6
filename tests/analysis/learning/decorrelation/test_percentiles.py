"""Percentile scaling of features in m_jj bins."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from analysis.errors import TableError
from analysis.events.table import EventTable
from analysis.learning import FoldTask, PassWeights, Samples, assign_folds, run_fold
from analysis.learning.decorrelation import MIN_EVENTS, PercentileMap, PercentileScaling, mass_bins
from analysis.methods import CWoLa
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import run_window
from analysis.validation.sculpting import sculpting
from tests.builders.spies import SpyLearner, SpyModel
from tests.builders.toy_tables import FIT_RANGE, WINDOW, dijet_masses, table_of, toy_config

GRID = np.arange(FIT_RANGE[0], FIT_RANGE[1] + 1, 100.0)
NAMES = ("x0", "x1")
EDGES = np.array([3000.0, 3500.0, 4000.0])


def drifting(n_events: int, *, random_state: int) -> tuple[np.ndarray, np.ndarray]:
    """Masses, and two features whose mean and width grow with the mass."""
    rng = np.random.default_rng(random_state)
    mjj = dijet_masses(n_events, rng)
    X = rng.normal(mjj[:, None] / 1000, mjj[:, None] / 5000, (n_events, 2))
    return mjj, X.astype(np.float32)


def fitted(
    mjj: np.ndarray, X: np.ndarray, edges: np.ndarray = EDGES, weight: np.ndarray | None = None
) -> PercentileMap:
    return PercentileMap.fit(mjj, X, np.ones(len(mjj)) if weight is None else weight, edges, NAMES[: X.shape[1]])


def test_bins_are_window_sidebands_and_the_fit_bins_beyond() -> None:
    edges = mass_bins(WINDOW, GRID)
    np.testing.assert_array_equal(edges[:6], [3000, 3100, 3300, 3700, 3900, 4000])
    assert edges[-1] == FIT_RANGE[1]
    off_grid = mass_bins(WINDOW, GRID + 50)
    np.testing.assert_array_equal(off_grid[:6], [3050, 3100, 3300, 3700, 3900, 3950])


def test_ranks_are_those_counted_one_by_one() -> None:
    rng = np.random.default_rng(1)
    mjj = rng.uniform(3000, 4000, 60)
    X = rng.integers(0, 8, (60, 1)).astype(np.float32)  # many ties
    found = fitted(mjj, X).transform(mjj, X)[:, 0]
    for i in range(60):
        peers = [j for j in range(60) if (mjj[i] < 3500) == (mjj[j] < 3500)]
        below = sum(X[j, 0] < X[i, 0] for j in peers)
        equal = sum(X[j, 0] == X[i, 0] for j in peers)
        assert found[i] == pytest.approx((below + equal / 2) / len(peers), rel=1e-6)


def test_weights_count_as_so_many_events() -> None:
    mjj, X = np.full(4, 3100.0), np.array([[1.0], [2.0], [3.0], [4.0]], np.float32)
    weighted = fitted(mjj, X, EDGES[:2], np.array([1.0, 3.0, 2.0, 2.0]))
    copies = np.repeat(np.arange(4), [1, 3, 2, 2])
    repeated = fitted(mjj[copies], X[copies], EDGES[:2])
    np.testing.assert_allclose(weighted.transform(mjj, X), repeated.transform(mjj, X))
    np.testing.assert_allclose(weighted.transform(mjj, X)[:, 0], [0.5 / 8, 2.5 / 8, 5 / 8, 7 / 8])


def test_between_training_values_linear_and_beyond_them_clipped() -> None:
    scaling = fitted(np.full(2, 3100.0), np.array([[10.0], [20.0]], np.float32), EDGES[:2])
    found = scaling.transform(np.full(5, 3200.0), np.array([[-5.0], [10.0], [12.0], [20.0], [99.0]], np.float32))
    np.testing.assert_allclose(found[:, 0], [0.25, 0.25, 0.35, 0.75, 0.75], rtol=1e-6)


def test_undefined_features_stay_so_and_do_not_count() -> None:
    mjj, X = np.full(4, 3100.0), np.array([[1.0], [np.nan], [2.0], [np.nan]], np.float32)
    found = fitted(mjj, X, EDGES[:2]).transform(mjj, X)[:, 0]
    np.testing.assert_array_equal(found, np.array([0.25, np.nan, 0.75, np.nan], np.float32))
    outside = fitted(mjj, X, EDGES[:2]).transform(np.full(4, 3600.0), X)
    assert np.isnan(outside).all()


def test_marginals_of_new_events_are_uniform_in_every_bin() -> None:
    edges = mass_bins(WINDOW, GRID[GRID <= 4500])
    scaling = fitted(*drifting(200_000, random_state=2), edges)
    mjj, X = drifting(20_000, random_state=3)
    inside = mjj < 4500
    ranks = scaling.transform(mjj, X)
    before = [stats.ks_2samp(X[WINDOW.in_lower(mjj), j], X[WINDOW.in_upper(mjj), j]).pvalue for j in (0, 1)]
    assert max(before) < 1e-10
    p_values = [
        stats.kstest(ranks[inside & (mjj >= low) & (mjj < high), j], "uniform").pvalue
        for low, high in pairwise(edges)
        for j in (0, 1)
    ]
    assert min(p_values) > 0.001  # of 24
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_the_inverse_gives_the_values_back() -> None:
    mjj, X = drifting(3000, random_state=4)
    rows = (mjj >= EDGES[0]) & (mjj < EDGES[-1])
    scaling = fitted(mjj, X)
    back = scaling.inverse(mjj, scaling.transform(mjj, X))
    np.testing.assert_allclose(back[rows], X[rows], rtol=1e-4)
    assert np.isnan(back[~rows]).all()


def test_the_inverse_through_a_reference_bin_gives_its_distribution_to_all() -> None:
    mjj, X = drifting(100_000, random_state=5)
    scaling = fitted(mjj, X)
    moved = scaling.inverse(mjj, scaling.transform(mjj, X), reference=0)
    first, second = (mjj >= 3000) & (mjj < 3500), (mjj >= 3500) & (mjj < 4000)
    np.testing.assert_allclose(moved[first], X[first], rtol=1e-4)
    assert X[second, 0].mean() > X[first, 0].mean() + 0.3
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    np.testing.assert_allclose(
        np.quantile(moved[second], levels, axis=0), np.quantile(X[first], levels, axis=0), rtol=1e-3
    )


def test_scaling_keeps_the_order_within_a_bin_and_every_other_column() -> None:
    mjj, X = drifting(2000, random_state=6)
    table = table_of(mjj, X)
    scaled = PercentileScaling.of_window(WINDOW, GRID).fit(table, ("x0",)).apply(table)
    inside = WINDOW.in_signal(mjj)
    np.testing.assert_array_equal(np.argsort(scaled.column("x0")[inside]), np.argsort(X[inside, 0]))
    for name in table.table.column_names:
        if name != "x0":
            assert scaled.table[name].equals(table.table[name])


def test_sparse_bins_are_joined_but_never_window_and_sidebands() -> None:
    scaling = PercentileScaling.of_window(WINDOW, GRID)
    mjj, X = drifting(4000, random_state=7)
    edges = scaling.fit(table_of(mjj, X), NAMES).edges
    counts = np.histogram(mjj, edges)[0]
    assert set(WINDOW.lower) | set(WINDOW.signal) | set(WINDOW.upper) <= set(edges)
    assert (edges[0], edges[-1]) == FIT_RANGE
    beside = (edges[:-1] < WINDOW.lower[0]) | (edges[:-1] >= WINDOW.upper[1])
    assert counts[beside].min() >= MIN_EVENTS
    assert len(edges) < len(scaling.edges)
    few = mjj[mjj < 3900][:60]
    kept = scaling.fit(table_of(few, X[: len(few)]), NAMES).edges
    np.testing.assert_array_equal(kept, [3000, 3300, 3700, 6500])


def test_an_empty_region_is_an_error_that_names_it() -> None:
    mjj, X = drifting(500, random_state=8)
    kept = ~WINDOW.in_signal(mjj)
    with pytest.raises(
        TableError, match=r"no event of a fold, or of its training, has m_jj in 3300-3700 GeV.*folds.*decorrelation"
    ):
        PercentileScaling.of_window(WINDOW, GRID).fit(table_of(mjj[kept], X[kept]), NAMES)


def fold_task(fold: int = 0) -> FoldTask:
    scaling = PercentileScaling.of_window(WINDOW, GRID)
    return FoldTask(WINDOW, fold, 3, NAMES, CWoLa(), SpyLearner(), 1, decorrelation=scaling)


def test_training_knows_nothing_of_the_events_of_the_fold() -> None:
    mjj, X = drifting(6000, random_state=9)
    table = table_of(mjj, X)
    held_out = assign_folds(table.event_id, 3, random_state=1) == 0
    moved = X.copy()
    moved[held_out] = np.random.default_rng(1).normal(50, 9, moved[held_out].shape)
    first, second = (run_fold(fold_task(), Samples(table_of(mjj, features))) for features in (X, moved))
    assert isinstance(first.model, SpyModel)
    assert isinstance(second.model, SpyModel)
    np.testing.assert_array_equal(first.model.first_features, second.model.first_features)


def test_the_classifier_is_trained_on_ranks() -> None:
    mjj, X = drifting(6000, random_state=10)
    result = run_fold(fold_task(), Samples(table_of(mjj, X)))
    assert isinstance(result.model, SpyModel)
    ranks = result.model.first_features
    assert stats.kstest(ranks, "uniform").pvalue > 0.99  # by construction, not by chance
    assert 0 < ranks.min() < ranks.max() < 1


def test_scaling_takes_the_mass_out_of_the_selection() -> None:
    table = table_of(*drifting(20_000, random_state=11))
    found = {}
    for kind in ("none", "percentile"):
        config = toy_config(learning={"decorrelation": kind, "efficiencies": (0.1,)})
        result = run_window(SearchData(table), WINDOW, RegionScan((WINDOW,), 100.0), config)
        assert result.passes is not None
        values = result.passes.astype(float)
        passes = PassWeights((1.0, 0.1), (1.0, 0.1), values, np.zeros((3, 1, 2, 2)))
        (found[kind],) = sculpting(table, passes, np.arange(3000.0, 5001.0, 250.0), window=WINDOW)
    assert found["none"].p_value < 1e-20
    assert found["percentile"].p_value > 1e-3
    assert found["percentile"].chi2 < found["none"].chi2 / 10


def test_blinded_maps_are_not_kept() -> None:
    mjj, X = drifting(8000, random_state=13)
    config = toy_config(learning={"decorrelation": "percentile"})
    result = run_window(SearchData(table_of(mjj, X), blinded=True), WINDOW, RegionScan((WINDOW,), 100.0), config)
    assert result.status == "ok"
    assert result.scalings == ()


def test_the_fold_that_is_scored_is_ranked_among_its_own_events() -> None:
    """Errors of ranks that training and scored events share would be learned, and counted as an excess."""
    table = table_of(*drifting(6000, random_state=9))
    own = table.select(assign_folds(table.event_id, 3, random_state=1) == 0)
    result = run_fold(fold_task(), Samples(table))
    assert isinstance(result.scaling, PercentileMap)
    expected = PercentileScaling.of_window(WINDOW, GRID).fit(own, NAMES)
    np.testing.assert_array_equal(result.scaling.values, expected.values)
    scored = EventTable(table.table.take(result.rows), table.features)
    ranks = expected.apply(scored)
    np.testing.assert_array_equal(result.scores[:, 0], ranks.column(NAMES[0]))  # with which the spy scores
    for low, high in pairwise(expected.edges):
        inside = np.sort(ranks.column(NAMES[0])[(scored.mjj >= low) & (scored.mjj < high)])
        np.testing.assert_allclose(inside, (np.arange(len(inside)) + 0.5) / len(inside), rtol=1e-5)
