"""Distribution of z without signal if classifiers are trained anew, and p-values that account for it.

With k folds every event is scored by classifiers that have not seen it, yet the folds are not independent: a
fluctuation in one fold steers the classifiers of the others to the same corner of the features, where it is counted
(arXiv:2512.13787). The mean of z stays zero, but its distribution is wider than the standard normal one, and p0 from
the count alone is too small. From searches of pseudo-data without signal, each with its own training, follow the mean
and the width of z; the calibrated z is measured in these units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy import stats

__all__ = ["CALIBRATION_SOURCES", "Calibration", "CalibrationSource", "NullDistribution"]

CalibrationSource = Literal["searches", "shipped", "exact"]
CALIBRATION_SOURCES = {
    "searches": "searches of this search's own events without signal, trained anew",
    "shipped": "the coupling of folds that was measured for these settings",
    "exact": "exact: each test is independent of its training",
}
"""Origins of a calibration, with their descriptions."""

_LEAST = 20


@dataclass(frozen=True)
class NullDistribution:
    """Normal approximation of the distribution of z without signal.

    Attributes
    ----------
    searches : int
        Number of searches without signal.
    mean, width : float
        Mean and standard deviation of z.
    mean_error, width_error : float
        Statistical errors, one standard deviation.
    """

    searches: int
    mean: float
    width: float
    mean_error: float
    width_error: float

    @classmethod
    def of(cls, z: Sequence[float | None]) -> NullDistribution | None:
        """Summarise the z of searches without signal; None with fewer than 20 of them. None among z is left out."""
        known = np.array([value for value in z if value is not None], np.float64)
        if len(known) < _LEAST:
            return None
        width = float(known.std(ddof=1))
        # The variance of a sample variance, for any distribution (H. Cramer 1946, 27.4).
        fourth = max(float(stats.moment(known, 4)) / width**4, 1.0 + 2.0 / len(known))
        return cls(
            len(known),
            float(known.mean()),
            width,
            width / len(known) ** 0.5,
            width * float(np.sqrt((fourth - 1.0) / (4.0 * len(known)))),
        )

    def calibration(self, z: float, source: CalibrationSource) -> Calibration:
        """Calibrate an observed significance."""
        calibrated = (z - self.mean) / self.width
        error = float(np.hypot(self.mean_error, calibrated * self.width_error)) / self.width
        return Calibration(source, calibrated, error, self)


@dataclass(frozen=True)
class Calibration:
    """Significance calibrated with retraining.

    Attributes
    ----------
    source : str
        Key of `CALIBRATION_SOURCES`.
    z : float
        Calibrated significance.
    z_error : float
        Statistical error from the finite number of searches; 0 if the calibration is exact.
    null : NullDistribution or None
        Distribution without signal; None if the calibration is exact.
    """

    source: CalibrationSource
    z: float
    z_error: float = 0.0
    null: NullDistribution | None = None

    def again(self, z: float) -> Calibration:
        """Calibrate another significance of the same selection, such as that of another training."""
        return replace(self, z=z) if self.null is None else self.null.calibration(z, self.source)

    def nominal(self, z: float) -> float:
        """Return the significance before its calibration."""
        return z if self.null is None else self.null.mean + z * self.null.width

    @property
    def p0(self) -> float:
        """Calibrated local p-value."""
        return float(stats.norm.sf(self.z))

    @property
    def p0_error(self) -> float:
        """Statistical error of `p0`, to first order."""
        return float(stats.norm.pdf(self.z)) * self.z_error
