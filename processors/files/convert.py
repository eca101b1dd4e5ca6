"""Convert the LHC Olympics table of high-level features to a ROOT file in NanoAOD layout (extra `lhco`).

A row of the table is an event: three-momentum, mass and N-subjettiness of two jets, and the truth label if it is known.
The table orders the jets by mass, the ROOT file by p_T. The τ_N of the table are sums of p_T ΔR over the constituents,
in GeV; they are divided by the p_T of the jet (R = 1), since τ_N is dimensionless in NanoAOD. Ratios do not change.
The label becomes the event branch `truth_label`, which nothing in this package reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from analysis.core.atomic import replacing_file
from analysis.errors import InputFileError, writing
from processors.objects import Floats
from processors.opening import create_root

__all__ = ["JETS", "MOMENTUM", "TAUS", "convert_lhco", "cylindrical", "find_frame", "open_store"]

BLOCK = 200_000
"""Rows read at a time."""

KEY = "df"
"""Key of the table in the published files."""

LABEL = "label"
TRUTH = "truth_label"

MOMENTUM = ("px", "py", "pz", "m")
TAUS = ("tau1", "tau2", "tau3")
JETS = ("j1", "j2")
FIELDS = ("pt", "eta", "phi", "mass", *TAUS)


def convert_lhco(path: Path, output: Path, *, label_column: str | None = None) -> int:
    """Convert a table to a ROOT file, which appears only when it is complete.

    Parameters
    ----------
    path : pathlib.Path
        HDF5 file written by pandas with the columns pxj1, pyj1, pzj1, mj1, tau1j1, tau2j1, tau3j1, the same for j2
        (GeV), and optionally a label.
    output : pathlib.Path
        ROOT file. `event` is the row of the table, from 0; a jet without transverse momentum is left out.
    label_column : str, optional
        Column of the truth label, integers from 0 to 255; by default "label", if the table has that column.

    Returns
    -------
    int
        Number of events.

    Raises
    ------
    InputFileError
        If the extra is missing, the file is not such a table, or values are not finite. τ_N may be NaN (undefined).
    ResultsError
        If the output cannot be written.
    """
    with open_store(path) as store:
        key = find_frame(store, path)
        count = _count_rows(store, key, path)
        label = _find_columns(store.select(key, start=0, stop=1), path, label_column)
        blocks = (
            _columns(store.select(key, start=start, stop=start + BLOCK), start, path, label)
            for start in range(0, count, BLOCK)
        )
        _write(output, blocks, count)
    return count


@contextmanager
def open_store(path: Path) -> Iterator[Any]:
    """Open an HDF5 file with pandas.

    Raises
    ------
    InputFileError
        If the extra is missing, or the file is no complete HDF5 file.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - an extra
        import tables  # noqa: PLC0415 - an extra
    except ImportError as error:
        msg = f"{path}: HDF5 tables need the extra lhco ({error}): pip install 'cwola-dijet[lhco]'."
        raise InputFileError(msg) from error
    if problem := _other_file(path):
        msg = f"{path}: {problem}"
        raise InputFileError(msg)
    try:
        store = pd.HDFStore(path, mode="r")
    except (OSError, tables.HDF5ExtError) as error:
        msg = f"{path}: this is not a complete HDF5 file. Download it again."
        raise InputFileError(msg) from error
    try:
        yield store
    except tables.HDF5ExtError as error:
        msg = f"{path}: the table cannot be read, the file is damaged. Download it again."
        raise InputFileError(msg) from error
    finally:
        store.close()


def _other_file(path: Path) -> str | None:
    """Say what else than HDF5 a path leads to."""
    if not path.exists():
        return "there is no such file."
    if path.is_dir():
        return "this is a folder, not a file."
    try:
        with path.open("rb") as stream:
            start = stream.read(4)
    except OSError as error:
        return f"the file cannot be read ({error.strerror})."
    if not start:
        return "the file is empty. Download it again."
    if start == b"root":
        return "this is a ROOT file, not HDF5. ROOT files are not converted: name it in the datasets file."
    return None


def find_frame(store: Any, path: Path, wanted: str = "") -> str:
    """Return the key of the wanted table of pandas, by default of the only one.

    Raises
    ------
    InputFileError
        If there is none, or several, or it holds Python objects.
    """
    keys = [str(key).lstrip("/") for key in store]
    frames = [key for key in keys if str(store.get_storer(key).pandas_type).startswith("frame")]
    found = [key for key in (wanted or KEY,) if key in frames] or ([] if wanted else frames)
    if len(found) == 1:
        return _without_objects(store, found[0], path)
    msg = (
        f"{path}: expected one table of pandas, such as '{KEY}', found {', '.join(frames) or 'none'}. Use the LHC "
        "Olympics file of high-level features."
    )
    raise InputFileError(msg)


def _without_objects(store: Any, key: str, path: Path) -> str:
    """Refuse a table with Python objects, which would be unpickled."""
    if any(leaf._c_classid == "VLARRAY" for leaf in store.get_node(key)._f_walknodes("Leaf")):
        msg = (
            f"{path}: the table '{key}' holds columns of texts or other objects, and reading these could run code of "
            "the file. Write it again without them, or as parquet."
        )
        raise InputFileError(msg)
    return key


