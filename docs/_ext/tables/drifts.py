"""Drift of every feature with m_jj, before and after decorrelation."""

from __future__ import annotations

from docs._ext.page_tables import signed, table_of
from tests.studies import feature_drift
from tests.studies.runner import load


def feature_drift_table() -> str:
    """Drifts of single features and of sets, in standard deviations."""
    points = {(tuple(p["window"]), p["features"], p["decorrelation"]): p for p in load(feature_drift.NAME)}
    columns = [(window, kind) for window in feature_drift.WINDOWS for kind in feature_drift.DECORRELATIONS]
    head = ["feature"]
    for (low, high), kind in columns:
        text = f"{low / 1000:g}–{high / 1000:g} TeV"
        head += [f"{text}: alone", "trees"] if kind == "none" else ["trees, quantiles"]
    rows = []
    for name in (*feature_drift.SINGLE, *feature_drift.SETS):
        cells = [f"`{name}`" if name in feature_drift.SINGLE else name]
        for window, kind in columns:
            point = points[window, name, kind]
            if kind == "none":
                cells.append(_cell(point["alone"]) if "alone" in point else "")
            cells.append(_cell(point["trees"]))
        rows.append(cells)
    return table_of(head, rows)


def _cell(value: list[float]) -> str:
    return f"{signed(value[0], 2)} ± {value[1]:.2f}"
