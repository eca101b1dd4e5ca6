"""Sums of power laws: their likelihood against iminuit, and fits where nothing determines them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from iminuit import Minuit
from numpy.typing import NDArray
from scipy import integrate, special

from analysis.background import FUNCTIONS, POWER_LAWS, POWER_LAWS_4, estimate_many, fit_background, goodness_of_fit
from analysis.background.tabulated import tabulate, tabulated_function
from analysis.errors import FitError
from tests.builders.truth import SQRT_S

Array = NDArray[np.float64]

EDGES = np.arange(1000.0, 4001.0, 100.0)
MASK = (1900.0, 2500.0)
WINDOW = (2000.0, 2400.0)
MASKED = (EDGES[:-1] >= MASK[0]) & (EDGES[1:] <= MASK[1])
UP, DOWN = (8.0, 0.3, 5.0), (5.0, -0.08, 2.0)
"""Exponents and ratio at 2 TeV of spectra that bend up and down in ln f over ln m."""


def density(mass: Array | float, powers: tuple[float, ...], turn_on: tuple[float, ...] = ()) -> Array:
    y = np.asarray(mass) / 2000.0
    first, ratio, second = powers
    curve = y**-first + ratio * y**-second
    if turn_on:
        curve = curve * (1 + special.erf((np.asarray(mass) - turn_on[0]) / np.sqrt(2) / turn_on[1])) / 2
    return np.asarray(curve)


def integral(powers: tuple[float, ...], turn_on: tuple[float, ...] = (), edges: Array = EDGES) -> Array:
    """Bin contents by scipy's quadrature."""
    found = [integrate.quad(density, a, b, (powers, turn_on))[0] for a, b in itertools.pairwise(edges)]
    return np.array(found)


CASES = [
    ("power-laws4", UP, ()),
    ("power-laws4", DOWN, ()),
    ("power-laws", UP, (1150.0, 120.0)),
    ("power-laws", DOWN, (1300.0, 200.0)),
]


def drawn(powers: tuple[float, ...], turn_on: tuple[float, ...], events: float = 200_000.0) -> tuple[Array, Array]:
    truth = integral(powers, turn_on)
    truth *= events / truth.sum()
    return np.random.default_rng(8).poisson(truth).astype(float), truth


def expected(values: Array, edges: Array = EDGES) -> Array:
    """Bin contents for ln p0, exponents, ratio and turn-on, with quadrature of fewer nodes than the package."""
    nodes, weights = np.polynomial.legendre.leggauss(5)
    half = np.diff(edges)[:, None] / 2
    mass = (edges[1:] + edges[:-1])[:, None] / 2 + half * nodes
    curve: Array = (density(mass, tuple(values[1:4]), tuple(values[4:])) * half * weights).sum(axis=1)
    return np.exp(values[0]) * curve


@pytest.mark.parametrize(("name", "powers", "turn_on"), CASES[:3])
def test_the_best_curve_is_that_of_iminuit(name: str, powers: tuple[float, ...], turn_on: tuple[float, ...]) -> None:
    """MIGRAD on the full likelihood, with exponents, ratio and turn-on as parameters."""
    counts, truth = drawn(powers, turn_on)
    fit = fit_background(counts, EDGES, FUNCTIONS[name], mask=MASK, sqrt_s_gev=SQRT_S)
    n = counts[~MASKED]

    def deviance(values: Array) -> float:
        rate = expected(values)[~MASKED]
        return float(2 * (rate - n + special.xlogy(n, n / rate)).sum()) if (rate > 0).all() else 1e9

    start = np.array([np.log(truth.sum() / integral(powers, turn_on).sum()), *powers, *turn_on])
    minuit = Minuit(deviance, start)
    minuit.errordef, minuit.strategy, minuit.tol = Minuit.LEAST_SQUARES, 2, 1e-3
    minuit.migrad(ncall=50_000)
    assert fit.deviance == pytest.approx(minuit.fval, abs=0.05)
    assert fit.deviance < minuit.fval + 1e-3
    value, error = fit.estimate(*WINDOW).value, fit.estimate(*WINDOW).up
    assert value == pytest.approx(expected(np.array(minuit.values), np.array(WINDOW))[0], abs=0.2 * error)