def _count_rows(store: Any, key: str, path: Path) -> int:
    storer = store.get_storer(key)
    count = int(storer.nrows if storer.is_table else storer.shape[0])
    if not len(store.select(key, stop=1)):  # pandas 2 counts one row in an empty table of fixed format
        msg = f"{path}: the table has no rows."
        raise InputFileError(msg)
    return count


def _find_columns(frame: Any, path: Path, label_column: str | None) -> str | None:
    """Require the columns of the jets, and return the column of the label."""
    wanted = [f"{name}{jet}" for jet in JETS for name in (*MOMENTUM, *TAUS)]
    held = [str(name) for name in frame.columns]
    if missing := [name for name in wanted if name not in held]:
        found = ", ".join(held[:20]) + (f" ... ({len(held)})" if len(held) > 20 else "")
        msg = (
            f"{path}: the columns {', '.join(missing)} are missing; found {found}. Use the LHC Olympics file of "
            "high-level features, not the one of particles."
        )
        raise InputFileError(msg)
    if label_column is not None and label_column not in held:
        msg = f"{path}: there is no label column '{label_column}'. Columns: {', '.join(held)}. Correct --label-column."
        raise InputFileError(msg)
    return label_column or (LABEL if LABEL in held else None)


def _columns(frame: Any, start: int, path: Path, label: str | None) -> dict[str, Any]:
    """Branches of a block of rows that begins at row `start`."""
    jets = [{name: _numbers(frame, f"{name}{jet}", path) for name in (*MOMENTUM, *TAUS)} for jet in JETS]
    for jet, columns in zip(JETS, jets, strict=True):
        _require_finite({f"{name}{jet}": columns[name] for name in MOMENTUM}, start, path)
    count = len(frame)
    columns = {
        "FatJet": _in_order(*(cylindrical(one) for one in jets)),
        "run": np.ones(count, np.uint32),
        "luminosityBlock": np.ones(count, np.uint32),
        "event": np.arange(start, start + count, dtype=np.uint64),
    }
    return columns if label is None else {**columns, TRUTH: _labels(_numbers(frame, label, path), label, path)}


def _numbers(frame: Any, name: str, path: Path) -> Floats:
    try:
        values: Floats = frame[name].to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"{path}: column {name} does not hold numbers ({error})."
        raise InputFileError(msg) from error
    return values


def _require_finite(columns: dict[str, Floats], start: int, path: Path) -> None:
    for name, values in columns.items():
        if len(bad := np.flatnonzero(~np.isfinite(values))):
            msg = (
                f"{path}: column {name} is not finite in row {start + bad[0]} and {len(bad) - 1} of the {len(values)} "
                f"rows from {start} on. Remove such rows from the table."
            )
            raise InputFileError(msg)


def cylindrical(jet: dict[str, Floats]) -> dict[str, Floats]:
    """Return p_T, η, φ, mass and dimensionless τ_N of jets with p_x, p_y, p_z, mass and τ_N in GeV."""
    pt = np.hypot(jet["px"], jet["py"])
    scale = np.where(pt > 0, pt, np.inf)
    return {
        "pt": pt,
        "eta": np.arcsinh(jet["pz"] / scale),
        "phi": np.arctan2(jet["py"], jet["px"]),
        "mass": jet["m"],
        **{name: jet[name] / scale for name in TAUS},
    }


def _in_order(one: dict[str, Floats], two: dict[str, Floats]) -> ak.Array:
    """Jets with p_T > 0 of each event, at most two, ordered in p_T."""
    swap = two["pt"] > one["pt"]
    fields = {}
    for name in FIELDS:
        pairs = np.stack([np.where(swap, two[name], one[name]), np.where(swap, one[name], two[name])], axis=1)
        fields[name] = pairs.astype(np.float32)
    held = fields["pt"] > 0
    counts = held.sum(axis=1)
    return ak.zip({name: ak.unflatten(values[held], counts) for name, values in fields.items()})


def _labels(values: Floats, name: str, path: Path) -> NDArray[np.uint8]:
    if bad := int((~((values == np.rint(values)) & (values >= 0) & (values <= 255))).sum()):
        msg = f"{path}: column {name} is not a label: {bad} values are no whole numbers from 0 to 255."
        raise InputFileError(msg)
    return values.astype(np.uint8)


def _write(output: Path, blocks: Iterator[dict[str, Any]], count: int) -> None:
    sums = {
        "run": np.ones(1, np.uint32),
        "genEventCount": np.array([count], np.int64),
        "genEventSumw": np.array([count], np.float64),
        "genEventSumw2": np.array([count], np.float64),
    }
    with writing(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    with replacing_file(output) as temporary, create_root(temporary) as file:
        _fill(file, "Events", blocks)
        _fill(file, "Runs", iter([sums]))


def _fill(file: Any, name: str, blocks: Iterator[dict[str, Any]]) -> None:
    """Write a TTree block by block; an assignment would write an RNTuple."""
    tree = None
    for columns in blocks:
        if tree is None:
            types = {key: value.type if isinstance(value, ak.Array) else value.dtype for key, value in columns.items()}
            tree = file.mktree(name, types)
        tree.extend(columns)
