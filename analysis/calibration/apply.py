"""Calibrated significances of the windows of a search."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from analysis.calibration.coupling import Coupling, Labels, coupled_variance
from analysis.learning import INCLUSIVE
from analysis.search.null_distribution import Calibration
from analysis.search.values import SelectionResult, WindowResult

__all__ = ["EXACT", "LEAST_SCANS", "Calibrations", "WindowCouplings"]

EXACT = ("half", "sequential")
"""Values of `learning.cross_fitting` for which every test is independent of its training."""

LEAST_SCANS = 100
"""Smallest number of retrained scans for a global p-value."""


@dataclass(frozen=True)
class WindowCouplings:
    """Couplings of the folds in one window.

    Attributes
    ----------
    searched, shipped : mapping of str to Coupling
        From searches of the own events without signal, and measured for these settings, by selection.
    exact : bool
        Whether every test is independent of its training.
    """

    searched: Mapping[str, Coupling] = field(default_factory=dict)
    shipped: Mapping[str, Coupling] = field(default_factory=dict)
    exact: bool = False

    def needs_variance(self, name: str) -> bool:
        """Whether a selection has a coupling, so that its calibration depends on its `coupled_variance`."""
        return not self.exact and name != INCLUSIVE and (name in self.searched or name in self.shipped)

    def calibration(self, name: str, z: float, variance: float | None) -> Calibration | None:
        """Calibrate a significance.

        Parameters
        ----------
        name : str
            Of the selection.
        z : float
        variance : float or None
            Result of `coupled_variance`.

        Returns
        -------
        Calibration or None
            None for all events, and without a coupling.
        """
        if name == INCLUSIVE:
            return None
        if self.exact:
            return Calibration("exact", z)
        if variance is None:
            return None
        if name in self.searched:
            return self.searched[name].null(variance).calibration(z, "searches")
        return self.shipped[name].null(variance).calibration(z, "shipped") if name in self.shipped else None


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

    def couplings(self, window: str) -> WindowCouplings:
        """Return the couplings in a window."""
        return WindowCouplings(self.searched.get(window, {}), self.shipped.get(window, {}), self.exact)

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
        if selection.discovery is None:
            return None
        name = result.window.name
        couplings, variance = self.couplings(name), None
        if couplings.needs_variance(selection.name) and name in self.labels:
            labels = self.labels[name]
            variance = coupled_variance(selection, labels, result.window, result.edges)
        return couplings.calibration(selection.name, selection.discovery.z, variance)
