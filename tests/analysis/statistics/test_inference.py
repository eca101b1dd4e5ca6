from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pyhf
import pytest
from scipy.stats import norm, poisson

from analysis.errors import StatisticsError
from analysis.statistics import (
    POST_FIT,
    PRE_FIT,
    Counting,
    LimitResult,
    SignalSystematic,
    counting_workspace,
    discovery,
    upper_limit,
)
from analysis.statistics.counting import counting_limits, counting_model, counting_p_values
from analysis.statistics.likelihood import Likelihood
from analysis.statistics.toys import Toys, toy_limits
from tests.builders.closed_forms import asymptotic_limits, poisson_limit, quadrature, signed_z

LIKELIHOODS = pytest.mark.parametrize("likelihood", ["profile", "gaussian"])


def workspace(n: float | None, b: float, sigma: float, likelihood: str = "profile") -> dict[str, Any]:
    return counting_workspace(Counting(n, b, sigma, likelihood), channel="window", measurement="search")


@pytest.mark.parametrize(
    ("n", "b", "sigma"),
    [
        (150, 100, 5),
        (60, 100, 5),
        (12, 5, 1),
        (17.7, 12.3, 2.2),  # weighted pseudodata
        (0, 5, 1),
        (0, 0.5, 0.2),
        (0, 0.01, 0.005),
        (4, 0.5, 0.2),
        (2, 1e-3, 1e-3),
        (10, 3, 5),  # error above the background
        (33, 20, 1e-3),  # known background
        (700, 1000, 50),
        (300, 1, 0.1),  # far beyond every default bound
        (1.2e6, 1e6, 1e4),  # the nuisance alone is pulled by 20
        (78_000, 77_444, 200),
        (1.03e6, 1e6, 1e4),
    ],
)
@LIKELIHOODS
def test_z_is_the_closed_form(n: float, b: float, sigma: float, likelihood: str) -> None:
    result = discovery(workspace(n, b, sigma, likelihood))
    assert result.z == pytest.approx(signed_z(n, b, sigma, likelihood), rel=1e-4, abs=1e-5)
    assert result.p0 == pytest.approx(norm.sf(result.z))


def test_no_excess_is_exactly_zero() -> None:
    result = discovery(workspace(100, 100, 5))
    assert (result.z, result.p0) == (pytest.approx(0, abs=1e-3), pytest.approx(0.5, abs=1e-3))


def test_huge_backgrounds_keep_their_precision() -> None:
    # pyhf with a one-event template gives 0.084 instead of 1.408 at b = 77444: the template must be of order sqrt(b).
    assert discovery(workspace(1.002e7, 1e7, 10)).z == pytest.approx(signed_z(1.002e7, 1e7, 10), rel=3e-3)


def test_z_for_a_known_background_in_closed_form() -> None:
    # Li, Ma / Cowan et al. Eq. 97: sqrt(2 (n ln(n/b) - (n - b))).
    n, b = 40, 20.0
    assert discovery(workspace(n, b, 1e-4)).z == pytest.approx(np.sqrt(2 * (n * np.log(n / b) - (n - b))), rel=1e-4)


def test_z_rises_with_the_count_through_zero() -> None:
    z = [discovery(workspace(n, 20, 4)).z for n in range(0, 45, 5)]
    assert (np.diff(z) > 0).all()
    assert z[3] < 0 < z[5]


