from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom, norm

from analysis.statistics import Counting, bonferroni, counting_workspace, counting_z, discovery
from analysis.statistics.trials import global_significance, retrained_significance, wilson_interval
from tests.builders.closed_forms import signed_z


def test_smallest_p_value_times_looks() -> None:
    result = bonferroni([0.2, 1e-4, 0.7], 30)
    assert result.p0 == pytest.approx(3e-3)
    assert result.z == pytest.approx(norm.isf(3e-3)) == pytest.approx(2.7478, abs=1e-4)


def test_one_look_costs_nothing() -> None:
    assert bonferroni([0.01], 1).z == pytest.approx(norm.isf(0.01))


def test_a_certain_outcome_has_no_significance() -> None:
    result = bonferroni([0.3, 0.4], 10)
    assert (result.p0, result.z) == (1.0, None)


def test_without_p_values_nothing_is_known() -> None:
    result = bonferroni([], 30)
    assert (result.p0, result.z) == (None, None)


def test_a_p_value_below_all_floats_has_no_significance_rather_than_an_infinite_one() -> None:
    result = bonferroni([float(norm.sf(50.0)), 0.5], 30)
    assert (result.p0, result.z) == (0.0, None)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_covers_under_any_correlation(correlation: float) -> None:
    n_toys, n_looks, level = 20_000, 12, 0.05
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(n_toys, 1)), rng.normal(size=(n_toys, n_looks))
    p_values = norm.sf(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    found = np.mean([bonferroni(row.tolist(), n_looks).p0 < level for row in p_values])
    assert found < level + 4 * np.sqrt(level / n_toys)
    if correlation == 0:
        assert found == pytest.approx(1 - (1 - level / n_looks) ** n_looks, abs=4 * np.sqrt(level / n_toys))


# From pseudo-experiments


def test_global_p_value_is_the_fraction_of_toys_with_at_least_the_observed_excess() -> None:
    z_toys = np.array([0.5, 1.0, 1.5, 2.0, -np.inf, 2.5, 0.1, 0.2, 0.3, 0.4])
    result = global_significance(1.5, z_toys, n_trials=6)
    assert (result.p0, result.method, result.n_toys, result.n_trials) == (0.3, "pseudo-experiments", 10, 6)
    assert result.z == pytest.approx(norm.isf(0.3))


@pytest.mark.parametrize("n_looks", [1, 7, 50])
def test_independent_looks_have_their_number_as_trials(n_looks: int) -> None:
    z_toys = np.random.default_rng(n_looks).normal(size=(20_000, n_looks)).max(axis=1)
    result = global_significance(2.0, z_toys, n_trials=n_looks)
    sidak = 1 - norm.cdf(2.0) ** n_looks
    assert result.p0 == pytest.approx(sidak, abs=4 * np.sqrt(sidak * (1 - sidak) / 20_000))
    assert result.effective_trials == pytest.approx(n_looks, rel=0.15)
    assert result.interval is not None
    assert result.interval[0] < sidak < result.interval[1]


def test_no_toy_above_gives_the_tighter_of_two_bounds_and_says_which() -> None:
    z_toys = np.random.default_rng(0).normal(size=(1000, 30)).max(axis=1)
    near = global_significance(float(z_toys.max()) + 0.01, z_toys, n_trials=10_000)
    # No event in 1000 excludes 3.8 / 1000 at 97.5 % (Wilson); the exact bound is 3.7 / 1000.
    assert near.method == "pseudo-experiments-upper-bound"
    assert near.p0 == pytest.approx(1 - 0.025 ** (1 / 1000), rel=0.05)
    assert near.z == pytest.approx(norm.isf(near.p0))
    far = global_significance(7.0, z_toys, n_trials=30)
    assert far.method == "bonferroni-upper-bound"
    assert far.p0 == pytest.approx(30 * norm.sf(7.0))
    assert (far.n_toys, far.effective_trials) == (1000, None)


@pytest.mark.parametrize(
    ("n_above", "n_looks", "worth", "factor"),
    [
        # Of 1000 toys 100 reach z = 3: the interval of 0.1 begins at 0.0830, and n p is n 0.00135.
        (100, 25, "worth 78 independent ones, more than there are", 0.08297 / (25 * 0.00134990)),
        (100, 61, "worth 78 independent ones, more than there are", 0.08297 / (61 * 0.00134990)),
        # The interval contains 62 p: a fluctuation of the toys can explain it.
        (100, 62, "worth 62 independent ones within the error of 1000 pseudo-experiments", None),
        (30, 25, "worth 23 independent ones", None),
        (2, 25, "worth 1 independent one", None),
    ],
)
def test_looks_worth_more_than_their_number_mean_local_p_values_that_are_too_small(
    n_above: int, n_looks: int, worth: str, factor: float | None
) -> None:
    z_toys = np.repeat([3.5, 0.0], [n_above, 1000 - n_above])
    result = global_significance(3.0, z_toys, n_trials=n_looks)
    assert result.worth == worth
    if factor is None:
        assert (result.miscalibration, result.warning) == (None, None)
    else:
        assert result.miscalibration == pytest.approx(factor, rel=1e-3)
        assert f"too small, by a factor of {factor:.2g} or more: {n_looks} looks cannot raise" in result.warning


@pytest.mark.parametrize("likelihood", ["profile", "gaussian"])
def test_the_local_p_value_of_a_gaussian_background_is_found_too_small(likelihood: str) -> None:
    """One look at 1000 events with a log-normal error of 10 %, which the profile knows and the Gaussian does not."""
    rng = np.random.default_rng(5)
    estimate = 1000 * np.exp(0.1 * rng.normal(size=50_000))
    n = rng.poisson(1000, size=len(estimate)).astype(float)
    z_toys = counting_z(n, estimate, np.expm1(0.1) * estimate, likelihood)
    result = global_significance(3.0, z_toys, n_trials=1)
    assert (result.warning is None) == (likelihood == "profile")


def test_all_toys_above_is_certain() -> None:
    result = global_significance(-1.0, np.zeros(50), n_trials=3)
    assert (result.p0, result.z, result.effective_trials) == (1.0, None, None)
    assert result.interval is not None
    assert result.interval[1] == 1.0


@pytest.mark.parametrize(("p", "n"), [(0.02, 500), (0.3, 100), (0.9, 60)])
def test_interval_covers(p: float, n: int) -> None:
    found = np.arange(n + 1)
    inside = [low <= p <= high for low, high in (wilson_interval(int(k), n) for k in found)]
    assert binom.pmf(found, n, p) @ inside == pytest.approx(0.95, abs=0.03)


def test_interval_is_that_of_the_literature() -> None:
    # R. G. Newcombe, Stat. Med. 17 (1998) 857, table I, Wilson score: 81/263, 15/148, 0/20, 1/29.
    published = {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }
    for (k, n), interval in published.items():
        assert wilson_interval(k, n) == pytest.approx(interval, abs=5e-5)


# The closed form


@pytest.mark.parametrize("b", [0.5, 3.0, 20.0, 500.0, 16_000.0])
@pytest.mark.parametrize("relative_error", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("likelihood", ["profile", "gaussian"])
def test_closed_form_agrees_with_the_profile_likelihood_of_pyhf(
    b: float, relative_error: float, likelihood: str
) -> None:
    sigma = relative_error * b
    width = np.hypot(np.sqrt(b), sigma)
    for n in {0.0, *np.maximum(np.round(b + width * np.array([-2.0, -0.5, 0.7, 2.0, 5.0])), 0.0).tolist()}:
        z = float(counting_z(np.array(n), np.array(b), np.array(sigma), likelihood))
        assert z == pytest.approx(signed_z(n, b, sigma, likelihood), abs=1e-6)
        if n > 0 or sigma**2 < b:  # else the background falls to zero, where the search stops a little above
            workspace = counting_workspace(Counting(n, b, sigma, likelihood), channel="c", measurement="m")
            assert z == pytest.approx(discovery(workspace).z, abs=1e-3)


@pytest.mark.parametrize("likelihood", ["profile", "gaussian"])
def test_closed_form_of_many_is_that_of_each(likelihood: str) -> None:
    rng = np.random.default_rng(1)
    b = 10 ** rng.uniform(-1, 5, 200)
    sigma, n = b * rng.uniform(0.001, 3.0, 200), rng.poisson(b).astype(float)
    expected = [signed_z(*values, likelihood) for values in zip(n, b, sigma, strict=True)]
    np.testing.assert_allclose(counting_z(n, b, sigma, likelihood), expected, atol=1e-5)


# From scans that train anew


@pytest.mark.parametrize("n_looks", [1, 7, 50])
def test_few_scans_give_the_p_values_of_larger_excesses_than_any_of_them(n_looks: int) -> None:
    estimates = []
    for seed in range(300):
        scans = np.random.default_rng([seed, n_looks]).normal(size=(100, n_looks)).max(axis=1)
        found = retrained_significance(4.0, scans, n_trials=10 * n_looks)
        assert found.effective_trials is not None
        assert found.interval is not None
        estimates.append((found.p0, *found.interval))
    p0, low, high = np.array(estimates, np.float64).T
    truth = -np.expm1(n_looks * norm.logcdf(4.0))
    assert np.exp(np.log(p0).mean()) == pytest.approx(truth, rel=0.05)
    assert np.mean((low < truth) & (truth < high)) == pytest.approx(0.95, abs=0.05)


def test_a_global_p_value_from_scans_is_not_above_bonferroni_s_bound() -> None:
    scans = np.random.default_rng(1).normal(size=(200, 30)).max(axis=1)
    found = retrained_significance(3.0, scans, n_trials=5)
    assert found.p0 == pytest.approx(5 * norm.sf(3.0))
    assert found.method == "retrained-scans"
    assert found.method_text == "200 scans without signal, trained anew"
