"""Two-sample tests by classifiers: closed forms, and p-values with and without a difference."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.two_sample import Union, classifier_tests, trial
from analysis.statistics.two_sample.classifiers import likelihood_ratio


def gaussians(n: int, shift: float, seed: int = 0) -> Union:
    rng = np.random.default_rng(seed)
    is_first = rng.permutation(2 * n) < n
    return Union((rng.normal(size=(2 * n, 2)) + shift * is_first[:, None]).astype(np.float32), is_first)


def test_trees_come_close_to_the_area_and_the_likelihood_ratio_of_two_gaussians() -> None:
    n, shift = 10_000, 0.5
    found = trial(gaussians(n, shift), 0)
    distance = 2**0.5 * shift
    assert found.area == pytest.approx(stats.norm.cdf(distance / 2**0.5), abs=0.015)
    # Log of the ratio of densities: its mean over the first sample is half the squared distance.
    assert 0.8 < found.likelihood_ratio / (2 * n * distance**2 / 2) < 1.05


def test_likelihood_ratio_with_the_true_ratio_is_twice_the_divergence() -> None:
    n = 50_000
    sample = gaussians(n, 0.3)
    log_ratio = (0.3 * sample.X - 0.3**2 / 2).sum(axis=1)
    value = likelihood_ratio(1 / (1 + np.exp(-log_ratio.astype(np.float64))), sample.is_first)
    assert value / (2 * n) == pytest.approx(0.3**2, rel=0.05)


def test_a_constant_score_has_no_likelihood_ratio() -> None:
    assert likelihood_ratio(np.full(10, 0.5), np.arange(10) < 3) == 0.0


@pytest.mark.parametrize(("shift", "low", "high"), [(0.0, 0.06, 1.0), (0.5, 0.0, 0.06)])
def test_p_tells_a_difference_from_none(shift: float, low: float, high: float) -> None:
    sample = gaussians(500, shift, seed=2)
    tests = classifier_tests([trial(sample, number, seed=3) for number in range(20)])
    assert [one.name for one in tests] == ["auc", "likelihood-ratio"]
    assert all(low < one.p <= high for one in tests)
    assert all(one.permutations == 19 for one in tests)