@pytest.mark.parametrize(("name", "powers", "turn_on"), CASES)
def test_the_error_is_that_of_the_parameters_of_two_powers(
    name: str, powers: tuple[float, ...], turn_on: tuple[float, ...]
) -> None:
    """Without fluctuations, from numerical derivatives in exponents, ratio and turn-on."""
    _, counts = drawn(powers, turn_on)
    fit = fit_background(counts, EDGES, FUNCTIONS[name], mask=MASK, sqrt_s_gev=SQRT_S, variances=counts)
    best = np.array([np.log(counts.sum() / integral(powers, turn_on).sum()), *powers, *turn_on])
    steps = np.diag(np.maximum(abs(best), 1.0) * 1e-6)
    slopes = np.stack([(expected(best + d) - expected(best - d)) / (2 * d.sum()) for d in steps], axis=1)
    beside, inside = slopes[~MASKED], slopes[(EDGES[:-1] >= WINDOW[0]) & (EDGES[1:] <= WINDOW[1])].sum(axis=0)
    variance = inside @ np.linalg.solve(beside.T @ (beside / counts[~MASKED, None]), inside)
    value, covariance = fit.expected(np.array(WINDOW))
    truth = counts.sum() * integral(powers, turn_on, np.array(WINDOW))[0] / integral(powers, turn_on).sum()
    assert value[0] == pytest.approx(truth, rel=1e-6)
    assert covariance[0, 0] == pytest.approx(variance, rel=1e-3)


@pytest.mark.parametrize(("name", "powers", "turn_on"), CASES)
def test_background_spectra_have_pulls_of_unit_width(
    name: str, powers: tuple[float, ...], turn_on: tuple[float, ...]
) -> None:
    _, truth = drawn(powers, turn_on)
    toys = np.random.default_rng(2).poisson(truth, (500, len(truth))).astype(float)
    many = estimate_many(toys, EDGES, mask=MASK, windows=[WINDOW], functions=[name], sqrt_s_gev=SQRT_S)
    inside = (EDGES[:-1] >= WINDOW[0]) & (EDGES[1:] <= WINDOW[1])
    pulls = (truth[inside].sum() - many.value[:, 0]) / many.up[:, 0]
    assert many.valid.all()
    assert abs(pulls.mean()) < 0.25
    assert pulls.std() == pytest.approx(1.0, abs=0.1)


def test_parameters_are_those_of_the_formula() -> None:
    _, counts = drawn(UP, ())
    fit = fit_background(counts, EDGES, POWER_LAWS_4, mask=MASK, sqrt_s_gev=SQRT_S, variances=counts)
    values = fit.parameters
    d = np.sqrt(values["p2"] + values["p3"] ** 2)
    middle = values["p1"] + values["p3"]
    assert (middle - d, middle + d) == pytest.approx((5.0, 8.0), abs=1e-3)


def test_a_turn_on_that_is_not_seen_is_refused() -> None:
    counts, _ = drawn(DOWN, (), 3_000.0)
    with pytest.raises(
        FitError, match=r"of power-laws to 1000-4000 GeV .* do not determine its 6 .* as power-laws4 where"
    ):
        fit_background(counts, EDGES, POWER_LAWS, mask=MASK, sqrt_s_gev=SQRT_S)


def test_many_spectra_without_a_turn_on_have_no_valid_fit() -> None:
    counts = np.random.default_rng(1).poisson(drawn(DOWN, (), 2_000.0)[1], (5, len(EDGES) - 1)).astype(float)
    options = {"mask": MASK, "windows": [WINDOW], "sqrt_s_gev": SQRT_S}
    assert not estimate_many(counts, EDGES, functions=["power-laws"], **options).valid.any()
    assert estimate_many(counts, EDGES, functions=["dijet3"], **options).valid.all()


def test_a_table_keeps_offset_and_parameters() -> None:
    counts, _ = drawn(DOWN, (1300.0, 200.0))
    fit = fit_background(counts, EDGES, POWER_LAWS, mask=MASK, sqrt_s_gev=SQRT_S)
    table = tabulate(fit.function, EDGES, SQRT_S)
    assert table is not None
    again = tabulated_function("power-laws", table)
    one = fit.function.offset(EDGES / SQRT_S) if fit.function.offset else None
    assert again.offset is not None
    np.testing.assert_allclose(again.offset(EDGES / SQRT_S), one, rtol=1e-6)
    assert again.parameters(np.zeros(6)) == fit.function.parameters(np.zeros(6))


def test_toys_test_the_fit_of_few_events() -> None:
    counts, _ = drawn(UP, (), 400.0)
    found = goodness_of_fit(fit_background(counts, EDGES, POWER_LAWS_4, mask=MASK, sqrt_s_gev=SQRT_S), n_toys=100)
    assert found.method == "toys"
    assert 0.01 < found.p_value <= 1
