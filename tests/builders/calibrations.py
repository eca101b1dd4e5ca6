"""Significances calibrated with retraining."""

from __future__ import annotations

from dataclasses import replace

from analysis.learning import INCLUSIVE
from analysis.search.null_distribution import Calibration, CalibrationSource, NullDistribution
from analysis.search.values import SelectionResult, WindowResult

NULL = NullDistribution(400, mean=0.1, width=1.25, mean_error=0.06, width_error=0.05)
"""Of z = 4.1, 3.2 ± 0.14."""


def calibrated_selection(selection: SelectionResult, source: CalibrationSource = "searches") -> SelectionResult:
    """The selection with a calibration of its first and of its further trainings, if it is tested."""

    def calibration(z: float) -> Calibration:
        return Calibration("exact", z) if source == "exact" else NULL.calibration(z, source)

    seeds = tuple(calibrated_selection(seed, source) for seed in selection.seeds)
    test = selection.discovery
    return replace(selection, calibration=None if test is None else calibration(test.z), seeds=seeds)


def calibrated(result: WindowResult, source: CalibrationSource = "searches") -> WindowResult:
    """The window with calibrations of all trained selections."""
    selections = (one if one.name == INCLUSIVE else calibrated_selection(one, source) for one in result.selections)
    return replace(result, selections=tuple(selections))
