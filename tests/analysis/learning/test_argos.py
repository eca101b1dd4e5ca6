from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.learning.argos import argos, choose_rounds


def sample(n: int, fraction: float, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.float64]]:
    """Background N(0, 1) as class 0; class 1 with a fraction of N(2, 1)."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1], n).astype(np.int8)
    signal = (y == 1) & (rng.random(2 * n) < fraction)
    return rng.normal(2.0 * signal).astype(np.float32), y, np.ones(2 * n)


def population(fraction: float, floor: float) -> float:
    thresholds = np.linspace(-5, stats.norm.isf(floor), 20_001)
    zero = stats.norm.sf(thresholds)
    one = (1 - fraction) * zero + fraction * stats.norm.sf(thresholds - 2)
    return float((one / np.sqrt(zero) - np.sqrt(zero)).max())


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.3])
def test_it_approaches_the_population_value(fraction: float) -> None:
    score, y, weight = sample(400_000, fraction, seed=1)
    # The error of eps_1 / sqrt(eps_0) is sqrt(2 / n) at any threshold; four of them, and what the maximum adds.
    assert argos(score, y, weight, floor=0.01) == pytest.approx(population(fraction, 0.01), abs=4 * np.sqrt(2 / 4e5))


def test_brute_force_with_weights_and_ties() -> None:
    rng = np.random.default_rng(2)
    score = rng.integers(0, 30, 500).astype(np.float32)
    y, weight = rng.integers(0, 2, 500).astype(np.int8), rng.uniform(0.1, 3.0, 500)
    found = []
    for threshold in range(30):
        one, zero = (weight[(y == k) & (score >= threshold)].sum() / weight[y == k].sum() for k in (1, 0))
        if zero >= 0.1:
            found.append(one / np.sqrt(zero) - np.sqrt(zero))
    assert argos(score, y, weight, floor=0.1) == pytest.approx(max(found))
    assert argos(score, y, 7 * weight, floor=0.1) == pytest.approx(max(found))


def test_constant_scores_are_worth_nothing() -> None:
    _, y, weight = sample(100, 0.5, seed=3)
    assert argos(np.zeros(200, np.float32), y, weight, floor=0.01) == pytest.approx(0, abs=1e-12)


def test_it_prefers_the_better_of_two_scores() -> None:
    score, y, weight = sample(50_000, 0.1, seed=4)
    blurred = score + np.random.default_rng(5).normal(0, 1.5, len(score)).astype(np.float32)
    assert argos(score, y, weight, floor=0.01) > argos(blurred, y, weight, floor=0.01) + 0.05


def test_rounds_of_a_whole_ensemble_scatter_less_than_those_of_members() -> None:
    """Curves with a known flat maximum at 40 rounds and as much noise as signal, ensembles of 16 members."""
    rng, checkpoints = np.random.default_rng(6), np.arange(5, 101, 5)
    truth = -(((checkpoints - 40) / 60) ** 2)
    curves = truth + rng.normal(0, 0.3, size=(200, 16, len(checkpoints)))
    alone = checkpoints[curves[:, 0].argmax(axis=1)]
    pooled = np.array([choose_rounds(one, checkpoints).rounds for one in curves])
    assert pooled.std() < 0.65 * alone.std()
    assert np.mean(pooled) == pytest.approx(40, abs=5)
