"""P-values of large excesses against plain toys of sidebands and window, and against the Poisson tail."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.background import FUNCTIONS, BackgroundFit, estimate_many, fit_background
from analysis.background.likelihood import integrals, make_design, solve
from analysis.search import sideband_toys
from analysis.search.sideband_toys import least_count, sideband_p0
from analysis.statistics import counting_z
from tests.builders.toy_tables import SQRT_S

Array = NDArray[np.float64]

EDGES = np.arange(3000.0, 6501.0, 100.0)
WINDOW = (3900.0, 4300.0)
MASK = (3800.0, 4400.0)
INSIDE = (EDGES[:-1] >= WINDOW[0]) & (EDGES[1:] <= WINDOW[1])


def falling(events: float) -> Array:
    """Expected counts of a spectrum with this number of events in the window."""
    mass = (EDGES[:-1] + EDGES[1:]) / 2 / SQRT_S
    density = (1 - mass) ** 12.4 * mass**-3.2
    return np.asarray(events * density / density[INSIDE].sum())


def fitted(counts: Array) -> BackgroundFit:
    return fit_background(counts, EDGES, FUNCTIONS["dijet3"], mask=MASK, sqrt_s_gev=SQRT_S)


def null_of(fit: BackgroundFit, n: float) -> Array:
    """Expected counts of all bins, from the fit to sidebands and window together."""
    assert fit.data is not None
    edges = np.append(fit.data.low, WINDOW[0]), np.append(fit.data.high, WINDOW[1])
    counts = np.append(fit.data.observed, n)[None]
    joint = solve(counts, make_design(fit.function, *edges, SQRT_S, fit.transform), np.ones_like(counts))
    every = make_design(fit.function, EDGES[:-1], EDGES[1:], SQRT_S, fit.transform)
    return np.asarray(integrals(every, joint.coefficients)[0][0])


@pytest.mark.parametrize(("likelihood", "n"), [("profile", 45.0), ("gaussian", 45.0), ("profile", 52.0)])
def test_it_is_the_fraction_of_plain_toys_with_as_large_an_excess(likelihood: str, n: float) -> None:
    rng, n_toys = np.random.default_rng(7), 30_000
    fit = fitted(rng.poisson(falling(30.0)).astype(float))
    estimate = fit.estimate(*WINDOW)
    observed = counting_z(np.array(n), np.array(estimate.value), np.array(estimate.error(likelihood)), likelihood)
    toys = rng.poisson(null_of(fit, n), (n_toys, len(EDGES) - 1)).astype(float)
    many = estimate_many(toys, EDGES, mask=MASK, windows=[WINDOW], functions=["dijet3"], sqrt_s_gev=SQRT_S)
    z = counting_z(toys[:, INSIDE].sum(axis=1), many.value[:, 0], many.error(likelihood)[:, 0], likelihood)
    truth = float((z[many.valid] >= observed - 1e-9).mean())
    found = sideband_p0(fit, WINDOW, n, likelihood=likelihood, n_toys=6000)
    assert found == pytest.approx(truth, abs=4 * np.sqrt(truth / n_toys) + 0.03 * truth)


@pytest.mark.parametrize("likelihood", ["profile", "gaussian"])
def test_toys_are_asked_for_the_significance_of_the_same_likelihood(
    likelihood: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain toys cannot tell: at 45 events both significances are nearly the same."""
    asked: list[float] = []

    def spy(value: Array, error: Array, z: float, of: str) -> Array:
        asked.append(z)
        return least_count(value, error, z, of)

    monkeypatch.setattr(sideband_toys, "least_count", spy)
    fit = fitted(np.random.default_rng(8).poisson(falling(30.0)).astype(float))
    estimate = fit.estimate(*WINDOW)
    sideband_p0(fit, WINDOW, 70.0, likelihood=likelihood)
    own = counting_z(np.array(70.0), np.array(estimate.value), np.array(estimate.error(likelihood)), likelihood)
    assert asked == [pytest.approx(float(own), rel=1e-12)]


def test_above_large_sidebands_it_is_close_to_the_nominal_p_value_at_five_standard_deviations() -> None:
    fit = fitted(np.random.default_rng(8).poisson(falling(400.0)).astype(float))
    estimate = fit.estimate(*WINDOW)
    n = estimate.value + 5.6 * np.hypot(np.sqrt(estimate.value), estimate.error("profile"))
    z = float(counting_z(np.array(n), np.array(estimate.value), np.array(estimate.error("profile"))))
    found = sideband_p0(fit, WINDOW, float(n))
    assert z > 5
    assert found is not None
    assert stats.norm.isf(found) == pytest.approx(z, abs=0.05)


def test_a_gaussian_error_of_the_background_overstates_five_standard_deviations() -> None:
    fit = fitted(np.random.default_rng(8).poisson(falling(30.0)).astype(float))
    estimate = fit.estimate(*WINDOW)
    error = estimate.error("gaussian")
    n = estimate.value + 6.5 * np.hypot(np.sqrt(estimate.value), error)
    z = float(counting_z(np.array(n), np.array(estimate.value), np.array(error), "gaussian"))
    found = sideband_p0(fit, WINDOW, float(n), likelihood="gaussian")
    assert z > 5
    assert found is not None
    assert found > 2 * stats.norm.sf(z)


def test_weighted_sidebands_give_the_p_value_of_their_effective_counts() -> None:
    counts = np.random.default_rng(9).poisson(falling(30.0)).astype(float)
    half = fit_background(counts / 2, EDGES, FUNCTIONS["dijet3"], variances=counts / 4, mask=MASK, sqrt_s_gev=SQRT_S)
    plain = sideband_p0(fitted(counts), WINDOW, 50.0)
    assert sideband_p0(half, WINDOW, 25.0) == pytest.approx(plain, rel=1e-3)


@pytest.mark.parametrize("likelihood", ["profile", "gaussian"])
def test_a_large_excess_between_sidebands_with_a_long_empty_tail_has_a_p_value(likelihood: str) -> None:
    """Drawn far from what was fitted, the tail would get more events than can be drawn."""
    edges = np.arange(3000.0, 9701.0, 100.0)
    mass = (edges[:-1] + edges[1:]) / 2 / SQRT_S
    density = (1 - mass) ** 12.4 * mass**-3.2
    counts = np.random.default_rng(10).poisson(90 * density / density.sum()).astype(float)
    fit = fit_background(counts, edges, FUNCTIONS["dijet3"], mask=MASK, sqrt_s_gev=SQRT_S)
    found = [sideband_p0(fit, WINDOW, n, likelihood=likelihood) for n in (30.0, 60.0, 250.0)]
    p_values = [p for p in found if p is not None]
    assert len(p_values) == 3
    assert 1 > p_values[0] > p_values[1] > p_values[2] >= 0
