"""Certified luminosity sections: the "golden JSON" of an experiment, {"run": [[first, last], ...]}."""

from __future__ import annotations

import base64
import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.config import ConfigFile
from analysis.core.text_files import load_json, shown
from analysis.errors import ConfigError

if TYPE_CHECKING:
    from coffea.lumi_tools import LumiMask

__all__ = ["certified", "lumi_mask", "run_range"]

LARGEST = 2**32 - 1
"""coffea stores runs and luminosity sections in 32 bits."""


def certified(file: ConfigFile, run: NDArray[np.uint64], section: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Find the events in certified luminosity sections.

    Parameters
    ----------
    file : ConfigFile
        Golden JSON.
    run, section : (n_events,) uint64
        Run and luminosity section of each event.

    Returns
    -------
    (n_events,) bool

    Raises
    ------
    ConfigError
        If the file is not a golden JSON.
    """
    passes: NDArray[np.bool_] = lumi_mask(file)(run.astype(np.uint32), section.astype(np.uint32))
    return passes


def lumi_mask(file: ConfigFile) -> LumiMask:
    """Return coffea's mask for a golden JSON, cached per process.

    Raises
    ------
    ConfigError
        If the file is not a golden JSON.
    """
    return _make_mask(file.data, str(file.path))


def run_range(file: ConfigFile) -> tuple[int, int]:
    """Return the first and the last certified run."""
    runs = [int(run) for run in _parse(file.data, str(file.path))]
    return min(runs), max(runs)


@lru_cache(maxsize=4)
def _make_mask(content: bytes, path: str) -> LumiMask:
    # Compiles its loops on import, which takes seconds.
    from coffea.lumi_tools import LumiMask

    text = json.dumps(_parse(content, path)).encode()
    return LumiMask("data:application/json;base64," + base64.b64encode(text).decode())


def _parse(content: bytes, path: str) -> dict[str, list[list[int]]]:
    """Sections by run, sorted and without overlaps, as coffea needs them."""
    try:
        document = load_json(content)
    except ValueError as error:
        msg = f"selection.lumi_mask: {path} is not valid JSON: {error}. {_EXPECTED}"
        raise ConfigError(msg) from error
    if not isinstance(document, dict) or not document:
        msg = f"selection.lumi_mask: {path} lists no runs. {_EXPECTED}"
        raise ConfigError(msg)
    for run, ranges in document.items():
        if not run.isdecimal() or int(run) > LARGEST or not isinstance(ranges, list) or not all(map(_is_range, ranges)):
            msg = f"selection.lumi_mask: {path} has {shown(ranges)} for run {shown(run)}. {_EXPECTED}"
            raise ConfigError(msg)
    return {run: _merge(ranges) for run, ranges in document.items()}


_EXPECTED = 'Expected a golden JSON such as {"315257": [[1, 88], [91, 92]]}: first and last sections, by run.'


def _is_range(value: Any) -> bool:
    if not isinstance(value, list) or len(value) != 2 or not all(type(number) is int for number in value):
        return False
    first, last = value
    return bool(1 <= first <= last <= LARGEST)


def _merge(ranges: list[list[int]]) -> list[list[int]]:
    merged: list[list[int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], last)
        else:
            merged.append([first, last])
    return merged
