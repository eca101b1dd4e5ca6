from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.background import FUNCTIONS, TRANSFER_FACTOR, BackgroundFit, choose_order, fit_background
from analysis.compute import Backend
from analysis.errors import StatisticsError
from analysis.regions import MassWindow
from analysis.search.pseudo_experiments import Look, NullModel, draw_counts, null_model, run_pseudo_experiments
from analysis.search.pseudo_experiments import scan_significances as scan
from analysis.statistics import Counting, counting_workspace, discovery
from analysis.statistics.trials import global_significance
from tests.builders.toy_tables import FIT_RANGE, SQRT_S, dijet_masses

Array = NDArray[np.float64]

GRID = np.arange(3000.0, 6501.0, 100.0)
NESTED = (1.0, 0.1, 0.02)


def window(low: float, high: float, margin: float = 100.0) -> MassWindow:
    mask = (100 * np.floor((low - margin) / 100), 100 * np.ceil((high + margin) / 100))
    return MassWindow((low, high), (low - 200, low), (high, high + 200), (float(mask[0]), float(mask[1])), FIT_RANGE)


WINDOWS = (window(3300.0, 3700.0), window(3500.0, 3900.0), window(3812.5, 4277.7))


def fitted(mjj: Array, weights: Array, mask: tuple[float, float], name: str = "dijet3") -> BackgroundFit:
    counts, variances = (np.histogram(mjj, GRID, weights=w)[0].astype(float) for w in (weights, weights**2))
    return fit_background(counts, GRID, FUNCTIONS[name], mask=mask, sqrt_s_gev=SQRT_S, variances=variances)


def together(mjj: Array, weights: Array, mask: tuple[float, float]) -> BackgroundFit:
    passing, failing = (np.histogram(mjj, GRID, weights=w)[0].astype(float) for w in (weights, 1.0 - weights))
    options = {"mask": mask, "functions": ("dijet3",), "alpha": 0.05, "sqrt_s_gev": SQRT_S}
    return choose_order(passing, GRID, strategy=TRANSFER_FACTOR, rest=(failing, None), **options)  # type: ignore[arg-type]


def search(
    n_events: int,
    seed: int,
    *,
    windows: tuple[MassWindow, ...] = WINDOWS,
    functions: tuple[str, ...] = ("dijet3",),
    strategy: str = "events",
    correlation: float = 0.7,
) -> tuple[Array, Array, list[Look]]:
    """Masses, pass weights and looks: one score per window, correlated between windows, nested cuts on each."""
    rng = np.random.default_rng(seed)
    mjj, common = dijet_masses(n_events, rng), rng.normal(size=n_events)
    columns, looks = [np.ones(n_events)], [Look(0, one, functions, strategy) for one in windows]
    for one in windows:
        score = correlation * common + np.sqrt(1 - correlation**2) * rng.normal(size=n_events)
        for efficiency in NESTED[1:]:
            looks.append(Look(len(columns), one, functions, strategy))
            columns.append((score > stats.norm.isf(efficiency)).astype(float))
    return mjj, np.stack(columns, axis=1), looks


def model_of(mjj: Array, passes: Array, looks: list[Look]) -> NullModel:
    masks = {look.spectrum: look.window.mask for look in looks}
    fits = [fitted(mjj, column, masks[i]) for i, column in enumerate(passes.T)]
    if looks[0].strategy == TRANSFER_FACTOR:
        fits = [fits[0], *(together(mjj, column, masks[i + 1]) for i, column in enumerate(passes.T[1:]))]
    return null_model(mjj, passes, fits, looks, GRID)


def data_counts(mjj: Array, passes: Array, model: NullModel) -> Array:
    """(1, n_spectra, n_cells): the data in the cells of the model."""
    return np.stack([np.histogram(mjj, model.cells, weights=column)[0] for column in passes.T])[None].astype(float)


# What is drawn


