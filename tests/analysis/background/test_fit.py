from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from iminuit import Minuit
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from analysis.background import FUNCTIONS, fit_background
from analysis.background.bins import sidebands
from analysis.background.goodness import goodness_of_fit
from analysis.background.likelihood import deviance_of, gradient_of, integrals, make_design, minuit_solution, solve
from analysis.errors import FitError
from tests.builders.toy_tables import SQRT_S
from tests.builders.truth import (
    CURVED,
    DIJET,
    EDGES,
    MASK,
    MASKED,
    NARROW,
    TRUTH,
    asimov,
    choose,
    expectation,
    fit,
    integral,
    quad,
    toys,
)

Array = NDArray[np.float64]

# The function and its integrals


@pytest.mark.parametrize("name", DIJET)
@pytest.mark.parametrize("interval", [(3300.0, 3700.0), NARROW, (3000.0, 6500.0), (2800.0, 7500.0)])
def test_integrals_are_those_of_the_published_formula(name: str, interval: tuple[float, float]) -> None:
    result = fit(toys(1, 1e5, CURVED)[0], name)
    ln_p0, *powers = result.parameters.values()
    truth = np.exp(ln_p0) * quad(*interval, powers)
    # Gauss-Legendre of order 8: exact to rounding on bins, and good enough for one bin of several TeV.
    width = interval[1] - interval[0]
    assert integral(result, *interval)[0] == pytest.approx(truth, rel=1e-9 if width < 1000 else 1e-3)


def test_parameters_carry_the_names_of_the_formula() -> None:
    parameters = asimov(expectation(1e6), "dijet4").parameters
    assert list(parameters) == ["ln_p0", "p1", "p2", "p3"]
    # Asimov data: what was put in comes out.
    assert list(asimov(expectation(1e6), "dijet3").parameters.values())[1:] == pytest.approx(TRUTH, rel=1e-3)


def test_parts_add_up_to_the_whole() -> None:
    result = fit(toys(1, 1e4)[0])
    cuts = np.array([3333.0, 3400.0, 3650.0, 3711.0])
    parts, covariance = result.expected(cuts)
    whole, error = integral(result, 3333.0, 3711.0)
    assert parts.sum() == pytest.approx(whole, rel=1e-9)
    assert np.sqrt(covariance.sum()) == pytest.approx(error, rel=1e-6)


# The fit


@pytest.mark.parametrize("name", DIJET)
def test_maximum_likelihood_keeps_the_number_of_events(name: str) -> None:
    # The normalisation is free, so at the maximum the fit integrates to the observed events outside the mask.
    counts = toys(1, 5000)[0]
    expected = fit(counts, name).expected(EDGES)[0]
    assert expected[~MASKED].sum() == pytest.approx(counts[~MASKED].sum(), rel=1e-4)


def test_pulls_of_the_window_integral() -> None:
    n_toys, n_events = 200, 20_000.0
    truth = n_events * quad(*NARROW, TRUTH) / quad(3000, 6500, TRUTH)
    results = [fit(counts) for counts in toys(n_toys, n_events, seed=1)]
    pulls = np.array([(value - truth) / error for value, error in (integral(result, *NARROW) for result in results)])
    assert abs(pulls.mean()) < 3 / np.sqrt(n_toys)
    assert pulls.std() == pytest.approx(1, abs=0.15)
    p_values = [result.p_value for result in results]
    assert stats.kstest(p_values, "uniform").pvalue > 1e-3


