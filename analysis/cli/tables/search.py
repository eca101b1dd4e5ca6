"""Results for the terminal: tables and a headline, as rich renderables. Needs no matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, log10

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.results.documents import cut_order
from analysis.search.seeds import n_seeds, seed_spread
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import DiscoveryResult, GlobalResult

__all__ = ["cutflow_table", "headline", "n_minus_one_table", "scan_table"]

Cuts = Mapping[str, Mapping[str, float]]

_HIGHLIGHT_Z = 3.0
_NOTHING = "-"
_CAPTION_WIDTH = 90
_APPROXIMATE = "*"


def cutflow_table(cutflow: Mapping[str, Cuts]) -> Table:
    """Tabulate how many events pass the cuts.

    Parameters
    ----------
    cutflow : mapping of dataset to cut to {"events", "weight"}
        Events and sum of weights that are left after each cut, in order.

    Returns
    -------
    rich.table.Table
        One column per dataset, one row per cut: events, below them the sum of weights where that differs, each with
        its efficiency relative to the cut before.
    """
    title = "Cutflow: events (and sum of weights), efficiency of each cut"
    return _cut_table(title, {name: _cutflow_cells(cuts) for name, cuts in cutflow.items()})


def n_minus_one_table(cutflow: Mapping[str, Cuts], n_minus_one: Mapping[str, Cuts]) -> Table:
    """Tabulate how many events pass all cuts but one.

    Parameters
    ----------
    cutflow, n_minus_one : mapping of dataset to cut to {"events", "weight"}
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


def scan_table(results: Sequence[WindowResult], *, blinded: bool) -> Table:
    """Tabulate counts, background and significance of every window and selection.

    Parameters
    ----------
    results : sequence of WindowResult
    blinded : bool
        Show the expected background only. Selections without a count are always shown so.

    Returns
    -------
    rich.table.Table
        One row per window (GeV), one column per selection: "n / b ± error" and the local z, set off above 3, with an
        asterisk where the background is too small for asymptotic formulae; below it, where there are several trainings,
        the median of z over them and the distances to the quantiles 0.84 and 0.16. Why something failed stands below
        the table.
    """
    failures = _notes(results, blinded=blinded)
    table = Table(
        title=_title(results, blinded=blinded),
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        min_width=_CAPTION_WIDTH if failures else None,  # the caption is wrapped at the width of the table
        caption=failures,
        caption_justify="left",
    )
    names = list(dict.fromkeys(selection.name for result in results for selection in result.selections)) or ["result"]
    table.add_column("window", no_wrap=True)
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for result in results:
        found = {selection.name: selection for selection in result.selections}
        table.add_row(result.window.name, *(_scan_cell(found.get(name), blinded=blinded) for name in names))
    return table


@dataclass(frozen=True)
class _Excess:
    """One look; the selection is that of the first training."""

    discovery: DiscoveryResult
    result: WindowResult
    selection: SelectionResult
    seed: int


def headline(results: Sequence[WindowResult], global_result: GlobalResult | None) -> str:
    """Say in a line or two what the search found.

    Parameters
    ----------
    results : sequence of WindowResult
        All windows.
    global_result : GlobalResult or None

    Returns
    -------
    str
        The largest excess of all windows, selections and training seeds, where it is, its local z and the global
        p-value. Plain text without markup.
    """
    found = [
        _Excess(one.discovery, result, selection, seed)
        for result in results
        for selection in result.selections
        for seed, one in enumerate((selection, *selection.seeds))
        if one.discovery is not None
    ]
    incomplete = sum(result.status != "ok" for result in results)
    lines = [f"{incomplete} of {len(results)} windows failed or are incomplete."] if incomplete else []
    if not found:
        blinded = any(selection.limit is not None for result in results for selection in result.selections)
        nothing = "Blinded: no counts or p-values inside the windows." if blinded else "No window has a result."
        return "\n".join([nothing, *lines])
    largest = max(found, key=lambda excess: excess.discovery.z)
    return "\n".join([*_excess_lines(largest), *_global_lines(results, global_result), *lines])


def _title(results: Sequence[WindowResult], *, blinded: bool) -> str:
    if blinded:
        return "Expected b (blinded) per window in GeV"
    seeds = n_seeds(results)
    below = "" if seeds == 1 else f", and z over {seeds} trainings: median +- to 84 and 16 %"
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


def _quantities(cuts: Cuts) -> list[str]:
    weighted = any(left["weight"] != left["events"] for left in cuts.values())
    return ["events", "weight"] if weighted else ["events"]


def _cutflow_cells(cuts: Cuts) -> dict[str, str]:
    """Cells of one dataset by cut."""
    keys = _quantities(cuts)
    before: Mapping[str, float] | None = None
    cells = {}
    for cut, left in cuts.items():
        cells[cut] = "\n".join(_share(left[key], None if before is None else before[key]) for key in keys)
        before = left
    return cells


def _n_minus_one_cells(cutflow: Cuts, cuts: Cuts) -> dict[str, str]:
    """Cells of one dataset by cut. The last cut leaves what passes all of them."""
    keys, cells = _quantities(cuts), {}
    for cut, left in cuts.items():
        passed = cutflow[list(cuts)[-1]]
        cells[cut] = "\n".join(f"{_number(left[key])} {_fraction(passed[key], left[key]):>6}" for key in keys)
    return cells


