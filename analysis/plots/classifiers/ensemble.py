"""Agreement between the members of an ensemble of classifiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from numpy.typing import NDArray

from analysis.diagnostics.sections import EnsembleSection
from analysis.plots.style import PALETTE, SelectionStyle, selection_label, selection_styles

__all__ = [
    "CountArtists",
    "OverlapArtists",
    "ScoreArtists",
    "SeedArtists",
    "draw_member_counts",
    "draw_overlaps",
    "draw_score_spread",
    "draw_scores",
    "draw_seeds",
]

Array = NDArray[np.float64]

_REGIONS = {
    "window": (PALETTE[2], "-", "o"),
    "sidebands": (PALETTE[0], "--", "s"),
}
_NOTHING = 1e-12
"""Value of an empty bin on a logarithmic axis, far below its lower end."""

_SCORE = "Score, mean of the members"


@dataclass(frozen=True)
class ScoreArtists:
    """Artists of each region.

    Attributes
    ----------
    lines : dict of str to matplotlib.patches.StepPatch
        By region: "window", absent while blinded, and "sidebands".
    bands : dict of str to matplotlib.patches.StepPatch
        Bands of single members; empty for the spread.
    """

    lines: dict[str, StepPatch]
    bands: dict[str, StepPatch]


@dataclass(frozen=True)
class CountArtists:
    """Artists of `draw_member_counts`.

    Attributes
    ----------
    points : dict of (str, str) to matplotlib.lines.Line2D
        One point per member, by selection and region.
    spreads : dict of (str, str) to matplotlib.lines.Line2D
        Mean of the members with its standard deviation.
    """

    points: dict[tuple[str, str], Line2D]
    spreads: dict[tuple[str, str], Line2D]


@dataclass(frozen=True)
class OverlapArtists:
    """Artists of `draw_overlaps`.

    Attributes
    ----------
    members : dict of str to matplotlib.lines.Line2D
        Mean over the pairs of members, by selection.
    ranges : matplotlib.collections.LineCollection or None
        Smallest to largest pair.
    ensemble : dict of str to matplotlib.collections.PathCollection
        Overlap of each member with the ensemble.
    """

    members: dict[str, Line2D]
    ranges: LineCollection | None
    ensemble: dict[str, PathCollection]


@dataclass(frozen=True)
class SeedArtists:
    """Artists of `draw_seeds`.

    Attributes
    ----------
    points : dict of str to matplotlib.lines.Line2D
        z of the further trainings, by selection.
    results : dict of str to matplotlib.lines.Line2D
        z of the training used as the result.
    """

    points: dict[str, Line2D]
    results: dict[str, Line2D]


def draw_scores(section: EnsembleSection, *, ax: Axes) -> ScoreArtists:
    """Draw the distribution of the mean score in each region, with a band of the single members.

    Parameters
    ----------
    section : EnsembleSection
    ax : matplotlib.axes.Axes

    Returns
    -------
    ScoreArtists
    """
    scores, lines, bands = section.scores, {}, {}
    edges = np.array(scores.edges)
    distributions = {
        name: distribution
        for name, distribution in (("window", scores.window), ("sidebands", scores.sidebands))
        if distribution is not None
    }
    means = {name: np.array(distribution.mean, np.float64) for name, distribution in distributions.items()}
    for name, distribution in distributions.items():
        color, dash, _ = _REGIONS[name]
        low, high = np.array(distribution.low, np.float64), np.array(distribution.high, np.float64)
        if section.n_members > 1:
            bands[name] = ax.stairs(high, edges, baseline=low, fill=True, color=color, alpha=0.25, linewidth=0)
        lines[name] = ax.stairs(
            np.maximum(means[name], _NOTHING),
            edges,
            baseline=None,
            color=color,
            linestyle=dash,
            linewidth=2.2,
            label=_region(section, name),
        )
    shown = np.concatenate(list(means.values())) if means else np.ones(1)
    ax.set(yscale="log", xlim=_span(edges), xlabel="Score", ylabel="Fraction of events per bin")
    ax.set_ylim(0.5 * shown[shown > 0].min(), 20 * shown.max())
    handles = [*lines.values()]
    if bands:
        band = next(iter(bands.values()))
        band.set_label("Single members, 16–84%")
        handles.append(band)
    ax.legend(handles=handles, loc="upper right")
    return ScoreArtists(lines, bands)


def _region(section: EnsembleSection, name: str) -> str:
    """Return the label of a region; while blinded the mask cuts into the sidebands."""
    if name == "window":
        return "Window"
    return "Sidebands" if section.scores.window is not None else "Sidebands outside the mask"


def draw_score_spread(section: EnsembleSection, *, ax: Axes) -> ScoreArtists:
    """Draw the standard deviation over the members against their mean, averaged over events.

    Parameters
    ----------
    section : EnsembleSection
        With several members.
    ax : matplotlib.axes.Axes

    Returns
    -------
    ScoreArtists
        Without bands.
    """
    profile, lines, highest = section.profile, {}, 0.0
    if profile is None:
        msg = "the spread is that of several members with different scores"
        raise ValueError(msg)
    edges = np.array(profile.edges)
    profiles = {"window": profile.window, "sidebands": profile.sidebands}
    for name, (color, dash, _) in _REGIONS.items():
        if profiles[name] is not None:
            values = np.array(profiles[name], np.float64)
            lines[name] = ax.stairs(
                values, edges, baseline=None, color=color, linestyle=dash, linewidth=2.2, label=_region(section, name)
            )
            highest = max(highest, float(np.nanmax(values, initial=0.0)))
    ax.set(xlim=_span(edges), ylim=(0, 1.5 * (highest or 1.0)), xlabel=_SCORE)
    ax.set_ylabel("Std. dev. over the members")
    ax.minorticks_off()
    ax.legend(loc="upper right")
    if (pairs := section.rank_correlation) is not None:
        text = f"Rank correlation of two members\n{pairs.mean:.2f} (pairs {pairs.low:.2f}–{pairs.high:.2f})"
        ax.text(0.05, 0.05, text, transform=ax.transAxes, va="bottom", fontsize=14)
    return ScoreArtists(lines, {})


def draw_member_counts(section: EnsembleSection, *, ax: Axes) -> CountArtists:
    """Draw the number of events selected by each member, over the number selected by the ensemble.

    Parameters
    ----------
    section : EnsembleSection
    ax : matplotlib.axes.Axes

    Returns
    -------
    CountArtists
    """
    points, spreads = {}, {}
    for place, selection in enumerate(section.selections):
        for region, counts, shift in (("window", selection.window, -0.2), ("sidebands", selection.sidebands, 0.2)):
            if counts is None or not counts.ensemble:
                continue
            color, _, marker = _REGIONS[region]
            ratio = np.array(counts.members, np.float64) / counts.ensemble
            x = place + shift + np.linspace(-0.12, 0.12, len(ratio)) if len(ratio) > 1 else np.array([place + shift])
            (points[selection.name, region],) = ax.plot(
                *(x, ratio, marker), color=color, markersize=6, alpha=0.75, linestyle="none"
            )
            if len(ratio) > 1:
                mean, error = ratio.mean(), ratio.std(ddof=1)
                drawn = ax.errorbar(
                    place + shift, mean, error, fmt="_", color="black", markersize=18, capsize=5, zorder=4
                )
                spreads[selection.name, region] = drawn.lines[0]
    ax.axhline(1, color="0.45", linestyle=(0, (1, 1.5)), zorder=1)
    _set_selections(section, ax)
    ax.set_ylabel("Events of a member / of ensemble")
    reach = max((abs(np.asarray(line.get_ydata()) - 1).max() for line in points.values()), default=0.1)
    ax.set_ylim(1 - 1.25 * max(reach, 0.02), 1 + 1.9 * max(reach, 0.02))
    shown = [region for region in _REGIONS if any(region == key for _, key in points)]
    handles = [
        Line2D([], [], marker=_REGIONS[key][2], color=_REGIONS[key][0], linestyle="none", label=_region(section, key))
        for key in shown
    ]
    if spreads:
        handles.append(Line2D([], [], marker="_", markersize=18, color="black", label="Mean and std. dev."))
    ax.legend(handles=handles, loc="upper left", ncols=len(handles), columnspacing=1.0, handletextpad=0.4)
    return CountArtists(points, spreads)


def draw_overlaps(section: EnsembleSection, *, ax: Axes) -> OverlapArtists:
    """Draw the overlap of the events selected by members, with each other and with the ensemble.

    Parameters
    ----------
    section : EnsembleSection
    ax : matplotlib.axes.Axes

    Returns
    -------
    OverlapArtists
    """
    members, ensemble, ranges = {}, {}, None
    found = [(place, one.name, one.jaccard_members) for place, one in enumerate(section.selections)]
    paired = {
        name: np.array([place - 0.2, *pairs], np.float64)
        for place, name, pairs in found
        if pairs and pairs[0] is not None
    }
    if paired:
        x, _, low, high = np.array(list(paired.values())).T
        ranges = ax.vlines(x, low, high, color=PALETTE[3], linewidth=2)
    for name, (middle, mean, *_) in paired.items():
        (members[name],) = ax.plot(middle, mean, "D", color=PALETTE[3], markersize=9)
    for place, selection in enumerate(section.selections):
        overlaps = np.array(selection.jaccard_ensemble, np.float64)
        x = place + 0.2 + (np.linspace(-0.12, 0.12, len(overlaps)) if len(overlaps) > 1 else np.zeros(1))
        ensemble[selection.name] = ax.scatter(x, overlaps, marker="o", s=36, color=PALETTE[1], alpha=0.8)
    _set_selections(section, ax)
    ax.set(ylim=(0, 1.25), yticks=np.linspace(0, 1, 6), ylabel="Jaccard overlap")
    handles = [
        Line2D([], [], marker="D", color=PALETTE[3], linewidth=2, label="Two members (range)"),
        Line2D([], [], marker="o", color=PALETTE[1], linestyle="none", label="Member, ensemble"),
    ]
    ax.legend(handles=handles[0 if paired else 1 :], loc="upper left", ncols=2, columnspacing=1.0, handletextpad=0.4)
    return OverlapArtists(members, ranges, ensemble)


def draw_seeds(section: EnsembleSection, *, ax: Axes) -> SeedArtists:
    """Draw the significance of each selection by training seed, calibrated with retraining if possible.

    Parameters
    ----------
    section : EnsembleSection
        With several trainings.
    ax : matplotlib.axes.Axes

    Returns
    -------
    SeedArtists
    """
    styles = selection_styles(trained.name for trained in section.seeds)
    points, results, n_drawn = {}, {}, len(section.seeds)
    some, every = (test(trained.calibrated for trained in section.seeds) for test in (any, all))
    kind = "Calibrated" if every else "Local" if some else "Nominal"
    for index, trained in enumerate(section.seeds):
        z, style = np.array(trained.shown, np.float64), styles[trained.name]
        x = np.arange(len(z)) + (0.5 * (index - (n_drawn - 1) / 2) / max(n_drawn, 1))
        label = selection_label(trained.name) + " (nominal)" * (some and not trained.calibrated)
        marked: dict[str, Any] = {"color": style.color, "marker": style.marker, "linestyle": "none"}
        (points[trained.name],) = ax.plot(x[1:], z[1:], markersize=9, label=label, **marked)
        (results[trained.name],) = ax.plot(x[:1], z[:1], markersize=12, markeredgecolor="black", **marked)
        if np.isfinite(z).any():
            _draw_median(float(np.nanmedian(z)), style, ax)
    n_seeds = max(len(trained.z) for trained in section.seeds)
    ax.axvspan(-0.5, 0.5, color="0.93", zorder=0)
    ax.set_xticks(range(n_seeds), ["0 (result)", *(str(seed) for seed in range(1, n_seeds))])
    ax.minorticks_off()
    ax.set(xlim=(-0.5, n_seeds - 0.5), xlabel="Training seed", ylabel=rf"{kind} significance $\mathit{{z}}$")
    ax.legend(
        loc="upper left", bbox_to_anchor=(1.02, 1.0), title="Lines with open\nmarkers: medians", title_fontsize="small"
    )
    return SeedArtists(points, results)


def _draw_median(median: float, style: SelectionStyle, ax: Axes) -> None:
    """Draw a line with the open marker of the selection at its end."""
    ax.axhline(median, color=style.color, linewidth=1, alpha=0.7)
    ax.plot(
        *([1.0], [median], style.marker),
        transform=ax.get_yaxis_transform(),
        color=style.color,
        markerfacecolor="white",
        markersize=9,
        clip_on=False,
        zorder=4,
    )


def _set_selections(section: EnsembleSection, ax: Axes) -> None:
    labels = [selection_label(selection.name).removeprefix("efficiency ") for selection in section.selections]
    names = [label.replace(", half ", "\n") for label in labels]
    ax.set_xticks(range(len(names)), names)
    ax.tick_params(axis="x", which="both", length=0)
    ax.minorticks_off()  # they take a third of the time
    ax.set(xlim=(-0.5, len(names) - 0.5), xlabel="Selection efficiency")


def _span(edges: NDArray[np.float64]) -> tuple[float, float]:
    """Return the range of bins, widened where all scores are the same."""
    low, high = float(edges[0]), float(edges[-1])
    return (low, high) if high > low else (low - 0.5, low + 0.5)
