"""Significance of a hidden signal in a search."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from analysis.learning import INCLUSIVE, selection_text, split_half
from analysis.limits.values import Sensitivity, SensitivityCurve
from analysis.plots.calibration import CALIBRATED_LABEL, NOMINAL_LABEL
from analysis.plots.figure import Row
from analysis.plots.style import PALETTE, classifier_labels, label_logarithmic
from analysis.results.numbers import number

__all__ = ["SensitivityArtists", "draw_sensitivity"]

Array = NDArray[np.float64]
Group = tuple[str, tuple[str, ...]]


@dataclass(frozen=True)
class SensitivityArtists:
    """Artists of `draw_sensitivity`.

    Attributes
    ----------
    with_signal, without_signal : dict of tuple to matplotlib.lines.Line2D
        Median over the samplings, by method and features.
    added : dict of tuple to matplotlib.lines.Line2D
        Median of the difference.
    bands : dict of tuple to matplotlib.collections.PolyCollection
        16 to 84 % band of the difference.
    inclusive : tuple of matplotlib.lines.Line2D
        Levels of the inclusive search: significance with signal, and the difference.
    nominal : matplotlib.lines.Line2D or None
        Significances with signal that have no calibration, if others have one.
    """

    with_signal: dict[Group, Line2D]
    without_signal: dict[Group, Line2D]
    added: dict[Group, Line2D]
    bands: dict[Group, PolyCollection]
    inclusive: tuple[Line2D, ...]
    nominal: Line2D | None = None


def draw_sensitivity(sensitivity: Sensitivity, *, ax: Axes, ax_added: Axes) -> SensitivityArtists:
    """Draw the significance with and without hidden signal against the efficiency, and their difference.

    Parameters
    ----------
    sensitivity : Sensitivity
    ax : matplotlib.axes.Axes
        Significances.
    ax_added : matplotlib.axes.Axes
        Difference, with the residual of the search without signal subtracted.

    Returns
    -------
    SensitivityArtists
    """
    curves = [
        (curve.efficiency, curve)
        for curve in sensitivity.curves
        if curve.selection != INCLUSIVE and curve.efficiency is not None
    ]
    groups = list(dict.fromkeys(_group(curve) for _, curve in curves))
    labels = classifier_labels(groups)
    ordered = sorted(curves, key=lambda pair: pair[0])
    drawn = {
        group: _draw_group(
            [pair for pair in ordered if _group(pair[1]) == group],
            labels[group],
            PALETTE[index % len(PALETTE)],
            ax,
            ax_added,
        )
        for index, group in enumerate(groups)
    }
    for axes in (ax, ax_added):
        axes.axhline(0, color="0.6", linewidth=1, zorder=0)
        axes.set_xscale("log")
        label_logarithmic(axes.xaxis)
    calibrated = any(curve.calibrated is not None for _, curve in curves)
    ax.set_ylabel(r"Significance $\mathit{z}$" + f"\n{CALIBRATED_LABEL.lower()}" * calibrated)
    ax_added.set(xlabel=r"Selection efficiency $\mathit{\epsilon}$", ylabel=r"$\mathit{z}$ added by signal")
    artists = SensitivityArtists(
        {group: found[0] for group, found in drawn.items()},
        {group: found[1] for group, found in drawn.items()},
        {group: found[2] for group, found in drawn.items()},
        {group: found[3] for group, found in drawn.items()},
        _draw_inclusive(sensitivity.curves, ax, ax_added),
        _draw_nominal([pair for pair in curves if pair[1].calibrated is None], ax) if calibrated else None,
    )
    ax.legend(handles=_handles(artists), loc="upper left", bbox_to_anchor=(1.02, 1.0))
    return artists


def _draw_group(
    pairs: Sequence[tuple[float, SensitivityCurve]], label: str, color: str, ax: Axes, ax_added: Axes
) -> tuple[Line2D, Line2D, Line2D, PolyCollection]:
    efficiencies, curves = [efficiency for efficiency, _ in pairs], [curve for _, curve in pairs]
    shown = [curve.shown for curve in curves]
    medians = np.array([(_median(one.z_with_signal), _median(one.z_without_signal)) for one in shown])
    (with_signal,) = ax.plot(efficiencies, medians[:, 0], "o-", color=color, label=label)
    (without,) = ax.plot(efficiencies, medians[:, 1], "o--", color=color, mfc="white")
    for efficiency, one in zip(efficiencies, shown, strict=True):
        for values, line in ((one.z_with_signal, "-"), (one.z_without_signal, (0, (1, 1)))):
            known = [z for z in values if z is not None]
            if len(known) > 1:
                ax.vlines(efficiency, min(known), max(known), color=color, linestyle=line, linewidth=1.4, zorder=1.5)
    added = np.array([one.z_added or (np.nan,) * 3 for one in shown], np.float64).reshape(-1, 3).T
    (median,) = ax_added.plot(efficiencies, added[1], "o-", color=color)
    band = ax_added.fill_between(efficiencies, added[0], added[2], color=color, alpha=0.3, linewidth=0)
    return with_signal, without, median, band


def _draw_inclusive(curves: Sequence[SensitivityCurve], ax: Axes, ax_added: Axes) -> tuple[Line2D, ...]:
    lines = []
    for curve in curves:
        if curve.selection == INCLUSIVE and curve.z_added is not None:
            levels = (_median(curve.z_with_signal), curve.z_added[1])
            for axes, level in zip((ax, ax_added), levels, strict=True):
                lines.append(axes.axhline(level, color="black", linestyle="-.", label="Inclusive, with signal"))
    return tuple(lines)


def _draw_nominal(pairs: Sequence[tuple[float, SensitivityCurve]], ax: Axes) -> Line2D | None:
    if not pairs:
        return None
    z = [_median(curve.z_with_signal) for _, curve in pairs]
    style: dict[str, Any] = {"color": "0.3", "marker": "s", "markersize": 11, "fillstyle": "none", "linestyle": "none"}
    (line,) = ax.plot([efficiency for efficiency, _ in pairs], z, label=NOMINAL_LABEL, zorder=4, **style)
    return line


def _handles(artists: SensitivityArtists) -> list[Artist]:
    gray: dict[str, Any] = {"color": "0.3", "marker": "o"}
    band = list(artists.bands.values())[:1]
    for one in band:
        one.set_label("Band: 16–84% of them")
    return [
        *artists.with_signal.values(),
        Line2D([], [], linestyle="-", label="With signal", **gray),
        Line2D([], [], linestyle="--", mfc="white", label="Without signal", **gray),
        Line2D([], [], color="0.3", marker="|", linestyle="none", markersize=16, label="Bars: all samplings"),
        *band,
        *artists.inclusive[:1],
        *filter(None, [artists.nominal]),
    ]


def _median(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else np.nan


def _group(curve: SensitivityCurve) -> Group:
    half = split_half(curve.selection)[1]
    return curve.method + (f", half {half}" if half else ""), curve.features


def sensitivity_alt(sensitivity: Sensitivity) -> str:
    """Describe the significance of hidden signal."""
    added = [(z, curve.selection) for curve in sensitivity.curves if (z := curve.shown.z_added) is not None]
    text = (
        f"Significance of {number(sensitivity.strength)} hidden events of {sensitivity.dataset} in {len(added)} "
        "selections"
    )
    if not added:
        return f"{text}."
    (low, median, high), best = max(added, key=lambda pair: pair[0][1])
    band = f"{number(low, 2)} to {number(high, 2)}"
    return f"{text}. It adds most at {selection_text(best)}: z by {number(median, 2)} ({band})."


def sensitivity_rows(sensitivity: Sensitivity) -> Iterator[Row]:
    """Rows of the significance of hidden signal, one per selection and random choice of events."""
    nominal = ("z without signal", "z with signal")
    calibrated = tuple(f"{name}, calibrated" for name in nominal)
    yield "method", "features", "selection", "choice", "efficiency", *nominal, *calibrated
    for curve in sensitivity.curves:
        kinds = (curve,) if curve.calibrated is None else (curve, curve.calibrated)
        columns = [of for one in kinds for of in (one.z_without_signal, one.z_with_signal)]
        for choice, values in enumerate(zip(*columns, strict=False)):
            padded = values + (None,) * (4 - len(values))
            yield curve.method, " ".join(curve.features), curve.selection, choice, curve.efficiency, *padded
