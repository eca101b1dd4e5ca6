"""Distributions of z without signal, by window and selection, from the records of single searches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from analysis.calibration.coupling import Coupling, FoldSums
from analysis.calibration.values import CalibrationFile, Measured, NullBatch
from analysis.learning import INCLUSIVE
from analysis.search.null_distribution import NullDistribution

__all__ = ["summarise"]


def summarise(key: str, batches: Sequence[NullBatch], windows: Iterable[str]) -> CalibrationFile:
    """Summarise searches without signal.

    Parameters
    ----------
    key : str
        Fingerprint of the calibration.
    batches : sequence of NullBatch
    windows : iterable of str
        Names of all windows of the scan.

    Returns
    -------
    CalibrationFile
        Selections with too few searches are left out.
    """
    z: dict[str, dict[str, dict[int, float | None]]] = {}
    ordered = sorted(batches, key=lambda batch: batch.first)  # sums do not depend on the order of the work
    for batch in ordered:
        for name, values in batch.z.items():
            by_number = z.setdefault(batch.window, {}).setdefault(name, {})
            by_number.update(enumerate(values, start=batch.first))
    nulls = {
        window: {name: null for name, values in of_window.items() if (null := NullDistribution.of([*values.values()]))}
        for window, of_window in z.items()
    }
    found = {
        window: {
            name: Measured(null, _coupling([batch for batch in ordered if batch.window == window], name))
            for name, null in of_window.items()
        }
        for window, of_window in nulls.items()
    }
    return CalibrationFile(key, found, tuple(_largest(z, nulls, list(windows))))


def _coupling(batches: Sequence[NullBatch], name: str) -> Coupling | None:
    if name == INCLUSIVE:  # nothing is trained
        return None
    sums = sum((batch.folds.get(name, FoldSums()) for batch in batches), FoldSums())
    return Coupling.of(sums, float(np.mean([batch.correlation for batch in batches])))


def _largest(
    z: dict[str, dict[str, dict[int, float | None]]],
    nulls: dict[str, dict[str, NullDistribution]],
    windows: list[str],
) -> list[float]:
    """Largest z of every set that was searched in all windows, calibrated but for the inclusive selection."""
    if not all(nulls.get(window) for window in windows):
        return []
    complete = set.intersection(*(set(values) for window in windows for values in z[window].values()))
    return [
        max(
            (
                value if name == INCLUSIVE else (value - null.mean) / null.width
                for window in windows
                for name, null in nulls[window].items()
                if (value := z[window][name][number]) is not None
            ),
            default=-np.inf,
        )
        for number in sorted(complete)
    ]
