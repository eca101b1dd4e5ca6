"""Figures of classifiers show the numbers of their documents, and nothing that is blinded or missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.testing import assert_allclose

from analysis.config import PlotConfig, SearchConfig
from analysis.core.documents import from_json
from analysis.diagnostics.gain_values import GainScan
from analysis.diagnostics.sections import DiagnosedWindow
from analysis.plots import (
    compare_performance,
    draw_importance,
    draw_importance_map,
    draw_member_counts,
    draw_overlaps,
    draw_roc,
    draw_score_spread,
    draw_scores,
    draw_seeds,
    draw_sic,
    draw_simulation_weight_scan,
    draw_subsets,
    figure_style,
    save_comparison,
)
from analysis.plots.classifiers.ensemble_figures import ensemble_figures
from analysis.plots.classifiers.gains import performance_scan_figures
from analysis.plots.classifiers.importance import importance_figures
from analysis.plots.classifiers.roc import performance_figures
from analysis.results.blinding import blind_diagnostics
from analysis.results.compared.searches import ComparedSearch
from analysis.search.values import WindowResult
from tests.builders.classifier_documents import BACKGROUND, SIGNAL, Document, curve, members, shares
from tests.builders.compared import make_results
from tests.builders.toy_tables import WINDOW


@pytest.fixture(autouse=True)
def _style() -> Any:
    with figure_style():
        yield


def axes(rows: int = 1) -> Any:
    return Figure(figsize=(8, 8)).subplots(rows, 1)


def windows_with(*sections: Mapping[str, Any]) -> list[DiagnosedWindow]:
    """Windows of 400 GeV beside one another, with the sections by name."""
    signals = [(3300.0 + 400 * i, 3700.0 + 400 * i) for i in range(len(sections))]
    windows = [replace(WINDOW, signal=signal) for signal in signals]
    return [DiagnosedWindow(window=window, blinded=False, **one) for window, one in zip(windows, sections, strict=True)]


class TestPerformance:
    def test_curves_are_rejection_and_sic_and_faint_below_the_floor(self):
        roc = draw_roc([("one", curve())], ax=axes())
        assert_allclose(roc.lines[0].get_xdata(), SIGNAL[1:])
        assert_allclose(roc.lines[0].get_ydata(), 1 / BACKGROUND[1:])
        assert_allclose(roc.faint[0].get_xdata(), SIGNAL[:2])
        sic = draw_sic([("one", curve())], ax=axes())
        assert_allclose(sic.lines[0].get_xdata(), BACKGROUND[1:])
        assert_allclose(sic.lines[0].get_ydata(), (SIGNAL / BACKGROUND**0.5)[1:])
        x, y = np.asarray(sic.random.get_xydata()).T
        assert_allclose(y, x**0.5)
        corners = {(round(x, 6), round(y, 6)) for x, y in sic.bands[0].get_paths()[0].vertices}
        assert {(0.1, round(0.7 * part / 0.1**0.5, 6)) for part in (0.9, 1.1)} <= corners
        corners = {(round(x, 6), round(y, 6)) for x, y in roc.bands[0].get_paths()[0].vertices}
        assert {(0.63, 10.0), (0.77, 10.0)} <= corners

    def test_working_points_are_marked_but_the_inclusive_one_and_those_that_pass_nothing(self):
        roc = draw_roc([("one", curve())], ax=axes())
        assert set(roc.points) == {(0, "eff_0.1")}
        assert_allclose(roc.points[0, "eff_0.1"].get_xydata(), [[0.64, 1 / 0.16]])
        sic = draw_sic([("one", curve())], ax=axes())
        assert_allclose(sic.points[0, "eff_0.1"].get_xydata(), [[0.16, 0.64 / 0.4]])

    def test_without_a_floor_all_is_faint(self):
        roc = draw_roc([("one", replace(curve(), floor=None, max_sic=None))], ax=axes())
        assert_allclose(roc.faint[0].get_xdata(), SIGNAL)

    def test_several_differ_in_colour_and_dashes_and_are_named_with_their_area(self):
        figure, _ = compare_performance([("first", curve()), ("second", curve(0.05))])
        drawn = draw_roc([("first", curve()), ("second", curve(0.05))], ax=axes())
        first, second = drawn.lines
        assert first.get_color() != second.get_color()
        assert first.get_linestyle() != second.get_linestyle()
        assert_allclose(second.get_xdata(), (SIGNAL - 0.05 * (SIGNAL < 1))[1:])
        (legend,) = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
        texts = [text.get_text() for text in legend.get_texts()]
        assert "first\nAUC 0.850 $\\pm$ 0.050" in texts
        assert "efficiency 10%" in texts

    def test_figures_are_those_of_windows_that_have_the_section(self):
        sections = [{"performance": curve()}, {"performance": None}, {}, {"performance": curve(n_signal=20)}]
        stems = [one.stem for one in performance_figures(windows_with(*sections))]
        assert stems == ["performance_3300-3700", "performance_4500-4900", "performance"]
        assert not list(performance_figures(windows_with({"performance": None}, {})))

    def test_of_many_windows_those_with_most_signal_are_laid_over_one_another(self):
        many = windows_with(*({"performance": curve(n_signal=10 + i)} for i in range(9)))
        *_, last = performance_figures(many)
        assert last.stem == "performance"
        assert isinstance(last.draw, partial)
        assert [section.n_signal for _, section in last.draw.args[0]] == [13, 14, 15, 16, 17, 18]
        assert isinstance(last.draw()[0], Figure)

    def test_searches_are_laid_over_one_another_where_they_have_the_window_and_are_not_blinded(self, tmp_path: Path):
        windows = [WindowResult(WINDOW, np.linspace(3000, 6500, 36))]
        diagnosed = [DiagnosedWindow(window=WINDOW, blinded=False, performance=curve(0.05 * i)) for i in range(3)]
        searches = [
            ComparedSearch.of(f"a_{i}", make_results(), windows, SearchConfig(), [one])
            for i, one in enumerate(diagnosed)
        ]
        blinded = ComparedSearch.of("b", make_results(), windows, SearchConfig(), blind_diagnostics(diagnosed))
        config = PlotConfig(formats=("png",))

        def drawn(*of: ComparedSearch) -> list[str]:
            return [path.name for path in save_comparison(of, tmp_path, config)]

        assert drawn(*searches) == ["performance_3300-3700.png"]
        assert drawn(searches[0], blinded) == []
        assert drawn(searches[0], ComparedSearch.of("b", make_results(), windows, SearchConfig())) == []


class TestEnsemble:
    def test_scores_and_spread_show_the_document(self):
        scores = draw_scores(members(), ax=axes())
        assert set(scores.lines) == set(scores.bands) == {"window", "sidebands"}
        values, edges, _ = scores.lines["window"].get_data()
        assert_allclose(values, [0.5, 0.5, 0.0], atol=1e-9)
        assert_allclose(edges, [0.3, 0.4, 0.5, 0.6])
        assert_allclose(scores.bands["window"].get_data().baseline, [0.4, 0.4, 0.0])
        spread = draw_score_spread(members(), ax=axes())
        assert_allclose(spread.lines["sidebands"].get_data().values, [0.02, np.nan])

    def test_counts_are_over_those_of_the_ensemble(self):
        found = draw_member_counts(members(), ax=axes())
        assert set(found.points) == {("eff_0.1", "window"), ("eff_0.1", "sidebands")}
        assert_allclose(found.points["eff_0.1", "window"].get_ydata(), [0.8, 1.0, 1.5])
        assert [float(y) for y in np.ravel(found.spreads["eff_0.1", "window"].get_ydata())] == [pytest.approx(1.1)]

    def test_overlaps(self):
        found = draw_overlaps(members(), ax=axes())
        assert_allclose(found.members["eff_0.1"].get_ydata(), [0.5])
        assert found.ranges is not None
        assert_allclose(np.array(found.ranges.get_segments())[0, :, 1], [0.4, 0.6])
        assert_allclose(np.asarray(found.ensemble["eff_0.1"].get_offsets())[:, 1], [0.7, 0.8, 0.9])
        assert "eff_0.01" not in found.members

    def test_seeds(self):
        found = draw_seeds(members(), ax=axes())
        assert_allclose(found.results["eff_0.1"].get_ydata(), [1.0])
        assert_allclose(found.points["eff_0.1"].get_ydata(), [3.0, np.nan, 2.5])

    @pytest.mark.parametrize("blinded", [False, True])
    @pytest.mark.parametrize("n_members", [1, 3])
    def test_figures(self, blinded: bool, n_members: int):
        windows = windows_with({"ensemble": members(blinded=blinded, n_members=n_members)}, {"ensemble": None}, {})
        found = {one.stem: one.draw()[0] for one in ensemble_figures(windows)}
        assert set(found) == {"ensemble_3300-3700"} | (set() if blinded else {"seeds_3300-3700"})
        texts = {
            text.get_text()
            for ax in found["ensemble_3300-3700"].axes
            if ax.get_legend()
            for text in ax.get_legend().get_texts()
        }
        assert ("Window" in texts) != blinded
        assert ("Sidebands outside the mask" in texts) == blinded

    def test_blinded_nothing_of_the_window_is_drawn(self):
        section = members(blinded=True)
        assert set(draw_scores(section, ax=axes()).lines) == {"sidebands"}
        assert set(draw_score_spread(section, ax=axes()).lines) == {"sidebands"}
        assert set(draw_member_counts(section, ax=axes()).points) == {("eff_0.1", "sidebands")}

    def test_equal_scores_of_all_events_are_drawn(self):
        section = members()
        profile = replace(section.profile, edges=[0.5] * len(section.profile.edges))
        ax = axes()
        draw_score_spread(replace(section, profile=profile), ax=ax)
        assert ax.get_xlim() == (0.0, 1.0)


class TestImportance:
    def test_bars_have_the_features_in_order_with_labels_and_errors(self):
        ax = axes()
        found = draw_importance(shares("mj1", "x_1"), ax=ax)
        assert_allclose([bar.get_width() for bar in found.bars], [0.6, 0.4])
        assert [text.get_text() for text in ax.get_yticklabels()] == [r"$\mathit{m_{j_1}}$", "x_1"]
        (errors,) = found.bars.errorbar.lines[2]
        assert_allclose([segment[:, 0] for segment in errors.get_segments()], [[0.5, 0.7], [0.35, 0.45]])
        assert_allclose(found.equal.get_xdata(), [0.5, 0.5])
        assert ax.yaxis.get_inverted()

    def test_one_training_has_no_error(self):
        assert draw_importance(shares("mj1", "x_1", std=(None, None)), ax=axes()).bars.errorbar is None

    def test_a_map_has_a_gap_where_a_window_has_not_the_feature(self):
        sections = [("first", shares("mj1", "x_1")), ("second", shares("x_1", "mj2", mean=(0.1, 0.9)))]
        found = draw_importance_map(sections, ax=axes())
        parts = np.ma.filled(found.mesh.get_array(), np.nan)
        assert_allclose(parts, [[0.6, np.nan], [0.4, 0.1], [np.nan, 0.9]])
        assert [text.get_text() for text in found.numbers] == ["60", "40", "10", "90"]

    def test_figures(self):
        sections = [{"importance": shares("mj1", "x_1")}, {"importance": None}, {"importance": shares("mj1", "x_1")}]
        found = list(importance_figures(windows_with(*sections)))
        assert [one.stem for one in found] == ["importance_3300-3700", "importance_4100-4500", "importance"]
        assert all(isinstance(one.draw()[0], Figure) for one in found)
        assert not list(importance_figures(windows_with({"importance": None})))


def scan() -> GainScan:
    def measured(value: float) -> Document:
        return {
            "sic": [[value, 2 * value], [value + 1, 2 * value + 1], [value - 1, 2 * value - 1]],
            "auc": [0.7, 0.8, 0.9],
            "window_sideband_auc": [0.49, 0.5, 0.52],
            "sigma_min": [0.4, None, 0.5],
        }

    document = {
        "signal": "a_b",
        "window": WINDOW.to_json(),
        "method": "cwola",
        "features": ["x0", "x1"],
        "labels": ["x0", "x1"],
        "background_efficiencies": [0.1, 0.01],
        "trainings": 3,
        "n_held_out": 100,
        "simulation_weight": [{"weight": weight, **measured(3 + weight * (1 - weight))} for weight in (1.0, 0.0, 0.5)],
        "subsets": [
            {"use": "together", "feature": None, **measured(5)},
            *({"use": "alone", "feature": name, **measured(2)} for name in ("x0", "x1")),
            *({"use": "without", "feature": name, **measured(4)} for name in ("x0", "x1")),
        ],
    }
    return from_json(GainScan, document)


class TestScans:
    def test_the_best_weight_is_marked_and_zero_is_on_the_axis(self):
        upper, lower = axes(2)
        found = draw_simulation_weight_scan(scan(), ax=upper, ax_sculpting=lower)
        assert_allclose(found.lines[0.1].get_xydata(), [[0.0, 3.0], [0.5, 3.25], [1.0, 3.0]])
        assert_allclose(found.lines[0.01].get_ydata(), [6.0, 6.5, 6.0])
        assert_allclose(found.best[0.01].get_xydata(), [[0.5, 6.5]])
        assert_allclose(found.sculpting.get_ydata(), [0.5] * 3)
        assert upper.get_xlim()[0] < 0
        assert [text.get_text() for text in lower.get_xticklabels()] == ["0\nCWoLa", "0.5", "1"]

    def test_features_alone_and_left_out(self):
        found = draw_subsets(scan(), 0.01, ax=axes())
        assert_allclose(found.points["alone"].get_xdata(), [4.0, 4.0])
        assert_allclose(found.points["without"].get_xdata(), [8.0, 8.0])
        assert_allclose(found.together.get_xdata(), [10.0, 10.0])
        assert_allclose(draw_subsets(scan(), ax=axes()).together.get_xdata(), [0.8, 0.8])

    def test_one_feature_alone_has_no_others(self):
        one = replace(scan(), subsets=tuple(gain for gain in scan().subsets if gain.use != "without"))
        assert set(draw_subsets(one, ax=axes()).points) == {"alone"}

    def test_figures_are_those_of_the_scans_that_were_made(self):
        stems = {one.stem for one in performance_scan_figures([scan()]) if one.draw()}
        assert stems == {"lambda_a_b", "subsets_a_b"}
        (stem,) = [one.stem for one in performance_scan_figures([replace(scan(), simulation_weight=())])]
        assert stem == "subsets_a_b"
