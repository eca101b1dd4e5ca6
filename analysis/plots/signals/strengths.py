"""Efficiency and expected limit against the injected signal in the training."""

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

from analysis.core.counted import counted
from analysis.learning import INCLUSIVE
from analysis.limits import limit_rules
from analysis.limits.values import InjectionCandidate, InjectionLimit, InjectionScan
from analysis.plots.figure import Row
from analysis.plots.signals.limit_values import EitherLimit
from analysis.plots.style import bars_between, classifier_labels, label_logarithmic, selection_label, selection_styles
from analysis.results.numbers import number, percent

__all__ = ["StrengthArtists", "draw_strength_efficiencies", "draw_strength_limits", "efficiencies"]

Array = NDArray[np.float64]

_DASHES: tuple[Any, ...] = ("-", "--", ":", "-.")
_ZERO = 0.4
"""Width of the axis between no injection and the weakest one, in decades."""

_STEP, _REACH = 5.0, 26.0
"""Distance between bars at one strength, and largest distance from first to last, points."""

_LARGEST, _SMALLER, _SMALLEST = 17, 4, 5
"""Marker sizes of the rules, decreasing, so that coinciding markers stay visible; points."""


@dataclass(frozen=True)
class StrengthArtists:
    """Artists of a figure against the injected strength.

    Attributes
    ----------
    lines : tuple of matplotlib.lines.Line2D
        Median over the samplings, one line per selection; the inclusive one is horizontal.
    spreads : tuple of matplotlib.collections.LineCollection
        Bars from the lowest to the highest sampling, one collection per selection except the inclusive one.
    diagonal : matplotlib.lines.Line2D or None
        Line on which the limit equals the injected strength.
    limits : dict of str to matplotlib.lines.Line2D
        Point at the expected limit, by rule.
    """

    lines: tuple[Line2D, ...]
    spreads: tuple[LineCollection, ...]
    diagonal: Line2D | None = None
    limits: Mapping[str, Line2D] | None = None


def draw_strength_efficiencies(scan: InjectionScan, *, ax: Axes) -> StrengthArtists:
    """Draw the efficiency of every selection for signal that was not injected.

    Parameters
    ----------
    scan : InjectionScan
    ax : matplotlib.axes.Axes

    Returns
    -------
    StrengthArtists
    """
    lines, spreads = _draw_candidates(scan, [candidate.efficiency for candidate in scan.candidates], ax)
    _set_strengths(_strengths(scan), ax)
    highest = max((value for value in efficiencies(scan) if value), default=1.0)
    ax.set(ylabel=r"Signal efficiency $\mathit{\epsilon}$", ylim=(0, 1.1 * highest))
    _set_legend(scan, lines, ax)
    return StrengthArtists(lines, spreads)


