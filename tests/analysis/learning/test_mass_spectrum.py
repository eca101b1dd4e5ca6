"""The smooth spectrum beside a window, against spectra of known shape."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.learning.mass_spectrum import fit_spectrum
from tests.builders.toy_tables import dijet_density, dijet_masses

BESIDE = ((3000.0, 3300.0), (3700.0, 4000.0))
INSIDE = (3300.0, 3700.0)
PROBABILITY = np.array([0.1, 0.25, 0.5, 0.75, 0.9])


def test_quantiles_inside_are_those_of_the_dijet_spectrum() -> None:
    mass = dijet_masses(100_000, np.random.default_rng(1))
    found = fit_spectrum(mass, np.ones(len(mass)), BESIDE).quantile(PROBABILITY, INSIDE)
    grid = np.linspace(*INSIDE, 4001)
    cumulative = np.cumsum(dijet_density(grid, 9.0, 5.0))
    np.testing.assert_allclose(found, np.interp(PROBABILITY, cumulative / cumulative[-1], grid), atol=3.0)


def test_a_power_law_is_found() -> None:
    rng = np.random.default_rng(2)
    mass = (3000.0**-7 + rng.random(200_000) * (4000.0**-7 - 3000.0**-7)) ** (-1 / 7)  # m^-8
    spectrum = fit_spectrum(mass, np.ones(len(mass)), BESIDE)
    ratio = spectrum.density(np.array([3100.0, 3900.0]))
    assert ratio[0] / ratio[1] == pytest.approx((3900 / 3100) ** 8, rel=0.02)


def test_events_in_the_window_change_nothing() -> None:
    mass = dijet_masses(5000, np.random.default_rng(3))
    more = np.concatenate([mass, np.full(5000, 3500.0)])
    first, second = (fit_spectrum(m, np.ones(len(m)), BESIDE) for m in (mass, more))
    np.testing.assert_array_equal(first.quantile(PROBABILITY, INSIDE), second.quantile(PROBABILITY, INSIDE))


def test_weights_count_as_events() -> None:
    mass = dijet_masses(5000, np.random.default_rng(4))
    weight = np.where(mass < 3150, 3.0, 1.0)
    repeated = np.repeat(mass, weight.astype(int))
    first, second = fit_spectrum(mass, weight, BESIDE), fit_spectrum(repeated, np.ones(len(repeated)), BESIDE)
    np.testing.assert_allclose(first.quantile(PROBABILITY, INSIDE), second.quantile(PROBABILITY, INSIDE), rtol=1e-3)


@pytest.mark.parametrize("masses", [[3999.0], [3000.0, 3001.0], [3299.0, 3700.0], 60 * [3100.0]])
def test_a_handful_of_events_gives_masses_inside_the_window(masses: list[float]) -> None:
    found = fit_spectrum(np.array(masses), np.ones(len(masses)), BESIDE).quantile(PROBABILITY, INSIDE)
    assert (np.diff(found) > 0).all()
    assert found[0] >= INSIDE[0]
    assert found[-1] <= INSIDE[1]
