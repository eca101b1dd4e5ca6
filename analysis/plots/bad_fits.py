"""Mark of points that rest on a bad background fit, the same in all figures."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike

from analysis.background import BAD_FIT

__all__ = ["BAD_FIT_LABEL", "draw_bad_fits"]

BAD_FIT_LABEL = rf"Bad background fit: $\mathit{{p}} < {BAD_FIT:g}$"


def draw_bad_fits(x: ArrayLike, y: ArrayLike, *, ax: Axes, size: float = 17.0) -> Line2D | None:
    """Draw a ring around each point with a bad background fit, with a label for the legend.

    Parameters
    ----------
    x, y : array-like of float
        The points; may be empty.
    ax : matplotlib.axes.Axes
    size : float
        Diameter of the rings, points.

    Returns
    -------
    matplotlib.lines.Line2D or None
        None without a point.
    """
    if not np.size(x):
        return None
    (rings,) = ax.plot(
        *(x, y),
        marker="o",
        markersize=size,
        markerfacecolor="none",
        markeredgecolor="black",
        markeredgewidth=1.6,
        linestyle="none",
        label=BAD_FIT_LABEL,
        zorder=6,
    )
    return rings