def test_covariance_is_the_inverse_fisher_information() -> None:
    # On Asimov data the observed information is the expected one, F = J^T diag(1 / mu) J, here in the parameters of
    # the published formula and by numerical derivatives: another basis, the same errors of what can be observed.
    def model(parameters: Array, edges: Array) -> Array:
        return np.exp(parameters[0]) * np.array([quad(a, b, parameters[1:]) for a, b in itertools.pairwise(edges)])

    def jacobian(edges: Array) -> Array:
        columns = [(model(best + h, edges) - model(best - h, edges)) / 2e-4 for h in 1e-4 * np.eye(3)]
        return np.stack(columns, axis=1)

    counts = expectation(20_000.0)
    best = np.array([np.log(20_000.0 / quad(3000, 6500, TRUTH)), *TRUTH])
    sidebands = jacobian(EDGES)[~MASKED]
    covariance = np.linalg.inv(sidebands.T @ (sidebands / counts[~MASKED, None]))
    edges = np.array([3000.0, 3333.0, 3711.0, 5000.0, 6500.0])
    gradient = jacobian(edges)
    _, fitted = asimov(counts).expected(edges)
    truth = gradient @ covariance @ gradient.T
    error = np.sqrt(np.diag(truth))
    np.testing.assert_allclose(fitted / np.outer(error, error), truth / np.outer(error, error), atol=0.01)


@pytest.mark.parametrize("garbage", [1e9, 0.0, np.nan, -5.0])
def test_masked_bins_have_no_influence(garbage: float) -> None:
    counts = toys(1, 5000)[0]
    hidden = np.where(MASKED, garbage, counts)
    first, second = (choose(values, ("dijet2", "dijet3", "dijet4"), 0.2) for values in (counts, hidden))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    np.testing.assert_array_equal(first.covariance, second.covariance)
    assert first.path == second.path
    assert (first.deviance, first.ndof) == (second.deviance, second.ndof)


def test_bins_beside_the_mask_do_have_influence() -> None:
    counts = toys(1, 5000)[0]
    base = integral(fit(counts), *NARROW)[0]
    for beside in (np.flatnonzero(MASKED)[0] - 1, np.flatnonzero(MASKED)[-1] + 1):
        changed = counts.copy()
        changed[beside] = np.round(1.3 * counts[beside])
        assert integral(fit(changed), *NARROW)[0] > base + 1


def test_a_bin_that_overlaps_the_mask_is_left_out() -> None:
    counts = toys(1, 5000)[0]
    np.testing.assert_array_equal(fit(counts, mask=(3250.0, 3750.0)).coefficients, fit(counts).coefficients)


def test_deviance_is_that_of_baker_and_cousins() -> None:
    counts = toys(1, 300)[0]
    assert (counts[~MASKED] == 0).any()
    result = fit(counts)
    mu, n = result.expected(EDGES)[0][~MASKED], counts[~MASKED]
    by_hand = 2 * sum(m - k + (k * np.log(k / m) if k > 0 else 0) for m, k in zip(mu, n, strict=True))
    assert result.deviance == pytest.approx(by_hand, rel=1e-9)
    assert result.ndof == (~MASKED).sum() - 3
    assert result.p_value == pytest.approx(stats.chi2.sf(by_hand, result.ndof))


@pytest.mark.parametrize("factor", [1e-2, 1e4])
def test_the_fit_scales_with_the_counts(factor: float) -> None:
    counts = expectation(20_000.0)
    (small, error), (large, large_error) = (integral(asimov(c), *NARROW) for c in (counts, factor * counts))
    assert large / small == pytest.approx(factor, rel=1e-4)
    assert large_error / error == pytest.approx(np.sqrt(factor), rel=0.01)


def test_the_fit_does_not_know_the_unit_of_mass() -> None:
    counts = toys(1, 5000)[0]
    in_tev = fit_background(counts, EDGES / 1e3, FUNCTIONS["dijet3"], mask=(3.2, 3.8), sqrt_s_gev=13.0)
    (value, error), (tev_value, tev_error) = integral(fit(counts), *NARROW), integral(in_tev, 3.333, 3.711)
    assert tev_value == pytest.approx(value, rel=1e-6)
    assert tev_error == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("name", DIJET)
def test_twenty_events_can_be_fitted(name: str) -> None:
    # Trial steps of the minimiser must not overflow either: a warning is an error here.
    rows = [counts for counts in toys(60, 20, seed=9) if (counts[~MASKED] > 0).sum() > FUNCTIONS[name].n_parameters]
    assert len(rows) >= 10
    for counts in rows:
        value, error = integral(fit(counts, name), 3300.0, 3700.0)
        assert 0 < value < 60
        assert 0 < error < 60


