"""Figures with many panels, laid out in inches: fast to draw, and aligned independent of the labels."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

__all__ = [
    "add_heading",
    "add_panels",
    "draw_scale",
    "place_labels",
    "simplify_ticks",
    "stack_panels",
    "window_title",
]

_MARGINS = (1.15, 0.35, 0.8, 0.4)
"""Left, right, bottom and top margins of two panels, inches; the left one fits tick labels of five digits."""

_LABELS = 0.7
"""Distance of the labels of y axes from the axes, inches."""

_SCALE = (0.15, 0.2)
"""Distance and width of a colour scale, inches."""

_HEADING = 0.5
"""Height of the heading, inches."""


def stack_panels(size: tuple[float, float], ratio: float) -> tuple[Figure, Axes, Axes]:
    """Create a figure of two panels with a common x axis, in a fixed layout, which is faster.

    Parameters
    ----------
    size : (width, height)
        Figure size, inches.
    ratio : float
        Height of the upper panel over the height of the lower one.

    Returns
    -------
    figure : matplotlib.figure.Figure
    upper, lower : matplotlib.axes.Axes
    """
    (width, height), (left, right, bottom, top) = size, _MARGINS
    figure = Figure(figsize=size)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(ratio, 1))
    figure.subplots_adjust(left / width, bottom / height, 1 - right / width, 1 - top / height, hspace=0.04)
    return figure, upper, lower


def place_labels(figure: Figure, panels: Sequence[Axes]) -> None:
    """Align the labels of the y axes after the panels are drawn."""
    height = 1.0 if rcParams["yaxis.labellocation"] == "top" else 0.5
    for ax in panels:
        ax.yaxis.set_label_coords(-_LABELS / (ax.get_position().width * figure.get_figwidth()), height)


def add_panels(
    size: tuple[float, float],
    margins: tuple[float, float, float, float],
    columns: Sequence[float],
    rows: int,
    gap: float = 0.0,
) -> tuple[Figure, list[list[Axes]]]:
    """Create a figure with panels of equal size.

    Parameters
    ----------
    size : (width, height)
        Panel size, inches.
    margins : (left, right, bottom, top)
        Margins around all panels, inches.
    columns : sequence of float
        Free space to the left of each column, inches, in addition to the margin.
    rows : int
    gap : float
        Free space between rows, inches.

    Returns
    -------
    figure : matplotlib.figure.Figure
    panels : list of list of matplotlib.axes.Axes
        By row, from the top.
    """
    (width, height), (left, right, bottom, top) = size, margins
    whole = left + right + sum(columns) + width * len(columns), bottom + top + height * rows + gap * (rows - 1)
    figure = Figure(figsize=whole)
    starts = [left + sum(columns[: number + 1]) + width * number for number in range(len(columns))]
    heights = [bottom + (height + gap) * (rows - 1 - number) for number in range(rows)]
    panels = [
        [figure.add_axes((x / whole[0], y / whole[1], width / whole[0], height / whole[1])) for x in starts]
        for y in heights
    ]
    return figure, panels


def add_heading(figure: Figure, text: str, panels: Sequence[Axes]) -> Axes:
    """Write a line above all panels.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        With at least half an inch above the panels.
    text : str
        Written at the right.
    panels : sequence of matplotlib.axes.Axes
        The uppermost ones, from the left.

    Returns
    -------
    matplotlib.axes.Axes
        Without a frame; the name of an experiment fits above it, to the left.
    """
    height, left, right = figure.get_figheight(), panels[0].get_position().x0, panels[-1].get_position().x1
    ax = figure.add_axes((left, 1 - (_HEADING + 1.0) / height, right - left, 1.0 / height))
    ax.set_axis_off()
    ax.set_title(text, loc="right", fontsize="large")
    return ax


def window_title(window: tuple[float, float], *, blinded: bool) -> str:
    """Name a window in a heading, GeV."""
    return f"Window {window[0]:g}–{window[1]:g} GeV" + (", blinded" if blinded else "")


def draw_scale(drawn: ScalarMappable, label: str, *, ax: Axes, extend: str = "neither") -> Colorbar:
    """Draw the colour scale to the right of a panel, with the same height."""
    figure = ax.figure
    assert isinstance(figure, Figure)
    width, box = figure.get_figwidth(), ax.get_position()
    where = figure.add_axes((box.x1 + _SCALE[0] / width, box.y0, _SCALE[1] / width, box.height))
    bar = figure.colorbar(drawn, cax=where, extend=extend)
    bar.set_label(label)
    bar.ax.minorticks_off()
    return bar


def simplify_ticks(ax: Axes, number: int = 5) -> None:
    """Draw few ticks and no minor ticks, which dominate the drawing time of small panels."""
    ax.minorticks_off()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(number, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
