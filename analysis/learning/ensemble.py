"""Ensembles of boosted trees that differ in their random seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analysis.config import ClassifierConfig
from analysis.errors import TableError
from analysis.events.identity import uniform
from analysis.learning.boosting import xgb
from analysis.learning.training_set import TrainingSet

__all__ = ["BoostedTrees", "Choice", "FittedEnsemble", "gain_shares", "without_counts"]


@dataclass(frozen=True)
class Choice:
    """Settings that were chosen only on the training events; see `analysis.learning.tuning`.

    Attributes
    ----------
    classifier : ClassifierConfig
    value : float
        Best value of the criterion; larger is better.
    working_point : int or None
        Position of the chosen working point among the efficiencies; None without a choice.
    """

    classifier: ClassifierConfig
    value: float
    working_point: int | None = None


@dataclass(frozen=True)
class FittedEnsemble:
    """Trained members, as xgboost UBJ documents.

    Attributes
    ----------
    members : tuple of bytes
        One UBJ document each, truncated at the best round with early stopping.
    choice : Choice or None
        Choice of the settings, if any.
    """

    members: tuple[bytes, ...]
    choice: Choice | None = None

    def __repr__(self) -> str:
        return f"FittedEnsemble({len(self.members)} members)"

    @cached_property
    def _boosters(self) -> tuple[xgb.Booster, ...]:
        boosters = tuple(xgb.Booster({"nthread": 1}) for _ in self.members)
        for booster, document in zip(boosters, self.members, strict=True):
            booster.load_model(bytearray(document))
        return boosters

    def pick(self, member: int) -> FittedEnsemble:
        """Return one member as an ensemble."""
        return FittedEnsemble((self.members[member],))

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score rows with every member.

        Parameters
        ----------
        X : (n_rows, n_features) float32

        Returns
        -------
        (n_rows, n_members) float32
            Probability of class 1.
        """
        with _one_thread():
            return np.stack([np.asarray(booster.inplace_predict(X), np.float32) for booster in self._boosters], axis=1)

    def predict_rounds(self, X: NDArray[np.float32], rounds: Sequence[int]) -> NDArray[np.float32]:
        """Score rows with the first trees of every member.

        Parameters
        ----------
        X : (n_rows, n_features) float32
        rounds : sequence of int
            Numbers of trees, at most the number of trained trees.

        Returns
        -------
        (n_rows, n_members, n_rounds) float32
        """
        with _one_thread():
            scores = [[b.inplace_predict(X, iteration_range=(0, n)) for n in rounds] for b in self._boosters]
        return np.asarray(scores, np.float32).transpose(2, 0, 1)


