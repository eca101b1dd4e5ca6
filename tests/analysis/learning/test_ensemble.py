from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from numpy.typing import NDArray

from analysis.config import ClassifierConfig
from analysis.errors import TableError
from analysis.learning import BoostedTrees, FittedEnsemble, TrainingSet

LIGHT: dict[str, Any] = {"n_estimators": 15, "max_depth": 3, "min_child_weight": 5.0}


def training_set(*, weight_of_ones: float = 1.0, n_rows: int = 2000, shift: float = 0.7) -> TrainingSet:
    """Two normal classes, separated in the first of two features."""
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, n_rows)
    X = rng.normal(size=(n_rows, 2)).astype(np.float32)
    X[:, 0] += shift * y
    return TrainingSet.build(X, y, np.where(y == 1, weight_of_ones, 1.0), np.arange(n_rows, dtype=np.uint64))


def fit(training: TrainingSet, *, seed: int = 0, n_members: int = 1, **config: Any) -> FittedEnsemble:
    learner = BoostedTrees(ClassifierConfig(**(LIGHT | config)), n_members)
    return learner.fit(training, random_state=np.random.SeedSequence(seed))


def log_loss(y: NDArray[Any], p: NDArray[Any], weight: NDArray[Any]) -> float:
    p = p.astype(np.float64)
    return float(-(weight * np.where(y == 1, np.log(p), np.log1p(-p))).sum() / weight.sum())


def test_scores_approach_the_true_posterior() -> None:
    training = training_set(n_rows=40_000, shift=1.0)
    model = fit(training, n_members=2, n_estimators=60, min_child_weight=50.0)
    x = np.linspace(-1.5, 2.5, 9, dtype=np.float32)
    # Equal-width normals at 0 and 1: log odds are x - 1/2. Averaged over the feature that carries nothing.
    points = np.stack([np.repeat(x, 25), np.tile(np.linspace(-1.5, 1.5, 25, dtype=np.float32), 9)], axis=1)
    score = model.predict(points).mean(axis=1).reshape(9, 25).mean(axis=1)
    np.testing.assert_allclose(score, 1 / (1 + np.exp(0.5 - x)), atol=0.04)


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_weights_set_the_prior(factor: float) -> None:
    # The weighted mean score of a logistic fit is the weighted share of class 1: factor / (factor + 1).
    training = training_set(weight_of_ones=factor)
    score = fit(training, n_estimators=60, subsample=1.0).predict(training.X)[:, 0]
    share = factor / (factor + 1)
    assert np.average(score, weights=training.sample_weight) == pytest.approx(share, abs=0.03)
    assert abs(share - 0.5) > 0.3


def test_min_child_weight_means_the_same_for_every_scale_of_the_weights() -> None:
    training = training_set()
    scaled = TrainingSet.build(training.X, training.y, training.sample_weight * 1e-5, training.group)
    np.testing.assert_allclose(fit(scaled).predict(training.X), fit(training).predict(training.X), rtol=1e-5)


def test_seeds_matter_and_the_same_seed_is_the_same_model() -> None:
    training = training_set()
    first, again, other = fit(training, n_members=3), fit(training, n_members=3), fit(training, n_members=3, seed=1)
    assert first.members == again.members
    assert len(set(first.members + other.members)) == 6


def test_scores_come_one_column_a_member() -> None:
    training = training_set()
    model = fit(training, n_members=3)
    alone = [FittedEnsemble((member,)).predict(training.X)[:, 0] for member in model.members]
    np.testing.assert_array_equal(model.predict(training.X), np.stack(alone, axis=1))


def test_undefined_features_are_a_third_answer() -> None:
    training = training_set()
    X = training.X.copy()
    X[training.y == 1, 1] = np.nan
    model = fit(TrainingSet.build(X, training.y, training.sample_weight, training.group), n_estimators=40)
    score = model.predict(X)[:, 0]
    assert np.isfinite(score).all()
    assert score[training.y == 1].min() > 0.9
    assert score[training.y == 0].max() < 0.1


def test_order_of_rows_does_not_matter_without_subsampling() -> None:
    training = training_set()
    order = np.random.default_rng(0).permutation(len(training.y))
    mixed = TrainingSet(*(part[order] for part in (training.X, training.y, training.sample_weight, training.group)))
    np.testing.assert_allclose(
        fit(mixed, subsample=1.0).predict(training.X), fit(training, subsample=1.0).predict(training.X), atol=1e-6
    )


def test_stored_members_are_models_that_xgboost_reads(tmp_path: Path) -> None:
    training = training_set()
    model = fit(training, n_members=2)
    for k, member in enumerate(model.members):
        path = tmp_path / f"{k}.ubj"
        path.write_bytes(member)
        booster = xgb.Booster(model_file=path)
        assert booster.num_boosted_rounds() == LIGHT["n_estimators"]
        np.testing.assert_allclose(booster.predict(xgb.DMatrix(training.X)), model.predict(training.X)[:, k], rtol=1e-6)


