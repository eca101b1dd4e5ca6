"""Conditional densities against Gaussians whose means and widths follow m_jj."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.flows import ConditionalDensity, Fraction, Sample, fit_density, fit_part
from analysis.flows.network import train_flow
from analysis.learning.metrics import roc_curve
from tests.builders.drifting import (
    CORRELATION,
    drifting_gaussians,
    exact_log_prob,
    exact_log_ratio,
    narrow_signal,
    normal_scores,
)
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


def in_window(fraction: float, n_background: int, *, random_state: int) -> tuple[Sample, NDArray[np.bool_]]:
    """Events of the window, of which a fraction is signal, and which of them are."""
    X, mjj = drifting_gaussians(n_background * 5 // 2, random_state=random_state)
    inside = (mjj >= 3300) & (mjj < 3700)
    signal, mass = narrow_signal(round(fraction / (1 - fraction) * inside.sum()), random_state=random_state + 1)
    X, mjj = np.concatenate([X[inside], signal]), np.concatenate([mjj[inside], mass])
    group = np.arange(len(mjj), dtype=np.uint64)
    return Sample.build(X.astype(np.float32), mjj, np.ones(len(mjj)), group), group >= inside.sum()


def area(score: NDArray[np.float64], signal: NDArray[np.bool_]) -> float:
    return roc_curve(score[signal], score[~signal]).auc


def test_the_rest_of_a_mixture_is_the_density_of_the_signal() -> None:
    sample, _ = in_window(0.03, 10_000, random_state=3)
    density, fraction = fit_part(
        sample, fitted(), LIGHT, fraction=Fraction(0.01), random_state=np.random.SeedSequence(5)
    )
    assert fraction == pytest.approx(0.03, abs=0.006)
    fresh, signal = in_window(0.3, 8000, random_state=7)
    ratio = density.log_prob(fresh.X, fresh.mjj) - fitted().log_prob(fresh.X, fresh.mjj)
    exact = exact_log_ratio(fresh.X, fresh.mjj)
    # The best order of events has an area of 0.998; the small flow smears a peak of e^7 times the background.
    assert np.corrcoef(ratio[signal], exact[signal])[0, 1] > 0.85
    assert np.median(ratio[signal]) == pytest.approx(np.median(exact[signal]), abs=1.2)
    assert area(ratio, signal) > area(exact, signal) - 0.005


def test_a_fit_of_the_signal_finds_what_a_ratio_of_two_whole_densities_misses() -> None:
    sample, _ = in_window(0.005, 10_000, random_state=3)
    fresh, signal = in_window(0.3, 8000, random_state=7)
    background = fitted().log_prob(fresh.X, fresh.mjj)
    seed = np.random.SeedSequence(5)
    kept, fraction = fit_part(sample, fitted(), LIGHT, fraction=Fraction(0.01, learned=False), random_state=seed)
    assert fraction == pytest.approx(0.01, rel=1e-5)
    whole = fit_density(sample, fitted().marginals, LIGHT, random_state=seed)
    areas = [area(one.log_prob(fresh.X, fresh.mjj) - background, signal) for one in (kept, whole)]
    assert areas[0] > 0.95
    assert areas[1] < 0.92


def test_an_atom_is_spread_over_its_scores_by_the_epochs() -> None:
    sample = sidebands(3000)
    X = sample.X.copy()
    X[::3, 1] = 1.0
    density = fit(replace(sample, X=X))
    latents = density.latents(X, sample.mjj)
    assert latents.shape == (LIGHT.n_averaged, *X.shape)
    np.testing.assert_array_equal(density.latents(X[:7], sample.mjj[:7]), latents[:, :7])
    assert (np.abs(latents[0] - latents[1])[::3, 1] > 0.2).all()


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
