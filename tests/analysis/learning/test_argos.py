from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.learning.argos import argos, argos_at
from analysis.learning.metrics import RocCurve, roc_curve


def sample(n: int, fraction: float, seed: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scores of class 1, N(0, 1) with a fraction of N(2, 1), and of class 0, N(0, 1)."""
    rng = np.random.default_rng(seed)
    return rng.normal(2.0 * (rng.random(n) < fraction)), rng.normal(size=n)


def value(one: NDArray[np.float64], zero: NDArray[np.float64], *, floor: float = 0.01) -> float:
    return argos(roc_curve(one, zero), floor=floor)


def population(fraction: float, floor: float) -> float:
    thresholds = np.linspace(-5, stats.norm.isf(floor), 20_001)
    zero = stats.norm.sf(thresholds)
    one = (1 - fraction) * zero + fraction * stats.norm.sf(thresholds - 2)
    return float((one / np.sqrt(zero) - np.sqrt(zero)).max())


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.3])
def test_it_approaches_the_population_value(fraction: float) -> None:
    # The error of eps_1 / sqrt(eps_0) is sqrt(2 / n) at any threshold; four of them, and what the maximum adds.
    found = value(*sample(400_000, fraction, seed=1))
    assert found == pytest.approx(population(fraction, 0.01), abs=4 * np.sqrt(2 / 4e5))


def test_brute_force_with_weights_and_ties() -> None:
    rng = np.random.default_rng(2)
    score, weight = rng.integers(0, 30, 500).astype(np.float64), rng.uniform(0.1, 3.0, 500)
    y = rng.integers(0, 2, 500)
    found = []
    for threshold in range(30):
        one, zero = (weight[(y == k) & (score >= threshold)].sum() / weight[y == k].sum() for k in (1, 0))
        found.append((zero, one / np.sqrt(zero) - np.sqrt(zero)))
    floor = sorted(zero for zero, _ in found)[2]
    expected = max(gain for zero, gain in found if zero >= floor)
    for scale in (1.0, 7.0):
        weights = {"signal_weight": scale * weight[y == 1], "background_weight": scale * weight[y == 0]}
        assert argos(roc_curve(score[y == 1], score[y == 0], **weights), floor=floor) == pytest.approx(expected)


def test_between_thresholds_ties_pass_at_random() -> None:
    roc = RocCurve(background=np.array([0.0, 0.1, 1.0]), signal=np.array([0.0, 0.4, 1.0]))
    assert argos_at(roc, 0.05) == pytest.approx(0.2 / np.sqrt(0.05) - np.sqrt(0.05))
    assert argos(roc, floor=0.02) == pytest.approx(0.4 / np.sqrt(0.1) - np.sqrt(0.1))
    assert argos(roc, floor=0.55) == pytest.approx(0.7 / np.sqrt(0.55) - np.sqrt(0.55))


def test_constant_scores_are_worth_nothing() -> None:
    assert value(np.zeros(100), np.zeros(100)) == pytest.approx(0, abs=1e-12)


def test_it_prefers_the_better_of_two_scores() -> None:
    one, zero = sample(50_000, 0.1, seed=4)
    noise = np.random.default_rng(5).normal(0, 1.5, (2, 50_000))
    assert value(one, zero) > value(one + noise[0], zero + noise[1]) + 0.05
