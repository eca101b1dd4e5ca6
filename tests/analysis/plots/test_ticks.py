"""Merged minor ticks look as those that matplotlib draws one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.config import StyleName
from analysis.plots import figure_style
from analysis.plots.style import label_logarithmic
from analysis.plots.ticks import merge_minor_ticks

VISIBLE = 2
"""Levels by which a pixel of a tick that is drawn in one path may differ."""


def panels(figure: Figure) -> None:
    upper, lower = figure.subplots(2, 1, sharex=True)
    upper.set(yscale="log", ylim=(0.5, 3e4), xlim=(1.13, 4.77))
    lower.plot([1, 2, 5], [1, -2, 3])


def logarithmic(figure: Figure) -> None:
    ax = figure.subplots()
    ax.set(xscale="log", yscale="log", xlim=(0.05, 30), ylim=(1e-6, 1))
    ax.fill_between([0.1, 20], [1e-5, 1e-5], [0.3, 0.3])


def labelled(figure: Figure) -> None:
    ax = figure.subplots()
    ax.set(yscale="log", ylim=(1.5, 6.0))
    label_logarithmic(ax.yaxis)


def twins(figure: Figure) -> None:
    ax: Axes = figure.subplots()
    ax.plot([1, 2])
    ax.twinx().plot([100, 3])
    ax.invert_xaxis()


def without_axes(figure: Figure) -> None:
    figure.subplots().set_axis_off()
    figure.subplots().xaxis.set_visible(False)


def pixels(figure: Figure) -> NDArray[np.int64]:
    canvas: Any = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).astype(np.int64)


def drawn_ticks(figure: Figure) -> int:
    return sum(len(axis.get_minorticklocs()) for ax in figure.axes for axis in (ax.xaxis, ax.yaxis))


@pytest.mark.parametrize("style", ["plain", "cms", "atlas"])
@pytest.mark.parametrize("draw", [panels, logarithmic, labelled, twins, without_axes])
def test_merged_ticks_look_the_same(draw: Callable[[Figure], None], style: StyleName) -> None:
    with figure_style(style):
        one_by_one, merged = Figure(figsize=(8, 8)), Figure(figsize=(8, 8))
        draw(one_by_one)
        draw(merged)
        count = drawn_ticks(merged)
        merge_minor_ticks(merged)
        assert drawn_ticks(merged) < count
        assert np.abs(pixels(one_by_one) - pixels(merged)).max() <= VISIBLE
