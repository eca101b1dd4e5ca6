"""Tables of the search: spectra, counts, p-values, limits on visible events, cutflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import hist
import numpy as np
from hist.intervals import poisson_interval
from numpy.typing import NDArray

from analysis.background import BackgroundFit, outside
from analysis.core.counted import counted
from analysis.export.tables import (
    EVENTS,
    GEV,
    Axis,
    Column,
    DataTable,
    Value,
    defined,
    limit_columns,
    window_axis,
)
from analysis.histograms.spectra import selection_counts, selection_variances
from analysis.learning import INCLUSIVE
from analysis.results.documents import cut_order
from analysis.results.numbers import SPACE
from analysis.results.values import Cut, Cutflow
from analysis.results.wording.significances import calibration_notes, retraining_remark
from analysis.results.words import expectation_text, fit_text, global_caveat
from analysis.search.values import SelectionResult, WindowResult
from analysis.statistics import DiscoveryResult, GlobalResult

__all__ = ["cutflow_table", "spectrum_tables", "window_tables"]

Array = NDArray[np.float64]

_MARKS = "Region: the window, the rest of the mask, which the fit leaves out too, or fitted."


def spectrum_tables(windows: Sequence[WindowResult]) -> list[DataTable]:
    """Tabulate each spectrum with its background fit, in the bins of the fit; hidden bins have no count.

    Parameters
    ----------
    windows : sequence of WindowResult

    Returns
    -------
    list of DataTable
        One table per window and selection with a fit.
    """
    return [
        _spectrum_table(window, selection, selection.fit, window.spectrum)
        for window in windows
        for selection in window.selections
        if selection.fit is not None and window.spectrum is not None
    ]


def _spectrum_table(
    window: WindowResult, selection: SelectionResult, fit: BackgroundFit, spectrum: hist.Hist[Any]
) -> DataTable:
    edges, shown, (low, high) = window.edges, window.shown_bins, window.window.mask
    counts, statistical = _counts(spectrum, selection, shown)
    expected, covariance = fit.expected(edges)
    same = {"Window [GeV]": window.window.name, **_names(selection)}
    errors = {"fit": tuple(np.sqrt(np.diag(covariance)).tolist())}
    tested = "" if selection.goodness is None else f", with p = {selection.goodness.p_value:.3g}"
    text = (
        f"Dijet mass spectrum of the selection {selection.name} for the window {window.window.name} GeV, and the fit "
        f"of {fit.function.name} to it outside the mask {low:g}-{high:g} GeV{tested}. Events per bin. The error of the "
        f"fit is from its covariance, and correlated between bins. {_MARKS}"
    )
    return DataTable(
        f"Spectrum {window.window.name} {selection.name}",
        text + ("" if shown.all() else " The search is blinded: no data inside the mask."),
        (Axis("$m_{jj}$", tuple(pairwise(edges.tolist())), GEV),),
        (
            Column("Data", counts, EVENTS, same, {"stat": statistical}),
            Column("Background fit", tuple(expected.tolist()), EVENTS, same, errors),
            Column("Region", _regions(window), qualifiers=same),
        ),
        ("N",),
    )


Counts = tuple[tuple[Value, ...], tuple[tuple[float, float] | None, ...]]


def _counts(spectrum: hist.Hist[Any], selection: SelectionResult, shown: NDArray[np.bool_]) -> Counts:
    """Return counts with central 68 % intervals (Garwood); None in hidden bins and for undefined errors."""
    counts, variances = selection_counts(spectrum, selection.name), selection_variances(spectrum, selection.name)
    low, high = poisson_interval(counts, variances)
    errors = [(float(a), float(b)) for a, b in zip(low - counts, high - counts, strict=True)]
    return (
        tuple(_whole(count) if show else None for count, show in zip(counts.tolist(), shown, strict=True)),
        tuple(pair if show and np.isfinite(pair).all() else None for pair, show in zip(errors, shown, strict=True)),
    )


def _regions(window: WindowResult) -> tuple[str, ...]:
    low, high = window.window.signal
    inside = (window.edges[:-1] >= low) & (window.edges[1:] <= high)
    fitted = outside(window.edges, window.window.mask)
    return tuple(np.where(inside, "window", np.where(fitted, "fitted", "mask")).tolist())


def window_tables(windows: Sequence[WindowResult], global_result: GlobalResult) -> list[DataTable]:
    """Tabulate counts, p-values and limits on visible events against the window.

    Parameters
    ----------
    windows : sequence of WindowResult
    global_result : GlobalResult

    Returns
    -------
    list of DataTable
        Tables with at least one value; p-values are absent while blinded.
    """
    axis = window_axis([result.window.signal for result in windows])
    names = dict.fromkeys(selection.name for window in windows for selection in window.selections)
    by_name = {
        name: [next((one for one in window.selections if one.name == name), None) for window in windows]
        for name in names
    }
    tables = []
    doubt = f" {text}" if (text := _plain(fit_text(windows) or "")) else ""
    for name, text, make, observable in (
        ("Events in windows", _COUNTS, _count_columns, "N"),
        ("p-values", f"{_p_value_text(windows)} {_global_text(global_result, windows)}", _p_value_columns, "P-VALUE"),
        ("Limits on visible events", _VISIBLE, _limit_columns, "N"),
    ):
        columns = defined([column for rows in by_name.values() for column in make(rows)])
        if columns:
            tables.append(DataTable(name, text.strip() + doubt, (axis,), columns, (observable,)))
    return tables


_COUNTS = (
    "Observed events in every window, and the background expected from the fit to the sidebands. The errors are "
    "that of the fit and, where the background was corrected for non-closure, that of the correction. The p-value of "
    "the fit is its goodness in the sidebands, from toys where bins are nearly empty."
)
_P_VALUES = (
    "Local significance, negative for a deficit, and its one-sided p-value (Eq. 2.6 of arXiv:2009.02205). Where the "
    "background is too small or too uncertain for asymptotic formulae there are p-values from toys too, and "
    "conservative ones, averaged over the error of the background."
)


def _p_value_text(windows: Sequence[WindowResult]) -> str:
    return " ".join([_P_VALUES, *map(_plain, calibration_notes(windows, remedy=False))])


_VISIBLE = (
    "CLs upper limits on signal events that a selection keeps in a window. The selection is held fixed: no credit is "
    "taken for what the classifier would learn from a stronger signal. Errors of the expected limits are the bands of "
    "the background-only expectation: post-fit, with the background fitted to the count of the window too, or pre-fit, "
    "without it, as the qualifier says."
)

Rows = Sequence[SelectionResult | None]


def _each(rows: Rows, value: Callable[[SelectionResult], Value]) -> tuple[Value, ...]:
    return tuple(None if selection is None else value(selection) for selection in rows)


def _qualifiers(rows: Rows) -> dict[str, str | float]:
    first = next(selection for selection in rows if selection is not None)
    return {**_names(first), "Nominal efficiency": first.efficiency}


def _names(selection: SelectionResult) -> dict[str, str]:
    """Return the qualifiers for a selection and its method; the inclusive selection has no method."""
    return {"Selection": selection.name, **({} if selection.name == INCLUSIVE else {"Method": selection.method})}


def _count_columns(rows: Rows) -> list[Column]:
    same = _qualifiers(rows)
    errors: dict[str, tuple[float | None, ...]] = {
        "fit": tuple(None if selection is None else selection.background_error for selection in rows)
    }
    correction = tuple(None if selection is None else (selection.non_closure_error or None) for selection in rows)
    if any(correction):
        errors["non-closure"] = correction
    return [
        Column("Observed", _each(rows, lambda selection: _whole(selection.n_obs)), EVENTS, same),
        Column("Expected background", _each(rows, lambda selection: selection.background), EVENTS, same, errors),
        Column("Efficiency achieved", _each(rows, lambda selection: selection.efficiency_achieved), "", same),
        Column("p-value of the fit", _each(rows, lambda selection: selection.fit_p_value), "", same),
    ]


def _p_value_columns(rows: Rows) -> list[Column]:
    same = _qualifiers(rows)
    tests = [None if selection is None else selection.discovery for selection in rows]
    numbers: dict[str, Callable[[DiscoveryResult], float | None]] = {
        "Local significance": lambda test: test.z,
        "Local p-value": lambda test: test.p0,
        "Local p-value, toys": lambda test: test.p0_toys,
        "Local p-value, averaged": lambda test: test.p0_averaged,
    }
    nominal = [
        Column(name, tuple(None if test is None else number(test) for test in tests), qualifiers=same)
        for name, number in numbers.items()
    ]
    return [*_calibrated_columns(rows, same), *nominal]


def _calibrated_columns(rows: Rows, same: dict[str, str | float]) -> list[Column]:
    """Return significance and p-value calibrated with retraining, with the error of the calibration unless exact."""
    found = [None if selection is None else selection.calibration for selection in rows]
    columns = []
    for name, quantity in (("Local significance", "z"), ("Local p-value", "p0")):
        values = tuple(None if one is None else float(getattr(one, quantity)) for one in found)
        errors = tuple(None if one is None else float(getattr(one, f"{quantity}_error")) or None for one in found)
        columns.append(Column(f"{name}, calibrated", values, "", same, {"calibration": errors} if any(errors) else {}))
    return columns


def _limit_columns(rows: Rows) -> list[Column]:
    same = _qualifiers(rows)
    limits = [None if selection is None else selection.limit for selection in rows]
    first = next((limit for limit in limits if limit is not None), None)
    if first is None:
        return []
    same |= {
        "Construction": first.construction,
        "Confidence level": 1.0 - first.level,
        "Expectation": expectation_text(limits),
    }
    observed = [None if limit is None else limit.observed_events for limit in limits]
    expected = [None if limit is None else limit.expected_events for limit in limits]
    calculators = tuple(None if limit is None else limit.calculator for limit in limits)
    return [
        *limit_columns("limit", observed, expected, EVENTS, same),
        Column("Calculator", calculators, qualifiers=same),
    ]


def _plain(text: str) -> str:
    """Return a text for readers without spaces that do not break."""
    return text.replace(SPACE, " ")


def _global_text(result: GlobalResult, windows: Sequence[WindowResult]) -> str:
    if result.p0 is None:
        return ""
    bound = "at most " if result.method.endswith("bound") else ""
    z = "" if result.z is None else f" (z = {result.z:.3g})"
    text = f"Global p-value of the largest excess: {bound}{result.p0:.4g}{z}, {result.method}"
    if result.n_trials is not None:
        text += f", {counted(result.n_trials, 'look')} of this search"
    if result.interval is not None:
        low, high = result.interval
        text += f"; 95 % interval {low:.4g} to {high:.4g} from {result.toys_text}"
    selections = (selection for window in windows for selection in window.selections)
    remarks = (retraining_remark(result, selections), result.warning, global_caveat(windows))
    return " ".join([f"{text}.", *(remark for remark in remarks if remark)])


def cutflow_table(cutflow: Cutflow) -> DataTable:
    """Tabulate the events and sums of generator weights after each cut, for all datasets."""
    cuts = cut_order(cutflow)
    columns: list[Column] = []
    for dataset, passed in cutflow.items():
        counts: list[Cut | None] = [passed.get(cut) for cut in cuts]
        events = tuple(None if count is None else count.events for count in counts)
        weights = tuple(None if count is None else count.weight for count in counts)
        columns += [
            Column("Events", events, EVENTS, {"Dataset": dataset}),
            Column("Sum of weights", weights, "", {"Dataset": dataset}),
        ]
    text = "Events, and sums of generator weights, that pass each cut and all before it. A dataset may lack a cut."
    return DataTable("Cutflow", text, (Axis("Cut", tuple(cuts)),), defined(columns), ("N",))


def _whole(count: float | None) -> Value:
    """Return a whole-numbered count as an integer, other counts unchanged."""
    return int(count) if count is not None and float(count).is_integer() else count
