"""Limits on signal samples against the masses of their particles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, PathCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import LogNorm, Normalize
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from analysis.limits import INCLUSIVE_RULE, LimitRule
from analysis.limits.values import InjectionScan
from analysis.plots.bad_fits import BAD_FIT_LABEL, draw_bad_fits
from analysis.plots.signals.limit_values import EitherLimit, LimitSet, sort_limits
from analysis.plots.style import BAND_COLORS, label_logarithmic, mass_label
from analysis.plots.words import observed_label

__all__ = ["MassLimitArtists", "PlaneArtists", "Quantity", "draw_limit_plane", "draw_mass_limits"]

Array = NDArray[np.float64]
Quantity = Literal["expected", "observed", "ratio", "efficiency"]

_HEADROOM = 0.46
"""Fraction of the logarithmic range added above the limits, for the legend."""

_LINES: Sequence[tuple[Any, float]] = (("-.", 2.2), (":", 1.8), ((0, (5, 2)), 2.0), ((0, (1, 2, 4, 2)), 2.0))
"""Styles and widths of the lines of the rules that are compared with, in turn."""

_MARKER_POINTS = (10.0, 52.0)
"""Smallest and largest markers in the plane."""

_TEXT_POINTS = 30.0
"""Smallest marker with a number."""


@dataclass(frozen=True)
class MassLimitArtists:
    """Artists of `draw_mass_limits`.

    Attributes
    ----------
    observed : matplotlib.lines.Line2D or None
    bad_fits : matplotlib.lines.Line2D or None
        Rings around the limits from bad background fits.
        None while blinded.
    expected : matplotlib.lines.Line2D
    one_sigma, two_sigma : matplotlib.collections.Collection
        Bands; bars for a single mass.
    references : dict of str to matplotlib.lines.Line2D
        Expected limits by the rules that are compared with.
    legend : matplotlib.legend.Legend
    """

    observed: Line2D | None
    bad_fits: Line2D | None
    expected: Line2D
    one_sigma: Collection
    two_sigma: Collection
    references: dict[str, Line2D]
    legend: Legend


def draw_mass_limits(limits: Sequence[EitherLimit], rule: str, *, ax: Axes) -> MassLimitArtists:
    """Draw limits against m_A: expected with bands, observed, and expected limits by the reference rules.

    Parameters
    ----------
    limits : sequence of InjectionLimit or FailedLimit
        Limits on signals that differ only in m_A. The first of several samples with the same masses is drawn.
    rule : str
    ax : matplotlib.axes.Axes

    Returns
    -------
    MassLimitArtists
    """
    shown = sort_limits(limits, rule).distinct()
    mass = np.array([one.masses["A"] for one in shown.signals])
    two_sigma, one_sigma = (_draw_band(mass, shown, sigma, ax) for sigma in (2, 1))
    look: dict[str, Any] = {"color": "black", "mfc": "white", "markersize": 6, "label": "Expected, pre-fit"}
    (expected,) = ax.plot(mass, shown.expected(2), "o--", **look)
    observed = None
    if np.isfinite(seen := shown.observed()).any():
        (observed,) = ax.plot(mass, seen, "o-", color="black", markersize=7, label=observed_label(), zorder=4)
    positions, limited = shown.bad_fits()
    bad_fits = draw_bad_fits(mass[positions], limited, ax=ax)
    references = {
        other.name: line
        for index, other in enumerate(shown.references)
        if (line := _draw_other(mass, shown, other, index, ax)) is not None
    }
    ax.set(xlabel=mass_label("A"), ylabel=shown.label)
    ax.set_title(f"Rule {rule}", loc="right")
    ax.set_title(_fixed(shown), loc="left")
    _set_ranges(mass, shown, ax)
    drawn = (observed, expected, one_sigma, two_sigma, *references.values(), bad_fits)
    handles = [one for one in drawn if one is not None]
    legend = ax.legend(handles=handles, loc="upper right")
    return MassLimitArtists(observed, bad_fits, expected, one_sigma, two_sigma, references, legend)


def _draw_band(mass: Array, shown: LimitSet, sigma: int, ax: Axes) -> Collection:
    low, high = shown.expected(2 - sigma), shown.expected(2 + sigma)
    color, label = BAND_COLORS[sigma - 1], f"Expected $\\pm {sigma}\\sigma$"
    if len(mass) == 1:
        return ax.vlines(mass, low, high, color=color, linewidth=18 / sigma, label=label, zorder=2 - 0.5 * sigma)
    return ax.fill_between(mass, low, high, color=color, linewidth=0, label=label, zorder=2 - 0.5 * sigma)


def _draw_other(mass: Array, shown: LimitSet, other: LimitRule, index: int, ax: Axes) -> Line2D | None:
    values = shown.expected(2, other.name)
    if np.isnan(values).all():
        return None
    style, width = _LINES[index % len(_LINES)]
    look: dict[str, Any] = {"color": other.color, "marker": other.marker if len(mass) == 1 else ""}
    (line,) = ax.plot(
        mass, values, linestyle=style, linewidth=width, label=f"{other.legend}, expected", zorder=3, **look
    )
    line.set(markersize=8, markeredgecolor="white")
    line.set_gapcolor("white" if style == ":" else None)  # visible on the bands
    return line


def _fixed(shown: LimitSet) -> str:
    """Format the masses common to all signals."""
    masses = {name: mass for one in shown.signals for name, mass in one.masses.items() if name != "A"}
    return ", ".join(f"{mass_label(name, unit=False)} = {mass:g} GeV" for name, mass in sorted(masses.items()))


def _set_ranges(mass: Array, shown: LimitSet, ax: Axes) -> None:
    ax.set_yscale("log")
    if len(mass):
        margin = 0.03 * float(np.ptp(mass)) or 0.1 * float(mass[0])
        ax.set_xlim(mass.min() - margin, mass.max() + margin)
    columns = [shown.observed(), *(shown.expected(part) for part in range(5))]
    values = np.concatenate([*columns, *(shown.expected(2, other.name) for other in shown.references)])
    drawn = values[values > 0]
    if drawn.size:
        low, high = drawn.min() / 1.4, drawn.max() * 1.2
        ax.set_ylim(low, high * (high / low) ** _HEADROOM)
        label_logarithmic(ax.yaxis)


@dataclass(frozen=True)
class PlaneArtists:
    """Artists of `draw_limit_plane`.

    Attributes
    ----------
    points : matplotlib.collections.PathCollection
        One marker per signal; the array holds the values.
    numbers : tuple of matplotlib.text.Text
        Values as text; empty if they do not fit.
    colorbar : matplotlib.colorbar.Colorbar
    """

    points: PathCollection
    numbers: tuple[Text, ...]
    colorbar: Colorbar


def draw_limit_plane(
    limits: Sequence[EitherLimit],
    rule: str,
    quantity: Quantity = "expected",
    *,
    ax: Axes,
    scans: Sequence[InjectionScan] = (),
) -> PlaneArtists | None:
    """Draw limits, or the efficiency behind them, in the plane of m_B and m_C.

    Parameters
    ----------
    limits : sequence of InjectionLimit or FailedLimit
        Limits at one m_A. The first of several samples with the same masses is drawn.
    rule : str
    quantity : {"expected", "observed", "ratio", "efficiency"}
        The ratio is the expected limit over the limit of the inclusive search. The efficiency is the fraction of the
        signal kept by the selection, at the injected strength at which the limit is read.
    ax : matplotlib.axes.Axes
    scans : sequence of InjectionScan
        For the efficiency.

    Returns
    -------
    PlaneArtists or None
        None if no signal has the quantity, such as observed limits while blinded.
    """
    shown = sort_limits(limits, rule, scans).distinct()
    values = _values(shown, quantity)
    known = np.isfinite(values) & (values > 0)
    if not known.any():
        return None
    x, y = (np.array([one.masses[name] for one in shown.signals])[known] for name in "BC")
    size = _place(x, y, ax)
    low, high = values[known].min(), values[known].max()
    norm = Normalize(0, max(high, 1)) if quantity == "ratio" else _norm(low, high)
    points = ax.scatter(x, y, s=size**2, c=values[known], norm=norm, cmap="viridis", marker="s", zorder=2)
    colorbar = ax.figure.colorbar(points, ax=ax, label=_label(shown, quantity), pad=0.02)
    if isinstance(norm, LogNorm):
        label_logarithmic(colorbar.ax.yaxis)
    numbers = _write(x, y, values[known], norm, size, ax)
    bad = np.array([one.has_bad_fit for one in shown.signals])[known]
    draw_bad_fits(x[bad], y[bad], ax=ax, size=size)
    ax.set(xlabel=mass_label("B") + f"\nRing: {BAD_FIT_LABEL.lower()}" * bool(bad.any()), ylabel=mass_label("C"))
    return PlaneArtists(points, numbers, colorbar)


def _values(shown: LimitSet, quantity: Quantity) -> Array:
    if quantity == "ratio":
        return np.asarray(shown.expected(2) / shown.expected(2, INCLUSIVE_RULE))
    if quantity == "efficiency":
        return np.array([one.efficiency for one in shown.signals])
    return shown.observed() if quantity == "observed" else shown.expected(2)


def _label(shown: LimitSet, quantity: Quantity) -> str:
    if quantity == "ratio":
        return "Expected limit / that of the inclusive search"
    if quantity == "efficiency":
        return r"Signal efficiency $\mathit{\epsilon}$ at the limit"
    kind = observed_label() if quantity == "observed" else "Expected"
    return f"{kind} limit {shown.quantity}"


def _norm(low: float, high: float) -> Normalize:
    return (LogNorm if high > 10 * low else Normalize)(low / 1.05, high * 1.05)


def _short(value: float) -> str:
    return f"{value:#.2g}".rstrip(".") if value < 100 else f"{value:.0f}"


def _place(x: Array, y: Array, ax: Axes) -> float:
    """Set the ranges, and return the marker size in points at which markers do not overlap."""
    for axis, values in (("x", x), ("y", y)):
        margin = 0.14 * float(np.ptp(values)) or 0.2 * float(values[0])
        ax.set(**{f"{axis}lim": (values.min() - margin, values.max() + margin)})
    places = ax.transData.transform(np.stack([x, y], axis=1)) / ax.figure.dpi * 72
    apart = np.abs(places[:, None] - places[None]).max(axis=2)
    closest = apart[apart > 0].min() if (apart > 0).any() else np.inf
    return float(np.clip(0.65 * closest, *_MARKER_POINTS))


def _write(x: Array, y: Array, values: Array, norm: Normalize, size: float, ax: Axes) -> tuple[Text, ...]:
    if size < _TEXT_POINTS:
        return ()
    return tuple(
        ax.text(
            *(at, height, _short(value)),
            color="black" if norm(value) > 0.55 else "white",
            ha="center",
            va="center",
            fontsize=float(np.clip(0.3 * size, 9, 15)),
            zorder=3,
        )
        for at, height, value in zip(x, y, values, strict=True)
    )
