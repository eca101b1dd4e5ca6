"""What every anomaly method must do, whatever it trains on."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from analysis.errors import ConfigError, TableError
from analysis.learning import FoldTask, Method, TrainingSet, collect_folds, run_fold
from analysis.methods import METHODS, get_method
from tests.spies import SpyLearner
from tests.toy_tables import WINDOW, table_of, toy_table

NAMES = ("x0", "x1")

every_method = pytest.mark.parametrize("method", METHODS.values(), ids=list(METHODS))


def rows_by_event(training: TrainingSet) -> list[np.ndarray]:
    """Columns sorted by event, so that training sets compare without regard to the order of rows."""
    order = np.lexsort((training.y, training.group))
    return [part[order] for part in (training.group, training.y, training.sample_weight, training.X)]


@every_method
def test_name_is_the_key(method: Method) -> None:
    assert METHODS[method.name] is method
    assert get_method(method.name) is method


def test_unknown_method_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown method 'cwolla' in learning\.method\. Methods: .*cwola"):
        get_method("cwolla")


@every_method
def test_training_sets_are_fit_for_training(method: Method) -> None:
    table = toy_table(3000, random_state=1)
    training = method.contrast(table, WINDOW, NAMES)
    assert training.sample_weight.mean() == pytest.approx(1)
    assert training.sample_weight.min() > 0
    assert set(training.y.tolist()) == {0, 1}
    data = np.isin(training.group, table.event_id)
    assert set(training.group[data & (training.y == 1)]) <= set(table.event_id[WINDOW.in_signal(table.mjj)])
    balance = [training.sample_weight[training.y == k].sum() for k in (0, 1)]
    assert balance[0] == pytest.approx(balance[1])


@every_method
def test_order_of_events_does_not_matter(method: Method) -> None:
    table = toy_table(3000, random_state=1)
    mixed = type(table)(table.table.take(np.random.default_rng(0).permutation(3000)), table.features)
    for first, second in zip(
        rows_by_event(method.contrast(table, WINDOW, NAMES)),
        rows_by_event(method.contrast(mixed, WINDOW, NAMES)),
        strict=True,
    ):
        np.testing.assert_allclose(second, first, rtol=1e-12)


@every_method
def test_only_the_named_features_are_used(method: Method) -> None:
    table = toy_table(3000, random_state=1, n_features=3)
    both = method.contrast(table, WINDOW, ("x2", "x0"))
    alone = method.contrast(table, WINDOW, ("x2",))
    assert both.X.shape[1] == 2
    np.testing.assert_array_equal(both.X[:, :1], alone.X)
    for forbidden in ("mjj", "event_id", "weight", "dataset"):
        with pytest.raises(TableError, match=f"'{forbidden}' may not be trained on"):
            method.contrast(table, WINDOW, ("x0", forbidden))


@every_method
def test_no_event_is_scored_by_a_model_that_saw_it(method: Method) -> None:
    rng = np.random.default_rng(7)
    toy = toy_table(4000, random_state=2)
    copies = toy.event_id[rng.permutation(4000) // 2]  # every event twice, with different masses: injection, bootstrap
    table = table_of(toy.mjj, toy.matrix(NAMES), event_id=copies)
    task = FoldTask(WINDOW, 0, 3, NAMES, method, SpyLearner(), 3)
    results = [run_fold(replace(task, fold=fold), table) for fold in range(3)]
    crossfit = collect_folds(results, table.event_id, task)
    assert np.isfinite(crossfit.scores.values).all()
    for fold, model in enumerate(crossfit.models):
        scored = set(table.event_id[crossfit.scores.fold == fold].tolist())
        assert len(scored) > 300
        assert len(model.seen) > 300
        assert not scored & model.seen


@every_method
def test_methods_travel_to_workers(method: Method) -> None:
    table = toy_table(3000, random_state=1)
    travelled = pickle.loads(pickle.dumps(method))
    for first, second in zip(
        rows_by_event(method.contrast(table, WINDOW, NAMES)),
        rows_by_event(travelled.contrast(table, WINDOW, NAMES)),
        strict=True,
    ):
        np.testing.assert_array_equal(second, first)
