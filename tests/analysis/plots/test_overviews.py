"""Figures of signals in spectra, of windows side by side, of significances, impacts and validation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.plots.signals.impacts import draw_impacts, impact_alt, impact_figures, impact_rows
from analysis.plots.style import figure_style
from analysis.plots.validation import draw_validation_pulls, draw_validation_shifts, validation_figures, validation_rows
from analysis.plots.windows.fit_quality import draw_fit_quality, fit_quality_figures
from analysis.plots.windows.significance import draw_significance, draw_significance_map, significance_figures
from analysis.plots.windows.spectrum import draw_spectrum, spectrum_rows
from analysis.plots.windows.stitched import draw_stitched, stitched_figures, stitched_rows, window_layers
from analysis.results import ResultsFolder
from analysis.results.blinding import blind, blind_windows
from analysis.results.documents import reported_window
from analysis.results.numbers import z_value
from analysis.results.values import WindowDocument
from analysis.search.seeds import SeedSpread
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalShape, most_sensitive, signal_shapes
from tests.builders.overviews import (
    EDGES,
    EFFICIENCY,
    N_SIGNAL,
    Array,
    evaluated,
    impacts,
    limited,
    sample,
    verdict,
    window_at,
)
from tests.builders.results import results_of
from tests.builders.toy_tables import dijet_masses

SELECTION = "eff_0.1"


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


def panels() -> tuple[Axes, Axes]:
    upper, lower = Figure(figsize=(8.5, 8.5)).subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    return upper, lower


def axes() -> Axes:
    return Figure(figsize=(8.5, 7.0)).subplots()


@pytest.fixture(scope="module")
def events() -> dict[str, Array]:
    """Masses, whether signal (a peak at 3.5 TeV), and whether selected: a tenth of the background and all signal."""
    rng = np.random.default_rng(3)
    mjj = np.concatenate([dijet_masses(12_000, rng), rng.normal(3500.0, 60.0, N_SIGNAL)])
    signal = np.arange(len(mjj)) >= 12_000
    return {"mjj": mjj, "signal": signal, "selected": signal | (rng.random(len(mjj)) < EFFICIENCY)}


@pytest.fixture(scope="module")
def windows(events: dict[str, Array]) -> list[WindowResult]:
    """Windows at 3.3, 3.5, 3.7 and 4.1 TeV; the first holds the signal."""
    return [evaluated(events, low) for low in (3300.0, 3500.0, 3700.0, 4100.0)]


@pytest.fixture(scope="module")
def documents(windows: list[WindowResult]) -> list[WindowDocument]:
    return [reported_window(result) for result in windows]


def test_the_hidden_signal_is_drawn_as_many_events_as_there_are(events: dict[str, Array], windows: Any) -> None:
    ax, ax_pull = panels()
    artists = draw_spectrum(windows[0], SELECTION, ax=ax, ax_pull=ax_pull)
    of_signal = events["signal"] & events["selected"].astype(bool)
    assert artists.hidden is not None
    np.testing.assert_array_equal(artists.hidden.get_data()[0], np.histogram(events["mjj"][of_signal], EDGES)[0])
    assert artists.hidden.get_data()[0].sum() == N_SIGNAL
    rows = list(spectrum_rows(windows[0], SELECTION))
    column = rows[0].index("hidden signal [events]")
    assert sum(row[column] for row in rows[1:]) == N_SIGNAL  # type: ignore[misc]


def test_nothing_of_the_hidden_signal_is_shown_while_blinded(events: dict[str, Array], windows: Any) -> None:
    made_blinded = evaluated(events, 3300.0, blinded=True)
    assert made_blinded.truth is None
    assert evaluated(events, 3300.0, real=True).truth is None
    blinded = blind_windows(windows)
    for result in (blinded[0], made_blinded):
        ax, ax_pull = panels()
        artists = draw_spectrum(result, SELECTION, ax=ax, ax_pull=ax_pull)
        assert artists.hidden is None
        assert "Hidden" not in " ".join(text.get_text() for text in artists.legend.get_texts())
        header, *rows = spectrum_rows(result, SELECTION)
        assert {str(row[header.index("hidden signal [events]")]) for row in rows} == {"nan"}
    assert list(stitched_figures(blinded)) == []
    assert list(significance_figures(results_of(windows=[reported_window(one) for one in blinded]))) == []
    ax, ax_pull = panels()
    pair = [made_blinded, evaluated(events, 3700.0, blinded=True)]
    assert list(stitched_figures(pair)) == []


@pytest.mark.parametrize("n_signals", [0, 1, 2])
@pytest.mark.parametrize("mass", [3500.0, 4900.0])
def test_the_legend_lies_on_nothing(windows: Any, n_signals: int, mass: float) -> None:
    """Rendered: no point, line or histogram reaches into the legend or the text."""
    counts = 4000.0 * np.exp(-0.5 * ((EDGES[1:] - 50.0 - mass) / 120.0) ** 2)
    shapes = [SignalShape(f"signal_{i}_with_a_name", counts * (1 + i), 1.4, "observed limit") for i in range(n_signals)]
    figure = Figure(figsize=(8.5, 8.5), layout="constrained")
    ax, ax_pull = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    artists = draw_spectrum(windows[0], SELECTION, ax=ax, ax_pull=ax_pull, signals=shapes)
    figure.draw_without_rendering()
    boxes = [artists.legend.get_window_extent(), artists.text.get_window_extent()]
    assert boxes[0].y0 > boxes[1].y1
    observed = np.asarray(artists.data.lines[0].get_ydata(), float)
    for heights in (observed, *(one.get_data()[0] for one in artists.signals)):
        for low, high, height in zip(EDGES[:-1], EDGES[1:], np.maximum(heights, 1e-3), strict=True):
            (left, top), (right, _) = ax.transData.transform([(low, height), (high, height)])
            assert all(top < box.y0 or right < box.x0 or left > box.x1 for box in boxes)
    assert [one.get_data()[0].max() for one in artists.signals] == [one.counts.max() for one in shapes]


def test_samples_are_those_whose_mass_fits_scaled_to_their_limit(windows: Any) -> None:
    result = windows[0]
    names = ("edge", "centre", "near", "far", "massless")
    spectra = {name: {result.window.name: result.truth} for name in names}
    limit = limited(SELECTION, 1.0, observed=2.0)
    places = {"edge": 3300.0, "centre": 3500.0, "near": 3550.0, "far": 3700.0}
    signals = [sample(name, mass, limit) for name, mass in places.items()]
    signals.append(sample("massless", None, limit))  # its fullest bin is 3400-3500 or 3500-3600
    shapes = signal_shapes(result.window, SELECTION, signals, spectra)
    assert [one.dataset for one in shapes] == ["centre", "near"]
    assert {(one.scale, one.origin) for one in shapes} == {(2.0, "observed limit")}
    assert shapes[0].counts.sum() == 2 * N_SIGNAL
    made_blinded = sample("massless", None, limited(SELECTION, 1.0))
    (only,) = signal_shapes(result.window, SELECTION, [made_blinded], spectra)
    assert (only.scale, only.origin) == (1.0, "expected limit")
    (only,) = signal_shapes(result.window, SELECTION, [blind(signals[4])], spectra)
    assert only.origin == "its cross-section"  # its expected limit was set with the counts
    # the window at 3.3 TeV does not hold 3.7 TeV, half-open as windows are
    assert signal_shapes(result.window, SELECTION, signals[3:4], spectra) == ()


def test_what_is_drawn_comes_back_from_disk(windows: Any, tmp_path: Path) -> None:
    folder = ResultsFolder(tmp_path)
    assert folder.load_signal_spectra() == {}
    folder.save_window("key", windows[0])
    (read,) = folder.load_windows(["key"]).values()
    assert read.truth == windows[0].truth
    folder.save_signals("key", [], spectra={"point": {"3300-3700": windows[0].truth}})
    assert folder.load_signal_spectra() == {"point": {"3300-3700": windows[0].truth}}


def test_verdicts_are_shown_with_the_results_that_hold_them(events: dict[str, Array], tmp_path: Path) -> None:
    found = [verdict(name, np.zeros(2)) for name in ("3300-3700", "3700-4100")]
    folder, other = ResultsFolder(tmp_path), replace(found[1].summary, combined=())
    windows = [
        replace(reported_window(evaluated(events, low)), validation=validation)
        for low, validation in ((3300.0, found[0].summary), (3700.0, other), (4100.0, None))
    ]
    assert folder.load_shown_verdicts(windows) == []
    folder.save_verdicts(found)
    assert folder.load_shown_verdicts(windows) == found[:1]


def test_samples_without_a_limit_are_shown_at_their_cross_section_or_not_at_all(windows: Any) -> None:
    result = windows[0]
    spectra = {"one": {result.window.name: result.truth}}
    unlimited = sample("one", 3500.0)
    (shape,) = signal_shapes(result.window, SELECTION, [unlimited], spectra)
    assert (shape.scale, shape.origin) == (1.0, "its cross-section")
    assert signal_shapes(result.window, SELECTION, [replace(unlimited, normalised=False)], spectra) == ()
    assert signal_shapes(result.window, SELECTION, [sample("other", 3500.0, limited(SELECTION, 1.0))], spectra) == ()


def test_windows_are_dealt_to_the_fewest_layers_without_overlap(windows: Any) -> None:
    def shifted(low: float) -> WindowResult:
        return replace(windows[0], window=window_at(low))

    starts = np.arange(3300.0, 5300.0, 100.0)  # 400 GeV wide: four overlap everywhere
    layers = window_layers([shifted(low) for low in starts[::-1]])
    assert len(layers) == 4
    assert sorted(one.window.signal[0] for layer in layers for one in layer) == starts.tolist()
    for layer in layers:
        ends = np.array([one.window.signal for one in layer])
        assert (ends[1:, 0] >= ends[:-1, 1]).all()


def test_every_window_has_its_own_events_and_prediction(windows: Any) -> None:
    ax, ax_pull = panels()
    layer = [windows[0], windows[2], windows[3]]
    artists = draw_stitched(layer, SELECTION, ax=ax, ax_pull=ax_pull)
    for result in layer:
        name, (low, high) = result.window.name, result.window.signal
        selected = result.selections[1]
        counts = np.asarray(artists.data[name].lines[0].get_ydata(), float)
        assert counts.sum() == selected.n_obs
        expected, edges, _ = artists.background[name].get_data()
        assert (edges[0], edges[-1]) == (low, high)
        assert expected.sum() == pytest.approx(selected.fit.integral(low, high)[0], rel=0.01)
        pulls = artists.pulls[name].get_data()[0]
        np.testing.assert_allclose(pulls, (counts - expected) / np.sqrt(expected))
        assert artists.significances[name].get_text() == f"{z_value(selected.discovery.z)}{'!' * selected.has_bad_fit}"
    assert artists.hidden["3300-3700"].get_data()[0].sum() == pytest.approx(N_SIGNAL, abs=5)
    assert artists.inclusive is not None
    assert artists.inclusive.get_data()[0].sum() == pytest.approx(12_000 + N_SIGNAL)
    rows = [row for row in stitched_rows(layer, SELECTION) if row[0] == "4100-4500"]
    assert sum(row[3] for row in rows) == windows[3].selections[1].n_obs  # type: ignore[misc]
    stems = [sketch.stem for sketch in stitched_figures(windows)]
    # 3.5-3.9 TeV overlaps its neighbours and nothing is beside it: its own spectrum shows it
    assert stems == ["spectrum_stitched_inclusive", "spectrum_stitched_eff_0.1"]


def test_significances_rise_with_efficiency_and_open_points_are_of_few_events(documents: Any) -> None:
    values = SeedSpread((1.0, 2.0, 3.0), median=2.0, low=1.32, high=2.68)
    inclusive, tight = documents[0].selections
    tight = replace(tight, calibrated=False, seeds={"z": values, "n_obs": None, "background": None})
    window = replace(documents[0], selections=(inclusive, tight))
    artists = draw_significance(window, ax=axes())
    np.testing.assert_array_equal(artists.points.get_xdata(), [EFFICIENCY, 1.0])
    np.testing.assert_array_equal(artists.points.get_ydata(), [tight.z, inclusive.z])
    assert artists.few_events is not None
    assert list(artists.few_events.get_xdata()) == [EFFICIENCY]
    assert artists.median is not None
    assert "3 trainings" in str(artists.median.get_label())
    assert artists.band is not None
    assert (artists.band.get_paths()[0].vertices[:, 1].min(), artists.band.get_paths()[0].vertices[:, 1].max()) == (
        pytest.approx(1.32),
        pytest.approx(2.68),
    )
    # S / √B of what was put in: nearly all of the signal on a tenth of the background
    assert artists.truth is not None
    loose, cut = np.asarray(artists.truth.get_ydata(), float)[::-1]
    assert cut / loose == pytest.approx(EFFICIENCY**-0.5, rel=0.1)
    plain = draw_significance(replace(documents[0], selections=(replace(inclusive, s_over_sqrt_b=None),)), ax=axes())
    assert plain.truth is plain.median is plain.few_events is plain.nominal is plain.errors is None


def test_halves_are_two_lines_that_both_end_at_the_inclusive_selection(documents: Any) -> None:
    inclusive, tight = documents[0].selections
    values = {("a", 0.01): 3.0, ("a", 0.1): 2.0, ("b", 0.01): 0.5, ("b", 0.1): 1.0}
    halves = [
        replace(tight, name=f"eff_{efficiency:g}_{half}", efficiency=efficiency, z=z)
        for (half, efficiency), z in values.items()
    ]
    figure_axes = axes()
    artists = draw_significance(replace(documents[0], selections=(inclusive, *halves)), ax=figure_axes)
    x, y = (np.asarray(one, float) for one in artists.points.get_data())
    np.testing.assert_array_equal(x, [0.01, 0.1, 1.0, np.nan, 0.01, 0.1, 1.0])
    np.testing.assert_array_equal(y, [3.0, 2.0, inclusive.z, np.nan, 0.5, 1.0, inclusive.z])
    assert sorted(text.get_text() for text in figure_axes.texts) == ["a", "a", "b", "b"]


def test_the_map_has_every_significance_in_its_place_and_holes_where_there_is_none(documents: Any) -> None:
    failed = replace(documents[1], selections=())
    inclusive, tight = documents[2].selections
    lost = replace(documents[2], selections=(inclusive, replace(tight, z=None)))
    artists = draw_significance_map([documents[0], failed, lost], ax=axes())
    array = artists.mesh.get_array()
    assert array is not None
    assert array.mask.tolist() == [[False, True, False], [False, True, True]]
    for (window, name), text in artists.numbers.items():
        document = documents[0] if window == "3300–3700" else lost
        (one,) = (one for one in document.selections if one.name == name)
        assert text.get_text() == f"{z_value(one.z)}{'!' * one.has_bad_fit}"
    assert len(artists.numbers) == 3
    stems = [sketch.stem for sketch in significance_figures(results_of(windows=[documents[0], failed, lost]))]
    assert stems == ["significance", "significance_3300-3700"]


def test_p_values_of_fits_are_compared_with_the_order_statistics_of_uniform_ones(documents: Any) -> None:
    values = np.random.default_rng(8).random(19)
    (document, *_), fit = documents, documents[0].selections[0].fit
    inclusive, tight = document.selections
    windows = [
        replace(document, selections=(replace(inclusive, fit=replace(fit, p_value=p)), replace(tight, fit=None)))
        for p in values.tolist()
    ]
    artists = draw_fit_quality(windows, ax=axes())
    assert list(artists.points) == ["inclusive"]
    np.testing.assert_array_equal(artists.points["inclusive"].get_ydata(), np.sort(values))
    # the i-th of 19 uniform numbers has the mean i / 20
    np.testing.assert_allclose(artists.points["inclusive"].get_xdata(), np.arange(1, 20) / 20)
    # by simulation: each of them lies in the band in 95 % of sets
    sets = np.sort(np.random.default_rng(9).random((20_000, 19)), axis=1)
    ends = artists.band.get_paths()[0].vertices
    low, high = (np.array([pick(ends[np.isclose(ends[:, 0], i / 20), 1]) for i in range(1, 20)]) for pick in (min, max))
    inside = ((sets > low) & (sets < high)).mean(axis=0)
    np.testing.assert_allclose(inside, 0.95, atol=4 * (0.95 * 0.05 / 20_000) ** 0.5)
    assert [sketch.stem for sketch in fit_quality_figures(windows)] == ["fits"]
    assert list(fit_quality_figures(windows[:1])) == []


def test_the_largest_impacts_are_on_top_and_no_more_than_twenty() -> None:
    ax, ax_impact = Figure().subplots(1, 2, sharey=True)
    found = impacts(25)
    artists = draw_impacts(found, ax=ax, ax_impact=ax_impact)
    assert artists.names == tuple(f"p_{i}" for i in range(24, 4, -1))
    assert [bar.get_width() for bar in artists.down] == pytest.approx([-0.2 * (i + 1) for i in range(24, 4, -1)])
    assert found.observed is not None
    pulls = {impact.name: impact.pull for impact in found.observed.parameters}
    np.testing.assert_array_equal(artists.pulls.lines[0].get_xdata(), [pulls[name] for name in artists.names])
    low, high = ax.get_ylim()
    assert low > high  # the first row is the highest
    assert len(artists.expected) == 2


def test_blinded_impacts_are_the_expected_ones_without_pulls() -> None:
    made = impacts(3, observed=False)
    ax, ax_impact = Figure().subplots(1, 2, sharey=True)
    artists = draw_impacts(made, ax=ax, ax_impact=ax_impact)
    assert set(artists.pulls.lines[0].get_xdata()) == {0.0}
    assert "Observed" not in " ".join(text.get_text() for text in artists.legend.get_texts())
    assert artists.expected == ()
    assert [row[0] for row in impact_rows(made)] == ["fit", *["expected"] * 3]
    assert "observed" not in impact_alt("point", made)


def test_impacts_are_those_of_the_selection_with_the_lowest_expected_limit() -> None:
    found = impacts(2)
    loose, tight, none = limited("a", 2.0, impacts(1)), limited("b", 1.5, found), limited("c", None)
    signal = sample("point", None, loose, tight, none)
    assert most_sensitive(signal) is tight
    made_blinded = sample("point", None, loose, replace(tight, impacts=impacts(2, observed=False)), none)
    (sketch,) = impact_figures([made_blinded, sample("failed", None, none)])
    assert sketch.stem == "impacts_point"
    figure, _ = sketch.draw()
    shown = " ".join(text.get_text() for ax in figure.axes for text in (ax.title, ax._right_title))  # type: ignore[attr-defined]
    assert "expected at the median limit" in shown
    rows = list(impact_rows(found))
    assert [row[1] for row in rows[1:]] == ["p_0", "p_1", "p_0", "p_1"]
    # Those of an open search follow from its counts, expected ones too.
    observed = sample("point", None, limited("a", 1.0, found, observed=1.0))
    assert list(impact_figures([blind(observed)])) == []


def test_z_over_its_error_is_compared_with_the_unit_gaussian() -> None:
    z = 0.5 * np.random.default_rng(6).normal(size=4000)  # means of four draws
    ax = axes()
    artists = draw_validation_pulls([verdict("3300-3700", z, z_error=0.5)], ax=ax)
    density, edges, _ = artists.histograms["exact-null"].get_data()
    assert (density * np.diff(edges)).sum() == pytest.approx(1.0)
    expected = np.diff(stats.norm.cdf(edges))
    expected[[0, -1]] += stats.norm.sf(edges[-1])
    chi2 = (4000 * (density * np.diff(edges) - expected) ** 2 / expected).sum()
    assert stats.chi2.sf(chi2, len(expected) - 1) > 1e-3
    assert list(artists.histograms) == ["exact-null"]
    label = str(artists.histograms["exact-null"].get_label())
    assert label == f"exact-null: 4000, {2 * z.mean() + 0.0:.2f}, {2 * z.std(ddof=1):.2f}"


def test_outliers_are_in_the_last_bin() -> None:
    artists = draw_validation_pulls([verdict("3300-3700", np.array([-50.0, 0.1, 7.0, 8.0]))], ax=axes())
    density, edges, _ = artists.histograms["exact-null"].get_data()
    assert 4 * density[[0, -1]] * np.diff(edges)[[0, -1]] == pytest.approx([1, 2])


def test_shifts_stand_in_the_row_of_their_window_with_its_verdict() -> None:
    z = np.zeros(3)
    found = [
        verdict("3300-3700", z),
        verdict("3700-4100", z, kind="not valid"),
        verdict("4100-4500", z, kind="not testable"),
    ]
    ax = axes()
    artists = draw_validation_shifts(found, ax=ax)
    assert set(artists.points) == {(one, f"eff_{i}") for one in ("3300-3700", "3700-4100") for i in range(3)}
    for row, window in enumerate(("3300-3700", "3700-4100")):
        heights = [float(np.asarray(artists.points[window, f"eff_{i}"].lines[0].get_ydata())[0]) for i in range(3)]
        assert all(abs(height - row) < 0.5 for height in heights)
        assert len(set(heights)) == 3
        shifts = [float(np.asarray(artists.points[window, f"eff_{i}"].lines[0].get_xdata())[0]) for i in range(3)]
        assert shifts == pytest.approx([0.0, 0.1, 0.2])
    texts = [" ".join(text.get_text().split()) for text in artists.verdicts.values()]
    assert texts == ["valid, sensitive to shifts above 1.9", "not valid", "not testable"]
    assert len({text.get_color() for text in artists.verdicts.values()}) == 3
    rows = list(validation_rows(found))
    assert sum(row[2] == "all" for row in rows) == 8
    assert [sketch.stem for sketch in validation_figures(found)] == ["validation"]
    assert list(validation_figures([])) == []
