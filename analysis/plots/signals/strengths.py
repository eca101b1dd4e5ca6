"""What more signal among the training events does to the efficiency and to the expected limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from matplotlib.transforms import ScaledTranslation, Transform
from numpy.typing import NDArray

from analysis.learning import INCLUSIVE
from analysis.limits import limit_rules
from analysis.plots.figure import Row
from analysis.plots.signals.limit_values import sort_limits
from analysis.plots.style import classifier_labels, label_logarithmic, selection_label, selection_styles
from analysis.results.numbers import number, percent

__all__ = ["StrengthArtists", "draw_strength_efficiencies", "draw_strength_limits"]

Array = NDArray[np.float64]

_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.")
_ZERO = 0.4
"""Width of the axis between no injection and the weakest one, in decades."""

_STEP, _REACH = 5.0, 26.0
"""Between bars at one strength, and at most from first to last, points."""

_LARGEST, _SMALLER, _SMALLEST = 17, 4, 5
"""Sizes of the markers of the rules, each smaller than the one before, so that all are seen at one place; points."""


@dataclass(frozen=True)
class StrengthArtists:
    """What was drawn against the injected strength.

    Attributes
    ----------
    lines : tuple of matplotlib.lines.Line2D
        Median over the samplings, one line a selection; the inclusive one is a level.
    spreads : tuple of matplotlib.collections.LineCollection
        Bars from the lowest to the highest of the samplings, a collection a selection but the inclusive one.
    diagonal : matplotlib.lines.Line2D or None
        Where the limit is what was injected.
    limits : dict of str to matplotlib.lines.Line2D
        By rule, a point at the expected limit.
    """

    lines: tuple[Line2D, ...]
    spreads: tuple[LineCollection, ...]
    diagonal: Line2D | None = None
    limits: Mapping[str, Line2D] | None = None


def draw_strength_efficiencies(scan: Mapping[str, Any], *, ax: Axes) -> StrengthArtists:
    """Draw the efficiency of the signal that was not injected, for every selection.

    Parameters
    ----------
    scan : mapping
        Item of "injections" of `limits.json`.
    ax : matplotlib.axes.Axes

    Returns
    -------
    StrengthArtists
    """
    lines, spreads = _draw_candidates(scan, "efficiency", ax)
    _set_strengths(_strengths(scan), ax)
    found = [value for one in scan["candidates"] for of in one["efficiency"] for value in of if value]
    highest = max(found, default=1.0)
    ax.set(ylabel=r"Signal efficiency $\mathit{\epsilon}$", ylim=(0, 1.1 * highest))
    _set_legend(scan, lines, ax)
    return StrengthArtists(lines, spreads)


def draw_strength_limits(
    scan: Mapping[str, Any], limits: Sequence[Mapping[str, Any]] = (), *, ax: Axes
) -> StrengthArtists:
    """Draw the expected limit of every selection, and where the rules read it.

    Parameters
    ----------
    scan : mapping
        Item of "injections" of `limits.json`; its limits are without uncertainties of the signal.
    limits : sequence of mapping
        "limits" of `limits.json`, which hold them, and may therefore lie beside the lines.
    ax : matplotlib.axes.Axes

    Returns
    -------
    StrengthArtists
    """
    lines, spreads = _draw_candidates(scan, "expected", ax)
    read = _draw_rules(scan, limits, ax)
    strengths, reach = _strengths(scan), [float(np.asarray(line.get_xdata())[0]) for line in read.values()]
    diagonal = _draw_diagonal(strengths, max(reach, default=0.0), ax)
    limited = [value for one in scan["candidates"] for of in one["expected"] for value in of if value is not None]
    known = np.array([*limited, *reach, *strengths[strengths > 0]])
    ax.set(yscale="log", ylabel="Expected limit [selected events]", xlabel="Injected signal [selected events]")
    if (known > 0).any():
        ax.set_ylim(known[known > 0].min() / 1.6, known.max() * 1.6)
        label_logarithmic(ax.yaxis)
    _set_strengths(strengths, ax, reach=max(reach, default=0.0))
    handles = [one for one in (diagonal, *read.values()) if one is not None]
    if handles:
        ax.legend(handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), title="Limits", title_fontsize="small")
    return StrengthArtists(lines, spreads, diagonal, read)


def _draw_diagonal(strengths: Array, reach: float, ax: Axes) -> Line2D | None:
    positive = strengths[strengths > 0]
    if not positive.size:
        return None
    path = np.geomspace(positive.min(), 1.2 * max(positive.max(), reach), 50)
    (line,) = ax.plot(path, path, color="0.45", linestyle="--", linewidth=1.6, label="Limit = injected")
    return line


def _draw_candidates(
    scan: Mapping[str, Any], name: str, ax: Axes
) -> tuple[tuple[Line2D, ...], tuple[LineCollection, ...]]:
    styles = selection_styles(one["selection"] for one in scan["candidates"])
    dashes = dict(zip(_groups(scan), _DASHES * len(scan["candidates"]), strict=False))
    lines, spreads, n_drawn = [], [], len(scan["candidates"])
    for index, one in enumerate(scan["candidates"]):
        low, middle, high = np.array([_spread(values) for values in one[name]]).reshape(-1, 3).T
        style, dash = styles[one["selection"]], dashes[_group(one)]
        label = selection_label(one["selection"])
        if one["selection"] == INCLUSIVE:
            if np.isfinite(middle[:1]).any():
                lines.append(ax.axhline(middle[0], color="black", linestyle=(0, (1, 1.5)), label=label))
            continue
        line, _, (spread,) = ax.errorbar(
            *(one["strengths"], middle, (middle - low, high - middle)),
            color=style.color,
            marker=style.marker,
            linestyle=dash,
            zorder=3,
            transform=_beside((index - n_drawn / 2) * min(_STEP, _REACH / n_drawn), ax),
        )
        line.set_label(label)
        lines.append(line)
        spreads.append(spread)
    return tuple(lines), tuple(spreads)


def _beside(points: float, ax: Axes) -> Transform:
    """Shift by some points, so that bars at one strength stand side by side."""
    return ax.transData + ScaledTranslation(points / 72, 0.0, ax.figure.dpi_scale_trans)


def _spread(values: Sequence[float | None]) -> tuple[float, float, float]:
    known = [value for value in values if value is not None]
    return (min(known), float(np.median(known)), max(known)) if known else (np.nan, np.nan, np.nan)


def _draw_rules(scan: Mapping[str, Any], limits: Sequence[Mapping[str, Any]], ax: Axes) -> dict[str, Line2D]:
    read = {}
    for index, rule in enumerate(limit_rules()):
        for one in limits:
            usable = one["dataset"] == scan["dataset"] and one["rule"] == rule.name and one["reason"] is None
            if usable and sort_limits([one], rule.name).signals:
                (read[rule.name],) = ax.plot(
                    *([one["strength"]], [one["expected_selected"][2]], rule.marker),
                    color=rule.color,
                    markeredgecolor="black",
                    markersize=max(_LARGEST - _SMALLER * index, _SMALLEST),
                    label=f"{rule.name}, {selection_label(one['selection'])}:\n{rule.legend}",
                    zorder=4 + index,
                )
    return read


def _group(one: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    return one["method"], tuple(one["features"])


def _groups(scan: Mapping[str, Any]) -> list[tuple[str, tuple[str, ...]]]:
    return list(dict.fromkeys(_group(one) for one in scan["candidates"]))


def _strengths(scan: Mapping[str, Any]) -> Array:
    return np.unique(np.array([strength for one in scan["candidates"] for strength in one["strengths"]], np.float64))


def _set_strengths(strengths: Array, ax: Axes, *, reach: float = 0.0) -> None:
    """Set a logarithmic axis that holds zero and `reach`, with a tick at every strength."""
    positive = strengths[strengths > 0]
    if not positive.size:
        return
    ax.set_xscale("symlog", linthresh=positive.min(), linscale=_ZERO)
    ax.set_xlim(-0.25 * positive.min(), 1.2 * max(positive.max(), reach))
    ax.xaxis.set_major_locator(FixedLocator(strengths.tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _set_legend(scan: Mapping[str, Any], lines: Sequence[Line2D], ax: Axes) -> None:
    """Name every selection once and, where there are several, every method with its features."""
    handles = list({line.get_label(): line for line in reversed(lines)}.values())[::-1]
    groups = _groups(scan)
    if len(groups) > 1:
        names = classifier_labels(groups)
        handles += [
            Line2D([], [], color="0.3", linestyle=dash, label=names[group])
            for group, dash in zip(groups, _DASHES * len(groups), strict=False)
        ]
    ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        title="Selection\n(bars: all samplings)",
        title_fontsize="small",
    )


def strength_alt(scan: Mapping[str, Any]) -> str:
    """Describe efficiencies and limits against the injected strength."""
    strengths = sorted({strength for one in scan["candidates"] for strength in one["strengths"]})
    largest = max((value for value in _efficiencies(scan) if value is not None), default=None)
    return (
        f"Signal efficiency and expected limit of {scan['dataset']} for {len(strengths)} injected strengths up to "
        f"{number(max(strengths, default=0.0))} selected events, in {len(scan['candidates'])} selections. The largest "
        f"efficiency is {percent(largest)}."
    )


def _efficiencies(scan: Mapping[str, Any]) -> list[float | None]:
    return [value for one in scan["candidates"] for of in one["efficiency"] for value in of]


def strength_rows(scan: Mapping[str, Any]) -> Iterator[Row]:
    """Rows of efficiency and limit against the injected strength, one per sampling."""
    yield (
        *("method", "features", "selection", "injected [selected events]", "sampling", "signal efficiency"),
        *("expected limit [selected events]", "observed limit [selected events]", "expected z"),
    )
    for one in scan["candidates"]:
        for i, strength in enumerate(one["strengths"]):
            columns = [one[key][i] for key in ("efficiency", "expected", "observed", "expected_z")]
            for sampling, values in enumerate(zip(*columns, strict=True)):
                yield one["method"], " ".join(one["features"]), one["selection"], strength, sampling, *values
