from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost as xgb

from analysis.config import ClassifierConfig
from analysis.events.table import EventTable
from analysis.learning import (
    BoostedTrees,
    CrossFit,
    FoldResult,
    FoldTask,
    Learner,
    Model,
    Samples,
    assign_folds,
    collect_folds,
    run_fold,
)
from analysis.methods import CWoLa
from analysis.regions import MassWindow
from tests.builders.spies import SpyLearner
from tests.builders.toy_tables import WINDOW, dijet_masses, feature_names, table_of

TASK = FoldTask(WINDOW, 0, 4, feature_names(2), CWoLa(), SpyLearner(), 11)


def numbered_table(n_events: int = 4000, copies: int = 1) -> EventTable:
    """Events whose first feature is their row; each event `copies` times, in different rows."""
    rng = np.random.default_rng(5)
    mjj = dijet_masses(n_events, rng, fit_range=(2800.0, 7000.0))
    X = np.stack([np.arange(n_events), rng.normal(size=n_events)], axis=1)
    event_id = table_of(mjj, X).event_id[rng.permutation(n_events) // copies]
    return table_of(mjj, X, event_id=event_id)


def run_folds(table: EventTable, task: FoldTask = TASK) -> list[FoldResult]:
    return [run_fold(replace(task, fold=fold), Samples(table)) for fold in range(task.n_folds)]


@pytest.mark.parametrize("copies", [1, 3])
def test_sequential_folds_are_scored_by_models_that_saw_later_folds_alone(copies: int) -> None:
    table = numbered_table(copies=copies)
    task = replace(TASK, sequential=True)
    results = [run_fold(one, Samples(table)) for one in task.every_fold]
    assert [result.fold for result in results] == [0, 1, 2]
    crossfit = collect_folds(results, table, task)
    fold = crossfit.scores.fold
    trains = WINDOW.in_signal(table.mjj) | WINDOW.in_lower(table.mjj) | WINDOW.in_upper(table.mjj)
    for k, model in enumerate(crossfit.models):
        assert model.seen == set(table.event_id[trains & (fold > k)].tolist())
    scored = np.isfinite(crossfit.scores.values[:, 0])
    np.testing.assert_array_equal(scored, WINDOW.in_fit_range(table.mjj) & (fold < 3))


@pytest.mark.parametrize("copies", [1, 3])
def test_no_event_is_scored_by_a_model_that_saw_it(copies: int) -> None:
    table = numbered_table(copies=copies)
    results = run_folds(table)
    for result in results:
        seen = result.model.seen
        assert len(seen) > 300
        assert not seen & set(table.event_id[result.rows].tolist())
    crossfit = collect_folds(reversed(results), table, TASK)
    for row in np.flatnonzero(np.isfinite(crossfit.scores.values[:, 0])):
        assert int(table.event_id[row]) not in crossfit.models[crossfit.scores.fold[row]].seen


def test_every_event_in_the_fit_range_gets_its_own_score_and_no_other_does() -> None:
    table = numbered_table()
    scores = collect_folds(reversed(run_folds(table)), table, TASK).scores
    inside = (table.mjj >= 3000) & (table.mjj < 6500)
    assert 0 < inside.sum() < len(table)
    rows = np.arange(len(table), dtype=np.float32)
    np.testing.assert_array_equal(scores.values[inside], np.stack([rows, rows + 1], axis=1)[inside])
    assert np.isnan(scores.values[~inside]).all()
    np.testing.assert_array_equal(scores.mean()[inside], (rows + 0.5)[inside])
    assert scores.method == "cwola"


def test_identities_and_features_of_training_rows_belong_together() -> None:
    table = numbered_table()
    model = run_fold(TASK, Samples(table)).model
    assert model.seen == set(table.event_id[model.first_features.astype(int)].tolist())


def test_each_fold_and_window_has_its_own_seed() -> None:
    table = numbered_table()
    other = replace(WINDOW, signal=(3320.0, 3700.0))
    models = [result.model for task in (TASK, replace(TASK, window=other)) for result in run_folds(table, task)]
    assert len({model.members[1] for model in models}) == 8
    again = run_fold(replace(TASK, fold=2), Samples(table))
    assert again.model.members == models[2].members


def test_simulation_is_scored_by_every_fold_with_the_member_mean() -> None:
    table = numbered_table()
    crossfit = collect_folds(run_folds(table), table, TASK)
    X = np.array([[3.0, 0.0], [8.0, 0.0]], np.float32)
    np.testing.assert_array_equal(crossfit.predict(X), [[3.5] * 4, [8.5] * 4])


def test_a_fold_without_events_has_no_scores() -> None:
    table = numbered_table()
    table = table.select(assign_folds(table.event_id, 4, random_state=11) != 2)
    learner = BoostedTrees(ClassifierConfig(n_estimators=2), 1)
    results = run_folds(table, replace(TASK, learner=learner))
    assert results[2].scores.shape == (0, 1)
    assert isinstance(collect_folds(results, table, TASK), CrossFit)


def test_early_stopping_never_sees_the_scored_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    table = numbered_table(copies=2)
    matrices: list[set[int]] = []
    matrix = xgb.QuantileDMatrix

    def spy(X: Any, *arguments: Any, **options: Any) -> Any:
        matrices.append(set(table.event_id[X[:, 0].astype(int)].tolist()))
        return matrix(X, *arguments, **options)

    monkeypatch.setattr(xgb, "QuantileDMatrix", spy)
    config = ClassifierConfig(n_estimators=10, early_stopping_rounds=2, validation_fraction=0.3)
    for fold in range(TASK.n_folds):
        result = run_fold(replace(TASK, fold=fold, learner=BoostedTrees(config, 1)), Samples(table))
        train, validation = matrices[-2:]
        scored = set(table.event_id[result.rows].tolist())
        assert min(len(train), len(validation), len(scored)) > 100
        assert not train & validation
        assert not (train | validation) & scored
    assert len(matrices) == 2 * TASK.n_folds


def test_an_averaged_fold_keeps_the_mean_of_the_scores_of_its_members() -> None:
    table = numbered_table()
    task = replace(TASK, fold=1, learner=BoostedTrees(ClassifierConfig(n_estimators=10, subsample=0.5), 3))
    members, averaged = run_fold(task, Samples(table)), run_fold(replace(task, averaged=True), Samples(table))
    assert members.scores.shape[1] == 3
    assert members.scores.std(axis=1).max() > 0
    expected = [np.float32(np.mean([float(one) for one in row])) for row in members.scores]
    np.testing.assert_array_equal(averaged.scores, np.array(expected)[:, None])
    assert averaged.model == members.model


class OwnFit(CWoLa):
    """CWoLa with a `fit` of its own, which is given the events."""

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> Model:
        assert samples.data.column("weight").size
        return super().fit(samples, window, features, learner, random_state)


def test_a_learner_is_given_the_contrast_that_the_method_gives_it() -> None:
    table = numbered_table()
    task = replace(TASK, learner=BoostedTrees(ClassifierConfig(n_estimators=10, subsample=0.5), 2))
    assert CWoLa().learns_contrast
    assert not OwnFit().learns_contrast
    found, expected = run_folds(table, task), run_folds(table, replace(task, method=OwnFit()))
    for one, other in zip(found, expected, strict=True):
        assert one.model == other.model
        np.testing.assert_array_equal(one.scores, other.scores)
