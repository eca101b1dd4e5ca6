"""The numbers of each figure as CSV, with units in the header. Undefined and withheld values are empty."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from analysis.background import outside
from analysis.histograms.spectra import selection_counts
from analysis.limits import RULES
from analysis.search.values import WindowResult
from analysis.signals.shapes import SignalShape, true_counts

__all__ = [
    "Row",
    "csv_text",
    "cutflow_rows",
    "fit_rows",
    "impact_rows",
    "limit_rows",
    "map_rows",
    "scan_rows",
    "sensitivity_rows",
    "signal_limit_rows",
    "significance_rows",
    "spectrum_rows",
    "stitched_rows",
    "strength_rows",
    "validation_rows",
]

Document = Mapping[str, Any]
Row = Sequence[object]

_SIGMAS = ("-2", "-1", "0", "+1", "+2")


def csv_text(rows: Iterable[Row]) -> str:
    """Write rows, the header first; None and NaN as nothing, floats without loss."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["" if _undefined(one) else one for one in row] for row in rows])
    return out.getvalue()


def _undefined(value: object) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def spectrum_rows(
    result: WindowResult, name: str, *, blinded: bool, signals: Sequence[SignalShape] = ()
) -> Iterator[Row]:
    """Rows of the spectrum of one selection: fit bins with counts, fit and pulls.

    Parameters
    ----------
    result : WindowResult
    name : str
        Of a selection with a fit.
    blinded : bool
        Leave the counts of masked bins and the hidden signal out. Those of a result that was made blinded always are.
    signals : sequence of SignalShape
        Samples that are drawn too.

    Yields
    ------
    sequence
        The header, then one row per bin; pulls are (n - b) / sqrt(w b), w the mean weight, as drawn.
    """
    selection = next(one for one in result.selections if one.name == name)
    if selection.fit is None or result.spectrum is None:
        return
    low, high = result.edges[:-1], result.edges[1:]
    counts = selection_counts(result.spectrum, name)
    hidden = blinded or selection.n_obs is None
    if hidden:
        counts = np.where(outside(result.edges, result.window.mask), counts, np.nan)
    expected, covariance = selection.fit.expected(result.edges)
    error, pulls = np.sqrt(np.diag(covariance)), (counts - expected) / np.sqrt(selection.weight * expected)
    truth = None if hidden else true_counts(result.truth, name)
    columns = [low, high, counts, expected, error, pulls, np.full(len(low), np.nan) if truth is None else truth]
    yield (
        *("m_jj low [GeV]", "m_jj high [GeV]", "observed [events]", "fit [events]", "fit error [events]", "pull"),
        *("hidden signal [events]", *(f"{one.dataset} x {one.scale:.6g} [events]" for one in signals)),
    )
    columns += [one.counts for one in signals]
    yield from zip(*(column.tolist() for column in columns), strict=True)


def stitched_rows(results: Iterable[WindowResult], name: str) -> Iterator[Row]:
    """Rows of the spectra of windows side by side: the bins inside each window, as in `spectrum_rows`."""
    header = False
    for result in results:
        if any(one.name == name and one.n_obs is not None for one in result.selections):
            for number, row in enumerate(spectrum_rows(result, name, blinded=False)):
                if number == 0 and not header:
                    yield "window", *row
                    header = True
                elif number > 0 and _is_inside(row, result.window.signal):
                    yield result.window.name, *row


def _is_inside(row: Sequence[Any], interval: tuple[float, float]) -> bool:
    return bool(row[0] >= interval[0] and row[1] <= interval[1])


def fit_rows(windows: Iterable[Document]) -> Iterator[Row]:
    """Rows of the background fits: window, selection, function and quality."""
    yield "window low [GeV]", "window high [GeV]", "selection", "function", "chi2", "ndof", "p"
    for window in windows:
        for one in window["selections"]:
            if (fit := one["fit"]) is not None:
                yield *window["signal"], one["name"], fit["function"], fit["chi2"], fit["ndof"], fit["p_value"]


def significance_rows(window: Document) -> Iterator[Row]:
    """Rows of the significance of one window: selection, efficiency, z, that of all trainings, and the truth."""
    yield (
        *("selection", "efficiency", "local z", "calibrated", "median of trainings", "16 %", "84 %"),
        "S / sqrt(B) of hidden signal",
    )
    for one in window["selections"]:
        spread = (one.get("seeds") or {}).get("z") or {}
        trainings = (spread.get(key) for key in ("median", "low", "high"))
        yield one["name"], one["efficiency"], one["z"], one["calibrated"], *trainings, one["s_over_sqrt_b"]


def validation_rows(verdicts: Iterable[Document]) -> Iterator[Row]:
    """Rows of the signal-free tests: by window, source and selection; the source "all" is their combination."""
    keys = ("z", "z_error", "delta", "delta_error", "shift", "shift_error")
    yield "window", "verdict", "source", "selection", *keys
    for window in verdicts:
        for name, found in [
            *((one["source"], one["selections"]) for one in window["sources"]),
            ("all", window["combined"]),
        ]:
            for one in found:
                yield window["window"], window["verdict"], name, one["name"], *(one.get(key) for key in keys)


