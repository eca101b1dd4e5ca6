"""Comparison of data and simulation, one variable in one region: contents and notes of a control figure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10, sqrt
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.events.schema import SEARCH_REGION, VALIDATION_REGION, FeatureSpec
from analysis.histograms.control import MJJ, REGIONS, SIDEBAND_REGION, ControlHistograms, ControlPlan
from analysis.regions import Interval
from analysis.statistics.homogeneity import Homogeneity, compare_shapes

__all__ = ["Component", "ControlComparison", "compare", "comparisons"]

Array = NDArray[np.float64]

NOTED_FRACTION = 0.01
"""Smallest fraction of events outside the axis or undefined that is noted."""


@dataclass(frozen=True)
class Component:
    """One histogram of a figure.

    Attributes
    ----------
    label : str
        Name, with the scale factor if one was applied.
    histogram : hist.Hist
        One axis, weighted storage.
    """

    label: str
    histogram: hist.Hist[Any]


@dataclass(frozen=True)
class ControlComparison:
    """Contents of one control figure.

    Attributes
    ----------
    variable : FeatureSpec
    region : str
    title : str
        Description of the selected events.
    data : Component
    backgrounds, signals : tuple of Component
        Simulation: stacked, and overlaid on the stack.
    hidden : tuple of (low, high)
        Intervals of the m_jj axis without data, blinded or outside the region; on bin edges.
    blinded : bool
        Whether data were removed from this figure.
    unit_weights : bool
        Whether the data are unweighted counts.
    test : Homogeneity or None
        Shape test of the data against the sum of backgrounds.
    ratio : (value, error) or None
        Data over simulation, if simulation is normalised to a luminosity.
    notes : tuple of str
        Notes on events outside the axis or undefined.
    """

    variable: FeatureSpec
    region: str
    title: str
    data: Component
    backgrounds: tuple[Component, ...]
    signals: tuple[Component, ...]
    hidden: tuple[Interval, ...]
    blinded: bool
    unit_weights: bool
    test: Homogeneity | None
    ratio: tuple[float, float] | None
    notes: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name for files, such as `search_mj1`."""
        return f"{self.region}_{self.variable.name}"


def comparisons(filled: ControlHistograms) -> Iterator[ControlComparison]:
    """Yield the comparison of every variable in every region that holds data."""
    for region in REGIONS:
        for variable in filled.plan.variables:
            if (comparison := compare(filled, region, variable)) is not None:
                yield comparison


def compare(filled: ControlHistograms, region: str, variable: FeatureSpec) -> ControlComparison | None:
    """Compare data with simulation for one variable in one region.

    Backgrounds are used as they are if all are normalised to a luminosity, otherwise their sum is scaled to the area of
    the data; signals are scaled by 1, 2 or 5 times a power of ten, to a peak not above the data.

    Parameters
    ----------
    filled : ControlHistograms
    region : str
    variable : FeatureSpec

    Returns
    -------
    ControlComparison or None
        None without data events.
    """
    observed = _by_group(filled, "observed", region, variable)
    data = Component(next(iter(observed)), _total(list(observed.values())))
    if not _sum(data.histogram).any():
        return None
    beside = region == SIDEBAND_REGION or _is_blinded(filled.plan, region)
    hidden = filled.plan.masks if variable.name == MJJ and beside else ()
    visible = _visible(data.histogram, hidden)
    area = float(_sum(data.histogram)[visible].sum())
    backgrounds, scaled = _backgrounds(filled, region, variable, visible, area)
    model = _total([background.histogram for background in backgrounds]) if backgrounds else None
    counts, variances = _sum(data.histogram), _sum(data.histogram, squared=True)
    return ControlComparison(
        variable,
        region,
        _title(filled.plan, region, variable),
        data,
        backgrounds,
        _signals(filled, region, variable, highest=float(data.histogram.values().max())),
        hidden,
        _is_blinded(filled.plan, region),
        bool(np.array_equal(counts, variances)),
        None if model is None else _test(data.histogram, model, visible),
        None if model is None or scaled else _ratio(data.histogram, model, visible),
        tuple(_notes(filled, region, variable, data, model)),
    )


def _by_group(filled: ControlHistograms, role: str, region: str, variable: FeatureSpec) -> dict[str, hist.Hist[Any]]:
    groups: dict[str, list[hist.Hist[Any]]] = {}
    for sample in filled.samples:
        if sample.role == role:
            groups.setdefault(sample.group, []).append(filled.one(sample.name, region, variable.name))
    return {name: _total(histograms) for name, histograms in groups.items()}


def _backgrounds(
    filled: ControlHistograms, region: str, variable: FeatureSpec, visible: NDArray[np.bool_], area: float
) -> tuple[tuple[Component, ...], bool]:
    """Return the backgrounds, smallest first, and whether they were scaled to the area of the data."""
    groups = _by_group(filled, "background", region, variable)
    groups = {name: histogram for name, histogram in groups.items() if _sum(histogram).any()}
    ordered = sorted(groups.items(), key=lambda item: float(_sum(item[1]).sum()))
    normalised = all(sample.normalised for sample in filled.samples if sample.role == "background")
    total = float(sum(_sum(histogram)[visible].sum() for histogram in groups.values()))
    if normalised or total <= 0:
        return tuple(Component(name, histogram) for name, histogram in ordered), not normalised
    factor = area / total
    label = f" × {factor:.3g} (to the area of the data)"
    return tuple(Component(name + label, histogram * factor) for name, histogram in ordered), True


