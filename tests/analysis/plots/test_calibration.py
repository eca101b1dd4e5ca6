"""Figures show calibrated significances first and nominal ones beside them, and say where there is no calibration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.diagnostics.sections import DiagnosedWindow, SeedSignificances
from analysis.plots.calibration import calibrated_seeds, with_caption
from analysis.plots.classifiers.ensemble import draw_seeds
from analysis.plots.classifiers.ensemble_figures import _seeds_alt, seed_rows
from analysis.plots.compared.figures import draw_compared_scan, draw_varied
from analysis.plots.figure import Row
from analysis.plots.style import figure_style
from analysis.plots.windows.scan import draw_scan, scan_alt, scan_rows
from analysis.plots.windows.significance import (
    draw_significance,
    draw_significance_map,
    significance_alt,
    significance_rows,
)
from analysis.plots.windows.spectrum import draw_spectrum, spectrum_alt
from analysis.plots.windows.stitched import draw_stitched, stitched_alt
from analysis.results.blinding import blind, blind_windows
from analysis.results.compared.searches import Varied
from analysis.results.documents import reported_window
from analysis.results.numbers import SPACE
from analysis.search.values import WindowResult
from analysis.statistics import GlobalResult
from tests.builders.calibrations import calibrated
from tests.builders.classifier_documents import members
from tests.builders.compared import make_search
from tests.builders.results import results_of
from tests.builders.windows import EDGES, EFFICIENCIES, make_result, make_window

CUT = "eff_0.01"
LOCAL = {"nominal": 4.1, "searches": 3.2, "exact": 4.1}
"""Significances that are shown, by source of the calibration."""

CALIBRATIONS = pytest.mark.parametrize("source", list(LOCAL))


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


def axes() -> Axes:
    return Figure().subplots()


def result_of(source: str, low: float = 3300.0) -> WindowResult:
    counts = dict.fromkeys(EFFICIENCIES, (800.0 * np.exp(-(EDGES[:-1] - 3000.0) / 350.0)).astype(np.int64) + 1)
    result = make_result(counts, low=low, z={"inclusive": 0.4, CUT: 4.1})
    return result if source == "nominal" else calibrated(result, source)  # type: ignore[arg-type]


def document_of(source: str) -> Any:
    return reported_window(result_of(source))


def labels(legend: Any) -> list[str]:
    return [text.get_text() for text in legend.get_texts()]


def column(rows: Iterator[Row], name: str) -> list[object]:
    header, *body = rows
    return [row[list(header).index(name)] for row in body]


@CALIBRATIONS
def test_the_scan_has_points_of_calibrated_and_small_ones_of_nominal_p_values(source: str) -> None:
    ax = axes()
    artists = draw_scan([result_of(source)], ax=ax)
    assert artists.points[CUT].lines[0].get_ydata() == pytest.approx([stats.norm.sf(LOCAL[source])])
    assert artists.points["inclusive"].lines[0].get_ydata() == pytest.approx([stats.norm.sf(0.4)])
    assert list(artists.nominal) == ([CUT] if source == "searches" else [])
    assert ("Nominal" in labels(artists.legend)) == (source == "searches")
    assert (f"run{SPACE}cwola" in ax.get_xlabel()) == (source == "nominal")
    if source == "searches":
        assert artists.nominal[CUT].get_ydata() == pytest.approx([stats.norm.sf(4.1)])
        (_, segments) = artists.points[CUT].lines[2]
        error = result_of(source).selections[1].local_z_error
        assert error is not None
        ends = segments.get_segments()[0][:, 1]
        np.testing.assert_allclose(np.sort(ends), stats.norm.sf([3.2 + error, 3.2 - error]))
        assert ax.get_ylim()[0] < stats.norm.sf(4.1)


@pytest.mark.parametrize("n_selections", [2, 5, 9])
def test_the_legend_of_the_scan_lies_above_all_points(n_selections: int) -> None:
    result = result_of("searches")
    inclusive, cut = result.selections
    cuts = tuple(replace(cut, name=f"eff_0.{i}") for i in range(1, n_selections))
    figure = Figure(figsize=(10.0, 8.0), layout="constrained")
    ax = figure.subplots()
    total = GlobalResult(1.0, 0.1, "bonferroni-upper-bound", 2)
    legend = draw_scan([replace(result, selections=(inclusive, *cuts))], ax=ax, global_result=total).legend
    figure.draw_without_rendering()
    assert legend.get_window_extent().y0 > ax.transData.transform((3500.0, 1.0))[1]


def test_a_long_note_below_an_axis_is_wrapped() -> None:
    lines = with_caption("x", [result_of("searches"), result_of("nominal", 3900.0)]).split("\n")
    assert lines == ["x", f"Not calibrated with retraining in 3900–4300{SPACE}GeV:", f"run{SPACE}cwola{SPACE}calibrate"]
    assert with_caption("x", [result_of("searches")]) == "x"


@pytest.mark.parametrize(
    ("method", "held"),
    [("pseudo-experiments", True), ("retrained-scans", False), ("bonferroni-upper-bound", False)],
)
def test_the_scan_says_that_pseudo_experiments_hold_the_classifiers_fixed(method: str, held: bool) -> None:
    text = draw_scan([result_of("searches")], ax=axes(), global_result=GlobalResult(1.0, 0.1, method, 2, 100)).text
    assert text is not None
    assert ("classifiers held fixed" in text.get_text()) == held


@CALIBRATIONS
def test_the_significance_against_efficiency_is_the_calibrated_one(source: str) -> None:
    ax, document = axes(), document_of(source)
    artists = draw_significance(document, ax=ax)
    np.testing.assert_allclose(np.asarray(artists.points.get_ydata(), float), [LOCAL[source], 0.4])
    assert (artists.nominal is None) == (artists.errors is None) == (source != "searches")
    assert ("calibrated with retraining" in labels(artists.legend)[0]) == (source == "searches")
    assert ("Not calibrated with retraining" in ax.get_xlabel()) == (source == "nominal")
    if artists.nominal is not None:
        assert list(artists.nominal.get_ydata()) == [4.1]
    alt = significance_alt(document).replace(SPACE, " ")
    assert {"nominal": "1 % 4.1.", "searches": "1 % 3.2 ± 0.1 (nominal 4.1).", "exact": "1 % 4.1."}[source] in alt
    assert ("run cwola calibrate" in alt) == (source == "nominal")
    for rows in (significance_rows(document), scan_rows([document])):
        header, *_, row = rows
        named = dict(zip(header, row, strict=True))
        assert named["nominal z"] == 4.1
        assert named["calibrated z"] == (None if source == "nominal" else pytest.approx(LOCAL[source]))


@CALIBRATIONS
def test_the_map_has_nominal_significances_in_brackets(source: str) -> None:
    ax = axes()
    numbers = draw_significance_map([document_of(source)], ax=ax).numbers
    expected = {"nominal": "4.1", "searches": "3.2\n(4.1)", "exact": "4.1"}[source]
    assert {name: text.get_text() for (_, name), text in numbers.items()} == {"inclusive": "0.4", CUT: expected}
    assert ("in brackets nominal" in ax.get_xlabel()) == (source == "searches")
    assert (f"run{SPACE}cwola" in ax.get_xlabel()) == (source == "nominal")


@CALIBRATIONS
def test_a_spectrum_has_the_nominal_significance_below_the_calibrated_one(source: str) -> None:
    result = result_of(source)
    ax, ax_pull = Figure().subplots(2, 1)
    *_, last = draw_spectrum(result, CUT, ax=ax, ax_pull=ax_pull).text.get_text().replace(SPACE, " ").split("\n", 2)
    z = r"$\mathit{z}$ = "
    expected = {"nominal": f"{z}4.1\nnot calibrated", "searches": f"{z}3.2 ± 0.1\nnominal 4.1", "exact": f"{z}4.1"}
    assert last == expected[source]
    alt = spectrum_alt(result, result.selections[1]).replace(SPACE, " ")
    said = {"nominal": "4.1 (not calibrated with retraining)", "searches": "3.2 ± 0.1 (nominal 4.1)", "exact": "4.1"}
    assert f"z = {said[source]}." in alt
    assert "z = 0.4." in spectrum_alt(result, result.selections[0])


@pytest.mark.parametrize(
    ("sources", "note"),
    [
        (("nominal", "nominal"), "not calibrated with retraining"),
        (("searches", "nominal"), "partly not calibrated with retraining"),
        (("searches", "exact"), "calibrated with retraining"),
    ],
)
def test_windows_side_by_side_say_whether_their_numbers_are_calibrated(sources: tuple[str, str], note: str) -> None:
    pair = [result_of(source, low) for source, low in zip(sources, (3300.0, 3900.0), strict=True)]
    drawn = [draw_stitched(pair, name, ax=axes(), ax_pull=axes()) for name in (CUT, "inclusive")]
    numbers = [text.get_text() for text in drawn[0].significances.values()]
    assert numbers == [f"{LOCAL[source]:.1f}" for source in sources]
    assert labels(drawn[0].legend)[-1].splitlines()[1:] == [note]
    assert labels(drawn[1].legend)[-1].splitlines()[1:] == []
    assert f" {note.capitalize()}." in stitched_alt(pair, CUT)
    assert "alibrated" not in stitched_alt(pair, "inclusive")


def test_compared_searches_are_compared_by_calibrated_significances() -> None:
    searches = [make_search(source, [result_of(source), result_of(source, 3900.0)]) for source in LOCAL]
    ax, ax_limit = Figure().subplots(2, 1)
    drawn = draw_compared_scan(searches, CUT, ax=ax)
    heights = {label: points.lines[0].get_ydata()[0] for label, points in drawn.points.items()}
    assert heights == pytest.approx(LOCAL)
    assert ax.get_xlabel().splitlines()[-1] == "Not calibrated with retraining: nominal"
    z, _ = draw_varied(searches, Varied("x", (1.0, 2.0, 3.0)), "3300-3700", ax=ax, ax_limit=ax_limit)
    assert list(z[1].get_ydata()) == pytest.approx(list(LOCAL.values()))
    assert ax_limit.get_xlabel().splitlines()[-1] == "Not calibrated with retraining: nominal"


@CALIBRATIONS
def test_trainings_are_shown_as_the_results_calibrate_them(source: str) -> None:
    seeds = (SeedSignificances(CUT, (4.1, None, 1.1)),)
    diagnosed = DiagnosedWindow(window=make_window(3300.0), blinded=False, ensemble=replace(members(), seeds=seeds))
    (shown,) = calibrated_seeds([diagnosed], results_of(windows=[document_of(source)]))
    assert calibrated_seeds([diagnosed], None) == [diagnosed]
    assert shown.ensemble is not None
    ax = axes()
    artists = draw_seeds(shown.ensemble, ax=ax)
    other = 0.8 if source == "searches" else 1.1
    np.testing.assert_allclose(artists.results[CUT].get_ydata(), [LOCAL[source]])
    np.testing.assert_allclose(artists.points[CUT].get_ydata(), [np.nan, other])
    assert ax.get_ylabel().startswith("Nominal" if source == "nominal" else "Calibrated")
    assert ("retraining: none" in _seeds_alt(shown.ensemble)) == (source == "nominal")
    assert column(seed_rows(shown.ensemble), "nominal z") == [4.1, None, 1.1]
    expected = [None] * 3 if source == "nominal" else [pytest.approx(LOCAL[source]), None, pytest.approx(other)]
    assert column(seed_rows(shown.ensemble), "calibrated z") == expected


def test_trainings_of_which_some_are_calibrated_tell_which() -> None:
    seeds = tuple(SeedSignificances(name, (1.0, 2.0), one) for name, one in ((CUT, (0.9, 1.9)), ("eff_0.1", ())))
    ax = axes()
    draw_seeds(replace(members(), seeds=seeds), ax=ax)
    assert ax.get_ylabel().startswith("Local")
    legend = ax.get_legend()
    assert legend is not None
    assert [text.endswith("(nominal)") for text in labels(legend)] == [False, True]


def test_blinded_figures_have_neither() -> None:
    result = result_of("searches")
    ax, ax_pull = Figure().subplots(2, 1)
    (hidden,) = blind_windows([result])
    text = draw_spectrum(hidden, CUT, ax=ax, ax_pull=ax_pull).text.get_text()
    results = blind(results_of(windows=[reported_window(result)]))
    said = [text, spectrum_alt(hidden, hidden.selections[1]), scan_alt(results), stitched_alt([hidden], CUT)]
    assert not any(number in " ".join(said) for number in ("3.2", "4.1", "alibrated", "nominal"))
    assert column(scan_rows(results.windows), "calibrated z") == column(scan_rows(results.windows), "nominal z")
    assert draw_scan([hidden], ax=axes()).nominal == {}
