"""Conditional quantiles against closed forms; nothing here needs jax."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.flows import ConditionalQuantiles
from tests.builders.drifting import drifting_gaussians, normal_scores

pytestmark = pytest.mark.thorough

INTERVAL = (3000.0, 4000.0)


def sides(mjj: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    return mjj < 3300, mjj >= 3700


def fitted(n_events: int = 20_000, *, random_state: int = 1) -> ConditionalQuantiles:
    X, mjj = drifting_gaussians(n_events, random_state=random_state)
    beside = (mjj < 3300) | (mjj >= 3700)
    X, mjj = X[beside], mjj[beside]
    return ConditionalQuantiles.fit(X, mjj, np.ones(len(X)), sides(mjj))


def test_a_drift_of_location_and_width_is_gone_in_the_window_that_was_not_read() -> None:
    X, mjj = drifting_gaussians(20_000, random_state=2)
    inside = (mjj >= 3300) & (mjj < 3700)
    scores, log_slope = fitted().transform(X[inside], mjj[inside])
    np.testing.assert_allclose(scores.mean(axis=0), 0, atol=0.04)
    np.testing.assert_allclose(scores.std(axis=0), 1, atol=0.03)
    # The scores are those of the Gaussians themselves: (x - mean) / width, with widths of 10 (m / 3500) and 0.1.
    exact = -np.log(10 * mjj[inside] / 3500) - np.log(0.1)
    assert np.median(log_slope - exact) == pytest.approx(0, abs=0.03)


def test_scores_lead_back_to_the_features() -> None:
    X, mjj = drifting_gaussians(3000, random_state=3)
    quantiles = fitted()
    back = quantiles.inverse(quantiles.transform(X, mjj)[0], mjj)
    within = (quantiles.smallest < X) & (quantiles.largest > X)
    np.testing.assert_allclose(back[within], X[within], rtol=1e-9)


def test_an_atom_comes_back_as_it_was_from_every_score_of_its_range() -> None:
    rng = np.random.default_rng(4)
    mjj = rng.uniform(*INTERVAL, 8000)
    column = np.where(rng.random(8000) < 0.3, 1.0, rng.random(8000))[:, None]
    beside = (mjj < 3300) | (mjj >= 3700)
    quantiles = ConditionalQuantiles.fit(column[beside], mjj[beside], np.ones(beside.sum()), sides(mjj[beside]))
    scores, log_slope = quantiles.transform(column, mjj, random_state=rng)
    atom = column[:, 0] == 1
    # 30 % of the events at the upper end: normal scores from 0.52 up, not one value.
    assert scores[atom].min() == pytest.approx(0.52, abs=0.15)
    assert scores[atom].std() > 0.3
    assert np.isfinite(log_slope).all()
    np.testing.assert_array_equal(quantiles.inverse(scores, mjj)[atom].astype(np.float32), 1.0)


@pytest.mark.parametrize("value", [-1e9, 0.0, 1e9])
def test_values_beyond_the_sidebands_are_clipped(value: float) -> None:
    quantiles = fitted(4000)
    mjj = np.array([3000.0, 3500.0, 4000.0])
    scores, log_slope = quantiles.transform(np.full((3, 2), value), mjj)
    back = quantiles.inverse(scores, mjj)
    for found in (scores, log_slope, back):
        assert np.isfinite(found).all()
    assert (back >= quantiles.smallest).all()
    assert (back <= quantiles.largest).all()


def test_a_constant_feature_stays_constant() -> None:
    mjj = np.linspace(*INTERVAL, 500)
    column = np.full((500, 1), 2.0)
    quantiles = ConditionalQuantiles.fit(column, mjj, np.ones(500), sides(mjj))
    scores, log_slope = quantiles.transform(column, mjj)
    assert np.isfinite(scores).all()
    assert np.isfinite(log_slope).all()
    np.testing.assert_array_equal(quantiles.inverse(scores, mjj), 2.0)


def test_weights_count_like_copies() -> None:
    X, mjj = drifting_gaussians(4000, random_state=5)
    beside = (mjj < 3300) | (mjj >= 3700)
    X, mjj = X[beside], mjj[beside]
    twice = normal_scores(X, mjj)[:, 0] > 0
    weighted = ConditionalQuantiles.fit(X, mjj, 1.0 + twice, sides(mjj))
    rows = np.repeat(np.arange(len(X)), 1 + twice)
    copied = ConditionalQuantiles.fit(X[rows], mjj[rows], np.ones(len(rows)), sides(mjj[rows]))
    scores = [quantiles.transform(X, mjj)[0] for quantiles in (weighted, copied)]
    bulk = np.abs(scores[0]) < 2  # copies are more rows, so more knots in the tails
    np.testing.assert_allclose(scores[0][bulk], scores[1][bulk], atol=0.05)
    plain = ConditionalQuantiles.fit(X, mjj, np.ones(len(X)), sides(mjj)).transform(X, mjj)[0]
    assert np.abs(plain - scores[0])[:, 0].mean() > 0.2
