"""Rounds of the trees, and what the demo finds over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import numpy as np

from analysis.learning.metrics import band
from docs._ext.page_tables import signed, table_of
from docs._ext.tables.shared import CUTS, SIGNALS, matching
from tests.studies import demo, rounds
from tests.studies.runner import Point, load

ENTRANTS = {
    "early-stopping": "early stopping",
    "log-loss": "log loss",
    "argos": "ARGOS",
    "argos-grid": "ARGOS, all settings",
}


def rounds_table() -> str:
    """SIC relative to fixed rounds, rounds trained and CPU, by the rule that chooses them."""
    points, rows = load(rounds.NAME), []
    for signal, strength in rounds.CELLS:
        cell = matching(points, signal=signal, strength=strength)
        fixed = {point["draw"]: point for point in matching(cell, entrant=rounds.FIXED)}
        for entrant, name in ENTRANTS.items():
            chosen = [point for point in matching(cell, entrant=entrant) if point["draw"] in fixed]
            loose, tight = (_log_ratio(chosen, fixed, f"sic_{eps:g}") for eps in rounds.EPS_B)
            used = band(np.concatenate([point["rounds"] for point in chosen]))
            cpu = [f"{np.median([p['cpu_fits'] for p in part]):.1f} s" for part in (chosen, list(fixed.values()))]
            shown = f"{used.median:.0f} ({used.low:.0f}–{used.high:.0f})"
            rows.append([f"{SIGNALS[signal]}, {strength:g}", name, f"{loose}, {tight}", shown, *cpu, str(len(chosen))])
    head = [
        "signal, S/√B",
        "",
        "log ratio at 1e-2, 2e-3",
        "rounds",
        "CPU, 50 classifiers",
        "CPU, fixed rounds",
        "draws",
    ]
    return table_of(head, rows)


def _log_ratio(chosen: Sequence[Point], fixed: dict[int, Point], key: str) -> str:
    """Mean over draws, with its error from two draws on."""
    ratios = np.array([np.log(max(point[key], 0.01) / fixed[point["draw"]][key]) for point in chosen])
    error = f" ± {ratios.std(ddof=1) / len(ratios) ** 0.5:.2f}" if len(ratios) > 1 else ""
    return f"{signed(float(ratios.mean()), 2)}{error}"


def demo_table() -> str:
    """Local z in the window of the hidden signal, median [lowest, highest] of the seeds, by signal and QCD sample."""
    points = load(demo.NAME)
    columns = [
        (packaged, xsec, [p for p in points if (p["qcd_seed"] == 1) == packaged and p["xsec_pb"] == xsec])
        for packaged in (True, False)
        for xsec in sorted({point["xsec_pb"] for point in points})
    ]
    columns = [column for column in columns if column[2]]
    head = [f"{'packaged' if packaged else 'other'} QCD, {1000 * xsec:g} fb" for packaged, xsec, _ in columns]
    rows = []
    for selection in ("inclusive", *CUTS):
        values = [[point["z"][demo.WINDOW][selection] for point in found] for _, _, found in columns]
        cells = [f"{signed(median(z), 1)} [{signed(min(z), 1)}, {signed(max(z), 1)}]" for z in values]
        rows.append([CUTS.get(selection, selection), *cells])
    beyond = [
        [z for point in found for window in point["z"].values() for z in window.values() if z is not None]
        for _, _, found in columns
    ]
    rows.append(["all windows: beyond ±3", *(f"{sum(abs(z) > 3 for z in every)} of {len(every)}" for every in beyond)])
    rows.append(["seeds", *(str(len(found)) for _, _, found in columns)])
    return table_of(["selection", *head], rows)
