"""Files of figures: a PNG has few colours and shows the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from analysis.config import PlotConfig, load_config
from analysis.errors import ConfigError
from analysis.plots import figure_style
from analysis.plots.drawing import save_figure, save_sketch
from analysis.plots.figure import Sketch
from analysis.plots.style import draw_collisions


def make_figure() -> Figure:
    """Text, lines, a transparent band and a map with all colours of a scale."""
    figure = Figure(figsize=(6, 4))
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], label="one")
    left.fill_between([0, 1], [0, 1], [1, 2], alpha=0.3, color="tab:red")
    left.legend()
    right.imshow(np.linspace(0, 1, 400).reshape(20, 20), cmap="viridis")
    return figure


def test_a_png_has_a_palette_and_the_pixels_of_the_figure(tmp_path: Path) -> None:
    with figure_style():
        figure = make_figure()
        (path,) = save_figure(figure, tmp_path, "f", ["png"])
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    expected = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    with Image.open(path) as saved:
        assert saved.mode == "P"
        assert saved.info["dpi"] == pytest.approx((100, 100), abs=0.5)
        found = np.asarray(saved.convert("RGB")).astype(int)
    assert found.shape == expected.shape
    assert (found[(expected == 255).all(axis=2)] == 255).all()
    assert (found[(expected == 0).all(axis=2)] == 0).all()
    difference = np.abs(found - expected).max(axis=2)
    assert difference.max() < 48
    assert np.percentile(difference, 99.5) <= 16


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    with figure_style():
        paths = [save_figure(make_figure(), tmp_path, name, ["png", "pdf", "svg"]) for name in ("a", "b")]
    for one, other in zip(*paths, strict=True):
        assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("config", "text"),
    [
        ({}, ""),
        ({"lumi_ifb": 138.5}, "138.5 fb$^{-1}$"),
        ({"sqrt_s_tev": 13}, "13 TeV"),
        ({"sqrt_s_tev": 13, "lumi_ifb": 138}, "138 fb$^{-1}$ (13 TeV)"),
        ({"sqrt_s_tev": 13, "lumi_ifb": 139, "style": "atlas"}, r"$\sqrt{\mathit{s}}$ = 13 TeV, 139 fb$^{-1}$"),
    ],
)
@pytest.mark.parametrize("title", ["", "Selection"])
def test_luminosity_and_energy_are_above_the_last_panel_and_its_title(config, text: str, title: str) -> None:
    with figure_style():
        figure = make_figure()
        left, right = figure.axes
        right.set_title(title, loc="right")
        figure.text(0.5, 0.5, "middle")
        before = [figure.transFigure.transform(ax.get_position()) / figure.dpi for ax in figure.axes]
        found = draw_collisions(PlotConfig(**config), ax=left)
        after = [figure.transFigure.transform(ax.get_position()) / figure.dpi for ax in figure.axes]
        figure.draw_without_rendering()
        box, whole = right.get_tightbbox(), figure.bbox
    assert (found is None) == (text == "")
    assert right.get_title(loc="right") == "\n".join(filter(None, (text, title)))
    assert left.get_title(loc="right") == ""
    np.testing.assert_allclose(after, before)  # inches: nothing else moved
    assert box.y1 < whole.y1  # nothing is cut off at the top


def test_ranges_are_those_of_the_last_pattern_that_fits(tmp_path: Path) -> None:
    def shown(stem: str) -> tuple[tuple[float, float], tuple[float, float]]:
        figure = Figure()
        ax = figure.subplots()
        ax.set(xscale="log", xlim=(1, 10), ylim=(0, 1))
        config = PlotConfig(formats=("png",), ranges=tuple(ranges))
        save_sketch(Sketch(stem, lambda: (figure, ax)), tmp_path, config)
        return ax.get_xlim(), ax.get_ylim()

    found = {"scan": {"y": (-2, 5)}, "spectrum_*_a": {"x": (2, 3)}, "spectrum": {"y": (1, 2)}, "limits": {"x": (-1, 5)}}
    ranges = [{"figure": figure, **one} for figure, one in found.items()]
    assert shown("scan") == ((1, 10), (-2, 5))
    assert shown("spectrum_1_a") == ((2, 3), (1, 2))
    assert shown("limits_a") == shown("scandal") == ((1, 10), (0, 1))


@pytest.mark.parametrize("low_high", [(2, 1), (1, 1)])
def test_a_range_that_is_none_is_refused(low_high: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match=r"plots.ranges.*the first value must be below the second"):
        load_config(overrides={"plots": {"ranges": [{"figure": "scan", "x": low_high}]}})


def test_ticks_are_those_of_the_final_layout(tmp_path: Path) -> None:
    """Long labels make the axes so small that they have fewer ticks than before."""

    def draw() -> tuple[Figure, Axes]:
        figure = Figure(figsize=(4.0, 3.0), layout="constrained")
        ax = figure.subplots()
        ax.set(xlim=(0.0, 1.0), ylabel="one\ntwo\nthree\nfour\nfive", title="one\ntwo\nthree")
        return figure, ax

    (path,) = save_sketch(Sketch("f", draw), tmp_path, PlotConfig(formats=("png",)))
    with figure_style():
        figure, ax = draw()
        before = [*ax.xaxis.get_minorticklocs()]
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        assert len(ax.xaxis.get_minorticklocs()) < len(before)
        expected = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)
    with Image.open(path) as image:
        shown = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(shown - expected).max() < 48
