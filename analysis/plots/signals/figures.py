"""All figures of injected signals."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.limits import limit_rules, rule_text
from analysis.plots.figure import ResultFigure
from analysis.plots.signals.efficiency_maps import draw_efficiency_map, map_alt, map_rows, mapped_kind, tightest
from analysis.plots.signals.limit_values import along_mass_a, in_planes, sort_limits
from analysis.plots.signals.mass_limits import Quantity, draw_limit_plane, draw_mass_limits
from analysis.plots.signals.sensitivity import draw_sensitivity, sensitivity_alt, sensitivity_rows
from analysis.plots.signals.signal_limits import draw_signal_limits, signal_limit_rows, signal_limits_alt
from analysis.plots.signals.strengths import (
    draw_strength_efficiencies,
    draw_strength_limits,
    strength_alt,
    strength_rows,
)
from analysis.plots.style import mass_label, plain, selection_label
from analysis.results.words import selection_text

__all__ = ["injection_figures"]

Items = Sequence[Mapping[str, Any]]
Draw = Callable[[], tuple[Figure, Axes]]

_MAPPED = 2
"""So many of the tightest selections have efficiency maps."""


def injection_figures(document: Mapping[str, Any], *, blinded: bool = False) -> Iterator[ResultFigure]:
    """List the figures of limits on signal samples, and of what the injections tell of them.

    Parameters
    ----------
    document : mapping
        `limits.json`: "limits", "injections" and "sensitivity", as far as they are there. What has no result is left
        out.
    blinded : bool
        Draw nothing of the counts, also where the document holds them: no observed limits, maps of the signal instead
        of the data, and no sensitivities, which are made of counts.

    Yields
    ------
    ResultFigure
        `limits_signals_<rule>`, `limits_mA_<masses>_<rule>`, `limits_plane_<mass>_<rule>`, `efficiency_<signal>`,
        `map_<signal>_<selection>` and `sensitivity_<signal>`.
    """
    shown = _without_counts(document) if blinded else document
    limits, scans = shown.get("limits", []), shown.get("injections", [])
    for rule in (one.name for one in limit_rules()):
        if sort_limits(limits, rule).signals:
            yield _limits(
                f"limits_signals_{rule}", partial(_signals, limits, rule), "Limits on all signals", limits, rule
            )
        for name, group in along_mass_a(limits, rule).items():
            stem = "_".join(filter(None, ("limits_mA", name, rule)))
            yield _limits(stem, partial(_masses, group, rule), _among("Limits against m_A", name), limits, rule)
        for name, group in in_planes(limits, rule).items():
            stem, title = f"limits_plane_{name}_{rule}", _among("Limits against m_B and m_C", name)
            yield _limits(stem, partial(_plane, group, rule, scans), title, limits, rule)
    for scan in scans:
        if any(value is not None for one in scan["candidates"] for of in one["efficiency"] for value in of):
            yield ResultFigure(
                f"efficiency_{scan['dataset']}",
                partial(_strengths, scan, limits),
                f"{scan['dataset']}: efficiency and limit against the injected strength",
                partial(strength_alt, scan),
                partial(strength_rows, scan),
                "injections",
            )
        for selection in tightest(scan["maps"], _MAPPED):
            yield ResultFigure(
                f"map_{scan['dataset']}_{selection}",
                partial(_maps, scan, selection),
                f"{scan['dataset']}: what passes {selection_text(selection)}, against the jet masses",
                partial(map_alt, scan, selection),
                partial(map_rows, scan, selection),
                "injections",
            )
    for one in shown.get("sensitivity", []):
        if one["reason"] is None and one["curves"]:
            yield ResultFigure(
                f"sensitivity_{one['dataset']}",
                partial(_sensitivity, one),
                f"{one['dataset']}: significance of hidden signal",
                partial(sensitivity_alt, one),
                partial(sensitivity_rows, one),
                "sensitivity",
            )


def _limits(stem: str, draw: Draw, title: str, limits: Items, rule: str) -> ResultFigure:
    """Return a figure of limits by one rule; all of a rule have the same numbers."""
    title = f"{title} by the rule {rule_text(rule)}"
    alternative, rows = partial(signal_limits_alt, limits, rule), partial(signal_limit_rows, limits, rule)
    return ResultFigure(stem, draw, title, alternative, rows, "limits")


def _among(title: str, masses: str) -> str:
    return ", ".join(filter(None, (title, masses.replace("_", ", "))))


def _without_counts(document: Mapping[str, Any]) -> dict[str, Any]:
    hidden = {"observed_selected": None, "observed_fb": None}
    limits = [{**one, **hidden} for one in document.get("limits", [])]
    scans = [{**scan, "maps": [{**one, "data": {}} for one in scan["maps"]]} for scan in document.get("injections", [])]
    return {"limits": limits, "injections": scans}


def _signals(limits: Items, rule: str) -> tuple[Figure, Axes]:
    rows = len(sort_limits(limits, rule).signals)
    figure = Figure(figsize=(11.0, 3.2 + 0.5 * rows), layout="constrained")
    ax = figure.subplots()
    draw_signal_limits(limits, rule, ax=ax)
    return figure, ax


def _masses(limits: Items, rule: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(8.5, 7.5), layout="constrained")
    ax = figure.subplots()
    draw_mass_limits(limits, rule, ax=ax)
    return figure, ax


def _plane(limits: Items, rule: str, scans: Items) -> tuple[Figure, Axes]:
    shown = sort_limits(limits, rule, scans)
    there: dict[Quantity, Any] = {
        "expected": shown.column("limit", 2),
        "observed": shown.column("limit"),
        "ratio": shown.column("inclusive", 2),
        "efficiency": np.array([one.efficiency for one in shown.signals]),
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


def _strengths(scan: Mapping[str, Any], limits: Items) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(11.5, 10.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.3))
    draw_strength_efficiencies(scan, ax=upper)
    draw_strength_limits(scan, limits, ax=lower)
    figure.align_ylabels([upper, lower])
    upper.set_title(_title(scan["dataset"], scan["signal"]), loc="right")
    return figure, upper


def _maps(scan: Mapping[str, Any], selection: str) -> tuple[Figure, Axes]:
    maps = scan["maps"]
    figure = Figure(figsize=(7.0 * len(maps) + 1.5, 7.0), layout="constrained")
    panels = figure.subplots(1, len(maps), sharey=True, squeeze=False)[0]
    drawn = [draw_efficiency_map(one, selection, ax=ax) for one, ax in zip(maps, panels, strict=True)]
    what = "data" if mapped_kind(maps[0]) == "data" else "signal"
    colorbar = figure.colorbar(drawn[0].mesh, ax=panels, pad=0.02)
    colorbar.set_label(f"Part of the {what} in the window that passes")
    figure.suptitle(f"{_title(scan['dataset'], scan['signal'])}, {selection_label(selection)}")
    return figure, panels[0]


def _sensitivity(one: Mapping[str, Any]) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(11.5, 9.0), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1.3, 1))
    draw_sensitivity(one, ax=upper, ax_added=lower)
    figure.align_ylabels([upper, lower])
    upper.set_title(f"{_title(one['dataset'], one['window'])}, {one['strength']:.3g} hidden events", loc="right")
    return figure, upper


def _title(dataset: str, window: Sequence[float]) -> str:
    return f"{plain(dataset)}, {window[0]:g}–{window[1]:g} GeV"
