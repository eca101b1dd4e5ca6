from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pyhf
import pytest
from scipy.stats import norm

from analysis.errors import StatisticsError
from analysis.statistics import Counting, counting_workspace, discovery, upper_limit
from tests.analysis.statistics.closed_forms import asymptotic_limits, poisson_limit, signed_z


def workspace(n: float | None, b: float, sigma: float) -> dict[str, Any]:
    return counting_workspace(Counting(n, b, sigma), channel="window", measurement="search")


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
def test_z_is_the_closed_form(n: float, b: float, sigma: float) -> None:
    result = discovery(workspace(n, b, sigma))
    assert result.z == pytest.approx(signed_z(n, b, sigma), rel=1e-4, abs=1e-5)
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
def test_limits_are_the_asymptotic_ones(n: float, b: float, sigma: float, level: float) -> None:
    result = upper_limit(workspace(n, b, sigma), level=level)
    observed, *expected = asymptotic_limits(n, b, sigma, level)
    assert result.observed_events == pytest.approx(observed, rel=0.01)
    assert result.expected_events == pytest.approx(expected, rel=0.01)


def test_a_looser_level_gives_a_stronger_limit() -> None:
    strict, loose = (upper_limit(workspace(100, 100, 5), level=level) for level in (0.05, 0.32))
    # Gaussian CLs at n = b: 2 sf(x) = level, so x = 1.96 and 0.994 standard deviations of hypot(10, 5).
    assert loose.observed_events / strict.observed_events == pytest.approx(0.994 / 1.960, rel=0.03)


@pytest.mark.parametrize(("b", "deviation"), [(10, -0.07), (100, -0.02)])
def test_asymptotic_limits_are_too_strong_by_what_is_known(b: int, deviation: float) -> None:
    # Exact CLs with Poisson counts at n = b: the deviations of the asymptotic limit are tabulated to a percent.
    result = upper_limit(workspace(b, b, 1e-3 * b))
    assert result.observed_events is not None
    assert result.observed_events / poisson_limit(b, b) - 1 == pytest.approx(deviation, abs=0.01)


def test_zero_events_on_half_a_known_background() -> None:
    assert poisson_limit(0, 0.5) == pytest.approx(3.00, abs=0.005)  # the exact limit, -ln 0.05
    assert upper_limit(workspace(0, 0.5, 1e-3)).observed_events == pytest.approx(2.21, abs=0.01)


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


def test_a_failing_minimiser_is_replaced_and_two_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = workspace(150, 100, 5)
    truth = discovery(spec).z
    scipy_optimizer = pyhf.optimize.scipy_optimizer

    def fail(*arguments: Any, **options: Any) -> Any:
        raise pyhf.exceptions.FailedMinimization(type("Result", (), {"message": "stuck"})())

    monkeypatch.setattr(scipy_optimizer, "_minimize", fail)
    assert discovery(spec).z == pytest.approx(truth, rel=1e-3)
    monkeypatch.setattr(pyhf.optimize.minuit_optimizer, "_minimize", fail)
    with pytest.raises(StatisticsError, match=r"discovery fit failed: .*looser selection"):
        discovery(spec)
    with pytest.raises(StatisticsError, match=r"the limit failed"):
        upper_limit(spec)