@dataclass(frozen=True)
class BoostedTrees:
    """An ensemble of xgboost classifiers over shared quantile bins.

    One thread per ensemble: the parallelism is over folds and windows, and results do not depend on the machine.

    Attributes
    ----------
    config : ClassifierConfig
    n_members : int
    bagged_features : int or None
        Number of features per member, drawn separately for each (attribute bagging); None for all.
    monotone : tuple of int
        For each column 1 if scores must increase with it, -1 if they must decrease, or 0; empty if all are free.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.config import load_config
    >>> from analysis.learning import BoostedTrees, TrainingSet
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (500, 1)), rng.normal(3, 1, (500, 1))]).astype(np.float32)
    >>> training = TrainingSet.build(X, np.repeat([0, 1], 500), np.ones(1000), np.arange(1000, dtype=np.uint64))
    >>> learner = BoostedTrees(load_config().learning.classifier, n_members=2)
    >>> model = learner.fit(training, random_state=np.random.SeedSequence(0))
    >>> scores = model.predict(np.array([[0.0], [3.0]], np.float32))
    >>> scores.shape, bool(scores[0].max() < 0.5 < scores[1].min())
    ((2, 2), True)
    """

    config: ClassifierConfig
    n_members: int
    bagged_features: int | None = None
    monotone: tuple[int, ...] = ()

    def on_columns(self, columns: Sequence[int]) -> Self:
        """Return the learner for training sets that hold only these columns."""
        return replace(self, monotone=tuple(self.monotone[column] for column in columns) if self.monotone else ())

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> FittedEnsemble:
        """Train all members.

        Parameters
        ----------
        training : TrainingSet
        random_state : numpy.random.SeedSequence
            Seeds of the members, and of the validation split for early stopping.

        Returns
        -------
        FittedEnsemble

        Raises
        ------
        TableError
            If early stopping leaves a class without validation rows.
        """
        seeds = (random_state.generate_state(self.n_members + 1) >> 1).tolist()
        train, validation = self._split(training, seeds.pop())
        if self.bagged_features is None:
            return FittedEnsemble(tuple(self._fit_members(train, validation, seeds)))
        members = []
        for seed in seeds:
            unseen = np.random.default_rng(seed).permutation(training.X.shape[1])[self.bagged_features :]
            members += self._fit_members(_hide(train, unseen), validation and _hide(validation, unseen), [seed])
        return FittedEnsemble(tuple(members))

    def _fit_members(self, train: TrainingSet, validation: TrainingSet | None, seeds: list[int]) -> list[bytes]:
        with _one_thread():
            train_data = self._quantiles(train)
            evals = [(self._quantiles(validation, reference=train_data), "validation")] if validation else []
            return [self._fit_member(train_data, evals, seed) for seed in seeds]

    def _objective(self, train: xgb.QuantileDMatrix) -> Callable[..., Any] | None:  # noqa: ARG002 - for other losses
        """Return another loss than the logistic one, as gradients and second derivatives; None without."""
        return None

    def _split(self, training: TrainingSet, seed: int) -> tuple[TrainingSet, TrainingSet | None]:
        if self.config.early_stopping_rounds is None:
            return training, None
        held_out = uniform(training.group, seed, "validation") < self.config.validation_fraction
        train, validation = training.rows(~held_out), training.rows(held_out)
        if min(len(np.unique(part.y)) for part in (train, validation)) < 2:
            msg = f"early stopping: {len(validation.y)} of {len(training.y)} rows are too few to validate on."
            raise TableError(msg)
        return train, validation

    def _quantiles(self, rows: TrainingSet, reference: xgb.QuantileDMatrix | None = None) -> xgb.QuantileDMatrix:
        return xgb.QuantileDMatrix(
            rows.X, rows.y, weight=rows.sample_weight, max_bin=self.config.max_bin, ref=reference, nthread=1
        )

    def _fit_member(self, train: xgb.QuantileDMatrix, evals: list[Any], seed: int) -> bytes:
        parameters = self.config.model_dump(
            exclude={"n_estimators", "early_stopping_rounds", "validation_fraction"}
        ) | {"objective": "binary:logistic", "tree_method": "hist", "nthread": 1, "seed": seed}
        if any(self.monotone):
            parameters["monotone_constraints"] = f"({','.join(map(str, self.monotone))})"
        booster = xgb.train(
            parameters,
            train,
            self.config.n_estimators,
            evals=evals,
            early_stopping_rounds=self.config.early_stopping_rounds,
            verbose_eval=False,
            obj=self._objective(train),
        )
        if evals:
            booster = booster[: booster.best_iteration + 1]
        return bytes(booster.save_raw("ubj"))


def _one_thread() -> Any:
    """Keep xgboost from using its own threads, which wait if all cores are busy: `nthread` of a matrix is not enough.

    Otherwise, a matrix takes nine times longer if other processes need the cores.
    """
    return xgb.config_context(nthread=1)


def without_counts(document: bytes) -> bytes:
    """Set to zero all information on the training sample in an xgboost UBJ document: weight sums and gains of nodes.

    The weights have mean 1, so that the sum at a root reveals the number of training events. Scores do not change,
    since splits and leaves are kept.
    """
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(document))
    content = json.loads(bytes(booster.save_raw("json")))
    for tree in content["learner"]["gradient_booster"]["model"]["trees"]:
        for key in ("sum_hessian", "loss_changes", "base_weights"):
            tree[key] = [0.0] * len(tree[key])
    booster.load_model(bytearray(json.dumps(content).encode()))
    return bytes(booster.save_raw("ubj"))


def gain_shares(document: bytes, n_features: int) -> NDArray[np.float64] | None:
    """(n_features,) float64: fraction of the total gain of an xgboost document by feature; None without any gain."""
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(document))
    gains = np.zeros(n_features)
    for name, gain in booster.get_score(importance_type="total_gain").items():
        gains[int(name.removeprefix("f"))] = gain
    total = gains.sum()
    return gains / total if total > 0 else None


def _hide(training: TrainingSet, columns: NDArray[np.int64]) -> TrainingSet:
    """Prevent splits on some columns by setting them to NaN; the model still takes all columns."""
    X = training.X.copy()
    X[:, columns] = np.nan
    return replace(training, X=X)