@pytest.mark.parametrize(
    ("n", "b", "sigma", "level"),
    [
        (130, 100, 5, 0.05),
        (80, 100, 5, 0.05),
        (110, 100, 5, 0.32),
        (0, 5, 1, 0.05),
        (3, 0.5, 0.2, 0.05),
        (0, 1e-4, 1e-4, 0.05),
        (3, 3, 3, 0.05),  # the background is as uncertain as it is large
        (400, 100, 5, 0.05),
        (78_600, 77_444, 200, 0.05),
        (1_010_000, 1_000_000, 10_000, 0.1),
    ],
)
@LIKELIHOODS
def test_limits_are_the_asymptotic_ones(n: float, b: float, sigma: float, level: float, likelihood: str) -> None:
    result = upper_limit(workspace(n, b, sigma, likelihood), level=level, calculator="asymptotics")
    observed, *expected = asymptotic_limits(n, b, sigma, level, likelihood)
    assert result.calculator == "asymptotics"
    assert result.observed_events == pytest.approx(observed, rel=1e-3)
    assert result.expected_events == pytest.approx(expected, rel=1e-3)


def test_a_looser_level_gives_a_stronger_limit() -> None:
    strict, loose = (upper_limit(workspace(100, 100, 5), level=level) for level in (0.05, 0.32))
    # Gaussian CLs at n = b: 2 sf(x) = level, so x = 1.96 and 0.994 standard deviations of hypot(10, 5).
    assert loose.observed_events / strict.observed_events == pytest.approx(0.994 / 1.960, rel=0.03)


@pytest.mark.parametrize(("b", "deviation"), [(10, -0.07), (100, -0.02)])
def test_asymptotic_limits_are_too_strong_by_what_is_known(b: int, deviation: float) -> None:
    # Exact CLs with Poisson counts at n = b: the deviations of the asymptotic limit are tabulated to a percent.
    result = upper_limit(workspace(b, b, 1e-3 * b), calculator="asymptotics")
    assert result.observed_events is not None
    assert result.observed_events / poisson_limit(b, b) - 1 == pytest.approx(deviation, abs=0.01)


def test_zero_events_on_half_a_known_background() -> None:
    assert poisson_limit(0, 0.5) == pytest.approx(3.00, abs=0.005)  # the exact limit, -ln 0.05
    asymptotic = upper_limit(workspace(0, 0.5, 1e-3), calculator="asymptotics")
    assert asymptotic.observed_events == pytest.approx(2.21, abs=0.01)
    assert upper_limit(workspace(0, 0.5, 1e-3)).observed_events == pytest.approx(3.00, rel=0.01)


@LIKELIHOODS
@pytest.mark.parametrize(("b", "sigma", "calculator"), [(8.0, 3.0, "toys"), (100.0, 20.0, "asymptotics")])
def test_expected_limits_say_whether_the_count_entered(
    b: float, sigma: float, calculator: str, likelihood: str
) -> None:
    """The background is fitted with the count: an excess raises the expectation, a deficit lowers it."""

    def limit(n: float | None, **options: Any) -> LimitResult:
        workspace = counting_workspace(Counting(n, b, sigma, likelihood), channel="c", measurement="m")
        return upper_limit(workspace, calculator=calculator, **options)

    blinded = limit(None)
    assert blinded.expectation == PRE_FIT
    assert limit(b).expectation == PRE_FIT  # nothing to fit
    for n, sign in ((round(b + 30), 1), (round(0.6 * b), -1)):
        observed = limit(n)
        assert (observed.expectation, limit(n, blinded=True).expectation) == (POST_FIT, POST_FIT)
        assert sign * (observed.expected_events[2] / blinded.expected_events[2] - 1) > 0.02


def test_a_blinded_limit_is_the_expectation_alone() -> None:
    blinded = upper_limit(workspace(None, 100, 5), blinded=True)
    assert blinded.observed_events is None
    assert blinded.expected_events == pytest.approx(asymptotic_limits(100, 100, 5, 0.05)[1:], rel=0.01)
    assert upper_limit(workspace(None, 100, 5)).observed_events == pytest.approx(blinded.expected_events[2], rel=1e-3)


