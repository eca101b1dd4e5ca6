"""Learners that remember what they were shown, to prove that no event is scored by a model that saw it."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.learning import BoostedTrees, FittedEnsemble, TrainingSet
from analysis.learning.training_set import Rows

__all__ = ["Ledger", "SpyLearner", "SpyModel"]


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


@dataclass
class Ledger:
    """Every boosted tree that is trained anywhere, and every event that one scores, reweighters included.

    Attributes
    ----------
    events : dict of float to int
        Identity of the event whose first feature this is. Rows that a method makes of events, and moves, are added; a
        value of several events tells nothing.
    trained : dict of bytes to set of int
        Identities of the events that a member was trained on, or stopped early by.
    scored : list of (set of int, set of int)
        Of each call: the events that were scored, and those that the member had seen.
    shared : set of float
        First features of rows of several events.
    """

    events: dict[float, int]
    trained: dict[bytes, set[int]] = field(default_factory=dict)
    scored: list[tuple[set[int], set[int]]] = field(default_factory=list)
    shared: set[float] = field(default_factory=set)

    def watch(self, patch: pytest.MonkeyPatch) -> None:
        """Record from now on."""
        self._watch_rows(patch)
        fit, predict, predict_rounds = BoostedTrees.fit, FittedEnsemble.predict, FittedEnsemble.predict_rounds

        def spy_fit(learner: BoostedTrees, training: TrainingSet, **options: Any) -> FittedEnsemble:
            model = fit(learner, training, **options)
            seen = set(training.group.tolist())
            for member in model.members:
                self.trained[member] = seen
            return model

        def record(model: FittedEnsemble, X: NDArray[np.float32]) -> None:
            events = {self.events[value] for value in X[:, 0].tolist() if value not in self.shared}
            self.scored += [(events, self.trained[member]) for member in model.members]

        def spy_predict(model: FittedEnsemble, X: NDArray[np.float32]) -> NDArray[np.float32]:
            record(model, X)
            return predict(model, X)

        def spy_predict_rounds(
            model: FittedEnsemble, X: NDArray[np.float32], rounds: Sequence[int]
        ) -> NDArray[np.float32]:
            record(model, X)
            return predict_rounds(model, X, rounds)

        patch.setattr(BoostedTrees, "fit", spy_fit)
        patch.setattr(FittedEnsemble, "predict", spy_predict)
        patch.setattr(FittedEnsemble, "predict_rounds", spy_predict_rounds)

    def _watch_rows(self, patch: pytest.MonkeyPatch) -> None:
        make, build = Rows.__init__, TrainingSet.build

        def spy_make(rows: Rows, X: NDArray[np.float32], weight: NDArray[np.float64], group: NDArray[Any]) -> None:
            make(rows, X, weight, group)
            self._learn(X, group)

        def spy_build(X: NDArray[np.float32], y: Any, weight: NDArray[np.float64], group: NDArray[Any]) -> TrainingSet:
            self._learn(X, group)
            return build(X, y, weight, group)

        patch.setattr(Rows, "__init__", spy_make)
        patch.setattr(TrainingSet, "build", spy_build)

    def _learn(self, X: NDArray[np.float32], group: NDArray[Any]) -> None:
        for value, event in zip(X[:, 0].tolist() if X.size else [], group.tolist(), strict=True):
            if self.events.setdefault(value, event) != event:
                self.shared.add(value)