def test_spectra_expect_their_fitted_background_and_share_events_as_in_the_data() -> None:
    mjj, passes, looks = search(20_000, 1)
    model = model_of(mjj, passes, looks)
    toys = np.stack([draw_counts(model, 7, i) for i in range(2000)])
    masks = {look.spectrum: look.window.mask for look in looks}
    for i, column in enumerate(passes.T):
        background = fitted(mjj, column, masks[i]).expected(model.cells)[0]
        pulls = (toys[:, i].mean(axis=0) - background) / np.sqrt(background / len(toys))
        assert abs(pulls).max() < 4.5
    # Poisson counts that share events have the shared expectation as covariance.
    totals = toys.sum(axis=2)
    covariance = np.cov(totals.T)
    shared = passes.T @ passes  # events that both selections keep, in the data
    scale = np.sqrt(np.outer(np.diag(shared), np.diag(shared)))
    np.testing.assert_allclose(covariance / scale, shared / scale, atol=0.12)
    assert 0.1 < shared[1, 3] / shared[1, 1] < 0.9  # windows do overlap, and not completely


def test_fractional_pass_weights_keep_mean_and_variance() -> None:
    rng = np.random.default_rng(2)
    mjj = dijet_masses(20_000, rng)
    weights = rng.choice([0.0, 0.3, 1.0], size=len(mjj), p=[0.8, 0.1, 0.1])
    passes = np.stack([np.ones(len(mjj)), weights], axis=1)
    looks = [Look(0, WINDOWS[0], ("dijet3",)), Look(1, WINDOWS[0], ("dijet3",))]
    model = model_of(mjj, passes, looks)
    totals = np.array([draw_counts(model, 3, i)[1].sum() for i in range(2000)])
    background = fitted(mjj, weights, WINDOWS[0].mask).expected(GRID)[0].sum()
    assert totals.mean() == pytest.approx(background, rel=0.005)
    # Poisson events with weights w: the variance over the mean is sum w^2 / sum w.
    assert totals.var() / totals.mean() == pytest.approx((weights**2).sum() / weights.sum(), rel=0.12)


# What is tested


@pytest.mark.parametrize("strategy", ["events", "transfer-factor", "likelihood-ratio"])
def test_a_pseudo_experiment_is_tested_as_the_search_tests_data(strategy: str) -> None:
    functions = ("dijet3", "dijet4", "dijet5")
    mjj, passes, looks = search(6000, 3, functions=functions, strategy=strategy)
    model = model_of(mjj, passes, looks)
    found = scan(data_counts(mjj, passes, model), model)[0]
    chosen = set()
    for z, look in zip(found, looks, strict=True):
        weights = passes[:, look.spectrum]
        counts = np.histogram(mjj, GRID, weights=weights)[0].astype(float)
        options = {"mask": look.window.mask, "sqrt_s_gev": SQRT_S, "strategy": strategy, "alpha": look.alpha}
        rest = None if look.spectrum == 0 else (np.histogram(mjj, GRID, weights=1.0 - weights)[0].astype(float), None)
        fit = choose_order(counts, GRID, functions=functions, rest=rest, **options)  # type: ignore[arg-type]
        counting = Counting(float(weights[look.window.in_signal(mjj)].sum()), *fit.integral(*look.window.signal))
        workspace = counting_workspace(counting, channel="c", measurement="m")
        assert z == pytest.approx(discovery(workspace).z, abs=1e-3)
        chosen.add(fit.function.name)
    assert strategy == "likelihood-ratio" or len(chosen) > 1


def test_only_bins_in_the_fit_range_of_a_window_are_fitted() -> None:
    mjj, passes, _ = search(20_000, 15)
    short = replace(WINDOWS[0], fit_range=(3100.0, 5000.0))
    looks = [Look(0, WINDOWS[0], ("dijet3",)), Look(0, short, ("dijet3",))]
    model = model_of(mjj, passes[:, :1], looks)
    counts = data_counts(mjj, passes[:, :1], model)
    changed = counts.copy()
    changed[..., (model.cells[:-1] >= 5000.0) | (model.cells[1:] <= 3100.0)] *= 3
    before, after = scan(counts, model)[0], scan(changed, model)[0]
    assert before[1] == after[1]
    assert abs(before[0] - after[0]) > 0.5


