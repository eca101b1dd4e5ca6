"""Registry of learners: their training, storage, and removal of event counts from stored models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from analysis.config import ClassifierConfig, LearningConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError
from analysis.learning.ensemble import BoostedTrees, FittedEnsemble, gain_shares, without_counts
from analysis.learning.groups import FeatureGroup, GroupedLearner, GroupedModel, forget_groups, group_importance
from analysis.learning.label_proportions import ProportionSettings, configured_proportions
from analysis.learning.protocols import Learner, Model
from analysis.learning.training_set import TrainingSet
from analysis.learning.tuning import TunedTrees

__all__ = [
    "BOOSTED_TREES",
    "LEARNERS",
    "LearnerEntry",
    "configured_learner",
    "get_learner",
    "register_learner",
    "stored_form",
    "stored_name",
]


@dataclass(frozen=True)
class LearnerEntry:
    """Registry entry of a learner.

    Attributes
    ----------
    name : str
    settings : type of pydantic.BaseModel
        Model of `[learning.learner_settings]`.
    fit : callable
        (TrainingSet, settings, seed: int) -> model of one member, whose `predict` takes (n_rows, n_features) float32
        and returns (n_rows,), larger for class 1. It must accept NaN.
    monotone : bool
        Whether `learning.monotone` is obeyed. `fit` then takes it as a keyword `monotone`: for each feature 1
        (increasing), -1 (decreasing) or 0, empty if all are 0.
    probability : bool
        Whether scores are probabilities of class 1.
    dumps, loads : callable
        Model to bytes and back. Must not unpickle, since results may come from others.
    forget_counts : callable
        Stored form -> stored form that does not reveal the number of training events, with unchanged scores. For
        blinded results.
    importance : callable, optional
        (stored form, n_features) -> (n_features,) float64 fractions, which sum to 1; None if undefined.
    suffix : str
        Suffix of the files.
    ensemble : callable, optional
        (LearningConfig, settings, number of members) -> `Learner`, for learners that train all members together.
    restore : callable, optional
        Stored members -> `Model`, if calling `loads` on each member is not enough.
    """

    name: str
    settings: type[BaseModel]
    fit: Callable[..., Any]
    dumps: Callable[[Any], bytes]
    loads: Callable[[bytes], Any]
    forget_counts: Callable[[bytes], bytes]
    importance: Callable[[bytes, int], NDArray[np.float64] | None] | None = None
    suffix: str = ".json"
    ensemble: Callable[[LearningConfig, Any, int], Learner] | None = None
    restore: Callable[[tuple[bytes, ...]], Model] | None = None
    monotone: bool = False
    probability: bool = False

    def load(self, members: tuple[bytes, ...]) -> Model:
        """Build a model from stored members."""
        return StoredEnsemble(self, members) if self.restore is None else self.restore(members)


@dataclass(frozen=True)
class StoredEnsemble:
    """Members of one learner in stored form, so that scores are the same as after reading them from disk."""

    entry: LearnerEntry
    members: tuple[bytes, ...]

    @cached_property
    def _models(self) -> tuple[Any, ...]:
        return tuple(map(self.entry.loads, self.members))

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_rows, n_members) float32: scores."""
        if not len(X):
            return np.empty((0, len(self.members)), np.float32)
        return np.stack([np.asarray(model.predict(X), np.float32) for model in self._models], axis=1)

    def pick(self, member: int) -> StoredEnsemble:
        """Return one member as a model."""
        return StoredEnsemble(self.entry, (self.members[member],))


@dataclass(frozen=True)
class Ensemble:
    """Trains the members of a learner one by one, with different seeds."""

    entry: LearnerEntry
    settings: BaseModel
    n_members: int
    monotone: tuple[int, ...] = ()

    def on_columns(self, columns: Sequence[int]) -> Ensemble:
        """Return the learner for training sets that hold only these columns."""
        return replace(self, monotone=tuple(self.monotone[column] for column in columns) if self.monotone else ())

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> StoredEnsemble:
        """Train all members."""
        options = {"monotone": self.monotone} if self.entry.monotone else {}
        seeds = (random_state.generate_state(self.n_members) >> 1).tolist()
        models = (self.entry.fit(training, self.settings, seed, **options) for seed in seeds)
        return StoredEnsemble(self.entry, tuple(map(self.entry.dumps, models)))


LEARNERS: Registry[LearnerEntry] = Registry("learner")
"""Learners by name."""


def register_learner(entry: LearnerEntry) -> None:
    """Add a learner under its name, here or in a plugin.

    Raises
    ------
    ConfigError
        If the name is taken.
    """
    LEARNERS.add(entry.name, entry, origin=getattr(entry.fit, "__qualname__", ""))


