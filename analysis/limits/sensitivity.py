"""Sensitivity of a search to a signal hidden at a known inclusive significance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.limits.injection_values import InjectionResult
from analysis.limits.points import LimitPoint
from analysis.limits.scans import Candidate, candidates
from analysis.limits.values import Sensitivity, SensitivityCurve
from analysis.signals.yields import SignalSample

__all__ = ["search_sensitivity"]

_BAND = (0.16, 0.5, 0.84)


def search_sensitivity(point: LimitPoint, results: Sequence[InjectionResult], sample: SignalSample) -> Sensitivity:
    """Tabulate the significance of every selection with and without hidden signal, and their difference.

    The significance without signal is a residual of this sample and these classifiers. With the same folds and seeds
    most of it recurs in the search with signal, so that the difference is the contribution of the signal.

    Parameters
    ----------
    point : LimitPoint
    results : sequence of InjectionResult
        With strength 0 and one other strength, with `Injection.counted`.
    sample : SignalSample

    Returns
    -------
    Sensitivity
    """
    strength = max(result.injection.strength for result in results)
    return Sensitivity(
        dataset=point.signal,
        masses=dict(sample.masses),
        window=point.window.signal,
        strength=strength,
        n_injected=tuple(r.n_injected for r in results if r.injection.strength == strength),
        curves=tuple(_curve(one, strength) for one in candidates(results)),
    )


def _curve(one: Candidate, strength: float) -> SensitivityCurve:
    with_signal, without = (tuple(None if s is None else s.z for s in one.found.get(x, ())) for x in (strength, 0.0))
    added = [a - b for a, b in zip(with_signal, without, strict=False) if a is not None and b is not None]
    of_signal = [s for s in one.found.get(strength, ()) if s is not None]
    low, median, high = map(float, np.quantile(added, _BAND)) if added else (0.0, 0.0, 0.0)
    return SensitivityCurve(
        method=one.method,
        features=tuple(one.features),
        selection=one.selection,
        efficiency=of_signal[0].efficiency if of_signal else None,
        signal_efficiency=tuple(s.signal for s in of_signal),
        z_with_signal=with_signal,
        z_without_signal=without,
        z_added=(low, median, high) if added else None,
        expected_z=tuple(s.expected_z for s in of_signal),
    )
