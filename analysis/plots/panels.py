"""Figures of many panels, laid out in inches: quick to draw, and aligned whatever the labels are."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = ["add_panels", "draw_scale", "simplify_ticks"]

_SCALE = (0.15, 0.2)
"""Distance and width of a colour scale, inches."""


def add_panels(
    size: tuple[float, float],
    margins: tuple[float, float, float, float],
    columns: Sequence[float],
    rows: int,
    gap: float = 0.0,
) -> tuple[Figure, list[list[Axes]]]:
    """Make a figure with panels of equal size.

    Parameters
    ----------
    size : (width, height)
        Of a panel, inches.
    margins : (left, right, bottom, top)
        Around all of them, inches.
    columns : sequence of float
        Free space to the left of each column, inches, beside the margin.
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


def draw_scale(drawn: ScalarMappable, label: str, *, ax: Axes, extend: str = "neither") -> Colorbar:
    """Draw the scale of colours to the right of a panel, as high as it is."""
    figure = ax.figure
    assert isinstance(figure, Figure)
    width, box = figure.get_figwidth(), ax.get_position()
    where = figure.add_axes((box.x1 + _SCALE[0] / width, box.y0, _SCALE[1] / width, box.height))
    bar = figure.colorbar(drawn, cax=where, extend=extend)
    bar.set_label(label)
    bar.ax.minorticks_off()
    return bar


def simplify_ticks(ax: Axes, number: int = 5) -> None:
    """Draw few ticks, and none between them, which take most of the time of small panels."""
    ax.minorticks_off()
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(number, steps=[1, 2, 2.5, 5, 10]))
