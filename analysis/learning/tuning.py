"""Choice of classifier settings, rounds and a working point inside the training folds, without labels.

Early stopping of single members on weak labels follows noise: if only a percent of class 1 differs from class 0, the
loss of one validation split is flat within its error, and each member stops at a different round. Here all settings
are compared on all training events: the training set is divided into inner folds, a few members are trained on all
inner folds except one and scored on the latter, for every number of rounds. The criterion is computed from their mean
score and averaged over the inner folds. The ensemble is then trained on the whole training set with the best settings.
The fold that is left out of training is not used.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from analysis.config import ClassifierConfig, TuningConfig
from analysis.errors import TableError
from analysis.events.identity import uniform
from analysis.learning.argos import argos, argos_at
from analysis.learning.ensemble import BoostedTrees, Choice, FittedEnsemble
from analysis.learning.metrics import RocCurve, mean_roc, roc_curve
from analysis.learning.training_set import TrainingSet

__all__ = ["TunedTrees"]

_TUNING = 3
"""Seed key that separates the random numbers of the inner folds from the ones of the ensemble."""


@dataclass(frozen=True)
class TunedTrees:
    """Boosted trees that choose their settings on inner folds of the training set.

    Attributes
    ----------
    trees : BoostedTrees
        The ensemble, with the settings that are not in the grid.
    tuning : TuningConfig
    efficiencies : tuple of float
        Working points to choose from with ARGOS; if empty, no working point is chosen.
    """

    trees: BoostedTrees
    tuning: TuningConfig
    efficiencies: tuple[float, ...] = ()

    @property
    def n_members(self) -> int:
        """Number of members of the ensemble."""
        return self.trees.n_members

    def on_columns(self, columns: Sequence[int]) -> TunedTrees:
        """Return the learner for training sets that hold only these columns."""
        return replace(self, trees=self.trees.on_columns(columns))

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> FittedEnsemble:
        """Choose the settings, then train on the whole set.

        Parameters
        ----------
        training : TrainingSet
        random_state : numpy.random.SeedSequence
            Seed of the inner folds, and of the training of `trees` with the chosen settings.

        Returns
        -------
        FittedEnsemble
            Ensemble with its `choice`.

        Raises
        ------
        TableError
            If an inner fold lacks a class.
        """
        choice = self._choose(training, random_state)
        chosen = replace(self.trees, config=choice.classifier)
        return replace(chosen.fit(training, random_state=random_state), choice=choice)

    def _choose(self, training: TrainingSet, random_state: np.random.SeedSequence) -> Choice:
        inner = self._inner_fold(training, random_state)
        tried = [option for classifier in self._classifiers() for option in self._compare(classifier, training, inner)]
        values = [value for _, value, _ in tried]
        classifier, value, rocs = tried[int(np.argmax(values))]  # first of equal values: the fewest rounds
        return Choice(classifier, value, self._working_point(rocs))

    def _inner_fold(self, training: TrainingSet, random_state: np.random.SeedSequence) -> _Inner:
        seed = int(_child(random_state).generate_state(1)[0])
        fold = np.floor(self.tuning.n_folds * uniform(training.group, seed, "tuning")).astype(np.int8)
        for k in range(self.tuning.n_folds):
            if len(np.unique(training.y[fold == k])) < 2:
                msg = (
                    f"inner fold {k} of {self.tuning.n_folds} holds {int((fold == k).sum())} of {len(fold)} training "
                    "rows, too few to compare settings on. Lower learning.tuning.n_folds, or set its criterion to none."
                )
                raise TableError(msg)
        return _Inner(fold, random_state)

    def _classifiers(self) -> Iterator[ClassifierConfig]:
        """All points of the grid except the number of rounds, which is set to the largest one."""
        grid = {name: values for name, values in self.tuning.grid.items() if name != "n_estimators"}
        for values in product(*grid.values()):
            update = dict(zip(grid, values, strict=True)) | {"n_estimators": max(self._rounds())}
            yield ClassifierConfig(**(self.trees.config.model_dump() | update))

    def _rounds(self) -> list[int]:
        return sorted(int(n) for n in self.tuning.grid.get("n_estimators", (self.trees.config.n_estimators,)))

    def _compare(
        self, classifier: ClassifierConfig, training: TrainingSet, inner: _Inner
    ) -> list[tuple[ClassifierConfig, float, RocCurve]]:
        """Return settings at every number of rounds, their criterion, and the mean ROC of the inner folds."""
        learner = replace(self.trees, config=classifier, n_members=self.tuning.n_members)
        rounds = self._rounds()
        judged = []
        for k in range(self.tuning.n_folds):
            model = learner.fit(training.rows(inner.fold != k), random_state=_child(inner.random_state, k))
            validation = training.rows(inner.fold == k)
            staged = model.predict_rounds(validation.X, rounds).mean(axis=1, dtype=np.float64)
            judged.append([_Judged.of(score, validation) for score in staged.T])
        compared = []
        for n, folds in zip(rounds, zip(*judged, strict=True), strict=True):
            roc = mean_roc([fold.roc for fold in folds])
            compared.append((classifier.model_copy(update={"n_estimators": n}), self._criterion(folds, roc), roc))
        return compared

    def _criterion(self, folds: Sequence[_Judged], roc: RocCurve) -> float:
        if self.tuning.criterion == "log-loss":
            return -float(np.mean([fold.log_loss for fold in folds]))
        return argos(roc, floor=self.tuning.floor)

    def _working_point(self, roc: RocCurve) -> int | None:
        return int(argos_at(roc, self.efficiencies).argmax()) if self.efficiencies else None


@dataclass(frozen=True)
class _Inner:
    """Inner fold of each training row, (n_rows,) int8, and the seed."""

    fold: NDArray[np.int8]
    random_state: np.random.SeedSequence


@dataclass(frozen=True)
class _Judged:
    """Separation of the classes of one inner fold by scores."""

    roc: RocCurve
    log_loss: float

    @classmethod
    def of(cls, score: NDArray[np.float64], validation: TrainingSet) -> _Judged:
        one, weight = validation.y == 1, validation.sample_weight
        roc = roc_curve(score[one], score[~one], signal_weight=weight[one], background_weight=weight[~one])
        likelihood = np.where(one, score, 1 - score)
        return cls(roc, -float(np.average(np.log(np.maximum(likelihood, 1e-12)), weights=weight)))


def _child(random_state: np.random.SeedSequence, *key: int) -> np.random.SeedSequence:
    """Seed of one step of the tuning; unlike with `spawn`, the parent is not changed."""
    return np.random.SeedSequence(random_state.entropy, spawn_key=(*random_state.spawn_key, _TUNING, *key))