def test_no_rows_get_no_scores() -> None:
    assert fit(training_set(), n_members=2).predict(np.empty((0, 2), np.float32)).shape == (0, 2)


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[Any]]:
    """Matrices (X, y, weight) and complete boosters that `BoostedTrees` hands to and gets from xgboost."""
    seen: dict[str, list[Any]] = {"rows": [], "boosters": []}
    matrix, train = xgb.QuantileDMatrix, xgb.train

    def spy_matrix(X: Any, y: Any, *, weight: Any, **options: Any) -> Any:
        seen["rows"].append((X, y, weight))
        return matrix(X, y, weight=weight, **options)

    def spy_train(*arguments: Any, **options: Any) -> Any:
        seen["boosters"].append(train(*arguments, **options))
        return seen["boosters"][-1]

    monkeypatch.setattr(xgb, "QuantileDMatrix", spy_matrix)
    monkeypatch.setattr(xgb, "train", spy_train)
    return seen


def test_early_stopping_keeps_the_round_of_smallest_validation_loss(spied: dict[str, list[Any]]) -> None:
    model = fit(
        training_set(weight_of_ones=2.0),
        n_members=2,
        n_estimators=300,
        learning_rate=0.5,
        max_depth=6,
        min_child_weight=0.0,
        early_stopping_rounds=8,
        validation_fraction=0.4,
    )
    X, y, weight = spied["rows"][1]
    for member, booster in zip(model.members, spied["boosters"], strict=True):
        n_rounds = booster.num_boosted_rounds()
        assert 8 < n_rounds < 300
        losses = [
            log_loss(y, booster.inplace_predict(X, iteration_range=(0, k)), weight) for k in range(1, n_rounds + 1)
        ]
        best = int(np.argmin(losses)) + 1
        assert n_rounds == best + 8
        kept = xgb.Booster(model_file=bytearray(member))
        assert kept.num_boosted_rounds() == best
        np.testing.assert_allclose(
            kept.inplace_predict(X), booster.inplace_predict(X, iteration_range=(0, best)), rtol=1e-6
        )


def test_early_stopping_splits_events_not_rows(spied: dict[str, list[Any]]) -> None:
    training = training_set(n_rows=3000)
    X = training.X.copy()
    X[:, 1] = np.arange(3000) // 3  # the event that a row is a copy of
    group = np.repeat(np.arange(1000, dtype=np.uint64), 3)
    copies = TrainingSet.build(X, training.y, training.sample_weight, group)
    fit(copies, early_stopping_rounds=5, validation_fraction=0.25)
    (train, _, _), (validation, _, _) = spied["rows"]
    assert len(train) + len(validation) == 3000
    assert not set(train[:, 1]) & set(validation[:, 1])
    assert len(set(validation[:, 1])) == pytest.approx(250, abs=4 * np.sqrt(1000 * 0.25 * 0.75))


def test_without_early_stopping_all_rows_train(spied: dict[str, list[Any]]) -> None:
    training = training_set()
    fit(training)
    ((X, _, _),) = spied["rows"]
    np.testing.assert_array_equal(X, training.X)


def test_too_few_rows_to_validate_on() -> None:
    with pytest.raises(TableError, match=r"early stopping: \d of 6 rows are too few"):
        fit(training_set(n_rows=6), early_stopping_rounds=5, validation_fraction=0.01)


def used_features(member: bytes) -> set[str]:
    """Features that a stored model splits on, as xgboost tells."""
    return set(xgb.Booster(model_file=bytearray(member)).get_score(importance_type="weight"))


def test_each_member_sees_its_own_random_features() -> None:
    rng = np.random.default_rng(4)
    y = rng.integers(0, 2, 4000)
    X = (rng.normal(size=(4000, 5)) + 0.3 * y[:, None]).astype(np.float32)
    training = TrainingSet.build(X, y, np.ones(4000), np.arange(4000, dtype=np.uint64))
    learner = BoostedTrees(ClassifierConfig(**LIGHT), 40, bagged_features=2)
    model = learner.fit(training, random_state=np.random.SeedSequence(1))
    choices = [used_features(member) for member in model.members]
    assert {len(choice) for choice in choices} == {2}
    times = [sum(f"f{k}" in choice for choice in choices) for k in range(5)]
    # 40 members times 2 of 5 features: 16 each, with the spread of a binomial.
    assert sum(times) == 80
    assert max(abs(n - 16) for n in times) < 4 * np.sqrt(40 * 0.4 * 0.6)
    # What a member does not see does not change its score.
    changed = X.copy()
    changed[:, 3] = rng.normal(size=4000)
    before, after = model.predict(X), model.predict(changed)
    for k, choice in enumerate(choices):
        assert (before[:, k] == after[:, k]).all() == ("f3" not in choice)


def test_members_that_see_all_features_are_those_without_bagging() -> None:
    training = training_set()
    learner = BoostedTrees(ClassifierConfig(**LIGHT), 2, bagged_features=2)
    model = learner.fit(training, random_state=np.random.SeedSequence(0))
    assert model.members == fit(training, n_members=2).members
