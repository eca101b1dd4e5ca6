"""Idealised CWoLa: the signal region against background of the same distribution."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import poisson

from analysis.errors import WindowError
from analysis.events.identity import uniform
from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.methods.contrast import FromContrast, LabelledEvents, Region, build_set, find_region
from analysis.regions import MassWindow

__all__ = ["Idealised"]


@dataclass(frozen=True)
class Idealised(FromContrast):
    """Idealised ("optimal") CWoLa: window with signal against background with the distribution of the window.

    Performance of CWoLa if sidebands and window had the same background (arXiv:2009.02205, arXiv:2109.00546). Class 1
    is the window as it is. Class 0 is its background again, each event with a Poisson number of copies (bootstrap,
    Efron, Ann. Stat. 7 (1979) 1): window and template differ by the Poisson fluctuations of all the background in the
    window, as the window and a template of unlimited size do. Copies are drawn anew in every fold. Uses the truth: for
    studies only, rejected for real data.

    Attributes
    ----------
    halves : bool
        Split the background in two by event identity instead: one half is class 0, and the other is mixed with the
        signal at twice its weight. The fluctuations are twice as large, as if there were a quarter of the events.
    """

    halves: bool = False
    name: str = "idealised"
    uses_truth: bool = True
    needs_simulation: bool = False
    uses_sidebands: bool = False

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label the window 1 and its background, drawn again, 0; see `ContrastMethod.contrast`.

        Raises
        ------
        TableError
            If the truth is unknown.
        WindowError
            If the window has no signal or no background events, or too few to draw from.
        """
        truth = samples.is_signal()
        signal = find_region(samples.data.select(truth), "window", window, "signal")
        background = find_region(samples.data.select(~truth), "window", window, "background")
        seed = int(random_state.generate_state(1)[0])
        parts = _halves(signal, background, seed) if self.halves else _drawn(signal, background, seed)
        return build_set(parts, features)


def _drawn(signal: Region, background: Region, seed: int) -> list[LabelledEvents]:
    copies = poisson.ppf(uniform(background.rows.event_id, seed, "idealised"), 1.0)
    if not (copies * background.rows.weight).sum() > 0:
        msg = f"{len(copies)} events, of {background.name}, are too few to draw a template from. Add events."
        raise WindowError(msg)
    template = background.labelled(0, signal.total + background.total, copies)
    return [signal.labelled(1, signal.total), background.labelled(1, background.total), template]


def _halves(signal: Region, background: Region, seed: int) -> list[LabelledEvents]:
    half = uniform(background.rows.event_id, seed, "idealised") < 0.5
    mixed = Region(background.rows.select(half), f"one half of {background.name}")
    alone = Region(background.rows.select(~half), f"the other half of {background.name}")
    return [
        signal.labelled(1, signal.total),
        mixed.labelled(1, background.total),
        alone.labelled(0, signal.total + background.total),
    ]