@pytest.mark.parametrize(("n", "b", "sigma"), [(130, 100, 5), (3, 0.5, 0.2)])
def test_the_size_of_the_template_does_not_matter(n: float, b: float, sigma: float) -> None:
    first = workspace(n, b, sigma)
    scaled = copy.deepcopy(first)
    scaled["channels"][0]["samples"][0]["data"][0] /= 2
    scaled["measurements"][0]["config"]["parameters"][0]["bounds"][0][1] *= 2
    assert discovery(scaled).z == pytest.approx(discovery(first).z, rel=1e-4)
    limits = [upper_limit(spec) for spec in (first, scaled)]
    assert limits[1].observed_events == pytest.approx(limits[0].observed_events, rel=3e-3)
    assert limits[1].expected_events == pytest.approx(limits[0].expected_events, rel=3e-3)


@pytest.mark.parametrize("b", [0.5, 1, 3, 10, 19])
@pytest.mark.parametrize("excess", [-1, 0, 1.5])
def test_toy_limits_become_the_exact_poisson_ones(b: float, excess: float) -> None:
    n = max(0, round(b + excess * np.sqrt(b)))
    result = upper_limit(workspace(n, b, 1e-4 * b))
    assert (result.calculator, result.asymptotics_trusted) == ("toys", False)
    assert result.observed_events == pytest.approx(poisson_limit(n, b), rel=0.01)
    # Expected: the limits of the Poisson quantiles of n.
    quantiles = poisson.ppf(norm.cdf([-2, -1, 0, 1, 2]), b)
    assert result.expected_events == pytest.approx([poisson_limit(int(k), b) for k in quantiles], rel=0.012)


def test_toys_are_used_below_twenty_events_and_where_the_background_could_vanish() -> None:
    def chosen(b: float, sigma: float) -> str:
        return upper_limit(workspace(None, b, sigma)).calculator

    assert [chosen(19, 1), chosen(21, 1), chosen(100, 30), chosen(100, 40)] == [
        "toys",
        "asymptotics",
        "asymptotics",
        "toys",
    ]


@pytest.mark.parametrize(("n", "b", "sigma"), [(30, 25, 3), (190, 200, 20)])
def test_toys_and_asymptotics_agree_where_counts_are_large(n: float, b: float, sigma: float) -> None:
    toys, asymptotic = (upper_limit(workspace(n, b, sigma), calculator=name) for name in ("toys", "asymptotics"))
    assert toys.observed_events == pytest.approx(asymptotic.observed_events, rel=0.03)
    assert toys.expected_events[1:] == pytest.approx(asymptotic.expected_events[1:], rel=0.06)


def test_toy_p_values_are_those_of_pyhf() -> None:
    likelihood = Likelihood(workspace(2, 3, 2))
    counting = counting_model(likelihood)
    assert counting is not None
    n_toys, mu = 120, 5.0
    poi = mu / likelihood.events
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    np.random.seed(3)  # noqa: NPY002 - pyhf draws from the global generator
    calculator = pyhf.infer.calculators.ToyCalculator(
        likelihood.data.tolist(), likelihood.model, ntoys=n_toys, track_progress=False
    )
    observed = calculator.teststatistic(poi)
    truth = [float(p) for p in calculator.pvalues(observed, *calculator.distributions(poi))[:2]]
    for p, expected in zip(counting_p_values(counting, mu), truth, strict=True):
        assert p == pytest.approx(expected, abs=4 * np.sqrt(p * (1 - p) / n_toys))


@pytest.mark.parametrize(("n", "b", "sigma", "mu"), [(4, 5, 2, 5.0), (2, 3, 3, 6.0), (0, 1, 0.5, 2.0)])
def test_toys_drawn_and_toys_summed_agree(n: float, b: float, sigma: float, mu: float) -> None:
    likelihood = Likelihood(workspace(n, b, sigma))
    counting = counting_model(likelihood)
    assert counting is not None
    drawn = Toys(likelihood, 4_000, random_state=1).p_values(mu / likelihood.events)[0]
    for p, expected in zip(counting_p_values(counting, mu), drawn, strict=True):
        assert p == pytest.approx(expected, abs=4 * np.sqrt(p * (1 - p) / 4_000))


