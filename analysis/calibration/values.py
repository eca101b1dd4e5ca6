"""Records of searches without signal, and the calibration made from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.search.null_distribution import NullDistribution

__all__ = ["CalibrationFile", "NullBatch"]


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
    """

    window: str
    first: int
    z: Mapping[str, tuple[float | None, ...]]


@dataclass(frozen=True)
class CalibrationFile:
    """Content of `calibration.json`.

    Attributes
    ----------
    key : str
        Fingerprint of events, settings and code.
    windows : dict of str to dict of str to NullDistribution
        By window and selection.
    largest : tuple of float
        Largest calibrated z of all windows and selections, of each set that was searched in every window of the scan.
    """

    key: str
    windows: Mapping[str, Mapping[str, NullDistribution]]
    largest: tuple[float, ...] = ()
