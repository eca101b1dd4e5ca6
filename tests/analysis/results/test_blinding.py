"""Nothing of the counts is left in blinded results, and what was made without them stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.limits.values import FailedLimit, LimitsFile
from analysis.regions import RegionScan
from analysis.results.blinding import blind, blind_diagnostics, blind_search
from analysis.results.documents import reported_window
from analysis.results.values import Results
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import run_window
from analysis.statistics import GlobalResult
from tests.builders import diagnostic_documents as diagnostics
from tests.builders.limit_documents import failed, map_of, masses, scan_of, sensitivity_of, signal
from tests.builders.overviews import impacts, limited, sample
from tests.builders.results import results_of
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

CONFIG = toy_config(learning={"efficiencies": (0.1,)})
SCAN = RegionScan.from_config(CONFIG.scan)
DATA = SearchData(toy_table(6_000, 150, random_state=8), signal_datasets=("signal",))


@pytest.fixture(scope="module")
def window() -> WindowResult:
    return run_window(DATA, WINDOW, SCAN, CONFIG)


def opened(window: WindowResult) -> Results:
    point = sample("point", 3500.0, limited("eff_0.1", 1.0, impacts(2), observed=2.0))
    return results_of(
        windows=[reported_window(window)],
        global_=GlobalResult(
            3.0, 0.001, "pseudo-experiments", None, 10, (0.0, 1.0), effective_trials=2.0, miscalibration=1.5
        ),
        signals=[point],
        limits=[*signal("s", 10.0, observed=1.2), failed("t", masses(3000.0))],
        sensitivity=[sensitivity_of()],
    )


def test_results_and_windows_are_those_that_were_made_blinded(window: WindowResult) -> None:
    made = run_window(replace(DATA, blinded=True), WINDOW, SCAN, CONFIG)
    results, (blinded,) = blind_search(opened(window), [window])
    assert results.windows == (reported_window(made),)
    assert blinded.selections[1].limit == made.selections[1].limit
    assert results.blinded
    assert results.global_ == GlobalResult(None, None, "pseudo-experiments", n_toys=10)
    assert results.sensitivity == ()
    assert blind_search(results, [blinded]) == (results, [blinded])


def test_without_windows_their_limits_are_left_out(window: WindowResult) -> None:
    """An expected limit that was set with an observation depends on it."""
    (document,) = blind(opened(window)).windows
    for selection in document.selections:
        assert (selection.n_obs, selection.z, selection.p0, selection.limit, selection.members) == (None,) * 5
        assert selection.background is not None


def test_limits_of_signals_stay_where_they_were_set_without_the_counts(window: WindowResult) -> None:
    results = blind(opened(window))
    (point,) = results.signals
    assert (point.selections[0].limit, point.selections[0].impacts) == (None, None)
    made_blinded = sample("point", 3500.0, limited("eff_0.1", 1.0, impacts(2, observed=False)))
    assert blind(made_blinded) == made_blinded
    shown = [limit for limit in results.limits if not isinstance(limit, FailedLimit)]
    assert {(limit.observed_selected, limit.observed_fb) for limit in shown} == {(None, None)}
    assert [limit.expected_selected for limit in shown] == [limit.expected_selected for limit in signal("s", 10.0)]
    assert any(isinstance(limit, FailedLimit) for limit in results.limits)


def test_injections_keep_efficiencies_and_expected_limits() -> None:
    scan = replace(scan_of(), maps=(map_of(0.0),))
    seen = replace(scan, candidates=tuple(replace(one, observed=one.expected) for one in scan.candidates))
    (blinded,) = blind(LimitsFile(injections=(seen,))).injections
    for candidate, before in zip(blinded.candidates, scan.candidates, strict=True):
        assert {value for row in candidate.observed for value in row} == {None}
        assert (candidate.efficiency, candidate.expected) == (before.efficiency, before.expected)
    assert blinded.maps[0].data == {}
    assert blinded.maps[0].signal == scan.maps[0].signal


def test_diagnostics_that_saw_the_window_are_left_out() -> None:
    kept = diagnostics.window(blinded=True)
    assert blind_diagnostics([diagnostics.window(), kept]) == [kept]
