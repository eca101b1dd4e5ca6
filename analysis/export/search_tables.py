"""Tables of the search itself: spectra, counts, p-values, limits on visible events, cutflow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import hist
import numpy as np
from hist.intervals import poisson_interval
from numpy.typing import NDArray

from analysis.background import BackgroundFit
from analysis.export.tables import (
    EVENTS,
    GEV,
    Axis,
    Column,
    DataTable,
    Value,
    band_errors,
    defined,
    window_axis,
)
from analysis.histograms.spectra import selection_counts, selection_variances
from analysis.learning import INCLUSIVE
from analysis.results.documents import cut_order
from analysis.search.values import SelectionResult, WindowResult

__all__ = ["cutflow_table", "spectrum_tables", "window_tables"]

Array = NDArray[np.float64]

_MARKS = "Region: the window, the rest of the mask, which the fit leaves out too, or fitted."


def spectrum_tables(windows: Sequence[WindowResult], *, blinded: bool) -> list[DataTable]:
    """Tabulate every spectrum with its background fit, in the bins of the fit.

    Parameters
    ----------
    windows : sequence of WindowResult
    blinded : bool
        Give no count inside the masks. A selection that was searched blinded is always given so.

    Returns
    -------
    list of DataTable
        One for each window and selection with a fit.
    """
    return [
        _spectrum_table(window, selection, selection.fit, _counts(window.spectrum, selection, hidden), hidden)
        for window in windows
        for selection in window.selections
        if selection.fit is not None and window.spectrum is not None
        for hidden in [~window.shown_bins(blinded=blinded or selection.n_obs is None)]
    ]


def _masked(window: WindowResult) -> NDArray[np.bool_]:
    """Fit bins (n_bins,) that the mask touches."""
    low, high = window.window.mask
    return (window.edges[1:] > low) & (window.edges[:-1] < high)


def _spectrum_table(
    window: WindowResult, selection: SelectionResult, fit: BackgroundFit, counts: Counts, hidden: NDArray[np.bool_]
) -> DataTable:
    edges, (low, high) = window.edges, window.window.mask
    expected, covariance = fit.expected(edges)
    same = {"Window [GeV]": window.window.name, **_names(selection)}
    errors = {"fit": tuple(np.sqrt(np.diag(covariance)).tolist())}
    text = (
        f"Dijet mass spectrum of the selection {selection.name} for the window {window.window.name} GeV, and the fit "
        f"of {fit.function.name} to it outside the mask {low:g}-{high:g} GeV. Events per bin. The error of the fit is "
        f"from its covariance, and correlated between bins. {_MARKS}"
    )
    return DataTable(
        f"Spectrum {window.window.name} {selection.name}",
        text + (" The search is blinded: no data inside the mask." if hidden.any() else ""),
        (Axis("$m_{jj}$", tuple(pairwise(edges.tolist())), GEV),),
        (
            Column("Data", counts[0], EVENTS, same, {"stat": counts[1]}),
            Column("Background fit", tuple(expected.tolist()), EVENTS, same, errors),
            Column("Region", _regions(window), qualifiers=same),
        ),
        ("N",),
    )


Counts = tuple[tuple[Value, ...], tuple[tuple[float, float] | None, ...]]


def _counts(spectrum: hist.Hist[Any], selection: SelectionResult, hidden: NDArray[np.bool_]) -> Counts:
    """Return counts with central 68 % intervals (Garwood); None where hidden, and no error where undefined."""
    counts, variances = selection_counts(spectrum, selection.name), selection_variances(spectrum, selection.name)
    low, high = poisson_interval(counts, variances)
    errors = [(float(a), float(b)) for a, b in zip(low - counts, high - counts, strict=True)]
    return (
        tuple(None if hide else _whole(count) for count, hide in zip(counts.tolist(), hidden, strict=True)),
        tuple(None if hide or not np.isfinite(one).all() else one for one, hide in zip(errors, hidden, strict=True)),
    )


def _regions(window: WindowResult) -> tuple[str, ...]:
    low, high = window.window.signal
    inside = (window.edges[:-1] >= low) & (window.edges[1:] <= high)
    return tuple(np.where(inside, "window", np.where(_masked(window), "mask", "fitted")).tolist())


def window_tables(windows: Sequence[WindowResult], found: Mapping[str, Any]) -> list[DataTable]:
    """Tabulate counts, p-values and limits on visible events against the window.

    Parameters
    ----------
    windows : sequence of WindowResult
    found : mapping
        "global" of `results.json`.

    Returns
    -------
    list of DataTable
        Without those that have no value, such as p-values while blinded.
    """
    axis = window_axis([one.window.signal for one in windows])
    names = dict.fromkeys(selection.name for window in windows for selection in window.selections)
    by_name = {
        name: [next((one for one in window.selections if one.name == name), None) for window in windows]
        for name in names
    }
    tables = []
    for name, text, make, observable in (
        ("Events in windows", _COUNTS, _count_columns, "N"),
        ("p-values", f"{_P_VALUES} {_global_text(found)}", _p_value_columns, "P-VALUE"),
        ("Limits on visible events", _VISIBLE, _limit_columns, "N"),
    ):
        columns = defined([column for rows in by_name.values() for column in make(rows)])
        if columns:
            tables.append(DataTable(name, text, (axis,), columns, (observable,)))
    return tables


_COUNTS = (
    "Observed events in every window, and the background expected from the fit to the sidebands. The errors are "
    "that of the fit and, where the background was corrected for non-closure, that of the correction."
)
_P_VALUES = (
    "Local significance, negative for a deficit, and its one-sided p-value (Eq. 2.6 of arXiv:2009.02205). Where the "
    "background is too small or too uncertain for asymptotic formulae there are p-values from toys too, and "
    "conservative ones, averaged over the error of the background."
)
_VISIBLE = (
    "CLs upper limits on signal events that a selection keeps in a window. The selection is held fixed: no credit is "
    "taken for what the classifier would learn from a stronger signal. Errors of the expected limits are the bands of "
    "the background-only expectation."
)

Rows = Sequence[SelectionResult | None]


def _each(rows: Rows, value: Callable[[SelectionResult], Value]) -> tuple[Value, ...]:
    return tuple(None if one is None else value(one) for one in rows)


def _qualifiers(rows: Rows) -> dict[str, str | float]:
    first = next(one for one in rows if one is not None)
    return {**_names(first), "Nominal efficiency": first.efficiency}


def _names(selection: SelectionResult) -> dict[str, str]:
    """Name the selection, and what made it; no method has a part in the inclusive one."""
    return {"Selection": selection.name, **({} if selection.name == INCLUSIVE else {"Method": selection.method})}


def _count_columns(rows: Rows) -> list[Column]:
    same = _qualifiers(rows)
    errors: dict[str, tuple[float | None, ...]] = {
        "fit": tuple(None if one is None else one.background_error for one in rows)
    }
    correction = tuple(None if one is None else (one.non_closure_error or None) for one in rows)
    if any(correction):
        errors["non-closure"] = correction
    return [
        Column("Observed", _each(rows, lambda one: _whole(one.n_obs)), EVENTS, same),
        Column("Expected background", _each(rows, lambda one: one.background), EVENTS, same, errors),
        Column("Efficiency achieved", _each(rows, lambda one: one.efficiency_achieved), "", same),
    ]


def _p_value_columns(rows: Rows) -> list[Column]:
    same = _qualifiers(rows)
    names = {
        "z": "Local significance",
        "p0": "Local p-value",
        "p0_toys": "Local p-value, toys",
        "p0_averaged": "Local p-value, averaged",
    }
    return [Column(name, _each(rows, partial(_of_test, key)), qualifiers=same) for key, name in names.items()]


def _of_test(key: str, selection: SelectionResult) -> Value:
    value: float | None = getattr(selection.discovery, key, None)  # None without a test
    return value


def _limit_columns(rows: Rows) -> list[Column]:
    same = _qualifiers(rows)
    limits = [None if one is None else one.limit for one in rows]
    first = next((one for one in limits if one is not None), None)
    if first is None:
        return []
    same |= {"Construction": first.construction, "Confidence level": 1.0 - first.level}
    expected = [None if one is None else one.expected_events for one in limits]
    return [
        Column("Observed limit", tuple(None if one is None else one.observed_events for one in limits), EVENTS, same),
        Column(
            "Expected limit",
            tuple(None if one is None else one[2] for one in expected),
            EVENTS,
            same,
            band_errors(expected),
        ),
        Column("Calculator", tuple(None if one is None else one.calculator for one in limits), qualifiers=same),
    ]


def _global_text(found: Mapping[str, Any]) -> str:
    if found.get("p0") is None:
        return ""
    bound = "at most " if found["method"].endswith("bound") else ""
    text = f"Global p-value of the largest excess: {bound}{found['p0']:.4g} (z = {found['z']:.3g}), {found['method']}"
    if found.get("n_trials") is not None:
        text += f", {found['n_trials']} looks"
    if found.get("interval") is not None:
        low, high = found["interval"]
        text += f"; 95 % interval {low:.4g} to {high:.4g} from {found['n_toys']} pseudo-experiments"
    return text + "."


def cutflow_table(cutflow: Mapping[str, Mapping[str, Mapping[str, float]]]) -> DataTable:
    """Tabulate events and sums of generator weights that are left after each cut, for every dataset."""
    cuts = cut_order(cutflow)
    columns = [
        Column(
            name,
            tuple(None if cut not in found else found[cut][key] for cut in cuts),
            units,
            {"Dataset": dataset},
        )
        for dataset, found in cutflow.items()
        for name, key, units in (("Events", "events", EVENTS), ("Sum of weights", "weight", ""))
    ]
    text = "Events, and sums of generator weights, that pass each cut and all before it. A dataset may lack a cut."
    return DataTable("Cutflow", text, (Axis("Cut", tuple(cuts)),), defined(columns), ("N",))


def _whole(count: float | None) -> Value:
    """Return counts without a fraction as integers."""
    return int(count) if count is not None and float(count).is_integer() else count
