"""Several ensembles, each with a group of the features, combined to one score.

An ensemble that sees all features must learn from few signal events which of them tell. One that sees those of jets
with two prongs learns such signals sooner, and none of three prongs. Here each group of features has an ensemble of its
own, and an event is as anomalous as one of them finds it:

- "rank": the score of a group becomes a p-value, the fraction of background with a larger score, and the smallest one
  counts. A cut that keeps a fraction ε of the background keeps about what one of G groups would keep at ε / G.
- "likelihood": the odds p / (1 − p) of the groups are averaged: the likelihood ratio for a signal that is seen by one
  of them, each as likely. It needs scores that are probabilities.

Background is class 0 of the training set, and its p-values come from models that were trained without the event, in
inner folds of the training set: a model pulls the events that it has seen apart, the further the more features it has.
The fold that is left out of training is not used.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.errors import TableError
from analysis.events.identity import uniform
from analysis.learning.protocols import ColumnLearner, Learner, Model
from analysis.learning.training_set import TrainingSet

__all__ = ["Combination", "FeatureGroup", "GroupedLearner", "GroupedModel", "forget_groups", "group_importance"]

Combination = Literal["rank", "likelihood"]
Array = NDArray[np.float64]

_GROUPS = 4
"""Seed key that separates the random numbers of groups from each other, and from those of other choices."""

_INNER_FOLDS = 4

_TAIL = np.geomspace(1.0, 1e-3, 31)
"""Fractions of background at which a score is kept; independent of the number of events. Beyond, −log10 p is linear."""

_SLOPE_FROM = 6
"""Knots from whose range the slope beyond the last one is taken: a fifth of the decades."""


@dataclass(frozen=True)
class FeatureGroup:
    """Columns of a group, and the learners of its ensemble and of its p-values.

    Attributes
    ----------
    columns : tuple of int
    learner : Learner
        All members.
    single : Learner
        One member.
    """

    columns: tuple[int, ...]
    learner: Learner
    single: Learner

    def on_columns(self, columns: Sequence[int]) -> FeatureGroup:
        """Return the group for training sets that hold only some columns."""
        own = [column for column in columns if column in self.columns]
        kept = [self.columns.index(column) for column in own]
        learner, single = (
            one.on_columns(kept) if isinstance(one, ColumnLearner) else one for one in (self.learner, self.single)
        )
        return FeatureGroup(tuple(list(columns).index(column) for column in own), learner, single)


@dataclass(frozen=True)
class GroupedLearner:
    """Trains an ensemble for each group of features.

    Attributes
    ----------
    groups : tuple of FeatureGroup
    combine : "rank" or "likelihood"
    n_members : int
        Members of each ensemble; member m of all groups make one score.
    load : callable
        Stored members of one group -> `Model`.
    """

    groups: tuple[FeatureGroup, ...]
    combine: Combination
    n_members: int
    load: Callable[[tuple[bytes, ...]], Model]

    def on_columns(self, columns: Sequence[int]) -> GroupedLearner:
        """Return the learner for training sets that hold only these columns; a group without any is left out."""
        groups = (group.on_columns(columns) for group in self.groups)
        return replace(self, groups=tuple(group for group in groups if group.columns))

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> GroupedModel:
        """Train all ensembles, and learn the p-values of their scores.

        Raises
        ------
        TableError
            If an inner fold lacks a class.
        """
        parts = [self._fit_group(group, training, _child(random_state, i)) for i, group in enumerate(self.groups)]
        members = (
            json.dumps({"combine": self.combine, "groups": [part[member] for part in parts]}).encode()
            for member in range(len(parts[0]))
        )
        return GroupedModel(tuple(members), self.load)

    def _fit_group(
        self, group: FeatureGroup, training: TrainingSet, random_state: np.random.SeedSequence
    ) -> list[dict[str, Any]]:
        own = replace(training, X=training.X[:, list(group.columns)])
        knots = _tail_scores(group.single, own, random_state) if self.combine == "rank" else []
        model = group.learner.fit(own, random_state=random_state)
        return [
            {"columns": group.columns, "model": base64.b64encode(member).decode(), "knots": knots}
            for member in model.members
        ]


@dataclass(frozen=True)
class GroupedModel:
    """Members in stored form, so that scores are the same as after reading them from disk.

    Attributes
    ----------
    members : tuple of bytes
        One JSON document each, with the model of every group and the scores at fixed fractions of background.
    load : callable
        Stored members of one group -> `Model`.
    """

    members: tuple[bytes, ...]
    load: Callable[[tuple[bytes, ...]], Model]

    @cached_property
    def _documents(self) -> list[dict[str, Any]]:
        return [json.loads(member) for member in self.members]

    @cached_property
    def _models(self) -> list[Model]:
        """Ensembles, by group."""
        return [self.load(tuple(map(_inner, groups))) for groups in self._by_group]

    @property
    def _by_group(self) -> list[tuple[dict[str, Any], ...]]:
        """Documents of all members, by group."""
        return list(zip(*(document["groups"] for document in self._documents), strict=True))

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_rows, n_members) float32: −log10 of the smallest p-value, or average odds as a probability."""
        scores = [
            model.predict(X[:, groups[0]["columns"]]).astype(np.float64)
            for model, groups in zip(self._models, self._by_group, strict=True)
        ]
        if self._documents[0]["combine"] == "likelihood":
            odds = np.mean([score / np.maximum(1 - score, np.finfo(np.float32).eps) for score in scores], axis=0)
            return np.asarray(odds / (1 + odds), np.float32)
        tails = [
            [_minus_log(column, group["knots"]) for column, group in zip(score.T, groups, strict=True)]
            for score, groups in zip(scores, self._by_group, strict=True)
        ]
        return np.asarray(np.max(tails, axis=0).T, np.float32)

    def pick(self, member: int) -> GroupedModel:
        """Return one member as a model."""
        return GroupedModel((self.members[member],), self.load)


