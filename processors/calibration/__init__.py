"""Calibration of large-R jets before the selection: energy scale, resolution and soft-drop mass.

`calibrate` is called by the processor; the corrections come from files as the JetMET group publishes them.
"""

from processors.calibration.jets import CalibratedJets, calibrate
from processors.calibration.prepare import calibrated_entries, require_usable

__all__ = ["CalibratedJets", "calibrate", "calibrated_entries", "require_usable"]
