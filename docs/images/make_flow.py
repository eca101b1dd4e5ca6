"""The figure of docs/how-it-works.md, the folders in the order of the data: `python -m docs.images.make_flow`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle

FOLDER = Path(__file__).parent
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#E69F00", "#009E73", "#999999"
"""Colours that people with any colour vision can tell apart (Okabe and Ito)."""

WIDTH, HEIGHT = 100.0, 114.0
BOX = 9.0
"""Height of a box, in the same units as its width."""


@dataclass(frozen=True)
class Box:
    """A folder at its lower left corner, with one line on its content."""

    x: float
    y: float
    width: float
    folder: str
    content: str
    colour: str = BLUE


READING = (
    Box(4, 88, 28, "formats/", "ROOT files to jets"),
    Box(36, 88, 28, "selection/, features/", "cuts, variables"),
    Box(68, 88, 28, "runner/, tables/", "all files; ready tables"),
)
EVENTS = Box(30, 72, 40, "events/", "flat table, one row per event", GREEN)
LEARNING = Box(4, 58, 40, "flows/, learning/, methods/", "boosted trees without labels", GREEN)
SEARCH = Box(56, 58, 40, "search/", "window.py: START HERE", ORANGE)
COUNTING = (
    Box(4, 44, 28, "histograms/", "counts in m_jj", GREEN),
    Box(36, 44, 28, "background/", "sideband fits", GREEN),
    Box(68, 44, 28, "statistics/", "p-values, pyhf", GREEN),
)
USES = (
    Box(4, 30, 25, "limits/, signals/", "signal injection", GREEN),
    Box(32, 30, 36, "validation/, calibration/", "no-signal samples", GREEN),
    Box(71, 30, 25, "diagnostics/", "trained classifiers", GREEN),
)
RESULTS = Box(30, 16, 40, "results/", "the only reader and writer", GREEN)
OUTPUT = (
    Box(4, 2, 28, "plots/", "figures", GREEN),
    Box(36, 2, 28, "report/", "one HTML page", GREEN),
    Box(68, 2, 28, "export/", "HEPData, pyhf", GREEN),
)


def main() -> None:
    """Draw the figure as SVG."""
    mpl.rcParams.update({"svg.hashsalt": "flow", "svg.fonttype": "none", "font.size": 10})
    draw_flow(FOLDER / "flow.svg")


def draw_flow(path: Path) -> None:
    """Draw folders and arrows to a file of any format."""
    figure = plt.figure(figsize=(7.2, 7.2 * (HEIGHT + 13) / WIDTH))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(-13, HEIGHT))
    axes.set_axis_off()
    _strip(axes, 104, "cli/, stages/", "commands, and the stages of a run that they call")
    _strip(axes, -12, "core/, config/, compute/", "registry and plugins, settings, local or dask workers")
    _frame(axes, 84.5, 102.5, "processors/")
    _frame(axes, -1.5, 83, "analysis/")
    for box in (*READING, EVENTS, LEARNING, SEARCH, *COUNTING, *USES, RESULTS, *OUTPUT):
        _draw(axes, box)
    for row in (READING, COUNTING):
        for left, right in pairwise(row):
            _arrow(axes, (left.x + left.width, left.y + BOX / 2), (right.x, right.y + BOX / 2))
    _down(axes, READING[2], EVENTS, start=0.5, end=0.9)
    _down(axes, EVENTS, LEARNING, start=0.2, end=0.8)
    _arrow(axes, (LEARNING.x + LEARNING.width, LEARNING.y + BOX / 2), (SEARCH.x, SEARCH.y + BOX / 2))
    _down(axes, SEARCH, COUNTING[0], start=0.1, end=0.8)
    _down(axes, COUNTING[2], USES[2])
    _down(axes, COUNTING[2], USES[1], start=0.3, end=0.7)
    _down(axes, COUNTING[2], USES[0], start=0.1, end=0.8)
    for box, end in zip(USES, (0.2, 0.5, 0.8), strict=True):
        _down(axes, box, RESULTS, end=end)
    for box, start in zip(OUTPUT, (0.2, 0.5, 0.8), strict=True):
        _down(axes, RESULTS, box, start=start)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _draw(axes: Axes, box: Box) -> None:
    shape = "round,pad=0,rounding_size=1.2"
    style = {"boxstyle": shape, "facecolor": "white", "edgecolor": box.colour, "linewidth": 2}
    axes.add_patch(FancyBboxPatch((box.x, box.y), box.width, BOX, **style))
    middle = box.x + box.width / 2
    axes.text(middle, box.y + 5.9, box.folder, ha="center", va="center", family="monospace", weight="bold")
    axes.text(middle, box.y + 2.7, box.content, ha="center", va="center", fontsize=9)


def _strip(axes: Axes, y: float, folders: str, content: str) -> None:
    axes.add_patch(Rectangle((1, y), 98, BOX, facecolor=GREY, alpha=0.25, lw=0))
    axes.text(50, y + 5.9, folders, ha="center", va="center", family="monospace", weight="bold")
    axes.text(50, y + 2.7, content, ha="center", va="center", fontsize=9)


def _frame(axes: Axes, low: float, high: float, name: str) -> None:
    axes.add_patch(Rectangle((1, low), 98, high - low, facecolor="none", edgecolor=GREY, lw=1, ls="--"))
    axes.text(3, high - 2.6, name, va="center", family="monospace", color="#555555")


def _down(axes: Axes, upper: Box, lower: Box, start: float = 0.5, end: float = 0.5) -> None:
    """Connect two boxes, from and to a fraction of their widths."""
    _arrow(axes, (upper.x + start * upper.width, upper.y), (lower.x + end * lower.width, lower.y + BOX))


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": "#333333", "shrinkA": 1, "shrinkB": 1, "mutation_scale": 11, "lw": 1.2}
    axes.annotate("", xy=end, xytext=start, arrowprops=style)


if __name__ == "__main__":
    main()