def get_learner(name: str) -> LearnerEntry:
    """Look up a learner.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    if name not in LEARNERS:
        msg = (
            f"unknown learner '{name}' in learning.learner. Learners: {', '.join(LEARNERS)}. One of a plugin needs "
            "that with --plugin."
        )
        raise ConfigError(msg)
    return LEARNERS[name]


def configured_learner(learning: LearningConfig, n_members: int) -> Learner:
    """Return the configured learner with its settings.

    Raises
    ------
    ConfigError
        If the name is unknown, or a setting is invalid or does not apply to this learner.
    """
    entry = get_learner(learning.learner)
    try:
        settings = entry.settings(**learning.learner_settings)
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"learning.learner_settings.{'.'.join(map(str, first['loc']))}: {first['msg']} (learner {entry.name})"
        raise ConfigError(msg) from error
    if learning.monotone and not entry.monotone:
        able = ", ".join(name for name, other in LEARNERS.items() if other.monotone)
        msg = (
            f"the learner {entry.name} cannot obey learning.monotone, which names {', '.join(learning.monotone)}: "
            f"leave it out, or set learning.learner to one that can: {able}."
        )
        raise ConfigError(msg)
    if learning.feature_groups:
        return _grouped(learning, entry, n_members)
    if entry.ensemble is not None:
        return entry.ensemble(learning, settings, n_members)
    if learning.tuning.criterion != "none" or learning.bagged_features is not None:
        msg = f"learning.tuning and learning.bagged_features are for boosted_trees, not for the learner {entry.name}."
        raise ConfigError(msg)
    return Ensemble(entry, settings, n_members, learning.directions)


def _grouped(learning: LearningConfig, entry: LearnerEntry, n_members: int) -> GroupedLearner:
    if learning.combine_groups == "likelihood" and not entry.probability:
        msg = (
            'learning.combine_groups = "likelihood" needs scores that are probabilities, which the learner '
            f'{entry.name} does not give: set it to "rank".'
        )
        raise ConfigError(msg)
    groups = []
    for names in learning.feature_groups:
        own, columns = learning.of_group(names), tuple(learning.features.index(name) for name in names)
        groups.append(FeatureGroup(columns, configured_learner(own, n_members), configured_learner(own, 1)))
    return GroupedLearner(tuple(groups), learning.combine_groups, n_members, entry.load)


_OF_GROUPS = "groups of "


def stored_name(learning: LearningConfig) -> str:
    """Name of the stored form of the models: that of the learner, or of its groups."""
    return f"{_OF_GROUPS if learning.feature_groups else ''}{learning.learner}"


def stored_form(name: str) -> LearnerEntry:
    """Look up a learner by its `stored_name`.

    Raises
    ------
    ConfigError
        If the name is unknown.
    """
    if not name.startswith(_OF_GROUPS):
        return get_learner(name)
    entry = get_learner(name.removeprefix(_OF_GROUPS))
    measure = entry.importance
    return replace(
        entry,
        name=name,
        suffix=".json",
        restore=partial(GroupedModel, load=entry.load),
        forget_counts=partial(forget_groups, forget=entry.forget_counts),
        importance=None if measure is None else partial(group_importance, importance=measure),
    )


class _NoSettings(BaseModel, extra="forbid"):
    """Boosted trees have no settings here, since they are configured in `[learning.classifier]`."""


def _fit_trees(training: TrainingSet, _: BaseModel, seed: int) -> FittedEnsemble:
    return BoostedTrees(ClassifierConfig(), 1).fit(training, random_state=np.random.SeedSequence(seed))


def _trees(learning: LearningConfig, _: BaseModel, n_members: int) -> Learner:
    trees = BoostedTrees(learning.classifier, n_members, learning.bagged_features, learning.directions)
    if learning.tuning.criterion == "none":
        return trees
    return TunedTrees(trees, learning.tuning, learning.efficiencies if learning.working_point == "argos" else ())


BOOSTED_TREES = LearnerEntry(
    "boosted_trees",
    _NoSettings,
    _fit_trees,
    lambda model: bytes(model.members[0]),
    lambda document: FittedEnsemble((document,)),
    without_counts,
    gain_shares,
    ".ubj",
    _trees,
    FittedEnsemble,
    monotone=True,
    probability=True,
)
register_learner(BOOSTED_TREES)


def _fit_proportions(training: TrainingSet, settings: ProportionSettings, seed: int) -> FittedEnsemble:
    learner = configured_proportions(LearningConfig(), settings, 1)
    return learner.fit(training, random_state=np.random.SeedSequence(seed))


register_learner(
    replace(
        BOOSTED_TREES,
        name="label_proportions",
        settings=ProportionSettings,
        fit=_fit_proportions,
        ensemble=configured_proportions,
        probability=False,
    )
)
