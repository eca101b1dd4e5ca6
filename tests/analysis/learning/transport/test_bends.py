"""Bends from the drift inside the sidebands, of features whose ways are known."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.learning.transport.bends import Bends, Drifting, Ways, fit_bends

WAY = 3.0
"""Way between the sidebands, standard deviations of the feature."""


def sides(bends: Bends, n_events: int, seed: int) -> list[Drifting]:
    """Normal features whose quantiles are quadratic in m_jj, in sidebands of 0.4 of their distance."""
    rng = np.random.default_rng(seed)
    found = []
    for side in (0, 1):
        rank, share = rng.random((n_events, len(bends.constant))), side + rng.uniform(-0.2, 0.2, n_events)
        s = share[:, None]
        covered = s - bends.at(rank) * s * (1 - s)
        # Logistic, whose quantile function is simple.
        X = np.log(rank / (1 - rank)) * np.sqrt(3) / np.pi + WAY * covered
        found.append(Drifting(Ways(side, X, np.full(X.shape, WAY), share), rank, np.ones(n_events)))
    return found


@pytest.mark.parametrize(
    ("constant", "slope"),
    [
        ((0.2, 0.2), (0.0, 0.0)),
        ((-0.15, -0.15), (0.0, 0.0)),
        ((0.2, 0.0), (0.3, 0.0)),
        ((0.0, 0.2), (0.0, -0.3)),
        ((0.2, -0.2), (0.0, 0.0)),
    ],
)
def test_bends_are_found_of_each_feature(constant: tuple[float, float], slope: tuple[float, float]) -> None:
    truth = Bends(np.array(constant), np.array(slope))
    found = fit_bends(sides(truth, 20_000, 1))
    np.testing.assert_allclose(found.constant, truth.constant, atol=0.05)
    np.testing.assert_allclose(found.slope, truth.slope, atol=0.09)


def test_features_with_the_same_bend_share_one_number() -> None:
    found = fit_bends(sides(Bends(np.full(3, 0.2), np.zeros(3)), 20_000, 2))
    assert len(set(found.constant)) == 1
    assert not found.slope.any()


def test_linear_drifts_and_features_that_stay_have_no_bend() -> None:
    straight = Bends(np.zeros(2), np.zeros(2))
    for seed in range(3, 8):
        lower, upper = sides(straight, 5000, seed)
        assert not np.any([fit_bends((lower, upper)).constant, fit_bends((lower, upper)).slope])
    still = [
        Drifting(Ways(d.ways.side, d.rank, np.zeros(d.rank.shape), d.ways.share), d.rank, d.weight)
        for d in sides(straight, 1000, 8)
    ]
    assert not fit_bends(still).constant.any()


def test_undefined_values_and_weights_of_zero_do_not_matter() -> None:
    truth = Bends(np.array([0.2]), np.array([0.3]))
    given, found = sides(truth, 5000, 9), []
    for d in given:
        some = np.arange(len(d.weight)) % 10 == 0
        X, weight = np.where(some[:, None], np.nan, d.ways.X), np.where(np.arange(len(some)) % 10 == 1, 0.0, d.weight)
        rank = np.where(some[:, None], np.nan, d.rank)
        found.append(Drifting(Ways(d.ways.side, X, d.ways.way, d.ways.share), rank, weight))
    used = [np.arange(len(d.weight)) % 10 > 1 for d in given]
    kept = [
        Drifting(Ways(d.ways.side, d.ways.X[u], d.ways.way[u], d.ways.share[u]), d.rank[u], d.weight[u])
        for d, u in zip(given, used, strict=True)
    ]
    one, other = fit_bends(found), fit_bends(kept)
    np.testing.assert_allclose([one.constant, one.slope], [other.constant, other.slope], atol=1e-9)
