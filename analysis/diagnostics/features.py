"""Features in a window, in its sidebands and after each selection, with and without decorrelation."""

from __future__ import annotations

from collections.abc import Mapping

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.diagnostics.region_events import (
    LOWER,
    UPPER,
    WINDOW,
    RegionEvents,
    combine,
    event_folds,
    region_events,
    selected_events,
    side_scales,
)
from analysis.diagnostics.sections import FeatureShapes, FeaturesSection, RegionHistogram, ShapesByRegion, ShapeTest
from analysis.diagnostics.values import ScoredWindow
from analysis.events.schema import FeatureSpec
from analysis.histograms.mass_plane import MASSES
from analysis.regions import MassWindow
from analysis.statistics.homogeneity import compare_shapes

__all__ = ["features"]

Array = NDArray[np.float64]
Columns = Mapping[str, NDArray[np.float32]]

_MAX_BINS = 60
_RANK_BINS = 20


def features(window: ScoredWindow) -> FeaturesSection | None:
    """Histogram the training features and the jet masses.

    Parameters
    ----------
    window : ScoredWindow

    Returns
    -------
    FeaturesSection or None
        Percentiles are computed with the scaling of the fold that scores the event. They and all histograms of the
        window are absent while blinded. For the shape test see `analysis.statistics.homogeneity`. None without events.
    """
    regions = region_events(window)
    if not any(len(sample.rows) for sample in regions.values()):
        return None
    selections = selected_events(window, regions[WINDOW]) if WINDOW in regions else {}
    specs = {spec.name: spec for spec in window.table.features}
    trained = window.result.selections[0].features if window.result.selections else ()
    names = [name for name in dict.fromkeys((*trained, *MASSES)) if name in specs]
    original = {name: window.table.column(name) for name in names}
    scaled = _scaled(window)
    mass_window = window.result.window
    return FeaturesSection(
        tuple(
            FeatureShapes(
                name=name,
                label=specs[name].label,
                unit=specs[name].unit,
                trained=name in trained,
                original=_shapes(original[name], _axis(specs[name]), regions, selections, mass_window),
                scaled=_shapes(scaled[name], (_RANK_BINS, 0.0, 1.0), regions, selections, mass_window)
                if name in scaled
                else None,
            )
            for name in names
        )
    )


def _axis(spec: FeatureSpec) -> tuple[int, float, float]:
    n_bins, low, high = spec.bins
    return min(n_bins, _MAX_BINS), low, high


def _scaled(window: ScoredWindow) -> Columns:
    """Return the percentiles by feature, (n_events,) float32; empty without decorrelation."""
    classifier = window.classifier
    if classifier is None or not classifier.scalings or window.blinded:
        return {}
    fold, names = event_folds(window, classifier), classifier.scalings[0].features
    ranks = np.full((len(fold), len(names)), np.nan, np.float32)
    for number, scaling in enumerate(classifier.scalings):
        rows = fold == number
        ranks[rows] = scaling.apply(window.table.select(rows)).matrix(names)
    return dict(zip(names, ranks.T, strict=True))


def _shapes(
    column: NDArray[np.float32],
    axis: tuple[int, float, float],
    regions: Mapping[str, RegionEvents],
    selections: Mapping[str, RegionEvents],
    window: MassWindow,
) -> ShapesByRegion:
    histograms = {name: _histogram(column, axis, sample) for name, sample in regions.items()}
    return ShapesByRegion(
        edges=tuple(np.linspace(axis[1], axis[2], axis[0] + 1).tolist()),
        regions=histograms,
        selections={name: _histogram(column, axis, sample) for name, sample in selections.items()},
        difference=_difference(histograms, window),
    )


def _histogram(column: NDArray[np.float32], axis: tuple[int, float, float], sample: RegionEvents) -> RegionHistogram:
    histogram = hist.Hist(hist.axis.Regular(*axis), storage=hist.storage.Weight())
    histogram.fill(column[sample.rows], weight=sample.weight)
    values, variances = np.asarray(histogram.values(flow=True)), np.asarray(histogram.variances())
    outside = float(values[0] + values[-1])
    return RegionHistogram(tuple(values[1:-1].tolist()), tuple(variances.tolist()), outside)


def _difference(histograms: Mapping[str, RegionHistogram], window: MassWindow) -> ShapeTest | None:
    arrays = {
        name: (np.array(histogram.values), np.array(histogram.variances)) for name, histogram in histograms.items()
    }
    if len(arrays) < 3 or any(values.sum() <= 0 for values, _ in arrays.values()):
        return None
    lower, upper = arrays[LOWER], arrays[UPPER]
    predicted = combine(lower, upper, side_scales(window, float(lower[0].sum()), float(upper[0].sum()), 1.0))
    test = compare_shapes(*arrays[WINDOW], *predicted)
    return None if test is None else ShapeTest(test.chi2, test.ndof, test.p_value)
