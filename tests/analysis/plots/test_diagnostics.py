"""Figures of features, jet masses and efficiency against m_jj: what is drawn, and what is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from analysis.config import PlotConfig
from analysis.diagnostics.sections import DiagnosedWindow
from analysis.plots.classifiers.features import draw_feature, usable_selection
from analysis.plots.classifiers.figures import diagnostic_figures
from analysis.plots.classifiers.mass_maps import draw_density, draw_passing, draw_pull, draw_score
from analysis.plots.classifiers.sculpting import draw_sculpting
from analysis.plots.drawing import draw_all
from analysis.plots.style import figure_style
from analysis.results.blinding import blind_diagnostics
from tests.builders.diagnostic_documents import WINDOW, feature, histogram, masses, sculpting, window


def axes() -> Axes:
    return Figure().subplots()


def test_shapes_have_unit_sum_and_the_cut_is_drawn_with_its_errors() -> None:
    ax = axes()
    drawn = draw_feature(feature(), "eff_0.1", ax=ax)
    assert list(drawn.regions) == ["window", "lower", "upper"]
    np.testing.assert_allclose(drawn.regions["window"].get_data().values, [0.25, 0.5, 0.25, 0])
    np.testing.assert_allclose(drawn.regions["lower"].get_data().values, drawn.regions["upper"].get_data().values)
    assert drawn.cut is not None
    points = drawn.cut.lines[0]
    np.testing.assert_allclose(points.get_xydata(), [[250, 0.75], [350, 0.25]])
    vertical = drawn.cut.lines[2][1].get_segments()[0]
    assert np.ptp(vertical[:, 1]) / 2 == pytest.approx(np.sqrt(30) / 40)
    assert ax.get_xlabel() == r"$\mathit{m_{j_1}}$ [GeV]"
    assert ax.get_xlim() == (0, 300)
    assert "3.2/2" in ax.get_title(loc="right")
    lines = {patch.get_linestyle() for patch in drawn.regions.values()}
    assert len(lines) == 3


def test_percentiles_have_their_own_axis() -> None:
    ax = axes()
    drawn = draw_feature(feature(scaled=True), ax=ax, scaled=True)
    assert drawn.cut is None
    assert ax.get_xlim() == (0, 1)
    assert ax.get_xlabel() == r"Percentile of $\mathit{m_{j_1}}$"


def test_few_events_are_joined_to_points() -> None:
    shapes = feature().original
    one = replace(feature(), original=replace(shapes, selections={"eff_0.1": histogram(2, 2, 2, 2)}))
    drawn = draw_feature(one, "eff_0.1", ax=axes())
    assert drawn.cut is not None
    # two bins make a point, which shows what is in each of them
    np.testing.assert_allclose(drawn.cut.lines[0].get_xydata(), [[100, 0.25], [300, 0.25]])
    regions = {**shapes.regions, "upper": histogram(3, 12, 15, 0)}
    one = replace(one, original=replace(shapes, regions=regions))
    patches = draw_feature(one, ax=axes()).regions
    # all steps are as wide as the sparsest sample needs
    for name, values in {"lower": [0.25, 0.25], "upper": [0.25, 0.25], "window": [0.375, 0.125]}.items():
        np.testing.assert_allclose(patches[name].get_data().values, values)
        np.testing.assert_allclose(patches[name].get_data().edges, [0, 200, 400])


def test_the_tightest_selection_with_enough_events_is_shown() -> None:
    assert usable_selection([feature()]) == "eff_0.1"
    few = replace(feature().original, selections={"eff_0.1": histogram(20, 20, scale=10.0)})
    assert usable_selection([replace(feature(), original=few)]) is None
    assert usable_selection([feature(blinded=True)]) is None
    assert usable_selection([]) is None


def shown(mesh: Any) -> np.ndarray:
    values = np.ma.asarray(mesh.get_array(), float).filled(np.nan).reshape(2, 2)
    return np.asarray(values.T)


def test_maps_of_masses_show_densities_on_one_scale_and_pulls() -> None:
    one, norm = masses(), LogNorm(0.01, 1.0)
    ax = axes()
    np.testing.assert_allclose(shown(draw_density(one, "lower", norm, ax=ax)), [[0.4, np.nan], [0.1, 0.5]])
    np.testing.assert_allclose(shown(draw_density(one, "window", norm, ax=ax)), [[6 / 12, 1 / 12], [2 / 12, 3 / 12]])
    np.testing.assert_allclose(shown(draw_density(one, "combined", norm, ax=ax)), [[0.5, np.nan], [1 / 6, 1 / 3]])
    assert ax.get_xlabel().endswith("[GeV]")
    pull = draw_pull(one, ax=axes())
    np.testing.assert_allclose(shown(pull), [[0.5, 1], [-7, np.nan]])
    assert (pull.norm.vmin, pull.norm.vmax) == (-5, 5)
    np.testing.assert_allclose(shown(draw_passing(one, "eff_0.1", ax=axes())), [[0.5, 0], [0.1, 0.2]])
    np.testing.assert_allclose(shown(draw_score(one, ax=axes())), [[0.4, 0.6], [0.5, 0.5]])


def test_efficiencies_are_drawn_over_their_average() -> None:
    ax = axes()
    drawn = draw_sculpting(sculpting(), WINDOW, ax=ax)
    assert list(drawn.points) == ["eff_0.1", "eff_0.001"]
    points = drawn.points["eff_0.1"].lines[0].get_xydata()
    np.testing.assert_allclose(points[:, 1], [1, 3, 1.2])
    texts = [text.get_text() for text in drawn.legend.get_texts()]
    assert "1.5/1" in texts[0]
    assert "0.22" in texts[0]
    assert texts[1].endswith("too few events for a test")
    assert {"Signal window 3300–3700 GeV", "Left out of the fit: 3200–3800 GeV", "Flat"} <= set(texts)
    blinded = draw_sculpting(sculpting(blinded=True), WINDOW, ax=axes())
    np.testing.assert_allclose(blinded.points["eff_0.1"].lines[0].get_xydata()[:, 1], [1, np.nan, 1.2])
    assert blinded.legend.get_texts()[-1].get_text() == "Blinded: masks of all windows"


def test_figures_are_listed_where_there_are_data_and_none_of_the_window_while_blinded() -> None:
    stems = [sketch.stem for sketch in diagnostic_figures([window()])]
    kinds = ["features", "masses", "classifier_map", "sculpting"]
    assert stems == [f"{kind}_3300-3700" for kind in kinds]
    assert list(diagnostic_figures(blind_diagnostics([window()]))) == []
    blinded = [sketch.stem for sketch in diagnostic_figures(blind_diagnostics([window(blinded=True)]))]
    assert blinded == ["features_3300-3700", "masses_3300-3700", "sculpting_3300-3700"]
    nothing = ((0.0, 0.0), (0.0, 0.0))
    empty = replace(masses(blinded=True), regions={"lower": nothing, "upper": nothing})
    stems = [sketch.stem for sketch in diagnostic_figures([replace(window(blinded=True), masses=empty)])]
    assert "masses_3300-3700" not in stems
    assert list(diagnostic_figures([DiagnosedWindow(window=WINDOW, blinded=False)])) == []


@pytest.mark.parametrize(("number", "scaled", "panels"), [(2, False, 2), (5, False, 5), (3, True, 6), (12, True, 24)])
def test_features_fill_a_grid_with_a_row_for_the_scaled_ones(number: int, scaled: bool, panels: int) -> None:
    sketch = next(iter(diagnostic_figures([window(features=number, scaled=scaled)])))
    with figure_style():
        figure, heading = sketch.draw()
        figure.canvas.draw()
        drawn = [ax for ax in figure.axes if ax.axison]
        assert len(drawn) == panels
        boxes = [ax.get_tightbbox() for ax in drawn]
        (legend,) = figure.legends
        above = legend.get_window_extent()
    assert heading.get_title(loc="right") == "Window 3300–3700 GeV"
    # nothing lies on anything else, or beyond the figure
    for index, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:index])
        assert not one.overlaps(above)
        assert figure.bbox.containsx(one.x0)
        assert figure.bbox.containsx(one.x1)
        assert figure.bbox.containsy(one.y0)
    assert figure.bbox.containsx(above.x0)
    assert figure.bbox.containsx(above.x1)


def test_all_figures_become_files_blinded_or_not(tmp_path: Path) -> None:
    config = PlotConfig(formats=("png",))
    for blinded, count in ((False, 4), (True, 3)):
        paths = draw_all(diagnostic_figures([window(blinded=blinded)]), tmp_path / str(blinded), config)
        assert len(paths) == count
        assert all(path.stat().st_size > 5000 for path in paths)
