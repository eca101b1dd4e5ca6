"""Tables in files: parquet, numpy archives and arrays with named columns, and HDF5."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from analysis.errors import InputFileError
from processors.files.convert import find_frame, open_store

__all__ = ["SUFFIXES", "Columns", "is_table", "read_columns", "to_columns"]

Columns = dict[str, NDArray[Any]]
"""Columns by name, each (n_events,), numbers or texts."""


def is_table(path: str) -> bool:
    """Return whether a file is read as a table, by its suffix."""
    return Path(path).suffix.lower() in SUFFIXES


def read_columns(path: Path, key: str = "") -> Columns:
    """Read all columns of a table.

    Parameters
    ----------
    path : pathlib.Path
        `.parquet`; `.npz` with one array for each column; `.npy` with a structured array; `.h5` or `.hdf5` with a table
        of pandas, or with one array for each column.
    key : str
        Table or group within an HDF5 file; by default the only one.

    Returns
    -------
    dict of str to (n_events,) array
        Null is NaN.

    Raises
    ------
    InputFileError
        If the file is missing, damaged or of another kind, or its columns do not have one value for each event.
    """
    read = SUFFIXES.get(path.suffix.lower())
    if read is None:
        msg = f"{path}: tables are read from {', '.join(SUFFIXES)}, not from '{path.suffix}'. Convert the file first."
        raise InputFileError(msg)
    if not path.is_file():
        msg = f"{path}: there is no such file. Correct the path."
        raise InputFileError(msg)
    return to_columns(read(path, key), str(path))


def to_columns(columns: Mapping[str, Any], source: str) -> Columns:
    """Check that all columns are (n_events,).

    Raises
    ------
    InputFileError
        If one is not, or the numbers of events differ.
    """
    arrays = {str(name): np.asarray(values) for name, values in columns.items()}
    if not arrays:
        msg = f"{source}: the table has no columns."
        raise InputFileError(msg)
    for name, values in arrays.items():
        if values.ndim != 1:
            msg = (
                f"{source}: column '{name}' has the shape {values.shape}; expected one value for each event. Give each "
                "feature a column of its own."
            )
            raise InputFileError(msg)
    lengths = {name: len(values) for name, values in arrays.items()}
    first, expected = next(iter(lengths.items()))
    if other := [name for name, length in lengths.items() if length != expected]:
        msg = (
            f"{source}: column '{first}' has {expected} rows, but '{other[0]}' has {lengths[other[0]]}. All columns "
            "must be of the same events."
        )
        raise InputFileError(msg)
    return arrays


@contextmanager
def _complete(path: Path, *damaged: type[Exception]) -> Iterator[None]:
    try:
        yield
    except damaged as error:
        msg = f"{path}: the table cannot be read ({str(error).splitlines()[0]}). Download or write the file again."
        raise InputFileError(msg) from error


def _require_distinct(names: Sequence[str], path: Path) -> None:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        msg = f"{path}: column '{twice[0]}' is there more than once. Rename or remove one of them."
        raise InputFileError(msg)


def _read_parquet(path: Path, _: str) -> Mapping[str, Any]:
    with _complete(path, OSError, pa.ArrowException):
        table = pq.ParquetFile(path).read()
    _require_distinct(table.column_names, path)
    return {name: _from_arrow(table[name]) for name in table.column_names}


def _from_arrow(column: pa.ChunkedArray) -> NDArray[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    values: NDArray[Any] = column.to_numpy()
    return values


def _read_numpy(path: Path, _: str) -> Mapping[str, Any]:
    with _complete(path, OSError, EOFError, ValueError, BadZipFile):
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return _fields(loaded, path)
        with loaded:
            _require_distinct(loaded.files, path)
            return {name: loaded[name] for name in loaded.files}


def _fields(values: NDArray[Any], path: Path) -> Mapping[str, Any]:
    names = values.dtype.names
    if names is None:
        msg = (
            f"{path}: the array has no names of columns, only the shape {values.shape}. Write the columns by name, "
            "with numpy.savez('events.npz', mjj=..., ...), masses in GeV."
        )
        raise InputFileError(msg)
    return {name: values[name] for name in names}


def _read_hdf5(path: Path, key: str) -> Mapping[str, Any]:
    with open_store(path) as store:
        frames = [str(name).lstrip("/") for name in store]
        if key in frames or (not key and frames):
            frame = store.select(find_frame(store, path, key))
            _require_distinct(list(map(str, frame.columns)), path)
            return {str(name): frame[name].to_numpy() for name in frame.columns}
        return _arrays(store.root, key, path)


def _arrays(root: Any, key: str, path: Path) -> Mapping[str, Any]:
    """Read an HDF5 table with named columns, or a group with one array for each column."""
    handle = root._v_file
    if f"/{key.strip('/')}" not in handle:
        msg = f"{path}: there is no '{key}' in the file. It holds {', '.join(root._v_children) or 'nothing'}."
        raise InputFileError(msg)
    node = handle.get_node(f"/{key.strip('/')}")
    found = node._f_iter_nodes("Leaf") if hasattr(node, "_v_children") else [node]
    leaves = {leaf._v_name: leaf for leaf in found if leaf._c_classid != "VLARRAY"}  # which may hold pickled objects
    if len(leaves) == 1 and (values := next(iter(leaves.values())).read()).dtype.names is not None:
        return {name: values[name] for name in values.dtype.names}
    if not leaves:
        msg = (
            f"{path}: there is no array '{key or '/'}' in the file, only the groups "
            f"{', '.join(getattr(node, '_v_children', ())) or 'none'}. Name the group as the tree of the "
            "file in the datasets file."
        )
        raise InputFileError(msg)
    return {name: leaf.read() for name, leaf in leaves.items() if leaf.ndim == 1}


SUFFIXES: dict[str, Callable[[Path, str], Mapping[str, Any]]] = {
    ".parquet": _read_parquet,
    ".npz": _read_numpy,
    ".npy": _read_numpy,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
}
"""Readers by suffix."""
