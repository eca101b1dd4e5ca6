"""Gain of the classifiers from features and from the weight of the simulation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator
from numpy.typing import NDArray

from analysis.core.quoting import quoted
from analysis.diagnostics.gain_values import FeatureGain, GainScan, WeightGain
from analysis.plots.classifiers.importance import feature_label
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.style import PALETTE, bars_between, sample_name, selection_styles
from analysis.results.numbers import interval, number, percent

__all__ = [
    "SubsetArtists",
    "WeightScanArtists",
    "draw_simulation_weight_scan",
    "draw_subsets",
    "performance_scan_figures",
]

Array = NDArray[np.float64]

_ZERO = 0.45
"""Width of the axis between λ = 0 and the smallest other value, in decades."""

_APART = 0.12
"""Smallest distance between labels of λ, in decades."""

_USES = {"alone": (PALETTE[1], "o", "Alone"), "without": (PALETTE[0], "s", "All but this one")}
_AREA = "Area under the ROC curve"


@dataclass(frozen=True)
class WeightScanArtists:
    """Artists of `draw_simulation_weight_scan`.

    Attributes
    ----------
    lines : dict of float to matplotlib.lines.Line2D
        Median SIC over the trainings, by background efficiency.
    best : dict of float to matplotlib.lines.Line2D
        Maximum of each curve.
    sculpting : matplotlib.lines.Line2D
        Median area of window against sidebands, background alone.
    """

    lines: dict[float, Line2D]
    best: dict[float, Line2D]
    sculpting: Line2D


@dataclass(frozen=True)
class SubsetArtists:
    """Artists of `draw_subsets`.

    Attributes
    ----------
    points : dict of str to matplotlib.lines.Line2D
        Medians over the trainings by use, "alone" and "without", the first feature on top.
    together : matplotlib.lines.Line2D
        All features.
    """

    points: dict[str, Line2D]
    together: Line2D


def draw_simulation_weight_scan(scan: GainScan, *, ax: Axes, ax_sculpting: Axes) -> WeightScanArtists:
    """Draw the significance improvement of SA-CWoLa against λ, and the sculpting of the mass spectrum.

    Parameters
    ----------
    scan : GainScan
        With several weights of the simulation.
    ax : matplotlib.axes.Axes
        Significance improvement; bars from the lowest to the highest training.
    ax_sculpting : matplotlib.axes.Axes
        Area of background in the window against background in the sidebands.

    Returns
    -------
    WeightScanArtists
    """
    gains = sorted(scan.simulation_weight, key=lambda gain: gain.weight)
    weights = np.array([gain.weight for gain in gains])
    efficiencies = scan.background_efficiencies
    styles = list(selection_styles(f"eff_{value:g}" for value in efficiencies).values())[1:]
    lines, best = {}, {}
    for index, (efficiency, style) in enumerate(zip(efficiencies, styles, strict=True)):
        label = rf"$\mathit{{\epsilon}}_{{\mathit{{B}}}}$ = {100 * efficiency:.4g}%"
        values = np.array([[training[index] for training in gain.sic] for gain in gains])
        lines[efficiency] = _draw_medians(weights, values, style.color, style.marker, label, ax)
        y = np.asarray(lines[efficiency].get_ydata())
        top = int(y.argmax())
        (best[efficiency],) = ax.plot(
            *(weights[top], y[top], "*"), color=style.color, markersize=20, markeredgecolor="black", zorder=4
        )
    values = np.array([gain.window_sideband_auc for gain in gains])
    sculpting = _draw_medians(weights, values, "0.2", "o", "Background alone", ax_sculpting)
    ax_sculpting.axhline(0.5, color="0.45", linestyle=(0, (1, 1.5)), zorder=1)
    reach = max(float(np.abs(values - 0.5).max()), 0.01)
    ax_sculpting.set(ylim=(0.5 - 1.4 * reach, 0.5 + 1.4 * reach), ylabel="Window vs.\nsidebands, AUC")
    ax.set(ylim=(0, None), ylabel="Significance improvement")
    ax_sculpting.set_xlabel(r"Weight of the simulation $\mathit{\lambda}$")
    for axes in (ax, ax_sculpting):
        _set_weights(weights, axes)
    star = Line2D([], [], marker="*", color="0.7", linestyle="none", markersize=20, markeredgecolor="black")
    star.set_label("Highest median")
    ax.legend(
        handles=[*lines.values(), star],
        loc="upper left",
        bbox_to_anchor=(1.02, 1.0),
        title=_bars(scan),
        title_fontsize="small",
    )
    return WeightScanArtists(lines, best, sculpting)


def _draw_medians(x: Array, values: Array, color: str, marker: str, label: str, ax: Axes) -> Line2D:
    """Draw the median over the trainings, (n_points, n_trainings), with bars over their full range."""
    median = np.median(values, axis=1)
    errors = bars_between(values.min(axis=1), median, values.max(axis=1))
    drawn = ax.errorbar(x, median, errors, color=color, marker=marker, markersize=8, capsize=3, zorder=3)
    line = drawn.lines[0]
    line.set_label(label)
    return line


def _set_weights(weights: Array, ax: Axes) -> None:
    """Set a logarithmic axis that includes λ = 0, with ticks at all weights and labels where they fit."""
    positive = weights[weights > 0]
    if not positive.size:
        return
    ax.set_xscale("symlog", linthresh=positive.min(), linscale=_ZERO)
    low = -0.25 if weights.min() == 0 else 0.9
    ax.set_xlim(low * positive.min(), 1.15 * positive.max())
    ax.xaxis.set_major_locator(FixedLocator(weights.tolist()))
    ax.xaxis.set_minor_locator(NullLocator())
    texts, last = [], -np.inf
    for weight in weights:
        place = np.log10(weight) if weight > 0 else -np.inf
        near = weight > 0 and place - last < _APART
        texts.append("" if near else "0\nCWoLa" if weight == 0 else f"{weight:g}")
        last = last if near else place
    ax.set_xticks(weights, texts)


def draw_subsets(scan: GainScan, efficiency: float | None = None, *, ax: Axes) -> SubsetArtists:
    """Draw the performance of each feature alone, and of all other features without it.

    Parameters
    ----------
    scan : GainScan
        With sets of features.
    efficiency : float, optional
        One of the background efficiencies of the scan, at which the significance improvement is drawn. By default the
        area under the ROC curve is drawn.
    ax : matplotlib.axes.Axes

    Returns
    -------
    SubsetArtists
    """
    names, points = scan.features, {}
    measured = {(gain.use, gain.feature): _values(gain, scan, efficiency) for gain in scan.subsets}
    together = measured["together", None]
    line = ax.axvline(float(np.median(together)), color="black", linestyle="--", label="All features", zorder=2)
    ax.axvspan(together.min(), together.max(), color="0.85", zorder=0)
    for use, (color, marker, label) in _USES.items():
        there = [(place, measured[use, name]) for place, name in enumerate(names) if (use, name) in measured]
        if not there:
            continue
        y = np.array([place for place, _ in there]) + (0.14 if use == "without" else -0.14)
        values = np.array([found for _, found in there])
        median = np.median(values, axis=1)
        drawn = ax.errorbar(
            *(median, y),
            xerr=bars_between(values.min(axis=1), median, values.max(axis=1)),
            fmt=marker,
            color=color,
            markersize=9,
            capsize=3,
            zorder=3,
        )
        points[use] = drawn.lines[0]
        points[use].set_label(label)
    labels = [feature_label(*both) for both in zip(names, scan.labels, strict=True)]
    ax.set_yticks(range(len(names)), labels)
    ax.tick_params(axis="y", which="both", length=0)
    ax.minorticks_off()
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.set_xlabel(
        _AREA if efficiency is None else rf"SIC at $\mathit{{\epsilon}}_{{\mathit{{B}}}}$ = {100 * efficiency:.4g}%"
    )
    return SubsetArtists(points, line)


def _values(gain: FeatureGain, scan: GainScan, efficiency: float | None) -> Array:
    if efficiency is None:
        return np.array(gain.auc, np.float64)
    index = scan.background_efficiencies.index(efficiency)
    return np.array([training[index] for training in gain.sic], np.float64)


def _bars(scan: GainScan) -> str:
    return f"Median and range\nof {scan.trainings} trainings" if scan.trainings > 1 else "One training"


def performance_scan_figures(scans: Sequence[GainScan]) -> Iterator[ResultFigure]:
    """List the figures of `performance.json`.

    Yields
    ------
    ResultFigure
        `lambda_<signal>` and `subsets_<signal>`.
    """
    for scan in scans:
        where = f"{scan.signal} in {interval(scan.window.signal)} GeV"
        if scan.simulation_weight:
            yield ResultFigure(
                f"lambda_{quoted(scan.signal)}",
                partial(_weights, scan),
                f"{where}: gain against the weight λ of the simulation",
                partial(_weights_alt, scan),
                partial(weight_rows, scan),
                "classifiers",
            )
        if scan.subsets:
            yield ResultFigure(
                f"subsets_{quoted(scan.signal)}",
                partial(_features, scan),
                f"{where}: gain from each feature",
                partial(_subsets_alt, scan),
                partial(subset_rows, scan),
                "classifiers",
            )


def _weights(scan: GainScan) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(11.5, 9.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
    draw_simulation_weight_scan(scan, ax=upper, ax_sculpting=lower)
    figure.align_ylabels([upper, lower])
    upper.set_title(_title(scan), loc="right")
    return figure, upper


def _features(scan: GainScan) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(15.0, 2.8 + 0.55 * len(scan.features)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_subsets(scan, min(scan.background_efficiencies), ax=left)
    drawn = draw_subsets(scan, ax=right)
    left.set_xlim(left=0)
    handles = [drawn.together, *drawn.points.values()]
    right.legend(
        handles=handles, loc="upper left", bbox_to_anchor=(1.02, 1.0), title=_bars(scan), title_fontsize="small"
    )
    right.set_title(f"{scan.method}, {_title(scan)}", loc="right")
    return figure, left


def _title(scan: GainScan) -> str:
    low, high = scan.window.signal
    return f"{sample_name(scan.signal)}, {low:g}–{high:g} GeV"


def _median(gain: WeightGain | FeatureGain, column: int) -> str:
    return number(median(training[column] for training in gain.sic))


def weight_rows(scan: GainScan) -> Iterator[Row]:
    """Rows of the scan of λ, one per value and training."""
    yield "weight of the simulation", "training", *_measured_columns(scan)
    for gain in scan.simulation_weight:
        for training, values in enumerate(_measured(gain)):
            yield gain.weight, training, *values


def subset_rows(scan: GainScan) -> Iterator[Row]:
    """Rows of the gain from each feature, one per set of features and training."""
    yield "features", "feature", "training", *_measured_columns(scan)
    for gain in scan.subsets:
        for training, values in enumerate(_measured(gain)):
            yield gain.use, gain.feature, training, *values


def _measured_columns(scan: GainScan) -> list[str]:
    cuts = [f"SIC at background efficiency {value:g}" for value in scan.background_efficiencies]
    return [*cuts, "area under the ROC curve", "area, window against sidebands"]


def _measured(gain: WeightGain | FeatureGain) -> Iterator[Row]:
    for sic, auc, flat in zip(gain.sic, gain.auc, gain.window_sideband_auc, strict=True):
        yield *sic, auc, flat


def _weights_alt(scan: GainScan) -> str:
    found, column = _tightest(scan)
    medians = ", ".join(f"{gain.weight} {_median(gain, column)}" for gain in scan.simulation_weight)
    return f"Weight and {found}: {medians}."


def _subsets_alt(scan: GainScan) -> str:
    found, column = _tightest(scan)
    medians = ", ".join(
        " ".join(filter(None, (gain.use, gain.feature, _median(gain, column)))) for gain in scan.subsets
    )
    return f"Features and {found}: {medians}."


def _tightest(scan: GainScan) -> tuple[str, int]:
    tight = min(scan.background_efficiencies)
    found = f"median significance improvement at {percent(tight)} of the background"
    return found, scan.background_efficiencies.index(tight)
