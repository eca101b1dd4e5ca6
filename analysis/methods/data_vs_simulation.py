"""Data against simulation in the signal region, without a correction of the simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.methods.contrast import FromContrast, build_set, find_region
from analysis.regions import MassWindow

__all__ = ["DataVsSimulation"]


@dataclass(frozen=True)
class DataVsSimulation(FromContrast):
    """Data against background simulation: learns the signal, but also any mismodelling of the simulation.

    Baseline for SALAD and SA-CWoLa (arXiv:2009.02205).
    """

    name: str = "data_vs_simulation"
    uses_truth: bool = False
    needs_simulation: bool = True
    uses_sidebands: bool = False

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label data in the window 1 and simulation in the window 0; see `ContrastMethod.contrast`.

        Raises
        ------
        TableError
            If the samples have no simulation.
        WindowError
            If the window has no events of data or simulation.
        """
        data = find_region(samples.data, "window", window, "data")
        simulation = find_region(samples.require_simulation(), "window", window, "simulation")
        return build_set([data.labelled(1, data.total), simulation.labelled(0, data.total)], features)
