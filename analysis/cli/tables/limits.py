"""Tables of limits and sensitivities of signal samples for the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from rich import box
from rich.table import Table

from analysis.cli.tables.plain import plain, plain_number
from analysis.limits import rule_text
from analysis.limits.values import FailedLimit, FailedSensitivity, InjectionLimit, Sensitivity
from analysis.results.numbers import interval
from analysis.results.wording.significances import hidden_z_notes
from analysis.results.words import BAD_FIT_NOTE, fit_mark

__all__ = ["limit_notes", "limit_table", "sensitivity_table"]


def limit_table(limits: Sequence[InjectionLimit | FailedLimit]) -> Table:
    """Tabulate the limits on each signal by each rule.

    Parameters
    ----------
    limits : sequence of InjectionLimit or FailedLimit

    Returns
    -------
    rich.table.Table
        Limits in signal events that pass the event selection, and in fb given luminosity and acceptance.
    """
    title = "Limits on signal samples, in selected signal events, expected ones pre-fit; the naive limit does not cover"
    table = Table("Signal", "Rule", "Window [GeV]", "Selection", box=box.SIMPLE_HEAD, pad_edge=False, title=title)
    for heading in ("Expected", "-1σ", "+1σ", "Observed", "Expected [fb]", "Observed [fb]"):
        table.add_column(heading, justify="right")
    for limit in limits:
        if isinstance(limit, InjectionLimit):
            _, low, expected, high, _ = limit.expected_selected
            in_fb = None if limit.expected_fb is None else limit.expected_fb[2]
            numbers = (expected, low, high, limit.observed_selected, in_fb, limit.observed_fb)
            window = plain(interval(limit.window))
            selection = limit.selection + fit_mark(limit)
            table.add_row(limit.dataset, rule_text(limit.rule), window, selection, *map(plain_number, numbers))
    return table


def sensitivity_table(found: Sequence[Sensitivity | FailedSensitivity]) -> Table:
    """Tabulate the significance of hidden signals.

    Parameters
    ----------
    found : sequence of Sensitivity or FailedSensitivity

    Returns
    -------
    rich.table.Table
        Medians over the random choices of events: significance without and with signal, calibrated where possible, and
        the difference with its 16-84 % band.
    """
    table = Table("Signal", "Events", "Selection", box=box.SIMPLE_HEAD, pad_edge=False, title="Hidden signals")
    for heading in ("z without", "z with", "Difference", "16 to 84 %"):
        table.add_column(heading, justify="right")
    for signal in found:
        if isinstance(signal, Sensitivity):
            for curve in signal.curves:
                shown = curve.shown
                low, added, high = (plain_number(value, 2) for value in shown.z_added or (None, None, None))
                table.add_row(
                    signal.dataset,
                    plain_number(signal.strength),
                    curve.selection,
                    _median(shown.z_without_signal),
                    _median(shown.z_with_signal),
                    added,
                    low if shown.z_added is None else f"{low} to {high}",
                )
    return table


def limit_notes(found: Sequence[InjectionLimit | FailedLimit | Sensitivity | FailedSensitivity]) -> list[str]:
    """List the signals without a result, with the reasons, and explain calibrations and the mark of a bad fit."""
    notes = [f"{one.dataset}: {one.reason}" for one in found if isinstance(one, FailedLimit | FailedSensitivity)]
    notes += map(plain, hidden_z_notes(one for one in found if isinstance(one, Sensitivity)))
    if any(isinstance(one, InjectionLimit) and one.has_bad_fit for one in found):
        notes.append(plain(BAD_FIT_NOTE))
    return list(dict.fromkeys(notes))


def _median(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return plain_number(median(known) if known else None)
