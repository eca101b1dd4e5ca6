"""DCTR weights against exact density ratios of Gaussians."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.config import ClassifierConfig
from analysis.errors import TableError
from analysis.events.identity import event_hash
from analysis.learning import BoostedTrees, assign_folds
from analysis.learning.reweighting import InterpolatedRatio, chi2_by_feature, fit_ratio
from analysis.learning.training_set import Rows
from tests.builders.spies import SpyLearner

LEARNER = BoostedTrees(
    ClassifierConfig(n_estimators=80, learning_rate=0.1, max_depth=3, min_child_weight=100.0, subsample=0.5), 1
)
DRIFT = 0.5  # per TeV: means of the target are DRIFT * (m - 3.5 TeV), of the source 0
SIDES = ((3.1, 3.3), (3.7, 3.9))
N = 40_000


def rows(X: np.ndarray, number: int = 1, weight: np.ndarray | None = None) -> Rows:
    X = np.asarray(X, np.float32).reshape(len(X), X[0].size if len(X) else 1)
    return Rows(X, np.ones(len(X)) if weight is None else weight, event_hash(number, np.arange(len(X))))


@pytest.fixture(scope="module")
def interpolated() -> InterpolatedRatio:
    rng = np.random.default_rng(3)
    ratios = []
    for number, side in enumerate(SIDES):
        mass = rng.uniform(*side, N)
        target = rows(rng.normal(2 * DRIFT * (mass - 3.5) + DRIFT, 1.0), 2 * number)
        source = rows(rng.normal(size=N), 2 * number + 1)
        ratios.append(fit_ratio(target, source, LEARNER, n_folds=3, random_state=np.random.SeedSequence(number)))
    return InterpolatedRatio(ratios[0], ratios[1], 3.2, 3.8)


def exact(x: np.ndarray, mass: float) -> np.ndarray:
    """N(x; mean, 1) / N(x; 0, 1) with a mean that is linear in the mass: its log is x mean - mean^2 / 2."""
    mean = 2 * DRIFT * (mass - 3.5) + DRIFT
    return np.exp(x * mean - mean**2 / 2)


@pytest.mark.parametrize("mass", [3.35, 3.5, 3.65])
def test_interpolation_beats_a_flat_extrapolation_by_far(interpolated: InterpolatedRatio, mass: float) -> None:
    x = np.random.default_rng(4).normal(size=20_000)
    X = x.astype(np.float32)[:, None]
    weight = interpolated.weight(X, np.full(len(x), mass))
    side = interpolated.lower if mass < 3.5 else interpolated.upper
    flat = np.exp(side.log_ratio(X))  # what trees give that know the mass: the ratio of the nearest sideband

    def distance(found: np.ndarray) -> float:
        return float(np.mean((found / found.mean() - exact(x, mass)) ** 2))

    assert distance(weight) < 0.01
    assert distance(weight) < distance(flat) / 2
    # The moments of the target: mean of the drift, not that of a sideband.
    mean = 2 * DRIFT * (mass - 3.5) + DRIFT
    assert np.average(x, weights=weight) == pytest.approx(mean, abs=0.05)
    if mass == 3.5:
        assert distance(weight) < distance(flat) / 6
        assert abs(np.average(x, weights=flat) - mean) > 0.2


def test_at_an_anchor_it_is_the_ratio_of_that_side(interpolated: InterpolatedRatio) -> None:
    X = np.linspace(-2, 2, 9, dtype=np.float32)[:, None]
    for ratio, at in ((interpolated.lower, 3.2), (interpolated.upper, 3.8)):
        np.testing.assert_allclose(interpolated.weight(X, np.full(9, at)), np.exp(ratio.log_ratio(X)), rtol=1e-9)


def test_log_weights_are_clipped(interpolated: InterpolatedRatio) -> None:
    narrow = InterpolatedRatio(interpolated.lower, interpolated.upper, 3.2, 3.8, max_log=0.1)
    X = np.linspace(-3, 3, 50, dtype=np.float32)[:, None]
    weight = narrow.weight(X, np.full(50, 3.8))
    assert weight.max() == pytest.approx(np.exp(0.1))
    assert weight.min() == pytest.approx(np.exp(-0.1))


def test_totals_of_the_samples_do_not_matter() -> None:
    rng = np.random.default_rng(5)
    X, other = rng.normal(0.3, 1, 5000), rng.normal(size=2000)
    grid = np.linspace(-2, 2, 20, dtype=np.float32)[:, None]
    found = [
        fit_ratio(
            rows(X, 1, np.full(5000, scale)), rows(other, 2), LEARNER, n_folds=2, random_state=np.random.SeedSequence(1)
        ).log_ratio(grid)
        for scale in (1.0, 7.0)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)


def test_no_model_sees_the_fold_that_it_weighs() -> None:
    rng = np.random.default_rng(6)
    target, source = rows(rng.normal(size=900), 1), rows(rng.normal(size=700), 2)
    ratio = fit_ratio(target, source, SpyLearner(), n_folds=3, random_state=np.random.SeedSequence(2))
    everyone = set(target.group.tolist()) | set(source.group.tolist())
    for fold, model in enumerate(ratio.models):
        for sample in (target, source):
            np.testing.assert_array_equal(
                ratio.fold_of(sample.group), assign_folds(sample.group, 3, random_state=ratio.seed)
            )
            held_out = set(sample.group[ratio.fold_of(sample.group) == fold].tolist())
            assert len(held_out) > 150
            assert not held_out & model.seen
        assert len(model.seen) > len(everyone) / 2
    assert set.union(*(model.seen for model in ratio.models)) == everyone


def test_order_of_rows_does_not_matter() -> None:
    rng = np.random.default_rng(7)
    target, source = rows(rng.normal(0.5, 1, 2000), 1), rows(rng.normal(size=2000), 2)
    grid = np.linspace(-2, 2, 20, dtype=np.float32)[:, None]
    order = rng.permutation(2000)
    found = [
        fit_ratio(target.where(i), source.where(i), LEARNER, n_folds=2, random_state=np.random.SeedSequence(1))
        for i in (np.arange(2000), order)
    ]
    np.testing.assert_array_equal(found[0].log_ratio(grid), found[1].log_ratio(grid))


def test_negative_weights_keep_their_sample_whole() -> None:
    """A tenth of the source has weight -1 and looks like the rest: the ratio is that without them."""
    rng = np.random.default_rng(8)
    target, x = rows(rng.normal(0.5, 1, 20_000), 1), rng.normal(size=20_000)
    weight = np.where(rng.random(20_000) < 0.1, -1.0, 1.0)
    ratio = fit_ratio(target, rows(x, 2, weight), LEARNER, n_folds=2, random_state=np.random.SeedSequence(1))
    grid = np.linspace(-1.2, 1.2, 13)
    np.testing.assert_allclose(ratio.log_ratio(grid.astype(np.float32)[:, None]), 0.5 * grid - 0.125, atol=0.2)


def test_an_empty_sample_is_refused() -> None:
    with pytest.raises(TableError, match="class 0"):
        fit_ratio(rows(np.ones(50)), rows(np.ones(0)), LEARNER, n_folds=2, random_state=np.random.SeedSequence(1))


def test_chi2_is_one_for_equal_and_large_for_different_samples() -> None:
    rng = np.random.default_rng(9)
    a, b = rng.normal(size=(40_000, 60)), rng.normal(size=(20_000, 60))
    weight = rng.uniform(0.2, 1.8, 20_000)
    same = chi2_by_feature(rows(a), rows(b, 2, weight))
    # 60 features of 9 degrees of freedom each: mean 1 +- sqrt(2 / 540).
    assert same.mean() == pytest.approx(1, abs=4 * (2 / 540) ** 0.5)
    assert chi2_by_feature(rows(a[:, :1]), rows(b[:, :1] + 0.1, 2)) > 10
