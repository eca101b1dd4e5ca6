"""Features inside a window, in both sidebands and after the cut, with and without decorrelation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from numpy.typing import NDArray

from analysis.diagnostics.sections import (
    DiagnosedWindow,
    FeatureShapes,
    FeaturesSection,
    RegionHistogram,
    ShapesByRegion,
)
from analysis.events.schema import FeatureSpec
from analysis.histograms.control import axis_label
from analysis.plots.figure import ResultFigure, Row
from analysis.plots.panels import add_heading, add_panels, simplify_ticks, window_title
from analysis.plots.style import PALETTE, format_fit_quality, italic, selection_label
from analysis.results.numbers import interval, p_value

__all__ = ["FeatureArtists", "draw_feature", "feature_figures", "usable_selection"]

Array = NDArray[np.float64]

_REGIONS = {
    "window": ("Window", "black", "-"),
    "lower": ("Lower sideband", PALETTE[0], "--"),
    "upper": ("Upper sideband", PALETTE[1], "-."),
}
_CUT_COLOR = PALETTE[2]
_MIN_EVENTS = 25.0
"""Smallest number of effective events for the shape of a selection."""

_EVENTS_PER_POINT, _EVENTS_PER_STEP = 6.0, 12.0
_GROUPS = (1, 2, 5, 10)
_HEADROOM = 1.08
_LARGE, _SMALL = (3.4, 2.8), (3.4, 2.1)
_MARGINS = (1.05, 0.3, 0.9, 2.1)
"""Panel size for few and for many panels, and margins: left, right, bottom, top; inches."""

_TEST_SIZE = 15


@dataclass(frozen=True)
class FeatureArtists:
    """Artists of `draw_feature`.

    Attributes
    ----------
    regions : dict of str to matplotlib.patches.StepPatch
        Available regions out of window and sidebands, each of unit sum; neighbouring bins are merged if a region has
        few events.
    cut : matplotlib.container.ErrorbarContainer or None
        Window after the selection, of unit sum, with bins merged likewise.
    """

    regions: dict[str, StepPatch]
    cut: ErrorbarContainer | None


def feature_figures(windows: Sequence[DiagnosedWindow]) -> Iterator[ResultFigure]:
    """List `features_<window>`."""
    for diagnosed in windows:
        if (section := diagnosed.features) is not None:
            name = diagnosed.window.name
            yield ResultFigure(
                f"features_{name}",
                partial(_figure, section.features, diagnosed),
                f"{interval(diagnosed.window.signal)} GeV: features in window and sidebands, and after a cut",
                partial(_features_alt, section),
                partial(feature_rows, section),
                "diagnostics",
                name,
            )


def draw_feature(
    feature: FeatureShapes, selection: str | None = None, *, ax: Axes, scaled: bool = False
) -> FeatureArtists:
    """Draw one feature.

    Parameters
    ----------
    feature : FeatureShapes
    selection : str, optional
        Also draw the window after this selection.
    ax : matplotlib.axes.Axes
    scaled : bool
        Draw the percentiles, which must be available, instead.

    Returns
    -------
    FeatureArtists
    """
    content = feature.scaled if scaled else feature.original
    if content is None:
        msg = f"{feature.name} has no percentiles"
        raise ValueError(msg)
    edges = np.array(content.edges)
    regions = {name: _arrays(content.regions[name]) for name in _REGIONS if name in content.regions}
    joined = max((_joined(*one, _EVENTS_PER_STEP) for one in regions.values()), default=1)
    shapes = {name: _shape(values, joined) for name, (values, _) in regions.items()}
    patches = {
        name: ax.stairs(
            shape, edges[::joined], label=_REGIONS[name][0], color=_REGIONS[name][1], ls=_REGIONS[name][2], lw=2
        )
        for name, shape in shapes.items()
        if shape.any()
    }
    cut = None if selection is None else _draw_cut(content.selections[selection], edges, selection, ax)
    spec = FeatureSpec(feature.name, feature.label, feature.unit, (1, 0.0, 1.0))
    label = italic(axis_label(spec))
    ax.set_xlabel(f"Percentile of {italic(spec.label)}" if scaled else label)
    ax.set_xlim(0.0, 1.0) if scaled else ax.set_xlim(*_occupied(edges[::joined], list(shapes.values())))
    ax.set_ylim(0.0, _HEADROOM * ax.dataLim.y1 if ax.dataLim.y1 > 0 else 1.0)
    if (test := content.difference) is not None:
        quality = format_fit_quality(test.chi2, test.ndof, test.p_value)
        ax.set_title(quality, loc="right", fontsize=_TEST_SIZE)
    return FeatureArtists(patches, cut)


def usable_selection(features: Sequence[FeatureShapes]) -> str | None:
    """Return the tightest selection with enough events in the window for a shape, or None."""
    usable = {}
    for name, histogram in (features[0].original.selections if features else {}).items():
        events = sum(histogram.values)
        if events > 0 and events**2 >= _MIN_EVENTS * sum(histogram.variances):
            usable[name] = events
    return min(usable, key=lambda name: usable[name]) if usable else None


def _arrays(histogram: RegionHistogram) -> tuple[Array, Array]:
    return np.array(histogram.values, np.float64), np.array(histogram.variances, np.float64)


def _shape(values: Array, joined: int) -> Array:
    """Return the fraction of events per bin, averaged over merged bins."""
    steps = values.reshape(-1, joined).sum(axis=1)
    return steps / steps.sum() / joined if steps.sum() > 0 else np.zeros(steps.shape)


def _draw_cut(histogram: RegionHistogram, edges: Array, selection: str, ax: Axes) -> ErrorbarContainer | None:
    values, variances = _arrays(histogram)
    total = values.sum()
    if total <= 0:
        return None
    joined = _joined(values, variances, _EVENTS_PER_POINT)
    values, variances = (part.reshape(-1, joined).sum(axis=1) for part in (values, variances))
    wide = edges[::joined]
    filled = values != 0
    return ax.errorbar(
        ((wide[1:] + wide[:-1]) / 2)[filled],
        values[filled] / total / joined,
        yerr=np.sqrt(variances[filled]) / total / joined,
        xerr=(np.diff(wide) / 2)[filled],
        fmt="s",
        color=_CUT_COLOR,
        markersize=5,
        linewidth=1.5,
        label=f"Window, {selection_label(selection)}",
    )


def _joined(values: Array, variances: Array, wanted: float) -> int:
    """Choose the number of bins to merge such that they hold the wanted number of effective events on average."""
    if values.sum() <= 0:
        return 1
    events = values.sum() ** 2 / variances.sum()
    fitting = [size for size in _GROUPS if len(values) % size == 0]
    for size in fitting:
        filled = np.count_nonzero(values.reshape(-1, size).sum(axis=1))
        if events / filled >= wanted:
            return size
    return fitting[-1]


def _occupied(edges: Array, shapes: Sequence[Array]) -> tuple[float, float]:
    filled = np.flatnonzero(np.max(shapes, axis=0)) if shapes else np.array([], np.int64)
    if not len(filled):
        return float(edges[0]), float(edges[-1])
    return float(edges[filled[0]]), float(edges[filled[-1] + 1])


def _figure(features: Sequence[FeatureShapes], diagnosed: DiagnosedWindow) -> tuple[Figure, Axes]:
    selection = usable_selection(features)
    decorrelated = any(feature.scaled is not None for feature in features)
    columns = 2 if len(features) <= 4 else 3 if len(features) <= 9 else 4
    blocks = [features[start : start + columns] for start in range(0, len(features), columns)]
    rows = [(block, scaled) for block in blocks for scaled in ((False, True) if decorrelated else (False,))]
    spaces = [0.0, *[0.85] * (columns - 1)]
    figure, panels = add_panels(_LARGE if len(rows) <= 3 else _SMALL, _MARGINS, spaces, len(rows), 1.15)
    for (block, scaled), line in zip(rows, panels, strict=True):
        for number, ax in enumerate(line):
            if number >= len(block) or (scaled and block[number].scaled is None):
                ax.axis("off")
                continue
            draw_feature(block[number], selection, ax=ax, scaled=scaled)
            simplify_ticks(ax)
            if number == 0 or line[number - 1].axison is False:
                ax.set_ylabel("Fraction of events")
    heading = add_heading(figure, window_title(diagnosed.window.signal, blinded=diagnosed.blinded), panels[0])
    _legend(figure, panels, features)
    return figure, heading


def _legend(figure: Figure, panels: Sequence[Sequence[Axes]], features: Sequence[FeatureShapes]) -> None:
    found: dict[str, Artist] = {}
    for ax in (ax for line in panels for ax in line):
        found |= {label: handle for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    notes = []
    if any(feature.original.difference is not None for feature in features):
        notes.append("χ²: window against both sidebands")
    if further := [italic(feature.label) for feature in features if not feature.trained]:
        notes.append(f"not trained on: {', '.join(further)}")
    figure.legend(
        found.values(),
        found.keys(),
        loc="upper center",
        bbox_to_anchor=(0.5, 1 - 0.5 / figure.get_figheight()),
        ncols=2,
        title="; ".join(notes) or None,
        title_fontsize="medium",
        fontsize="medium",
        borderaxespad=0.2,
    )


def _features_alt(section: FeaturesSection) -> str:
    tests = [
        f"{feature.name} {p_value(test.p_value)}"
        for feature in section.features
        if (test := feature.original.difference) is not None
    ]
    compared = f" p-values of window against sidebands: {', '.join(tests)}." if tests else ""
    return f"Distributions of the features in the window, in its sidebands and after a cut.{compared}"


def feature_rows(section: FeaturesSection) -> Iterator[Row]:
    """Rows of the distributions of all features: one per feature and bin, with columns for regions and selections."""
    contents = [
        (feature, scaled, content)
        for feature in section.features
        for scaled, content in ((False, feature.original), (True, feature.scaled))
        if content is not None
    ]
    names = list(dict.fromkeys(name for *_, content in contents for name in _histograms(content)))
    columns = (f"{name} [{unit}]" for name in names for unit in ("sum of weights", "sum of squared weights"))
    yield "feature", "unit", "decorrelated", "bin low", "bin high", *columns
    for feature, scaled, content in contents:
        found, unit = _histograms(content), "" if scaled else feature.unit
        for index, edges in enumerate(pairwise(content.edges)):
            sums = (found.get(name) for name in names)
            values = ((None, None) if one is None else (one.values[index], one.variances[index]) for one in sums)
            yield feature.name, unit, scaled, *edges, *chain.from_iterable(values)


def _histograms(content: ShapesByRegion) -> dict[str, RegionHistogram]:
    return {**content.regions, **content.selections}
