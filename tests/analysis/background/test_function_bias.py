"""The bias of a function against alternatives, and the shifts by what the sidebands cannot exclude."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.background import (
    FUNCTIONS,
    TRANSFER_FACTOR,
    BackgroundFit,
    choose_order,
    fit_background,
    function_bias,
    hidden_shifts,
    with_function_error,
)
from analysis.errors import ConfigError, FitError
from tests.builders.truth import CURVED, EDGES, MASK, SQRT_S, TRUTH, expectation

Array = NDArray[np.float64]

WINDOW = (3300.0, 3700.0)
INSIDE = (EDGES[:-1] >= WINDOW[0]) & (EDGES[1:] <= WINDOW[1])
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2


def fitted(counts: Array, name: str = "dijet3", variances: Array | None = None) -> BackgroundFit:
    return fit_background(counts, EDGES, FUNCTIONS[name], mask=MASK, sqrt_s_gev=SQRT_S, variances=variances)


def smooth(counts: Array, name: str) -> BackgroundFit:
    """Fit to contents without fluctuations."""
    return fitted(counts, name, variances=counts)


def test_the_shift_is_the_window_of_the_alternative_minus_that_of_the_function_fitted_to_it() -> None:
    """Every step written out; the truth lies in the alternative, so that its window is that of the truth."""
    counts = expectation(2e6, CURVED)
    fit = smooth(counts, "dijet3")
    found = function_bias(fit, WINDOW, alternatives=["dijet4"])
    missed = counts[INSIDE].sum() - fit.expected(np.array(WINDOW))[0][0]
    assert found.shifts["dijet4"] == pytest.approx(missed, rel=1e-3)
    assert found.value == pytest.approx(abs(missed) - 2 * found.errors["dijet4"], rel=1e-3)
    assert found.value > 0


@pytest.mark.parametrize(
    ("name", "alternative"), [("dijet3", "ua2"), ("dijet4", "exp4"), ("dijet3", "gaussian-process")]
)
def test_the_error_of_a_shift_is_its_spread_over_toys(name: str, alternative: str) -> None:
    truth = expectation(2e4)
    toys = np.random.default_rng(4).poisson(truth, (150, len(truth))).astype(float)
    shifts = []
    for toy in toys:
        target = fitted(toy, alternative)
        assert target.data is not None
        whole = np.zeros(len(truth))
        outside = np.isin(EDGES[:-1], target.data.low)
        whole[outside] = target.expected(EDGES)[0][outside]
        refitted = smooth(whole, name)
        shifts.append(target.expected(np.array(WINDOW))[0][0] - refitted.expected(np.array(WINDOW))[0][0])
    bare = fitted(truth.round(), name)
    # Deviances of smooth contents vanish, and the alternative needs no better one than the function has.
    found = function_bias(replace(bare, deviance=99.0), WINDOW, alternatives=[alternative])
    assert found.errors[alternative] == pytest.approx(np.std(shifts), rel=0.2)


def test_nothing_is_added_where_the_function_is_right() -> None:
    truth = expectation(2e4)
    toys = np.random.default_rng(7).poisson(truth, (60, len(truth))).astype(float)
    fits = [fitted(toy, "dijet4") for toy in toys]
    found = np.array([function_bias(fit, WINDOW).value for fit in fits])
    errors = np.array([np.hypot(np.sqrt(truth[INSIDE].sum()), fit.estimate(*WINDOW).up) for fit in fits])
    assert (found / errors).mean() < 0.03
    assert (found > 0.3 * errors).mean() < 0.05


def test_a_function_that_is_too_stiff_has_a_bias_of_the_right_size() -> None:
    truth = expectation(1e6, CURVED)
    toys = np.random.default_rng(7).poisson(truth, (20, len(truth))).astype(float)
    fits = [fitted(toy) for toy in toys]
    missed = abs(np.mean([truth[INSIDE].sum() - fit.estimate(*WINDOW).value for fit in fits]))
    found = np.mean([function_bias(fit, WINDOW).value for fit in fits])
    assert missed > 3 * fits[0].estimate(*WINDOW).up
    assert 0.5 * missed < found < 1.2 * missed


def test_alternatives_that_are_worse_or_not_determined_do_not_count() -> None:
    counts = np.random.default_rng(3).poisson(expectation(1e5, CURVED)).astype(float)
    assert function_bias(fitted(counts, "dijet4"), WINDOW, alternatives=["dijet2", "exp2"]).shifts == {}
    few = np.random.default_rng(3).poisson(expectation(60.0)).astype(float)
    assert "power-laws" not in function_bias(fitted(few), WINDOW, alternatives=["power-laws"]).shifts
    same = function_bias(fitted(counts, "ua2"), WINDOW, alternatives=["ua2"])
    assert (same.value, same.shifts) == (0.0, {})


def test_weights_scale_the_bias() -> None:
    counts = np.random.default_rng(3).poisson(expectation(1e5, CURVED)).astype(float)
    one = function_bias(fitted(counts), WINDOW)
    other = function_bias(fitted(counts / 4, variances=counts / 16), WINDOW)
    assert one.value > 0
    assert other.value == pytest.approx(one.value / 4, rel=1e-5)
    assert other.errors == pytest.approx({name: error / 4 for name, error in one.errors.items()}, rel=1e-5)


@pytest.mark.parametrize(
    ("events", "name", "small"), [(2e3, "dijet4", 1.0), (3e5, "dijet5", 1.0), (3e6, "dijet3", 0.3)]
)
def test_a_hidden_bend_is_seen_by_no_sideband(events: float, name: str, small: float) -> None:
    """Truth: the bent spectrum itself, fitted and counted; reduced where the sidebands would exclude it."""
    plain = expectation(events)
    fit = smooth(plain, name)
    fine = np.arange(EDGES[0], EDGES[-1], 1.0) + 0.5
    middle = 3500.0
    density = FUNCTIONS["dijet3"].basis(fine / SQRT_S)[:, 1:] @ np.array(TRUTH)
    factor = np.exp(-0.5 * np.maximum(np.log(fine / middle), 0.0))
    weights = np.exp(density)
    bent = plain * (weights * factor).reshape(-1, 100).sum(axis=1) / weights.reshape(-1, 100).sum(axis=1)
    again = smooth(bent, name)
    value, _ = again.expected(np.array(WINDOW))
    error = np.hypot(np.sqrt(plain[INSIDE].sum()), np.sqrt(fit.expected(np.array(WINDOW))[1][0, 0]))
    reduced = min(1.0, 3.0 / np.sqrt(again.deviance))
    assert (reduced < 1.0) == (small < 1.0)
    found = hidden_shifts(fit, WINDOW)
    assert found["bend"] == pytest.approx(abs(bent[INSIDE].sum() - value[0]) / error * reduced, rel=0.02)
    assert set(found) == {"bend", "wave"}


def test_a_larger_distortion_shifts_more_unless_the_sidebands_exclude_it() -> None:
    few, many = (smooth(expectation(events), "dijet4") for events in (2e3, 3e7))
    small, large = (hidden_shifts(few, WINDOW, sizes={"bend": size})["bend"] for size in (0.1, 0.2))
    assert large == pytest.approx(2 * small, rel=0.05)
    same = [hidden_shifts(many, WINDOW, sizes={"bend": size})["bend"] for size in (0.5, 1.0)]
    assert same[1] == pytest.approx(same[0], rel=0.1)


def test_a_wave_passes_a_stiff_function_alone() -> None:
    counts = expectation(2e3)
    stiff, flexible = (hidden_shifts(smooth(counts, name), WINDOW)["wave"] for name in ("dijet3", "dijet5"))
    assert stiff > 0.3
    assert flexible < 0.01


def test_a_fit_without_its_data_and_an_unknown_function_are_refused() -> None:
    fit = fitted(expectation(1e4).round())
    bare = replace(fit, data=None)
    with pytest.raises(FitError, match="without its data"):
        function_bias(bare, WINDOW)
    with pytest.raises(FitError, match="without its data"):
        hidden_shifts(bare, WINDOW)
    with pytest.raises(ConfigError, match="unknown background function 'nothing'"):
        function_bias(fit, WINDOW, alternatives=["nothing"])


def test_the_bias_is_part_of_every_error_of_the_fit_in_the_logarithm() -> None:
    bare = smooth(expectation(2e6, CURVED), "dijet3")
    fit = with_function_error(bare, WINDOW)
    before, after = bare.estimate(*WINDOW), fit.estimate(*WINDOW)
    b = bare.expected(np.array(WINDOW))[0][0]
    assert fit.function_error == pytest.approx(function_bias(bare, WINDOW).value / b)
    assert fit.function_error > 0
    assert after.value == before.value
    assert after.log_error == pytest.approx(np.hypot(before.log_error, fit.function_error))
    assert np.log1p(after.up / after.value) == pytest.approx(
        np.hypot(np.log1p(before.up / before.value), fit.function_error)
    )
    assert after.down > before.down
    (variance,), (bare_variance,) = fit.windows([WINDOW])[1][0], bare.windows([WINDOW])[1][0]
    assert variance - bare_variance == pytest.approx((after.value * fit.function_error) ** 2)
    assert fit.hidden_shift == pytest.approx(max(hidden_shifts(bare, WINDOW).values()), rel=1e-6)


def test_a_fraction_of_all_events_has_the_relative_bias_of_those_that_fail() -> None:
    """The kinked shape is in both; the shift in standard deviations is less, since fewer events have larger errors."""
    failing = expectation(2e6, CURVED)
    passing = 0.01 * failing
    fit = choose_order(
        passing,
        EDGES,
        mask=MASK,
        functions=("dijet3",),
        alpha=0.05,
        sqrt_s_gev=SQRT_S,
        strategy=TRANSFER_FACTOR,
        variances=passing,
        rest=(failing, failing),
    )
    alone = with_function_error(smooth(failing, "dijet3"), WINDOW)
    found = with_function_error(fit, WINDOW)
    assert found.function_error == pytest.approx(alone.function_error, rel=1e-6)
    assert found.hidden_shift is not None
    assert alone.hidden_shift is not None
    assert 0 < found.hidden_shift < 0.3 * alone.hidden_shift
    # The fit of all events, which is at hand in a search, tells the same.
    known = with_function_error(fit, WINDOW, of_all=with_function_error(smooth(passing + failing, "dijet3"), WINDOW))
    assert known.function_error == pytest.approx(found.function_error, rel=0.02)
    assert known.hidden_shift == pytest.approx(found.hidden_shift, rel=0.02)
