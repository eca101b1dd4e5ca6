"""The spectrum inside a window from fits beside it; nothing here needs jax."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.flows import fit_spectrum
from tests.builders.toy_tables import dijet_masses

SIDES = ((3000.0, 3300.0), (3700.0, 4000.0))
WINDOW = (3300.0, 3700.0)
LEVELS = (np.arange(1000) + 0.5) / 1000


def beside(mjj: np.ndarray) -> np.ndarray:
    return mjj[(mjj < 3300) | ((mjj >= 3700) & (mjj < 4000))]


def test_an_exponential_is_found_again() -> None:
    rng = np.random.default_rng(1)
    mjj = beside(3000 + rng.exponential(400.0, 60_000))
    found = fit_spectrum(mjj, np.ones(len(mjj)), SIDES, WINDOW).quantiles(LEVELS)
    # Mean of an exponential of length 400 cut to 400 GeV: 400 - 400 / (e - 1) above the lower end.
    assert found.mean() - 3300 == pytest.approx(400 - 400 / (np.e - 1), abs=2.0)
    assert found.min() >= 3300
    assert found.max() <= 3700


def test_the_dijet_spectrum_is_found_where_nothing_was_read() -> None:
    mjj = dijet_masses(100_000, np.random.default_rng(2))
    found = fit_spectrum(beside(mjj), np.ones(len(beside(mjj))), SIDES, WINDOW).quantiles(LEVELS)
    inside = mjj[(mjj >= 3300) & (mjj < 3700)]
    assert found.mean() == pytest.approx(inside.mean(), abs=3.0)
    assert found.std() == pytest.approx(inside.std(), abs=2.0)


def test_weights_count_like_copies() -> None:
    mjj = beside(dijet_masses(5000, np.random.default_rng(3)))
    copies = np.where(mjj > 3700, 3, 1)
    weighted = fit_spectrum(mjj, copies.astype(float), SIDES, WINDOW).quantiles(LEVELS)
    repeated = np.repeat(mjj, copies)
    np.testing.assert_allclose(
        weighted, fit_spectrum(repeated, np.ones(len(repeated)), SIDES, WINDOW).quantiles(LEVELS), rtol=1e-9
    )


def test_events_of_one_mass_do_not_break_the_fit() -> None:
    found = fit_spectrum(np.full(60, 3100.0), np.ones(60), SIDES, WINDOW).quantiles(np.array([0.0, 0.5, 1.0]))
    assert np.isfinite(found).all()


@pytest.mark.parametrize("n_events", [4, 40])
def test_few_events_give_finite_masses_inside_the_window(n_events: int) -> None:
    mjj = np.concatenate([np.linspace(3000, 3299, n_events), np.linspace(3700, 3999, n_events)])
    found = fit_spectrum(mjj, np.ones(len(mjj)), SIDES, WINDOW).quantiles(np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(found[[0, 2]], WINDOW)
    assert 3300 < found[1] < 3700