def draw_strength_limits(scan: InjectionScan, limits: Sequence[EitherLimit] = (), *, ax: Axes) -> StrengthArtists:
    """Draw the expected limit of every selection, and the points at which the rules read it.

    Parameters
    ----------
    scan : InjectionScan
        Its limits are without signal uncertainties.
    limits : sequence of InjectionLimit or FailedLimit
        Limits with signal uncertainties, which may therefore deviate from the lines.
    ax : matplotlib.axes.Axes

    Returns
    -------
    StrengthArtists
    """
    lines, spreads = _draw_candidates(scan, [candidate.expected for candidate in scan.candidates], ax)
    read = _draw_rules(scan, limits, ax)
    strengths, reach = _strengths(scan), [float(np.asarray(line.get_xdata())[0]) for line in read.values()]
    diagonal = _draw_diagonal(strengths, max(reach, default=0.0), ax)
    limited = [limit for candidate in scan.candidates for of in candidate.expected for limit in of if limit is not None]
    known = np.array([*limited, *reach, *strengths[strengths > 0]])
    ax.set(yscale="log", ylabel="Expected limit, pre-fit [selected events]", xlabel="Injected signal [selected events]")
    if (known > 0).any():
        ax.set_ylim(known[known > 0].min() / 1.6, known.max() * 1.6)
        label_logarithmic(ax.yaxis)
    _set_strengths(strengths, ax, reach=max(reach, default=0.0))
    handles = [line for line in (diagonal, *read.values()) if line is not None]
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
    scan: InjectionScan, quantities: Sequence[Sequence[Sequence[float | None]]], ax: Axes
) -> tuple[tuple[Line2D, ...], tuple[LineCollection, ...]]:
    """Draw a quantity given by candidate, strength and sampling."""
    styles = selection_styles(candidate.selection for candidate in scan.candidates)
    dashes = dict(zip(_groups(scan), _DASHES * len(scan.candidates), strict=False))
    lines, spreads, n_drawn = [], [], len(scan.candidates)
    for index, (candidate, quantity) in enumerate(zip(scan.candidates, quantities, strict=True)):
        low, middle, high = np.array([_spread(values) for values in quantity]).reshape(-1, 3).T
        style, dash = styles[candidate.selection], dashes[_group(candidate)]
        label = selection_label(candidate.selection)
        if candidate.selection == INCLUSIVE:
            if np.isfinite(middle[:1]).any():
                lines.append(ax.axhline(middle[0], color="black", linestyle=(0, (1, 1.5)), label=label))
            continue
        line, _, (spread,) = ax.errorbar(
            *(candidate.strengths, middle, bars_between(low, middle, high)),
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
    """Return a shift by some points, so that bars at one strength are side by side."""
    return ax.transData + ScaledTranslation(points / 72, 0.0, ax.figure.dpi_scale_trans)


def _spread(values: Sequence[float | None]) -> tuple[float, float, float]:
    known = [value for value in values if value is not None]
    return (min(known), float(np.median(known)), max(known)) if known else (np.nan, np.nan, np.nan)


def _draw_rules(scan: InjectionScan, limits: Sequence[EitherLimit], ax: Axes) -> dict[str, Line2D]:
    read = {}
    found = [limit for limit in limits if isinstance(limit, InjectionLimit) and limit.dataset == scan.dataset]
    for index, rule in enumerate(limit_rules()):
        for limit in found:
            if limit.rule == rule.name and (expected := limit.expected_selected[2]) is not None:
                (read[rule.name],) = ax.plot(
                    *([limit.strength], [expected], rule.marker),
                    color=rule.color,
                    markeredgecolor="black",
                    markersize=max(_LARGEST - _SMALLER * index, _SMALLEST),
                    label=f"{rule.name}, {selection_label(limit.selection)}:\n{rule.legend}",
                    zorder=4 + index,
                )
    return read


def _group(candidate: InjectionCandidate) -> tuple[str, tuple[str, ...]]:
    return candidate.method, candidate.features


def _groups(scan: InjectionScan) -> list[tuple[str, tuple[str, ...]]]:
    return list(dict.fromkeys(_group(candidate) for candidate in scan.candidates))


def _strengths(scan: InjectionScan) -> Array:
    return np.unique(np.array([strength for candidate in scan.candidates for strength in candidate.strengths]))


def _set_strengths(strengths: Array, ax: Axes, *, reach: float = 0.0) -> None:
    """Set a logarithmic axis that includes zero and `reach`, with ticks at all strengths."""
    positive = strengths[strengths > 0]
    if not positive.size:
        return
    ax.set_xscale("symlog", linthresh=positive.min(), linscale=_ZERO)
    ax.set_xlim(-0.25 * positive.min(), 1.2 * max(positive.max(), reach))
    ax.xaxis.set_major_locator(FixedLocator(strengths.tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))


def _set_legend(scan: InjectionScan, lines: Sequence[Line2D], ax: Axes) -> None:
    """Label every selection once and, for several methods, every method with its features."""
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


def strength_alt(scan: InjectionScan) -> str:
    """Describe efficiencies and limits against the injected strength."""
    strengths = _strengths(scan).tolist()
    largest = max((value for value in efficiencies(scan) if value is not None), default=None)
    return (
        f"Signal efficiency and expected limit of {scan.dataset} for {len(strengths)} injected strengths up to "
        f"{number(max(strengths, default=0.0))} selected events, in {counted(len(scan.candidates), 'selection')}. The "
        f"largest efficiency is {percent(largest)}."
    )


def efficiencies(scan: InjectionScan) -> list[float | None]:
    """Return the signal efficiencies of all candidates, strengths and samplings; None if a selection failed."""
    return [value for candidate in scan.candidates for of in candidate.efficiency for value in of]


def strength_rows(scan: InjectionScan) -> Iterator[Row]:
    """Rows of efficiency and limit against the injected strength, one per sampling."""
    yield (
        *("method", "features", "selection", "injected [selected events]", "sampling", "signal efficiency"),
        *("expected limit [selected events]", "observed limit [selected events]", "nominal expected z"),
        "calibrated expected z",
    )
    for candidate in scan.candidates:
        method, features, selection = candidate.method, " ".join(candidate.features), candidate.selection
        for i, strength in enumerate(candidate.strengths):
            lacking = (None,) * len(candidate.efficiency[i])
            optional = (candidate.observed, candidate.expected_z, candidate.expected_z_calibrated)
            lists = (of[i] if of else lacking for of in optional)
            columns = zip(candidate.efficiency[i], candidate.expected[i], *lists, strict=True)
            for sampling, values in enumerate(columns):
                yield method, features, selection, strength, sampling, *values
