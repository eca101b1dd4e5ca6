"""Expected significances against closed forms at n = b + s, and published ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.errors import StatisticsError
from analysis.statistics import (
    Counting,
    Shape,
    SignalSystematic,
    counting_workspace,
    discovery_events,
    expected_discovery,
    shape_workspace,
)
from tests.builders.closed_forms import quadrature, signed_z

POINTS = [(100.0, 5.0, 30.0), (12.0, 3.0, 10.0), (3.0, 1.0, 6.0), (1000.0, 60.0, 200.0), (0.5, 0.2, 3.0)]


def write(b: float, sigma: float, n: float | None = None, **options: Any) -> dict[str, Any]:
    return counting_workspace(Counting(n, b, sigma), channel="window", measurement="search", **options)


def cowan(s: float, b: float, sigma: float) -> float:
    """With a Poisson auxiliary measurement: G. Cowan, Discovery sensitivity with background uncertainty (2012)."""
    v = sigma**2
    first = (s + b) * np.log((s + b) * (b + v) / (b**2 + (s + b) * v))
    return float(np.sqrt(2 * (first - b**2 / v * np.log(1 + v * s / (b * (b + v))))))


@pytest.mark.parametrize(("b", "sigma", "s"), POINTS)
def test_it_is_the_closed_form_at_the_expected_count(b: float, sigma: float, s: float) -> None:
    assert expected_discovery(write(b, sigma), s) == pytest.approx(signed_z(b + s, b, sigma), abs=1e-6)


def test_it_agrees_with_the_known_formula_for_small_errors() -> None:
    # The constraints, log-normal and Poisson, agree as sigma^2 s / b^2 goes to zero.
    for b, sigma, s in [(100.0, 5.0, 30.0), (1000.0, 20.0, 100.0)]:
        assert expected_discovery(write(b, sigma), s) == pytest.approx(cowan(s, b, sigma), rel=2 * sigma**2 * s / b**2)
    # Without an error of the background: Eq. 97 of arXiv:1007.1727.
    exact = np.sqrt(2 * (130 * np.log(1.3) - 30))
    assert expected_discovery(write(100.0, 1e-3), 30.0) == pytest.approx(exact, rel=1e-5)


@pytest.mark.parametrize("n", [0.0, 150.0, 400.0])
def test_the_observed_count_does_not_enter(n: float) -> None:
    assert expected_discovery(write(100.0, 5.0, n), 30.0) == pytest.approx(expected_discovery(write(100.0, 5.0), 30.0))


def test_errors_of_the_signal_do_not_change_it_and_those_of_the_background_add_in_quadrature() -> None:
    signal = [SignalSystematic("scale", "normsys", 1.2, 0.8), SignalSystematic("lumi", "lumi", 0.02)]
    assert expected_discovery(write(100.0, 5.0, signal_systematics=signal), 30.0) == pytest.approx(
        signed_z(130, 100, 5), abs=1e-4
    )
    both = write(100.0, 3.0, background_variations={"non_closure": 4.0})
    total = quadrature(100.0, "profile", 3.0, 4.0)
    assert expected_discovery(both, 30.0) == pytest.approx(signed_z(130, 100, total), abs=1e-6)


@pytest.mark.parametrize(("b", "sigma"), [point[:2] for point in POINTS])
def test_so_many_events_have_three_standard_deviations(b: float, sigma: float) -> None:
    needed = discovery_events(write(b, sigma), 3.0)
    assert signed_z(b + needed, b, sigma) == pytest.approx(3.0, abs=1e-3)


def test_bins_add_in_quadrature() -> None:
    b, s = np.array([50.0, 80.0]), np.array([1.0, 2.0])
    shape = Shape(None, b, np.diag([4.0, 9.0]), s, likelihood="gaussian")
    found = expected_discovery(shape_workspace(shape, channel="c", measurement="m").workspace, 30.0)
    parts = signed_z(60, 50, 2, "gaussian"), signed_z(100, 80, 3, "gaussian")
    assert found == pytest.approx(np.hypot(*parts), abs=1e-4)


@pytest.mark.parametrize("events", [0.0, -1.0, np.nan])
def test_no_signal_has_no_significance(events: float) -> None:
    with pytest.raises(StatisticsError, match="positive number of signal events"):
        expected_discovery(write(100.0, 5.0), events)
