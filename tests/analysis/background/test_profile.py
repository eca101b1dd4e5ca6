"""The log-normal background against the full profile likelihood of sidebands and window, minimised by scipy."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize

from analysis.background import FUNCTIONS, BackgroundFit, Sidebands, fit_background
from analysis.background.likelihood import deviance_of, integrals, make_design
from analysis.background.profile import PULL
from analysis.statistics import Counting, counting_workspace, counting_z, discovery
from tests.studies.fit_calibration import EDGES, SQRT_S, expectation

Array = NDArray[np.float64]

CASES = [
    # function, window, events expected in it
    ("dijet3", (3300.0, 3700.0), 40.0),
    ("dijet3", (4700.0, 5100.0), 30.0),
    ("dijet4", (3900.0, 4300.0), 150.0),
    ("dijet5", (3300.0, 3700.0), 2_000.0),
    ("dijet5", (4700.0, 5100.0), 400.0),
]


def fitted(function: str, window: tuple[float, float], events: float) -> BackgroundFit:
    inside = (EDGES[:-1] >= window[0]) & (EDGES[1:] <= window[1])
    truth = expectation("dijet4", 1.0)
    counts = np.random.default_rng(4).poisson(events * truth / truth[inside].sum()).astype(float)
    mask = (window[0] - 100, window[1] + 100)
    return fit_background(counts, EDGES, FUNCTIONS[function], mask=mask, sqrt_s_gev=SQRT_S)


def joint_z(fit: BackgroundFit, window: tuple[float, float], n: float) -> float:
    """Signed root of the likelihood ratio of sidebands and window, all parameters of the function free."""
    data: Sidebands | None = fit.data
    assert data is not None
    beside = make_design(fit.function, data.low, data.high, SQRT_S, fit.transform)
    inside = make_design(fit.function, *(np.array([edge]) for edge in window), SQRT_S, fit.transform)

    def deviance(coefficients: Array) -> float:
        b = integrals(inside, coefficients[None])[0][0]
        total = deviance_of(data.observed, integrals(beside, coefficients[None])[0][0], data.scale)
        return float(total + deviance_of(np.array([n]), b, np.ones(1)))

    scale = np.linalg.cholesky(fit.covariance)
    found = optimize.minimize(lambda x: deviance(fit.coefficients + scale @ x), np.zeros(len(scale)), method="BFGS")
    b = integrals(inside, fit.coefficients[None])[0][0, 0]
    return float(np.sign(n - b) * np.sqrt(max(found.fun - fit.deviance, 0.0)))


@pytest.mark.parametrize(("function", "window", "events"), CASES)
def test_z_is_that_of_the_full_profile_likelihood_to_two_percent(
    function: str, window: tuple[float, float], events: float
) -> None:
    fit = fitted(function, window, events)
    # About the integral of the curve: the estimate is centred besides, which the plain likelihood is not.
    b = float(fit.expected(np.array(window))[0][0])
    error = b * float(np.expm1(fit.estimate(*window).log_error))
    for deviations in (1.0, 2.0, 3.5, 5.0, 6.0):
        n = b + deviations * float(np.hypot(np.sqrt(b), error))
        truth = joint_z(fit, window, n)
        assert float(counting_z(np.array(n), np.array(b), np.array(error))) == pytest.approx(truth, rel=0.02)
        workspace = counting_workspace(Counting(n, b, error), channel="c", measurement="m")
        assert discovery(workspace).z == pytest.approx(truth, rel=0.02)


def test_a_gaussian_background_is_far_from_it_for_large_excesses() -> None:
    # Why the likelihood is not Gaussian: seven standard deviations would be shown as 7.7.
    fit = fitted("dijet5", (3300.0, 3700.0), 2_000.0)
    b, up = fit.integral(3300.0, 3700.0, "gaussian")
    n = b + 8.0 * np.hypot(np.sqrt(b), up)
    truth = joint_z(fit, (3300.0, 3700.0), float(n))
    assert float(counting_z(np.array(n), np.array(b), np.array(up), "gaussian")) > truth + 0.7


@pytest.mark.parametrize(("function", "window", "events"), CASES)
def test_the_width_is_that_of_the_profile_at_its_pull(
    function: str, window: tuple[float, float], events: float
) -> None:
    """Truth: the sidebands' deviance, minimised with ln b of the window held, at PULL times the width above."""
    fit = fitted(function, window, events)
    data = fit.data
    assert data is not None
    beside = make_design(fit.function, data.low, data.high, SQRT_S, fit.transform)
    inside = make_design(fit.function, *(np.array([edge]) for edge in window), SQRT_S, fit.transform)
    best = float(np.log(integrals(inside, fit.coefficients[None])[0][0, 0]))
    width = fit.estimate(*window).log_error
    held = {
        "type": "eq",
        "fun": lambda c: np.log(integrals(inside, c[None])[0][0, 0]) - best - PULL * width,
    }
    found = optimize.minimize(
        lambda c: deviance_of(data.observed, integrals(beside, c[None])[0][0], data.scale),
        fit.coefficients,
        constraints=held,
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-10},
    )
    assert np.sqrt(found.fun - fit.deviance) == pytest.approx(PULL, rel=0.02)


def test_weights_scale_the_sidebands() -> None:
    counts = np.random.default_rng(4).poisson(expectation("dijet4", 20_000.0)).astype(float)
    options = {"mask": (3800.0, 4400.0), "sqrt_s_gev": SQRT_S}
    plain = fit_background(counts, EDGES, FUNCTIONS["dijet4"], **options)
    scaled = fit_background(counts / 4, EDGES, FUNCTIONS["dijet4"], variances=counts / 16, **options)
    window = (3900.0, 4300.0)
    assert scaled.estimate(*window).log_error == pytest.approx(plain.estimate(*window).log_error, rel=1e-6)
