"""Tables and headline of a search for the terminal, as rich renderables; matplotlib is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.background import CALIBRATED_FROM
from analysis.cli.tables.plain import plain, plain_error, plain_number
from analysis.core.counted import counted
from analysis.results.compared.variants import VariantFound
from analysis.results.documents import cut_order
from analysis.results.numbers import count, p_value, z_value
from analysis.results.values import Cut, Cutflow, Results, SelectionDocument
from analysis.results.verdict import SIGNIFICANT, search_verdict
from analysis.results.wording.significances import calibration_notes, local_z_text, nominal_text, z_spread
from analysis.results.words import BAD_FIT_NOTE, SMOOTHNESS_NOTE, Excess, fit_mark, z_mark
from analysis.search.seeds import SeedSpread

__all__ = ["cutflow_table", "headline", "n_minus_one_table", "scan_table", "variants_table"]

_NOTHING = "-"
_CAPTION_WIDTH = 90
_APPROXIMATE = "*"


def cutflow_table(cutflow: Cutflow) -> Table:
    """Tabulate the events that pass each cut.

    Parameters
    ----------
    cutflow : mapping of dataset to cut to Cut
        Events and sum of weights after each cut, in order.

    Returns
    -------
    rich.table.Table
        One column per dataset, one row per cut: events and, if different, the sum of weights below, each with the
        efficiency relative to the previous cut.
    """
    title = "Cutflow: events (and sum of weights), efficiency of each cut"
    return _cut_table(title, {name: _cutflow_cells(cuts) for name, cuts in cutflow.items()})


def n_minus_one_table(cutflow: Cutflow, n_minus_one: Cutflow) -> Table:
    """Tabulate the events that pass all cuts except one.

    Parameters
    ----------
    cutflow, n_minus_one : mapping of dataset to cut to Cut
        Events and sum of weights after each cut, and events and sum of weights that pass all other cuts.

    Returns
    -------
    rich.table.Table
        One column per dataset, one row per cut: events that pass all other cuts and, if different, the sum of weights
        below, each with the fraction that also passes this cut.
    """
    title = "N-1: events (and sum of weights) that pass all other cuts, and the share of them that passes this one"
    cells = {name: _n_minus_one_cells(cutflow[name], cuts) for name, cuts in n_minus_one.items()}
    return _cut_table(title, cells)


def scan_table(results: Results) -> Table:
    """Tabulate counts, background and significance of each window and selection.

    Parameters
    ----------
    results : Results

    Returns
    -------
    rich.table.Table
        One row per window (GeV), one column per selection: "n / b ± error" and the local z, highlighted from 3, with an
        asterisk if the background is too small for asymptotic formulae, and "!" for a bad background fit. If it is
        calibrated with retraining, its error and the nominal z follow. For several trainings, the median of z and the
        distances to the quantiles 0.84 and 0.16 follow below. Selections without a count show only the background.
        Notes on the calibration and reasons of failures are listed below the table.
    """
    notes = _notes(results)
    table = Table(
        title=_title(results),
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        min_width=_CAPTION_WIDTH if notes else None,  # the caption is wrapped at the width of the table
        caption=notes,
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


def variants_table(found: Sequence[VariantFound]) -> Table:
    """Tabulate the largest excess of a search and of its variants.

    Parameters
    ----------
    found : sequence of VariantFound
        The search first.

    Returns
    -------
    rich.table.Table
        One row each: settings that differ, local z, where it is, and the global p-value of this search alone.
    """
    table = Table(title="Variants: largest excess of each", box=box.SIMPLE_HEAVY)
    for name in ("Variant", "Settings", "Local z", "Where", "Global p"):
        table.add_column(name)
    for one in found:
        looks = one.looks
        cells = (_NOTHING, _NOTHING) if looks is None else (plain(z_value(looks.z)), plain(p_value(looks.p0)))
        failed = f"; {counted(one.failed, 'window')} failed" * bool(one.failed)
        table.add_row(one.name, plain(one.changed), cells[0], plain(one.place) + failed, cells[1])
    return table


def headline(results: Results) -> str:
    """Summarise the result of a search in a few lines.

    Parameters
    ----------
    results : Results

    Returns
    -------
    str
        Sentences of `search_verdict`, one per line, the trainings of the largest excess if more than one, and the
        number of failed windows. Plain text without markup.
    """
    verdict = search_verdict(results)
    trainings = [] if verdict.largest is None else _training_lines(verdict.largest)
    failed = [] if verdict.failed is None else [f"{verdict.failed}."]
    return plain("\n".join([verdict.headline, *verdict.sentences, *trainings, *failed]))


def _training_lines(largest: Excess) -> list[str]:
    """Return the numbers of the training with the largest excess, unless it is the first, and the spread over all."""
    spread = z_spread(largest.selection)
    if spread is None:
        return []
    counts = f"n = {count(largest.n_obs)}, b = {plain_number(largest.background)}, local p₀ = {largest.p0_text}"
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
    """Build a table with one column per dataset and one row per cut."""
    table = Table(title=title, box=box.SIMPLE_HEAD)
    table.add_column("cut")
    for name in columns:
        table.add_column(Text(name), justify="right", overflow="fold")
    for cut in cut_order(columns):
        table.add_row(Text(cut), *(Text(cells.get(cut, _NOTHING)) for cells in columns.values()))
    return table


def _cutflow_cells(cuts: Mapping[str, Cut]) -> dict[str, str]:
    """Return the cells of one dataset by cut."""
    before: Cut | None = None
    cells, weighted = {}, _is_weighted(cuts)
    for name, passed in cuts.items():
        cells[name] = _cut_cell(passed, passed, before, weighted=weighted)
        before = passed
    return cells


def _n_minus_one_cells(cutflow: Mapping[str, Cut], cuts: Mapping[str, Cut]) -> dict[str, str]:
    """Return the cells of one dataset by cut; the last cut of the cutflow counts the events that pass all cuts."""
    weighted = _is_weighted(cuts)
    return {name: _cut_cell(cut, cutflow[list(cuts)[-1]], cut, weighted=weighted) for name, cut in cuts.items()}


def _is_weighted(cuts: Mapping[str, Cut]) -> bool:
    return any(passed.weight != passed.events for passed in cuts.values())


def _cut_cell(shown: Cut, part: Cut, whole: Cut | None, *, weighted: bool) -> str:
    """Return a cell with the events and the fraction of `part` in `whole`, and the same for the weights below."""
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
        return Text(background + fit_mark(selection))
    cell = Text(f"{plain(count(selection.n_obs))} / {background}")
    if selection.local_z is not None:
        mark = _APPROXIMATE * selection.is_approximate + z_mark(selection)
        style = "bold red" if selection.local_z >= SIGNIFICANT else ""
        cell.append(f"\nz = {plain(local_z_text(selection)).replace(' ± ', '±')}{mark}", style=style)
    if nominal := nominal_text(selection):
        cell.append(f"\n{plain(nominal)}")
    if spread := z_spread(selection):
        cell.append(f"\n{_band(spread)}")
    return cell


def _band(spread: SeedSpread) -> str:
    known = sum(value is not None for value in spread.values)
    of = "" if known == len(spread.values) else f" ({known} of {len(spread.values)})"
    up, down = spread.high - spread.median, spread.median - spread.low
    return plain(f"{z_value(spread.median)} +{z_value(up)}-{z_value(down)}{of}")


def _notes(results: Results) -> Text | None:
    notes = []
    if any(selection.is_approximate for selection in results.selections):
        text = (
            f"{_APPROXIMATE} z is approximate: fewer than {CALIBRATED_FROM:g} background events (p0_averaged in "
            "results.json is conservative), or the exact p0_toys differs by more than 0.1 in z."
        )
        notes.append(Text(text))
    if any(selection.has_bad_fit for selection in results.selections):
        notes.append(Text(plain(BAD_FIT_NOTE), style="bold red"))
    if any(selection.rests_on_smoothness for selection in results.selections):
        notes.append(Text(plain(SMOOTHNESS_NOTE)))
    notes += [Text(plain(note)) for note in calibration_notes(results.windows)]
    if (failures := _failures(results)) is not None:
        notes.append(failures)
    return Text("\n").join(notes) if notes else None


def _failures(results: Results) -> Text | None:
    """Return the reasons of all failures, one per line."""
    lines = []
    for window in results.windows:
        reasons = [window.reason, *(selection.reason for selection in window.selections)]
        prefix = f"window {window.name} GeV"
        lines += [reason if prefix in reason else f"{prefix}: {reason}" for reason in reasons if reason]
    return Text("\n".join(lines), style="red") if lines else None
