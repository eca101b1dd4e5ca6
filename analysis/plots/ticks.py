"""Minor ticks as two artists per axis: matplotlib makes five of every tick, a fifth of the time of a figure."""

from __future__ import annotations

from collections.abc import Iterator

from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

__all__ = ["merge_minor_ticks"]


def merge_minor_ticks(figure: Figure) -> None:
    """Replace minor ticks without labels by fewer artists that look the same.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        Complete: later changes do not move these ticks.
    """
    # Panels with a common axis have a common locator, so that all are found before the first is replaced.
    merged = [(axis, ax, lines) for ax in figure.axes for axis in _axes(ax) if (lines := list(_lines(axis)))]
    for axis, ax, lines in merged:
        axis.set_minor_locator(NullLocator())
        for line in lines:
            ax.add_artist(line)


def _axes(ax: Axes) -> Iterator[Axis]:
    if ax.axison and ax.get_visible():
        yield from (axis for axis in (ax.xaxis, ax.yaxis) if axis.get_visible())


def _lines(axis: Axis) -> Iterator[Line2D]:
    low, high = sorted(axis.get_view_interval())
    where = [float(value) for value in axis.get_minorticklocs() if low <= value <= high]
    if not where or any(axis.get_minor_formatter().format_ticks(where)):
        return
    (tick,) = axis.get_minor_ticks(1)
    for mark, side in ((tick.tick1line, 0.0), (tick.tick2line, 1.0)):
        if mark.get_visible():
            sides = [side] * len(where)
            line = Line2D(where, sides) if isinstance(axis, XAxis) else Line2D(sides, where)
            line.update_from(mark)
            line.set(transform=mark.get_transform(), clip_on=False, zorder=axis.get_zorder(), in_layout=False)
            yield line
