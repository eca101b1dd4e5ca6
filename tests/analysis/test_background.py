from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from iminuit import Minuit
from numpy.typing import NDArray
from scipy import integrate, stats

from analysis import background
from analysis.background import FUNCTIONS, BackgroundFit, choose_order, fit_background
from analysis.errors import ConfigError, FitError
from tests.toy_tables import SQRT_S, dijet_density

Array = NDArray[np.float64]

EDGES = np.arange(3000.0, 6501.0, 100.0)
MASK = (3200.0, 3800.0)
MASKED = (EDGES[:-1] >= MASK[0]) & (EDGES[1:] <= MASK[1])
NARROW = (3333.0, 3711.0)  # inside the mask, off the grid
TRUTH = (9.0, 5.0)
CURVED = (9.0, -7.0, -4.0)  # as steep, with curvature in ln x


def quad(low: float, high: float, parameters: Sequence[float]) -> float:
    return float(integrate.quad(dijet_density, low, high, args=tuple(parameters), epsabs=0, epsrel=1e-12)[0])


def expectation(n_events: float, parameters: Sequence[float] = TRUTH, edges: Array = EDGES) -> Array:
    """Bin contents of a dijet density, from scipy's quadrature."""
    bins = np.array([quad(a, b, parameters) for a, b in itertools.pairwise(edges)])
    return n_events * bins / bins.sum()


def fit(counts: Array, name: str = "dijet3", mask: tuple[float, float] = MASK, edges: Array = EDGES) -> BackgroundFit:
    return fit_background(counts, edges, FUNCTIONS[name], mask=mask, sqrt_s_gev=SQRT_S)


def choose(counts: Array, functions: Sequence[str], alpha: float = 0.05) -> BackgroundFit:
    return choose_order(counts, EDGES, mask=MASK, functions=functions, alpha=alpha, sqrt_s_gev=SQRT_S)


def toys(n_toys: int, n_events: float, parameters: Sequence[float] = TRUTH, seed: int = 0) -> Array:
    rng = np.random.default_rng(seed)
    return rng.poisson(expectation(n_events, parameters), (n_toys, len(EDGES) - 1)).astype(float)


# The function and its integrals


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("interval", [(3300.0, 3700.0), NARROW, (3000.0, 6500.0), (2800.0, 7500.0)])
def test_integrals_are_those_of_the_published_formula(name: str, interval: tuple[float, float]) -> None:
    result = fit(toys(1, 1e5, CURVED)[0], name)
    ln_p0, *powers = result.parameters.values()
    truth = np.exp(ln_p0) * quad(*interval, powers)
    # Gauss-Legendre of order 8: exact to rounding on bins, and good enough for one bin of several TeV.
    width = interval[1] - interval[0]
    assert result.integral(*interval)[0] == pytest.approx(truth, rel=1e-9 if width < 1000 else 1e-3)


def test_parameters_carry_the_names_of_the_formula() -> None:
    parameters = fit(expectation(1e6), "dijet4").parameters
    assert list(parameters) == ["ln_p0", "p1", "p2", "p3"]
    # Asimov data: what was put in comes out.
    assert list(fit(expectation(1e6), "dijet3").parameters.values())[1:] == pytest.approx(TRUTH, rel=1e-3)


def test_parts_add_up_to_the_whole() -> None:
    result = fit(toys(1, 1e4)[0])
    cuts = np.array([3333.0, 3400.0, 3650.0, 3711.0])
    parts, covariance = result.expected(cuts)
    whole, error = result.integral(3333.0, 3711.0)
    assert parts.sum() == pytest.approx(whole, rel=1e-9)
    assert np.sqrt(covariance.sum()) == pytest.approx(error, rel=1e-6)


# The fit


