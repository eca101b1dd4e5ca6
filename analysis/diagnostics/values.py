"""A searched window with its events, scores and classifiers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.events.table import EventTable
from analysis.regions import Interval
from analysis.search.classifiers import Classifier
from analysis.search.values import WindowResult

__all__ = ["ScoredWindow"]


@dataclass(frozen=True)
class ScoredWindow:
    """A searched window with its events, scores and classifiers.

    Attributes
    ----------
    result : WindowResult
        With its pass weights, which are missing while blinded.
    table : EventTable
        Events of the search region, in the order of the pass weights; while blinded without those inside the mask.
    scores : (n_events,) float32, or None
        Out-of-fold scores, member mean; NaN outside the fit range. None while blinded.
    classifier : Classifier or None
        None where the window failed.
    signal_datasets : tuple of str or None
        Datasets that are simulated signal mixed into pseudodata; None where the truth is not known.
    random_state : int
        Seed of the search, which folds derive from.
    hidden : tuple of (low, high)
        While blinded the masks of all windows, GeV, whose events and bins are missing; else empty.
    """

    result: WindowResult
    table: EventTable
    scores: NDArray[np.float32] | None
    classifier: Classifier | None
    signal_datasets: tuple[str, ...] | None
    random_state: int
    hidden: tuple[Interval, ...] = ()

    @property
    def blinded(self) -> bool:
        """Whether no event inside the mask may be shown."""
        return self.scores is None
