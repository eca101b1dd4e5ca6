"""Averaged counts of members that share events: one fit of the average against fits of every member, and the truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.background import FUNCTIONS, BackgroundFit, fit_background
from analysis.errors import FitError
from analysis.search.member_spread import member_spread
from tests.builders.toy_tables import SQRT_S, dijet_masses

Array = NDArray[np.float64]

GRID = np.arange(3000.0, 6501.0, 100.0)
WINDOW, MASK = (3300.0, 3700.0), (3200.0, 3800.0)
N_MEMBERS = 10
EFFICIENCY = 0.1


def fit(counts: Array, variances: Array | None = None) -> BackgroundFit:
    return fit_background(counts, GRID, FUNCTIONS["dijet3"], mask=MASK, sqrt_s_gev=SQRT_S, variances=variances)


@dataclass(frozen=True)
class Toys:
    """Of every toy: n - b of the average, its error, mean and spread of n - b over separate fits."""

    left: Array
    error: Array
    separate: Array
    spread: Array


def toys(n_toys: int, selected: float, correlation: float, *, separate: bool = True) -> Toys:
    """Members cut scores of a given correlation; each keeps `selected` events on average."""
    rng = np.random.default_rng(17)
    rows = []
    for _ in range(n_toys):
        mjj = dijet_masses(rng.poisson(selected / EFFICIENCY), rng)
        own = rng.normal(size=(N_MEMBERS, len(mjj)))
        score = np.sqrt(correlation) * rng.normal(size=len(mjj)) + np.sqrt(1 - correlation) * own
        passes = score > stats.norm.isf(EFFICIENCY)
        weight = passes.mean(axis=0)
        counts, variances = (np.histogram(mjj, GRID, weights=w)[0] for w in (weight, weight**2))
        expected = fit(counts, variances).estimate(*WINDOW)
        n = weight[(mjj >= WINDOW[0]) & (mjj < WINDOW[1])].sum()
        error = np.hypot(np.sqrt(expected.weight * expected.value), (expected.up + expected.down) / 2)
        mean, spread = 0.0, 0.0
        if separate:
            spectra = np.stack([np.histogram(mjj[member], GRID)[0] for member in passes]).astype(float)
            options = {"window": WINDOW, "mask": MASK, "functions": ("dijet3",), "sqrt_s_gev": SQRT_S}
            found = member_spread(spectra, GRID, **options)
            mean, spread = found.mean, found.spread
        rows.append((n - expected.value, error, mean, spread))
    return Toys(*np.transpose(rows))


@pytest.mark.thorough
@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_one_fit_of_the_average_has_the_error_of_separate_fits_with_their_covariance(correlation: float) -> None:
    n_toys = 300
    found = toys(n_toys, 1500, correlation)
    pull = found.left / found.error
    assert abs(pull.mean()) < 3.5 / np.sqrt(n_toys)
    assert abs(pull.std() - 1) < 3.5 / np.sqrt(2 * n_toys)
    # Brute force: the scatter over toys of the mean of n_i - b_i holds all covariances of the members.
    assert found.separate.std() == pytest.approx(found.left.std(), rel=0.05)
    assert found.separate.std() == pytest.approx(found.error.mean(), rel=3.5 / np.sqrt(2 * n_toys))
    assert (found.separate - found.left).std() < 0.3 * found.error.mean()


@pytest.mark.parametrize("selected", [200, 1000])
def test_the_average_is_centred_for_few_events_and_for_many(selected: float) -> None:
    # With sum w / sum w^2 taken bin by bin the mean pull is 0.4 at 200 events and -0.25 from 1000.
    n_toys = 400
    found = toys(n_toys, selected, 0.9, separate=False)
    pull = found.left / found.error
    assert abs(pull.mean()) < 3.5 / np.sqrt(n_toys)
    assert abs(pull.std() - 1) < 3.5 / np.sqrt(2 * n_toys)


def test_the_spread_of_members_is_not_an_error_of_their_average() -> None:
    # Without common events the average of M has 1 / sqrt(M) of the error of one member; that is their spread.
    rng = np.random.default_rng(3)
    options = {"window": WINDOW, "mask": MASK, "functions": ("dijet3",), "sqrt_s_gev": SQRT_S}
    spectra = np.stack([np.histogram(dijet_masses(2000, rng), GRID)[0] for _ in range(40)]).astype(float)
    average = fit(spectra.mean(axis=0), spectra.sum(axis=0) / 40**2).estimate(*WINDOW)
    error = np.hypot(np.sqrt(average.weight * average.value), average.up)
    found = member_spread(spectra, GRID, **options)
    assert found.spread == pytest.approx(np.sqrt(40) * error, rel=3.5 / np.sqrt(2 * 40))
    assert member_spread(np.tile(spectra[:1], (5, 1)), GRID, **options).spread == pytest.approx(0, abs=1e-9)


def test_members_that_cannot_be_fitted_are_refused() -> None:
    options = {"window": WINDOW, "mask": MASK, "functions": ("dijet3",), "sqrt_s_gev": SQRT_S}
    spectra = np.zeros((2, len(GRID) - 1))
    spectra[0] = 5.0
    with pytest.raises(FitError, match="found 1 of 2"):
        member_spread(spectra, GRID, **options)