def test_limits_from_drawn_toys_are_the_summed_ones_in_all_bands() -> None:
    # At -2 standard deviations CLs+b is 0.05 x 0.023: two of 2000 toys with signal, had they to tell it alone.
    spec = workspace(27, 25.0, 6.0)
    likelihood = Likelihood(spec)
    model = counting_model(likelihood)
    assert model is not None
    drawn = toy_limits(likelihood, level=0.05, n_toys=2000, random_state=3) * likelihood.events
    assert drawn == pytest.approx(counting_limits(model, level=0.05), rel=0.05)


def test_hypotest_with_toys_still_breaks_in_pyhf() -> None:
    # numpy 2.4 has no percentile(interpolation=), which older ones deprecate: when this passes, pyhf is mended.
    likelihood = Likelihood(workspace(4, 5, 2))
    error = TypeError if np.lib.NumpyVersion(np.__version__) >= "2.4.0" else DeprecationWarning
    with pytest.raises(error, match="interpolation"), np.errstate(all="ignore"):
        pyhf.infer.hypotest(
            1.0,
            likelihood.data.tolist(),
            likelihood.model,
            calctype="toybased",
            ntoys=2,
            track_progress=False,
            return_expected_set=True,
        )


@pytest.mark.parametrize(("n", "b"), [(3, 0.5), (0, 1.0), (12, 5.0), (9, 9.0)])
def test_p0_of_few_events_is_exact(n: int, b: float) -> None:
    result = discovery(workspace(n, b, 1e-4))
    assert not result.asymptotics_trusted
    assert result.p0_toys == pytest.approx(poisson.sf(n - 1, b), rel=1e-3)


def test_p0_with_an_uncertain_background_is_that_of_brute_force() -> None:
    # Toys of the closed form with numpy alone, at the conditional best fit of a background with a Gaussian error.
    n, b, sigma = 9, 4.0, 1.5
    t = (-(b + sigma**2) + np.sqrt((b + sigma**2) ** 2 - 4 * sigma**2 * (b - n))) / 2
    rng = np.random.default_rng(2)
    counts, shifts = rng.poisson(b + t, 20_000), rng.normal(t, sigma, 20_000)
    # An auxiliary measurement a of the shift is a background of b + a with a nuisance of zero mean.
    z = np.array(
        [
            signed_z(count, b + shift, sigma, "gaussian") if b + shift > 0.05 else np.inf
            for count, shift in zip(counts, shifts, strict=True)
        ]
    )
    truth = float((z >= signed_z(n, b, sigma, "gaussian")).mean())
    assert discovery(workspace(n, b, sigma, "gaussian")).p0_toys == pytest.approx(
        truth, abs=4 * np.sqrt(truth / 20_000)
    )


def test_averaged_p0_is_that_of_drawn_backgrounds() -> None:
    n, b, sigma = 9, 4.0, 1.5
    rng = np.random.default_rng(3)
    counts = rng.poisson(b * np.exp(np.log1p(sigma / b) * rng.normal(size=200_000)))
    truth = float((counts >= n).mean())
    found = discovery(workspace(n, b, sigma))
    assert found.p0_averaged == pytest.approx(truth, abs=4 * np.sqrt(truth / 200_000))
    assert found.p0_toys is not None
    assert found.p0_averaged > found.p0_toys


@pytest.mark.parametrize(("n", "b"), [(3, 0.5), (0, 1.0), (12, 5.0)])
def test_averaged_p0_of_a_known_background_is_exact(n: int, b: float) -> None:
    assert discovery(workspace(n, b, 1e-5)).p0_averaged == pytest.approx(poisson.sf(n - 1, b), rel=1e-3)


