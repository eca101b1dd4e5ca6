"""SA-CWoLa: signal region against sidebands in data, and with swapped labels in simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.methods.contrast import SIDEBANDS, FromContrast, build_set, find_region
from analysis.regions import MassWindow

__all__ = ["SACWoLa"]


@dataclass(frozen=True)
class SACWoLa(FromContrast):
    """Simulation-assisted CWoLa (Benkendorfer, Le Pottier, Nachman, arXiv:2009.02205, eq. 2.3).

    Differences between window and sidebands in the simulation are unlearned, with labels 0 and 1, respectively.

    Attributes
    ----------
    simulation_weight : float
        λ: ratio of the total weights of simulation and data; 0 is CWoLa. The paper finds 0.3 to 0.6 stable. At 1, the
        classifier learns nothing from pure background; above 1, it avoids the window.

    Examples
    --------
    >>> from analysis.methods import SACWoLa
    >>> method = SACWoLa(simulation_weight=0.3)
    >>> method.name, method.needs_simulation, method.uses_sidebands
    ('sa_cwola', True, True)
    """

    simulation_weight: float = 0.5
    name: str = "sa_cwola"
    uses_truth: bool = False
    needs_simulation: bool = True
    uses_sidebands: bool = True

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label the window in data and the sidebands in simulation 1, the others 0; see `ContrastMethod.contrast`.

        Raises
        ------
        TableError
            If the samples have no simulation.
        WindowError
            If the window or a sideband has no events, in data or simulation.
        """
        parts = []
        total = find_region(samples.data, "window", window, "data").total
        scale = self.simulation_weight * total
        for table, sample, label, size in (
            (samples.data, "data", 1, total),
            (samples.require_simulation(), "simulation", 0, scale),
        ):
            parts.append(find_region(table, "window", window, sample).labelled(label, size))
            for side in SIDEBANDS:
                parts.append(find_region(table, side, window, sample).labelled(1 - label, size / 2))  # noqa: PERF401
        return build_set(parts, features)
