"""Figures of injected signals show the numbers of limits.json, and nothing that is blinded or missing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from analysis.compute import Serial
from analysis.config import PlotConfig, SearchConfig
from analysis.core.documents import to_json
from analysis.limits import RULES
from analysis.limits.values import CalibratedCurve, FailedSensitivity, InjectionLimit, LimitsFile, PlaneCounts
from analysis.plots import (
    FigureSources,
    draw_efficiency_map,
    draw_limit_plane,
    draw_mass_limits,
    draw_sensitivity,
    draw_signal_limits,
    draw_strength_efficiencies,
    draw_strength_limits,
    figure_style,
    save_figures,
    save_injection_figures,
)
from analysis.plots.signals.signal_limits import signal_limit_rows, signal_limits_alt
from analysis.plots.signals.strengths import strength_rows
from analysis.results import ResultsFolder
from analysis.results.blinding import blind
from analysis.stages.figures import plot
from tests.builders.limit_documents import (
    FB,
    OTHER,
    RULE,
    failed,
    map_of,
    masses,
    scan_of,
    sensitivity_of,
    signal,
)
from tests.builders.results import results_of

PNG = PlotConfig(formats=("png",))
CUTFLOW = {"data": {"all": {"events": 2, "weight": 2.0}}}


@pytest.fixture(autouse=True)
def _style() -> Any:
    with figure_style():
        yield


def axes(rows: int = 1) -> Any:
    return Figure(figsize=(8, 8)).subplots(rows, 1)


def y_of(line: Any) -> Any:
    return np.asarray(line.get_ydata(), float)


def legend_of(ax: Axes) -> list[str]:
    legend = ax.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def heights(band: Collection) -> tuple[float, float]:
    vertices = np.concatenate([path.vertices for path in band.get_paths()])
    return float(vertices[:, 1].min()), float(vertices[:, 1].max())


def test_limits_against_m_a_are_those_of_the_file_in_rising_mass() -> None:
    values = {3000.0: 40.0, 3500.0: 30.0, 4000.0: 20.0}
    limits = [one for a in (3500.0, 3000.0, 4000.0) for one in signal(f"s{a}", values[a], masses(a), observed=1.2)]
    ax = axes()
    drawn = draw_mass_limits(limits, RULE, ax=ax)
    assert drawn.observed is not None
    assert list(drawn.references) == ["inclusive", "fixed-efficiency"]
    wanted = FB * np.array(list(values.values()))
    np.testing.assert_allclose(drawn.expected.get_xdata(), list(values))
    np.testing.assert_allclose(y_of(drawn.expected), wanted)
    np.testing.assert_allclose(y_of(drawn.observed), 1.2 * wanted)
    np.testing.assert_allclose(y_of(drawn.references["inclusive"]), 8 * wanted)
    np.testing.assert_allclose(y_of(drawn.references["fixed-efficiency"]), 0.6 * wanted)
    np.testing.assert_allclose(heights(drawn.one_sigma), (0.7 * wanted[-1], 1.4 * wanted[0]))
    np.testing.assert_allclose(heights(drawn.two_sigma), (0.5 * wanted[-1], 1.9 * wanted[0]))
    assert "[fb]" in ax.get_ylabel()
    assert "95% CL" in ax.get_ylabel()
    low, high = ax.get_ylim()
    assert 0 < low < 0.5 * wanted[-1]
    assert high > 8 * wanted[0]
    assert any("does not cover" in text for text in legend_of(ax))


def test_limits_without_a_luminosity_are_in_events_for_all() -> None:
    limits = signal("a", 40.0, masses(3000.0)) + signal("b", 30.0, masses(3500.0), fb=False)
    ax = axes()
    np.testing.assert_allclose(y_of(draw_mass_limits(limits, RULE, ax=ax).expected), [40, 30])
    assert "selected signal events" in ax.get_ylabel()


def test_nothing_observed_is_drawn_while_blinded() -> None:
    limits = signal("a", 40.0, masses(3000.0)) + signal("b", 30.0, masses(3000.0, 600.0))
    upper, lower = axes(2)
    assert draw_mass_limits(limits, RULE, ax=upper).observed is None
    assert draw_signal_limits(limits, RULE, ax=lower).observed is None
    assert draw_limit_plane(limits, RULE, "observed", ax=axes()) is None
    assert all("Observed" not in text for ax in (upper, lower) for text in legend_of(ax))


def test_nothing_observed_is_tabulated_while_blinded() -> None:
    seen = signal("a", 40.0, masses(3000.0), observed=1.2)
    scan = scan_of()
    scan = replace(scan, candidates=tuple(replace(one, observed=one.expected) for one in scan.candidates))
    blinded = blind(LimitsFile(limits=tuple(seen), injections=(scan,)))
    for kept, limits, of in ((True, seen, scan), (False, blinded.limits, blinded.injections[0])):
        header, *rows = signal_limit_rows(limits, RULE)
        assert len(rows) == 3
        for column in ("observed [selected events]", "observed [fb]"):
            assert all((row[header.index(column)] is not None) == kept for row in rows)
        assert ("observed" in signal_limits_alt(limits, RULE)) == kept
        header, *rows = strength_rows(of)
        assert len(rows) == 13
        assert any(row[header.index("observed limit [selected events]")] is not None for row in rows) == kept


def test_one_mass_is_a_marker_with_bars() -> None:
    drawn = draw_mass_limits(signal("a", 40.0, masses(3000.0), observed=1.0), RULE, ax=axes())
    assert drawn.expected.get_marker() not in (None, "None", "")
    assert heights(drawn.one_sigma) == pytest.approx((0.7 * 40 * FB, 1.4 * 40 * FB))
    assert heights(drawn.two_sigma) == pytest.approx((0.5 * 40 * FB, 1.9 * 40 * FB))
    assert np.ptp(np.concatenate([path.vertices for path in drawn.one_sigma.get_paths()])[:, 0]) == 0


def changed(limit: InjectionLimit, part: int, selected: float | None) -> InjectionLimit:
    """The same limit with another part of the expected one."""
    fb = None if selected is None else FB * selected
    new: list[Any] = [
        (*band[:part], value, *band[part + 1 :])
        for band, value in ((limit.expected_selected, selected), (limit.expected_fb, fb))
        if band is not None
    ]
    return replace(limit, expected_selected=new[0], expected_fb=new[1])


def test_signals_without_a_limit_are_left_out_and_holes_in_bands_stay_holes() -> None:
    limits = [*signal("good", 40.0, masses(3000.0)), failed("bad", masses(4000.0)), failed("w", masses(4500.0), None)]
    limits += [changed(limit, 4, None) for limit in signal("hole", 30.0, masses(3500.0))]
    nothing = (None,) * 5
    limits += [replace(limit, expected_selected=nothing, expected_fb=nothing) for limit in signal("no", 1.0)]
    drawn = draw_mass_limits([limit for limit in limits if "A" in limit.masses], RULE, ax=axes())
    np.testing.assert_allclose(drawn.expected.get_xdata(), [3000, 3500])
    np.testing.assert_allclose(heights(drawn.one_sigma), (0.7 * 30 * FB, 1.4 * 40 * FB))
    rows = draw_signal_limits(limits, RULE, ax=axes())
    np.testing.assert_allclose(rows.expected.get_xdata(), [40 * FB, 30 * FB])
    assert [np.isnan(bar.get_width()) for bar in rows.two_sigma] == [False, True]


def test_a_failed_comparison_is_left_out_alone() -> None:
    limits = [limit for limit in signal("a", 40.0, masses(3000.0)) if limit.rule != "inclusive"]
    limits.append(failed("a", masses(3000.0), "inclusive"))
    drawn = draw_mass_limits(limits, RULE, ax=axes())
    assert list(drawn.references) == ["fixed-efficiency"]
    assert draw_limit_plane(limits, RULE, "ratio", ax=axes()) is None


def test_every_signal_has_a_row_with_its_numbers() -> None:
    limits = signal("heavy", 20.0, masses(4000.0), observed=2.0) + signal("light", 50.0, masses(3000.0))
    limits += signal("top", 500.0, {"A": 3600.0})
    ax = axes()
    drawn = draw_signal_limits(limits, RULE, ax=ax)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["light", "top", "heavy"]
    wanted = FB * np.array([50.0, 500.0, 20.0])
    np.testing.assert_allclose(drawn.expected.get_xdata(), wanted)
    np.testing.assert_allclose(y_of(drawn.expected), [0, 1, 2])
    for bars, low, high in ((drawn.one_sigma, 0.7, 1.4), (drawn.two_sigma, 0.5, 1.9)):
        np.testing.assert_allclose([bar.get_x() for bar in bars], low * wanted)
        np.testing.assert_allclose([bar.get_x() + bar.get_width() for bar in bars], high * wanted)
    assert drawn.observed is not None
    np.testing.assert_allclose(drawn.observed.get_xdata(), [np.nan, np.nan, 2 * wanted[2]])
    np.testing.assert_allclose(drawn.references["inclusive"].get_xdata(), 8 * wanted)
    bottom, top = ax.get_ylim()
    assert bottom > top  # the first row is above


def test_a_band_that_reaches_below_zero_ends_at_the_axis() -> None:
    limits = [changed(limit, 0, -3.0) for limit in signal("a", 40.0)]
    ax = axes()
    (bar,) = draw_signal_limits(limits, RULE, ax=ax).two_sigma
    assert bar.get_x() == pytest.approx(ax.get_xlim()[0])
    assert bar.get_x() + bar.get_width() == pytest.approx(1.9 * 40 * FB)


def test_the_plane_shows_the_efficiency_at_the_limit_where_it_was_measured() -> None:
    limits = [
        *signal("s", 55.0, masses(3700.0, 400.0, 80.0)),  # halfway between injections of 10 and 100
        *signal("beyond", 1000.0, masses(3700.0, 400.0, 400.0)),
        *signal("unknown", 30.0, masses(3700.0, 100.0, 80.0)),
    ]
    drawn = draw_limit_plane(limits, RULE, "efficiency", ax=axes(), scans=[scan_of("s"), scan_of("beyond")])
    assert drawn is not None
    np.testing.assert_allclose(drawn.points.get_offsets(), [(400, 80), (400, 400)])
    np.testing.assert_allclose(drawn.points.get_array(), [(0.2 + 0.55) / 2, 0.55])
    assert draw_limit_plane(limits, RULE, "efficiency", ax=axes()) is None


@pytest.mark.parametrize(("quantity", "factor"), [("expected", FB), ("observed", 1.5 * FB), ("ratio", None)])
def test_the_plane_shows_values_where_the_masses_are(quantity: Any, factor: float | None) -> None:
    places = {(100.0, 80.0): 10.0, (400.0, 80.0): 30.0, (400.0, 400.0): 300.0}
    limits = [
        limit
        for (b, c), value in places.items()
        for limit in signal(f"s_{b}_{c}", value, masses(3700.0, b, c), observed=1.5)
    ]
    limits.append(failed("bad", masses(3700.0, 800.0, 800.0)))
    drawn = draw_limit_plane(limits, RULE, quantity, ax=axes())
    assert drawn is not None
    np.testing.assert_allclose(drawn.points.get_offsets(), list(places))
    wanted = [1 / 8] * 3 if factor is None else [factor * value for value in places.values()]
    np.testing.assert_allclose(drawn.points.get_array(), wanted)
    numbers = [float(text.get_text()) for text in drawn.numbers]
    np.testing.assert_allclose(numbers, wanted, rtol=0.06)


def spread_of(collection: Collection) -> list[list[float]]:
    return [segment[:, 1].tolist() for segment in collection.get_segments() if len(segment)]  # type: ignore[attr-defined]


def test_efficiencies_are_medians_with_all_samplings() -> None:
    ax = axes()
    drawn = draw_strength_efficiencies(scan_of(), ax=ax)
    inclusive, loose, tight = drawn.lines
    assert set(y_of(inclusive)) == {0.7}
    np.testing.assert_allclose(np.asarray(loose.get_xdata(), float), [0, 10, 100])
    np.testing.assert_allclose(y_of(loose), [0.02, 0.2, 0.55])
    np.testing.assert_allclose(y_of(tight), [0.002, np.nan, 0.45])
    np.testing.assert_allclose(spread_of(drawn.spreads[0]), [[0.01, 0.03], [0.1, 0.3], [0.5, 0.6]])
    assert legend_of(ax) == ["inclusive", "efficiency 10%", "efficiency 1%"]
    assert ax.get_xlim()[0] < 0
    assert ax.get_xscale() == "symlog"
    assert ax.get_ylim()[0] == 0


def test_limits_against_the_strength_meet_the_diagonal_where_the_rules_read_them() -> None:
    ax = axes()
    drawn = draw_strength_limits(scan_of(), signal("s", 120.0) + signal("another", 7.0), ax=ax)
    np.testing.assert_allclose(y_of(drawn.lines[1]), [2000, 200, 55])
    assert drawn.diagonal is not None
    np.testing.assert_allclose(drawn.diagonal.get_xdata(), y_of(drawn.diagonal))
    assert drawn.limits is not None
    points = {rule: (line.get_xdata()[0], line.get_ydata()[0]) for rule, line in drawn.limits.items()}  # type: ignore[index]
    assert points == {RULE: (120.0, 120.0), OTHER: (120.0, 150.0)}
    assert ax.get_xlim()[1] > 120  # beyond the strongest injection
    assert ax.get_ylim()[0] < 10
    without = draw_strength_limits(scan_of(), [failed("s", {}), failed("s", {}, None)], ax=axes())
    assert without.limits == {}


def test_a_selection_has_one_colour_and_several_methods_have_lines_of_their_own() -> None:
    scan = scan_of()
    more = tuple(replace(candidate, features=("x", "y")) for candidate in scan.candidates[1:])
    scan = replace(scan, candidates=scan.candidates + more)
    ax = axes()
    drawn = draw_strength_efficiencies(scan, ax=ax)
    first, second = drawn.lines[1], drawn.lines[3]
    assert to_rgb(first.get_color()) == to_rgb(second.get_color())
    assert first.get_linestyle() != second.get_linestyle()
    assert legend_of(ax) == ["inclusive", "efficiency 10%", "efficiency 1%", "cwola: x", "cwola: x, y"]


def test_maps_show_what_passes_of_the_data_and_of_the_signal_while_blinded() -> None:
    ax = axes()
    drawn = draw_efficiency_map(map_of(0.0), "eff_0.1", ax=ax)
    values = drawn.mesh.get_array()
    assert values is not None
    shown = np.ma.filled(np.ma.asarray(values, float), np.nan).reshape(2, 3)
    np.testing.assert_allclose(shown, [[0.25, 0.5, 1.0], [np.nan, 0.0, 0.8]])
    assert ax.get_title(loc="left") == "No injection"
    blinded = draw_efficiency_map(replace(map_of(78.0), data={}), "eff_0.1", ax=axes()).mesh.get_array()
    assert blinded is not None
    np.testing.assert_allclose(np.ma.asarray(blinded, float).reshape(2, 3).compressed(), [0.5, 0, 0, 0])


def test_contours_hold_the_given_parts_of_the_signal() -> None:
    rng = np.random.default_rng(3)
    sample = rng.normal([400.0, 200.0], [60.0, 40.0], (100_000, 2))
    edges = (np.linspace(0, 800, 81), np.linspace(0, 400, 81))
    density = np.histogram2d(*sample.T, bins=edges)[0].tolist()
    first, second = (tuple(of.tolist()) for of in edges)
    counts = PlaneCounts(10.0, (first, second), {}, {"inclusive": density, "eff_0.1": density})
    contours = draw_efficiency_map(counts, "eff_0.1", ax=axes()).contours
    assert contours is not None
    outer, inner = (np.concatenate(path.to_polygons()) for path in contours.get_paths())
    # of a Gaussian, ellipses of radius sqrt(-2 ln(1 - p)) hold a part p
    for polygon, part in ((outer, 0.9), (inner, 0.5)):
        radius = np.hypot((polygon[:, 0] - 400) / 60, (polygon[:, 1] - 200) / 40)
        assert np.median(radius) == pytest.approx(np.sqrt(-2 * np.log(1 - part)), rel=0.04)
    nothing = ((0.0,) * 80,) * 80
    empty = replace(counts, signal={"inclusive": nothing, "eff_0.1": nothing})
    assert draw_efficiency_map(empty, "eff_0.1", ax=axes()).contours is None


def test_sensitivities_with_and_without_signal_and_their_difference() -> None:
    ax, ax_added = axes(2)
    drawn = draw_sensitivity(sensitivity_of(), ax=ax, ax_added=ax_added)
    cwola, salad = ("cwola", ("x",)), ("salad", ("x",))
    np.testing.assert_allclose(drawn.with_signal[cwola].get_xdata(), [0.01, 0.1])
    np.testing.assert_allclose(y_of(drawn.with_signal[cwola]), [13, 8])
    np.testing.assert_allclose(y_of(drawn.without_signal[cwola]), [np.nan, 1.5])
    np.testing.assert_allclose(y_of(drawn.added[cwola]), [np.nan, 6])
    np.testing.assert_allclose(y_of(drawn.added[salad]), [9.5])
    np.testing.assert_allclose(heights(drawn.bands[salad]), (9, 10))
    assert [y_of(line)[0] for line in drawn.inclusive] == [4.5, 3.1]
    assert drawn.with_signal[cwola].get_color() != drawn.with_signal[salad].get_color()
    assert legend_of(ax)[:2] == ["cwola", "salad"]
    assert "Inclusive, with signal" in legend_of(ax)


def test_calibrated_significances_are_drawn_and_nominal_ones_among_them_marked() -> None:
    plain = sensitivity_of()
    inclusive, first, second, _ = plain.curves
    calibrated = CalibratedCurve(
        source="shipped",
        z_with_signal=(7.0,),
        z_with_signal_error=(0.1,),
        z_without_signal=(1.0,),
        z_added=(5.0, 5.5, 6.0),
        expected_z=(),
    )
    ax, ax_added = axes(2)
    curves = (inclusive, replace(first, calibrated=calibrated), second)
    drawn = draw_sensitivity(replace(plain, curves=curves), ax=ax, ax_added=ax_added)
    (line,) = drawn.with_signal.values()
    np.testing.assert_allclose(y_of(line), [13, 7])
    np.testing.assert_allclose(y_of(next(iter(drawn.added.values()))), [np.nan, 5.5])
    assert drawn.nominal is not None
    np.testing.assert_allclose(np.column_stack(drawn.nominal.get_data()), [[0.01, 13]])
    assert "calibrated with retraining" in ax.get_ylabel()
    assert legend_of(ax)[-1] == "Nominal"
    assert draw_sensitivity(plain, ax=axes(2)[0], ax_added=axes(2)[1]).nominal is None


def document() -> LimitsFile:
    limits = [
        limit
        for a in (3000.0, 3700.0)
        for b in (400.0, 500.0)
        if (a, b) != (3000.0, 500.0)
        for limit in signal(f"s_{a:g}_{b:g}", a / 100, masses(a, b))
    ]
    lost = (failed("lost", masses(4000.0, 500.0), None), failed("late", masses(3000.0, 500.0)))
    scan = replace(scan_of("s_3000_400"), maps=(map_of(0.0), map_of(30.0)))
    return LimitsFile(
        limits=(*limits, *lost, *signal("top", 9.0)),
        injections=(scan,),
        sensitivity=(sensitivity_of(), FailedSensitivity("e", (), "nothing")),
    )


STEMS = {
    *(f"limits_{kind}_{rule}" for kind in ("signals", "mA_B400_C200", "plane_A3700") for rule in (RULE, OTHER)),
    *("efficiency_s_3000_400", "map_s_3000_400_eff_0.1", "map_s_3000_400_eff_0.01", "sensitivity_s"),
}


@pytest.mark.thorough
def test_figures_follow_the_masses_and_old_ones_go(tmp_path: Path) -> None:
    old = ["limits_plane_A9_atlas-2025.png", "map_gone_eff_0.1.pdf", "sensitivity_gone.svg"]
    for name in (*old, "cutflow.png"):
        (tmp_path / name).touch()
    (tmp_path / "control").mkdir()
    of_search = FigureSources(results_of(cutflow=CUTFLOW), injections=document())
    paths = save_injection_figures(of_search, tmp_path, PNG)
    assert {path.stem for path in paths} == STEMS
    assert {path.read_bytes()[:4] for path in paths} == {b"\x89PNG"}
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in paths} | {"cutflow.png", "control"}
    hidden = FigureSources(injections=blind(LimitsFile(sensitivity=(sensitivity_of(),))))
    assert save_figures(hidden, tmp_path, PNG) == []
    assert [path.name for path in tmp_path.iterdir()] == ["control"]


def test_a_blinded_figure_is_that_of_limits_without_counts(tmp_path: Path) -> None:
    masses_of, plane = masses(3700.0), map_of(0.0)
    scan = replace(scan_of("a"), candidates=(), maps=(plane,))
    seen = LimitsFile(limits=tuple(signal("a", 30.0, masses_of, observed=3.0)), injections=(scan,))
    unseen = LimitsFile(
        limits=tuple(signal("a", 30.0, masses_of)), injections=(replace(scan, maps=(replace(plane, data={}),)),)
    )
    config = PlotConfig(formats=("svg",))
    drawn = save_injection_figures(FigureSources(injections=blind(seen)), tmp_path / "seen", config)
    wanted = save_injection_figures(FigureSources(injections=unseen), tmp_path / "unseen", config)
    assert len(drawn) == 4
    assert [path.read_bytes() for path in drawn] == [path.read_bytes() for path in wanted]


@pytest.fixture
def folder(tmp_path: Path) -> ResultsFolder:
    """With limits.json that makes one figure."""
    limits = LimitsFile(search="x", sensitivity=(sensitivity_of(),))
    (tmp_path / "limits.json").write_text(json.dumps(to_json(limits)))
    return ResultsFolder(tmp_path)


def test_plot_draws_limits_without_a_scan(folder: ResultsFolder) -> None:
    paths = plot(folder, SearchConfig(plots={"formats": ["svg"]}), Serial())
    assert [path.name for path in paths] == ["sensitivity_s.svg"]


@pytest.mark.parametrize("same", [True, False], ids=["this search", "another search"])
def test_plot_draws_limits_of_the_search_that_it_draws(
    folder: ResultsFolder, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    results = results_of(cutflow=CUTFLOW, sensitivity=[sensitivity_of()] if same else [])
    (folder.path / "results.json").write_text(json.dumps(to_json(results)))
    (folder.path / "manifest.json").write_text('{"window_keys": []}')
    monkeypatch.setattr(ResultsFolder, "load_results", lambda _: (results, []))
    folder.plots.mkdir()
    (folder.plots / "efficiency_old.svg").touch()
    paths = plot(folder, SearchConfig(plots={"formats": ["svg"]}), Serial())
    assert [path.name for path in paths] == ["cutflow.svg", *(["sensitivity_s.svg"] if same else [])]
    assert sorted(folder.plots.iterdir()) == sorted(paths)


def test_a_further_rule_to_compare_with_is_drawn() -> None:
    RULES.add(
        "third", replace(RULES["inclusive"], name="third", legend="A third one", reading=RULES["inclusive"].reading)
    )
    try:
        limits = signal("a", 40.0, masses(3000.0)) + signal("b", 30.0, masses(3500.0))
        found = [replace(limit, rule="third") for limit in limits if limit.rule == "inclusive"]
        for draw in (draw_mass_limits, draw_signal_limits):
            drawn = draw([*limits, *found], RULE, ax=axes())
            assert list(drawn.references) == ["inclusive", "fixed-efficiency", "third"]
            assert "A third one, expected" in [text.get_text() for text in drawn.legend.get_texts()]
    finally:
        RULES.remove("third")


def test_limits_from_bad_fits_have_a_ring_around_what_is_observed() -> None:
    limits = [*signal("a", 40.0, masses(3000.0), observed=1.2), *signal("b", 30.0, masses(4000.0), observed=1.1)]
    bad = [replace(one, fit_p_value=1e-9 if one.dataset == "b" else 0.4) for one in limits]
    along, listed = draw_mass_limits(bad, RULE, ax=axes()), draw_signal_limits(bad, RULE, ax=axes())
    for artists, point in ((along, (4000.0, 33.0 * FB)), (listed, (33.0 * FB, 1.0))):
        assert artists.bad_fits is not None
        (drawn,) = zip(*map(np.asarray, artists.bad_fits.get_data()), strict=True)
        assert drawn == pytest.approx(point)
        assert any(text.get_text().startswith("Bad background fit") for text in artists.legend.get_texts())
    assert signal_limits_alt(bad, RULE).count("(bad background fit)") == 1
    hidden = draw_mass_limits([replace(one, observed_fb=None) for one in bad], RULE, ax=axes())
    assert hidden.bad_fits is not None
    assert y_of(hidden.bad_fits) == pytest.approx([30.0 * FB])


def test_limits_from_bad_fits_have_a_ring_in_the_mass_plane() -> None:
    limits = [*signal("a", 40.0, masses(3500.0, 400.0)), *signal("b", 30.0, masses(3500.0, 600.0))]
    bad = [replace(one, fit_p_value=1e-9 if one.dataset == "b" else 0.4) for one in limits]
    for given, rings in ((limits, []), (bad, [[600.0]])):
        ax = axes()
        draw_limit_plane(given, RULE, ax=ax)
        assert [list(line.get_xdata()) for line in ax.lines] == rings
        assert ("bad background fit" in ax.get_xlabel()) == bool(rings)


def test_limits_from_good_fits_have_none() -> None:
    limits = [replace(one, fit_p_value=0.4) for one in signal("a", 40.0, masses(3000.0), observed=1.2)]
    assert draw_mass_limits(limits, RULE, ax=axes()).bad_fits is None
    assert draw_signal_limits(limits, RULE, ax=axes()).bad_fits is None
