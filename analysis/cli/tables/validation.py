"""What signal-free samples say of the windows, for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

__all__ = ["validation_notes", "validation_table", "verdict_lines"]

Verdict = Mapping[str, Any]

_STYLES = {"valid": "green", "not valid": "bold red", "not testable": "yellow"}
_NOTHING = "-"
_PRECISE = 0.1


def validation_table(verdicts: Sequence[Verdict]) -> Table:
    """Tabulate verdicts, and for each source the shift of z in every selection.

    Parameters
    ----------
    verdicts : sequence of mapping
        One a window; from `analysis.stages.validate`.

    Returns
    -------
    rich.table.Table
        One row per window and source, and one for the combination of the sources that keep the drift of the features.
        Cells: the non-closure (n - b) / b, below it the shift of z at the size of the search; without drift the mean
        of z and its width instead.
    """
    table = Table(
        title="Signal-free samples: non-closure, and shift of z at the size of the search, per window in GeV",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    names = list(
        dict.fromkeys(
            one["name"] for verdict in verdicts for source in verdict["sources"] for one in source["selections"]
        )
    )
    table.add_column("window", no_wrap=True)
    table.add_column("source", no_wrap=True)
    table.add_column("verdict")
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for verdict in verdicts:
        cells = {one["name"]: _shift_cell(one) for one in verdict["combined"]}
        _add_row(table, verdict["window"], "all", verdict["verdict"], [cells.get(name, _NOTHING) for name in names])
        for source in verdict["sources"]:
            cell = _shift_cell if source["keeps_drift"] else _null_cell
            cells = {one["name"]: cell(one) for one in source["selections"]}
            draws = "" if source["draws"] < 2 else f" ({source['draws']} draws)"
            row = [cells.get(name, _NOTHING) for name in names]
            _add_row(table, "", source["source"] + draws, source["verdict"], row)
        table.add_section()
    return table


def validation_notes(verdicts: Sequence[Verdict]) -> list[str]:
    """Say why windows are not valid or could not be tested, what is flagged, and what the samples are. Plain text."""
    lines = []
    for verdict in verdicts:
        where = f"{verdict['window']} GeV"
        if verdict["verdict"] != "valid":
            lines.append(f"{where} is {verdict['verdict']}: {verdict['reason']}.")
        lines += [f"{where}: {flag}." for flag in verdict["flags"]]
    lines += [
        f"{verdict['window']} GeV, {source['source']}, {source['verdict']}: {text}"
        for verdict in verdicts
        for source in verdict["sources"]
        for text in _texts(source, verdict)
    ]
    return [line.replace("..", ".") for line in lines]


def _texts(source: Mapping[str, Any], verdict: Verdict) -> list[str]:
    """Reasons that the verdict of the window does not repeat, and what a sample that is not drawn is made of."""
    reason = [source["reason"]] if source["reason"] and source["reason"] not in verdict["reason"] else []
    return reason + (source["notes"] if source["draws"] == 1 else [])


def verdict_lines(verdicts: Sequence[Verdict], n_windows: int) -> list[str]:
    """Say in a line or a few what is known of the windows of a scan. Plain text.

    Parameters
    ----------
    verdicts : sequence of mapping
    n_windows : int
        Of the scan.
    """
    if not verdicts:
        return ["No window was validated: `cwola validate` tests them on signal-free samples."]
    lines = []
    for kind in _STYLES:
        names = [one["window"] + ("*" if one["flags"] else "") for one in verdicts if one["verdict"] == kind]
        if names:
            lines.append(f"{kind}: {', '.join(names)} GeV")
    if missing := n_windows - len(verdicts):
        lines.append(f"not validated: {missing}")
    text = f"Signal-free samples: {'; '.join(lines)}."
    found = [text]
    found += [
        f"{one['window']} GeV is not valid: {one['reason']}." for one in verdicts if one["verdict"] == "not valid"
    ]
    if any(one["flags"] for one in verdicts):
        found.append("* with flags: `cwola validate` shows them, and tests with all sources.")
    if late := [one["window"] for one in verdicts if one["decided"] != "before-scan"]:
        found.append(f"Validated only after they were scanned: {', '.join(late)} GeV.")
    return found


def _add_row(table: Table, window: str, source: str, verdict: str, cells: Sequence[str]) -> None:
    table.add_row(window, source, Text(verdict, style=_STYLES[verdict]), *(Text(cell) for cell in cells))


def _shift_cell(one: Mapping[str, Any]) -> str:
    if one["delta"] is None:
        return "failed"
    decimals = 1 if one["delta_error"] < _PRECISE else 0
    text = f"{100 * one['delta']:+.{decimals}f}±{100 * one['delta_error']:.{decimals}f} %"
    return text if one["shift"] is None else f"{text}\n{one['shift']:+.1f}±{one['shift_error']:.1f} σ"


def _null_cell(one: Mapping[str, Any]) -> str:
    if one["z"] is None:
        return "failed"
    width = "" if one["z_width"] is None else f"\nwidth {one['z_width']:.1f}"
    return f"z {one['z']:+.1f}±{one['z_error']:.1f}{width}"
