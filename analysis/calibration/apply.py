"""Calibrated significances of the windows of a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.calibration.shipped import SHIPPED
from analysis.config import SearchConfig
from analysis.learning import INCLUSIVE
from analysis.regions import Interval, RegionScan
from analysis.search.null_distribution import Calibration, NullDistribution
from analysis.search.values import SelectionResult, WindowResult

__all__ = ["EXACT", "LEAST_SCANS", "Calibrations", "shipped_calibrations"]

Nulls = Mapping[str, Mapping[str, NullDistribution]]
"""Distributions of z without signal, by window and selection."""

EXACT = ("half", "sequential")
"""Values of `learning.cross_fitting` for which every test is independent of its training."""


LEAST_SCANS = 100
"""Smallest number of retrained scans for a global p-value."""


@dataclass(frozen=True)
class Calibrations:
    """Calibrations of a search.

    Attributes
    ----------
    measured : dict of str to dict of str to NullDistribution
        From searches of the own events without signal, by window and selection.
    shipped : dict of str to dict of str to NullDistribution
        From the shipped table.
    largest : tuple of float
        Largest calibrated z of each set of pseudo-data that was searched in all windows.
    exact : bool
        Whether every test is independent of its training.
    """

    measured: Nulls = field(default_factory=dict)
    shipped: Nulls = field(default_factory=dict)
    largest: tuple[float, ...] = ()
    exact: bool = False

    def applied(self, results: Iterable[WindowResult]) -> tuple[WindowResult, ...]:
        """Return the windows with calibrated significances, where there is a calibration."""
        return tuple(
            replace(
                result,
                selections=tuple(self._calibrated(result.window.name, selection) for selection in result.selections),
            )
            for result in results
        )

    def _calibrated(self, window: str, selection: SelectionResult) -> SelectionResult:
        seeds = tuple(self._calibrated(window, seed) for seed in selection.seeds)
        return replace(selection, calibration=self._of(window, selection), seeds=seeds)

    def _of(self, window: str, selection: SelectionResult) -> Calibration | None:
        if selection.discovery is None or selection.name == INCLUSIVE:
            return None
        z = selection.discovery.z
        if self.exact:
            return Calibration("exact", z)
        if (null := self.measured.get(window, {}).get(selection.name)) is not None:
            return null.calibration(z, "searches")
        if (null := self.shipped.get(window, {}).get(selection.name)) is not None:
            return null.calibration(z, "shipped")
        return None


def shipped_calibrations(
    config: SearchConfig, scan: RegionScan, mjj: NDArray[np.float64], hidden: Sequence[Interval] = ()
) -> dict[str, dict[str, NullDistribution]]:
    """Look up the shipped calibrations of a search.

    Parameters
    ----------
    config : SearchConfig
    scan : RegionScan
    mjj : (n_events,) float64
        Dijet masses of the searched events, GeV.
    hidden : sequence of (low, high)
        Masks of a blinded search, GeV, whose events are not counted: there is no significance to calibrate.

    Returns
    -------
    dict of str to dict of str to NullDistribution
        By window and selection; empty outside the range of validity of the table.
    """
    table = SHIPPED.find(config)
    if table is None or hidden:
        return {}
    return {window.name: table.at(window.in_signal(mjj).sum()) for window in scan.windows}
