"""Tables of the report: nothing observed while blinded, and no column without a value."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from analysis.limits.values import FailedLimit
from analysis.regions import MassWindow
from analysis.report.numbers import Table
from analysis.report.signal_tables import fixed_table, headline_limits, impact_tables, rules_table
from analysis.report.tables import overview_table, template_table, validation_table, window_table
from analysis.results.blinding import blind
from analysis.results.documents import reported_window
from analysis.results.numbers import SPACE
from analysis.results.values import FitDocument, Results
from analysis.results.words import BAD_FIT_NOTE, SMOOTHNESS_NOTE
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.values import SignalImpacts, SignalLimit, SignalResult, SignalSelection
from analysis.statistics import DiscoveryResult, Impact, Impacts, LimitResult
from analysis.validation.values import CombinedShift, SourceVerdict, TemplateClosure, WindowValidation, WindowVerdict
from tests.builders.calibrations import calibrated_selection
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
    assert all(text in overview for text in ("2.7*", "157 / 114 ± 14", "failed", "z and p₀ are approximate"))
    table = window_table(results, window)
    assert table.columns == (
        *("Selection", "Kept", "Observed [events]", "Background [events]", "Local z", "Local p₀", "p₀ averaged"),
        *("S/√B (truth)", "Observed limit [events]", "Expected limit [events]"),
    )
    assert table.notes[-1].replace(SPACE, " ") == "efficiency 1 %: no minimum"


@pytest.mark.parametrize(
    ("source", "z", "p0"),
    [(None, "2.7*", "0.0035"), ("searches", "2.1 ± 0.1*", "0.019"), ("exact", "2.7*", "0.0035")],
)
def test_calibrated_numbers_come_first_and_nominal_ones_below(source: Any, z: str, p0: str) -> None:
    searched = SEARCHED if source is None else calibrated_selection(SEARCHED, source)
    results = results_of(windows=[reported_window(WindowResult(REGIONS, (), (searched,)))])
    (window,) = results.windows
    nominal = source == "searches"
    for table, column, note in (
        (overview_table(results), "efficiency 10 %", "157 / 114 ± 14"),
        (window_table(results, window), "Local z", ""),
    ):
        names = [name.replace(SPACE, " ") for name in table.columns]
        cell = table.rows[0][names.index(column)]
        assert cell.text.replace(SPACE, " ") == z
        assert cell.value == pytest.approx(2.08 if nominal else 2.7)
        below = [text for text in ("nominal 2.7" * nominal, note) if text]
        assert cell.note.replace(SPACE, " ") == "\n".join(below)
        notes = " ".join(table.notes)
        assert ("Run `cwola calibrate`" in notes) == (source is None)
        assert ("by searches of this search's own events" in notes) == nominal
    shown = window_table(results, window)
    cell = shown.rows[0][shown.columns.index("Local p₀")]
    assert (cell.text, cell.note) == (p0, "nominal 0.0035" * nominal)
    blinded = blind(results)
    assert "alibrat" not in texts(overview_table(blinded)) + texts(window_table(blinded, blinded.windows[0]))


@pytest.mark.parametrize(("z", "strong"), [(3.5, False), (4.0, True)])
def test_excesses_are_highlighted_by_their_calibrated_significance(z: float, *, strong: bool) -> None:
    searched = calibrated_selection(replace(SEARCHED, discovery=DiscoveryResult(z, 1e-3)))
    results = results_of(windows=[reported_window(WindowResult(REGIONS, (), (searched,)))])
    assert overview_table(results).rows[0][1].strong is strong


def test_the_band_of_trainings_is_calibrated_like_their_result() -> None:
    searched = replace(SEARCHED, seeds=(replace(SEARCHED, discovery=DiscoveryResult(1.35, 0.0885)),))
    for selection, text, note in (
        (searched, "2.0", "1.6 to 2.5"),
        (calibrated_selection(searched), "1.5", "1.2 to 1.9"),
    ):
        results = results_of(windows=[reported_window(WindowResult(REGIONS, (), (selection,)))])
        table = window_table(results, results.windows[0])
        cell = table.rows[0][table.columns.index("z of trainings")]
        assert (cell.text, cell.note) == (text, note)


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
        "point: observed 2.88 fb, expected 1.00 fb pre-fit (atlas-2025)"
    ]
    assert [text.replace(SPACE, " ") for text in headline_limits(blinded)] == [
        "point: expected 1.00 fb pre-fit (atlas-2025)"
    ]
    (sentence,) = headline_limits(replace(results, limits=()))
    assert "observed 0.404 times the sample, expected 0.303 times the sample post-fit" in sentence.replace(SPACE, " ")


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


def test_the_verdict_of_a_window_stands_above_its_power(results: Results) -> None:
    shift = CombinedShift(
        name="eff_0.1", delta=0.0, delta_error=0.1, chi2=0.0, n_sources=1, shift=0.0, shift_error=1.0, detectable=3.64
    )
    validation = WindowValidation(
        verdict="valid", reason="", flags=(), decided="before-scan", combined=(shift,), sources={}
    )
    judged = replace(results, windows=tuple(replace(one, validation=validation) for one in results.windows))
    found = overview_table(judged).rows[0][-1]
    assert (found.text, found.note) == ("valid", "sensitive to shifts above 3.6")
    assert validation_table(validation).rows[0][3].value == 3.64


def test_the_closure_of_the_template_is_that_of_each_source() -> None:
    closure = TemplateClosure(divergence=0.0346, spread=0.0089, p=0.012, draws=2, n_window=8, n_template=4)
    tested = SourceVerdict(source="simulation", verdict="valid", selections=(), template=closure)
    other = replace(tested, source="rapidity", template=None)
    verdict = WindowVerdict(
        window="a", verdict="valid", reason="", flags=(), combined=(), sources=(tested, other), max_shift=0.5
    )
    found = template_table([verdict])
    assert found is not None
    (row,) = found.rows
    assert [cell.text.replace("\xa0", " ") for cell in row] == ["simulation", "0.0346 ± 0.0089", "0.012", "2"]
    assert template_table([replace(verdict, sources=(other,))]) is None


@pytest.mark.parametrize(("shift", "shown"), [(0.31, True), (0.29, False), (None, False)])
def test_results_that_rest_on_a_smooth_spectrum_are_marked(results: Results, shift: float | None, shown: bool) -> None:
    (window,) = results.windows
    fit = FitDocument(function="dijet3", chi2=20.0, ndof=30, p_value=0.9, hidden_shift=shift)
    found = replace(results, windows=(replace(window, selections=(replace(window.selections[0], fit=fit),)),))
    for table in (overview_table(found), window_table(found, found.windows[0])):
        assert ("2.7*~" in texts(table)) is shown
        assert (SMOOTHNESS_NOTE in table.notes) is shown


def test_numbers_of_bad_fits_are_marked_and_good_ones_are_not(results: Results) -> None:
    (window,) = results.windows
    fit = FitDocument(function="dijet3", chi2=210.0, ndof=30, p_value=5e-26, p_value_method="asymptotics")
    bad, good = (
        replace(results, windows=(replace(window, selections=(replace(window.selections[0], fit=one),)),))
        for one in (fit, replace(fit, p_value=0.4))
    )
    assert "2.7*!" in texts(overview_table(bad))
    shown = texts(window_table(bad, bad.windows[0]))
    for number in ("114 ± 14!", "2.7*!", "0.0035!", "59.0!", "16.0!", "5.0 × 10⁻²⁶!"):
        assert number in shown.replace(SPACE, " ")
    assert BAD_FIT_NOTE in window_table(bad, bad.windows[0]).notes
    assert BAD_FIT_NOTE in overview_table(bad).notes
    assert "114 ± 14!" in texts(overview_table(unobserved_results(bad))).replace(SPACE, " ")
    for table in (overview_table(good), window_table(good, good.windows[0])):
        assert "!" not in texts(table)
    limits = rules_table([replace(LIMITED, fit_p_value=1e-5)])
    for signals in (limits, fixed_table([SIGNAL], {(REGIONS.signal, "eff_0.1")})):
        assert signals is not None
        assert "%!" in texts(signals)
        assert BAD_FIT_NOTE in signals.notes
    (sentence, *_) = headline_limits(replace(results, limits=(replace(LIMITED, fit_p_value=1e-5),)))
    assert sentence.endswith("(atlas-2025, from a bad background fit)")
