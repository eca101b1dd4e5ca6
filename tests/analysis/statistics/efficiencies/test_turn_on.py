"""Turn-on against toys with a known one, and against published confidence intervals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.errors import StatisticsError
from analysis.statistics.efficiencies import TurnOn, clopper_pearson, measure_efficiency, measure_turn_on, turn_on

MIDPOINT, WIDTH, PLATEAU = 1000.0, 80.0, 0.97
EDGES = np.arange(600.0, 2500.1, 25.0)


def toy(seed: int, n: int = 20_000, plateau: float = PLATEAU) -> tuple[np.ndarray, np.ndarray]:
    """A falling spectrum, each event passing with the chance at its own mass."""
    rng = np.random.default_rng(seed)
    mass = 600.0 + rng.exponential(400.0, n)
    chance = plateau * stats.norm.cdf((mass - MIDPOINT) / WIDTH)
    return mass, rng.random(n) < chance


def measured(seed: int, loss: float = 0.01, **options: float) -> TurnOn:
    return measure_turn_on(*toy(seed, **options), EDGES, loss=loss, step=100.0)


@pytest.mark.parametrize(
    ("passed", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.30850),  # Clopper-Pearson at 95 %, as tabulated: 1 - 0.025^(1/10)
        (10, 10, 0.69150, 1.0),
        (5, 10, 0.18709, 0.81291),
        (81, 263, 0.25270, 0.36760),  # R's binom.test(81, 263)
    ],
)
def test_intervals_are_the_tabulated_ones(passed, total, low, high) -> None:
    found = clopper_pearson(np.array([passed]), np.array([total]), 0.95)

    np.testing.assert_allclose([one[0] for one in found], [low, high], atol=2e-4)


def test_the_ends_of_an_interval_have_the_stated_tail_probabilities() -> None:
    k, n = np.array([3, 40, 99]), np.array([20, 50, 100])
    low, high = clopper_pearson(k, n)
    tail = stats.norm.sf(1.0)
    np.testing.assert_allclose(stats.binom.sf(k - 1, n, low), tail, rtol=1e-9)
    np.testing.assert_allclose(stats.binom.cdf(k, n, high), tail, rtol=1e-9)


def test_parameters_and_edge_have_unit_pulls() -> None:
    edge = MIDPOINT + WIDTH * stats.norm.ppf(0.99)
    pulls = []
    for seed in range(60):
        found = measured(seed)
        fit = found.fit
        assert fit is not None
        assert fit.plateau_error is not None
        pulls.append(
            [
                (fit.midpoint - MIDPOINT) / fit.midpoint_error,
                (fit.width - WIDTH) / fit.width_error,
                (fit.plateau - PLATEAU) / fit.plateau_error,
                (found.flat_from - edge) / found.flat_from_error,
            ]
        )
    mean, spread = np.mean(pulls, axis=0), np.std(pulls, axis=0, ddof=1)
    np.testing.assert_array_less(np.abs(mean), 3.0 / np.sqrt(60))
    np.testing.assert_array_less(np.abs(spread - 1.0), 3.0 / np.sqrt(2 * 60))


def test_p_values_of_fit_and_plateau_are_uniform() -> None:
    found = [measured(seed, n=5000) for seed in range(100, 140)]
    for values in ([one.fit.p_value for one in found], [one.flat_p_value for one in found]):
        assert 0.3 < np.mean(values) < 0.75  # Fisher's exact test is discrete, so its mean lies above one half
        assert np.mean(np.array(values) < 0.05) < 0.2


def test_another_shape_is_told_by_the_p_value() -> None:
    rng = np.random.default_rng(5)
    mass, _ = toy(5, 50_000)
    passes = rng.random(len(mass)) < 1.0 - np.exp(-np.clip(mass - 800.0, 0, None) / 150.0)

    found = measure_turn_on(mass, passes, EDGES, loss=0.01, step=100.0)

    assert found.fit is not None
    assert found.fit.p_value is not None
    assert found.fit.p_value < 1e-6


def test_the_smooth_edge_is_the_next_step_above_edge_and_error() -> None:
    for loss in (0.05, 0.01, 0.001):
        found = measured(1, loss)
        low = found.flat_from + found.flat_from_error
        assert low <= found.smooth_edge < low + 100.0
        assert found.smooth_edge % 100.0 == 0
        lost = 1 - turn_on(np.array([found.flat_from]), found.fit.midpoint, found.fit.width, 1.0)[0]
        assert lost == pytest.approx(loss)


def test_a_full_plateau_is_one_without_an_error() -> None:
    found = measured(3, plateau=1.0)

    assert found.fit is not None
    assert (found.fit.plateau, found.fit.plateau_error) == (1.0, None)
    assert found.fit.midpoint == pytest.approx(MIDPOINT, abs=5 * found.fit.midpoint_error)


@pytest.mark.parametrize("chance", [1.0, 0.9])
def test_a_flat_efficiency_has_no_fit_and_its_edge_at_the_first_event(chance) -> None:
    mass, _ = toy(2)
    passes = np.random.default_rng(7).random(len(mass)) < chance

    found = measure_turn_on(mass, passes, EDGES, loss=0.01, step=100.0)

    assert found.fit is None
    assert found.smooth_edge == 100 * np.ceil(mass.min() / 100)


def test_bins_hold_all_events_once_with_the_mean_of_their_masses() -> None:
    mass, passes = toy(4, 500)
    found = measure_efficiency(mass, passes, EDGES)
    for i in range(len(EDGES) - 1):
        inside = (mass >= EDGES[i]) & (mass < EDGES[i + 1])
        assert (found.total[i], found.passed[i]) == (inside.sum(), (inside & passes).sum())
        if inside.any():
            assert found.means[i] == pytest.approx(mass[inside].mean())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda mass, passes: (mass, passes & False), "none passes the trigger"),
        (lambda mass, passes: (mass[:0], passes[:0]), "0 reference events between 600 and 2500"),
        (lambda mass, passes: (mass[mass < 1050], passes[mass < 1050]), "only from .* above the last reference events"),
    ],
)
def test_what_cannot_be_measured_is_an_error_with_a_remedy(edit, message) -> None:
    with pytest.raises(StatisticsError, match=message):
        measure_turn_on(*edit(*toy(6)), EDGES, loss=0.01, step=100.0)
