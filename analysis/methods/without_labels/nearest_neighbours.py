"""Distance of an event from its nearest neighbours in the window: large where events are rare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from analysis.methods.without_labels.base import Arrays, Floats, Scaling, Unlabelled

__all__ = ["NearestNeighbours"]


@dataclass(frozen=True)
class NearestNeighbours(Unlabelled):
    """Mean distance to the nearest training events in standardised features, an inverse measure of their density.

    Members hold events, so results lack them while blinded: the number of different ones tells that of the window.

    Attributes
    ----------
    n_neighbours : int
    n_events : int
        Training events that a member holds at most. They are drawn by weight, with replacement.
    """

    name: str = "nearest_neighbours"
    n_neighbours: int = 10
    n_events: int = 5000

    @property
    def forget_counts(self) -> Callable[[bytes], bytes] | None:
        """None: there is no form of the events that hides how many they are."""
        return None

    def train(self, X: Floats, weight: Floats, features: Sequence[str], seed: int) -> dict[str, NDArray[Any]]:
        """Draw the events; see `Unlabelled.train`."""
        scaling = Scaling.of(X, weight)
        n_drawn = min(len(X), self.n_events)
        rows = np.random.default_rng(seed).choice(len(X), n_drawn, p=weight / weight.sum())
        return {**vars(scaling), "events": scaling.apply(X[rows])}

    def score(self, member: Arrays, X: Floats) -> Floats:
        """Return the mean distance; see `Unlabelled.score`."""
        events = member["events"].astype(np.float64)
        nearest = range(1, min(self.n_neighbours, len(events)) + 1)
        distance = KDTree(events).query(Scaling.read(member).apply(X), nearest)[0]
        mean: Floats = distance.mean(axis=1)
        return mean
