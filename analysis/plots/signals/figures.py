"""All figures of injected signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.core.quoting import escaped, quoted
from analysis.learning import selection_text
from analysis.limits import INCLUSIVE_RULE, limit_rules, rule_text
from analysis.limits.values import InjectionScan, LimitsFile, Sensitivity
from analysis.plots.figure import ResultFigure
from analysis.plots.signals.efficiency_maps import draw_efficiency_map, map_alt, map_rows, tightest
from analysis.plots.signals.limit_values import EitherLimit, along_mass_a, in_planes, sort_limits
from analysis.plots.signals.mass_limits import Quantity, draw_limit_plane, draw_mass_limits
from analysis.plots.signals.sensitivity import draw_sensitivity, sensitivity_alt, sensitivity_rows
from analysis.plots.signals.signal_limits import draw_signal_limits, signal_limit_rows, signal_limits_alt
from analysis.plots.signals.strengths import (
    draw_strength_efficiencies,
    draw_strength_limits,
    efficiencies,
    strength_alt,
    strength_rows,
)
from analysis.plots.style import mass_label, sample_name, selection_label
from analysis.regions import Interval

__all__ = ["injection_figures"]

Array = NDArray[np.float64]
Limits = Sequence[EitherLimit]
Draw = Callable[[], tuple[Figure, Axes]]

_MAPPED = 2
"""Number of the tightest selections with efficiency maps."""


def injection_figures(document: LimitsFile) -> Iterator[ResultFigure]:
    """List the figures of limits on signal samples, and of the injections behind them.

    Parameters
    ----------
    document : LimitsFile
        Signals without a result are left out.

    Yields
    ------
    ResultFigure
        `limits_signals_<rule>`, `limits_mA_<masses>_<rule>`, `limits_plane_<mass>_<rule>`, `efficiency_<signal>`,
        `map_<signal>_<selection>` and `sensitivity_<signal>`.
    """
    limits, scans = document.limits, document.injections
    for rule in (known.name for known in limit_rules()):
        if sort_limits(limits, rule).signals:
            yield _limits(
                f"limits_signals_{rule}", partial(_signals, limits, rule), "Limits on all signals", limits, rule
            )
        for name, group in along_mass_a(limits, rule).items():
            stem = "_".join(filter(None, ("limits_mA", escaped(name), rule)))
            yield _limits(stem, partial(_masses, group, rule), _among("Limits against m_A", name), limits, rule)
        for name, group in in_planes(limits, rule).items():
            stem, title = f"limits_plane_{escaped(name)}_{rule}", _among("Limits against m_B and m_C", name)
            yield _limits(stem, partial(_plane, group, rule, scans), title, limits, rule)
    for scan in scans:
        if any(value is not None for value in efficiencies(scan)):
            yield ResultFigure(
                f"efficiency_{quoted(scan.dataset)}",
                partial(_strengths, scan, limits),
                f"{scan.dataset}: efficiency and limit against the injected strength",
                partial(strength_alt, scan),
                partial(strength_rows, scan),
                "injections",
            )
        for selection in tightest(scan.maps, _MAPPED):
            yield ResultFigure(
                f"map_{quoted(scan.dataset)}_{selection}",
                partial(_maps, scan, selection),
                f"{scan.dataset}: what passes {selection_text(selection)}, against the jet masses",
                partial(map_alt, scan, selection),
                partial(map_rows, scan, selection),
                "injections",
            )
    for sensitivity in document.sensitivity:
        if isinstance(sensitivity, Sensitivity) and sensitivity.curves:
            yield ResultFigure(
                f"sensitivity_{quoted(sensitivity.dataset)}",
                partial(_sensitivity, sensitivity),
                f"{sensitivity.dataset}: significance of hidden signal",
                partial(sensitivity_alt, sensitivity),
                partial(sensitivity_rows, sensitivity),
                "sensitivity",
            )


def _limits(stem: str, draw: Draw, title: str, limits: Limits, rule: str) -> ResultFigure:
    """Return a figure of limits by one rule; all figures of a rule have the same rows."""
    title = f"{title} by the rule {rule_text(rule)}"
    alternative, rows = partial(signal_limits_alt, limits, rule), partial(signal_limit_rows, limits, rule)
    return ResultFigure(stem, draw, title, alternative, rows, "limits")


def _among(title: str, masses: str) -> str:
    return ", ".join(filter(None, (title, masses.replace("_", ", "))))


def _signals(limits: Limits, rule: str) -> tuple[Figure, Axes]:
    rows = len(sort_limits(limits, rule).signals)
    figure = Figure(figsize=(11.0, 3.2 + 0.5 * rows), layout="constrained")
    ax = figure.subplots()
    draw_signal_limits(limits, rule, ax=ax)
    return figure, ax


def _masses(limits: Limits, rule: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_mass_limits(limits, rule, ax=ax)
    return figure, ax


def _plane(limits: Limits, rule: str, scans: Sequence[InjectionScan]) -> tuple[Figure, Axes]:
    shown = sort_limits(limits, rule, scans)
    there: dict[Quantity, Array] = {
        "expected": shown.expected(2),
        "observed": shown.observed(),
        "ratio": shown.expected(2, INCLUSIVE_RULE),
        "efficiency": np.array([signal.efficiency for signal in shown.signals]),
    }
    quantities = [name for name, values in there.items() if np.isfinite(values).any()]
    rows = 1 if len(quantities) < 4 else 2
    columns = len(quantities) // rows
    figure = Figure(figsize=(8.2 * columns, 7.0 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, quantity in zip(panels, quantities, strict=True):
        draw_limit_plane(limits, rule, quantity, ax=ax, scans=scans)
    mass = f"{mass_label('A', unit=False)} = {shown.signals[0].masses['A']:g} GeV"
    panels[0].set_title(f"Rule {rule}, {mass}", loc="right")
    return figure, panels[0]


def _strengths(scan: InjectionScan, limits: Limits) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(11.5, 10.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.3))
    draw_strength_efficiencies(scan, ax=upper)
    draw_strength_limits(scan, limits, ax=lower)
    figure.align_ylabels([upper, lower])
    upper.set_title(_title(scan.dataset, scan.signal), loc="right")
    return figure, upper


def _maps(scan: InjectionScan, selection: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.0 * len(scan.maps) + 1.5, 7.0), layout="constrained")
    panels = figure.subplots(1, len(scan.maps), sharey=True, squeeze=False)[0]
    drawn = [draw_efficiency_map(counts, selection, ax=ax) for counts, ax in zip(scan.maps, panels, strict=True)]
    events = "events" if scan.maps[0].data else "signal events"
    colorbar = figure.colorbar(drawn[0].mesh, ax=panels, pad=0.02)
    colorbar.set_label(f"Fraction of {events} in the window that pass")
    figure.suptitle(f"{_title(scan.dataset, scan.signal)}, {selection_label(selection)}")
    return figure, panels[0]


def _sensitivity(sensitivity: Sensitivity) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(11.5, 9.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.3, 1))
    draw_sensitivity(sensitivity, ax=upper, ax_added=lower)
    figure.align_ylabels([upper, lower])
    title = _title(sensitivity.dataset, sensitivity.window)
    upper.set_title(f"{title}, {sensitivity.strength:.3g} hidden events", loc="right")
    return figure, upper


def _title(dataset: str, window: Interval) -> str:
    return f"{sample_name(dataset)}, {window[0]:g}–{window[1]:g} GeV"
