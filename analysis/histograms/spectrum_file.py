"""Binned spectra from files of any source: UHI JSON, a ROOT TH1, or CSV.

The mass axis is in GeV. Bins may have any widths. Underflow and overflow are ignored.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.core.text_files import read_text
from analysis.errors import CwolaError, InputFileError
from analysis.histograms.contents import understood
from analysis.histograms.spectrum import Spectrum
from analysis.histograms.uhi_json import load_histogram
from analysis.learning import INCLUSIVE

__all__ = ["Spectrum", "read_spectrum"]

Array = NDArray[np.float64]
Contents = tuple[Array, Array, Array | None, str]
"""Edges, contents, variances if they are stored, and source."""

_CSV_HEADER = ("low", "high", "count")
_CSV_OPTIONAL = "variance"
_TINY = 1e-6
"""Two edges are equal if they differ by less than this fraction of a bin."""

_ROOT_SUFFIX = ".root"
_SELECTION, _VARIATION, _NOMINAL = "selection", "variation", "nominal"
_BLINDED = "blinded"
"""Metadata key that marks a blinded spectrum if true."""

_SHOWN = 10


def read_spectrum(source: str, *, selection: str | None = None, per: float | None = None) -> Spectrum:
    """Read a spectrum from a file.

    Parameters
    ----------
    source : str
        Path of a UHI JSON file (`.json`), of a CSV file (`.csv`) with the header `low,high,count` and optionally
        `variance`, or `file.root:name` for a TH1 in a ROOT file.
    selection : str, optional
        Entry of the axis `selection` of a UHI histogram, as in `windows/LOW-HIGH/spectrum.json` of a results folder.
    per : float, optional
        The contents are events per so many GeV, or of whole bins if it is 0; by default the contents tell, see
        `analysis.histograms.contents`.

    Returns
    -------
    Spectrum

    Raises
    ------
    InputFileError
        If the file or histogram does not exist, cannot be read, or does not contain a spectrum.
    """
    in_root = None if Path(source).is_file() else _root_parts(source)
    is_json = in_root is None and source.lower().endswith(".json")
    if selection is not None and not is_json:
        msg = f"{source} has no selections: only UHI JSON files (.json) have. Leave the selection out."
        raise InputFileError(msg)
    if is_json:
        histogram = _read_uhi(Path(source))
        found = understood(*_from_hist(histogram, selection, source), per=per)
        if selection in (None, INCLUSIVE) or INCLUSIVE not in _selections(histogram):
            return found
        return _with_rest(found, understood(*_from_hist(histogram, INCLUSIVE, source), per=per))
    if in_root is not None or source.lower().endswith(_ROOT_SUFFIX):
        return understood(*_read_root(source, *(in_root or (source, ""))), per=per)
    if source.lower().endswith(".csv"):
        return understood(*_read_csv(Path(source)), per=per)
    msg = f"cannot tell the format of {source}: expected FILE.json (UHI), FILE.csv or FILE.root:NAME."
    raise InputFileError(msg)


def _read_csv(path: Path) -> Contents:
    lines = csv.reader(_text(path).splitlines())
    try:
        rows = [(lines.line_num, [cell.strip() for cell in row]) for row in lines if _holds_data(row)]
    except csv.Error as error:
        msg = f"{path}, line {lines.line_num}: not CSV: {error}."
        raise InputFileError(msg) from error
    header = tuple(rows[0][1]) if rows else ()
    if header not in (_CSV_HEADER, (*_CSV_HEADER, _CSV_OPTIONAL)):
        expected = ",".join(_CSV_HEADER)
        found = f"found '{','.join(header)}' in line {rows[0][0]}" if rows else "found no line"
        msg = f"{path}: expected the header '{expected}' or '{expected},{_CSV_OPTIONAL}', {found}."
        raise InputFileError(msg)
    if len(rows) == 1:
        msg = f"{path} is empty: there are no bins below the header."
        raise InputFileError(msg)
    table = np.array([_csv_row(path, line, row, header) for line, row in rows[1:]])
    edges = _csv_edges(path, table[:, 0], table[:, 1], [line for line, _ in rows[1:]])
    return edges, table[:, 2], table[:, 3] if len(header) > len(_CSV_HEADER) else None, str(path)


def _holds_data(row: Sequence[str]) -> bool:
    """Whether a row is neither blank nor a comment."""
    return any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")


def _csv_row(path: Path, line: int, row: Sequence[str], header: Sequence[str]) -> list[float]:
    if len(row) != len(header):
        msg = f"{path}, line {line}: expected {len(header)} values ({','.join(header)}), found {len(row)}."
        raise InputFileError(msg)
    values = []
    for name, text in zip(header, row, strict=True):
        try:
            values.append(float(text))
        except ValueError as error:
            msg = f"{path}, line {line}: {name} is '{text}', expected a number."
            raise InputFileError(msg) from error
        if not np.isfinite(values[-1]):
            msg = f"{path}, line {line}: {name} is {text}, expected a finite number."
            raise InputFileError(msg)
    return values


def _csv_edges(path: Path, low: Array, high: Array, lines: Sequence[int]) -> Array:
    """Join the bins, which must be contiguous."""
    for i in range(len(low)):
        where = f"{path}, line {lines[i]}: the bin {low[i]:g}-{high[i]:g} GeV"
        if high[i] <= low[i]:
            msg = f"{where} has no width. Expected low < high."
            raise InputFileError(msg)
        step = low[i] - high[i - 1] if i else 0.0
        if abs(step) > _TINY * (high[i] - low[i]):
            if low[i] < low[i - 1]:
                problem = "comes after a bin of higher mass. Sort the bins by mass"
            elif step < 0:
                problem = f"overlaps the one before, which ends at {high[i - 1]:g} GeV. Bins must not overlap"
            else:
                problem = (
                    f"leaves a gap of {step:g} GeV after the one before, which ends at {high[i - 1]:g} GeV. Write "
                    "empty bins with count 0"
                )
            msg = f"{where} {problem}."
            raise InputFileError(msg)
    return np.append(low, high[-1])


def _read_uhi(path: Path) -> hist.Hist[Any]:
    text = _text(path)
    try:
        return load_histogram(text)
    except ValueError as error:
        msg = f"{path} {error}."
        raise InputFileError(msg) from error


def _selections(histogram: hist.Hist[Any]) -> list[str]:
    axes = [axis for axis in histogram.axes if axis.name == _SELECTION and _is_category(axis)]
    return [str(axes[0].value(index)) for index in range(len(axes[0]))] if axes else []


def _with_rest(selected: Spectrum, inclusive: Spectrum) -> Spectrum:
    """Add the events that fail the selection, where they are not fewer than none."""
    counts = inclusive.counts - selected.counts
    if (counts < 0).any():
        return selected
    squares = [one.counts if one.variances is None else one.variances for one in (inclusive, selected)]
    weighted = any(one.variances is not None for one in (inclusive, selected))
    variances = np.maximum(squares[0] - squares[1], 0.0) if weighted else None
    return replace(selected, rest=(counts, variances))


def _from_hist(histogram: hist.Hist[Any], selection: str | None, source: str) -> Contents:
    """Take the only mass axis, at the given selection and without variation."""
    if getattr(histogram, _BLINDED, False):
        msg = f"{source} is blinded: the events of its window are hidden. Use a spectrum that is not blinded."
        raise InputFileError(msg)
    if histogram.kind != "COUNT":
        msg = f"{source} holds means, not counts, in its bins. Expected a histogram of counts or weights."
        raise InputFileError(msg)
    mass = [i for i, axis in enumerate(histogram.axes) if not _is_category(axis)]
    if len(mass) != 1:
        msg = f"{source} has {len(mass)} numerical axes, expected one, the mass. Project it on the mass first."
        raise InputFileError(msg)
    if selection is not None and _SELECTION not in [axis.name for axis in histogram.axes]:
        msg = f"{source} has no axis '{_SELECTION}'. Leave the selection out."
        raise InputFileError(msg)
    where = tuple(
        slice(None) if i == mass[0] else _category(axis, selection, source) for i, axis in enumerate(histogram.axes)
    )
    variances = histogram.variances() if histogram.storage_type is hist.storage.Weight else None
    return (
        np.asarray(histogram.axes[mass[0]].edges, np.float64),
        np.asarray(histogram.values(), np.float64)[where],
        None if variances is None else np.asarray(variances, np.float64)[where],
        source if selection is None else f"{source} ({selection})",
    )


def _is_category(axis: Any) -> bool:
    return isinstance(axis, hist.axis.StrCategory | hist.axis.IntCategory | hist.axis.Boolean)


def _category(axis: Any, selection: str | None, source: str) -> int:
    """Index of the requested entry of a category axis."""
    names = [str(name) for name in axis]
    wanted = selection if axis.name == _SELECTION else _NOMINAL if axis.name == _VARIATION else None
    if wanted in names:
        return names.index(wanted)
    if wanted is None and len(names) == 1:
        return 0
    if axis.name == _SELECTION:
        found = "none was asked for" if selection is None else f"there is no '{selection}'"
        msg = f"{source}: {found}; the selections are {_listed(names)}. Name one of them (--selection)."
    else:
        msg = f"{source}: cannot choose from the axis '{axis.name}' ({_listed(names)}). Project it on the mass first."
    raise InputFileError(msg)


def _root_parts(source: str) -> tuple[str, str] | None:
    """Split `file.root:name`, or None if there is no such file name in it; the name may hold any characters."""
    ends = [match.end() for match in re.finditer(r"\.root(?=:|$)", source, re.IGNORECASE)]
    if not ends:
        return None
    end = next((end for end in ends if Path(source[:end]).is_file()), ends[0])
    return source[:end], source[end:].removeprefix(":")


def _read_root(source: str, path: str, name: str) -> Contents:
    if "://" not in path and not Path(path).is_file():
        msg = f"cannot read {path}: there is no such file."
        raise InputFileError(msg)
    import uproot

    try:
        with ExitStack() as stack:
            # A path is opened here, since fsspec takes "::" in it for an archive.
            opened = {path: None} if "://" in path else stack.enter_context(Path(path).open("rb"))
            file = stack.enter_context(uproot.open(opened, object_cache=None))
            return _from_th1(_th1(file, path, name), source)
    except CwolaError:
        raise
    except Exception as error:  # uproot may raise any exception for a file that is not ROOT
        reason = " ".join(str(error).split("\n\n")[0].split()) or type(error).__name__
        msg = f"cannot read {path} as a ROOT file: {reason}. Check the file, or copy it again."
        raise InputFileError(msg) from error


def _th1(file: Any, path: str, name: str) -> Any:
    """Look up a TH1 by its name."""
    classes = file.classnames(cycle=False)
    listed = f"The TH1 in the file: {_listed([key for key, kind in classes.items() if kind.startswith('TH1')])}."
    if not name:
        msg = f"which histogram of {path}? Expected {path}:NAME. {listed}"
        raise InputFileError(msg)
    found = _find(file, name.strip("/")) or _find(file, name)
    if found is None:
        msg = f"{path} has no object '{name}'. {listed}"
        raise InputFileError(msg)
    kind, read = found
    if not kind.startswith("TH1"):
        msg = f"'{name}' in {path} is a {kind}, expected a TH1. {listed}"
        raise InputFileError(msg)
    return read()


def _find(directory: Any, name: str) -> tuple[str, Callable[[], Any]] | None:
    """Find the class of an object, and the function that reads it; the highest cycle if none is given.

    Names may hold slashes, colons and semicolons, which uproot takes for paths and cycles.
    """
    kinds = directory.classnames(recursive=False, cycle=True)
    keys = [(own, int(cycle), kind) for key, kind in kinds.items() for own, _, cycle in [key.rpartition(";")]]
    named = [key for key in keys if key[0] == name] or [key for key in keys if f"{key[0]};{key[1]}" == name]
    if named:
        own, cycle, kind = max(named, key=itemgetter(1))
        return kind, partial(_object, directory, own, cycle)
    for own, cycle, kind in keys:
        if kind.startswith("TDirectory") and name.startswith(f"{own}/"):
            below = _find(_object(directory, own, cycle), name.removeprefix(f"{own}/").lstrip("/"))
            if below is not None:
                return below
    return None


def _object(directory: Any, name: str, cycle: int) -> Any:
    return dict(directory.iteritems(recursive=False, filter_name=lambda key: key == name))[f"{name};{cycle}"]


def _from_th1(histogram: Any, source: str) -> Contents:
    stores_variances = len(histogram.member("fSumw2")) > 0
    return (
        np.asarray(histogram.axis().edges(), np.float64),
        np.asarray(histogram.values(), np.float64),
        np.asarray(histogram.variances(), np.float64) if stores_variances else None,
        source,
    )


def _text(path: Path) -> str:
    try:
        return read_text(path)
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"cannot read {path}: {reason[:1].lower()}{reason[1:]}."
        raise InputFileError(msg) from error
    except UnicodeDecodeError as error:
        msg = f"{path} is not a text file in UTF-8: {error.reason} at byte {error.start}."
        raise InputFileError(msg) from error


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) or "none"
    return f"{shown}, ..." if len(names) > _SHOWN else shown
