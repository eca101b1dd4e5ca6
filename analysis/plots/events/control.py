"""Data against simulation: stacked backgrounds, signals as lines, and the ratio below."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import hist
import mplhep
import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.compute import Backend
from analysis.config import PlotConfig
from analysis.histograms.control import MJJ, axis_label
from analysis.histograms.control_comparison import Component, ControlComparison
from analysis.plots.drawing import draw_all
from analysis.plots.figure import Sketch
from analysis.plots.style import PALETTE, format_fit_quality, format_with_error, italic, sample_name

__all__ = ["ControlArtists", "control_sketch", "draw_control", "save_control_figures"]

_SIGNAL_STYLES = ("-", "--", ":", "-.")
_LEGEND_SIZE = 13
_LINE_HEIGHT = 0.053
"""Height of a legend line, as a fraction of the axes."""

_MAX_HEADROOM = 0.65

_RATIO_RANGE = (0.4, 1.6)
_STYLE: dict[Any, Any] = {"lines.markersize": 8}


@dataclass(frozen=True)
class ControlArtists:
    """Artists of `draw_control`.

    Attributes
    ----------
    legend : matplotlib.legend.Legend
    text : matplotlib.text.Text
        Test, normalisation and notes.
    """

    legend: Legend
    text: Text


def save_control_figures(
    contents: Iterable[ControlComparison],
    folder: Path,
    config: PlotConfig,
    *,
    only: Sequence[str] = (),
    backend: Backend | None = None,
) -> list[Path]:
    """Draw all comparisons, or some of them; see `draw_all` for the other parameters and errors.

    Parameters
    ----------
    contents : iterable of ControlComparison
    folder : pathlib.Path
    config : PlotConfig

    Returns
    -------
    list of pathlib.Path
        `<region>_<variable>` in every format of the configuration.
    """
    return draw_all(map(control_sketch, contents), folder, config, only=only, backend=backend)


def control_sketch(content: ControlComparison) -> Sketch:
    """Name the figure of one comparison."""
    return Sketch(content.name, partial(_control, content))


def draw_control(content: ControlComparison, *, ax: Axes, ax_ratio: Axes | None) -> ControlArtists:
    """Draw one comparison.

    Parameters
    ----------
    content : ControlComparison
    ax : matplotlib.axes.Axes
    ax_ratio : matplotlib.axes.Axes or None
        In the same figure, with its own x axis: data over simulation with the errors of the data, and a band around 1
        for the errors of the simulation. None draws no ratio, for example without simulation.

    Returns
    -------
    ControlArtists
    """
    data = _without_hidden(content)
    if content.backgrounds and ax_ratio is not None:
        _draw_comparison(content, data, ax, ax_ratio)
    else:
        mplhep.histplot(data, ax=ax, **_data_style(content), label=content.data.label, flow="none")
    for index, signal in enumerate(content.signals):
        style = _SIGNAL_STYLES[index % len(_SIGNAL_STYLES)]
        color = PALETTE[(2, 3, 5)[index % 3]]
        mplhep.histplot(
            signal.histogram,
            ax=ax,
            label=_plain(signal),
            color=color,
            linestyle=style,
            linewidth=2,
            yerr=False,
            flow="none",
        )
    for low, high in content.hidden:
        for axes in filter(None, (ax, ax_ratio)):
            axes.axvspan(low, high, facecolor="0.9", edgecolor="0.65", hatch="////", linewidth=0, zorder=0)
    ax.set_title(content.title, loc="right", fontsize="x-small")
    summary = _summary(content)
    legend = ax.legend(
        loc="upper right", fontsize=_LEGEND_SIZE, title=summary, title_fontsize=_LEGEND_SIZE, alignment="left"
    )
    n_lines = len(legend.get_texts()) + len(summary.splitlines())
    _set_ranges(content, data, ax, headroom=_LINE_HEIGHT * (n_lines + 0.5))
    _set_x(content, data, ax, ax_ratio)
    return ControlArtists(legend, legend.get_title())


def _draw_comparison(content: ControlComparison, data: hist.Hist[Any], ax: Axes, ax_ratio: Axes) -> None:
    colors = [PALETTE[(0, 1, 4)[index % 3]] for index in range(len(content.backgrounds))]
    mplhep.comp.data_model(
        data,
        stacked_components=[background.histogram for background in content.backgrounds],
        stacked_labels=[_plain(background) for background in content.backgrounds],
        stacked_colors=colors,
        data_label=content.data.label,
        model_uncertainty_label="Stat. unc. of simulation",
        data_w2method="poisson" if content.unit_weights else "sqrt",
        fig=ax.figure,
        ax_main=ax,
        ax_comparison=ax_ratio,
        comparison="split_ratio",
        comparison_ylim=_RATIO_RANGE,
        comparison_ylabel="Data / sim.",
        flow="none",
    )


def _data_style(content: ControlComparison) -> dict[str, Any]:
    method = "poisson" if content.unit_weights else "sqrt"
    return {"histtype": "errorbar", "color": "black", "w2method": method}


def _without_hidden(content: ControlComparison) -> hist.Hist[Any]:
    """Return the data with NaN in blinded bins."""
    shown = content.data.histogram.copy()
    low, high = shown.axes[0].edges[:-1], shown.axes[0].edges[1:]
    view: Any = shown.view()
    for start, stop in content.hidden:
        bins = (high > start + 1e-6) & (low < stop - 1e-6)
        view["value"][bins], view["variance"][bins] = np.nan, np.nan
    return shown


def _plain(component: Component) -> str:
    return sample_name(component.label)


def _set_ranges(content: ControlComparison, data: hist.Hist[Any], ax: Axes, *, headroom: float) -> None:
    """Leave a fraction `headroom` of the height free above the histograms."""
    values = np.nan_to_num(data.values())
    model = np.sum([one.histogram.values() for one in content.backgrounds], axis=0) if content.backgrounds else values
    tops = [values.max(), np.max(model), *(one.histogram.values().max() for one in content.signals)]
    top = 1.05 * max(*tops, 1e-9)
    stretch = 1 / (1 - min(headroom, _MAX_HEADROOM))
    if content.variable.name == MJJ:
        filled = values[values > 0]
        bottom = 0.3 * (filled.min() if len(filled) else top / 100)
        ax.set_yscale("log", nonpositive="clip")
        ax.set_ylim(bottom, bottom * (top / bottom) ** stretch)
    else:
        ax.set_ylim(0, top * stretch)
    unit = f" {content.variable.unit}" if content.variable.unit else ""
    ax.set_ylabel(f"Events / {data.axes[0].widths[0]:.3g}{unit}")


def _set_x(content: ControlComparison, data: hist.Hist[Any], ax: Axes, ax_ratio: Axes | None) -> None:
    values = np.nan_to_num(data.values())
    model = np.sum([one.histogram.values() for one in content.backgrounds], axis=0) if content.backgrounds else values
    span = _occupied(data.axes[0].edges, np.maximum(values, model))
    ax.set(xlim=span, xlabel="")
    lowest = ax if ax_ratio is None else ax_ratio
    lowest.set(xlim=span, xlabel=italic(axis_label(content.variable)))
    ax.tick_params(labelbottom=lowest is ax)


def _occupied(edges: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of the non-empty bins."""
    filled = np.flatnonzero(values)
    if len(filled) == 0:
        return float(edges[0]), float(edges[-1])
    return float(edges[filled[0]]), float(edges[filled[-1] + 1])