def impact_rows(one: Document) -> Iterator[Row]:
    """Rows of pulls and impacts of one selection of a signal, expected and observed."""
    yield "fit", "parameter", "pull", "width after over before", "impact of +1 sigma on mu", "impact of -1 sigma on mu"
    for kind in ("expected", "observed"):
        for item in (one["impacts"][kind] or {"parameters": []})["parameters"]:
            yield kind, item["name"], item["pull"], item["error"], item["up"], item["down"]


def scan_rows(windows: Iterable[Document]) -> Iterator[Row]:
    """Rows of the scan: window, selection, counts and p-value."""
    yield (
        *("window low [GeV]", "window high [GeV]", "selection", "observed [events]", "background [events]"),
        *("background error [events]", "local z", "local p0", "p0 averaged"),
    )
    keys = ("name", "n_obs", "background", "background_error", "z", "p0", "p0_averaged")
    for window in windows:
        for selection in window["selections"]:
            yield (*window["signal"], *(selection.get(key) for key in keys))


def limit_rows(windows: Iterable[Document], name: str) -> Iterator[Row]:
    """Rows of the limits of one selection, window by window."""
    expected = (f"expected {sigma} sigma [visible events]" for sigma in _SIGMAS)
    yield "window low [GeV]", "window high [GeV]", "observed [visible events]", *expected
    for window in windows:
        for selection in window["selections"]:
            if selection["name"] == name and (limit := selection["limit"]) is not None:
                yield (*window["signal"], limit["observed_events"], *limit["expected_events"])


def cutflow_rows(results: Document) -> Iterator[Row]:
    """Rows of cutflow and N-1: what is left after each cut, and what passes all other cuts."""
    yield (
        *("dataset", "cut", "events left", "sum of weights left"),
        *("events that pass all other cuts", "sum of weights that passes all other cuts"),
    )
    for dataset, cuts in results["cutflow"].items():
        alone = results.get("n_minus_one", {}).get(dataset, {})
        for cut, left in cuts.items():
            others = alone.get(cut, {})
            yield dataset, cut, left["events"], left["weight"], others.get("events"), others.get("weight")


def signal_limit_rows(limits: Iterable[Document], rule: str) -> Iterator[Row]:
    """Rows of the limits on signal samples by one rule, and of those that it is compared with."""
    shown = {rule, *(name for name, one in RULES.items() if one.reference)}
    found = [one for one in limits if one["reason"] is None and one["rule"] in shown]
    particles = sorted({particle for one in found for particle in one["masses"]})
    yield (
        *("signal", *(f"m_{particle} [GeV]" for particle in particles), "rule", "selection"),
        *("observed [selected events]", *(f"expected {sigma} sigma [selected events]" for sigma in _SIGMAS)),
        *("observed [fb]", *(f"expected {sigma} sigma [fb]" for sigma in _SIGMAS)),
    )
    for one in found:
        yield (
            *(one["dataset"], *(one["masses"].get(particle) for particle in particles), one["rule"], one["selection"]),
            *(one["observed_selected"], *one["expected_selected"]),
            *(one["observed_fb"], *(one["expected_fb"] or [None] * len(_SIGMAS))),
        )


def strength_rows(scan: Document) -> Iterator[Row]:
    """Rows of efficiency and limit against the injected strength, one per sampling."""
    yield (
        *("method", "features", "selection", "injected [selected events]", "sampling", "signal efficiency"),
        *("expected limit [selected events]", "observed limit [selected events]", "expected z"),
    )
    for one in scan["candidates"]:
        for i, strength in enumerate(one["strengths"]):
            columns = [one[key][i] for key in ("efficiency", "expected", "observed", "expected_z")]
            for sampling, values in enumerate(zip(*columns, strict=True)):
                yield one["method"], " ".join(one["features"]), one["selection"], strength, sampling, *values


def map_rows(scan: Document, name: str) -> Iterator[Row]:
    """Rows of the efficiency maps of one selection in the plane of the jet masses; data are empty while blinded."""
    yield (
        *("injected [selected events]", "m_1 low [GeV]", "m_1 high [GeV]", "m_2 low [GeV]", "m_2 high [GeV]"),
        *("selected signal [events]", "signal [events]", "selected data [events]", "data [events]"),
    )
    for one in scan["maps"]:
        first, second = one["edges"]
        grids = [one[kind].get(of) for kind in ("signal", "data") for of in (name, "inclusive")]
        for i in range(len(first) - 1):
            for j in range(len(second) - 1):
                values = (None if grid is None else grid[i][j] for grid in grids)
                yield one["strength"], *first[i : i + 2], *second[j : j + 2], *values


def sensitivity_rows(found: Document) -> Iterator[Row]:
    """Rows of the significance of hidden signal, one per selection and random choice of events."""
    yield "method", "features", "selection", "choice", "efficiency", "z without signal", "z with signal"
    for curve in found["curves"]:
        pairs = zip(curve["z_without_signal"], curve["z_with_signal"], strict=False)
        for choice, (without, with_signal) in enumerate(pairs):
            features = " ".join(curve["features"])
            yield curve["method"], features, curve["selection"], choice, curve["efficiency"], without, with_signal
