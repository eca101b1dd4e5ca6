from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

from analysis.errors import TableError
from analysis.learning.metrics import RocCurve, background_floor, band, mean_roc, regret, roc_curve, sigma_min


def brute_force_auc(signal, background, signal_weight, background_weight):
    above = (signal[:, None] > background) + 0.5 * (signal[:, None] == background)
    pairs = np.outer(signal_weight, background_weight)
    return (above * pairs).sum() / pairs.sum()


def test_two_gaussians_give_the_closed_forms():
    shift, n = 1.5, 200_001
    # Quantiles in place of random numbers: the population without its noise.
    grid = norm.ppf((np.arange(n) + 0.5) / n)
    curve = roc_curve(grid + shift, grid)
    assert curve.auc == pytest.approx(norm.cdf(shift / 2**0.5), abs=1e-5)
    for eps_b in (2e-3, 1e-2, 0.5):
        assert curve.sic(eps_b) == pytest.approx(norm.cdf(norm.ppf(eps_b) + shift) / eps_b**0.5, rel=1e-3)


def test_the_largest_sic_is_found_above_the_floor_only():
    shift, n = 1.5, 200_001
    grid = norm.ppf((np.arange(n) + 0.5) / n)
    curve = roc_curve(grid + shift, grid)

    def exact(eps_b):
        return norm.cdf(norm.ppf(eps_b) + shift) / eps_b**0.5

    x = np.linspace(1e-4, 1, 100_000)
    value, where = curve.max_sic(1e-4)
    assert value == pytest.approx(exact(x).max(), rel=1e-3)
    assert exact(where) == pytest.approx(exact(x).max(), rel=1e-3)
    above = x[x > 0.4]
    assert curve.max_sic(0.4) == (pytest.approx(exact(above).max(), rel=1e-3), pytest.approx(0.4, abs=1e-4))


def test_the_largest_sic_may_lie_at_the_floor_inside_a_block_of_ties():
    curve = roc_curve(np.zeros(10), np.zeros(10))
    # A straight line from (0, 0) to (1, 1): SIC = √ε_B, largest at 1.
    assert curve.max_sic(0.01) == (pytest.approx(1.0), pytest.approx(1.0))
    # Signal that is all above: SIC = 1 / √ε_B, largest at the floor.
    assert roc_curve(np.ones(10), np.zeros(10)).max_sic(0.04) == (pytest.approx(5.0), pytest.approx(0.04))


@pytest.mark.parametrize("eps_b", [2e-3, 1e-2, 0.3, 1.0])
def test_constant_scores_select_at_random(eps_b):
    curve = roc_curve(np.full(7, 0.5), np.full(13, 0.5))
    assert curve.sic(eps_b) == pytest.approx(eps_b**0.5)
    assert curve.auc == pytest.approx(0.5)


def test_ties_and_weights_agree_with_brute_force():
    rng = np.random.default_rng(1)
    signal, background = rng.integers(2, 9, 60).astype(float), rng.integers(0, 7, 80).astype(float)
    weights = rng.uniform(0.1, 3, 60), rng.uniform(0.1, 3, 80)
    curve = roc_curve(signal, background, signal_weight=weights[0], background_weight=weights[1])
    assert curve.auc == pytest.approx(brute_force_auc(signal, background, *weights))
    for cut in range(9):
        eps_b = weights[1][background >= cut].sum() / weights[1].sum()
        eps_s = weights[0][signal >= cut].sum() / weights[0].sum()
        assert curve.signal_at(eps_b, side="left") - 1e-12 <= eps_s <= curve.signal_at(eps_b) + 1e-12


def test_inside_a_block_of_ties_the_efficiency_is_that_of_random_tie_breaks():
    signal, background = np.array([1.0, 1, 1, 0, 2]), np.array([1.0, 1, 0, 0, 0])
    rng = np.random.default_rng(2)
    broken = [np.repeat(scores, 20_000) + 0.5 * rng.random(100_000) for scores in (signal, background)]
    for eps_b in (0.1, 0.3, 0.7):
        expected = roc_curve(*broken).signal_at(eps_b)
        assert roc_curve(signal, background).signal_at(eps_b) == pytest.approx(expected, abs=0.01)


def test_a_weight_of_two_is_an_event_twice():
    rng = np.random.default_rng(3)
    signal, background = rng.normal(1, 1, 50).round(1), rng.normal(0, 1, 70).round(1)
    counts = rng.integers(0, 4, 50), rng.integers(0, 4, 70)
    weighted = roc_curve(signal, background, signal_weight=counts[0], background_weight=counts[1])
    repeated = roc_curve(np.repeat(signal, counts[0]), np.repeat(background, counts[1]))
    at = np.linspace(0.01, 1, 57)
    assert_allclose(weighted.signal_at(at), repeated.signal_at(at), rtol=1e-12)
    assert weighted.auc == pytest.approx(repeated.auc)
    assert background_floor(np.full(500, 7.0)) == pytest.approx(background_floor(np.ones(500)))