def test_twenty_events_are_fitted_without_bias() -> None:
    truth = 20 * quad(3300, 3700, TRUTH) / quad(3000, 6500, TRUTH)
    rows = [counts for counts in toys(100, 20, seed=3) if (counts[~MASKED] > 0).sum() > 2]
    values = np.array([integral(fit(counts, "dijet2"), 3300.0, 3700.0)[0] for counts in rows])
    assert len(values) > 90
    assert abs(np.median(values) - truth) < 0.15 * truth


@pytest.mark.parametrize("n_events", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("name", DIJET)
def test_every_function_is_fitted_at_every_size(name: str, n_events: float) -> None:
    truth = n_events * quad(*NARROW, CURVED) / quad(3000, 6500, CURVED)
    value, error = integral(fit(toys(1, n_events, CURVED, seed=4)[0], name), *NARROW)
    if name in ("dijet4", "dijet5"):
        assert abs(value - truth) < 4 * error


# Faults


def test_too_few_filled_bins() -> None:
    counts = np.zeros(len(EDGES) - 1)
    counts[[0, 10, 20]] = 5.0
    assert fit(counts, "dijet2").ndof == (~MASKED).sum() - 2
    with pytest.raises(FitError) as caught:
        fit(counts, "dijet3")
    words = ("3 filled bins", "3000-6500 GeV", "mask 3200-3800", "3 parameters of dijet3", "looser selection")
    assert [word for word in words if word not in str(caught.value)] == []
    counts[MASKED] = 7.0  # filled, but not looked at
    with pytest.raises(FitError, match="3 filled bins"):
        fit(counts, "dijet3")


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
def test_negative_and_undefined_bins_are_refused(bad: float) -> None:
    counts = toys(1, 1000.0)[0]
    counts[20] = bad
    with pytest.raises(FitError, match="5000-5100 GeV of the spectrum in 3000-6500 GeV holds a count that is negative"):
        fit(counts)


# Published formulae

FORMULAE: dict[str, Any] = {
    "dijet5": lambda x, p: (1 - x) ** p[0] / x ** (p[1] + p[2] * np.log(x) + p[3] * np.log(x) ** 2),
    "atlas1": lambda x, p: (1 - x) ** p[0] * x ** -p[1],
    "atlas2": lambda x, p: (1 - x) ** p[0] * x ** (-p[1] + p[2] * np.log(x)),
    "atlas3": lambda x, p: x ** p[0] * np.exp(-p[1] * x + p[2] * x**2),
    "exp1": lambda x, p: 1.0,
    "exp2": lambda x, p: np.exp(p[0] * x),
    "exp3": lambda x, p: np.exp(p[0] * x + p[1] * x**2),
    "exp4": lambda x, p: np.exp(p[0] * x + p[1] * x**2 + p[2] * x**3),
    "ua2": lambda x, p: x ** -p[0] * np.exp(-p[1] * x - p[2] * x**2),
}


@pytest.mark.parametrize("name", FORMULAE)
def test_every_function_is_its_published_formula(name: str) -> None:
    result = fit(toys(1, 1e5, CURVED)[0], name)
    ln_p0, *powers = result.parameters.values()
    assert len(powers) == FUNCTIONS[name].n_parameters - 1
    truth = np.exp(ln_p0) * integrate.quad(lambda m: FORMULAE[name](m / SQRT_S, powers), *NARROW, epsrel=1e-11)[0]
    assert integral(result, *NARROW)[0] == pytest.approx(truth, rel=1e-8)


def test_bins_of_different_width() -> None:
    edges = np.concatenate(
        [np.arange(3000.0, 4000.0, 50.0), np.arange(4000.0, 5000.0, 100.0), [5000.0, 5500.0, 6500.0]]
    )
    result = fit(np.round(expectation(1e6, edges=edges)), edges=edges)
    assert list(result.parameters.values())[1:] == pytest.approx(TRUTH, rel=1e-2)


# The minimum


@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_and_information_are_the_derivatives_of_the_deviance(weighted: bool) -> None:
    counts = toys(1, 3000)[0]
    data = sidebands(counts, EDGES, mask=MASK, variances=0.3 * counts if weighted else None)
    design = make_design(FUNCTIONS["dijet4"], data.low, data.high, SQRT_S)
    observed, scale = data.observed[None], data.scale[None]

    def deviance(c: Array) -> float:
        return float(deviance_of(observed, integrals(design, c[None])[0], scale)[0])

    def gradient(c: Array) -> Array:
        return gradient_of(observed, *integrals(design, c[None]), scale)[0]

    best = solve(observed, design, scale)
    rng = np.random.default_rng(0)
    for point in best.coefficients[0] + rng.normal(0, 0.3, (5, 4)):
        numerical = [(deviance(point + h) - deviance(point - h)) / 2e-5 for h in 1e-5 * np.eye(4)]
        np.testing.assert_allclose(gradient(point), numerical, rtol=1e-5, atol=1e-3)
    # On expectations the expected information is half of the second derivatives.
    observed = integrals(design, best.coefficients)[0]
    numerical = [
        (gradient(best.coefficients[0] + h) - gradient(best.coefficients[0] - h)) / 2e-5 for h in 1e-5 * np.eye(4)
    ]
    information = np.linalg.inv(solve(observed, design, scale).covariance[0])
    np.testing.assert_allclose(2 * information, numerical, rtol=1e-4, atol=1e-5 * np.trace(information))


@pytest.mark.parametrize("n_events", [20, 300, 1e4, 1e6])
@pytest.mark.parametrize("name", ["dijet3", "exp3", "ua2"])
def test_the_minimum_is_that_of_scipy_and_of_iminuit(name: str, n_events: float) -> None:
    data = sidebands(toys(1, n_events, seed=2)[0], EDGES, mask=MASK)
    design = make_design(FUNCTIONS[name], data.low, data.high, SQRT_S)
    observed, scale = data.observed[None], data.scale[None]
    ours = solve(observed, design, scale)
    minuit = minuit_solution(observed, design, scale)
    simplex = optimize.minimize(
        lambda c: deviance_of(observed, integrals(design, c[None])[0], scale)[0],
        ours.coefficients[0] + 0.05,
        method="Nelder-Mead",
        options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 20_000, "maxfev": 20_000},
    )
    assert ours.valid[0]
    assert minuit.valid[0]
    assert ours.deviance[0] <= min(simplex.fun, minuit.deviance[0]) + 1e-6
    assert ours.deviance[0] == pytest.approx(minuit.deviance[0], abs=1e-3)
    assert ours.deviance[0] == pytest.approx(simplex.fun, abs=1e-5)


