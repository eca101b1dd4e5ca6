"""Tables of the search: windows, cutflow, datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from analysis.background import CALIBRATED_FROM
from analysis.core.counted import counted
from analysis.learning import selection_text
from analysis.report.numbers import Cell, Table
from analysis.results.compared.variants import VariantFound
from analysis.results.documents import cut_order
from analysis.results.numbers import NOTHING, count, interval, number, p_value, percent, setting, with_error, z_value
from analysis.results.process_values import ProcessedDataset, ProcessFile
from analysis.results.values import Cut, Cutflow, FitDocument, Results, SelectionDocument, WindowDocument
from analysis.results.verdict import SIGNIFICANT
from analysis.results.wording.significances import calibration_notes, local_z_text, nominal_text, z_spread
from analysis.results.words import BAD_FIT_NOTE, SMOOTHNESS_NOTE, expectation_text, fit_mark, window_text, z_mark
from analysis.search.seeds import SeedSpread
from analysis.signals.values import SignalResult
from analysis.statistics import LimitResult
from analysis.validation.values import WindowValidation, WindowVerdict

__all__ = [
    "cutflow_table",
    "datasets_table",
    "n_minus_one_table",
    "overview_table",
    "template_table",
    "validation_table",
    "variants_table",
    "window_table",
    "yield_table",
]

Column = Callable[[SelectionDocument], Cell]

_APPROXIMATE = "*"
_APPROXIMATE_NOTE = (
    f"{_APPROXIMATE} z and p₀ are approximate: fewer than {CALIBRATED_FROM:g} background events, where p₀ averaged is "
    "conservative, or the exact p₀ by toys differs by more than 0.1 in z."
)
_BLINDED_NOTE = "Blinded: nothing that is observed inside the window is shown."


def overview_table(results: Results) -> Table:
    """Tabulate windows (rows) and selections (columns): significance and counts, or only the background while blinded.

    Parameters
    ----------
    results : Results
    """
    windows = results.windows
    names = list(dict.fromkeys(selection.name for selection in results.selections))
    judged = any(window.validation is not None for window in windows)
    columns = ("Window [GeV]", *map(selection_text, names), *(("Validation",) if judged else ()))
    rows = [_overview_row(window, names, judged=judged) for window in windows]
    notes = [_BLINDED_NOTE.replace("window", "windows")] if results.blinded else []
    notes += [*_marks(results.selections), *calibration_notes(windows)]
    nominal = "nominal z, and " * any(selection.nominal_z is not None for selection in results.selections)
    observed = f"Local significance z; below it {nominal}observed / expected events"
    caption = "Expected background [events]" if results.blinded else observed
    return Table(caption, columns, tuple(rows), tuple(notes), frozenset({len(names) + 1}))


def variants_table(found: Sequence[VariantFound]) -> Table:
    """Tabulate the largest excess of a search and of its variants, the search first."""
    rows = []
    for one in found:
        looks = one.looks
        z = Cell(NOTHING) if looks is None else Cell(z_value(looks.z), looks.z, strong=looks.z >= SIGNIFICANT)
        p0 = Cell(NOTHING) if looks is None else Cell(p_value(looks.p0), looks.p0)
        failed = f"{counted(one.failed, 'window')} failed or incomplete" if one.failed else ""
        rows.append((Cell(one.name), Cell(one.changed), z, Cell(one.place, note=failed), p0))
    notes = (
        "The global p is that of one search alone and does not pay for the choice among them.",
        "Each variant has a report of its own, in variants/NAME/report.html; common figures are in comparison.",
    )
    columns = ("Variant", "Settings", "Local z", "Window, selection", "Global p")
    return Table("Largest excess of the search and of its variants", columns, tuple(rows), notes, frozenset({1, 3}))


def _overview_row(window: WindowDocument, names: Sequence[str], *, judged: bool) -> tuple[Cell, ...]:
    by_name = {selection.name: selection for selection in window.selections}
    cells = [_overview_cell(by_name.get(name)) for name in names]
    validation = window.validation
    verdict = Cell(NOTHING) if validation is None else Cell(validation.verdict, note=validation.power)
    return (Cell(interval(window.signal)), *cells, *((verdict,) if judged else ()))


def _overview_cell(selection: SelectionDocument | None) -> Cell:
    if selection is None or selection.background is None:
        return Cell("failed", strong=True)
    background = with_error(selection.background, selection.total_error)
    if selection.n_obs is None:
        return Cell(background + fit_mark(selection), selection.background)
    return _significance(selection, note=f"{count(selection.n_obs)} / {background}")


def _significance(selection: SelectionDocument, note: str = "") -> Cell:
    z = selection.local_z
    mark = _APPROXIMATE * selection.is_approximate + z_mark(selection)
    below = "\n".join(text for text in (nominal_text(selection), note) if text)
    return Cell(f"{local_z_text(selection)}{mark}", z, below, strong=z is not None and z >= SIGNIFICANT)


def _p_value(selection: SelectionDocument) -> Cell:
    nominal = selection.nominal_p0
    note = "" if nominal is None else f"nominal {p_value(nominal)}"
    return _marked(selection, Cell(p_value(selection.local_p0), selection.local_p0, note))


def _marks(selections: Iterable[SelectionDocument]) -> list[str]:
    """Explain the marks in a table."""
    shown = list(selections)
    notes = {
        _APPROXIMATE_NOTE: any(selection.is_approximate for selection in shown),
        BAD_FIT_NOTE: any(selection.has_bad_fit for selection in shown),
        SMOOTHNESS_NOTE: any(selection.rests_on_smoothness for selection in shown),
    }
    return [note for note, applies in notes.items() if applies]


def window_table(results: Results, window: WindowDocument) -> Table:
    """Tabulate the numbers of all selections of one window, without empty columns."""
    rows = [[make(selection) for make in _WINDOW_COLUMNS.values()] for selection in window.selections]
    names = tuple(_WINDOW_COLUMNS)
    kept = [i for i in range(len(names)) if i == 0 or any(row[i].text != NOTHING for row in rows)]
    notes = [_BLINDED_NOTE] if results.blinded else []
    notes += [*_marks(window.selections), *calibration_notes([window])]
    if kind := expectation_text(selection.limit for selection in window.selections):
        notes.append(f"Expected limits are {kind}.")
    notes += [
        f"{selection_text(selection.name)}: {selection.reason}" for selection in window.selections if selection.reason
    ]
    return Table(
        f"Selections in {window_text(window)}",
        tuple(names[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in rows),
        tuple(notes),
        frozenset(position for position, i in enumerate(kept) if names[i] == "Fit function"),
    )


def _marked(selection: SelectionDocument, cell: Cell) -> Cell:
    """Mark a number that rests on a bad fit."""
    return cell if cell.value is None else replace(cell, text=cell.text + fit_mark(selection))


def _maybe(value: float | None, write: Callable[[float | None], str]) -> Cell:
    return Cell(write(value), value)


def _expected(limit: LimitResult | None) -> Cell:
    if limit is None:
        return Cell(NOTHING)
    low, median, high = limit.expected_events[1:4]
    return Cell(number(median), median, f"{number(low)} to {number(high)}")


def _goodness(fit: FitDocument | None) -> Cell:
    return Cell(NOTHING) if fit is None else Cell(f"{fit.chi2:.1f}/{fit.ndof}", fit.chi2)


def _spread(spread: SeedSpread | None) -> Cell:
    if spread is None:
        return Cell(NOTHING)
    return Cell(z_value(spread.median), spread.median, f"{z_value(spread.low)} to {z_value(spread.high)}")


_WINDOW_COLUMNS: Mapping[str, Column] = {
    "Selection": lambda one: Cell(selection_text(one.name)),
    "Kept": lambda one: Cell(percent(one.efficiency_achieved), one.efficiency_achieved),
    "Observed [events]": lambda one: _maybe(one.n_obs, count),
    "Background [events]": lambda one: Cell(
        with_error(one.background, one.total_error) + fit_mark(one), one.background
    ),
    "Local z": _significance,
    "Local p₀": _p_value,
    "p₀ averaged": lambda one: _maybe(one.p0_averaged, p_value),
    "z of trainings": lambda one: _spread(z_spread(one)),
    "S/√B (truth)": lambda one: _maybe(one.s_over_sqrt_b, number),
    "Observed limit [events]": lambda one: _marked(
        one, _maybe(None if one.limit is None else one.limit.observed_events, number)
    ),
    "Expected limit [events]": lambda one: _marked(one, _expected(one.limit)),
    "Fit function": lambda one: Cell(NOTHING if one.fit is None else one.fit.function),
    "Fit χ²/ndof": lambda one: _goodness(one.fit),
    "Fit p": lambda one: _marked(one, _maybe(one.fit_p_value, p_value)),
}


def validation_table(validation: WindowValidation) -> Table:
    """Tabulate the shifts of the selections of one window in signal-free samples, averaged over the sources."""
    rows = [
        (
            Cell(selection_text(shift.name)),
            Cell(with_error(100 * shift.delta, 100 * shift.delta_error), shift.delta),
            Cell(with_error(shift.shift, shift.shift_error), shift.shift),
            _maybe(shift.detectable, z_value),
            Cell(count(shift.n_sources), shift.n_sources),
        )
        for shift in validation.combined
    ]
    shifts = ("Shift of z at the size of the search", "Shift detected with 95 %")
    columns = ("Selection", "(n − b) / b without signal [%]", *shifts, "Sources")
    return Table("Validation with signal-free samples", columns, tuple(rows))


def template_table(verdicts: Sequence[WindowVerdict]) -> Table | None:
    """Tabulate the divergence of the window from the template of the method, by source; None without any."""
    rows = [
        (
            Cell(source.source),
            Cell(with_error(closure.divergence, closure.spread), closure.divergence),
            Cell(p_value(closure.p), closure.p),
            Cell(count(closure.draws), closure.draws),
        )
        for verdict in verdicts
        for source in verdict.sources
        if (closure := source.template) is not None
    ]
    columns = ("Source", "Divergence above that of equal samples", "p", "Samples")
    return Table("Window against the template of the method, without signal", columns, tuple(rows)) if rows else None


def yield_table(signals: Sequence[SignalResult], window: WindowDocument) -> Table | None:
    """Tabulate yields of the signal samples in the selections of one window; None without any."""
    rows = [
        (
            Cell(signal.dataset),
            Cell(selection_text(selected.selection)),
            Cell(with_error(selected.events, selected.events_error), selected.events),
            _maybe(selected.acceptance_efficiency, percent),
            _maybe(selected.absorbed_fraction, percent),
        )
        for signal in signals
        for selected in signal.yields
        if selected.window == window.signal
    ]
    if not rows:
        return None
    columns = ("Signal", "Selection", "Events", "A × ε", "Taken for background by the fit")
    return Table(f"Signal samples in {window_text(window)}", columns, tuple(rows), (), frozenset({1}))


def datasets_table(process: ProcessFile) -> Table:
    """Tabulate kind, masses, events and normalisation of the datasets."""
    columns = ("Dataset", "Kind", "Masses [GeV]", "Events", "σ [pb]", "L [fb⁻¹]", "Normalised by")
    rows = [_dataset_row(name, record) for name, record in process.datasets.items()]
    return Table("Datasets", columns, tuple(rows), (), frozenset({1, 2, 6}))


def _dataset_row(name: str, record: ProcessedDataset) -> tuple[Cell, ...]:
    described = record.dataset
    masses = ", ".join(f"{particle} {mass:g}" for particle, mass in dict(described.get("masses") or {}).items())
    return (
        Cell(name),
        Cell(described["kind"]),
        Cell(masses or NOTHING),
        Cell(count(record.n_entries), record.n_entries),
        _maybe(described.get("xsec_pb"), setting),
        _maybe(described.get("lumi_ifb"), setting),
        Cell(record.normalisation or NOTHING),
    )


def cutflow_table(cutflow: Cutflow) -> Table:
    """Tabulate the events after each cut, with the efficiency of the cut on the second line."""
    cells = {name: _left(cuts) for name, cuts in cutflow.items()}
    return _cut_table("Events left after each cut; below them the fraction of those before it", cells)


def n_minus_one_table(cutflow: Cutflow, n_minus_one: Cutflow) -> Table:
    """Tabulate the events that pass all other cuts, with the fraction that passes this one on the second line."""
    cells = {name: _alone(cutflow[name], cuts) for name, cuts in n_minus_one.items()}
    return _cut_table("Events that pass all other cuts; below them the fraction that passes this one too", cells)


def _cut_table(caption: str, cells: Mapping[str, Mapping[str, Cell]]) -> Table:
    rows = [(Cell(cut), *(column.get(cut, Cell(NOTHING)) for column in cells.values())) for cut in cut_order(cells)]
    return Table(caption, ("Cut", *cells), tuple(rows), _weights_note(cells))


def _weights_note(cells: Mapping[str, Mapping[str, Cell]]) -> tuple[str, ...]:
    weighted = any("Σw" in cell.note for column in cells.values() for cell in column.values())
    return ("Σw: sum of weights, where it is not the number of events.",) if weighted else ()


def _left(cuts: Mapping[str, Cut]) -> dict[str, Cell]:
    cells: dict[str, Cell] = {}
    before: Cut | None = None
    for name, passed in cuts.items():
        cells[name] = _counted(passed, None if before is None else _part(passed, before))
        before = passed
    return cells


def _alone(cutflow: Mapping[str, Cut], cuts: Mapping[str, Cut]) -> dict[str, Cell]:
    return {name: _counted(left, _part(cutflow[list(cuts)[-1]], left)) for name, left in cuts.items()}


def _part(left: Cut, before: Cut) -> float | None:
    return left.weight / before.weight if before.weight else None


def _counted(left: Cut, part: float | None) -> Cell:
    weight = "" if left.weight == left.events else f"Σw {number(left.weight, 5)}"
    notes = [text for text in (weight, "" if part is None else f"{100 * part:.1f} %") if text]
    return Cell(count(left.events), left.events, ", ".join(notes))
