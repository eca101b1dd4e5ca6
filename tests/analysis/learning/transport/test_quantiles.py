"""Conditional quantiles, and distances between equal ranks, against distributions with known quantiles."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.learning.transport.quantiles import PROBABILITIES, Forest, displacement, fit_quantiles, ranks

SEED = np.random.SeedSequence(1)
UNIFORM = PROBABILITIES[None, :]


def test_quantiles_follow_the_mean_and_the_width_that_another_feature_sets() -> None:
    rng = np.random.default_rng(1)
    given = rng.uniform(-1, 1, 40_000).astype(np.float32)
    x = (given + (1 + 0.5 * given) * rng.normal(size=len(given))).astype(np.float32)
    found = fit_quantiles(given[:, None], x, np.ones(len(x)), Forest(), SEED)
    at = np.array([-0.7, 0.0, 0.7], np.float32)
    expected = at[:, None] + (1 + 0.5 * at[:, None]) * stats.norm.ppf(PROBABILITIES)
    inner = (PROBABILITIES > 0.04) & (PROBABILITIES < 0.96)
    np.testing.assert_allclose(found.predict(at[:, None])[:, inner], expected[:, inner], atol=0.15)


def test_weights_count_as_events() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=2000).astype(np.float32)
    none, twice = np.empty((2000, 0), np.float32), np.where(x > 0, 2.0, 1.0)
    weighted = fit_quantiles(none, x, twice, Forest(), SEED).predict(none[:1])
    copies = np.concatenate([x, x[x > 0]])
    repeated = fit_quantiles(np.empty((len(copies), 0), np.float32), copies, np.ones(len(copies)), Forest(), SEED)
    np.testing.assert_allclose(weighted, repeated.predict(none[:1]), atol=0.02)


def test_without_a_defined_value_all_quantiles_are_equal() -> None:
    nothing = np.full(10, np.nan, np.float32)
    found = fit_quantiles(np.zeros((10, 1), np.float32), nothing, np.ones(10), Forest(), SEED)
    assert (found.predict(np.zeros((3, 1), np.float32)) == 0).all()


@pytest.mark.parametrize(
    ("x", "expected"),
    [(0.5, 1.5), (0.25, 1.25), (0.0, 1.0 + 0.001), (-3.0, 1.0 + 0.001), (7.0, 1.0 + 0.999), (np.nan, np.nan)],
)
def test_displacement_to_a_uniform_distribution_of_twice_the_width(x: float, expected: float) -> None:
    """From [0, 1] to [1, 3] a value u goes to 1 + 2 u; beyond the outermost quantiles it moves as they do."""
    found = displacement(np.array([x]), UNIFORM, 1 + 2 * UNIFORM, np.zeros(1))
    np.testing.assert_allclose(found, [expected])


def test_equal_values_are_spread_over_their_ranks() -> None:
    atom = np.where(PROBABILITIES < 0.51, 0.0, PROBABILITIES)[None, :]  # half of all values are 0
    tie = np.linspace(0, 1, 101)[:-1]
    moved = displacement(np.zeros(100), np.repeat(atom, 100, axis=0), np.repeat(UNIFORM, 100, axis=0), tie)
    assert moved.min() == pytest.approx(0.001)
    assert moved.max() == pytest.approx(0.5, abs=0.02)
    assert (np.diff(moved) >= 0).all()
    stay = displacement(np.zeros(100), np.repeat(atom, 100, axis=0), np.repeat(atom, 100, axis=0), tie)
    assert (stay == 0).all()


def test_ranks_of_equal_values_are_equal_and_weighted() -> None:
    found = ranks(np.array([2.0, 1.0, 1.0, 3.0]), np.array([1.0, 1.0, 2.0, 4.0]))
    np.testing.assert_allclose(found, [3.5 / 8, 1.5 / 8, 1.5 / 8, 6 / 8])
