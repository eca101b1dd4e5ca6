"""Style of all figures: mplhep's neutral style, a colour-blind-safe palette, labels and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import floor, log10
from operator import itemgetter
from textwrap import fill
from typing import Any

import matplotlib.style
import mplhep
import numpy as np
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.rcsetup import cycler
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter, LogLocator
from numpy.typing import NDArray

from analysis.background import BackgroundFit
from analysis.config import PlotConfig, StyleName
from analysis.learning import selection_text
from analysis.plots.formulae import readable
from analysis.plots.words import PSEUDODATA, draws_pseudodata, sample_label

__all__ = [
    "BAND_COLORS",
    "COLORS",
    "MASS_LABEL",
    "PALETTE",
    "SelectionStyle",
    "bars_between",
    "classifier_labels",
    "draw_collisions",
    "draw_experiment_label",
    "figure_style",
    "fit_label",
    "format_count",
    "format_fit_quality",
    "format_p_value",
    "format_with_error",
    "italic",
    "label_logarithmic",
    "mass_label",
    "plain",
    "pull_label",
    "sample_name",
    "selection_label",
    "selection_styles",
    "series_line",
    "series_style",
]

COLORS = ("#5790fc", "#f89c20", "#e42536", "#964a8b", "#9c9ca1", "#7a21dd")
"""Six colours that are distinguishable for all kinds of colour vision (Petroff, arXiv:2107.02270)."""

PALETTE = ("C0", "C1", "C2", "C3", "C4", "C5")
"""The colours of figures: places in the colour cycle of matplotlib, which `figure_style` sets."""

BAND_COLORS = ("#607641", "#f5bb54")
"""Green and yellow for one and two standard deviations, distinguishable for all kinds of colour vision."""

MASS_LABEL = r"$\mathit{m}_{\mathit{jj}}$ [GeV]"

_SPACE = "\N{NO-BREAK SPACE}"

_LINE = 1.5
"""Height of a line of a title, in units of its font size."""

_LABEL_WIDTH = 30
"""Maximum line length of a label, characters."""

_LONGEST_NAME = 60
"""Maximum length of a name of a sample, characters."""

_MARKERS = ("s", "^", "v", "D", "P", "X", "<", ">")
_LINES = ("-", "--", "-.", ":")

_PLAIN_OVERRIDES: dict[str, Any] = {
    "xaxis.labellocation": "center",
    "yaxis.labellocation": "center",
    "xtick.top": False,
    "ytick.right": False,
}
"""Settings that no experiment has, so that nobody takes a figure for one of theirs: mplhep's ROOT is its CMS."""

_ATLAS_OVERRIDES: dict[str, Any] = {
    # Shipped with mplhep and matplotlib: a font of the machine would make another picture.
    "font.sans-serif": ["TeX Gyre Heros", "DejaVu Sans"],
    "axes.autolimit_mode": "data",
    "axes.formatter.limits": [-5, 6],
    "axes.formatter.use_mathtext": False,
    "legend.borderpad": 0.5,
    "mathtext.default": "regular",
    "xtick.labelsize": "small",
    "ytick.labelsize": "small",
}
"""Overrides of ATLAS settings that would move labels or limits set by the figures."""

_OVERRIDES: dict[str, Any] = {
    # Shipped with mplhep and matplotlib: a font of the machine would make another picture.
    "font.sans-serif": ["TeX Gyre Heros", "DejaVu Sans"],
    "font.size": 17,
    "legend.fontsize": 16,
    "legend.handlelength": 1.6,
    "axes.labelsize": 19,
    "axes.titlesize": 14,
    "axes.linewidth": 1.3,
    "xtick.major.size": 9,
    "xtick.minor.size": 5,
    "ytick.major.size": 9,
    "ytick.minor.size": 5,
    "hatch.linewidth": 0.6,
    "savefig.dpi": 100,
    "axes.titley": 1.0,
    "pdf.fonttype": 42,
    "svg.hashsalt": "cwola",
}


_STYLES: dict[StyleName, list[Any]] = {
    "plain": [mplhep.style.ROOT, _PLAIN_OVERRIDES],
    "cms": [mplhep.style.CMS],
    "atlas": [mplhep.style.ATLAS, _ATLAS_OVERRIDES],
}


@dataclass(frozen=True)
class SelectionStyle:
    """Style that distinguishes a selection from the others.

    Attributes
    ----------
    color : str
    marker : str
    """

    color: str
    marker: str


@contextmanager
def figure_style(name: StyleName = "plain", colors: Sequence[str] = ()) -> Iterator[None]:
    """Draw in a style of mplhep, with the sizes and colours of the package, without an experiment label.

    Figures must be created and saved inside the context.

    Parameters
    ----------
    name : str
        `PlotConfig.style`.
    colors : sequence of str
        `PlotConfig.colors`; `COLORS` if empty.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from analysis.plots import figure_style
    >>> before = plt.rcParams["font.size"]
    >>> with figure_style():
    ...     plt.rcParams["font.size"] == before
    False
    >>> plt.rcParams["font.size"] == before
    True
    """
    # Without what matplotlib read from a matplotlibrc, also of the current folder: it may call LaTeX on any text.
    cycle = {"axes.prop_cycle": cycler(color=[*(colors or COLORS)])}
    with matplotlib.style.context([*_STYLES[name], _OVERRIDES, cycle], after_reset=True):
        yield