def test_events_that_count_half_are_worth_half_an_event() -> None:
    # All weights 1/2: spectrum, background and errors are half of those of the events, and z is the same.
    mjj, passes, _ = search(20_000, 16)
    both = np.stack([passes[:, 0], passes[:, 0] / 2], axis=1)
    looks = [Look(0, WINDOWS[0], ("dijet3",)), Look(1, WINDOWS[0], ("dijet3",))]
    whole = fitted(mjj, both[:, 0], WINDOWS[0].mask)
    half = replace(whole, coefficients=whole.coefficients - np.log(2) * np.linalg.inv(whole.transform)[:, 0])
    model = null_model(mjj, both, [whole, half], looks, GRID)
    z = scan(data_counts(mjj, both, model), model)[0]
    assert z[1] == pytest.approx(z[0], abs=1e-6)
    assert abs(z[0]) > 0.05


def test_fits_that_are_not_valid_are_looks_without_a_p_value(serial: Backend) -> None:
    mjj, passes, looks = search(20_000, 4)
    model = model_of(mjj, passes, looks)
    empty = scan(np.zeros((2, passes.shape[1], len(model.cells) - 1)), model)
    assert (empty == -np.inf).all()
    result = global_significance(0.0, empty.max(axis=1), n_trials=len(looks))
    assert "upper-bound" in result.method


def test_results_depend_on_neither_jobs_nor_the_number_of_toys(serial: Backend, two_processes: Backend) -> None:
    mjj, passes, looks = search(5000, 5)
    model = model_of(mjj, passes, looks)
    one = run_pseudo_experiments(model, 120, serial, random_state=1)
    two = run_pseudo_experiments(model, 120, two_processes, random_state=1)
    np.testing.assert_array_equal(one, two)
    np.testing.assert_allclose(run_pseudo_experiments(model, 30, serial, random_state=1), one[:30], atol=1e-6)
    assert not np.allclose(run_pseudo_experiments(model, 30, serial, random_state=2), one[:30])
    some = run_pseudo_experiments(model, 30, serial, random_state=1, look_indices=[0, 4])
    np.testing.assert_allclose(some, one[:30, [0, 4]], atol=1e-6)


# The global p-value


def test_the_same_selection_looked_at_many_times_is_one_look(serial: Backend) -> None:
    mjj, passes, _ = search(20_000, 6)
    copies = np.repeat(passes[:, [0]], 5, axis=1)
    looks = [Look(i, WINDOWS[0], ("dijet3",)) for i in range(5)]
    model = model_of(mjj, copies, looks)
    z = run_pseudo_experiments(model, 1000, serial, random_state=1)
    np.testing.assert_allclose(z, z[:, :1] * np.ones(5))
    result = global_significance(1.0, z.max(axis=1), n_trials=len(looks))
    assert result.interval is not None
    assert result.interval[0] < stats.norm.sf(1.0) < result.interval[1]
    assert result.effective_trials == pytest.approx(1.0, abs=0.25)


def test_disjoint_selections_follow_the_formula_of_sidak(serial: Backend) -> None:
    n_parts, n_toys = 8, 2000
    rng = np.random.default_rng(8)
    mjj = dijet_masses(40_000, rng)
    part = rng.integers(0, n_parts, len(mjj))
    passes = np.stack([np.ones(len(mjj)), *((part == i).astype(float) for i in range(n_parts))], axis=1)
    looks = [Look(i, WINDOWS[i % 3], ("dijet3",)) for i in range(n_parts + 1)]
    model = model_of(mjj, passes, looks)
    z = run_pseudo_experiments(model, n_toys, serial, random_state=2, look_indices=range(1, n_parts + 1))
    for observed in (1.0, 1.5, 2.0, 2.5):
        result = global_significance(observed, z.max(axis=1), n_trials=n_parts)
        local = (z >= observed).mean(axis=0)
        sidak = 1 - np.prod(1 - local)
        error = np.sqrt(sidak * (1 - sidak) / n_toys)
        assert result.p0 == pytest.approx(sidak, abs=3 * error)
        assert result.p0 == pytest.approx(1 - stats.norm.cdf(observed) ** n_parts, abs=4 * error)
        assert result.effective_trials == pytest.approx(n_parts, rel=0.35)