def _summary(content: ControlComparison) -> str:
    lines = ["Blinded"] if content.blinded else []
    if content.test is not None:
        test = content.test
        lines.append(f"Shape: {format_fit_quality(test.chi2, test.ndof, test.p_value)}")
    if content.ratio is not None:
        lines.append(f"{content.data.label} / simulation = {format_with_error(*content.ratio)}")
    lines.extend(note[0].upper() + note[1:] for note in content.notes)
    return "\n".join(lines)


def _axes(figure: Figure, content: ControlComparison) -> tuple[Axes, Axes | None]:
    if not content.backgrounds:
        return figure.add_subplot(), None
    ax, ax_ratio = figure.subplots(2, 1, height_ratios=(3.2, 1))
    return ax, ax_ratio


def _control(content: ControlComparison) -> tuple[Figure, Axes]:
    with rc_context(_STYLE):
        figure = Figure(figsize=(8.5, 8.5))
        FigureCanvasAgg(figure)  # mplhep measures texts, which needs a renderer
        figure.subplots_adjust(left=0.15, right=0.96, bottom=0.1, top=0.94, hspace=0.05)
        ax, ax_ratio = _axes(figure, content)
        draw_control(content, ax=ax, ax_ratio=ax_ratio)
        figure.align_ylabels()
        return figure, ax
