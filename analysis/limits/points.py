"""A signal sample before injection: its window, inclusive limit and injected strengths."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from analysis.background import BackgroundFit, choose_order, outside, require_functions
from analysis.config import SearchConfig
from analysis.errors import StatisticsError, TableError, WindowError
from analysis.histograms.spectra import NOMINAL
from analysis.learning import PassWeights
from analysis.limits.injection import InjectionData
from analysis.regions import Interval, MassWindow, RegionScan
from analysis.search.evaluation import evaluate_window
from analysis.signals.template import SignalTemplate, net_yield, signal_template
from analysis.signals.window import approximate_limit, choose_window
from analysis.statistics import LimitResult, counting_z

__all__ = ["LimitPoint", "prepare_point", "strength_of_significance"]

Array = NDArray[np.float64]

_CORE = 0.8
"""Fraction of the template inside the first mask, used in the background fit for the choice of window."""

_LARGEST_SHARE = 0.5
"""Largest fraction of the simulated events to inject; the others measure the efficiency."""


@dataclass(frozen=True)
class LimitPoint:
    """A signal sample, ready to be injected.

    Attributes
    ----------
    signal : str
    window : MassWindow
    inclusive : LimitResult
        Expected limit without a classifier, in units of the strength: selected signal events.
    background, background_error : float
        Events in the window before any classifier.
    net : float
        Selected signal events in the window in excess of the fitted background, as a fraction of all selected.
    strengths : tuple of float
        Strengths to inject; 0 first.
    left_out : tuple of float
        Configured strengths that need more simulated events than available.
    """

    signal: str
    window: MassWindow
    inclusive: LimitResult
    background: float
    background_error: float
    net: float
    strengths: tuple[float, ...]
    left_out: tuple[float, ...] = ()


def prepare_point(name: str, shared: InjectionData) -> LimitPoint:
    """Choose the window of a sample and set its inclusive limit, independent of the counts in the window.

    Parameters
    ----------
    name : str
        Name of the sample.
    shared : InjectionData

    Returns
    -------
    LimitPoint

    Raises
    ------
    WindowError
        If no window has signal and sidebands.
    TableError
        If the sample has too few simulated events for any strength.
    StatisticsError
        If no inclusive limit can be set.
    """
    sample, config, data = shared.samples[name], shared.config, shared.search
    regions = RegionScan.from_config(config.scan)
    edges = regions.edges(regions.windows[0])
    table = sample.tables[NOMINAL]
    template = signal_template(table, edges, generated=float(table.weight.sum()))
    spectrum = np.histogram(data.table.mjj, edges, weights=data.table.weight)[0].astype(np.float64)
    window = _template_window(name, template, spectrum, config)
    if config.limits.window == "scan":
        window = _scan_window(name, template, spectrum, config, regions)
    passes = PassWeights.everything(len(data.table))
    (inclusive,) = evaluate_window(replace(data, blinded=True), window, edges, passes, (), config).selections
    if inclusive.limit is None or inclusive.fit is None or not inclusive.background or not inclusive.total_error:
        raise StatisticsError(inclusive.reason or f"signal {name}: there is no inclusive limit.")
    net = _net(template, inclusive.fit, window, config) / float(table.weight.sum())
    limit = inclusive.limit.scaled(1.0 / net)
    wanted = [round(float(f"{part * limit.expected_events[2]:.4g}"), 6) for part in config.limits.strengths]
    largest = _LARGEST_SHARE * len(table)
    kept = [strength for strength in sorted(wanted) if strength <= largest]
    if not kept:
        msg = (
            f"signal {name}: the weakest injection needs {min(wanted):.4g} events, and {len(table)} are simulated and "
            "selected. Simulate at least four times as many, or lower limits.strengths."
        )
        raise TableError(msg)
    return LimitPoint(
        name,
        window,
        limit,
        inclusive.background,
        inclusive.total_error,
        net,
        (0.0, *kept),
        tuple(strength for strength in sorted(wanted) if strength > largest),
    )


def strength_of_significance(point: LimitPoint, z: float, likelihood: str = "profile") -> float:
    """Return the selected signal events that an inclusive search expects to see with a significance of z."""
    b, error = np.array([point.background]), np.array([point.background_error])

    def excess(strength: float) -> float:
        return float(counting_z(b + strength * point.net, b, error, likelihood)[0]) - z

    high = 2.0 * (z + 1.0) * float(np.hypot(np.sqrt(b[0]), error[0]) + z) / point.net
    return float(brentq(excess, 0.0, 10.0 * high))


def _template_window(name: str, template: SignalTemplate, spectrum: Array, config: SearchConfig) -> MassWindow:
    edges, scan = template.edges, config.scan
    mask = _core(template.yields()[0], edges, scan.least_sideband, name)
    fit = _fit(spectrum, edges, mask, config)
    choice = choose_window(
        template,
        fit.expected(edges)[0],
        fit.function.name,
        sqrt_s_gev=config.background.sqrt_s_gev,
        min_sideband=max(scan.least_sideband, 2 * scan.bin_width),
        level=config.statistics.cls_level,
    )
    return choice.mass_window(scan.reach(choice.signal), scan.fit_range)


def _core(signal: Array, edges: Array, sideband: float, name: str) -> Interval:
    """Return the shortest run of bins that holds most of the template, cut so that sidebands remain."""
    if signal.sum() <= 0:
        msg = f"signal {name} has no event in {edges[0]:g}-{edges[-1]:g} GeV, the fit range. Choose another range."
        raise WindowError(msg)
    total = np.concatenate([[0.0], np.cumsum(signal)])
    runs = [
        (high - low, low, high)
        for low in range(len(signal))
        for high in range(low + 1, len(signal) + 1)
        if total[high] - total[low] >= _CORE * total[-1]
    ]
    _, low, high = min(runs)
    start = max(float(edges[low]), float(edges[0]) + sideband)
    stop = min(float(edges[high]), float(edges[-1]) - sideband)
    if start >= stop:
        msg = (
            f"signal {name} peaks in {edges[low]:g}-{edges[high]:g} GeV, at the end of the fit range {edges[0]:g}-"
            f"{edges[-1]:g} GeV: there are no sidebands. Widen scan.fit_range or leave the sample out with --signal."
        )
        raise WindowError(msg)
    return start, stop


def _scan_window(
    name: str, template: SignalTemplate, spectrum: Array, config: SearchConfig, regions: RegionScan
) -> MassWindow:
    edges = template.edges
    ranked: list[tuple[float, MassWindow]] = []
    for window in regions.windows:
        fit = _fit(spectrum, edges, window.mask, config)
        expected, net = fit.estimate(*window.signal), _net(template, fit, window, config)
        if net > 0:
            ranked.append((float(approximate_limit(expected.value, expected.up) / net), window))
    if not ranked:
        msg = f"signal {name} has no events in any window of the search. Add a window, or leave it out with --signal."
        raise WindowError(msg)
    return min(ranked, key=lambda limit_and_window: limit_and_window[0])[1]


def _fit(spectrum: Array, edges: Array, mask: Interval, config: SearchConfig) -> BackgroundFit:
    settings = config.background
    hidden = np.where(outside(edges, mask), spectrum, 0.0)
    return choose_order(
        hidden,
        edges,
        mask=mask,
        functions=require_functions(settings.functions, settings.strategy),
        alpha=settings.alpha,
        sqrt_s_gev=settings.sqrt_s_gev,
        strategy=settings.strategy,
    )


def _net(template: SignalTemplate, fit: BackgroundFit, window: MassWindow, config: SearchConfig) -> float:
    """Return the signal events of a template in a window, less the events absorbed by the fit at the limit."""
    signal, edges = template.yields()[0], template.edges
    expected = fit.estimate(*window.signal)
    inside = float(np.interp(window.signal, edges, np.concatenate([[0.0], np.cumsum(signal)])) @ [-1.0, 1.0])
    if inside <= 0:
        return 0.0
    strength = float(approximate_limit(expected.value, expected.up)) / inside
    try:
        found = net_yield(
            fit.expected(edges)[0],
            strength * signal,
            edges,
            fit.function.name,
            window=window.signal,
            mask=window.mask,
            sqrt_s_gev=config.background.sqrt_s_gev,
        )
    except WindowError:  # the window is not on the grid: the absorbed fraction is unknown
        return inside
    return found.net / strength
