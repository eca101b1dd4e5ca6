"""Histograms from UHI JSON of any source."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import hist
import uhi.io.json

from analysis.core.text_files import load_json, one_line

__all__ = ["load_histogram"]

MOST_BINS = 1_000_000
"""Bins of a histogram, over all axes: memory is needed for each of them, whether or not the file holds them."""


def load_histogram(text: str | bytes) -> hist.Hist[Any]:
    """Read a histogram.

    Parameters
    ----------
    text : str or bytes
        Object with `uhi_schema`, `axes` and `storage`.

    Raises
    ------
    ValueError
        If it is no such histogram, or has more than a million bins. The message is one line that follows a file name.
    """
    try:
        document = load_json(text, finite=False)
    except ValueError as error:
        msg = f"is not JSON: {error}"
        raise ValueError(msg) from error
    if not isinstance(document, dict) or "uhi_schema" not in document:
        keys = list(document) if isinstance(document, dict) else None
        found = type(document).__name__ if keys is None else f"the keys {', '.join(map(str, keys[:10])) or 'none'}"
        msg = f"is not a UHI histogram: expected an object with uhi_schema, axes and storage, found {found}"
        raise ValueError(msg)
    try:
        n_bins = prod(_number_of_bins(axis) for axis in document["axes"])
        histogram = None if n_bins > MOST_BINS else hist.Hist(json.loads(text, object_hook=uhi.io.json.object_hook))
    except Exception as error:  # of a document that is no histogram, boost-histogram may raise anything
        msg = f"is not a valid UHI histogram: {type(error).__name__}: {one_line(error)}"
        raise ValueError(msg) from error
    if histogram is None:
        msg = f"has {n_bins:.3g} bins, more than {MOST_BINS}"
        raise ValueError(msg)
    return histogram


def _number_of_bins(axis: Any) -> int:
    """Return the number of bins of an axis; it is stated, or that of its edges or categories."""
    listed = [len(axis[name]) for name in ("edges", "categories") if name in axis]
    return max(1, int(axis.get("bins", 1)), *listed)
