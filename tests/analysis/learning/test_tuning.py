"""Settings chosen without labels, on samples for which the right choice is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.config import ClassifierConfig, TuningConfig
from analysis.errors import TableError
from analysis.learning import BoostedTrees, TrainingSet, TunedTrees

TREES = BoostedTrees(ClassifierConfig(n_estimators=12, max_depth=3, min_child_weight=5.0), 2)


def tuned(
    grid: dict[str, tuple[float, ...]],
    *,
    criterion: str = "argos",
    efficiencies: tuple[float, ...] = (),
    **options: Any,
) -> TunedTrees:
    settings = {"criterion": criterion, "grid": grid, "n_folds": 3, "n_members": 2} | options
    return TunedTrees(TREES, TuningConfig(**settings), efficiencies)


def seed(value: int = 1) -> np.random.SeedSequence:
    return np.random.SeedSequence(value, spawn_key=(7, 8))


def weak_labels(fraction: float, *, n: int = 6000, shift: float = 3.0, random_state: int = 0) -> TrainingSet:
    """Class 0 is N(0, 1), class 1 as well but for a fraction that is N(shift, 1)."""
    rng = np.random.default_rng(random_state)
    y = np.repeat([0, 1], n)
    X = rng.normal(shift * ((y == 1) & (rng.random(2 * n) < fraction)))
    return TrainingSet.build(X[:, None].astype(np.float32), y, np.ones(2 * n), np.arange(2 * n, dtype=np.uint64))


def crossed(n: int = 3000) -> TrainingSet:
    """Class 1 has features of equal sign, class 0 of opposite sign: no single feature tells them apart."""
    rng = np.random.default_rng(1)
    X = rng.uniform(-1, 1, size=(n, 2)).astype(np.float32)
    return TrainingSet.build(X, X.prod(axis=1) > 0, np.ones(n), np.arange(n, dtype=np.uint64))


def test_one_choice_gives_the_ensemble_that_is_not_tuned() -> None:
    training = weak_labels(0.1)
    plain = TREES.fit(training, random_state=seed())
    for grid in ({"n_estimators": (12.0,)}, {"max_depth": (3.0,)}):
        model = tuned(grid).fit(training, random_state=seed())
        assert model.members == plain.members
        assert model.choice is not None
        assert model.choice.classifier == TREES.config


def test_rounds_of_a_long_training_are_those_of_a_short_one() -> None:
    training = weak_labels(0.2)
    long = TREES.fit(training, random_state=seed())
    for n, column in zip((3, 12), np.moveaxis(long.predict_rounds(training.X, (3, 12)), 2, 0), strict=True):
        config = TREES.config.model_copy(update={"n_estimators": n})
        short = BoostedTrees(config, 2).fit(training, random_state=seed())
        np.testing.assert_array_equal(column, short.predict(training.X))


@pytest.mark.parametrize("criterion", ["argos", "log-loss"])
def test_trees_are_as_deep_as_the_sample_needs(criterion: str) -> None:
    model = tuned({"max_depth": (1, 3)}, criterion=criterion).fit(crossed(), random_state=seed())
    assert model.choice is not None
    assert model.choice.classifier.max_depth == 3
    assert model.choice.classifier.n_estimators == 12


def test_the_loss_stops_at_once_where_there_is_nothing_to_learn() -> None:
    model = tuned({"n_estimators": (2, 12, 40)}, criterion="log-loss").fit(weak_labels(0.0), random_state=seed())
    assert model.choice is not None
    assert model.choice.classifier.n_estimators == 2
    assert model.choice.value == pytest.approx(-np.log(2), abs=0.002)


def test_the_working_point_is_the_one_of_the_largest_significance() -> None:
    """In the population, the gain of a cut at background efficiency e is f (sf(isf(e) - shift) / sqrt(e) - sqrt(e))."""
    fraction, shift, efficiencies = 0.4, 1.2, (0.5, 0.04, 0.002)
    gain = [fraction * (stats.norm.sf(stats.norm.isf(e) - shift) / e**0.5 - e**0.5) for e in efficiencies]
    assert gain[1] - max(gain[0], gain[2]) == pytest.approx(0.1, abs=0.01)
    learner = tuned({"n_estimators": (12,)}, efficiencies=efficiencies)
    model = learner.fit(weak_labels(fraction, shift=shift), random_state=seed())
    assert model.choice is not None
    assert model.choice.working_point == 1


def test_argos_is_that_of_the_population() -> None:
    fraction, e = 0.2, np.geomspace(0.01, 1, 2000)
    truth = fraction * (stats.norm.sf(stats.norm.isf(e) - 3.0) / e**0.5 - e**0.5).max()
    model = tuned({"n_estimators": (12,)}).fit(weak_labels(fraction, n=20_000), random_state=seed())
    assert model.choice is not None
    assert model.choice.value == pytest.approx(truth, abs=0.05)


def test_the_choice_depends_on_the_seed_and_nothing_else() -> None:
    training, learner = weak_labels(0.02, n=1500), tuned({"n_estimators": tuple(range(2, 13))})
    first = learner.fit(training, random_state=seed())
    assert learner.fit(training, random_state=seed()).choice == first.choice
    others = [learner.fit(training, random_state=seed(k)).choice for k in range(2, 6)]
    assert any(other != first.choice for other in others)


def test_too_few_rows_are_said() -> None:
    rng = np.random.default_rng(0)
    few = TrainingSet.build(
        rng.normal(size=(6, 1)).astype(np.float32), np.arange(6) % 2, np.ones(6), np.arange(6, dtype="u8")
    )
    with pytest.raises(TableError, match=r"inner fold \d of 5 holds .* of 6 training rows.*learning\.tuning\.n_folds"):
        tuned({"n_estimators": (2,)}, n_folds=5).fit(few, random_state=seed())
