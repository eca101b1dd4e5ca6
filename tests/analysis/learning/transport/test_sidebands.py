"""Moving events along m_jj, against distributions whose dependence on m_jj is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.learning.training_set import Rows
from analysis.learning.transport import Sideband, Transport, fit_transport
from analysis.learning.transport.quantiles import Forest

SEED = np.random.SeedSequence(1)
FOREST = Forest(n_trees=8)
MIDDLE = 3500.0
SIDES = ((3000.0, 3300.0), (3700.0, 4000.0))

Drifting = tuple[NDArray[np.float32], NDArray[np.float64]]


def linear(mass: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """Two correlated features: the mean and the width of the first drift, and the mean of the second."""
    t = (mass - MIDDLE) / 1000
    first = rng.normal(size=len(mass))
    second = 0.6 * first + 0.8 * rng.normal(size=len(mass))
    return np.stack([3 * t + (1 + 0.5 * t) * first, second - 2 * t], axis=1).astype(np.float32)


def quadratic(mass: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    x = rng.normal(size=(len(mass), 2)) + 20 * (mass[:, None] / MIDDLE) ** 2
    return x.astype(np.float32)


def power(mass: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    """A number in 0.1-0.9 to a power that grows with m_jj, and one that does not drift."""
    x = rng.uniform(0.1, 0.9, len(mass)) ** (1 + ((mass - 2500) / 1000) ** 2 / 2)
    return np.stack([x, rng.normal(size=len(mass))], axis=1).astype(np.float32)


def constant(mass: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.normal(size=(len(mass), 2)).astype(np.float32)


def sidebands(features: object, n_events: int, seed: int) -> list[Drifting]:
    rng = np.random.default_rng(seed)
    masses = [rng.uniform(*side, n_events) for side in SIDES]
    return [(features(mass, rng), mass) for mass in masses]  # type: ignore[operator]


def fitted(parts: list[Drifting]) -> Transport:
    rows = [Rows(X, np.ones(len(X)), np.arange(len(X), dtype=np.uint64)) for X, _ in parts]
    return fit_transport(*(Sideband.of(r, mass) for r, (_, mass) in zip(rows, parts, strict=True)), FOREST, SEED)


def to_the_middle(transport: Transport, parts: list[Drifting]) -> list[NDArray[np.float32]]:
    moved = []
    for side, (X, mass) in enumerate(parts):
        image = transport.image(X, side, np.full(len(X), 0.5))
        moved.append(transport.move(X, image, side, mass, np.full(len(X), MIDDLE)))
    return moved


def test_features_that_drift_linearly_arrive_with_their_mean_width_and_correlation() -> None:
    parts = sidebands(linear, 20_000, 1)
    for X in to_the_middle(fitted(parts), parts):
        np.testing.assert_allclose(X.mean(axis=0), 0.0, atol=0.04)
        np.testing.assert_allclose(X.std(axis=0), 1.0, atol=0.04)
        assert np.corrcoef(X.T)[0, 1] == pytest.approx(0.6, abs=0.04)
    beside = np.concatenate([X for X, _ in parts])
    assert beside.std(axis=0).min() > 1.2  # as they are they are wider than in the middle


def test_a_drift_in_m_jj_squared_bends_the_way() -> None:
    parts = sidebands(quadratic, 10_000, 2)
    transport = fitted(parts)
    assert transport.bends is not None
    # (m² - m_1²) / (m_2² - m_1²) is share - share (1 - share) (m_2 - m_1) / (m_2 + m_1), with m_1, m_2 = 3150, 3850.
    assert transport.bends.constant == pytest.approx(700 / 7000, abs=0.01)
    for X in to_the_middle(transport, parts):
        np.testing.assert_allclose(X.mean(axis=0), 20.0, atol=0.06)


def test_a_drift_of_width_and_mean_that_is_not_linear_has_bends_of_its_own() -> None:
    parts = sidebands(power, 20_000, 11)
    transport = fitted(parts)
    assert transport.bends is not None
    assert transport.bends.slope[0] > 0.1
    np.testing.assert_array_equal(transport.bends.slope[1], 0.0)
    # Uniform in 0.1-0.9 to the power of 1.5, while straight ways end 0.007 beside it.
    expected = np.array([0.2, 0.5, 0.8]) ** 1.5
    moved = np.concatenate([X[:, 0] for X in to_the_middle(transport, parts)])
    straight = np.concatenate([X[:, 0] for X in to_the_middle(replace(transport, bends=None), parts)])
    assert abs(np.quantile(moved, [0.125, 0.5, 0.875]) - expected).max() < 0.005
    assert abs(np.quantile(straight, [0.125, 0.5, 0.875]) - expected).max() > 0.006


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_without_a_clear_bend_none_is_applied(seed: int) -> None:
    for features in (constant, linear):
        bends = fitted(sidebands(features, 4000, seed)).bends
        assert bends is not None
        np.testing.assert_array_equal([bends.constant, bends.slope], 0.0)


def test_the_order_of_events_does_not_matter() -> None:
    parts = sidebands(linear, 1000, 6)
    order = np.random.default_rng(7).permutation(1000)
    rows = [Rows(X, np.ones(1000), np.arange(1000, dtype=np.uint64)) for X, _ in parts]
    first = fit_transport(*(Sideband.of(r, m) for r, (_, m) in zip(rows, parts, strict=True)), FOREST, SEED)
    again = [Sideband.of(r.where(order), m[order]) for r, (_, m) in zip(rows, parts, strict=True)]
    second = fit_transport(*again, FOREST, SEED)
    for one, other in zip(to_the_middle(first, parts), to_the_middle(second, parts), strict=True):
        np.testing.assert_array_equal(one, other)


def test_boundaries_constants_and_undefined_values_stay_what_they_are() -> None:
    rng = np.random.default_rng(8)
    parts = []
    for side in SIDES:
        mass = rng.uniform(*side, 3000)
        ratio = np.clip(rng.normal(0.5, 0.5, 3000), 0, 1)  # many at 0 and at 1
        heavy = np.where(rng.random(3000) < 0.3, 0.0, rng.exponential(0.01 * mass))
        undefined = np.where(rng.random(3000) < 0.1, np.nan, rng.normal(mass / 1000))
        parts.append((np.stack([ratio, heavy, np.full(3000, 7.0), undefined], axis=1).astype(np.float32), mass))
    for (X, _), moved in zip(parts, to_the_middle(fitted(parts), parts), strict=True):
        assert moved[:, 0].min() == 0
        assert moved[:, 0].max() == 1
        for edge in (0.0, 1.0):
            assert (moved[:, 0] == edge).mean() == pytest.approx((X[:, 0] == edge).mean(), abs=0.03)
        assert moved[:, 1].min() == 0
        assert (moved[:, 1] == 0).mean() == pytest.approx(0.3, abs=0.03)
        assert (moved[:, 2] == 7).all()
        np.testing.assert_array_equal(np.isnan(moved), np.isnan(X))
