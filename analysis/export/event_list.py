"""List of the events that pass a selection in a window, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.core.atomic import replacing_file
from analysis.core.cells import cell
from analysis.errors import ConfigError, ResultsError, writing
from analysis.events.table import EventTable
from analysis.search.values import WindowResult

__all__ = ["FORMATS", "ORDERS", "pick_events", "require_format", "write_events"]

FORMATS = (".csv", ".parquet", ".txt")
ORDERS = ("score", "identity")

_IDENTITY = ("run", "luminosity_block", "event", "dataset")
_SCORE = "score"


def pick_events(
    table: EventTable,
    result: WindowResult,
    selection: str,
    scores: NDArray[np.float32],
    *,
    order: str = "score",
) -> pa.Table:
    """Return the events of a selection inside the window.

    Parameters
    ----------
    table : EventTable
        Searched events.
    result : WindowResult
        Window with pass weights.
    selection : str
        Name of a selection of the window.
    scores : (n_in_fit_range,) float32
        Out-of-fold scores of the events in the fit range, averaged over the ensemble members.
    order : str
        "score": descending; "identity": by run, luminosity block and event.

    Returns
    -------
    pyarrow.Table
        Identity, `mjj` in GeV, `abs_dy`, features, `weight` (weight times pass weight: the column sums to `n_obs`) and
        `score`. Undefined features are null, and so is the score of an event of a fold that only trains.

    Raises
    ------
    ResultsError
        If the window failed, the arrays have another number of events, or the weights do not add up to the `n_obs` of
        the selection.
    """
    names = [candidate.name for candidate in result.selections]
    table = table.within(result.window.fit_range)
    if result.passes is None or len(result.passes) != len(table) or len(scores) != len(table):
        sizes = "none" if result.passes is None else f"{len(result.passes)} and {len(scores)}"
        msg = (
            f"window {result.window.name} GeV: expected pass weights and scores of {len(table)} events in the fit "
            f"range, found {sizes}{f' ({result.reason})' if result.reason else ''}. Run `cwola scan` again."
        )
        raise ResultsError(msg)
    index = names.index(selection)
    passes = result.passes[:, index].astype(np.float64)
    rows = np.flatnonzero((passes > 0) & result.window.in_signal(table.mjj))
    weight = table.weight[rows] * passes[rows]
    _require_count(result, index, float(weight.sum()))
    taken = table.table.take(rows)
    columns: dict[str, Any] = {name: taken[name] for name in (*_IDENTITY, "event_id", "mjj", "abs_dy")}
    columns["dataset"] = pc.cast(taken["dataset"], pa.string())
    columns |= {name: pa.array(taken[name].to_numpy(), from_pandas=True) for name in table.feature_names}
    picked = pa.table(columns | {"weight": weight, _SCORE: pa.array(scores[rows], from_pandas=True)})
    by_identity = [(name, "ascending") for name in (*_IDENTITY, "event_id")]
    return picked.sort_by(by_identity if order == "identity" else [(_SCORE, "descending"), *by_identity])


def _require_count(result: WindowResult, index: int, total: float) -> None:
    selection = result.selections[index]
    if selection.n_obs is None or abs(total - selection.n_obs) > 1e-6 * max(1.0, abs(selection.n_obs)):
        msg = (
            f"window {result.window.name} GeV, selection {selection.name}: {total:g} events pass, but results.json has "
            f"n_obs = {selection.n_obs}. The folder does not fit together: run `cwola scan` again."
        )
        raise ResultsError(msg)


def require_format(path: Path) -> None:
    """Raise if the suffix of a file name is not in `FORMATS`.

    Raises
    ------
    ConfigError
        If the suffix is not supported; the message lists the supported ones.
    """
    if path.suffix not in FORMATS:
        msg = f"--output {path}: expected a name that ends in {', '.join(FORMATS)}, found '{path.suffix}'."
        raise ConfigError(msg)


def write_events(picked: pa.Table, path: Path) -> None:
    """Write a list of events atomically, in the format given by the suffix.

    Parameters
    ----------
    picked : pyarrow.Table
        Events from `pick_events`.
    path : pathlib.Path
        `.csv` with a header and empty undefined values; `.parquet`; or `.txt` with one line run:luminosity block:event
        per event, as read by CMS tools.

    Raises
    ------
    ConfigError
        If the suffix is not supported.
    ResultsError
        If the file cannot be written.
    """
    require_format(path)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(path) as temporary:
        if path.suffix == ".parquet":
            pq.write_table(_with_strings(picked), temporary, write_page_checksum=True)
        elif path.suffix == ".csv":
            pyarrow.csv.write_csv(_plain(picked), temporary, pyarrow.csv.WriteOptions(quoting_style="needed"))
        else:
            rows = zip(*(picked[name].to_pylist() for name in _IDENTITY[:3]), strict=True)
            temporary.write_text("".join(f"{run}:{lumi}:{event}\n" for run, lumi, event in rows), encoding="utf-8")


def _plain(picked: pa.Table) -> pa.Table:
    """Return a table whose texts no spreadsheet takes for formulae."""
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    columns = [
        column if any(one(column.type) for one in numbers) else pa.array(map(cell, column.to_pylist()), pa.string())
        for column in picked.itercolumns()
    ]
    return pa.table(columns, names=[str(cell(name)) for name in picked.column_names])


def _with_strings(table: pa.Table) -> pa.Table:
    """Return the table with strings for dictionaries, which awkward does not merge."""
    fields = [field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field for field in table.schema]
    return table.cast(pa.schema(fields))