def draw_experiment_label(config: PlotConfig, *, ax: Axes) -> Text | None:
    """Draw the name of an experiment above the axes, if the user gave one, and whether its data are simulated.

    Parameters
    ----------
    config : PlotConfig
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.text.Text or None
    """
    if config.experiment_label is None and not draws_pseudodata():
        return None
    words = [config.status if config.experiment_label else None, PSEUDODATA if draws_pseudodata() else None]
    label, status = readable(config.experiment_label or ""), readable(" ".join(filter(None, words)))
    # To make room for a power of ten above the axis mplhep draws the whole figure, also where there is none.
    text: Text = mplhep.label.exp_text(label, status, loc=0, ax=ax, scilocator_adjust=_has_power(ax.yaxis))[0]
    return text


def _has_power(axis: Axis) -> bool:
    """Whether the numbers at an axis leave a common power of ten, or an offset, to the end of the axis."""
    formatter = axis.get_major_formatter()
    formatter.set_locs(axis.get_majorticklocs().tolist())
    return bool(formatter.get_offset())


def draw_collisions(config: PlotConfig, *, ax: Axes) -> Text | None:
    """Write luminosity and energy at the right above a row of axes, over a title that is there, if the user gave them.

    "138 fb⁻¹ (13 TeV)", or "√s = 13 TeV, 139 fb⁻¹" in the style of ATLAS.

    Parameters
    ----------
    config : PlotConfig
    ax : matplotlib.axes.Axes
        The first of the row.

    Returns
    -------
    matplotlib.text.Text or None
    """
    lumi = None if config.lumi_ifb is None else f"{config.lumi_ifb:g} fb$^{{-1}}$"
    energy = None if config.sqrt_s_tev is None else f"{config.sqrt_s_tev:g} TeV"
    if config.style == "atlas":
        words = [None if energy is None else rf"$\sqrt{{\mathit{{s}}}}$ = {energy}", lumi]
        text = ", ".join(filter(None, words))
    else:
        text = f"{lumi} ({energy})" if lumi and energy else lumi or energy or ""
    if not text:
        return None
    figure = ax.get_figure(root=True)
    assert figure is not None
    last = _last_of_row(ax, figure)
    title = last.get_title(loc="right")
    if title and figure.get_layout_engine() is None:
        _add_line_above(figure)
    return last.set_title(f"{text}\n{title}" if title else text, loc="right")


def _add_line_above(figure: Figure) -> None:
    """Make a figure higher by a line of a title, and leave everything in it where it was."""
    before, inverse = figure.get_figheight(), figure.transFigure.inverted()
    anchors = [(legend, legend.get_bbox_to_anchor().transformed(inverse)) for legend in figure.legends]
    figure.set_figheight(before + _LINE * rcParams["axes.titlesize"] / 72)
    factor = before / figure.get_figheight()
    for ax in figure.axes:
        box = ax.get_position(original=True)
        ax.set_position((box.x0, box.y0 * factor, box.width, box.height * factor))
    for text in figure.texts:
        text.set_y(text.get_position()[1] * factor)
    for legend, anchor in anchors:
        legend.set_bbox_to_anchor((anchor.x0, anchor.y0 * factor), transform=figure.transFigure)


def _last_of_row(ax: Axes, figure: Figure) -> Axes:
    """Return the axes at the right end of the row of panels that begins with these."""
    spec = ax.get_subplotspec()
    if spec is None:
        return ax
    row = [
        (other.colspan.stop, one)
        for one in figure.axes
        if (other := one.get_subplotspec()) is not None
        and other.get_gridspec() is spec.get_gridspec()
        and other.rowspan.start == spec.rowspan.start
    ]
    return max(row, key=itemgetter(0))[1]


def mass_label(particle: str, *, unit: bool = True) -> str:
    """Return the label of the mass of a particle A, B or C, or of jet 1 or 2."""
    return rf"$\mathit{{m}}_{{\mathit{{{particle}}}}}$" + (" [GeV]" if unit else "")


def label_logarithmic(axis: Axis) -> None:
    """Label a logarithmic axis with plain numbers, also at 2 and 5 below two decades, at all digits below a factor 5.

    Call it after the range is set.
    """
    low, high = axis.get_view_interval()
    shown = tuple(range(2, 10)) if high < 5 * low else (2, 5) if high < 100 * low else ()

    def write(value: float, _: int | None = None) -> str:
        return f"{value:g}" if round(value / 10 ** floor(log10(value) + 1e-9), 6) in shown else ""

    axis.set_major_locator(LogLocator(numticks=20))
    axis.set_minor_locator(LogLocator(subs=tuple(range(2, 10)), numticks=20))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if 1e-4 < value < 1e6 else f"{value:.0e}"))
    axis.set_minor_formatter(FuncFormatter(write))


