"""Union of two samples, in which labels can be exchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.events.identity import event_hash, uniform
from analysis.learning.training_set import TrainingSet

__all__ = ["Union"]


@dataclass(frozen=True)
class Union:
    """Events of two samples, each with weight 1 and an identity of its own, in an order that tells nothing.

    Attributes
    ----------
    X : (n_events, n_features) float32
        NaN where a feature is undefined.
    is_first : (n_events,) bool
        Events of the first sample.
    """

    X: NDArray[np.float32]
    is_first: NDArray[np.bool_]

    @classmethod
    def of(cls, training: TrainingSet, *, seed: int, most: int | None = None) -> Union:
        """Make the union of both classes of a training set.

        Labels can be exchanged only between events that are independent and have no weights. So one row of each event
        is kept, chosen by a hash, with the sum of the weights of its copies in the same class; and of each class,
        events are kept with a probability in proportion to this weight, the heaviest with certainty. Equal weights
        keep all events.

        Parameters
        ----------
        training : TrainingSet
            Class 1 is the first sample.
        seed : int
        most : int, optional
            Largest number of events of either sample; the others are left out at random.

        Returns
        -------
        Union
            Independent of the order of the rows.
        """
        bits = np.ascontiguousarray(training.X, np.float32).view(np.uint32)
        order = event_hash(training.group, seed, *bits.T)
        first, weight = _one_per_event(training, order)
        label, ranked = training.y[first] == 1, order[first]
        kept = np.zeros(len(first), bool)
        for side in (label, ~label):
            kept[side] = uniform(ranked[side], seed, "two-sample weights") * weight[side].max() < weight[side]
        rows = np.flatnonzero(kept)
        rows = rows[np.argsort(ranked[rows], kind="stable")]
        if most is not None:
            ranks = np.where(label[rows], label[rows].cumsum(), (~label[rows]).cumsum())
            rows = rows[ranks <= most]
        return cls(training.X[first[rows]], label[rows])

    @property
    def sizes(self) -> tuple[int, int]:
        """Number of events of the first and of the second sample."""
        first = int(self.is_first.sum())
        return first, len(self.is_first) - first


def _one_per_event(training: TrainingSet, order: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Rows, one per event, and the sums of the weights of the copies in the same class."""
    by_event = np.lexsort((order, training.group))
    group = training.group[by_event]
    is_first = np.concatenate([[True], group[1:] != group[:-1]])[: len(group)]
    del group
    rows: NDArray[np.int64] = by_event[is_first].astype(np.int64, copy=False)
    if len(rows) == len(by_event):
        return rows, training.sample_weight[rows]
    event = np.cumsum(is_first) - 1
    same = training.y[by_event] == training.y[rows][event]
    weight = np.bincount(event, training.sample_weight[by_event] * same, len(rows))
    return rows, weight.astype(np.float64)
