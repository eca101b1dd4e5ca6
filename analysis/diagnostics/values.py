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
        With its pass weights, which are absent while blinded.
    table : EventTable
        Events in the fit range, in the order of the pass weights; while blinded without events inside any mask.
    scores : (n_events,) float32, or None
        Out-of-fold scores, averaged over members; NaN in a fold that only trains. None while blinded.
    classifier : Classifier or None
        None if the window failed.
    signal_datasets : tuple of str or None
        Datasets of simulated signal in pseudodata; None if the truth is unknown.
    random_state : int
        Seed of the search, from which the folds are derived.
    hidden : tuple of (low, high)
        Masks of all windows while blinded, GeV, whose events and bins are absent; empty otherwise.
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
        """Whether events inside the mask must not be shown."""
        return self.scores is None
