"""Calibration of p-values with retraining: searches without signal, their distribution of z, and what they correct.

Folds that train one another widen z without signal. `searches` measures that with pseudo-data of a search, `coupling`
turns measurements for the presets (`shipped`) into the width for any window and fit, and `apply` corrects results.
"""

from analysis.calibration.apply import Calibrations, WindowCouplings
from analysis.calibration.coupling import Coupling, Labels, coupled_variance, labels_of, template_masses
from analysis.calibration.nulls import NullEvents, null_events
from analysis.calibration.searches import NullTask, run_null_searches
from analysis.calibration.shipped import shipped_couplings
from analysis.calibration.summary import summarise
from analysis.calibration.values import CalibrationFile, NullBatch

__all__ = [
    "CalibrationFile",
    "Calibrations",
    "Coupling",
    "Labels",
    "NullBatch",
    "NullEvents",
    "NullTask",
    "WindowCouplings",
    "coupled_variance",
    "labels_of",
    "null_events",
    "run_null_searches",
    "shipped_couplings",
    "summarise",
    "template_masses",
]
