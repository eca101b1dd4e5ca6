"""Binned spectra from files of any source: UHI JSON, a ROOT TH1, or CSV.

The mass axis is in GeV. Bins may have any widths. Underflow and overflow are ignored.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from analysis.core.text_files import read_text
from analysis.errors import CwolaError, InputFileError
from analysis.histograms.uhi_json import load_histogram

__all__ = ["Spectrum", "read_spectrum"]

Array = NDArray[np.float64]

_CSV_HEADER = ("low", "high", "count")
_CSV_OPTIONAL = "variance"
_TINY = 1e-6
"""Two edges are equal if they differ by less than this fraction of a bin."""

_ROOT_SUFFIX = ".root"
_SELECTION, _VARIATION, _NOMINAL = "selection", "variation", "nominal"
_BLINDED = "blinded"
"""Metadata key that marks a blinded spectrum if true."""

_SHOWN = 10


@dataclass(frozen=True)
class Spectrum:
    """Counts in bins of the dijet mass.

    Attributes
    ----------
    edges : (n_bins + 1,) float64
        Bin edges, GeV, increasing.
    counts : (n_bins,) float64
        Events, or sums of weights.
    variances : (n_bins,) float64 or None
        Sums of squared weights. None for plain counts: variances equal to the counts become None.
    source : str
        Origin of the spectrum, for messages.

    Raises
    ------
    InputFileError
        If the edges do not increase, a value is not finite, plain counts are negative or not whole numbers, variances
        do not match the counts, or fewer than two bins are filled.
    """

    edges: Array
    counts: Array
    variances: Array | None = None
    source: str = "the spectrum"

    def __post_init__(self) -> None:
        _check_shapes(self)
        _check_edges(self)
        _check_finite(self)
        if self.variances is not None and np.allclose(self.variances, self.counts, rtol=1e-9, atol=0):
            object.__setattr__(self, "variances", None)
        if self.variances is None:
            _check_counts(self)
        else:
            _check_variances(self, self.variances)
        _check_filled(self)


def read_spectrum(source: str, *, selection: str | None = None) -> Spectrum:
    """Read a spectrum from a file.

    Parameters
    ----------
    source : str
        Path of a UHI JSON file (`.json`), of a CSV file (`.csv`) with the header `low,high,count` and optionally
        `variance`, or `file.root:name` for a TH1 in a ROOT file.
    selection : str, optional
        Entry of the axis `selection` of a UHI histogram, as in `windows/LOW-HIGH/spectrum.json` of a results folder.

    Returns
    -------
    Spectrum

    Raises
    ------
    InputFileError
        If the file or histogram does not exist, cannot be read, or does not contain a spectrum.
    """
    is_json = source.lower().endswith(".json")
    if selection is not None and not is_json:
        msg = f"{source} has no selections: only UHI JSON files (.json) have. Leave the selection out."
        raise InputFileError(msg)
    if is_json:
        return _read_uhi(Path(source), selection)
    if source.lower().endswith(".csv"):
        return _read_csv(Path(source))
    if _ROOT_SUFFIX in source.lower():
        return _read_root(source)
    msg = f"cannot tell the format of {source}: expected FILE.json (UHI), FILE.csv or FILE.root:NAME."
    raise InputFileError(msg)


def _read_csv(path: Path) -> Spectrum:
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
    return Spectrum(edges, table[:, 2], table[:, 3] if len(header) > len(_CSV_HEADER) else None, str(path))


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


def _read_uhi(path: Path, selection: str | None) -> Spectrum:
    text = _text(path)
    try:
        histogram = load_histogram(text)
    except ValueError as error:
        msg = f"{path} {error}."
        raise InputFileError(msg) from error
    return _from_hist(histogram, selection, str(path))


def _from_hist(histogram: hist.Hist[Any], selection: str | None, source: str) -> Spectrum:
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
    variances = histogram.variances()
    return Spectrum(
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


def _read_root(source: str) -> Spectrum:
    path, name = _split(source)
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


def _split(source: str) -> tuple[str, str]:
    """Return file and histogram of FILE.root:NAME; either may hold `.root` and colons."""
    ends = [found.end() for found in re.finditer(r"\.root(?=:|$)", source, re.IGNORECASE)]
    ends = ends or [source.lower().index(_ROOT_SUFFIX) + len(_ROOT_SUFFIX)]
    end = next((one for one in ends if Path(source[:one]).is_file()), ends[0])
    return source[:end], source[end:].removeprefix(":")


def _th1(file: Any, path: str, name: str) -> Any:
    """Look up a TH1 by its name."""
    import uproot

    classes = file.classnames(cycle=False)
    listed = f"The TH1 in the file: {_listed([key for key, kind in classes.items() if kind.startswith('TH1')])}."
    if not name:
        msg = f"which histogram of {path}? Expected {path}:NAME. {listed}"
        raise InputFileError(msg)
    try:
        kind = file.classname_of(name)
    except uproot.KeyInFileError as error:
        msg = f"{path} has no object '{name}'. {listed}"
        raise InputFileError(msg) from error
    if not kind.startswith("TH1"):
        msg = f"'{name}' in {path} is a {kind}, expected a TH1. {listed}"
        raise InputFileError(msg)
    return file[name]


def _from_th1(histogram: Any, source: str) -> Spectrum:
    return Spectrum(
        np.asarray(histogram.axis().edges(), np.float64),
        np.asarray(histogram.values(), np.float64),
        np.asarray(histogram.variances(), np.float64),
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


def _check_shapes(spectrum: Spectrum) -> None:
    n_bins = len(spectrum.edges) - 1
    shapes = {np.shape(spectrum.counts)} | ({np.shape(spectrum.variances)} if spectrum.variances is not None else set())
    if spectrum.edges.ndim != 1 or shapes != {(n_bins,)}:
        msg = (
            f"{spectrum.source}: {spectrum.edges.size} edges need one count, and one variance if any, for each bin; "
            f"found {', '.join(map(str, sorted(shapes)))}."
        )
        raise InputFileError(msg)


def _check_edges(spectrum: Spectrum) -> None:
    edges = spectrum.edges
    if not np.isfinite(edges).all():
        msg = f"{spectrum.source}: the bin edges are not all finite. Use finite edges; leave the overflow out."
        raise InputFileError(msg)
    if (wrong := np.flatnonzero(np.diff(edges) <= 0)).size:
        i = wrong[0]
        msg = f"{spectrum.source}: bin edges must rise, but after {edges[i]:g} GeV comes {edges[i + 1]:g} GeV."
        raise InputFileError(msg)


def _check_finite(spectrum: Spectrum) -> None:
    for what, values in (("count", spectrum.counts), ("variance", spectrum.variances)):
        if values is not None and (wrong := np.flatnonzero(~np.isfinite(values))).size:
            msg = f"{_bin(spectrum, wrong[0])} has the {what} {values[wrong[0]]:g}, expected a finite number."
            raise InputFileError(msg)


def _check_counts(spectrum: Spectrum) -> None:
    counts = spectrum.counts
    for kind, wrong in (("negative", counts < 0), ("not a whole number", counts != np.round(counts))):
        if wrong.any():
            i = int(np.argmax(wrong))
            msg = (
                f"{_bin(spectrum, i)} has the count {counts[i]:g}, which is {kind}. Sums of weights need variances: a "
                "column `variance` (CSV), Sumw2 (TH1) or weighted storage (UHI)."
            )
            raise InputFileError(msg)


def _check_variances(spectrum: Spectrum, variances: Array) -> None:
    wrong = (variances < 0) | ((variances == 0) & (spectrum.counts != 0))
    if wrong.any():
        i = int(np.argmax(wrong))
        msg = (
            f"{_bin(spectrum, i)} has the variance {variances[i]:g} for the sum of weights {spectrum.counts[i]:g}; "
            "expected the sum of squared weights."
        )
        raise InputFileError(msg)


def _check_filled(spectrum: Spectrum) -> None:
    filled = np.flatnonzero(spectrum.counts)
    if not filled.size:
        msg = f"{spectrum.source} is empty: there are no events in its {len(spectrum.counts)} bins."
        raise InputFileError(msg)
    if filled.size == 1:
        msg = f"{_bin(spectrum, filled[0])} holds all events: a spectrum in one bin cannot be fitted. Use finer bins."
        raise InputFileError(msg)


def _bin(spectrum: Spectrum, index: int) -> str:
    return f"{spectrum.source}: the bin {spectrum.edges[index]:g}-{spectrum.edges[index + 1]:g} GeV"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_SHOWN]) or "none"
    return f"{shown}, ..." if len(names) > _SHOWN else shown
