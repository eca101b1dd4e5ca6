"""Columns of features for the selected events of a chunk, and a count of odd values."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from analysis.errors import InputFileError
from processors.features.registry import Feature
from processors.features.standard import raw_ratio
from processors.objects import Dijets, Floats

__all__ = ["compute_features", "count_oddities"]


def compute_features(
    dijets: Dijets, features: Iterable[Feature]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Evaluate features.

    Parameters
    ----------
    dijets : Dijets
        Selected events, jets ordered.
    features : iterable of Feature

    Returns
    -------
    columns : dict of str to (n_events,) float32
        NaN where a feature is undefined.
    unavailable : dict of str to str
        Features that the file does not provide, all NaN in `columns`, with a message that names the missing branch.

    Raises
    ------
    TableError
        If the number of values that a function returns differs from the number of events.
    """
    columns, unavailable = {}, {}
    for one in features:
        try:
            values = one.evaluate(dijets)
        except InputFileError as error:
            values = np.full(len(dijets), np.nan)
            unavailable[one.spec.name] = str(error)
        columns[one.spec.name] = _to_column(values)
    return columns, unavailable


def _to_column(values: Floats) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        column = values.astype(np.float32)
    return np.where(np.isfinite(column), column, np.float32(np.nan))


def count_oddities(dijets: Dijets) -> dict[str, int]:
    """Count jets whose features are undefined or were clipped, to notice a damaged or unexpected file.

    Parameters
    ----------
    dijets : Dijets
        Selected events.

    Returns
    -------
    dict of str to int
        Number of jets (two per event) without a `jet_mass`, with undefined τ21 or τ32, and with τ21 or τ32 above 1.
        Ratios that the file does not provide are left out.
    """
    jets = (dijets.first, dijets.second)
    counts = {"missing_jet_mass": sum(int(np.isnan(jet.jet_mass).sum()) for jet in jets)}
    for order, name in ((2, "tau21"), (3, "tau32")):
        with suppress(InputFileError):
            ratios = [raw_ratio(jet, order) for jet in jets]
            counts[f"undefined_{name}"] = sum(int(np.isnan(ratio).sum()) for ratio in ratios)
            counts[f"clipped_{name}"] = sum(int((ratio > 1).sum()) for ratio in ratios)
    return counts