def _signals(filled: ControlHistograms, region: str, variable: FeatureSpec, *, highest: float) -> tuple[Component, ...]:
    components = []
    for name, histogram in _by_group(filled, "signal", region, variable).items():
        peak = float(histogram.values().max())
        if peak > 0 and highest > 0:
            factor = _round_down(highest / peak)
            components.append(Component(f"{name} × {factor:g}", histogram * factor))
    return tuple(components)


def _round_down(value: float) -> float:
    """Largest of 1, 2 or 5 times a power of ten that does not exceed the value."""
    power = 10.0 ** floor(log10(value))
    return max(step * power for step in (1.0, 2.0, 5.0) if step * power <= value * (1 + 1e-9))


def _test(data: hist.Hist[Any], model: hist.Hist[Any], visible: NDArray[np.bool_]) -> Homogeneity | None:
    arrays = [_sum(histogram, squared=squared)[visible] for histogram in (data, model) for squared in (False, True)]
    return compare_shapes(*arrays)


def _ratio(data: hist.Hist[Any], model: hist.Hist[Any], visible: NDArray[np.bool_]) -> tuple[float, float] | None:
    n, n_variance, b, b_variance = (
        float(_sum(histogram, squared=squared)[visible].sum())
        for histogram in (data, model)
        for squared in (False, True)
    )
    if n <= 0 or b <= 0:
        return None
    return n / b, n / b * sqrt(n_variance / n**2 + b_variance / b**2)


def _notes(
    filled: ControlHistograms,
    region: str,
    variable: FeatureSpec,
    data: Component,
    model: hist.Hist[Any] | None,
) -> Iterator[str]:
    """Yield the fractions of data and simulation outside the axis or undefined, above `NOTED_FRACTION`."""
    sources = [("observed", data.label.lower(), data.histogram), ("background", "simulation", model)]
    for what in ("below the axis", "above the axis", "undefined"):
        parts = []
        for role, label, histogram in sources:
            if histogram is None:
                continue
            values = _sum(histogram)
            total = float(values.sum())
            lost = {"below the axis": values[0], "above the axis": values[-1]}.get(what)
            if lost is None:
                samples = [sample.name for sample in filled.samples if sample.role == role]
                raw = float(sum(_sum(filled.one(name, region, variable.name)).sum() for name in samples))
                lost = sum(filled.undefined(name, region, variable.name) for name in samples)
                total = raw + lost
            if total > 0 and lost > NOTED_FRACTION * total:
                parts.append(f"{label} {100 * lost / total:.1f}%")
        if parts:
            yield f"{what}: {', '.join(parts)}"


def _is_blinded(plan: ControlPlan, region: str) -> bool:
    return plan.blinded and region != VALIDATION_REGION


def _title(plan: ControlPlan, region: str, variable: FeatureSpec) -> str:
    search, validation = plan.abs_dy
    mass = r"$\mathit{m}_{\mathit{jj}}$"
    if region == VALIDATION_REGION:
        title = rf"Validation region: {search:g} ≤ $|\Delta y|$ < {validation:g}"
    else:
        name = "Sidebands of all windows" if region == SIDEBAND_REGION else "Search region"
        title = rf"{name}: $|\Delta y|$ < {search:g}"
    if variable.name == MJJ and region != SIDEBAND_REGION:
        return title
    outside = region == SIDEBAND_REGION or (region == SEARCH_REGION and plan.blinded)
    ranges = _complement(plan.masks, plan.fit_range) if outside else [plan.fit_range]
    return f"{title}, {mass} in {', '.join(f'{low:g}–{high:g}' for low, high in ranges)} GeV"


def _complement(intervals: Sequence[Interval], within: Interval) -> list[Interval]:
    edges = [within[0], *(edge for interval in intervals for edge in interval), within[1]]
    gaps = zip(edges[::2], edges[1::2], strict=True)
    return [(low, high) for low, high in gaps if high > low]


def _visible(histogram: hist.Hist[Any], hidden: Sequence[Interval]) -> NDArray[np.bool_]:
    """(n_bins + 2,) bool: bins, with underflow and overflow, that do not overlap any hidden interval."""
    edges = histogram.axes[0].edges
    shown = np.ones(len(edges) - 1, bool)
    for low, high in hidden:
        shown &= (edges[1:] <= low + 1e-6) | (edges[:-1] >= high - 1e-6)
    return np.concatenate([[True], shown, [True]])


def _sum(histogram: hist.Hist[Any], *, squared: bool = False) -> Array:
    """(n_bins + 2,) float64: sums of weights, or of squared weights, including underflow and overflow."""
    values = histogram.variances(flow=True) if squared else histogram.values(flow=True)
    return np.asarray(values, np.float64)


def _total(histograms: Sequence[hist.Hist[Any]]) -> hist.Hist[Any]:
    total = histograms[0].copy()
    for histogram in histograms[1:]:
        total += histogram
    return total