@pytest.mark.parametrize(
    ("n", "b"), [(0, 0.5), (1, 0.3), (3, 1.0), (4, 2.0), (12, 10.0), (50, 10.0), (2, 8.0), (80, 100.0)]
)
def test_asymptotics_are_trusted_if_the_exact_significance_is_within_a_tenth(n: int, b: float) -> None:
    exact = norm.isf(poisson.sf(n - 1, b))  # no error of the background: the Poisson tail
    found = discovery(workspace(n, b, 1e-4))
    assert found.asymptotics_trusted is bool(abs(exact - signed_z(n, b, 1e-4)) < 0.1)


def test_both_kinds_of_asymptotics_occur() -> None:
    assert not discovery(workspace(3, 1.0, 0.3)).asymptotics_trusted
    assert discovery(workspace(80, 100.0, 10.0)).asymptotics_trusted


def test_p_values_of_toys_are_left_out_where_they_say_the_same() -> None:
    assert discovery(workspace(12, 10, 1)).p0_toys is None
    assert discovery(workspace(12, 10, 1)).p0_averaged is None
    assert discovery(workspace(30, 10, 1)).p0_toys is not None  # beyond three standard deviations
    assert discovery(workspace(4, 2, 0.5)).p0_averaged is not None  # fewer than ten events


def test_on_off_counts_give_the_significance_of_li_and_ma() -> None:
    # Li, Ma, ApJ 272 (1983) 317, Eq. 17. Off counts alpha n_off = b with error sigma = alpha sqrt(n_off): the Gaussian
    # constraint is theirs for many off counts.
    n, n_off, alpha = 140.0, 40_000.0, 1 / 400
    li_ma = np.sqrt(
        2 * (n * np.log((1 + alpha) / alpha * n / (n + n_off)) + n_off * np.log((1 + alpha) * n_off / (n + n_off)))
    )
    result = discovery(workspace(n, alpha * n_off, alpha * np.sqrt(n_off)))
    assert result.z == pytest.approx(li_ma, rel=1e-3)


@LIKELIHOODS
def test_the_single_bin_is_recognised_and_its_profile_is_that_of_pyhf(likelihood: str) -> None:
    spec = counting_workspace(
        Counting(7, 6.0, 2.0, likelihood),
        channel="window",
        measurement="search",
        background_variations={"function": 1.0},
        spurious_signal=0.5,
    )
    fits = Likelihood(spec)
    model = counting_model(fits)
    assert model is not None
    assert model.sigma == pytest.approx(quadrature(6.0, likelihood, 2.0, 1.0, 0.5))
    poi = np.array([0.3, 1.0, 2.0])
    held = fits.fit(np.tile(fits.data, (3, 1)), poi)
    roots = [float(model.limit_root(7.0, 0.0, mu)) for mu in poi * fits.events]
    free = fits.fit(fits.data[None]).twice_nll
    best = fits.fit(fits.data[None]).parameters[0, fits.poi]
    q = np.where(best > poi, 0.0, held.twice_nll - free)
    assert roots == pytest.approx(np.sqrt(np.maximum(q, 0)), abs=1e-4)


def test_a_signal_systematic_is_not_mistaken_for_a_plain_count() -> None:
    spec = counting_workspace(
        Counting(7, 6.0, 2.0),
        channel="window",
        measurement="search",
        signal_systematics=[SignalSystematic("jms", "normsys", 1.2)],
    )
    assert counting_model(Likelihood(spec)) is None


def test_cls_plus_b_is_the_gaussian_one_and_may_exclude_everything() -> None:
    def limit(n: float) -> float | None:
        return upper_limit(workspace(n, 10_000, 1.0), construction="CLs+b").observed_events

    assert limit(10_100) == pytest.approx(100 + 1.645 * 100, rel=0.02)
    assert limit(9_700) == 0.0  # three standard deviations below the background


@pytest.mark.parametrize(
    "options", [{"calculator": "toy"}, {"construction": "Bayes"}, {"level": 0.0}, {"level": 1.0}], ids=str
)
def test_unknown_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(StatisticsError, match="a limit needs calculator"):
        upper_limit(workspace(10, 10, 1), **options)
