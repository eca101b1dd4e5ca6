"""Records of searches without signal, and the calibration made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.calibration.coupling import Coupling, FoldSums
from analysis.search.null_distribution import NullDistribution

__all__ = ["CalibrationFile", "Measured", "NullBatch"]


@dataclass(frozen=True)
class NullBatch:
    """Searches of consecutive sets of pseudo-data without signal in one window.

    Attributes
    ----------
    window : str
        Name of the window.
    first : int
        Number of the first set.
    z : dict of str to tuple of float or None
        Significance by selection and set; None without a fit. Empty if no set could be searched.
    folds : dict of str to FoldSums
        By selection.
    correlation : float
        See `Labels.count_correlation`; mean over the sets.
    """

    window: str
    first: int
    z: Mapping[str, tuple[float | None, ...]]
    folds: Mapping[str, FoldSums]
    correlation: float


@dataclass(frozen=True)
class Measured:
    """One selection without signal.

    Attributes
    ----------
    z : NullDistribution
        Of the significances themselves.
    coupling : Coupling or None
        From the covariance of the folds; None for the inclusive selection.
    """

    z: NullDistribution
    coupling: Coupling | None = None


@dataclass(frozen=True)
class CalibrationFile:
    """Content of `calibration.json`.

    Attributes
    ----------
    key : str
        Fingerprint of events, settings and code.
    windows : dict of str to dict of str to Measured
        By window and selection.
    largest : tuple of float
        Largest calibrated z of all windows and selections, of each set that was searched in every window of the scan.
    """

    key: str
    windows: Mapping[str, Mapping[str, Measured]]
    largest: tuple[float, ...] = ()
