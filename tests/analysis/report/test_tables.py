"""Tables of the report: nothing observed while blinded, and no column without a value."""

from __future__ import annotations

from dataclasses import replace

import pytest

from analysis.limits.values import FailedLimit
from analysis.regions import MassWindow
from analysis.report.numbers import Table
from analysis.report.signal_tables import fixed_table, headline_limits, impact_tables, rules_table
from analysis.report.tables import overview_table, window_table
from analysis.results.documents import reported_window
from analysis.results.numbers import SPACE
from analysis.results.values import Results
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.values import SignalImpacts, SignalLimit, SignalResult, SignalSelection
from analysis.statistics import DiscoveryResult, Impact, Impacts, LimitResult
from tests.builders.limit_documents import LIMIT as LIMITED
from tests.builders.overviews import unobserved, unobserved_results
from tests.builders.results import results_of

REGIONS = MassWindow((3300.0, 3700.0), (3100.0, 3300.0), (3700.0, 3900.0), (3200.0, 3800.0), (3000.0, 6500.0))
LIMIT = LimitResult("visible-events", "asymptotics", 59.0, (8.0, 11.0, 16.0, 23.0, 32.0))
SEARCHED = SelectionResult(
    *("eff_0.1", "cwola", ("x",), 0.1, 0.1),
    n_obs=157.0,
    background=114.0,
    background_error=14.0,
    discovery=DiscoveryResult(2.7, 0.0035, asymptotics_trusted=False, p0_averaged=0.0042),
    s_over_sqrt_b=1.23,
    limit=LIMIT,
)
FIXED = SignalSelection(
    window=REGIONS.signal,
    selection="eff_0.1",
    events=198.0,
    events_error=6.6,
    acceptance_efficiency=0.25,
    modifiers=(),
    reason=None,
    limit=SignalLimit(
        rule="fixed-efficiency",
        calculator="asymptotics",
        observed_events=80.0,
        expected_events=(40.0, 50.0, 60.0, 70.0, 90.0),
        observed_strength=0.404,
        expected_strength=(0.2, 0.25, 0.303, 0.35, 0.45),
    ),
    impacts=SignalImpacts(
        expected=Impacts(1.0, 0.4, (Impact("jms", 0.0, 1.0, 0.125, -0.25), Impact("jer", 0.0, 1.0, 1e-9, 0.0))),
        observed=Impacts(2.5, 0.5, (Impact("jms", 0.75, 0.875, 0.333, -0.444),)),
    ),
)
SIGNAL = SignalResult(
    dataset="point",
    masses={},
    rule="fixed-efficiency",
    normalised=True,
    selections=(FIXED,),
    yields=(),
    reason=None,
)


@pytest.fixture
def results() -> Results:
    lost = replace(SEARCHED, name="eff_0.01", background=None, discovery=None, limit=None, reason="no minimum")
    windows = [reported_window(WindowResult(REGIONS, (), (SEARCHED, lost)))]
    return results_of(windows=windows, limits=[LIMITED], signals=[SIGNAL])


def texts(table: Table | None) -> str:
    assert table is not None
    cells = [part for row in table.rows for cell in row for part in (cell.text, cell.note, str(cell.value))]
    return " ".join([table.caption, *table.columns, *cells, *table.notes]).replace(SPACE, " ")


def columns(table: Table | None) -> tuple[str, ...]:
    assert table is not None
    return table.columns


def test_an_unblinded_search_shows_counts_and_significances(results: Results) -> None:
    (window,) = results.windows
    overview = texts(overview_table(results))
    assert all(text in overview for text in ("2.7*", "157 / 114 ± 14", "failed", "Few background events"))
    table = window_table(results, window)
    assert table.columns == (
        *("Selection", "Kept", "Observed [events]", "Background [events]", "Local z", "Local p₀", "p₀ averaged"),
        *("S/√B (truth)", "Observed limit [events]", "Expected limit [events]"),
    )
    assert table.notes[-1].replace(SPACE, " ") == "efficiency 1 %: no minimum"


def test_a_blinded_search_shows_the_background_alone(results: Results) -> None:
    blinded = unobserved_results(results)
    (window,) = blinded.windows
    overview, table = texts(overview_table(blinded)), window_table(blinded, window)
    assert overview.startswith("Expected background [events]")
    assert table.columns == ("Selection", "Kept", "Background [events]", "Expected limit [events]")
    for text in (overview, texts(table)):
        assert "114 ± 14" in text
        assert "Blinded: nothing that is observed" in text
        assert not any(seen in text for seen in ("157", "2.7", "0.0035", "0.0042", "1.23", "59.0"))


def test_limits_without_observed_ones_have_no_column_for_them(results: Results) -> None:
    blinded = unobserved_results(results)
    assert columns(rules_table(results.limits))[-2:] == ("Observed [selected events]", "Observed [fb]")
    assert columns(rules_table(blinded.limits))[-1] == "Expected [fb]"
    assert "57.5" not in texts(rules_table(blinded.limits))
    assert columns(fixed_table(results.signals))[-2:] == ("Observed μ", "Observed [fb]")
    assert columns(fixed_table(blinded.signals))[-1] == "Expected [fb]"
    assert "0.404" not in texts(fixed_table(blinded.signals))
    assert [text.replace(SPACE, " ") for text in headline_limits(results)] == [
        "point: observed 2.88 fb, expected 1.00 fb (atlas-2025)"
    ]
    assert [text.replace(SPACE, " ") for text in headline_limits(blinded)] == ["point: expected 1.00 fb (atlas-2025)"]
    (sentence,) = headline_limits(replace(results, limits=()))
    assert "observed 0.404 times the sample, expected 0.303" in sentence.replace(SPACE, " ")


def test_signals_without_a_limit_are_named_below_the_table() -> None:
    failed = FailedLimit(dataset="other", masses={}, rule=None, reason="nothing passes")
    table = rules_table([LIMITED, failed, failed])
    assert table is not None
    assert (len(table.rows), table.notes) == (1, ("other: nothing passes",))
    assert rules_table([]) is None
    assert fixed_table([]) is None


def test_impacts_of_the_data_stand_beside_the_expected_ones() -> None:
    (table,) = impact_tables(SIGNAL)
    rows = [[cell.text for cell in row] for row in table.rows]
    assert rows[0] == ["jms", "1.00", "0.125", "−0.250", "0.750", "0.875", "0.333", "−0.444"]
    assert rows[1] == ["jer", "1.00", "0", "0", "–", "–", "–", "–"]
    assert "observed μ = 2.50 ± 0.50" in table.caption.replace(SPACE, " ")
    (blinded,) = impact_tables(unobserved(SIGNAL))
    assert len(blinded.columns) == 4
    assert "observed" not in blinded.caption
