"""Nested cross-fitting: who trains, who chooses, who is scored, and which candidate is kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.config import ClassifierConfig
from analysis.learning import BoostedTrees, FoldTask, Nested, Samples, TrainingSet, collect_folds, run_fold
from analysis.learning.nested import JoinedModel, best_candidate, efficiency_at
from analysis.methods import CWoLa
from tests.builders.spies import SpyLearner
from tests.builders.toy_tables import WINDOW, feature_names, table_of, toy_table

EDGES = tuple(np.arange(3000.0, 6501.0, 100.0))
NESTED = Nested(n_candidates=2, efficiency=0.1, edges=EDGES)
TASK = FoldTask(WINDOW, 0, 4, feature_names(2), CWoLa(), SpyLearner(), 11, NESTED)


def validation_set(n_rows: int = 3000) -> TrainingSet:
    rng = np.random.default_rng(1)
    y = rng.integers(0, 2, n_rows)
    weight = rng.uniform(0.2, 2.0, n_rows)
    return TrainingSet.build(np.zeros((n_rows, 1), np.float32), y, weight, np.arange(n_rows, dtype=np.uint64))


def test_models_never_saw_the_fold_that_they_score_nor_the_one_that_chose_them() -> None:
    toy = toy_table(6000, random_state=2)
    copies = toy.event_id[np.random.default_rng(7).permutation(6000) // 2]
    table = table_of(toy.mjj, toy.matrix(feature_names(2)), event_id=copies)
    results = [run_fold(replace(TASK, fold=fold), Samples(table)) for fold in range(4)]
    crossfit = collect_folds(results, table, TASK)
    events = [set(table.event_id[crossfit.scores.fold == fold].tolist()) for fold in range(4)]
    used = set(table.event_id[(table.mjj >= 3100) & (table.mjj < 3900)].tolist())
    assert min(len(one & used) for one in events) > 100
    for fold, model in enumerate(crossfit.models):
        assert isinstance(model, JoinedModel)
        others = [k for k in range(4) if k != fold]
        for validation, candidate in zip(others, model.models, strict=True):
            training = set.union(*(events[k] for k in others if k != validation)) & used
            assert candidate.seen == training


def test_every_validation_fold_keeps_the_candidate_that_does_best_on_it() -> None:
    # Trained without anything to learn, candidates differ by chance; brute force over all of them.
    table = toy_table(5000, 200, random_state=4)
    learner = BoostedTrees(ClassifierConfig(n_estimators=3, max_depth=3, min_child_weight=5.0), 4)
    task = replace(TASK, n_folds=3, learner=learner, nested=replace(NESTED, n_candidates=4))
    fold = task.folds(table)
    kept = run_fold(task, Samples(table)).model
    seed = np.random.SeedSequence(0)
    for index, validation in enumerate((1, 2)):
        training = CWoLa().contrast(
            Samples(table.select(fold == 3 - validation)), WINDOW, task.features, random_state=seed
        )
        candidates = learner.fit(training, random_state=task.seed(2, validation))
        deciding = table.select((fold == validation) & (table.mjj >= 3100) & (table.mjj < 3900))
        inside, lower, upper = (f(deciding.mjj) for f in (WINDOW.in_signal, WINDOW.in_lower, WINDOW.in_upper))
        scores = candidates.predict(deciding.matrix(task.features))
        found = []
        for score in scores.T:
            thresholds = np.unique(score)[::-1]
            beside = [0.5 * (score[lower] >= t).mean() + 0.5 * (score[upper] >= t).mean() for t in thresholds]
            within = [(score[inside] >= t).mean() for t in thresholds]
            found.append(np.interp(0.1, [0, *beside], [0, *within]))
        assert kept.members[index] == candidates.members[int(np.argmax(found))]
        assert len(set(np.round(found, 6))) > 1


def test_efficiency_at_a_fixed_fraction_of_class_0() -> None:
    validation = validation_set()
    score = np.random.default_rng(2).normal(0.8 * validation.y).astype(np.float32)
    y, w = validation.y, validation.sample_weight
    threshold = next(t for t in np.sort(score)[::-1] if w[(y == 0) & (score >= t)].sum() >= 0.05 * w[y == 0].sum())
    expected = w[(y == 1) & (score >= threshold)].sum() / w[y == 1].sum()
    assert efficiency_at(score, y, w, 0.05) == pytest.approx(expected, abs=0.002)
    assert expected > 0.15


def test_random_and_constant_scores_select_both_classes_alike() -> None:
    validation = validation_set()
    y, w = validation.y, validation.sample_weight
    assert efficiency_at(np.zeros(len(y), np.float32), y, w, 0.03) == pytest.approx(0.03)
    halves = np.where(np.arange(len(y)) % 2, 0.4, 0.6).astype(np.float32)
    upper = w[(y == 1) & (halves > 0.5)].sum() / w[y == 1].sum()
    lower = w[(y == 0) & (halves > 0.5)].sum() / w[y == 0].sum()
    assert efficiency_at(halves, y, w, 0.1) == pytest.approx(0.1 * upper / lower)


def test_the_best_candidate_is_that_with_the_signal_on_top() -> None:
    validation = validation_set()
    noise = np.random.default_rng(3).normal(size=(len(validation.y), 3)).astype(np.float32)
    noise[:, 1] += validation.y
    assert best_candidate(noise, validation, 0.01) == 1


@dataclass(frozen=True)
class Constant:
    """Scores everything with its number."""

    number: float

    @property
    def members(self) -> tuple[bytes, ...]:
        return (b"%d" % self.number,)

    def pick(self, member: int) -> Constant:
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.full((len(X), 1), self.number, np.float32)


def test_joined_models_are_one_ensemble() -> None:
    model = JoinedModel((Constant(1), JoinedModel((Constant(2), Constant(3)))))
    X = np.zeros((2, 1), np.float32)
    np.testing.assert_array_equal(model.predict(X), [[1, 2, 3]] * 2)
    assert model.members == (b"1", b"2", b"3")
    for member in range(3):
        np.testing.assert_array_equal(model.pick(member).predict(X)[:, 0], [member + 1] * 2)
