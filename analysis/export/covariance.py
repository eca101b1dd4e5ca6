"""Covariance of the counts of windows and selections, which share events."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.errors import CwolaError
from analysis.export.tables import EVENTS, Axis, Column, DataTable
from analysis.regions import Interval, span_of
from analysis.results import ResultsFolder
from analysis.results.processed_events import load_processed
from analysis.search.values import WindowResult

__all__ = ["covariance_table", "stored_covariance_table"]

Array = NDArray[np.float64]

_log = logging.getLogger("cwola")


def stored_covariance_table(folder: ResultsFolder, windows: Sequence[WindowResult]) -> DataTable | None:
    """Tabulate the covariance of the counts of a finished search.

    Parameters
    ----------
    folder : ResultsFolder
        With the selected events.
    windows : sequence of WindowResult

    Returns
    -------
    DataTable or None
        None while blinded, without any count, and if the selected events of the search are no longer there.
    """
    if all(window.passes is None for window in windows):
        return None
    try:
        processed = load_processed(folder)
        stored = processed.searched(folder)
        events = stored.read(span_of([window.window for window in windows]), ())
    except CwolaError as error:
        _log.warning("no covariance of the counts: %s", error)
        return None
    mjj = events.mjj
    if any(one.passes is not None and len(one.passes) != one.window.in_fit_range(mjj).sum() for one in windows):
        _log.warning("no covariance of the counts: the selected events are others than those of the search.")
        return None
    return covariance_table(windows, mjj, events.weight)


def covariance_table(windows: Sequence[WindowResult], mjj: Array, weight: Array) -> DataTable | None:
    """Tabulate the covariance of the counts, the sum of the squared weights of the events that two of them share.

    Parameters
    ----------
    windows : sequence of WindowResult
    mjj, weight : (n_events,) float64
        Masses in GeV and weights of the searched events, at least those in the fit ranges.

    Returns
    -------
    DataTable or None
        A row for each pair with common events, each pair once; None without any count.
    """
    cells: list[tuple[Interval, str]] = []
    counted = []
    for window in windows:
        if window.passes is None:
            continue
        inside = window.window.in_signal(mjj)
        rows = np.flatnonzero(inside)
        passing = window.passes[inside[window.window.in_fit_range(mjj)]]
        for index, selection in enumerate(window.selections):
            if selection.n_obs is not None:
                cells.append((window.window.signal, selection.name))
                counted.append(np.zeros(len(mjj)))
                counted[-1][rows] = weight[rows] * passing[:, index]
    if not cells:
        return None
    covariance = np.stack(counted) @ np.stack(counted).T
    pairs = [(i, j) for i, j in np.argwhere(covariance > 0).tolist() if i <= j]
    errors = np.sqrt(np.diag(covariance))
    columns = [
        Column("Covariance of the counts", tuple(float(covariance[pair]) for pair in pairs), EVENTS),
        Column("Correlation", tuple(float(covariance[i, j] / (errors[i] * errors[j])) for i, j in pairs)),
    ]
    axes = tuple(
        Axis(f"{what} {side + 1}", tuple(cells[pair[side]][place] for pair in pairs), units)
        for side in (0, 1)
        for place, (what, units) in enumerate((("Window", "GeV"), ("Selection", "")))
    )
    text = (
        "Statistical covariance of the observed events in windows and selections: the squared weights, summed, of the "
        "events that both count. Pairs without common events are left out; their backgrounds are still correlated "
        "where fits share sidebands. Counts of correlated looks must not be combined as if they were independent."
    )
    return DataTable("Covariance of the counts", text, axes, tuple(columns), ("N",))
