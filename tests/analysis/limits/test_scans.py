"""Injections sorted by selection and strength."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.calibration import Coupling, WindowCouplings
from analysis.limits import candidates, search_sensitivity
from analysis.limits.injection_values import InjectedSelection, Injection, InjectionResult
from analysis.limits.points import LimitPoint
from analysis.regions import MassWindow
from analysis.signals.yields import SignalSample
from analysis.statistics import LimitResult

WINDOW = MassWindow((3300, 3700), (3100, 3300), (3700, 3900), (3300, 3700), (3000, 5000))
POINT = LimitPoint("s", WINDOW, LimitResult("signal", "asymptotics", None, (1.0,) * 5), 100.0, 5.0, 0.5, (0.0, 60.0))
SAMPLE = SignalSample("s", (), {}, None, None, None, False, ())
CLASSIFIERS = ("cwola", ("x",))
NOTHING = {CLASSIFIERS: WindowCouplings()}
Z = {("inclusive", 0.0): [0.5, 0.7], ("inclusive", 60.0): [3.2, 3.6], ("eff_0.1", 0.0): [1.0, -1.0]}
Z |= {("eff_0.1", 60.0): [6.0, 5.0]}


def result_of(strength: float, sampling: int, *, counted: bool) -> InjectionResult:
    # what engine.inject keeps: the inclusive selection is there once, unless injected events are counted
    names = ["inclusive", "eff_0.1"] if counted or not (strength or sampling) else ["eff_0.1"]
    found = tuple(
        InjectedSelection(
            *(name, 1.0, 10.0, 9.0, 1.0, 1.0, 0.5, 0.01),
            z=Z[name, strength][sampling],
            coupled_variance=None if name == "inclusive" else 0.5,
            expected_z=2.5,
        )
        for name in names
    )
    return InjectionResult(Injection("s", WINDOW, strength, sampling, "cwola", ("x",), counted), 60, found)


def results_of(*, counted: bool) -> list[InjectionResult]:
    return [result_of(strength, sampling, counted=counted) for strength in (60.0, 0.0) for sampling in (1, 0)]


@pytest.mark.parametrize(("counted", "strengths"), [(False, {0.0: 1}), (True, {0.0: 2, 60.0: 2})])
def test_the_inclusive_search_is_there_for_every_strength_where_injected_events_are_counted(
    counted: bool, strengths: dict[float, int]
) -> None:
    inclusive, cut = candidates(results_of(counted=counted))
    assert {strength: len(of) for strength, of in inclusive.found.items()} == strengths
    assert {strength: len(of) for strength, of in cut.found.items()} == {0.0: 2, 60.0: 2}


def test_the_difference_is_that_of_the_same_choice_of_events() -> None:
    found = search_sensitivity(POINT, results_of(counted=True), SAMPLE, NOTHING)
    for curve, added in zip(found.curves, ([2.7, 2.9], [5.0, 6.0]), strict=True):
        assert list(curve.z_with_signal) == Z[curve.selection, 60.0]
        assert curve.z_added == pytest.approx(np.interp([0.16, 0.5, 0.84], [0, 1], added))
        assert curve.calibrated is None
        assert curve.shown is curve


def test_significances_of_cuts_are_calibrated_by_the_width_without_signal() -> None:
    couplings = WindowCouplings(shipped={"eff_0.1": Coupling(0.42, 0.1, 100), "inclusive": Coupling(0.42, 0.1, 100)})
    found = search_sensitivity(POINT, results_of(counted=True), SAMPLE, {CLASSIFIERS: couplings})
    inclusive, cut = found.curves
    width = 1.21**0.5  # the variance is 1 + coupling * coupled variance
    assert inclusive.calibrated is None
    assert cut.calibrated is not None
    assert cut.shown is cut.calibrated
    assert cut.calibrated.source == "shipped"
    assert cut.calibrated.z_with_signal == pytest.approx([6.0 / width, 5.0 / width])
    assert cut.calibrated.z_without_signal == pytest.approx([1.0 / width, -1.0 / width])
    assert cut.calibrated.z_added == pytest.approx(np.array(cut.z_added) / width)
    assert cut.calibrated.expected_z == pytest.approx([2.5 / width] * 2)
    # d width = d coupling * coupled variance / (2 width)
    error = 0.1 * 0.5 / (2 * width) / width
    assert cut.calibrated.z_with_signal_error == pytest.approx([6.0 / width * error, 5.0 / width * error])


def test_exact_schemes_need_no_calibration() -> None:
    found = search_sensitivity(POINT, results_of(counted=True), SAMPLE, {CLASSIFIERS: WindowCouplings(exact=True)})
    calibrated = found.curves[1].calibrated
    assert calibrated is not None
    assert (calibrated.source, calibrated.z_with_signal) == ("exact", (6.0, 5.0))