def test_gradient_given_to_the_minimiser(monkeypatch: pytest.MonkeyPatch) -> None:
    captured: dict[str, Any] = {}

    class Spy(Minuit):
        def __init__(self, function: Any, start: Any, grad: Any) -> None:
            captured.update(function=function, grad=grad, start=np.array(start))
            super().__init__(function, start, grad=grad)

    monkeypatch.setattr(background, "Minuit", Spy)
    fit(toys(1, 3000)[0], "dijet4")
    rng = np.random.default_rng(0)
    for point in captured["start"] + rng.normal(0, 0.3, (5, 4)):
        steps = 1e-5 * np.eye(4)
        numerical = [(captured["function"](point + h) - captured["function"](point - h)) / 2e-5 for h in steps]
        np.testing.assert_allclose(captured["grad"](point), numerical, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_maximum_likelihood_keeps_the_number_of_events(name: str) -> None:
    # The normalisation is free, so at the maximum the fit integrates to the observed events outside the mask.
    counts = toys(1, 5000)[0]
    expected = fit(counts, name).expected(EDGES)[0]
    assert expected[~MASKED].sum() == pytest.approx(counts[~MASKED].sum(), rel=1e-4)


def test_pulls_of_the_window_integral() -> None:
    n_toys, n_events = 200, 20_000.0
    truth = n_events * quad(*NARROW, TRUTH) / quad(3000, 6500, TRUTH)
    results = [fit(counts) for counts in toys(n_toys, n_events, seed=1)]
    pulls = np.array([(value - truth) / error for value, error in (result.integral(*NARROW) for result in results)])
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
    _, fitted = fit(counts).expected(edges)
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
    base = fit(counts).integral(*NARROW)[0]
    for beside in (np.flatnonzero(MASKED)[0] - 1, np.flatnonzero(MASKED)[-1] + 1):
        changed = counts.copy()
        changed[beside] *= 1.3
        assert fit(changed).integral(*NARROW)[0] > base + 1


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
    (small, error), (large, large_error) = (fit(c).integral(*NARROW) for c in (counts, factor * counts))
    assert large / small == pytest.approx(factor, rel=1e-4)
    assert large_error / error == pytest.approx(np.sqrt(factor), rel=0.01)


def test_the_fit_does_not_know_the_unit_of_mass() -> None:
    counts = toys(1, 5000)[0]
    in_tev = fit_background(counts, EDGES / 1e3, FUNCTIONS["dijet3"], mask=(3.2, 3.8), sqrt_s_gev=13.0)
    (value, error), (tev_value, tev_error) = fit(counts).integral(*NARROW), in_tev.integral(3.333, 3.711)
    assert tev_value == pytest.approx(value, rel=1e-6)
    assert tev_error == pytest.approx(error, rel=1e-3)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twenty_events_can_be_fitted(name: str) -> None:
    # Trial steps of the minimiser must not overflow either: a warning is an error here.
    rows = [counts for counts in toys(60, 20, seed=9) if (counts[~MASKED] > 0).sum() > FUNCTIONS[name].n_parameters]
    assert len(rows) >= 10
    for counts in rows:
        value, error = fit(counts, name).integral(3300.0, 3700.0)
        assert 0 < value < 60
        assert 0 < error < 60


def test_twenty_events_are_fitted_without_bias() -> None:
    truth = 20 * quad(3300, 3700, TRUTH) / quad(3000, 6500, TRUTH)
    rows = [counts for counts in toys(100, 20, seed=3) if (counts[~MASKED] > 0).sum() > 2]
    values = np.array([fit(counts, "dijet2").integral(3300.0, 3700.0)[0] for counts in rows])
    assert len(values) > 90
    assert abs(np.median(values) - truth) < 0.15 * truth


@pytest.mark.parametrize("n_events", [1e3, 1e5, 1e7])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_fitted_at_every_size(name: str, n_events: float) -> None:
    truth = n_events * quad(*NARROW, CURVED) / quad(3000, 6500, CURVED)
    value, error = fit(toys(1, n_events, CURVED, seed=4)[0], name).integral(*NARROW)
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
    counts = expectation(1000.0)
    counts[20] = bad
    with pytest.raises(FitError, match="3000-6500 GeV holds bins that are negative or not finite"):
        fit(counts)


# The choice of order

FAMILY = ("dijet2", "dijet3", "dijet4", "dijet5")


def test_a_curved_spectrum_needs_four_parameters() -> None:
    counts = toys(1, 3e6, CURVED, seed=5)[0]
    result = choose(counts, FAMILY)
    assert result.function.name in ("dijet4", "dijet5")
    truth = 3e6 * quad(*NARROW, CURVED) / quad(3000, 6500, CURVED)
    value, error = result.integral(*NARROW)
    assert abs(value - truth) < 4 * error
    stiff, stiff_error = fit(counts, "dijet2").integral(*NARROW)
    assert abs(stiff - truth) > 10 * stiff_error


def test_a_step_is_taken_when_its_p_value_is_below_alpha() -> None:
    counts = toys(1, 2000, seed=1)[0]
    gain = fit(counts, "dijet2").deviance - fit(counts, "dijet3").deviance
    p_value = stats.chi2.sf(gain, 1)
    assert 1e-6 < p_value < 0.5
    for alpha, chosen in ((0.99 * p_value, "dijet2"), (1.01 * p_value, "dijet3")):
        result = choose(counts, ("dijet2", "dijet3"), alpha)
        assert result.function.name == chosen
        assert [step.function for step in result.path] == ["dijet2", "dijet3"]
        assert result.path[0].p_value is None
        assert result.path[1].p_value == pytest.approx(p_value, rel=1e-6)
        assert result.path[1].preferred == (chosen == "dijet3")
        np.testing.assert_array_equal(result.coefficients, fit(counts, chosen).coefficients)


def test_two_parameters_more_have_two_degrees_of_freedom() -> None:
    counts = toys(1, 2000, seed=1)[0]
    gain = fit(counts, "dijet2").deviance - fit(counts, "dijet4").deviance
    path = choose(counts, ("dijet2", "dijet4"), 0.5).path
    assert gain < 20
    assert path[1].p_value == pytest.approx(stats.chi2.sf(gain, 2), rel=1e-6)


def test_an_unneeded_parameter_is_taken_as_often_as_alpha_says() -> None:
    alpha, n_toys = 0.2, 150
    taken = sum(
        choose(counts, ("dijet2", "dijet3"), alpha).function.name == "dijet3"
        for counts in toys(n_toys, 20_000, (35.0,), seed=8)
    )
    assert stats.binomtest(taken, n_toys, alpha).pvalue > 1e-3


def test_a_step_without_a_valid_fit_ends_the_path() -> None:
    counts = np.zeros(len(EDGES) - 1)
    counts[[0, 1, 10, 20]] = 50.0, 3.0, 9.0, 1.0
    result = choose(counts, FAMILY, 0.99)
    assert result.function.name == "dijet3"
    assert result.path[-1].function == "dijet4"
    assert (result.path[-1].deviance, result.path[-1].preferred) == (None, False)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (("dijet3", "dijet2"), "dijet2 does not extend dijet3"),
        (("dijet2", "dijet2"), "dijet2 does not extend dijet2"),
        (("dijet2", "dijet9"), "unknown background function 'dijet9'. Functions: dijet2, dijet3"),
        ((), "background.functions is empty"),
    ],
)
def test_families_that_are_not_nested_are_refused(functions: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        choose(expectation(1000.0), functions)
