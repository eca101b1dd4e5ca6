"""Idealised CWoLa: the signal region against background of the same distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.events.identity import uniform
from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.methods.contrast import FromContrast, Region, build_set, find_region
from analysis.regions import MassWindow

__all__ = ["Idealised"]


@dataclass(frozen=True)
class Idealised(FromContrast):
    """Idealised ("optimal") CWoLa: window with signal against independent background of the window.

    Performance of CWoLa if sidebands and window had the same background (arXiv:2009.02205, arXiv:2109.00546). The
    background of the pseudodata in the window is split in two by event identity: one half is class 0, and the other is
    mixed with the signal at twice its weight, so that the signal fraction is the same as in the pseudodata. The
    published version uses a second background sample as large as the first; with half the events, this one is
    pessimistic by up to 1/sqrt(2) in signal significance. Uses the truth: for studies only, rejected for real data.
    """

    name: str = "idealised"
    uses_truth: bool = True
    needs_simulation: bool = False
    uses_sidebands: bool = False

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label signal and one half of the background in the window 1, the other half 0; see `ContrastMethod.contrast`.

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
        seed = int(random_state.generate_state(1)[0])
        half = uniform(background.rows.event_id, seed, "idealised") < 0.5
        mixed = Region(background.rows.select(half), f"one half of {background.name}")
        alone = Region(background.rows.select(~half), f"the other half of {background.name}")
        parts = [
            signal.labelled(1, signal.total),
            mixed.labelled(1, background.total),
            alone.labelled(0, signal.total + background.total),
        ]
        return build_set(parts, features)
