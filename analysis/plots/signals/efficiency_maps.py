"""Efficiency maps of the classifiers in the plane of the two jet masses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize, PowerNorm
from matplotlib.contour import QuadContourSet
from numpy.typing import ArrayLike, NDArray

from analysis.learning import INCLUSIVE, selection_text
from analysis.limits.values import InjectionScan, PlaneCounts
from analysis.plots.figure import Row
from analysis.plots.style import PALETTE, mass_label
from analysis.results.numbers import number, percent

__all__ = ["MapArtists", "draw_efficiency_map", "draw_plane", "efficiency_norm", "mapped_events", "tightest"]

Array = NDArray[np.float64]

_SIGNAL = PALETTE[2]
_HELD = (0.9, 0.5)
"""Fractions of the signal inside the contours."""


@dataclass(frozen=True)
class MapArtists:
    """Artists of `draw_efficiency_map`.

    Attributes
    ----------
    mesh : matplotlib.collections.QuadMesh
        Its array is (n_2, n_1); cells without events are masked.
    contours : matplotlib.contour.QuadContourSet or None
        None without signal.
    """

    mesh: QuadMesh
    contours: QuadContourSet | None


def draw_efficiency_map(counts: PlaneCounts, selection: str, *, ax: Axes, highest: float = 1.0) -> MapArtists:
    """Draw the fraction of events in the window kept by a selection, against the two jet masses.

    The events are taken from the data, or from the signal without data, such as while blinded. The contours contain 50
    and 90 % of the signal in the window before the selection.

    Parameters
    ----------
    counts : PlaneCounts
    selection : str
        Name of the selection.
    ax : matplotlib.axes.Axes
    highest : float
        Efficiency at the upper end of the colour scale.

    Returns
    -------
    MapArtists
    """
    events = mapped_events(counts)
    passed, inclusive = (np.array(events[name], np.float64) for name in (selection, INCLUSIVE))
    efficiency = np.divide(passed, inclusive, out=np.full(passed.shape, np.nan), where=inclusive > 0)
    first, second = (np.array(edges) for edges in counts.edges)
    mesh = draw_plane((first, second), efficiency, efficiency_norm(highest), ax=ax)
    contours = _draw_signal(first, second, np.array(counts.signal.get(INCLUSIVE, np.zeros(passed.shape))), ax)
    if contours is not None:
        held = " and ".join(f"{100 * part:.0f}" for part in sorted(_HELD))
        ax.set_title(f"Contours: {held}% of the signal", loc="right", color=_SIGNAL)
    ax.set_title("No injection" if not counts.strength else f"{counts.strength:.3g} injected events", loc="left")
    return MapArtists(mesh, contours)


def draw_plane(
    edges: Sequence[ArrayLike], values: Array, norm: Normalize, *, ax: Axes, cmap: str = "YlGnBu"
) -> QuadMesh:
    """Draw a quantity against the two jet masses.

    Parameters
    ----------
    edges : two of (n + 1,) float64
        GeV.
    values : (n_1, n_2) float64
        NaN is left white.
    norm : matplotlib.colors.Normalize
    ax : matplotlib.axes.Axes
    cmap : str

    Returns
    -------
    matplotlib.collections.QuadMesh
        Its array is (n_2, n_1), masked where values are NaN.
    """
    ax.set(xlabel=mass_label("j_1"), ylabel=mass_label("j_2"))
    return ax.pcolormesh(*edges, np.ma.masked_invalid(values.T), norm=norm, cmap=cmap)


def efficiency_norm(highest: float = 1.0) -> Normalize:
    """Return the colour scale of efficiencies up to `highest`, finer for small ones."""
    return PowerNorm(0.5, 0.0, highest)


def mapped_events(counts: PlaneCounts) -> Mapping[str, Sequence[Sequence[float]]]:
    """Return the events of an efficiency map by selection: data, or signal without data."""
    return counts.data or counts.signal


def tightest(maps: Sequence[PlaneCounts], number: int) -> list[str]:
    """Return the names of the given number of selections with the fewest events without injection."""
    if not maps:
        return []
    events = mapped_events(maps[0])
    kept = {name: float(np.sum(values)) for name, values in events.items() if name != INCLUSIVE}
    everywhere = [name for name in kept if all(name in mapped_events(counts) for counts in maps)]
    return sorted(everywhere, key=lambda name: kept[name])[:number][::-1]


def _draw_signal(first: Array, second: Array, density: Array, ax: Axes) -> QuadContourSet | None:
    if density.sum() <= 0:
        return None
    levels = _levels(density)
    # a rim of empty bins closes the contours at the end of the axes
    x, y = (np.concatenate([[e[0]], (e[1:] + e[:-1]) / 2, [e[-1]]]) for e in (first, second))
    return ax.contour(
        *(x, y, np.pad(density, 1).T),
        levels=levels,
        colors=[_SIGNAL],
        linestyles=["--", "-"][-len(levels) :],
        linewidths=2.0,
    )


def _levels(density: Array) -> list[float]:
    """Return the increasing densities above which the given fractions of the sum lie."""
    ordered = np.sort(density.ravel())[::-1]
    held = np.cumsum(ordered) / ordered.sum()
    # between the last bin inside and the first one outside
    places = [int(np.searchsorted(held, part - 1e-12)) for part in _HELD]
    below = [float(ordered[place + 1]) if place + 1 < len(ordered) else 0.0 for place in places]
    return sorted({(float(ordered[place]) + low) / 2 for place, low in zip(places, below, strict=True)})


def map_alt(scan: InjectionScan, name: str) -> str:
    """Describe the efficiency maps of one selection."""
    strengths = " and ".join(number(counts.strength) for counts in scan.maps)
    parts = []
    for counts in scan.maps:
        selected, everything = (_total(counts.signal.get(of)) for of in (name, INCLUSIVE))
        if selected is not None and everything:
            parts.append(percent(selected / everything))
    kept = f" {' and '.join(parts)} of the signal in the window pass." if parts else ""
    return (
        f"Fraction of events in the window that pass {selection_text(name)}, against the two jet masses, with "
        f"{strengths} selected events of {scan.dataset} injected.{kept}"
    )


def _total(grid: Sequence[Sequence[float]] | None) -> float | None:
    return None if grid is None else sum(map(sum, grid))


def map_rows(scan: InjectionScan, name: str) -> Iterator[Row]:
    """Rows of the efficiency maps of one selection in the plane of the jet masses; data are empty while blinded."""
    yield (
        *("injected [selected events]", "m_1 low [GeV]", "m_1 high [GeV]", "m_2 low [GeV]", "m_2 high [GeV]"),
        *("selected signal [events]", "signal [events]", "selected data [events]", "data [events]"),
    )
    for counts in scan.maps:
        first, second = counts.edges
        grids = [events.get(of) for events in (counts.signal, counts.data) for of in (name, INCLUSIVE)]
        for i in range(len(first) - 1):
            for j in range(len(second) - 1):
                values = (None if grid is None else grid[i][j] for grid in grids)
                yield counts.strength, *first[i : i + 2], *second[j : j + 2], *values
