"""Limits and sensitivities of signal samples, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from rich import box
from rich.table import Table

from analysis.limits import rule_text

__all__ = ["limit_notes", "limit_table", "sensitivity_table"]

_NOTHING = "-"


def limit_table(limits: Sequence[Mapping[str, Any]]) -> Table:
    """Tabulate the limits on every signal by every rule.

    Parameters
    ----------
    limits : sequence of mapping
        "limits" of `results.json`.

    Returns
    -------
    rich.table.Table
        In signal events that the event selection keeps, and in fb where luminosity and acceptance are known.
    """
    title = "Limits on signal samples, in selected signal events; the naive limit does not cover"
    table = Table("Signal", "Rule", "Window [GeV]", "Selection", box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    for heading in ("Expected", "-1σ", "+1σ", "Observed", "Expected [fb]", "Observed [fb]"):
        table.add_column(heading, justify="right")
    for one in limits:
        if one["reason"] is None:
            low, high = one["window"]
            expected, fb = one["expected_selected"], one["expected_fb"]
            numbers = (expected[2], expected[1], expected[3], one["observed_selected"])
            in_fb = (None if fb is None else fb[2], one["observed_fb"])
            table.add_row(
                one["dataset"],
                rule_text(one["rule"]),
                f"{low:g}-{high:g}",
                one["selection"],
                *(_NOTHING if value is None else f"{value:.3g}" for value in (*numbers, *in_fb)),
            )
    return table


def sensitivity_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """Tabulate the significance of hidden signals.

    Parameters
    ----------
    found : sequence of mapping
        "sensitivity" of `results.json`.

    Returns
    -------
    rich.table.Table
        Median over the random choices of events: significance without signal, with it, and the difference with its
        16-84 % band.
    """
    table = Table("Signal", "Events", "Selection", box=box.SIMPLE_HEAD, pad_edge=False, title="Hidden signals")
    for heading in ("z without", "z with", "Difference", "16 to 84 %"):
        table.add_column(heading, justify="right")
    for one in found:
        for curve in one["curves"]:
            added = curve["z_added"]
            table.add_row(
                one["dataset"],
                f"{one['strength']:.3g}",
                curve["selection"],
                _median(curve["z_without_signal"]),
                _median(curve["z_with_signal"]),
                _NOTHING if added is None else f"{added[1]:.2f}",
                _NOTHING if added is None else f"{added[0]:.2f} to {added[2]:.2f}",
            )
    return table


def limit_notes(found: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say which signals have no result and why."""
    notes = [f"{one['dataset']}: {one['reason']}" for one in found if one["reason"] is not None]
    return list(dict.fromkeys(notes))


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.2f}" if known else _NOTHING