def test_correlated_looks_cost_less_than_their_number_and_more_than_one(serial: Backend) -> None:
    close = tuple(window(low, low + 400.0, margin=60.0) for low in (3300.0, 3320.0, 3340.0))
    mjj, passes, looks = search(20_000, 9, correlation=0.98, windows=close)
    z = run_pseudo_experiments(model_of(mjj, passes, looks), 1000, serial, random_state=3)
    result = global_significance(2.0, z.max(axis=1), n_trials=len(looks))
    assert result.effective_trials is not None
    assert 2 < result.effective_trials < 0.8 * len(looks)
    assert np.corrcoef(z[:, 0], z[:, 1])[0, 1] > 0.8  # inclusive, in windows that share 380 of 400 GeV


def test_global_p_values_are_uniform_where_there_is_no_signal(serial: Backend) -> None:
    n_searches, n_toys = 24, 100
    p_values = []
    for seed in range(n_searches):
        mjj, passes, looks = search(3000, 100 + seed, windows=WINDOWS[:2])
        model = model_of(mjj, passes, looks)
        observed = scan(data_counts(mjj, passes, model), model).max()
        z = run_pseudo_experiments(model, n_toys, serial, random_state=seed)
        # As a rank among all, ties broken upwards, so that it cannot be zero.
        p_values.append((1 + (z.max(axis=1) >= observed).sum()) / (n_toys + 1))
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) < 0.2) < 0.45


def test_an_excess_is_found_significant_after_all_looks(serial: Backend) -> None:
    mjj, passes, looks = search(20_000, 11)
    signal = np.full(120, 3500.0)
    mjj, passes = np.concatenate([mjj, signal]), np.concatenate([passes, np.ones((120, passes.shape[1]))])
    model = model_of(mjj, passes, looks)
    observed = scan(data_counts(mjj, passes, model), model)[0]
    assert looks[int(observed.argmax())].window == WINDOWS[0]
    z = run_pseudo_experiments(model, 300, serial, random_state=1)
    result = global_significance(float(observed.max()), z.max(axis=1), n_trials=len(looks))
    assert result.z is not None
    assert result.z > 4
    assert result.method == "bonferroni-upper-bound"


# Input that makes no sense


def test_backgrounds_that_the_search_cannot_fit_are_refused() -> None:
    rng = np.random.default_rng(12)
    mjj = 3000.0 + rng.exponential(400.0, 200_000)
    mjj = mjj[mjj < 6500.0]
    passes = np.ones((len(mjj), 1))
    background = [fitted(mjj, passes[:, 0], WINDOWS[1].mask, "dijet4")]
    null_model(mjj, passes, background, [Look(0, WINDOWS[1], ("dijet2", "dijet4"))], GRID)
    with pytest.raises(StatisticsError, match=r"gives z = .* 3500-3900 GeV.*not of the family of dijet2"):
        null_model(mjj, passes, background, [Look(0, WINDOWS[1], ("dijet2",))], GRID)


def test_a_missing_inclusive_selection_or_fit_is_refused() -> None:
    mjj, passes, looks = search(5000, 13)
    fits = [fitted(mjj, column, WINDOWS[0].mask) for column in passes.T]
    for wrong_passes, wrong_fits in ((passes[:, 1:], fits[1:]), (passes, fits[1:])):
        with pytest.raises(StatisticsError, match="Add the inclusive selection"):
            null_model(mjj, wrong_passes, wrong_fits, looks, GRID)


def test_windows_outside_the_grid_and_no_toys_are_refused(serial: Backend) -> None:
    mjj, passes, looks = search(5000, 14)
    fits = [fitted(mjj, column, WINDOWS[0].mask) for column in passes.T]
    outside = [*looks, Look(0, replace(WINDOWS[0], signal=(6000.0, 6600.0)), ("dijet3",))]
    with pytest.raises(StatisticsError, match=r"6000-6600 GeV leaves the fit grid 3000-6500"):
        null_model(mjj, passes, fits, outside, GRID)
    with pytest.raises(StatisticsError, match="must be positive, found 0"):
        run_pseudo_experiments(null_model(mjj, passes, fits, looks, GRID), 0, serial, random_state=1)
