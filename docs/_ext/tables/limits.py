"""Limits with retrained classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np

from docs._ext.page_tables import table_of
from docs._ext.tables.shared import SIGNALS
from tests.studies import limit_full, limit_rules, limit_signals
from tests.studies.runner import load

NAIVE = "fixed-efficiency"
RULES = {"inclusive": "inclusive", "atlas-2020": "`atlas-2020`", "atlas-2025": "`atlas-2025`", NAIVE: "naive"}
FEATURES = {"best": "`best`", "both": "`best`, or with τ32"}


def limit_rules_table() -> str:
    """Coverage of the rules where classifiers learn from the signal."""
    points = load(limit_rules.NAME)
    rows = []
    for true in sorted({one["true"] for one in points}):
        for rule in points[0]["limits"]:
            found = limit_rules.coverage(points, true, rule)
            covers = f"{100 * found.covered:.1f} ± {100 * found.error:.1f} %"
            name = f"naive, `{rule}`" if rule == NAIVE else RULES.get(rule, rule)
            rows.append([f"{true:g}", name, covers, f"{found.observed:.0f}", f"{found.expected:.0f}", str(found.n)])
    return table_of(["true", "rule", "covers", "median observed", "median expected", "experiments"], rows)


def limit_signals_table() -> str:
    """Give the expected limits of every rule on the simulated signals."""
    rows = []
    for point in load(limit_signals.NAME):
        name = f"{SIGNALS[point['signal']]}, {point['window'][0] / 1000:.1f}–{point['window'][1] / 1000:.1f}"
        for features, shown in FEATURES.items():
            limits = point["limits"][features]
            rows.append([name, shown, *(_expected(limits[rule], with_band=rule != NAIVE) for rule in RULES)])
    return table_of(["signal, window (TeV)", "features", *RULES.values()], rows)


def _expected(limit: dict[str, Any], *, with_band: bool) -> str:
    _, low, middle, high, _ = limit["expected"]
    return f"{middle:.0f} ({low:.0f}–{high:.0f})" if with_band else f"{middle:.0f}"


def limit_full_table() -> str:
    """Coverage and medians of every rule at full size."""
    points, rows = load(limit_full.NAME), []
    for rule in points[0]["limits"]:
        observed = np.array([point["limits"][rule]["observed"] for point in points], np.float64)
        expected = np.median([point["limits"][rule]["expected"][2] for point in points])
        covers = f"{int((observed >= limit_full.TRUE).sum())} of {len(points)}"
        rows.append([RULES.get(rule, rule), covers, f"{np.median(observed):.0f}", f"{expected:.0f}"])
    return table_of(["rule", "covers", "median observed", "median expected"], rows)