def sample_name(dataset: str) -> str:
    """Return the label of a dataset, or its name as `plain` writes it, with spaces for underscores."""
    return sample_label(dataset) or plain(dataset.replace("_", " "))


def plain(name: str) -> str:
    """Escape a name so that mathtext leaves it unchanged; of a long one, only both ends are shown.

    A leading underscore would hide it from legends, so that a space comes before it.
    """
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME // 2]}…{name[-_LONGEST_NAME // 2 :]}"
    return " " * shown.startswith("_") + shown.replace("$", r"\$")


def italic(label: str) -> str:
    """Set text between dollar signs in italics, as the symbols of all figures; bad formulae as for `readable`."""
    set_in_italics = re.sub(r"\$([^$]+)\$", r"$\\mathit{\1}$", label)
    return set_in_italics if readable(set_in_italics) == set_in_italics else readable(label)


def classifier_labels(
    groups: Iterable[tuple[str, tuple[str, ...]]],
) -> dict[tuple[str, tuple[str, ...]], str]:
    """Label methods with their features, which are omitted if all are the same."""
    known = list(groups)
    several = len({features for _, features in known}) > 1
    return {
        (method, features): fill(f"{method}: {', '.join(features)}", _LABEL_WIDTH) if several else method
        for method, features in known
    }


def selection_label(name: str) -> str:
    """Return the label of a selection in figures: "efficiency 5%" for "eff_0.05", its criterion for "argos"."""
    return selection_text(name).replace(f"{_SPACE}%", "%").replace(_SPACE, " ")


def selection_styles(names: Iterable[str]) -> dict[str, SelectionStyle]:
    """Give every selection a colour and a marker; the inclusive one is black."""
    classified = [name for name in dict.fromkeys(names) if name != "inclusive"]
    styles = {
        name: SelectionStyle(PALETTE[i % len(PALETTE)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(classified)
    }
    return {"inclusive": SelectionStyle("black", "o")} | styles


def fit_label(fit: BackgroundFit) -> str:
    """Label of the curve of a background fit; the name of its function is in the alternative text."""
    n = fit.function.n_parameters
    return f"Background fit, {n} parameter{'s' * (n != 1)}"


def pull_label(*, weighted: bool) -> str:
    """Return the label of pulls; for weighted events the variance of b events is w b, with mean weight w."""
    return r"$(\mathit{n} - \mathit{b})$ / √" + (r"$\mathit{wb}$" if weighted else r"$\mathit{b}$")


def series_style(index: int) -> dict[str, Any]:
    """Return colour and marker of the points of one of several series, without connecting lines."""
    markers = ("o", *_MARKERS)
    return {
        "color": PALETTE[index % len(PALETTE)],
        "marker": markers[index % len(markers)],
        "linestyle": "none",
        "elinewidth": 1.6,
    }


def series_line(index: int) -> dict[str, Any]:
    """Return colour and dashes of the curve of one of several series."""
    return {"color": PALETTE[index % len(PALETTE)], "linestyle": _LINES[index % len(_LINES)], "linewidth": 1.8}


def bars_between(low: NDArray[np.float64], middle: NDArray[np.float64], high: NDArray[np.float64]) -> list[list[float]]:
    """Return the lengths of error bars from `low` to `high` about `middle`, each (n,): lower ones, then upper ones.

    Lists, since the oldest matplotlib that is supported takes the first of two arrays of one value for a number.
    """
    return [(middle - low).tolist(), (high - middle).tolist()]


def format_count(count: float) -> str:
    """Format a number of events, without decimals for integers."""
    return f"{count:.0f}" if count == round(count) else f"{count:.1f}"


def format_p_value(p_value: float) -> str:
    """Format a p-value with two digits for mathtext; smaller values than 1e-300 as 1e-300."""
    if p_value >= 1e-3:
        return f"{p_value:#.2g}"
    mantissa, exponent = f"{max(p_value, 1e-300):.1e}".split("e")
    return rf"{mantissa}\times 10^{{{int(exponent)}}}"


def format_fit_quality(chi2: float, ndof: int, p_value: float | None) -> str:
    """Format the result of a χ² test for mathtext, without a p-value that is unknown."""
    text = rf"$\chi^2$/ndof = {chi2:.1f}/{ndof}"
    return text if p_value is None else rf"{text}, $\mathit{{p}} = {format_p_value(p_value)}$"


def format_with_error(value: float, error: float) -> str:
    """Format a value with its error, both to the second digit of the error if that is a decimal."""
    decimals = max(0, 1 - floor(log10(error))) if error > 0 else 1
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
