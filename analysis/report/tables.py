"""What was searched and found, as tables: windows, cutflow, datasets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analysis.report.numbers import Cell, Table
from analysis.report.words import SIGNIFICANT
from analysis.results.documents import cut_order
from analysis.results.numbers import NOTHING, count, interval, number, p_value, percent, setting, with_error, z_value
from analysis.results.words import selection_text, total_error, window_text

__all__ = [
    "cutflow_table",
    "datasets_table",
    "is_approximate",
    "n_minus_one_table",
    "overview_table",
    "validation_table",
    "window_table",
    "yield_table",
]

Document = Mapping[str, Any]
Column = Callable[[Document], Cell]

_APPROXIMATE = "*"
_APPROXIMATE_NOTE = f"{_APPROXIMATE} Few background events: z and p₀ are approximate, p₀ averaged is conservative."
_BLINDED_NOTE = "Blinded: nothing that is observed inside the window is shown."


def is_approximate(selection: Document) -> bool:
    """Whether the background is too small for the formulae of z and p0."""
    return selection["z"] is not None and not (selection.get("calibrated", True) and selection["asymptotics_trusted"])


def overview_table(results: Document) -> Table:
    """Tabulate all windows (rows) and selections: significance and counts, or the background alone while blinded."""
    windows, blinded = results["windows"], results["blinded"]
    names = list(dict.fromkeys(one["name"] for window in windows for one in window["selections"]))
    judged = any("validation" in window for window in windows)
    columns = ("Window [GeV]", *map(selection_text, names), *(("Validation",) if judged else ()))
    rows = [_overview_row(window, names, blinded=blinded, judged=judged) for window in windows]
    notes = [_BLINDED_NOTE.replace("window", "windows")] if blinded else []
    if any(is_approximate(one) for window in windows for one in window["selections"]):
        notes.append(_APPROXIMATE_NOTE)
    caption = "Expected background [events]" if blinded else "Local significance z; below it observed / expected events"
    return Table(caption, columns, tuple(rows), tuple(notes), frozenset({len(names) + 1}))


def _overview_row(window: Document, names: Sequence[str], *, blinded: bool, judged: bool) -> tuple[Cell, ...]:
    found = {one["name"]: one for one in window["selections"]}
    cells = [_overview_cell(found.get(name), blinded=blinded) for name in names]
    verdict = (window.get("validation") or {}).get("verdict")
    return (Cell(interval(window["signal"])), *cells, *((Cell(verdict or NOTHING),) if judged else ()))


def _overview_cell(selection: Document | None, *, blinded: bool) -> Cell:
    if selection is None or selection["background"] is None:
        return Cell("failed", strong=True)
    background = with_error(selection["background"], total_error(selection))
    if blinded or selection["n_obs"] is None:
        return Cell(background, selection["background"])
    counts = f"{count(selection['n_obs'])} / {background}"
    return _significance(selection, note=counts)


def _significance(selection: Document, note: str = "") -> Cell:
    z = selection["z"]
    mark = _APPROXIMATE if is_approximate(selection) else ""
    return Cell(f"{z_value(z)}{mark}", z, note, strong=z is not None and z >= SIGNIFICANT)


def window_table(window: Document, *, blinded: bool) -> Table:
    """Tabulate everything that is known of the selections of one window, without columns that would be empty."""
    columns = _window_columns(blinded=blinded)
    rows = [[make(selection) for make in columns.values()] for selection in window["selections"]]
    kept = [i for i in range(len(columns)) if i == 0 or any(row[i].text != NOTHING for row in rows)]
    names = tuple(columns)
    notes = [_BLINDED_NOTE] if blinded else []
    if any(is_approximate(one) for one in window["selections"]):
        notes.append(_APPROXIMATE_NOTE)
    notes += [f"{selection_text(one['name'])}: {one['reason']}" for one in window["selections"] if one.get("reason")]
    return Table(
        f"Selections in {window_text(window)}",
        tuple(names[i] for i in kept),
        tuple(tuple(row[i] for i in kept) for row in rows),
        tuple(notes),
        frozenset(position for position, i in enumerate(kept) if names[i] == "Fit function"),
    )


def _window_columns(*, blinded: bool) -> dict[str, Column]:
    shown: dict[str, Column] = {
        "Selection": lambda one: Cell(selection_text(one["name"])),
        "Kept": lambda one: Cell(percent(one["efficiency_achieved"]), one["efficiency_achieved"]),
        "Background [events]": lambda one: Cell(with_error(one["background"], total_error(one)), one["background"]),
        "Expected limit [events]": lambda one: _expected(one["limit"]),
        "Fit function": lambda one: Cell(NOTHING if one["fit"] is None else one["fit"]["function"]),
        "Fit χ²/ndof": lambda one: _goodness(one["fit"]),
        "Fit p": lambda one: _maybe((one["fit"] or {}).get("p_value"), p_value),
    }
    if blinded:
        return shown
    observed: dict[str, Column] = {
        "Selection": shown.pop("Selection"),
        "Kept": shown.pop("Kept"),
        "Observed [events]": lambda one: _maybe(one["n_obs"], count),
        "Background [events]": shown.pop("Background [events]"),
        "Local z": _significance,
        "Local p₀": lambda one: _maybe(one["p0"], p_value),
        "p₀ averaged": lambda one: _maybe(one.get("p0_averaged"), p_value),
        "z of trainings": lambda one: _spread((one.get("seeds") or {}).get("z")),
        "S/√B (truth)": lambda one: _maybe(one["s_over_sqrt_b"], number),
        "Observed limit [events]": lambda one: _maybe((one["limit"] or {}).get("observed_events"), number),
    }
    return {**observed, **shown}


def _maybe(value: float | None, write: Callable[[float | None], str]) -> Cell:
    return Cell(write(value), value)


def _expected(limit: Document | None) -> Cell:
    if limit is None:
        return Cell(NOTHING)
    low, median, high = limit["expected_events"][1:4]
    return Cell(number(median), median, f"{number(low)} to {number(high)}")


def _goodness(fit: Document | None) -> Cell:
    return Cell(NOTHING) if fit is None else Cell(f"{fit['chi2']:.1f}/{fit['ndof']}", fit["chi2"])


def _spread(spread: Document | None) -> Cell:
    if spread is None:
        return Cell(NOTHING)
    return Cell(z_value(spread["median"]), spread["median"], f"{z_value(spread['low'])} to {z_value(spread['high'])}")


def validation_table(found: Document) -> Table:
    """Tabulate what signal-free samples say of the selections of one window, averaged over the sources."""
    rows = [
        (
            Cell(selection_text(one["name"])),
            Cell(with_error(100 * one["delta"], 100 * one["delta_error"]), one["delta"]),
            Cell(with_error(one["shift"], one["shift_error"]), one["shift"]),
            Cell(count(one["n_sources"]), one["n_sources"]),
        )
        for one in found["combined"]
    ]
    columns = ("Selection", "(n − b) / b without signal [%]", "Shift of z at the size of the search", "Sources")
    return Table("Validation with signal-free samples", columns, tuple(rows))


def yield_table(signals: Sequence[Document], window: Document) -> Table | None:
    """Tabulate what the selections of one window keep of the signal samples; None where there are none."""
    rows = [
        (
            Cell(signal["dataset"]),
            Cell(selection_text(one["selection"])),
            Cell(with_error(one["events"], one["events_error"]), one["events"]),
            _maybe(one["acceptance_efficiency"], percent),
            _maybe(one.get("absorbed_fraction"), percent),
        )
        for signal in signals
        for one in signal["yields"]
        if list(one["window"]) == list(window["signal"])
    ]
    if not rows:
        return None
    columns = ("Signal", "Selection", "Events", "A × ε", "Taken for background by the fit")
    return Table(f"Signal samples in {window_text(window)}", columns, tuple(rows), (), frozenset({1}))


def datasets_table(process: Document) -> Table:
    """Tabulate what the datasets are."""
    columns = ("Dataset", "Kind", "Masses [GeV]", "Events", "σ [pb]", "L [fb⁻¹]", "Normalised by")
    rows = [_dataset_row(name, record) for name, record in process["datasets"].items()]
    return Table("Datasets", columns, tuple(rows), (), frozenset({1, 2, 6}))


def _dataset_row(name: str, record: Document) -> tuple[Cell, ...]:
    described = record["dataset"]
    masses = ", ".join(f"{particle} {mass:g}" for particle, mass in dict(described.get("masses") or {}).items())
    return (
        Cell(name),
        Cell(described["kind"]),
        Cell(masses or NOTHING),
        Cell(count(record["n_entries"]), record["n_entries"]),
        _maybe(described.get("xsec_pb"), setting),
        _maybe(described.get("lumi_ifb"), setting),
        Cell(str(record.get("normalisation") or NOTHING)),
    )


def cutflow_table(cutflow: Mapping[str, Document]) -> Table:
    """Tabulate events, with the part of those before the cut below."""
    cells = {name: _left(cuts) for name, cuts in cutflow.items()}
    return _cut_table("Events left after each cut; below them the part of those before it", cells)


def n_minus_one_table(cutflow: Mapping[str, Document], n_minus_one: Mapping[str, Document]) -> Table:
    """Tabulate events that pass all other cuts, with the part of them that passes this one below."""
    cells = {name: _alone(cutflow[name], cuts) for name, cuts in n_minus_one.items()}
    return _cut_table("Events that pass all other cuts; below them the part that passes this one too", cells)


def _cut_table(caption: str, cells: Mapping[str, Mapping[str, Cell]]) -> Table:
    rows = [(Cell(cut), *(found.get(cut, Cell(NOTHING)) for found in cells.values())) for cut in cut_order(cells)]
    return Table(caption, ("Cut", *cells), tuple(rows), _weights_note(cells))


def _weights_note(cells: Mapping[str, Mapping[str, Cell]]) -> tuple[str, ...]:
    weighted = any("Σw" in cell.note for found in cells.values() for cell in found.values())
    return ("Σw: sum of weights, where it is not the number of events.",) if weighted else ()


def _left(cuts: Document) -> dict[str, Cell]:
    cells, before = {}, None
    for cut, left in cuts.items():
        cells[cut] = _counted(left, None if before is None else _part(left, before))
        before = left
    return cells


def _alone(cutflow: Document, cuts: Document) -> dict[str, Cell]:
    return {cut: _counted(left, _part(cutflow[list(cuts)[-1]], left)) for cut, left in cuts.items()}


def _part(left: Document, before: Document) -> float | None:
    return left["weight"] / before["weight"] if before["weight"] else None


def _counted(left: Document, part: float | None) -> Cell:
    weight = "" if left["weight"] == left["events"] else f"Σw {number(left['weight'], 5)}"
    notes = [text for text in (weight, "" if part is None else f"{100 * part:.1f} %") if text]
    return Cell(count(left["events"]), left["events"], ", ".join(notes))
