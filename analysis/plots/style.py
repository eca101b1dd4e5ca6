"""How all figures look: mplhep's neutral style, a colour-blind-safe palette, labels and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import floor, log10
from typing import Any

import matplotlib.style
import mplhep
from matplotlib.axes import Axes
from matplotlib.text import Text

from analysis.learning import ARGOS

__all__ = [
    "BAND_COLORS",
    "MASS_LABEL",
    "PALETTE",
    "SelectionStyle",
    "draw_experiment_label",
    "figure_style",
    "format_count",
    "format_p_value",
    "format_with_error",
    "selection_label",
    "selection_styles",
]

PALETTE = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
"""Six colours that stay apart for all kinds of colour vision (Petroff, arXiv:2107.02270)."""

BAND_COLORS = ("#607641", "#f5bb54")
"""Green and yellow of one and two standard deviations that stay apart for all kinds of colour vision."""

MASS_LABEL = r"$\mathit{m}_{\mathit{jj}}$ [GeV]"

_MARKERS = ("s", "^", "v", "D", "P", "X", "<", ">")

_OVERRIDES: dict[str, Any] = {
    "font.size": 17,
    "legend.fontsize": 14,
    "legend.handlelength": 1.6,
    "axes.labelsize": 19,
    "axes.titlesize": 14,
    "axes.linewidth": 1.3,
    "xtick.major.size": 9,
    "xtick.minor.size": 5,
    "ytick.major.size": 9,
    "ytick.minor.size": 5,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 120,
    "pdf.fonttype": 42,
    "svg.hashsalt": "cwola",
}


@dataclass(frozen=True)
class SelectionStyle:
    """What tells one selection from the others.

    Attributes
    ----------
    color : str
    marker : str
    """

    color: str
    marker: str


@contextmanager
def figure_style() -> Iterator[None]:
    """Draw in the style of the package: mplhep's neutral one, which claims no experiment.

    Figures must be created and saved inside the context.
    """
    with matplotlib.style.context([mplhep.style.ROOT, _OVERRIDES]):
        yield


def draw_experiment_label(label: str | None, *, ax: Axes) -> Text | None:
    """Draw the name of an experiment above the axes, where the user gave one.

    Parameters
    ----------
    label : str or None
        `PlotConfig.experiment_label`.
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.text.Text or None
    """
    if label is None:
        return None
    text: Text = mplhep.label.exp_text(label, loc=0, ax=ax)[0]
    return text


def selection_label(name: str) -> str:
    """Return what a selection is called on figures: "eff_0.05" is "efficiency 5%", "argos" names its criterion."""
    if name == ARGOS:
        return "efficiency by ARGOS"
    try:
        return f"efficiency {100 * float(name.removeprefix('eff_')):.4g}%"
    except ValueError:
        return name.replace("_", " ")


def selection_styles(names: Iterable[str]) -> dict[str, SelectionStyle]:
    """Give every selection a colour and a marker; the inclusive one is black."""
    classified = [name for name in dict.fromkeys(names) if name != "inclusive"]
    styles = {
        name: SelectionStyle(PALETTE[i % len(PALETTE)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(classified)
    }
    return {"inclusive": SelectionStyle("black", "o")} | styles


def format_count(count: float) -> str:
    """Write a number of events: whole where it is whole."""
    return f"{count:.0f}" if count == round(count) else f"{count:.1f}"


def format_p_value(p_value: float) -> str:
    """Write a p-value with two digits, to stand inside mathtext; one too small for a float as 1e-300."""
    if p_value >= 1e-3:
        return f"{p_value:#.2g}"
    mantissa, exponent = f"{max(p_value, 1e-300):.1e}".split("e")
    return rf"{mantissa}\times 10^{{{int(exponent)}}}"


def format_with_error(value: float, error: float) -> str:
    """Write a value with its error, both to the second digit of the error where that is behind the point."""
    decimals = max(0, 1 - floor(log10(error))) if error > 0 else 1
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
