"""Corrections from correctionlib JSON files, plain or gzipped, that are set in the configuration."""

from __future__ import annotations

import gzip
import io
import zlib
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

import correctionlib
import numpy as np
from correctionlib.highlevel import CompoundCorrection
from numpy.typing import NDArray

from analysis.config import ConfigFile
from analysis.core.text_files import LARGE, one_line
from analysis.errors import ConfigError
from processors.objects import Floats
from processors.selection.compound import Levels, compound_corrections

__all__ = ["Correction", "evaluate", "find_correction"]

Correction = correctionlib.Correction | CompoundCorrection | Levels

_LISTED = 8
"""Number of names that a message lists."""


def find_correction(file: ConfigFile, name: str | None, keys: tuple[str, str]) -> Correction:
    """Look up a correction by name, among the compound ones too.

    Parameters
    ----------
    file : ConfigFile
    name : str or None
        None for the only correction of the file.
    keys : (str, str)
        Keys of the configuration for the file and the name, such as "selection.veto_map".

    Returns
    -------
    correctionlib.Correction

    Raises
    ------
    ConfigError
        If the file is not a correctionlib JSON file, or has no such correction.
    """
    known = _parse(file.data, str(file.path), keys[0])
    if name is None and len(known) == 1:
        return next(iter(known.values()))
    if name not in known:
        wanted = "several corrections" if name is None else f"no correction '{name}'"
        msg = f"{keys[0]}: {file.path} holds {wanted}. Set {keys[1]} to one of {_some_of(list(known), name)}."
        raise ConfigError(msg)
    return known[name]


def _some_of(names: list[str], wanted: str | None) -> str:
    """List all names, or those most like the wanted one if there are many."""
    if len(names) <= _LISTED:
        return ", ".join(names)
    near = get_close_matches(wanted or "", names, n=_LISTED, cutoff=0.0)
    return f"{', '.join(near)} (the most similar of {len(names)})"


def evaluate(correction: Correction, inputs: dict[str, Floats | str]) -> Floats:
    """Evaluate a correction for each jet.

    Parameters
    ----------
    correction : correctionlib.Correction
    inputs : mapping of str to (n,) float64, or str
        Values by input name.

    Returns
    -------
    (n,) float64
        NaN if an input is not finite.

    Raises
    ------
    ConfigError
        If an input value is not covered by the correction.
    """
    columns = {name: value for name, value in inputs.items() if not isinstance(value, str)}
    finite: NDArray[np.bool_] = np.logical_and.reduce([np.isfinite(column) for column in columns.values()])
    if not finite.all():
        values = np.full(len(finite), np.nan)
        some = {name: value if isinstance(value, str) else value[finite] for name, value in inputs.items()}
        values[finite] = evaluate(correction, some)
        return values
    arguments = [
        inputs[one.name] if one.name not in columns else _typed(columns[one.name], one.type)
        for one in correction.inputs
    ]
    try:
        found: Any = correction.evaluate(*arguments)
    except (IndexError, RuntimeError, ValueError) as error:
        msg = (
            f"the correction '{correction.name}' cannot be evaluated: {one_line(error)}. Check the file and the keys "
            "of the configuration that belong to it."
        )
        raise ConfigError(msg) from error
    result: Floats = found
    return result


def _typed(column: Floats, kind: str) -> NDArray[np.float64] | NDArray[np.int64]:
    return column.astype(np.int64) if kind == "int" else column


def _unpacked(content: bytes) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        text = stream.read(LARGE + 1)
    if len(text) > LARGE:
        msg = f"it is larger than {LARGE / 1e6:g} MB when unpacked"
        raise ValueError(msg)
    return text


@lru_cache(maxsize=8)
def _parse(content: bytes, path: str, key: str) -> dict[str, Correction]:
    try:
        text = (_unpacked(content) if content[:2] == b"\x1f\x8b" else content).decode()
        found = correctionlib.CorrectionSet.from_string(text)
        return {**found, **compound_corrections(found, text)}
    except (OSError, EOFError, zlib.error, RuntimeError, ValueError) as error:
        msg = f"{key}: {path} is not a correctionlib JSON file: {one_line(error)}."
        raise ConfigError(msg) from error
