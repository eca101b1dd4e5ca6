"""Results for the terminal: tables and a headline, as rich renderables. Needs no matplotlib."""

from __future__ import annotations

from collections.abc import Mapping

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.cli.tables.plain import plain, plain_error, plain_number
from analysis.results.documents import cut_order
from analysis.results.numbers import count, p_value, z_value
from analysis.results.values import Cut, Cutflow, Results, SelectionDocument
from analysis.results.verdict import SIGNIFICANT, search_verdict
from analysis.results.words import Excess
from analysis.search.seeds import SeedSpread

__all__ = ["cutflow_table", "headline", "n_minus_one_table", "scan_table"]

_NOTHING = "-"
_CAPTION_WIDTH = 90
_APPROXIMATE = "*"


def cutflow_table(cutflow: Cutflow) -> Table:
    """Tabulate how many events pass the cuts.

    Parameters
    ----------
    cutflow : mapping of dataset to cut to Cut
        Events and sum of weights that are left after each cut, in order.

    Returns
    -------
    rich.table.Table
        One column per dataset, one row per cut: events, below them the sum of weights where that differs, each with
        its efficiency relative to the cut before.
    """
    title = "Cutflow: events (and sum of weights), efficiency of each cut"
    return _cut_table(title, {name: _cutflow_cells(cuts) for name, cuts in cutflow.items()})


def n_minus_one_table(cutflow: Cutflow, n_minus_one: Cutflow) -> Table:
    """Tabulate how many events pass all cuts but one.

    Parameters
    ----------
    cutflow, n_minus_one : mapping of dataset to cut to Cut
        Events and sum of weights that are left after each cut, and that pass all the others.

    Returns
    -------
    rich.table.Table
        One column per dataset, one row per cut: events that pass all other cuts, below them the sum of weights where
        that differs, each with the share of them that passes this cut too.
    """
    title = "N-1: events (and sum of weights) that pass all other cuts, and the share of them that passes this one"
    cells = {name: _n_minus_one_cells(cutflow[name], cuts) for name, cuts in n_minus_one.items()}
    return _cut_table(title, cells)


def scan_table(results: Results) -> Table:
    """Tabulate counts, background and significance of every window and selection.

    Parameters
    ----------
    results : Results

    Returns
    -------
    rich.table.Table
        One row per window (GeV), one column per selection: "n / b ± error" and the local z, set off from 3 on, with an
        asterisk where the background is too small for asymptotic formulae; below it, where there are several trainings,
        the median of z over them and the distances to the quantiles 0.84 and 0.16. Selections without a count show the
        background alone. Reasons of failures stand below the table.
    """
    failures = _notes(results)
    table = Table(
        title=_title(results),
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        min_width=_CAPTION_WIDTH if failures else None,  # the caption is wrapped at the width of the table
        caption=failures,
        caption_justify="left",
    )
    names = list(dict.fromkeys(selection.name for selection in results.selections)) or ["result"]
    table.add_column("window", no_wrap=True)
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for window in results.windows:
        by_name = {selection.name: selection for selection in window.selections}
        table.add_row(window.name, *(_scan_cell(by_name.get(name)) for name in names))
    return table


def headline(results: Results) -> str:
    """Put the result of a search in a few lines.

    Parameters
    ----------
    results : Results

    Returns
    -------
    str
        The sentences of `search_verdict`, a line each; the trainings of the largest excess, where there are several;
        and the number of windows that failed. Plain text without markup.
    """
    verdict = search_verdict(results)
    trainings = [] if verdict.largest is None else _training_lines(verdict.largest)
    failed = [] if verdict.failed is None else [f"{verdict.failed}."]
    return plain("\n".join([verdict.headline, *verdict.sentences, *trainings, *failed]))


def _training_lines(largest: Excess) -> list[str]:
    """Numbers of the training with the largest excess, unless it is the first, and the spread over all of them."""
    spread = largest.selection.seeds.get("z")
    if spread is None:
        return []
    counts = f"n = {count(largest.n_obs)}, b = {plain_number(largest.background)}, local p₀ = {p_value(largest.p0)}"
    training = f"Training seed {largest.seed}{f': {counts}' * bool(largest.seed)}"
    band = f"{z_value(spread.median)} [{z_value(spread.low)}, {z_value(spread.high)}]"
    return [f"{training}. There z is {band}, median [16 %, 84 %] over {len(spread.values)} trainings."]


