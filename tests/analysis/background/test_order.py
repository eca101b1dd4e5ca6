from __future__ import annotations

import re

import numpy as np
import pytest
from scipy import stats

from analysis.background import FUNCTIONS, STRATEGIES, fit_background
from analysis.background.order import choose_order, events_needed
from analysis.errors import ConfigError, FitError
from tests.builders.toy_tables import SQRT_S
from tests.builders.truth import (
    CURVED,
    EDGES,
    FAMILY,
    MASKED,
    NARROW,
    choose,
    expectation,
    fit,
    integral,
    quad,
    toys,
)


def test_a_curved_spectrum_needs_four_parameters() -> None:
    counts = toys(1, 3e6, CURVED, seed=5)[0]
    result = choose(counts, FAMILY)
    assert result.function.name in ("dijet4", "dijet5")
    truth = 3e6 * quad(*NARROW, CURVED) / quad(3000, 6500, CURVED)
    value, error = integral(result, *NARROW)
    assert abs(value - truth) < 4 * error
    stiff, stiff_error = integral(fit(counts, "dijet2"), *NARROW)
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
        choose(toys(1, 1000.0)[0], functions)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_masked_window_is_never_looked_at(strategy: str) -> None:
    counts = toys(1, 5000)[0]
    hidden = np.where(MASKED, 1e9, counts)
    first, second = (choose(values, FAMILY, 0.2, strategy) for values in (counts, hidden))
    np.testing.assert_array_equal(first.coefficients, second.coefficients)
    np.testing.assert_array_equal(first.covariance, second.covariance)
    assert first.path == second.path
    assert first.estimate(*NARROW) == second.estimate(*NARROW)


@pytest.mark.parametrize("strategy", ["events", "likelihood-ratio", "raise"])
def test_only_acceptance_takes_functions_that_are_not_nested(strategy: str) -> None:
    with pytest.raises(ConfigError, match="atlas3 does not extend atlas2"):
        choose(toys(1, 5000)[0], ("atlas1", "atlas2", "atlas3"), strategy=strategy)
    assert (
        choose(toys(1, 5000)[0], ("atlas1", "atlas2", "atlas3"), strategy="chi2-acceptance").function.name == "atlas1"
    )


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"unknown strategy 'best'.*events, transfer-factor, template, likelihood-ratio"
    ):
        choose(toys(1, 5000)[0], FAMILY, strategy="best")


# By events


@pytest.mark.parametrize("name", FAMILY[1:])
def test_an_order_needs_its_number_of_events(name: str) -> None:
    needed = round(events_needed(FUNCTIONS[name].n_parameters))
    for events, enough in ((needed - 1, False), (needed, True)):
        counts = np.zeros(len(EDGES) - 1)
        counts[~MASKED] = np.random.default_rng(0).multinomial(
            events, expectation(1)[~MASKED] / expectation(1)[~MASKED].sum()
        )
        assert (choose(counts, FAMILY, strategy="events").function.name == name) == enough


def test_the_order_by_events_does_not_depend_on_how_they_are_distributed() -> None:
    names = {choose(counts, FAMILY, strategy="events").function.name for counts in toys(20, 5000, CURVED)}
    assert names == {"dijet5"}
    path = choose(toys(1, 5000)[0], FAMILY, strategy="events").path
    assert [(step.function, step.preferred, step.test) for step in path] == [(name, True, "events") for name in FAMILY]


def test_weighted_events_count_as_the_unweighted_ones_they_are_worth() -> None:
    counts = toys(1, 5000)[0]
    assert choose(counts, FAMILY, strategy="events", variances=1000 * counts).function.name == "dijet2"


# What the searches published


def test_raising_stops_at_the_first_good_fit() -> None:
    # exp2 is too stiff for 1e5 dijet events; each step records its goodness of fit.
    counts = toys(1, 1e5, seed=5)[0]
    result = choose(counts, ("exp1", "exp2", "exp3", "exp4"), strategy="raise")
    assert [step.preferred for step in result.path] == [False] * (len(result.path) - 1) + [True]
    assert result.path[1].p_value < 1e-3
    last = result.path[-1]
    assert last.function == result.function.name
    assert last.p_value == pytest.approx(stats.chi2.sf(result.deviance, result.ndof))
    assert last.test == "goodness-of-fit"


def test_raising_to_no_good_fit_is_an_error() -> None:
    counts = toys(1, 3e6, CURVED, seed=5)[0]
    with pytest.raises(FitError, match=r"exp1 over 3000-6500 GeV has p = 0.*exp2.*Add a function"):
        choose(counts, ("exp1", "exp2"), strategy="raise")


def test_acceptance_shrinks_the_range_by_400_gev_until_a_function_fits() -> None:
    # A step in the tail above 6.2 TeV, that only a shorter range leaves out.
    counts = toys(1, 3e5)[0]
    counts[EDGES[:-1] >= 6200] += 200.0
    result = choose(counts, ("dijet2", "dijet3"), strategy="chi2-acceptance", mask=(3800.0, 4400.0))
    ranges = [(step.low, step.high) for step in result.path]
    assert ranges[:4] == [(3000.0, 6500.0)] * 2 + [(3200.0, 6300.0)] * 2
    assert ranges[-1] == (3400.0, 6100.0)
    kept = (EDGES[:-1] >= 3400) & (EDGES[1:] <= 6100)
    edges = np.append(EDGES[:-1][kept], 6100.0)
    alone = fit_background(counts[kept], edges, FUNCTIONS["dijet3"], mask=(3800.0, 4400.0), sqrt_s_gev=SQRT_S)
    np.testing.assert_array_equal(result.coefficients, alone.coefficients)
    assert result.p_value > 0.05


def test_acceptance_keeps_half_the_width_of_the_mask_on_both_sides() -> None:
    counts = toys(1, 3e6, CURVED, seed=5)[0]
    with pytest.raises(FitError, match="nor a shorter range") as caught:
        choose(counts, ("exp1",), strategy="chi2-acceptance", mask=(3850.0, 4400.0))
    assert "exp1 over 3000-6500 GeV has p = 0" in str(caught.value)
    assert "at last: exp1 over 3500-4700 GeV has p = 0" in str(caught.value)  # whole bins; half the mask is 300 wide
    with pytest.raises(FitError, match="at last: exp1 over 3000-4100 GeV"):  # there are only two bins below
        choose(counts, ("exp1",), strategy="chi2-acceptance", mask=(3200.0, 3800.0))


def test_acceptance_claims_no_excess_by_a_range_too_short_to_interpolate() -> None:
    """A search without signal: with one bin left below the mask, 2 events were expected where 303 are."""
    below = [2956, 2289, 1633, 1335, 992, 828, 628, 472, 359, 313, 231, 202]
    above = [1, 2, 5, 2, 4, 8, 2, 2, 0, 2, 1, 0, 0, 0, 0, 2, 1, 1, 0, 1, *[0] * 19]
    counts = np.array([*below, *[0] * 13, *above], np.float64)
    edges = np.arange(1800.0, 8201.0, 100.0)
    options = {"mask": (3000.0, 4300.0), "functions": ("atlas1", "atlas2", "atlas3"), "alpha": 0.05}
    with pytest.raises(
        FitError, match=r"atlas3 over 1800-8200 GeV has p = 0.01.*at last.*atlas3 over 2300-5000 GeV has p = 0.00"
    ):
        choose_order(counts, edges, strategy="chi2-acceptance", sqrt_s_gev=SQRT_S, **options)
