"""All figures of injected signals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.limits import limit_rules
from analysis.plots.drawing import Sketch
from analysis.plots.signals.efficiency_maps import draw_efficiency_map, mapped_kind, tightest
from analysis.plots.signals.limit_values import along_mass_a, in_planes, sort_limits
from analysis.plots.signals.mass_limits import Quantity, draw_limit_plane, draw_mass_limits
from analysis.plots.signals.sensitivity import draw_sensitivity
from analysis.plots.signals.signal_limits import draw_signal_limits
from analysis.plots.signals.strengths import draw_strength_efficiencies, draw_strength_limits
from analysis.plots.style import mass_label, plain, selection_label

__all__ = ["injection_figures"]

Items = Sequence[Mapping[str, Any]]

_MAPPED = 2
"""So many of the tightest selections have efficiency maps."""


def injection_figures(document: Mapping[str, Any], *, blinded: bool = False) -> Iterator[Sketch]:
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
    Sketch
        `limits_signals_<rule>`, `limits_mA_<masses>_<rule>`, `limits_plane_<mass>_<rule>`, `efficiency_<signal>`,
        `map_<signal>_<selection>` and `sensitivity_<signal>`.
    """
    shown = _without_counts(document) if blinded else document
    limits, scans = shown.get("limits", []), shown.get("injections", [])
    for rule in (one.name for one in limit_rules()):
        if sort_limits(limits, rule).signals:
            yield Sketch(f"limits_signals_{rule}", _signals, (limits, rule))
        for name, group in along_mass_a(limits, rule).items():
            yield Sketch("_".join(filter(None, ("limits_mA", name, rule))), _masses, (group, rule))
        for name, group in in_planes(limits, rule).items():
            yield Sketch(f"limits_plane_{name}_{rule}", _plane, (group, rule, scans))
    for scan in scans:
        if any(value is not None for one in scan["candidates"] for of in one["efficiency"] for value in of):
            yield Sketch(f"efficiency_{scan['dataset']}", _strengths, (scan, limits))
        for selection in tightest(scan["maps"], _MAPPED):
            yield Sketch(f"map_{scan['dataset']}_{selection}", _maps, (scan, selection))
    for one in shown.get("sensitivity", []):
        if one["reason"] is None and one["curves"]:
            yield Sketch(f"sensitivity_{one['dataset']}", _sensitivity, (one,))


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
