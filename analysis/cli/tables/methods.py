"""Tables of methods compared on the same events, for the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import mean

from rich import box
from rich.table import Table

from analysis.cli.tables.plain import plain
from analysis.diagnostics.method_values import CUTS, MethodResult
from analysis.diagnostics.regret import Regret, mean_discovery
from analysis.learning import selection_text
from analysis.results.numbers import NOTHING, with_error, z_value

__all__ = ["discovery_text", "methods_notes", "methods_tables", "regret_table"]


def methods_tables(results: Sequence[MethodResult]) -> Iterator[Table]:
    """Tabulate the methods, one table per signal and window.

    Parameters
    ----------
    results : sequence of MethodResult

    Yields
    ------
    rich.table.Table
        One row per method that was trained: means over the trainings.
    """
    for signal, window in dict.fromkeys((one.signal, one.window) for one in results):
        rows = [one for one in results if (one.signal, one.window) == (signal, window) and one.trainings]
        if rows:
            yield _table(f"{signal} in {window.signal[0]:g}-{window.signal[1]:g} GeV", rows)


def methods_notes(results: Sequence[MethodResult]) -> list[str]:
    """List the methods that were not trained, with the reasons, and the meaning of the columns, as plain text."""
    reasons = dict.fromkeys(f"{one.method} is left out: {one.reason}" for one in results if one.reason is not None)
    if not any(one.trainings for one in results):
        return list(reasons)
    meaning = (
        "5σ from: smallest S/√B in the window that a count behind the best cut discovers, for a known background and "
        "these classifiers, which were trained with the signal hidden here. z is that of the hidden signal."
    )
    return [*reasons, meaning]


def regret_table(regrets: Sequence[Regret]) -> Table | None:
    """Tabulate σ_min over the smallest σ_min of each signal; None for one signal or one classifier.

    Parameters
    ----------
    regrets : sequence of Regret

    Returns
    -------
    rich.table.Table or None
        One row per classifier.
    """
    signals = list(dict.fromkeys(name for one in regrets for name in one.by_signal))
    if len(regrets) < 2 or len(signals) < 2:
        return None
    title = "Regret: S/√B for 5σ over the smallest one in the column"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Classifier")
    for name in (*map(plain, signals), "worst"):
        table.add_column(name, justify="right")
    for one in regrets:
        ratios = [*(one.by_signal[name] for name in signals), one.worst]
        table.add_row(one.classifier, *map(discovery_text, ratios))
    return table


def discovery_text(value: float | None) -> str:
    """Text of a σ_min or of a ratio of two."""
    return NOTHING if value is None else f"{value:.2f}"


def _table(place: str, rows: Sequence[MethodResult]) -> Table:
    first = rows[0]
    trainings = len(first.trainings)
    number = "one training" if trainings == 1 else f"mean of {trainings} trainings"
    table = Table(title=f"{place}, {number}", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Method")
    cut = "" if first.selection is None else f" at {plain(selection_text(first.selection))}"
    significances = (f"z{cut}", "z, calibrated")
    columns = ("AUC", "Window against sidebands", "5σ from S/√B", *significances, "(n − b) / b [%]", "CPU s")
    for column in (*(f"SIC at {efficiency:g}" for efficiency in CUTS), *columns):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(row.method, *_cells(row))
    return table


def _cells(row: MethodResult) -> list[str]:
    done = row.trainings
    sic = [f"{mean(column):.2f}" for column in zip(*(one.sic for one in done), strict=True)]
    areas = [f"{mean(one.auc for one in done):.3f}", f"{mean(one.window_sideband_auc for one in done):.3f}"]
    closure = NOTHING
    if row.closure is not None:
        closure = plain(with_error(100 * row.closure.delta, 100 * row.closure.error))
        closure += " (validation)" if row.closure.source == "validation" else ""
    smallest = discovery_text(mean_discovery([one.sigma_min for one in done]))
    significances = [z_value(_mean(values)) for values in ((one.z for one in done), (one.z_calibrated for one in done))]
    spent = f"{mean(one.cpu_seconds for one in done):.3g}"
    return [*sic, *areas, smallest, *significances, closure, spent]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None
