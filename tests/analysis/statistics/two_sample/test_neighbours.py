"""Divergence by nearest neighbours against closed forms, and the distribution of its p-values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics.two_sample import Neighbours, Union, neighbour_test

Array = NDArray[np.float32]


def union(first: NDArray[np.float64], second: NDArray[np.float64], seed: int = 0) -> Union:
    X = np.concatenate([first, second]).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(X))
    return Union(X[order], (np.arange(len(X)) < len(first))[order])


def gaussians(n: int, shift: float, dimensions: int = 1, seed: int = 0) -> Union:
    rng = np.random.default_rng(seed)
    return union(rng.normal(shift, 1, (n, dimensions)), rng.normal(0, 1, (n, dimensions)))


def divergence(sample: Union, n_neighbours: int = 5) -> float:
    return Neighbours(sample.X, sample.sizes[0], n_neighbours=n_neighbours).divergence(sample.is_first)


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_divergence_of_two_gaussians_is_half_the_squared_distance(scale: float) -> None:
    # A shift of √2 has a divergence of 1, with a statistical error of √(2.4 / 20,000) = 0.011.
    sample = gaussians(20_000, 2**0.5)
    assert divergence(Union(sample.X * np.float32(scale), sample.is_first)) == pytest.approx(1.0, rel=0.05)


def test_divergence_of_two_gaussians_in_two_dimensions() -> None:
    # A half by a shift of 1 along one feature, 1 by the same shift along both: 2 to 3 % too small on average.
    rng = np.random.default_rng(4)
    first, second = rng.normal(size=(20_000, 2)), rng.normal(size=(20_000, 2))
    assert divergence(union(first + np.array([1.0, 0.0]), second)) == pytest.approx(0.5, rel=0.05)
    assert divergence(union(first + 1.0, second)) == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize("ratio", [0.5, 1.2])
def test_divergence_of_unequal_widths_is_that_of_the_first_sample(ratio: float) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.normal(0, ratio, (5_000, 1)), rng.normal(0, 1, (10_000, 1))
    expected = (ratio**2 - 1) / 2 - np.log(ratio)
    assert divergence(union(first, second)) == pytest.approx(expected, abs=0.03)


def test_neighbours_of_a_labelling_are_those_of_separate_trees() -> None:
    rng = np.random.default_rng(2)
    far = union(rng.normal(30, 1, (300, 2)), rng.normal(0, 1, (300, 2)))  # no other label among the nearest
    X = far.X.astype(np.float64) / far.X.astype(np.float64).std(axis=0)
    first, second = X[far.is_first], X[~far.is_first]
    to = [np.sort(np.linalg.norm(first[:, None] - other[None], axis=2)) for other in (first, second)]
    expected = 2 * np.log(to[1][:, 2] / to[0][:, 3]).mean() + np.log(300 / 299)  # the nearest is the event itself
    assert divergence(far, 3) == pytest.approx(expected, rel=1e-3)


def test_ties_and_undefined_features_give_the_divergence_of_their_fractions() -> None:
    n = 4000
    first = np.where(np.arange(n) < 0.8 * n, np.nan, 1.0)[:, None]
    second = np.where(np.arange(n) < 0.4 * n, np.nan, 1.0)[:, None]
    expected = 0.8 * np.log(2) + 0.2 * np.log(1 / 3)
    assert divergence(union(first, second)) == pytest.approx(expected, abs=0.05)


def test_p_is_uniform_without_a_difference() -> None:
    rng = np.random.default_rng(5)
    permutations = 39
    p = []
    for toy in range(200):
        X = rng.exponential(size=(160, 2)).round(1)  # with ties
        p.append(neighbour_test(union(X[:60], X[60:], toy), permutations=permutations, seed=toy).p)
    counts = np.bincount((np.round(np.array(p) * (permutations + 1)).astype(int) - 1) // 8, minlength=5)
    assert stats.chisquare(counts).pvalue > 0.001
    assert min(p) >= 1 / (permutations + 1)


def test_a_difference_is_found() -> None:
    found = neighbour_test(gaussians(1000, 0.5, dimensions=2), permutations=50)
    assert found.p == 1 / 51
    assert found.value > found.mean + 5 * found.spread
    assert abs(found.mean) < found.spread