def test_iminuit_takes_over_where_the_steps_do_not_converge(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = toys(1, 5000)[0]
    truth = fit(counts)
    monkeypatch.setattr("analysis.background.likelihood._MAX_STEPS", 1)
    other = fit(counts)
    assert not np.array_equal(other.coefficients, truth.coefficients)
    assert other.deviance == pytest.approx(truth.deviance, abs=1e-3)


def test_no_valid_minimum_is_an_error_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.background.likelihood._MAX_STEPS", 1)
    monkeypatch.setattr(Minuit, "valid", False)
    with pytest.raises(FitError, match=r"dijet3 to 3000-6500 GeV found no valid minimum .* Use fewer parameters"):
        fit(toys(1, 5000)[0])


def test_many_spectra_at_once_are_the_same_as_one_by_one() -> None:
    rows = toys(30, 3000)[:, ~MASKED]
    design = make_design(FUNCTIONS["dijet4"], EDGES[:-1][~MASKED], EDGES[1:][~MASKED], SQRT_S)
    together = solve(rows, design, np.ones_like(rows))
    for row, coefficients in zip(rows, together.coefficients, strict=True):
        alone = solve(row[None], design, np.ones((1, len(row))))
        np.testing.assert_allclose(alone.coefficients[0], coefficients, atol=1e-8)


# Several masks, and weights


def test_several_masks() -> None:
    counts = toys(1, 5000)[0]
    second = (4500.0, 4850.0)
    hidden = counts.copy()
    low, high = EDGES[:-1], EDGES[1:]
    hidden[(low < 4850) & (high > 4500)] = 1e9
    result = fit(hidden, mask=[MASK, second])
    assert result.ndof == fit(counts).ndof - 4
    changed = fit(counts, mask=[MASK, second])
    np.testing.assert_array_equal(result.coefficients, changed.coefficients)


@pytest.mark.parametrize("weight", [0.2, 3.0])
def test_equal_weights_only_scale_the_fit(weight: float) -> None:
    counts = toys(1, 5000)[0]
    plain, scaled = fit(counts), fit(weight * counts, variances=weight**2 * counts)
    assert scaled.deviance == pytest.approx(plain.deviance, rel=1e-8)
    for mine, theirs in zip(integral(scaled, *NARROW), integral(plain, *NARROW), strict=True):
        assert mine == pytest.approx(weight * theirs, rel=1e-7)


def test_pulls_with_random_weights() -> None:
    # Weights 0.5 or 1.5: the variance is 1.25 times the count, and errors without it would be too small.
    rng, n_toys = np.random.default_rng(3), 300
    pulls = []
    truth = 20_000 * quad(*NARROW, TRUTH) / quad(3000, 6500, TRUTH)
    for light in toys(n_toys, 10_000, seed=6):
        heavy = rng.poisson(expectation(10_000))
        result = fit(0.5 * light + 1.5 * heavy, variances=0.25 * light + 2.25 * heavy)
        value, error = integral(result, *NARROW)
        pulls.append((value - truth) / error)
    assert abs(np.mean(pulls)) < 4 / np.sqrt(n_toys)
    assert np.std(pulls) == pytest.approx(1, abs=0.13)


@pytest.mark.parametrize(
    ("value", "variance", "message"),
    [
        (10.5, None, "5000-5100 GeV .* not a whole number"),
        (10.5, np.nan, "5000-5100 GeV .* variance that is negative or undefined"),
        (10.5, 0.0, "5000-5100 GeV .* variance of zero"),
        (-1.0, 2.0, "5000-5100 GeV .* negative or not finite"),
    ],
)
def test_bins_that_cannot_be_counted_are_named(value: float, variance: float | None, message: str) -> None:
    counts = toys(1, 5000)[0]
    counts[20] = value
    variances = None
    if variance is not None:
        variances = counts.copy()
        variances[20] = variance
    with pytest.raises(FitError, match=message):
        fit(counts, variances=variances)


@pytest.mark.parametrize("edges", [EDGES[:-1], EDGES[::-1], np.r_[EDGES[:-1], EDGES[-2]], np.r_[EDGES[:-1], np.nan]])
def test_edges_that_make_no_bins_are_refused(edges: Array) -> None:
    with pytest.raises(FitError, match="edges"):
        fit(toys(1, 5000)[0], edges=edges)


@pytest.mark.parametrize("mask", [(3000.0, 6500.0), (3050.0, 6400.0)])
def test_a_mask_that_leaves_too_little_is_refused(mask: tuple[float, float]) -> None:
    with pytest.raises(FitError, match=r"filled bins of .* outside the mask"):
        fit(toys(1, 5000)[0], mask=mask)


@pytest.mark.parametrize("mask", [(3800.0, 3200.0), (3200.0, np.nan)])
def test_a_mask_that_is_no_interval_is_refused(mask: tuple[float, float]) -> None:
    with pytest.raises(FitError, match="a mask is"):
        fit(toys(1, 5000)[0], mask=mask)


def test_a_fit_of_no_spectra_has_no_results() -> None:
    n_bins = len(EDGES) - 1
    design = make_design(FUNCTIONS["dijet4"], EDGES[:-1], EDGES[1:], SQRT_S)
    nothing = solve(np.zeros((0, n_bins)), design, np.ones((0, n_bins)))
    assert nothing.cumulants.shape == (0, 4, 4, 4)
    assert nothing.valid.shape == (0,)


def test_the_goodness_of_a_fit_whose_toys_are_all_empty_is_refused() -> None:
    with pytest.raises(FitError, match="only 0 of 20 toys of dijet4"):
        goodness_of_fit(asimov(1e-5 * toys(1, 1e5, CURVED)[0], "dijet4"), n_toys=20)
