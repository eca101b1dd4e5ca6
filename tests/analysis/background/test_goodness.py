"""p-values of fits: right where bins are nearly empty, at little cost, and in the far tail."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.background import BAD_FIT, BackgroundFit, goodness_of_fit, is_bad_fit
from analysis.background.goodness import _toy_p_value
from analysis.background.likelihood import integrals, make_design, solve
from tests.builders.truth import fit, toys


@cache
def sparse_fits() -> list[BackgroundFit]:
    return [fit(counts) for counts in toys(250, 300, seed=8)]


def by_full_refits(result: BackgroundFit, n_toys: int, seed: int) -> NDArray[np.float64]:
    """Deviances of toys refitted with the whole design, without any short cut."""
    data = result.data
    assert data is not None
    design = make_design(result.function, data.low, data.high, result.sqrt_s_gev, result.transform)
    expected = integrals(design, result.coefficients[None])[0][0]
    drawn = np.random.default_rng(seed).poisson(expected, (n_toys, len(expected))).astype(float)
    return solve(drawn, design, np.ones_like(drawn)).deviance


def test_p_values_of_sparse_spectra_are_uniform_where_the_chi_square_is_not() -> None:
    p_values = np.array([goodness_of_fit(result, random_state=i).p_value for i, result in enumerate(sparse_fits())])
    assert all(goodness_of_fit(result).method == "toys" for result in sparse_fits()[:5])
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3
    assert stats.kstest([result.p_value for result in sparse_fits()], "uniform").pvalue < 1e-6
    for level in (0.01, 0.1):
        assert stats.binomtest(int((p_values < level).sum()), len(p_values), level).pvalue > 1e-3


def test_short_cuts_give_the_p_value_of_full_refits() -> None:
    for seed, result in enumerate(sparse_fits()[:12]):
        found = goodness_of_fit(result, random_state=seed).p_value
        full = (by_full_refits(result, 2000, 100 + seed) >= result.deviance).mean()
        assert found == pytest.approx(full, abs=0.1)


def test_a_small_p_value_is_that_of_full_refits() -> None:
    counts = toys(1, 300, seed=8)[0]
    counts[-3] += 6.0
    result = fit(counts)
    found = goodness_of_fit(result)
    full = float((by_full_refits(result, 4000, 1) >= result.deviance).mean())
    assert 0.001 < full < 0.04
    assert found.n_toys == 2000  # more toys for a small p-value
    assert abs(found.p_value - full) < 4 * (full / 2000 + full / 4000) ** 0.5


def test_a_line_in_a_sideband_of_few_events_is_beyond_all_toys() -> None:
    counts = toys(1, 300, seed=8)[0]
    counts[-8] += 40.0
    found = goodness_of_fit(fit(counts))
    assert found.method == "toys"
    assert found.p_value < 1e-8


@pytest.mark.parametrize("deviance", [62.0, 80.0, 110.0])
def test_the_tail_beyond_the_toys_is_that_of_the_chi_square_where_that_holds(deviance: float) -> None:
    drawn = stats.chi2.rvs(30, size=2000, random_state=3)
    drawn = drawn[drawn < deviance]
    assert _toy_p_value(drawn, deviance) == pytest.approx(min(stats.chi2.sf(deviance, 30), 1 / 2001), rel=0.9)


@pytest.mark.parametrize(
    ("p", "bad"), [(None, False), (0.0, True), (BAD_FIT / 2, True), (BAD_FIT, False), (1.0, False)]
)
def test_a_fit_is_bad_below_one_percent(p: float | None, *, bad: bool) -> None:
    assert is_bad_fit(p) == bad