def _number(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else f"{value:.5g}"


def _fraction(part: float, whole: float | None) -> str:
    return f"{part / whole:.1%}" if whole else _NOTHING


def _share(value: float, before: float | None) -> str:
    return f"{_number(value)} {_fraction(value, before):>6}"


def _scan_cell(selection: SelectionResult | None, *, blinded: bool) -> Text:
    if selection is None or selection.background is None:
        return Text("failed", style="red")
    if blinded or selection.n_obs is None:
        return Text(_background(selection))
    cell = Text(f"{_count(selection.n_obs)} / {_background(selection)}")
    if selection.discovery is not None:
        z = selection.discovery.z
        mark = "" if selection.calibrated and selection.discovery.asymptotics_trusted else _APPROXIMATE
        cell.append(f"\nz = {_z(z)}{mark}", style="bold red" if z > _HIGHLIGHT_Z else "")
    if spread := seed_spread(selection, "z"):
        known = sum(value is not None for value in spread.values)
        of = "" if known == len(spread.values) else f" ({known} of {len(spread.values)})"
        cell.append(f"\n{_z(spread.median)} +{_z(spread.high - spread.median)}-{_z(spread.median - spread.low)}{of}")
    return cell


def _notes(results: Sequence[WindowResult], *, blinded: bool) -> Text | None:
    failures = _failures(results)
    few = any(
        not (selection.calibrated and selection.discovery.asymptotics_trusted)
        for result in results
        for selection in result.selections
        if selection.discovery is not None and not blinded
    )
    if not few:
        return failures
    note = Text(f"{_APPROXIMATE} few background events, z is approximate: p0_averaged in results.json is conservative.")
    return note if failures is None else Text("\n").join([note, failures])


def _failures(results: Sequence[WindowResult]) -> Text | None:
    """Reasons of all failures, a line each."""
    lines = []
    for result in results:
        reasons = [result.reason, *(selection.reason for selection in result.selections)]
        prefix = f"window {result.window.name} GeV"
        lines += [reason if prefix in reason else f"{prefix}: {reason}" for reason in reasons if reason]
    return Text("\n".join(lines), style="red") if lines else None


def _excess_lines(largest: _Excess) -> list[str]:
    discovery, first = largest.discovery, largest.selection
    selection = (first, *first.seeds)[largest.seed]
    seed = f", training seed {largest.seed}" if first.seeds else ""
    kind = "Largest excess" if discovery.z > 0 else "No excess; the largest"
    where = f"in {largest.result.window.name} GeV, {first.name}{seed}"
    counts = f"n = {_count(selection.n_obs)}, b = {_background(selection)}"
    lines = [f"{kind}: local z = {_z(discovery.z)} (p0 {_p_value(discovery.p0, '=')}) {where}: {counts}."]
    if spread := seed_spread(first, "z"):
        z = f"{_z(spread.median)} [{_z(spread.low)}, {_z(spread.high)}]"
        lines.append(f"There z is {z}, median [16 %, 84 %] over {len(spread.values)} trainings; seed 0 is the result.")
    return lines


def _global_lines(results: Sequence[WindowResult], global_result: GlobalResult | None) -> list[str]:
    if global_result is None or global_result.p0 is None:
        return []
    bound = "upper-bound" in global_result.method
    at_most, at_least = ("<=", ">=") if bound else ("=", "=")
    z = "" if global_result.z is None else f" (z {at_least} {global_result.z:.1f})"
    names = {selection.name for result in results for selection in result.selections}
    looks = _looks(len(results), len(names), n_seeds(results))
    lines = [f"Global p0 {_p_value(global_result.p0, at_most)}{z}, {global_result.method_text} for {looks}."]
    if global_result.effective_trials is not None:
        lines[0] = f"{lines[0][:-1]}, worth {global_result.effective_trials:.0f} independent ones."
    return lines


def _looks(n_windows: int, n_selections: int, trainings: int) -> str:
    if trainings == 1:
        return f"{n_windows} windows x {n_selections} selections = {n_windows * n_selections} looks"
    n_looks = n_windows * ((n_selections - 1) * trainings + 1)
    selections = f"{n_selections - 1} selection{'s' * (n_selections != 2)}"
    return f"{n_windows} windows x ({selections} x {trainings} seeds + inclusive) = {n_looks} looks"


def _p_value(p_value: float, relation: str) -> str:
    return f"{relation} {p_value:.2g}" if p_value > 0 else "< 1e-300"  # too small for a float


def _z(z: float) -> str:
    return f"{round(z, 1) + 0.0:.1f}"  # no "-0.0"


def _count(count: float | None) -> str:
    if count is None:
        return _NOTHING
    return f"{count:.0f}" if count == round(count) else f"{count:.1f}"


def _background(selection: SelectionResult) -> str:
    """Background with its error, both to the second digit of the error where that is behind the point."""
    background, error = selection.background, selection.total_error
    if background is None or error is None:
        return _NOTHING
    decimals = max(0, 1 - floor(log10(error))) if error > 0 else 1
    return f"{background:.{decimals}f}±{error:.{decimals}f}"
