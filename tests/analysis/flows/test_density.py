"""Conditional densities against Gaussians whose means and widths follow m_jj."""

from __future__ import annotations

import subprocess
import sys
from functools import cache

import numpy as np
import pytest

from analysis.flows import ConditionalDensity, Sample
from analysis.flows.network import train_flow
from tests.builders.drifting import CORRELATION, drifting_gaussians, exact_log_prob, normal_scores
from tests.builders.flows import LIGHT, fit, sidebands

pytestmark = pytest.mark.thorough

pytest.importorskip("flowjax", reason="needs the extra `flows`")


@cache
def fitted() -> ConditionalDensity:
    return fit(sidebands())


def test_the_density_in_the_window_is_that_of_the_gaussians() -> None:
    X, mjj = drifting_gaussians(20_000, random_state=2)
    inside = (mjj >= 3300) & (mjj < 3700)
    X, mjj = X[inside], mjj[inside]
    difference = fitted().log_prob(X, mjj) - exact_log_prob(X, mjj)
    # The mean is minus the Kullback-Leibler divergence; densities without the correlation would have -0.22.
    assert -0.05 < difference.mean() < 0.01
    assert np.abs(np.median(difference)) < 0.03
    independent = fitted().marginals.transform(X, mjj)
    assert (
        -0.28
        < (-0.5 * (independent[0] ** 2).sum(axis=1) - np.log(2 * np.pi) + independent[1]).mean()
        - (exact_log_prob(X, mjj).mean())
        < -0.16
    )


def test_drawn_events_have_the_means_widths_and_correlation_of_their_masses() -> None:
    mjj = np.repeat([3350.0, 3650.0], 10_000)
    X = fitted().sample(mjj, random_state=np.random.default_rng(3))
    for mass in (3350.0, 3650.0):
        scores = normal_scores(X[mjj == mass], mjj[mjj == mass])
        np.testing.assert_allclose(scores.mean(axis=0), 0, atol=0.06)
        np.testing.assert_allclose(scores.std(axis=0), 1, atol=0.06)
        assert np.corrcoef(scores.T)[0, 1] == pytest.approx(CORRELATION, abs=0.05)


def test_moved_events_keep_their_ranks_where_the_density_only_drifts() -> None:
    sample, density = sidebands(), fitted()
    rng = np.random.default_rng(4)
    latent = density.to_latent(sample.X, sample.mjj, random_state=rng)
    stayed = density.from_latent(latent, sample.mjj)
    np.testing.assert_allclose(normal_scores(stayed, sample.mjj), normal_scores(sample.X, sample.mjj), atol=0.01)
    moved = normal_scores(density.from_latent(latent, np.full(len(sample), 3500.0)), np.full(len(sample), 3500.0))
    np.testing.assert_allclose(moved.mean(axis=0), 0, atol=0.06)
    # A map that reshuffled events would do as a density; a transport must leave them where they are.
    change = moved - normal_scores(sample.X, sample.mjj)
    assert np.quantile(np.abs(change), 0.9) < 0.15


def test_values_far_away_have_finite_densities() -> None:
    X = np.array([[-1e6, 0.5], [1e6, 1e6], [100.0, -50.0]])
    mjj = np.array([3000.0, 3500.0, 4000.0])
    density = fitted()
    assert np.isfinite(density.log_prob(X, mjj)).all()
    assert np.isfinite(density.from_latent(density.to_latent(X, mjj), mjj)).all()
    assert (density.log_prob(X, mjj) < density.log_prob(np.array([[100.0, 0.5]] * 3), np.full(3, 3500.0))).all()


def test_weights_make_one_of_two_populations_count() -> None:
    sample = sidebands(3500, random_state=5)
    X, mjj = drifting_gaussians(3500, random_state=6)
    beside = (mjj < 3300) | (mjj >= 3700)
    X, mjj = X[beside], mjj[beside]
    X[:, 1] = 1.0 - X[:, 1]  # the opposite correlation, at a third of the weight
    group = np.arange(len(X), dtype=np.uint64) + np.uint64(10**6)
    other = Sample.build(X.astype(np.float32), mjj, np.full(len(X), 1 / 3), group)
    density = fit(Sample.join([sample, other]))
    drawn = density.sample(np.full(20_000, 3500.0), random_state=np.random.default_rng(7))
    assert np.corrcoef(drawn.T)[0, 1] == pytest.approx(CORRELATION * (1 - 1 / 3) / (1 + 1 / 3), abs=0.06)


def test_equal_seeds_give_equal_bits_and_others_do_not() -> None:
    first, second, other = fit(sidebands(3000)), fit(sidebands(3000)), fit(sidebands(3000), seed=2)
    assert first.dumps() == second.dumps()
    assert first.dumps() != other.dumps()


def test_without_validation_events_the_last_epochs_count() -> None:
    rng = np.random.default_rng(10)
    given = rng.normal(size=(300, 2)), rng.uniform(-0.1, 0.1, 300), np.ones(300)
    flow = train_flow(*given, np.zeros(300, bool), LIGHT, random_state=1)
    np.testing.assert_array_equal(np.argsort(flow.validation_loss)[:2], [LIGHT.epochs - 1, LIGHT.epochs - 2])
    assert np.isfinite(flow.to_latent(given[0], given[1])[1]).all()


def test_the_order_of_events_does_not_matter() -> None:
    X, mjj = drifting_gaussians(500, random_state=8)
    group = np.arange(500, dtype=np.uint64)
    order = np.random.default_rng(9).permutation(500)
    one, two = (
        Sample.build(X[rows].astype(np.float32), mjj[rows], np.ones(500), group[rows]) for rows in (group, order)
    )
    np.testing.assert_array_equal(one.X, two.X)
    np.testing.assert_array_equal(one.group, two.group)


SCRIPT = """
import hashlib
from tests.builders.flows import fit, sidebands
print(hashlib.sha256(fit(sidebands(3000)).dumps()).hexdigest())
"""


@pytest.mark.slow
def test_processes_agree() -> None:
    found = {subprocess.run([sys.executable, "-c", SCRIPT], check=True, capture_output=True).stdout for _ in range(2)}
    assert len(found) == 1
