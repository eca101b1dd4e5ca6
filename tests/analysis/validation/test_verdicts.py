"""Verdicts from hand-made records, against what can be computed by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.cli.tables.validation import validation_notes, validation_table, verdict_lines
from analysis.config import ValidationConfig
from analysis.search.non_closure import NonClosure
from analysis.validation.values import WindowVerdict, verdict_text
from analysis.validation.verdicts import NOT_TESTABLE, NOT_VALID, VALID, corrections, window_verdict

DRIFT = ("rapidity", "simulation", "up-down-sampling")
SETTINGS = ValidationConfig()

ONE, TEN = "efficiency\N{NO-BREAK SPACE}1\N{NO-BREAK SPACE}%", "efficiency\N{NO-BREAK SPACE}10\N{NO-BREAK SPACE}%"


def selection(delta: float, variance: float = 0.01, **changes: Any) -> dict[str, Any]:
    """b = 100 in the sample and in the search, there with a total error of 12.5: a shift of 8 delta."""
    return {
        "name": "eff_0.1",
        "efficiency": 0.1,
        "n": 100 * (1 + delta),
        "background": 100.0,
        "background_error": 5.0,
        "calibrated": True,
        "z": delta / variance**0.5,
        "reason": None,
        "delta": delta,
        "own_variance": variance,
        "shared_variance": 0.0,
        "fit": "dijet3",
        "fit_p": 0.5,
        "flatness": {"chi2": 10.0, "ndof": 10},
        "efficiency_non_closure": [delta, 0.1],
        "search_background": 100.0,
        "search_error": 7.5,
        "search_spread": 12.5,
        **changes,
    }


def record(source: str, *selections: dict[str, Any], draw: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "window": "3300-3700",
        "source": source,
        "draw": draw,
        "status": "tested",
        "reason": None,
        "notes": [],
        "overlap": 0.0,
        "events": 1000,
        "search_events": 1000,
        "fit_range": [3000.0, 6500.0],
        "template": None,
        "selections": list(selections),
        **changes,
    }


def judge(*records: dict[str, Any], **settings: Any) -> WindowVerdict:
    return window_verdict("3300-3700", records, DRIFT, ValidationConfig(**settings))


def not_testable(source: str, reason: str = "there is nothing.") -> dict[str, Any]:
    return record(source, status="not testable", reason=reason, fit_range=None)


@pytest.mark.parametrize(
    ("delta", "error", "verdict", "flagged"),
    [
        (0.05, 0.01, VALID, False),  # a shift of 0.4 is established, but small
        (0.10, 0.04, NOT_VALID, False),  # 0.8 +- 0.32
        (-0.10, 0.04, NOT_VALID, False),  # a deficit hides a signal
        (0.10, 0.06, VALID, True),  # 0.8 +- 0.48
    ],
)
def test_a_shift_must_be_large_and_established(delta: float, error: float, verdict: str, flagged: bool) -> None:
    found = judge(record("simulation", selection(delta, error**2)))
    (combined,) = found.combined
    assert found.verdict == verdict
    assert (combined.shift, combined.shift_error) == pytest.approx((8 * delta, 8 * error))
    assert bool(found.flags) == flagged
    if flagged:
        assert f"neither established nor excluded: {TEN}: +0.8 ± 0.5" in found.flags[0]


def test_limits_are_those_of_the_configuration() -> None:
    shifted = record("simulation", selection(0.10, 0.04**2))
    assert judge(shifted, max_shift=1.0).verdict == VALID
    assert judge(shifted, established=3.0).verdict == VALID


def test_several_selections_are_several_looks() -> None:
    # 2.2 errors: established for one selection, not for ten (each then needs 2.84).
    one = selection(0.11, 0.05**2)
    many = [selection(0.0, 0.05**2, name=f"other_{i}") for i in range(9)]
    assert judge(record("simulation", one)).verdict == NOT_VALID
    assert judge(record("simulation", one, *many)).verdict == VALID


def test_sources_are_averaged_by_their_errors_and_exact_null_is_not() -> None:
    found = judge(
        record("rapidity", selection(0.1, 0.04)),
        record("simulation", selection(0.0, 0.01)),
        record("exact-null", selection(5.0, 1e-4, z=0.0)),
    )
    (combined,) = found.combined
    assert combined.delta == pytest.approx((0.1 / 0.04) / (1 / 0.04 + 1 / 0.01))
    assert combined.delta_error == pytest.approx((1 / 0.04 + 1 / 0.01) ** -0.5)
    assert combined.n_sources == 2
    assert corrections([found]) == {"3300-3700": {"eff_0.1": NonClosure(combined.delta, combined.delta_error)}}


def test_what_one_source_establishes_counts_unless_the_others_outweigh_it() -> None:
    alone = record("rapidity", selection(0.4, 0.01))
    against = record("simulation", selection(-0.02, 0.0004))
    outweighed = judge(alone, against)
    assert outweighed.verdict == VALID
    assert any(f"rapidity: shift of z larger than 0.5: {TEN}: +3.2" in flag for flag in outweighed.flags)
    # Alike in error they disagree: the combined error grows, but the combined shift stays large.
    disagreeing = judge(alone, record("simulation", selection(0.0, 0.01)))
    assert disagreeing.combined[0].chi2 == pytest.approx(8.0)
    assert disagreeing.verdict == NOT_VALID
    assert "rapidity" in disagreeing.reason


def test_draws_that_share_parents_average_out_only_so_far() -> None:
    draws = [
        record("up-down-sampling", selection(0.0, 0.01, shared_variance=0.02), draw=i, overlap=0.5) for i in range(4)
    ]
    (combined,) = judge(*draws).combined
    assert combined.delta_error == pytest.approx((0.01 / 4 + 0.02 * (1 / 4 + 3 / 4 * 0.5)) ** 0.5)


def test_draws_that_scatter_more_than_their_errors_say_have_a_larger_error() -> None:
    draws = [record("up-down-sampling", selection(value, 0.0001), draw=i) for i, value in enumerate((-0.3, 0.0, 0.3))]
    (combined,) = judge(*draws).combined
    assert combined.delta_error == pytest.approx(0.3 / 3**0.5)


def test_the_exact_null_must_give_a_unit_gaussian() -> None:
    def null(values: list[float]) -> WindowVerdict:
        draws = [record("exact-null", selection(0.0, z=z), draw=i) for i, z in enumerate(values)]
        return judge(record("simulation", selection(0.0)), *draws)

    assert null([-1.2, 0.3, 0.8, -0.4]).verdict == VALID
    biased = null([1.2, 2.3, 1.8, 1.4])  # mean 1.7, three errors are 1.5
    assert biased.verdict == NOT_VALID
    assert f"exact-null: {TEN}: mean z +1.67 ± 0.50" in biased.reason
    wide = null([-4.0, 4.0, -3.0, 3.0])
    assert wide.verdict == NOT_VALID
    assert "width of z 4.08" in wide.reason


@pytest.mark.parametrize(("p_value", "verdict"), [(0.004, NOT_VALID), (0.02, VALID)])
def test_the_background_must_be_fitted(p_value: float, verdict: str) -> None:
    assert judge(record("simulation", selection(0.0, fit_p=p_value))).verdict == verdict
    # One of five selections may well be as low as that.
    others = [selection(0.0, name=f"other_{i}") for i in range(4)]
    assert judge(record("simulation", selection(0.0, fit_p=p_value), *others)).verdict == VALID


def test_p_values_of_draws_combine_to_twice_their_median() -> None:
    draws = [record("up-down-sampling", selection(0.0, fit_p=p), draw=i) for i, p in enumerate((0.001, 0.004, 0.9))]
    assert judge(*draws).verdict == NOT_VALID
    assert judge(*draws).sources[0].selections[0].fit_p == pytest.approx(0.008)


def test_failing_fits_count_where_the_sample_is_not_small() -> None:
    failed = selection(0.0) | dict.fromkeys(("delta", "z", "fit_p", "background", "n")) | {"reason": "no minimum"}
    fine = selection(0.0, name="inclusive")
    assert judge(record("simulation", fine, failed)).verdict == NOT_VALID
    small = judge(record("simulation", fine, failed, events=400))
    assert small.verdict == VALID
    assert f"{TEN}: 1 fit fails: no minimum" in " ".join(small.flags)
    whole = record("simulation", status="failed", reason="no events to train on")
    assert judge(whole).verdict == NOT_VALID
    assert judge(whole | {"events": 10}).verdict == NOT_TESTABLE


def test_flatness_alone_is_a_flag() -> None:
    sloped = {"chi2": float(stats.chi2.isf(1e-6, 10)), "ndof": 10}
    found = judge(record("simulation", selection(0.0, flatness=sloped)))
    assert found.verdict == VALID
    assert found.flags == (f"simulation: the efficiency depends on m_jj: {TEN}",)


def test_a_window_that_no_source_with_drift_tests_is_not_testable() -> None:
    null = [record("exact-null", selection(0.0, z=z), draw=i) for i, z in enumerate((0.4, -0.5))]
    found = judge(not_testable("rapidity", "no events."), *null)
    assert found.verdict == NOT_TESTABLE
    assert found.reason == "rapidity: no events"
    assert corrections([found]) == {"3300-3700": {}}
    assert judge(*null).reason == "no sample keeps the dependence of the features on m_jj"
    assert judge(not_testable("rapidity"), record("simulation", selection(0.0))).verdict == VALID


def test_the_terminal_shows_what_was_found() -> None:
    from rich.console import Console

    shifted = judge(record("rapidity", selection(0.4, 0.01)), not_testable("simulation", "there is none."))
    flagged = judge(record("rapidity", selection(0.1, 0.04)))
    verdicts = [
        replace(shifted, decided="before-scan"),
        replace(flagged, decided="after-scan", window="3500-3900"),
    ]
    console = Console(width=120, record=True)
    console.print(validation_table(verdicts))
    text = console.export_text()
    assert "+40±10 %" in text
    assert "+3.2±0.8 σ" in text
    notes = validation_notes(verdicts)
    assert f"3300-3700 GeV is not valid: shift of z larger than 0.5: {TEN}: +3.2 ± 0.8." in notes
    assert "3300-3700 GeV, simulation, not testable: there is none." in notes
    lines = verdict_lines(verdicts, 3)
    assert lines[0] == (
        "Signal-free samples: valid, sensitive to shifts above 5.8: 3500-3900* GeV; not valid: 3300-3700 GeV; "
        "not validated: 1."
    )
    assert "Validated only after they were scanned: 3500-3900 GeV." in lines


@pytest.mark.parametrize("n_selections", [1, 5])
@pytest.mark.parametrize("error", [0.01, 0.1, 1.0])
def test_a_window_is_sensitive_to_shifts_that_make_it_not_valid_in_95_of_100(error: float, n_selections: int) -> None:
    """Samples of a truth that is shifted by as much as the verdict says it can detect, in the last selection."""
    others = [selection(0.0, (error / 8) ** 2, name=f"other_{i}") for i in range(n_selections - 1)]
    fair = judge(record("simulation", *others, selection(0.0, (error / 8) ** 2)))
    assert fair.verdict == VALID
    assert fair.detectable is not None
    measured = stats.norm.ppf((np.arange(200) + 0.5) / 200, fair.detectable, error)
    found = [judge(record("simulation", *others, selection(one / 8, (error / 8) ** 2))) for one in measured]
    assert sum(one.verdict == NOT_VALID for one in found) == pytest.approx(190, abs=1)


def test_the_least_sensitive_selection_decides_and_one_that_was_not_tested_is_named() -> None:
    errors = {"inclusive": 0.02, "eff_0.1": 0.1}
    sized = [selection(0.0, error**2, name=name) for name, error in errors.items()]
    lost = selection(0.0, name="eff_0.01", search_background=None)
    found = judge(record("simulation", *sized, lost))
    # Two selections: 2 errors of one look are 2.28 each.
    reach = stats.norm.isf(stats.norm.sf(2.0) / 2) + stats.norm.ppf(0.95)
    assert [one.detectable for one in found.combined] == pytest.approx(
        [0.5 + 0.16 * stats.norm.ppf(0.95), 0.8 * reach, None]
    )
    assert found.text == f"valid, sensitive to shifts above 3.1, not tested in {ONE}"
    assert found.summary.text == found.text


def test_only_a_valid_window_is_called_sensitive() -> None:
    assert judge(record("simulation", selection(0.10, 0.04**2))).text == "not valid"
    assert judge(not_testable("rapidity")).text == "not testable"
    assert judge(record("simulation", selection(0.0, search_background=None))).text.startswith(
        "valid, sensitive to no shift"
    )
    assert verdict_text(VALID, [1.24, None, 0.96]) == "valid, sensitive to shifts above 1.0 to 1.2"
    assert verdict_text(VALID, [1.04, 0.96]) == "valid, sensitive to shifts above 1.0"
