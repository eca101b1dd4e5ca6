"""Sensitivity of a search to a signal hidden at a known inclusive significance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from analysis.calibration import WindowCouplings
from analysis.limits.injection_values import InjectionResult
from analysis.limits.points import LimitPoint
from analysis.limits.scans import Candidate, Classifiers, candidates
from analysis.limits.values import CalibratedCurve, Sensitivity, SensitivityCurve
from analysis.search.null_distribution import Calibration
from analysis.signals.yields import SignalSample

__all__ = ["search_sensitivity"]

_BAND = (0.16, 0.5, 0.84)


def search_sensitivity(
    point: LimitPoint,
    results: Sequence[InjectionResult],
    sample: SignalSample,
    couplings: Mapping[Classifiers, WindowCouplings],
) -> Sensitivity:
    """Tabulate the significance of every selection with and without hidden signal, and their difference.

    The significance without signal is a residual of this sample and these classifiers. With the same folds and seeds
    most of it recurs in the search with signal, so that the difference is the contribution of the signal.

    Parameters
    ----------
    point : LimitPoint
    results : sequence of InjectionResult
        With strength 0 and one other strength, with `Injection.counted`.
    sample : SignalSample
    couplings : mapping of (method, features) to WindowCouplings
        Of the window, to calibrate the significances.

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
        curves=tuple(_curve(one, strength, couplings[one.method, one.features]) for one in candidates(results)),
    )


def _curve(one: Candidate, strength: float, couplings: WindowCouplings) -> SensitivityCurve:
    with_signal, without = (tuple(None if s is None else s.z for s in one.found.get(x, ())) for x in (strength, 0.0))
    of_signal = [s for s in one.found.get(strength, ()) if s is not None]
    return SensitivityCurve(
        method=one.method,
        features=tuple(one.features),
        selection=one.selection,
        efficiency=of_signal[0].efficiency if of_signal else None,
        signal_efficiency=tuple(s.signal for s in of_signal),
        z_with_signal=with_signal,
        z_without_signal=without,
        z_added=_added(with_signal, without),
        expected_z=tuple(s.expected_z for s in of_signal),
        calibrated=_calibrated(one, strength, couplings),
    )


def _calibrated(one: Candidate, strength: float, couplings: WindowCouplings) -> CalibratedCurve | None:
    """Calibrate all significances, or none."""

    def observed(at: float) -> list[Calibration | None]:
        return [
            one.calibration(found, None if found is None else found.z, couplings) for found in one.found.get(at, ())
        ]

    with_signal, without = observed(strength), observed(0.0)
    injected = [found for found in one.found.get(strength, ()) if found is not None]
    expected = [one.calibration(found, found.expected_z, couplings) for found in injected]
    source = next((found.source for found in with_signal if found is not None), None)
    if source is None:
        return None
    z_with, z_without = ([None if found is None else found.z for found in of_one] for of_one in (with_signal, without))
    return CalibratedCurve(
        source=source,
        z_with_signal=tuple(z_with),
        z_with_signal_error=tuple(None if found is None else found.z_error for found in with_signal),
        z_without_signal=tuple(z_without),
        z_added=_added(z_with, z_without),
        expected_z=tuple(None if found is None else found.z for found in expected),
    )


def _added(with_signal: Sequence[float | None], without: Sequence[float | None]) -> tuple[float, float, float] | None:
    added = [a - b for a, b in zip(with_signal, without, strict=False) if a is not None and b is not None]
    if not added:
        return None
    low, median, high = map(float, np.quantile(added, _BAND))
    return low, median, high
