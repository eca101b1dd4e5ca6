"""The Gaussian process against dense matrices of its kernel."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.background import FUNCTIONS, GAUSSIAN_PROCESS, choose_order, estimate_many, fit_background
from analysis.background.gaussian_process import AMPLITUDE, LENGTH, kernel
from analysis.background.likelihood import make_design
from analysis.errors import ConfigError
from tests.builders.truth import CURVED, EDGES, MASK, SQRT_S, expectation

Array = NDArray[np.float64]

CENTRES = (EDGES[1:] + EDGES[:-1]) / 2
WINDOW = (3300.0, 3700.0)
INSIDE = (EDGES[:-1] >= WINDOW[0]) & (EDGES[1:] <= WINDOW[1])


def covariance_of(mass: Array) -> Array:
    log_m = np.log(mass)
    return AMPLITUDE**2 * np.exp(-((log_m[:, None] - log_m) ** 2) / (2 * LENGTH**2))


def test_the_terms_with_a_prior_make_the_kernel() -> None:
    fit = fit_background(expectation(1e5), EDGES, GAUSSIAN_PROCESS, mask=MASK, sqrt_s_gev=SQRT_S, variances=EDGES[1:])
    terms = fit.function.basis(CENTRES / SQRT_S)[:, 3:]
    np.testing.assert_allclose(terms @ terms.T, covariance_of(CENTRES), atol=1e-5 * AMPLITUDE**2)
    np.testing.assert_allclose(kernel(np.log(CENTRES), np.log(CENTRES)), covariance_of(CENTRES))


@pytest.mark.parametrize("events", [1e4, 1e6])
def test_curve_and_error_are_the_closed_form_of_many_events(events: float) -> None:
    """Truth: generalised least squares of ln(counts) with the dense kernel, and universal kriging for the window.

    Small distortions of dijet3 make it linear; bins are narrow, so that their contents are values at their centres.
    """
    edges = np.arange(3000.0, 6501.0, 25.0)
    centres = (edges[1:] + edges[:-1]) / 2
    masked = (edges[:-1] >= MASK[0]) & (edges[1:] <= MASK[1])
    smooth = expectation(events, edges=edges)
    counts = smooth * np.exp(0.02 * np.sin(np.log(centres) * 8))
    fit = fit_background(counts, edges, GAUSSIAN_PROCESS, mask=MASK, sqrt_s_gev=SQRT_S, variances=counts)
    mean = FUNCTIONS["dijet3"].basis(centres / SQRT_S)
    beside, inside = ~masked, (edges[:-1] >= WINDOW[0]) & (edges[1:] <= WINDOW[1])
    total = covariance_of(centres)
    noise = total[np.ix_(beside, beside)] + np.diag(1 / counts[beside])
    residual = np.log(counts / smooth)[beside]
    inverse = np.linalg.inv(noise)
    information = mean[beside].T @ inverse @ mean[beside]
    means = np.linalg.solve(information, mean[beside].T @ inverse @ residual)
    cross = total[np.ix_(inside, beside)] @ inverse
    rest = mean[inside] - cross @ mean[beside]
    curve = smooth[inside] * np.exp(mean[inside] @ means + cross @ (residual - mean[beside] @ means))
    posterior = total[np.ix_(inside, inside)] - cross @ total[np.ix_(beside, inside)]
    posterior += rest @ np.linalg.solve(information, rest.T)
    value, covariance = fit.expected(np.array(WINDOW))
    error = float(np.sqrt(curve @ posterior @ curve))
    assert value[0] == pytest.approx(curve.sum(), abs=0.03 * error)
    assert float(np.sqrt(covariance[0, 0])) == pytest.approx(error, rel=0.02)


def test_the_deviance_has_the_mean_that_its_degrees_of_freedom_say() -> None:
    toys = np.random.default_rng(5).poisson(expectation(2e5, CURVED), (150, len(CENTRES))).astype(float)
    fits = [fit_background(toy, EDGES, GAUSSIAN_PROCESS, mask=MASK, sqrt_s_gev=SQRT_S) for toy in toys]
    error = np.sqrt(2 * 24 / len(toys))
    assert np.mean([fit.deviance for fit in fits]) == pytest.approx(np.mean([fit.ndof for fit in fits]), abs=4 * error)
    assert {fit.ndof for fit in fits} <= {22, 23, 24, 25}


@pytest.mark.parametrize(("events", "parameters"), [(3e3, (9.0, 5.0)), (1e5, (9.0, 5.0)), (1e5, CURVED)])
def test_the_error_covers_the_truth(events: float, parameters: tuple[float, ...]) -> None:
    """Dijet functions with and without curvature that the mean lacks."""
    truth = expectation(events, parameters)
    toys = np.random.default_rng(6).poisson(truth, (2000, len(truth))).astype(float)
    many = estimate_many(toys, EDGES, mask=MASK, windows=[WINDOW], functions=["gaussian-process"], sqrt_s_gev=SQRT_S)
    b = truth[INSIDE].sum()
    assert many.valid.all()
    covered = (many.value - many.down < b) & (b < many.value + many.up)
    assert 0.64 < covered.mean() < 0.80


def test_few_events_are_fitted_as_by_the_mean() -> None:
    counts = np.random.default_rng(3).poisson(expectation(150.0)).astype(float)
    found = [
        fit_background(counts, EDGES, FUNCTIONS[name], mask=MASK, sqrt_s_gev=SQRT_S).estimate(*WINDOW)
        for name in ("dijet3", "gaussian-process")
    ]
    assert found[1].value == pytest.approx(found[0].value, rel=0.03)
    assert found[0].up < found[1].up < 1.1 * found[0].up


def test_the_profile_likelihood_holds_the_prior() -> None:
    """A prior determines the window: without it the width would be that of eleven free coefficients."""
    counts = np.random.default_rng(3).poisson(expectation(1e5)).astype(float)
    fit = fit_background(counts, EDGES, GAUSSIAN_PROCESS, mask=MASK, sqrt_s_gev=SQRT_S)
    estimate = fit.estimate(*WINDOW)
    assert estimate.log_error == pytest.approx(estimate.up / estimate.value, rel=0.05)
    assert fit.data is not None
    assert make_design(fit.function, fit.data.low, fit.data.high, SQRT_S).precision is not None


def test_it_is_no_part_of_a_nested_family() -> None:
    counts = expectation(1e4).round()
    options = {"mask": MASK, "alpha": 0.05, "sqrt_s_gev": SQRT_S}
    for family in (("gaussian-process", "dijet4"), ("exp1", "power-laws4"), ("dijet3", "gaussian-process")):
        with pytest.raises(ConfigError, match="must be nested"):
            choose_order(counts, EDGES, functions=family, **options)
    family = ("exp1", "gaussian-process")
    assert (
        choose_order(counts, EDGES, functions=family, strategy="chi2-acceptance", **options).function.name == family[1]
    )