def _title(results: Results) -> str:
    if results.blinded:
        return "Expected b (blinded) per window in GeV"
    trainings = results.trials.get("seeds", 1)
    below = "" if trainings == 1 else f", and z over {trainings} trainings: median +- to 84 and 16 %"
    return f"Observed n / expected b and local z per window in GeV{below}"


def _cut_table(title: str, columns: Mapping[str, Mapping[str, str]]) -> Table:
    """One column per dataset, one row per cut."""
    table = Table(title=title, box=box.SIMPLE_HEAD)
    table.add_column("cut")
    for name in columns:
        table.add_column(Text(name), justify="right", overflow="fold")
    for cut in cut_order(columns):
        table.add_row(Text(cut), *(Text(cells.get(cut, _NOTHING)) for cells in columns.values()))
    return table


def _cutflow_cells(cuts: Mapping[str, Cut]) -> dict[str, str]:
    """Cells of one dataset by cut."""
    before: Cut | None = None
    cells, weighted = {}, _is_weighted(cuts)
    for name, left in cuts.items():
        cells[name] = _cut_cell(left, left, before, weighted=weighted)
        before = left
    return cells


def _n_minus_one_cells(cutflow: Mapping[str, Cut], cuts: Mapping[str, Cut]) -> dict[str, str]:
    """Cells of one dataset by cut. The last cut leaves the events that pass all of them."""
    weighted = _is_weighted(cuts)
    return {name: _cut_cell(left, cutflow[list(cuts)[-1]], left, weighted=weighted) for name, left in cuts.items()}


def _is_weighted(cuts: Mapping[str, Cut]) -> bool:
    return any(left.weight != left.events for left in cuts.values())


def _cut_cell(shown: Cut, part: Cut, whole: Cut | None, *, weighted: bool) -> str:
    """Events, with the share that `part` has in `whole`; the same of the weights below."""
    lines = [_share(shown.events, part.events, None if whole is None else whole.events)]
    if weighted:
        lines.append(_share(shown.weight, part.weight, None if whole is None else whole.weight))
    return "\n".join(lines)


def _share(shown: float, part: float, whole: float | None) -> str:
    fraction = f"{part / whole:.1%}" if whole else _NOTHING
    return f"{plain(count(shown))} {fraction:>6}"


def _scan_cell(selection: SelectionDocument | None) -> Text:
    if selection is None or selection.background is None:
        return Text("failed", style="red")
    background = plain_error(selection.background, selection.total_error)
    if selection.n_obs is None:
        return Text(background)
    cell = Text(f"{plain(count(selection.n_obs))} / {background}")
    if selection.z is not None:
        mark = _APPROXIMATE if selection.is_approximate else ""
        cell.append(
            f"\nz = {plain(z_value(selection.z))}{mark}", style="bold red" if selection.z >= SIGNIFICANT else ""
        )
    if spread := selection.seeds.get("z"):
        cell.append(f"\n{_band(spread)}")
    return cell


def _band(spread: SeedSpread) -> str:
    known = sum(value is not None for value in spread.values)
    of = "" if known == len(spread.values) else f" ({known} of {len(spread.values)})"
    up, down = spread.high - spread.median, spread.median - spread.low
    return plain(f"{z_value(spread.median)} +{z_value(up)}-{z_value(down)}{of}")


def _notes(results: Results) -> Text | None:
    failures = _failures(results)
    if not any(selection.is_approximate for selection in results.selections):
        return failures
    note = Text(f"{_APPROXIMATE} few background events, z is approximate: p0_averaged in results.json is conservative.")
    return note if failures is None else Text("\n").join([note, failures])


def _failures(results: Results) -> Text | None:
    """Reasons of all failures, a line each."""
    lines = []
    for window in results.windows:
        reasons = [window.reason, *(selection.reason for selection in window.selections)]
        prefix = f"window {window.name} GeV"
        lines += [reason if prefix in reason else f"{prefix}: {reason}" for reason in reasons if reason]
    return Text("\n".join(lines), style="red") if lines else None
