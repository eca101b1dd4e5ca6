"""The figure of the cutflow shows the numbers of the results."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.figure import Figure

from analysis.config import PlotConfig
from analysis.plots import FigureSources, draw_cutflow, draw_n_minus_one, figure_style, save_figures
from analysis.plots.style import plain
from analysis.plots.words import Words, spoken
from tests.builders.cutflows import CUTFLOW, N_MINUS_ONE, cuts
from tests.builders.results import results_of


def test_the_part_that_is_left_after_each_cut() -> None:
    ax = Figure().subplots()
    lines = draw_cutflow(CUTFLOW, ax=ax)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["All events", "Two jets", "Trigger", "$p_T$", "$m_{jj}$ above", r"$|\Delta y|$, search"]
    np.testing.assert_allclose(lines["qcd"].get_xdata(), [1, 0.5, 0.25, 0.05, 0.025])
    assert [labels[int(y)] for y in lines["qcd"].get_ydata()] == [one for one in labels if one != "Trigger"]
    np.testing.assert_allclose(lines["data"].get_xdata(), [1, 0.75, 0.5, 0.25])
    assert [labels[int(y)] for y in lines["data"].get_ydata()] == ["All events", "Two jets", "Trigger", "$p_T$"]
    assert ax.get_xscale() == "log"
    loose = Figure().subplots()
    draw_cutflow({"qcd": cuts(all=200.0, search=150.0)}, ax=loose)
    assert (loose.get_xscale(), loose.get_xlim()[0]) == ("linear", 0)


def test_the_part_that_a_cut_alone_rejects() -> None:
    ax = Figure().subplots()
    bars = draw_n_minus_one(CUTFLOW, N_MINUS_ONE, ax=ax)
    labels = [label.get_text() for label in ax.get_yticklabels()]

    def shown(name: str) -> dict[str, float]:
        return {labels[round(bar.get_y() + bar.get_height() / 2)]: bar.get_width() for bar in bars[name]}

    assert shown("qcd") == {"$p_T$": pytest.approx(0.75), "$m_{jj}$ above": pytest.approx(0.8)}
    assert shown("data") == {"$p_T$": pytest.approx(1.0), "$m_{jj}$ above": pytest.approx(1.0)}


def test_saved_in_every_format_and_without_n_minus_one_of_old_results(tmp_path) -> None:
    for n_minus_one in (N_MINUS_ONE, {}):
        results = results_of(cutflow=CUTFLOW, n_minus_one=n_minus_one)
        paths = save_figures(FigureSources(results), tmp_path / "plots", PlotConfig(formats=("pdf", "png")))
        assert [path.name for path in paths] == ["cutflow.pdf", "cutflow.png"]
        assert all(path.stat().st_size > 5000 for path in paths)


def test_bars_of_the_datasets_do_not_overlap() -> None:
    with figure_style():
        bars = draw_n_minus_one(CUTFLOW, N_MINUS_ONE, ax=Figure().subplots())
    spans = sorted((bar.get_y(), bar.get_y() + bar.get_height()) for one in bars.values() for bar in one)
    assert all(high <= low + 1e-9 for (_, high), (low, _) in pairwise(spans))


def test_datasets_have_their_labels_and_no_name_is_a_formula() -> None:
    cutflow = {name: cuts(all=10.0, some=5.0) for name in ("one", "two_$x$")}
    with spoken(Words(samples={"one": r"$\mathit{W}'$ (4 TeV)"})):
        lines = draw_cutflow(cutflow, ax=Figure().subplots())
    assert [line.get_label() for line in lines.values()] == [r"$\mathit{W}'$ (4 TeV)", plain("two $x$")]


def test_a_dataset_whose_name_begins_with_an_underscore_is_in_the_legend() -> None:
    ax = Figure().subplots()
    lines = draw_cutflow({name: cuts(all=10.0, some=5.0) for name in ("_old", "new")}, ax=ax)
    assert [text.get_text().strip() for text in ax.legend().get_texts()] == ["old", "new"]
    assert list(lines) == ["_old", "new"]
