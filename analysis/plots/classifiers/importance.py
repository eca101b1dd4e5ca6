"""Feature importance in the classifiers of the windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.diagnostics.sections import DiagnosedWindow, ImportanceSection
from analysis.plots.figure import ResultFigure, Row, all_windows
from analysis.plots.style import PALETTE, italic, plain
from analysis.results.numbers import interval, percent

__all__ = [
    "ImportanceArtists",
    "ImportanceMapArtists",
    "draw_importance",
    "draw_importance_map",
    "feature_label",
    "importance_figures",
]

Array = NDArray[np.float64]

_MOST_NUMBERS = 200
"""Largest number of cells of a map with numbers."""

_GAIN = "Fraction of the total gain"


@dataclass(frozen=True)
class ImportanceArtists:
    """Artists of `draw_importance`.

    Attributes
    ----------
    bars : matplotlib.container.BarContainer
        Mean over folds and members, the first feature on top; its `errorbar` is the standard deviation.
    equal : matplotlib.lines.Line2D
        Share if all features contribute equally.
    """

    bars: BarContainer
    equal: Line2D


@dataclass(frozen=True)
class ImportanceMapArtists:
    """Artists of `draw_importance_map`.

    Attributes
    ----------
    mesh : matplotlib.collections.QuadMesh
        Its array is (n_features, n_windows), masked where a window does not use a feature.
    numbers : tuple of matplotlib.text.Text
        Numbers in the cells, in percent; empty for too many cells.
    """

    mesh: QuadMesh
    numbers: tuple[Text, ...]


def draw_importance(section: ImportanceSection, *, ax: Axes) -> ImportanceArtists:
    """Draw the share of each feature as a bar, with the spread over folds and members.

    Parameters
    ----------
    section : ImportanceSection
    ax : matplotlib.axes.Axes

    Returns
    -------
    ImportanceArtists
    """
    mean, std = (np.array(values, np.float64) for values in (section.mean, section.std))
    places = np.arange(len(mean))
    errors = std if np.isfinite(std).all() else None
    bars = ax.barh(
        *(places, mean),
        xerr=errors,
        height=0.65,
        color=PALETTE[0],
        ecolor="black",
        capsize=4,
        label=f"Mean and std. dev.\nof {section.n_models} trainings" if errors is not None else "One training",
    )
    equal = ax.axvline(1 / len(mean), color=PALETTE[2], linestyle="--", label="All the same")
    ax.set_yticks(
        places, [feature_label(name, label) for name, label in zip(section.features, section.labels, strict=True)]
    )
    ax.tick_params(axis="y", which="both", length=0)
    ax.minorticks_off()
    highest = float((mean if errors is None else mean + std).max())
    ax.set(xlabel=_GAIN, xlim=(0, 1.08 * max(highest, 1 / len(mean))), ylim=(len(mean) - 0.4, -0.6))
    ax.legend(handles=[bars, equal], loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return ImportanceArtists(bars, equal)


def draw_importance_map(sections: Sequence[tuple[str, ImportanceSection]], *, ax: Axes) -> ImportanceMapArtists:
    """Draw the shares of all features in all windows as colours.

    Parameters
    ----------
    sections : sequence of (str, ImportanceSection)
        Name of each window and its section.
    ax : matplotlib.axes.Axes

    Returns
    -------
    ImportanceMapArtists
    """
    labels = {
        name: feature_label(name, label)
        for _, section in sections
        for name, label in zip(section.features, section.labels, strict=True)
    }
    parts = np.full((len(labels), len(sections)), np.nan)
    for column, (_, section) in enumerate(sections):
        for name, mean in zip(section.features, section.mean, strict=True):
            parts[list(labels).index(name), column] = mean
    mesh = ax.pcolormesh(
        np.ma.masked_invalid(parts), cmap="YlGnBu", vmin=0, vmax=max(float(np.nanmax(parts)), 2 / len(labels))
    )
    ax.set_yticks(np.arange(len(labels)) + 0.5, list(labels.values()))
    names = [name for name, _ in sections]
    ax.set_xticks(np.arange(len(names)) + 0.5, names, rotation=35, ha="right", rotation_mode="anchor")
    ax.tick_params(which="both", length=0)
    ax.minorticks_off()
    ax.invert_yaxis()
    ax.set_xlabel("Window [GeV]")
    return ImportanceMapArtists(mesh, _write_numbers(parts, mesh, ax) if parts.size <= _MOST_NUMBERS else ())


def _write_numbers(parts: Array, mesh: QuadMesh, ax: Axes) -> tuple[Text, ...]:
    numbers, highest = [], mesh.get_clim()[1] or 1.0
    for row, column in np.argwhere(np.isfinite(parts)):
        part = parts[row, column]
        color = "white" if part > 0.6 * highest else "black"
        numbers.append(
            ax.text(column + 0.5, row + 0.5, f"{100 * part:.0f}", ha="center", va="center", color=color, fontsize=13)
        )
    return tuple(numbers)


def feature_label(name: str, label: str) -> str:
    """Return the label of a feature with italic symbols, as on axes; its name if it has no label."""
    return italic(label) if label else plain(name)


def importance_figures(windows: Sequence[DiagnosedWindow]) -> Iterator[ResultFigure]:
    """List the figures of windows with this section, which is absent while blinded.

    Yields
    ------
    ResultFigure
        `importance_<window>`, and for several windows `importance` with all of them.
    """
    found = [(diagnosed.window, diagnosed.importance) for diagnosed in windows if diagnosed.importance is not None]
    for window, section in found:
        (low, high), name = window.signal, window.name
        yield ResultFigure(
            f"importance_{name}",
            partial(_bars, section, f"{low:g}–{high:g} GeV"),
            f"{interval((low, high))} GeV: importance of the features",
            partial(_importance_alt, section),
            partial(importance_rows, section),
            "diagnostics",
            name,
        )
    if len(found) > 1:
        sections = {interval(window.signal): section for window, section in found}
        yield ResultFigure(
            "importance",
            partial(_map, list(sections.items())),
            "Importance of the features in all windows",
            partial(_largest_alt, sections),
            partial(all_windows, importance_rows, sections),
            "classifiers",
        )


def _bars(section: ImportanceSection, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(10.5, 2.6 + 0.5 * len(section.features)), layout="constrained")
    ax = figure.subplots()
    draw_importance(section, ax=ax)
    ax.set_title(title, loc="right")
    return figure, ax


def _map(found: Sequence[tuple[str, ImportanceSection]]) -> tuple[Figure, Axes]:
    n_features = len({name for _, section in found for name in section.features})
    size = (4.5 + 0.85 * max(len(found), 5), 3.2 + 0.5 * max(n_features, 4))
    figure = Figure(figsize=size, layout="constrained")
    ax = figure.subplots()
    drawn = draw_importance_map(found, ax=ax)
    figure.colorbar(drawn.mesh, ax=ax, pad=0.02).set_label(_GAIN)
    if drawn.numbers:
        ax.set_title("Numbers in %", loc="right")
    return figure, ax


def _importance_alt(section: ImportanceSection) -> str:
    ranking = ", ".join(_ranking(section))
    return f"Fraction of the total gain of each feature, over {section.n_models} trainings: {ranking}."


def _ranking(section: ImportanceSection) -> list[str]:
    shares = sorted(zip(section.mean, section.features, strict=True), reverse=True)
    return [f"{name} {percent(share)}" for share, name in shares]


def importance_rows(section: ImportanceSection) -> Iterator[Row]:
    """Rows of the share of the total gain, one per feature."""
    yield "feature", "fraction of the total gain", "standard deviation over trainings"
    yield from zip(section.features, section.mean, section.std, strict=True)


def _largest_alt(sections: Mapping[str, ImportanceSection]) -> str:
    first = [f"{window} GeV {_ranking(one)[0]}" for window, one in sections.items()]
    return f"Fraction of the total gain of each feature. The largest by window: {', '.join(first)}."
