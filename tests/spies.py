"""Learners that remember what they were shown, to prove that no event is scored by a model that saw it."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.learning import TrainingSet

__all__ = ["SpyLearner", "SpyModel"]


@dataclass(frozen=True)
class SpyModel:
    """Scores an event with the number in its first feature, and keeps which events it saw in training.

    Attributes
    ----------
    members : tuple of bytes
        The identities of the training events and their first features, pickled.
    """

    members: tuple[bytes, ...]

    @property
    def seen(self) -> set[int]:
        group, _ = pickle.loads(self.members[0])
        return set(group.tolist())

    @property
    def first_features(self) -> NDArray[np.float32]:
        _, first = pickle.loads(self.members[0])
        return np.asarray(first)

    def pick(self, member: int) -> SpyModel:
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([X[:, 0], X[:, 0] + 1], axis=1)


@dataclass(frozen=True)
class SpyLearner:
    """Stands in for `BoostedTrees`."""

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> SpyModel:
        state = random_state.generate_state(4).tobytes()
        return SpyModel((pickle.dumps((training.group, training.X[:, 0])), state))
