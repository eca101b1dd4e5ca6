"""Limits with retrained classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np

from docs._ext.page_tables import table_of
from docs._ext.tables.shared import SIGNALS
from tests.studies import limit_full, limit_rules, limit_signals, published_signals
from tests.studies.runner import load

NAIVE = "fixed-efficiency"
RULES = {"inclusive": "inclusive", "atlas-2020": "`atlas-2020`", "atlas-2025": "`atlas-2025`", NAIVE: "naive"}
PROCESSES = {"wprime_narrow": "W′ → W″ Z″", "a0": "A⁰ → H″ Z′"}
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


def published_signals_table() -> str:
    """Limits on the signals of the second ATLAS search, in fb."""
    rows = []
    for point in load(published_signals.NAME):
        limits = point["limits"]
        inclusive, found = (limits.get(rule) for rule in ("inclusive", "atlas-2025"))
        (low, high), masses = (found or inclusive)["window"], point["masses"]
        cells = [_in_fb(limit) for limit in (inclusive, found, limits.get("atlas-2020"))]
        gain = f"{inclusive['expected_fb'][2] / found['expected_fb'][2]:.1f}" if found and inclusive else "–"
        rows.append(
            [
                PROCESSES[point["process"]],
                ", ".join(f"{mass:g}" for mass in masses),
                f"{low / 1000:.1f}–{high / 1000:.1f}",
                *cells,
                gain,
                f"{point['cpu_seconds']:.0f} s",
            ]
        )
    head = ["signal", "m_A, m_B, m_C (GeV)", "window (TeV)", "inclusive", "`atlas-2025`", "`atlas-2020`", "gain", "CPU"]
    return table_of(head, rows)


def _in_fb(limit: dict[str, Any] | None) -> str:
    if limit is None:
        return "–"
    _, low, middle, high, _ = limit["expected_fb"]
    observed = "–" if limit["observed_fb"] is None else f"{limit['observed_fb']:.2f}"
    return f"{middle:.2f} ({low:.2f}–{high:.2f}), {observed}"


def published_signals_count() -> str:
    """How many of the signals are done, and their CPU time."""
    points = load(published_signals.NAME)
    hours = sum(point["cpu_seconds"] for point in points) / 3600
    planned = len(published_signals.POINTS)
    return f"{len(points)} of {planned} signals are done, {planned - len(points)} are missing: {hours:.2f} CPU hours."