def test_the_floor_is_where_the_error_is_a_fifth():
    # 2309.13111 quotes 8.0e-5 for its 312858 background events.
    assert background_floor(np.ones(312_858)) == pytest.approx(8.0e-5, rel=2e-3)
    # At the floor 25 events pass, known to 1/5.
    assert background_floor(np.ones(10_000)) * 10_000 == pytest.approx(25)
    with pytest.raises(TableError, match="at least 25 are needed"):
        background_floor(np.ones(20))


def test_folds_are_averaged_at_their_own_quantiles():
    rng = np.random.default_rng(4)
    folds = [(rng.normal(1, 1, 40).round(1) + k, rng.normal(0, 1, 50).round(1) + k) for k in (0, 100, -7)]
    curves = [roc_curve(*fold) for fold in folds]
    mean = mean_roc(curves)
    at = np.linspace(0, 1, 333)
    assert_allclose(mean.signal_at(at), np.mean([curve.signal_at(at) for curve in curves], axis=0), atol=1e-12)
    assert mean.auc == pytest.approx(np.mean([curve.auc for curve in curves]))


def test_the_band_is_the_central_68_percent():
    x = np.random.default_rng(5).normal(3.0, 0.5, (200_000, 2))
    found = band(x)
    assert_allclose(found.median, 3.0, atol=0.01)
    assert_allclose(found.high - found.median, 0.5 * norm.ppf(0.84), rtol=0.02)
    assert_allclose(found.median - found.low, 0.5 * norm.ppf(0.84), rtol=0.02)


def test_what_cannot_be_measured_is_refused():
    ones = np.ones(3)
    with pytest.raises(TableError, match="1 of 3 scores of the background are NaN"):
        roc_curve(ones, np.array([0.0, np.nan, 1.0]))
    with pytest.raises(TableError, match="weights of the signal"):
        roc_curve(ones, ones, signal_weight=np.array([1.0, -1.0, 1.0]))
    with pytest.raises(TableError, match=r"weights of the background \(0 events\)"):
        roc_curve(ones, np.array([]))


STEP = RocCurve(np.array([0.0, 0.01, 0.01, 1.0]), np.array([0.0, 0.0, 0.8, 1.0]))
AT_THE_END = RocCurve(np.array([0.0, 1.0, 1.0]), np.array([0.0, 0.0, 1.0]))
DIAGONAL = RocCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def asimov(signal, background):
    return np.sqrt(2 * ((signal + background) * np.log1p(signal / background) - signal))


@pytest.mark.parametrize("background", [0.03, 1.0, 25.0, 1e4, 1e10])
@pytest.mark.parametrize("z", [0.5, 5.0])
def test_sigma_min_without_a_cut_has_the_asimov_significance_that_is_wanted(background, z):
    found = sigma_min(DIAGONAL, background, 1.0, z=z)
    assert asimov(found * background**0.5, background) == pytest.approx(z, rel=1e-5)


@pytest.mark.parametrize(
    ("curve", "background", "floor", "expected"),
    [
        (DIAGONAL, 1e10, 1e-3, 5.0),  # of many events s / √b is the significance, and no cut is better
        (DIAGONAL, 100.0, 0.5, 5.401),  # 2 [154.01 ln 1.5401 - 54.01] = 25
        (STEP, 1e10, 0.01, 5.0 / (0.8 / 0.01**0.5)),  # over the significance improvement
        (STEP, 2500.0, 0.01, 28.888 / 0.8 / 50),  # 25 events are left: 2 [53.888 ln 2.15552 - 28.888] = 25
        (AT_THE_END, 1e4, 0.01, 5.0415),  # everything must be kept: 2 [10504.15 ln 1.050415 - 504.15] = 25
        (STEP, 10.0, 2.5, None),
        (RocCurve(np.array([0.0, 1.0]), np.array([0.0, 0.0])), 100.0, 0.1, None),
    ],
)
def test_sigma_min_is_that_of_the_best_cut_above_the_floor(curve, background, floor, expected):
    found = sigma_min(curve, background, floor)
    assert found == (None if expected is None else pytest.approx(expected, rel=1e-4))


def test_sigma_min_is_the_smallest_of_all_cuts():
    rng = np.random.default_rng(3)
    curve = roc_curve(rng.normal(1.5, 1.0, 300), rng.normal(0.0, 1.0, 2000))
    floor, background = background_floor(np.ones(2000)), 2000.0
    found = sigma_min(curve, background, floor)
    cuts = np.concatenate([np.geomspace(floor, 1, 3000), curve.background[curve.background >= floor]])
    reached = asimov(found * background**0.5 * curve.signal_at(cuts), cuts * background)
    assert reached.max() == pytest.approx(5.0, rel=1e-6)
    assert sigma_min(curve, background, 0.5) > found


def test_the_regret_is_that_over_the_best_classifier_of_each_signal():
    found = [[0.5, 2.0, np.inf], [1.0, 1.0, np.inf], [0.75, np.inf, np.inf]]
    expected = [[1.0, 2.0, np.nan], [2.0, 1.0, np.nan], [1.5, np.inf, np.nan]]
    np.testing.assert_array_equal(regret(found), expected)
