"""Calibrated significances of the windows of a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from analysis.calibration.coupling import Coupling, Labels
from analysis.learning import INCLUSIVE
from analysis.search.null_distribution import Calibration, CalibrationSource
from analysis.search.values import SelectionResult, WindowResult

__all__ = ["EXACT", "LEAST_SCANS", "Calibrations"]

EXACT = ("half", "sequential")
"""Values of `learning.cross_fitting` for which every test is independent of its training."""

LEAST_SCANS = 100
"""Smallest number of retrained scans for a global p-value."""


@dataclass(frozen=True)
class Calibrations:
    """Calibrations of a search.

    Attributes
    ----------
    searched : dict of str to dict of str to Coupling
        From searches of the own events without signal, by window and selection.
    shipped : dict of str to dict of str to Coupling
        Measured for these settings, by window and selection.
    labels : dict of str to Labels
        By window.
    largest : tuple of float
        Largest calibrated z of each set of pseudo-data that was searched in all windows.
    exact : bool
        Whether every test is independent of its training.
    """

    searched: Mapping[str, Mapping[str, Coupling]] = field(default_factory=dict)
    shipped: Mapping[str, Mapping[str, Coupling]] = field(default_factory=dict)
    labels: Mapping[str, Labels] = field(default_factory=dict)
    largest: tuple[float, ...] = ()
    exact: bool = False

    def applied(self, results: Iterable[WindowResult]) -> tuple[WindowResult, ...]:
        """Return the windows with calibrated significances, where there is a calibration."""
        return tuple(
            replace(result, selections=tuple(self._calibrated(result, selection) for selection in result.selections))
            for result in results
        )

    def _calibrated(self, result: WindowResult, selection: SelectionResult) -> SelectionResult:
        seeds = tuple(self._calibrated(result, seed) for seed in selection.seeds)
        return replace(selection, calibration=self._of(result, selection), seeds=seeds)

    def _of(self, result: WindowResult, selection: SelectionResult) -> Calibration | None:
        if selection.discovery is None or selection.name == INCLUSIVE:
            return None
        if self.exact:
            return Calibration("exact", selection.discovery.z)
        name = result.window.name
        labels = self.labels.get(name)
        sources: dict[CalibrationSource, Mapping[str, Mapping[str, Coupling]]]
        sources = {"searches": self.searched, "shipped": self.shipped}
        for source, couplings in sources.items():
            coupling = couplings.get(name, {}).get(selection.name)
            if labels is not None and coupling is not None:
                null = coupling.null(selection, labels, result.window, result.edges)
                return None if null is None else null.calibration(selection.discovery.z, source)
        return None
