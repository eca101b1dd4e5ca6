"""Tables of validation verdicts on the windows for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.validation.values import (
    CombinedShift,
    SourceSelection,
    SourceVerdict,
    TemplateClosure,
    WindowVerdict,
    verdict_text,
)

__all__ = ["validation_notes", "validation_table", "verdict_lines"]

_STYLES = {"valid": "green", "not valid": "bold red", "not testable": "yellow"}
_NOTHING = "-"
_PRECISE = 0.1


def validation_table(verdicts: Sequence[WindowVerdict]) -> Table:
    """Tabulate the verdicts, and the shift of z in each selection for each source.

    Parameters
    ----------
    verdicts : sequence of WindowVerdict

    Returns
    -------
    rich.table.Table
        One row per window and source, and one for the combination of the sources that keep the drift of the features.
        Cells hold the non-closure (n - b) / b and below it the shift of z at the size of the search; for sources
        without drift, the mean of z and its width. The last column holds the divergence of the window from the template
        of the method, and its p-value.
    """
    table = Table(
        title="Signal-free samples: non-closure, and shift of z at the size of the search, per window in GeV",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    sources = [source for verdict in verdicts for source in verdict.sources]
    names = list(dict.fromkeys(selection.name for source in sources for selection in source.selections))
    table.add_column("window", no_wrap=True)
    table.add_column("source", no_wrap=True)
    table.add_column("verdict")
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    compared = any(source.template for source in sources)
    if compared:
        table.add_column("window against template", justify="right")
    for verdict in verdicts:
        combined = {shift.name: _shift_cell(shift) for shift in verdict.combined}
        cells_of_all = [combined.get(name, _NOTHING) for name in names]
        _add_row(table, verdict.window, "all", verdict.verdict, [*cells_of_all, *[_NOTHING] * compared])
        for source in verdict.sources:
            cell = _shift_cell if source.keeps_drift else _null_cell
            cells = {selection.name: cell(selection) for selection in source.selections}
            draws = "" if source.draws < 2 else f" ({source.draws} draws)"
            row = [cells.get(name, _NOTHING) for name in names] + [_template_cell(source.template)] * compared
            _add_row(table, "", source.source + draws, source.verdict, row)
        table.add_section()
    return table


def validation_notes(verdicts: Sequence[WindowVerdict]) -> list[str]:
    """List the verdicts with their power, reasons, flags and notes on the samples, as plain text."""
    lines = []
    for verdict in verdicts:
        where = f"{verdict.window} GeV"
        reason = "" if verdict.verdict == "valid" else f": {verdict.reason}"
        lines.append(f"{where} is {verdict.text}{reason}.")
        lines += [f"{where}: {flag}." for flag in verdict.flags]
    lines += [
        f"{verdict.window} GeV, {source.source}, {source.verdict}: {text}"
        for verdict in verdicts
        for source in verdict.sources
        for text in _texts(source, verdict)
    ]
    return lines


def _texts(source: SourceVerdict, verdict: WindowVerdict) -> list[str]:
    """Return the reasons not repeated in the verdict of the window, and the notes on a sample that is not drawn."""
    reason = [source.reason] if source.reason and source.reason.removesuffix(".") not in verdict.reason else []
    return [*reason, *(source.notes if source.draws == 1 else ())]


def verdict_lines(verdicts: Sequence[WindowVerdict], n_windows: int) -> list[str]:
    """Summarise the verdicts on the windows of a scan in a few lines of plain text.

    Parameters
    ----------
    verdicts : sequence of WindowVerdict
    n_windows : int
        Number of windows of the scan.
    """
    if not verdicts:
        return ["No window was validated: `cwola validate` tests them on signal-free samples."]
    kinds = []
    for kind in _STYLES:
        judged = [verdict for verdict in verdicts if verdict.verdict == kind]
        names = [verdict.window + "*" * bool(verdict.flags) for verdict in judged]
        if names:
            words = verdict_text(kind, [verdict.detectable for verdict in judged])
            kinds.append(f"{words}: {', '.join(names)} GeV")
    if missing := n_windows - len(verdicts):
        kinds.append(f"not validated: {missing}")
    lines = [f"Signal-free samples: {'; '.join(kinds)}."]
    lines += [f"{one.window} GeV is {one.text}." for one in verdicts if one.verdict == "valid" and one.untested]
    lines += [f"{one.window} GeV is not valid: {one.reason}." for one in verdicts if one.verdict == "not valid"]
    if any(verdict.flags for verdict in verdicts):
        lines.append("* with flags: `cwola validate` shows them, and tests with all sources.")
    if late := [verdict.window for verdict in verdicts if verdict.decided != "before-scan"]:
        lines.append(f"Validated only after they were scanned: {', '.join(late)} GeV.")
    return lines


def _add_row(table: Table, window: str, source: str, verdict: str, cells: Sequence[str]) -> None:
    table.add_row(window, source, Text(verdict, style=_STYLES[verdict]), *(Text(cell) for cell in cells))


def _shift_cell(selection: CombinedShift | SourceSelection) -> str:
    delta, delta_error = selection.delta, selection.delta_error
    if delta is None or delta_error is None:
        return "failed"
    decimals = 1 if delta_error < _PRECISE else 0
    text = f"{100 * delta:+.{decimals}f}±{100 * delta_error:.{decimals}f} %"
    return text if selection.shift is None else f"{text}\n{selection.shift:+.1f}±{selection.shift_error:.1f} σ"


def _template_cell(closure: TemplateClosure | None) -> str:
    if closure is None:
        return _NOTHING
    return f"{closure.divergence:+.3f}±{closure.spread:.3f}\np {closure.p:.2g}"


def _null_cell(selection: SourceSelection) -> str:
    if selection.z is None:
        return "failed"
    width = "" if selection.z_width is None else f"\nwidth {selection.z_width:.1f}"
    return f"z {selection.z:+.1f}±{selection.z_error:.1f}{width}"
