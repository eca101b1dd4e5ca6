"""Histograms of every feature in data and simulation, before any training.

Selected events are divided into three regions: `search` and `sideband` have the small rapidity difference of the
search, `sideband` without the masks of all windows; `validation` is the signal-poor region at larger differences.
Features use the range of the background fit, m_jj the whole table. While blinded, data events inside a mask of the
search region are never read into a histogram, and simulation gets the same cut, so that both can be compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeVar, cast

import hist
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.core.location import Location
from analysis.errors import TableError
from analysis.events.parts import Part
from analysis.events.schema import SEARCH_REGION, VALIDATION_REGION, FeatureSpec
from analysis.regions import Interval, RegionScan, in_any

__all__ = [
    "REGIONS",
    "SIDEBAND_REGION",
    "ControlHistograms",
    "ControlPlan",
    "ControlSample",
    "axis_label",
    "fill_control",
]

SIDEBAND_REGION = "sideband"
REGIONS = (SEARCH_REGION, SIDEBAND_REGION, VALIDATION_REGION)

MJJ = "mjj"
_BESIDE_FEATURES = (MJJ, "abs_dy")
MAX_BINS = 120
UNDEFINED = "undefined"
"""Name of the histogram of events in which a feature is undefined, by feature."""

_BATCH = 200_000
_FIXED = ("mjj", "abs_dy", "weight", "rapidity_region")

Flags = NDArray[np.bool_]
R = TypeVar("R")


@dataclass(frozen=True)
class ControlSample:
    """One dataset of the control histograms.

    Attributes
    ----------
    name : str
    role : str
        "observed", "background" or "signal".
    parts : tuple of Location
    scale : float
        Factor on the stored weights.
    normalised : bool
        Whether `scale` normalises the sample to a luminosity.
    group : str
        Name of the sample in figures; samples of one group are drawn as one.
    """

    name: str
    role: str
    parts: tuple[Location, ...]
    scale: float
    normalised: bool
    group: str


@dataclass(frozen=True)
class ControlPlan:
    """Plan of the control histograms: variables, regions and hidden masks.

    Attributes
    ----------
    variables : tuple of FeatureSpec
        All features, then `mjj` and `abs_dy`.
    fit_range : (low, high)
        m_jj range of the events used for features, GeV.
    masks : tuple of (low, high)
        Union of the masks of all windows as disjoint intervals on edges of the m_jj axis, GeV.
    abs_dy : (float, float)
        Upper ends of the search region and of the validation region.
    blinded : bool
    """

    variables: tuple[FeatureSpec, ...]
    fit_range: Interval
    masks: tuple[Interval, ...]
    abs_dy: tuple[float, float]
    blinded: bool

    @classmethod
    def from_config(cls, config: SearchConfig, features: Iterable[FeatureSpec], *, blinded: bool) -> ControlPlan:
        """Define the histograms of a configuration."""
        selection, scan = config.selection, config.scan
        mjj = _mjj_spec(config)
        n_bins, low, high = mjj.bins
        axis = np.linspace(low, high, n_bins + 1)
        limits = (selection.abs_dy_search, selection.abs_dy_validation)
        abs_dy = FeatureSpec("abs_dy", r"$|\Delta y|$", "", (40, 0.0, selection.abs_dy_validation))
        masks = [window.mask for window in RegionScan.from_config(scan).windows]
        return cls((*features, mjj, abs_dy), scan.fit_range, _union(masks, axis), limits, blinded)

    def in_masks(self, mjj: NDArray[np.float64]) -> Flags:
        """(n_events,) bool: events inside a mask of any window. `mjj` in GeV."""
        return in_any(mjj, self.masks)

    def rows(self, columns: Mapping[str, NDArray[Any]], *, observed: bool, of_mjj: bool) -> dict[str, Flags]:
        """Select the events of each region.

        Parameters
        ----------
        columns : mapping of str to (n_events,) array
            `mjj` in GeV and `rapidity_region`.
        observed : bool
            Whether the events are data or pseudodata.
        of_mjj : bool
            Whether the rows are for the m_jj spectrum instead of the features.

        Returns
        -------
        dict of str to (n_events,) bool
        """
        mjj, label = columns["mjj"], columns["rapidity_region"]
        search, validation = label == SEARCH_REGION, label == VALIDATION_REGION
        beside = ~self.in_masks(mjj)
        everything = np.ones(len(mjj), bool)
        visible = beside if self.blinded and (observed or not of_mjj) else everything
        inside = (mjj >= self.fit_range[0]) & (mjj < self.fit_range[1])
        used = everything if of_mjj else inside
        return {
            SEARCH_REGION: search & used & visible,
            SIDEBAND_REGION: search & inside & beside,
            VALIDATION_REGION: validation & used,
        }


@dataclass(frozen=True)
class ControlHistograms:
    """Filled control histograms.

    Attributes
    ----------
    samples : tuple of ControlSample
    plan : ControlPlan
    histograms : dict of str to hist.Hist
        By variable, with the axes `dataset`, `region` and the variable; also `undefined` with `dataset`, `region` and
        `variable`. Filled with normalised weights, so that the variance is the sum of squared weights.
    """

    samples: tuple[ControlSample, ...]
    plan: ControlPlan
    histograms: dict[str, hist.Hist[Any]]

    def one(self, sample: str, region: str, variable: str) -> hist.Hist[Any]:
        """Return the histogram of a variable for one dataset in one region."""
        return cast("hist.Hist[Any]", self.histograms[variable][sample, region, :])

    def undefined(self, sample: str, region: str, variable: str) -> float:
        """Sum of weights of the events in which the variable is undefined."""
        return float(cast("Any", self.histograms[UNDEFINED][sample, region, variable]).value)


def fill_control(samples: Sequence[ControlSample], plan: ControlPlan, backend: Backend) -> ControlHistograms:
    """Read all samples in parallel, in batches of rows and with the required columns only.

    Parameters
    ----------
    samples : sequence of ControlSample
    plan : ControlPlan
    backend : Backend

    Returns
    -------
    ControlHistograms
    """
    tasks = [(sample, part) for sample in samples for part in sample.parts]
    dataset = hist.axis.StrCategory([sample.name for sample in samples], name="dataset")
    total = {name: hist.Hist(dataset, *axes, storage=hist.storage.Weight()) for name, axes in _axes(plan).items()}
    filled = backend.map(_fill_part, tasks, shared=plan)
    for index, histograms in _in_order(track(filled, total=len(tasks), description="Filling")):
        position = dataset.index(tasks[index][0].name)
        for name, histogram in histograms.items():
            total[name].view(flow=True)[position] += histogram.view(flow=True)
    return ControlHistograms(tuple(samples), plan, total)


def _in_order(results: Iterable[tuple[int, R]]) -> Iterator[tuple[int, R]]:
    """Yield results in order, so that sums do not depend on the order of completion."""
    waiting: dict[int, R] = {}
    turn = 0
    for index, result in results:
        waiting[index] = result
        while turn in waiting:
            yield turn, waiting.pop(turn)
            turn += 1


def _fill_part(task: tuple[ControlSample, Location], plan: ControlPlan) -> dict[str, hist.Hist[Any]]:
    sample, part = task
    histograms = {name: hist.Hist(*axes, storage=hist.storage.Weight()) for name, axes in _axes(plan).items()}
    for columns in _batches(part, plan):
        weight = columns["weight"] * sample.scale
        observed = sample.role == "observed"
        of_mjj = plan.rows(columns, observed=observed, of_mjj=True)
        of_features = plan.rows(columns, observed=observed, of_mjj=False)
        for spec in plan.variables:
            values = columns[spec.name]
            defined = np.isfinite(values)
            for region, rows in (of_mjj if spec.name == MJJ else of_features).items():
                shown, lost = rows & defined, rows & ~defined
                histograms[spec.name].fill(region, values[shown], weight=weight[shown])
                histograms[UNDEFINED].fill(region, [spec.name] * int(lost.sum()), weight=weight[lost])
    return histograms


def _batches(part: Location, plan: ControlPlan) -> Iterator[dict[str, NDArray[Any]]]:
    names = list(dict.fromkeys((*_FIXED, *(spec.name for spec in plan.variables))))
    opened = Part.open(part)
    if opened.features != plan.variables[: -len(_BESIDE_FEATURES)]:
        msg = f"{part} has other features than the first part: process again."
        raise TableError(msg)
    for batch in opened.file.iter_batches(batch_size=_BATCH, columns=names):
        yield {name: _to_numpy(batch[name]) for name in names}


def _to_numpy(column: pa.Array) -> NDArray[Any]:
    decoded = pc.cast(column, pa.string()) if pa.types.is_dictionary(column.type) else column
    values: NDArray[Any] = decoded.to_numpy(zero_copy_only=False)
    return values


def _axes(plan: ControlPlan) -> dict[str, tuple[Any, ...]]:
    region = hist.axis.StrCategory(REGIONS, name="region")
    variables = hist.axis.StrCategory([spec.name for spec in plan.variables], name="variable")
    return {
        **{
            spec.name: (region, hist.axis.Regular(*spec.bins, name=spec.name, label=axis_label(spec)))
            for spec in plan.variables
        },
        UNDEFINED: (region, variables),
    }


def axis_label(spec: FeatureSpec) -> str:
    """Label of a feature with its unit."""
    return f"{spec.label} [{spec.unit}]" if spec.unit else spec.label


def _mjj_spec(config: SearchConfig) -> FeatureSpec:
    """Bins of m_jj on the fit grid, from the lowest selected mass to the end of the fit range."""
    (start, end), width = config.scan.fit_range, config.scan.bin_width
    while (end - config.selection.mjj_min) / width > MAX_BINS:
        width *= 2
    n_bins = max(ceil((end - min(config.selection.mjj_min, start)) / width - 1e-9), 1)
    label = r"$\mathit{m}_{\mathit{jj}}$"
    return FeatureSpec(MJJ, label, "GeV", (n_bins, end - n_bins * width, end))


def _union(intervals: Iterable[Interval], edges: NDArray[np.float64]) -> tuple[Interval, ...]:
    """Return disjoint intervals that contain all given ones, widened to the edges of an axis."""
    tiny = 1e-9 * edges[-1]
    merged: list[Interval] = []
    for low, high in sorted(intervals):
        start = float(edges[max(int(np.searchsorted(edges, low + tiny, side="right")) - 1, 0)])
        stop = float(edges[min(int(np.searchsorted(edges, high - tiny)), len(edges) - 1)])
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return tuple(merged)
