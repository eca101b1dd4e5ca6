"""Fits of a selection together with the events that fail it, against a binomial fit, scipy and toys."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, special, stats

from analysis.background import BackgroundFit, choose_order, estimate_many, find_function
from analysis.background.functions import look_up
from analysis.background.order import ratio_order
from analysis.errors import ConfigError, FitError
from analysis.statistics import counting_z
from tests.builders.toy_tables import SQRT_S
from tests.studies.fit_calibration import EDGES, FAMILY, expectation

Array = NDArray[np.float64]

WINDOW, MASK = (3900.0, 4300.0), (3800.0, 4400.0)
BESIDE = (EDGES[1:] <= MASK[0]) | (EDGES[:-1] >= MASK[1])
INSIDE = (EDGES[:-1] >= WINDOW[0]) & (EDGES[1:] <= WINDOW[1])
CENTRES = (EDGES[1:] + EDGES[:-1]) / 2.0


def truth(n_events: float = 30_000.0, fraction: float = 0.02, slope: float = 1.0) -> tuple[Array, Array]:
    """Expected passing and failing events in each bin."""
    failing = expectation("dijet4", n_events)
    return failing * fraction * (CENTRES / 4000.0) ** slope, failing


def together(passing: Array, failing: Array, variances: tuple[Array | None, Array | None] = (None, None)):
    return choose_order(
        passing,
        EDGES,
        mask=MASK,
        functions=FAMILY,
        alpha=0.05,
        sqrt_s_gev=SQRT_S,
        strategy="transfer-factor",
        variances=variances[0],
        rest=(failing, variances[1]),
    )


@pytest.fixture(scope="module")
def drawn() -> tuple[Array, Array]:
    rng = np.random.default_rng(3)
    passing, failing = (rng.poisson(expected).astype(float) for expected in truth())
    return passing, failing


@pytest.fixture(scope="module")
def fitted(drawn: tuple[Array, Array]) -> BackgroundFit:
    return together(*drawn)


def test_the_ratio_is_that_of_a_binomial_fit(drawn: tuple[Array, Array], fitted: BackgroundFit) -> None:
    """Given all events of a bin, those that pass are binomial, whatever the shape: an independent fit."""
    passing, failing = (counts[BESIDE] for counts in drawn)
    x = np.log(CENTRES[BESIDE] / SQRT_S)

    def twice_nll(parameters: Array) -> float:
        p = special.expit(parameters[0] + parameters[1] * x)
        return float(-2.0 * (passing * np.log(p) + failing * np.log1p(-p)).sum())

    found = optimize.minimize(
        twice_nll, np.array([-4.0, 0.0]), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8}
    )
    assert fitted.function.name == "dijet5*ratio1"
    # The binomial fit takes the ratio at the centre of a bin and knows no shape: a few percent of the error.
    error = np.sqrt((fitted.transform @ fitted.covariance @ fitted.transform.T)[-1, -1])
    assert fitted.parameters["r1"] == pytest.approx(found.x[1], abs=0.1 * error)
    at = np.log(4100.0 / SQRT_S)
    ours = fitted.parameters["r0"] + fitted.parameters["r1"] * at
    assert ours == pytest.approx(found.x[0] + found.x[1] * at, abs=0.1 / np.sqrt(passing.sum()))


def test_the_minimum_and_the_error_are_those_of_scipy(drawn: tuple[Array, Array], fitted: BackgroundFit) -> None:
    passing, failing = (counts[BESIDE] for counts in drawn)
    edges = np.stack([EDGES[:-1][BESIDE], EDGES[1:][BESIDE]])
    fine = edges[0][:, None] + (np.arange(50) + 0.5) / 50.0 * (edges[1] - edges[0])[:, None]
    x = fine / SQRT_S
    basis = np.stack([np.ones_like(x), np.log1p(-x), *(np.log(x) ** k for k in (1, 2, 3))], axis=-1)
    triangle = np.linalg.inv(np.linalg.qr(basis.reshape(-1, 5)).R) * np.sqrt(x.size)
    line = np.stack([np.ones_like(x), np.log(fine / 4000.0)], axis=-1)

    def rates(parameters: Array) -> tuple[Array, Array]:
        shape = np.exp(basis @ (triangle @ parameters[:5]))
        return (shape * np.exp(line @ parameters[5:])).mean(axis=1) * 100.0, shape.mean(axis=1) * 100.0

    def deviance(parameters: Array) -> float:
        pairs = zip((passing, failing), rates(parameters), strict=True)
        return float(sum(2.0 * (mu - n + special.xlogy(n, n / mu)).sum() for n, mu in pairs))

    start = np.zeros(7)
    start[:5] = np.linalg.lstsq((basis @ triangle).mean(axis=1), np.log(failing / 100.0 + 0.005), rcond=None)[0]
    start[5] = np.log(passing.sum() / failing.sum())
    found = optimize.minimize(deviance, start, method="BFGS", options={"gtol": 1e-6})
    assert fitted.deviance == pytest.approx(found.fun, abs=0.02)
    assert fitted.ndof == 2 * int(BESIDE.sum()) - 7


def test_the_events_that_fail_fix_the_shape_so_that_the_error_shrinks(drawn: tuple[Array, Array]) -> None:
    options = {"mask": MASK, "functions": FAMILY, "alpha": 0.05, "sqrt_s_gev": SQRT_S}
    alone = choose_order(drawn[0], EDGES, **options).estimate(*WINDOW)  # type: ignore[arg-type]
    both = together(*drawn).estimate(*WINDOW)
    expected = truth()[0][INSIDE].sum()
    assert both.error() < 0.75 * alone.error()
    assert abs(both.value - expected) < 3 * both.error()
    # No less than the Poisson error of the passing events beside the mask.
    assert both.error() / both.value > drawn[0][BESIDE].sum() ** -0.5


def test_masked_bins_of_neither_spectrum_are_read(drawn: tuple[Array, Array], fitted: BackgroundFit) -> None:
    passing, failing = (np.where(BESIDE, counts, 1e6) for counts in drawn)
    np.testing.assert_array_equal(together(passing, failing).coefficients, fitted.coefficients)


def test_many_pairs_are_estimated_as_one_by_one() -> None:
    rng = np.random.default_rng(8)
    passing, failing = (rng.poisson(expected, (20, len(expected))).astype(float) for expected in truth(3000.0))
    many = estimate_many(passing, EDGES, mask=MASK, windows=[WINDOW], functions=FAMILY, sqrt_s_gev=SQRT_S, rest=failing)
    assert many.valid.all()
    for index in range(20):
        fit = together(passing[index], failing[index])
        one = fit.estimate(*WINDOW)
        assert many.value[index, 0] == pytest.approx(one.value, rel=1e-5)
        assert many.error()[index, 0] == pytest.approx(one.error(), rel=1e-4)
        assert many.n_parameters[index] == fit.function.n_parameters


@pytest.mark.parametrize("fraction", [0.01, 0.1])
def test_z_is_a_unit_gaussian_without_signal(fraction: float) -> None:
    """The default is asked for a width of 0.95 to 1.05."""
    expected = truth(100_000.0, fraction)
    rng = np.random.default_rng(11)
    passing, failing = (rng.poisson(one, (3000, len(one))).astype(float) for one in expected)
    many = estimate_many(passing, EDGES, mask=MASK, windows=[WINDOW], functions=FAMILY, sqrt_s_gev=SQRT_S, rest=failing)
    z = counting_z(passing[:, INSIDE].sum(axis=1), many.value[:, 0], many.error()[:, 0])
    assert many.valid.all()
    assert abs(z.mean()) < 0.1
    assert 0.95 < z.std() < 1.05
    assert (z > stats.norm.isf(0.05)).mean() == pytest.approx(0.05, abs=0.012)


def test_a_shape_outside_the_family_cancels_if_the_ratio_is_smooth() -> None:
    """A kink that biases the fit of the spectrum alone, and a fit together no more: the same kink is in both."""
    passing, failing = (counts * np.where(CENTRES > 4700, 0.8, 1.0) for counts in truth(3e5, 0.05))
    variances = passing, failing
    fit = together(passing, failing, variances)
    ratio = fit.expected(EDGES)[0] / fit.expected_rest(EDGES)
    np.testing.assert_allclose(ratio, truth(3e5, 0.05)[0] / truth(3e5, 0.05)[1], rtol=2e-3)


def test_weighted_events_count_for_their_effective_number(drawn: tuple[Array, Array]) -> None:
    passing, failing = drawn
    half = together(passing / 2.0, failing / 2.0, (passing / 4.0, failing / 4.0)).estimate(*WINDOW)
    whole = together(passing, failing).estimate(*WINDOW)
    assert half.value == pytest.approx(whole.value / 2.0, rel=1e-6)
    assert half.error() / half.value == pytest.approx(whole.error() / whole.value, rel=1e-6)


def test_the_order_of_the_ratio_follows_the_passing_events() -> None:
    np.testing.assert_array_equal(ratio_order(np.array([0, 9, 10, 4999, 5000, 49_999, 1e6])), [0, 0, 1, 1, 2, 2, 3])


def test_a_selection_without_events_beside_the_mask_is_refused_by_name(drawn: tuple[Array, Array]) -> None:
    with pytest.raises(
        FitError, match=r"0 filled bins of 3000-6500 GeV outside the mask 3800-4400 GeV.*ratio of dijet5"
    ):
        together(np.where(BESIDE, 0.0, drawn[0]), drawn[1])


def test_a_ratio_that_peaks_under_the_mask_is_given_up_for_a_fit_of_the_selection_alone() -> None:
    """As of a classifier that knows m_jj from a drifting feature: a smooth ratio finds a false excess of 20 sigma."""
    passing, failing = truth(100_000.0, 0.02)
    bump = 1.0 + 2.0 * np.exp(-0.5 * ((CENTRES - 4100.0) / 400.0) ** 2)
    rng = np.random.default_rng(5)
    passing, failing = (rng.poisson(one).astype(float) for one in (passing * bump, failing))
    fit = together(passing, failing)
    assert [(step.function, step.preferred) for step in fit.path][:1] == [("dijet5*ratio1", False)]
    assert (fit.path[0].p_value or 0.0) < 1e-3
    assert fit.function.n_ratio == 0
    options = {"mask": MASK, "functions": FAMILY, "alpha": 0.05, "sqrt_s_gev": SQRT_S}
    alone = choose_order(passing, EDGES, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(fit.coefficients, alone.coefficients)


def test_a_smooth_ratio_is_seldom_given_up() -> None:
    rng = np.random.default_rng(6)
    draws = [tuple(rng.poisson(one).astype(float) for one in truth(10_000.0)) for _ in range(300)]
    assert sum(together(*draw).function.n_ratio == 0 for draw in draws) <= 3


def test_functions_of_both_are_known_by_name() -> None:
    (function,) = look_up(["dijet5*ratio1"])
    assert (function.n_parameters, function.n_ratio) == (7, 2)
    assert tuple(function.parameters(np.zeros(7))) == ("ln_p0", "p1", "p2", "p3", "p4", "r0", "r1")
    for unknown in ("dijet5*ratio6", "dijet5*ratio", "dijet9*ratio1", "*ratio1"):
        assert find_function(unknown) is None
        with pytest.raises(ConfigError, match="unknown background function"):
            look_up([unknown])
