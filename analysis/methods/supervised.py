"""Fully supervised: signal against background by truth, an upper bound for all methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.methods.contrast import FromContrast, build_set, find_region
from analysis.regions import MassWindow

__all__ = ["Supervised"]


@dataclass(frozen=True)
class Supervised(FromContrast):
    """Simulated signal against the background of pseudodata, both inside the window.

    Trained on the signal events in the pseudodata, and thus the upper bound for this number of signal events. Uses the
    truth: for studies only, rejected for real data.
    """

    name: str = "supervised"
    uses_truth: bool = True
    needs_simulation: bool = False
    uses_sidebands: bool = False

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label signal in the window 1 and background in the window 0, of equal sums; see `ContrastMethod.contrast`.

        Raises
        ------
        TableError
            If the truth is unknown.
        WindowError
            If the window has no signal or no background events.
        """
        truth = samples.is_signal()
        signal = find_region(samples.data.select(truth), "window", window, "signal")
        background = find_region(samples.data.select(~truth), "window", window, "background")
        return build_set([signal.labelled(1, background.total), background.labelled(0, background.total)], features)