def forget_groups(document: bytes, forget: Callable[[bytes], bytes]) -> bytes:
    """Remove from the models of all groups what tells the number of events; see `LearnerEntry.forget_counts`."""
    content = json.loads(document)
    for group in content["groups"]:
        group["model"] = base64.b64encode(forget(_inner(group))).decode()
    return json.dumps(content).encode()


def group_importance(
    document: bytes, n_features: int, importance: Callable[[bytes, int], Array | None]
) -> Array | None:
    """(n_features,) float64: mean over the groups of the shares of their features; None if no group has any."""
    total = np.zeros(n_features)
    for group in json.loads(document)["groups"]:
        shares = importance(_inner(group), len(group["columns"]))
        if shares is not None:
            total[group["columns"]] += shares
    return total / total.sum() if total.sum() > 0 else None


def _inner(group: dict[str, Any]) -> bytes:
    return base64.b64decode(group["model"])


def _tail_scores(learner: Learner, training: TrainingSet, random_state: np.random.SeedSequence) -> list[float]:
    """Scores that the fractions `_TAIL` of class 0 exceed: means over models, of events that each has not seen."""
    seed = int(_child(random_state, 0).generate_state(1)[0])
    fold = np.floor(_INNER_FOLDS * uniform(training.group, seed, "groups")).astype(np.int8)
    knots, background = [], training.y == 0
    for k in range(_INNER_FOLDS):
        kept, left_out = training.rows(fold != k), background & (fold == k)
        if len(np.unique(kept.y)) < 2 or not left_out.any():
            msg = (
                f"{len(fold)} training rows are too few for p-values of feature groups in {_INNER_FOLDS} inner folds. "
                'Add events, or set learning.combine_groups = "likelihood".'
            )
            raise TableError(msg)
        model = learner.fit(kept, random_state=_child(random_state, 1 + k))
        score, weight = model.predict(training.X[left_out])[:, 0], training.sample_weight[left_out]
        order = np.argsort(-score, kind="stable")
        above = np.cumsum(weight[order]) - weight[order] / 2
        knots.append(np.interp(_TAIL, above / weight.sum(), score[order].astype(np.float64)))
    return [float(knot) for knot in np.mean(knots, axis=0)]


def _minus_log(score: Array, knots: Sequence[float]) -> Array:
    """−log10 of the fraction of background above a score, which increases with every score."""
    values, place = np.unique(knots, return_inverse=True)
    decades = np.bincount(place, -np.log10(_TAIL)) / np.bincount(place)  # the middle of equal scores
    if len(values) == 1:
        return np.asarray(decades[0] + score - values[0])  # background is all alike: any order will do
    inside = np.interp(score, values, decades)
    start = max(len(values) - _SLOPE_FROM, 0)
    rise = (decades[-1] - decades[start]) / (values[-1] - values[start])
    return np.asarray(inside + rise * np.maximum(score - values[-1], 0.0), np.float64)


def _child(random_state: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    return np.random.SeedSequence(random_state.entropy, spawn_key=(*random_state.spawn_key, _GROUPS, *key))
