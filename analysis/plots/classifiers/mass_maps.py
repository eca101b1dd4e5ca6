"""Plane of the two jet masses in a window and its sidebands, and the selections of its classifiers there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.diagnostics.sections import DiagnosedWindow, MassesSection, Plane
from analysis.learning import selection_text
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.panels import add_heading, add_panels, draw_scale, simplify_ticks, window_title
from analysis.plots.signals.efficiency_maps import draw_plane, efficiency_norm
from analysis.plots.style import selection_label
from analysis.regions import MassWindow
from analysis.results.numbers import count, interval, number

__all__ = ["draw_density", "draw_passing", "draw_pull", "draw_score", "mass_figures"]

Array = NDArray[np.float64]

_SIZE, _ALONE, _SPACE = (3.6, 3.4), (6.0, 5.0), 0.6
_MARGINS = (1.1, 1.5, 0.85, 1.0)
"""Size of a panel beside others and alone, gap, and margins: left, right, bottom, top; inches."""

_TITLE_SIZE = 17
_PULL = "Difference / error"

_MAPPED = 2
"""Number of the tightest selections to draw."""

_PULL_RANGE = (3.0, 5.0)
"""Limits for the end of the colour scale of pulls."""


def mass_figures(windows: Sequence[DiagnosedWindow]) -> Iterator[ResultFigure]:
    """List `masses_<window>` and `classifier_map_<window>`."""
    for diagnosed in windows:
        section = diagnosed.masses
        if section is not None and any(_filled(section, name) for name in section.regions):
            name, where = diagnosed.window.name, f"{interval(diagnosed.window.signal)} GeV"
            yield ResultFigure(
                f"masses_{name}",
                partial(_masses, section, diagnosed),
                f"{where}: jet masses in window and sidebands",
                partial(_masses_alt, section),
                partial(mass_rows, section),
                "diagnostics",
                name,
            )
            if section.score is not None:
                yield ResultFigure(
                    f"classifier_map_{name}",
                    partial(_classifier_map, section, diagnosed.window),
                    f"{where}: what passes, by jet masses",
                    partial(_map_alt, section),
                    partial(classifier_map_rows, section),
                    "diagnostics",
                    name,
                )


def draw_density(masses: MassesSection, name: str, norm: Normalize, *, ax: Axes) -> QuadMesh:
    """Draw the distribution of the events in the plane.

    Parameters
    ----------
    masses : MassesSection
    name : str
        "window", "lower", "upper" or "combined", which must be available.
    norm : matplotlib.colors.Normalize
    ax : matplotlib.axes.Axes

    Returns
    -------
    matplotlib.collections.QuadMesh
        Fraction of events in each cell; empty cells are masked.
    """
    return draw_plane(masses.edges, _density(_plane(masses, name)), norm, ax=ax)


def draw_pull(masses: MassesSection, *, ax: Axes) -> QuadMesh:
    """Draw the pulls of the window against the prediction from both sidebands; see `draw_density`."""
    pull = _array(masses.pull)
    reach = float(np.clip(np.nanmax(np.abs(pull), initial=0.0), *_PULL_RANGE))
    return draw_plane(masses.edges, pull, Normalize(-reach, reach), ax=ax, cmap="RdBu_r")


def draw_score(masses: MassesSection, *, ax: Axes) -> QuadMesh:
    """Draw the mean score of the events in the window; see `draw_density`."""
    score = _array(masses.score)
    return draw_plane(masses.edges, score, Normalize(np.nanmin(score), np.nanmax(score)), ax=ax, cmap="cividis")


def draw_passing(masses: MassesSection, selection: str, *, ax: Axes) -> QuadMesh:
    """Draw the fraction of the window kept by a selection; see `draw_density`."""
    return draw_plane(masses.edges, _array(masses.passing[selection]), efficiency_norm(), ax=ax)


def _array(plane: Plane | None) -> Array:
    """Convert to an array with NaN for None."""
    return np.array(plane, np.float64)


def _plane(masses: MassesSection, name: str) -> Array:
    return _array(masses.combined if name == "combined" else masses.regions[name])


def _filled(masses: MassesSection, name: str) -> bool:
    return name in masses.regions and bool((_plane(masses, name) > 0).any())


def _density(plane: Array) -> Array:
    total = plane.sum()
    return np.where(plane > 0, plane / total if total > 0 else np.nan, np.nan)


def _masses(masses: MassesSection, diagnosed: DiagnosedWindow) -> tuple[Figure, Axes]:
    titles = {"lower": "Lower sideband", "window": "Window", "upper": "Upper sideband"}
    shown = {name: title for name, title in titles.items() if _filled(masses, name)}
    if masses.combined is not None:
        shown["combined"] = f"Both, {masses.expected:.4g} expected"
    norm = _common_norm([_density(_plane(masses, name)) for name in shown])
    number = len(shown) + (masses.pull is not None)
    spaces = [0.0, *[_SPACE] * (min(number, 3) - 1)]
    figure, grid = add_panels(_SIZE if number > 1 else _ALONE, _MARGINS, spaces, (number + 2) // 3, 0.5)
    panels = [ax for line in grid for ax in line]
    for (name, title), ax in zip(shown.items(), panels, strict=False):
        mesh = draw_density(masses, name, norm, ax=ax)
        ax.set_title(title, loc="right", fontsize=_TITLE_SIZE)
    draw_scale(mesh, "Fraction of events", ax=grid[0][-1])
    if masses.pull is not None:
        draw_scale(draw_pull(masses, ax=panels[number - 1]), _PULL, ax=panels[number - 1], extend="both")
        panels[number - 1].set_title("Window − both sidebands", loc="right", fontsize=_TITLE_SIZE)
    _finish(panels, number)
    return figure, add_heading(figure, window_title(diagnosed.window.signal, blinded=diagnosed.blinded), grid[0])


def _classifier_map(masses: MassesSection, window: MassWindow) -> tuple[Figure, Axes]:
    names = _tightest(masses)
    spaces = [0.0, _MARGINS[1], _SPACE][: 1 + len(names)]
    figure, (panels,) = add_panels(_SIZE, _MARGINS, spaces, 1)
    draw_scale(draw_score(masses, ax=panels[0]), "Mean score", ax=panels[0])
    panels[0].set_title("All events", loc="right", fontsize=_TITLE_SIZE)
    for name, ax in zip(names, panels[1:], strict=True):
        passing = draw_passing(masses, name, ax=ax)
        ax.set_title(selection_label(name).capitalize(), loc="right", fontsize=_TITLE_SIZE)
    if names:
        draw_scale(passing, "Fraction that passes", ax=panels[-1])
    _finish(panels, len(panels))
    return figure, add_heading(figure, window_title(window.signal, blinded=False), panels)


def _tightest(masses: MassesSection) -> list[str]:
    events = _plane(masses, "window")
    kept = {name: float(np.nansum(_array(plane) * events)) for name, plane in masses.passing.items()}
    return sorted(kept, key=lambda name: kept[name])[:_MAPPED][::-1]


def _finish(panels: Sequence[Axes], number: int) -> None:
    """Label only the outer axes, and hide unused panels."""
    for place, ax in enumerate(panels):
        simplify_ticks(ax)
        ax.set_axis_on() if place < number else ax.set_axis_off()
        if place + 3 < number:
            ax.tick_params(labelbottom=False)
            ax.set_xlabel("")
        if place % 3:
            ax.tick_params(labelleft=False)
            ax.set_ylabel("")


def _common_norm(planes: Sequence[Array]) -> LogNorm:
    filled = np.concatenate([plane[np.isfinite(plane)] for plane in planes])
    lowest, highest = (float(filled.min()), float(filled.max())) if len(filled) else (0.1, 1.0)
    return LogNorm(lowest, max(highest, 1.1 * lowest))


def _masses_alt(section: MassesSection) -> str:
    expected = section.expected
    ranges = " and ".join(interval((edges[0], edges[-1])) for edges in section.edges)
    text = (
        f"Densities in the plane of the jet masses, {ranges} GeV, in the sidebands and what they expect of the window"
    )
    return f"{text}." if expected is None else f"{text}: {count(round(expected))} events."


def _map_alt(section: MassesSection) -> str:
    names = ", ".join(map(selection_text, section.passing))
    text = f"Mean score of the events in the window, and the fraction of them that passes, by jet masses: {names}."
    cells = [(score, i, j) for i, row in enumerate(section.score or []) for j, score in enumerate(row)]
    score, i, j = max(((score, i, j) for score, i, j in cells if score is not None), default=(None, 0, 0))
    if score is None:
        return text
    first, second = (interval((edges[k], edges[k + 1])) for edges, k in zip(section.edges, (i, j), strict=True))
    return f"{text} The highest mean score is {number(score)}, at m_1 of {first} GeV and m_2 of {second} GeV."


def mass_rows(section: MassesSection) -> Iterator[Row]:
    """Rows of the densities in the plane of the jet masses, one per cell."""
    names = list(section.regions)
    yield (
        *("m_1 low [GeV]", "m_1 high [GeV]", "m_2 low [GeV]", "m_2 high [GeV]"),
        *(f"{name} [sum of weights]" for name in names),
        *("expected from both sidebands [events]", "window minus expected, over its error"),
    )
    grids = [*(section.regions[name] for name in names), section.combined, section.pull]
    yield from _cells(section.edges, grids)


def classifier_map_rows(section: MassesSection) -> Iterator[Row]:
    """Rows of mean score and passing fraction in the plane of the jet masses, one per cell."""
    names = list(section.passing)
    yield (
        *("m_1 low [GeV]", "m_1 high [GeV]", "m_2 low [GeV]", "m_2 high [GeV]", "mean score"),
        *(f"fraction that passes {name}" for name in names),
    )
    yield from _cells(section.edges, [section.score, *(section.passing[name] for name in names)])


def _cells(edges: Sequence[Sequence[float]], grids: Sequence[Plane | None]) -> Iterator[Row]:
    first, second = edges
    for i in range(len(first) - 1):
        for j in range(len(second) - 1):
            values = (None if grid is None else grid[i][j] for grid in grids)
            yield *first[i : i + 2], *second[j : j + 2], *values
