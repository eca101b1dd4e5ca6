"""Directions of features: scores rise or fall with them wherever one looks, for every member of every learner."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from analysis.compute import Serial
from analysis.config import LearningConfig, SearchConfig
from analysis.diagnostics.gains import Benchmark, scan_features
from analysis.errors import ConfigError
from analysis.events.identity import event_hash
from analysis.learning import (
    LEARNERS,
    BoostedTrees,
    FoldTask,
    LearnerEntry,
    Model,
    Samples,
    TrainingSet,
    configured_learner,
)
from analysis.methods import Supervised
from tests.builders.toy_tables import WINDOW, table_of

LIGHT = {"n_estimators": 12, "max_depth": 4, "min_child_weight": 2.0}
FEATURES = ("x0", "x1", "x2")
DIRECTIONS = {"x0": "decreasing", "x2": "increasing"}
GRIDS: dict[str, dict[str, Any]] = {
    "boosted_trees": {},
    "bagged": {"bagged_features": 2},
    "early stopping": {"classifier": LIGHT | {"early_stopping_rounds": 3}},
    "tuned": {"tuning": {"criterion": "log-loss", "grid": {"n_estimators": (6, 12)}, "n_folds": 2, "n_members": 1}},
    "label_proportions": {"learner": "label_proportions", "learner_settings": {"fraction_window": 0.9}},
    "scikit-learn": {"learner": "hist_gradient_boosting"},
}
every_learner = pytest.mark.parametrize("name", GRIDS)


class NoSettings(BaseModel, extra="forbid"):
    pass


class Probability:
    def __init__(self, classifier: Any) -> None:
        self.classifier = classifier

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(self.classifier.predict_proba(X)[:, 1], np.float32)


def fit_histograms(training: TrainingSet, _: BaseModel, seed: int, *, monotone: tuple[int, ...] = ()) -> Probability:
    from sklearn.ensemble import HistGradientBoostingClassifier

    found = HistGradientBoostingClassifier(max_iter=12, max_bins=63, random_state=seed, monotonic_cst=monotone or None)
    return Probability(found.fit(training.X, training.y, sample_weight=training.sample_weight))


def entry(name: str, **more: Any) -> LearnerEntry:
    # Pickled, as no entry outside of tests may be.
    return LearnerEntry(name, NoSettings, fit_histograms, pickle.dumps, pickle.loads, lambda document: document, **more)


@pytest.fixture(autouse=True)
def learner_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LEARNERS, "hist_gradient_boosting", entry("hist_gradient_boosting", monotone=True))
    monkeypatch.setitem(LEARNERS, "plain", entry("plain"))


def humped() -> TrainingSet:
    """Class 1 in the middle of every feature: nothing that learns freely is monotone in any."""
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 3000)
    X = (rng.normal(size=(3000, 3)) * np.where(y == 1, 0.4, 1.2)[:, None]).astype(np.float32)
    X[rng.random(3000) < 0.05, 1] = np.nan
    return TrainingSet.build(X, y, rng.uniform(0.5, 1.5, 3000), np.arange(3000, dtype=np.uint64))


def config_of(name: str, **more: Any) -> LearningConfig:
    return LearningConfig(**({"features": FEATURES, "classifier": LIGHT} | GRIDS[name] | more))


def steps(model: Model, column: int) -> NDArray[np.float32]:
    """(n_points, n_steps, n_members): change of each member's score from one value of a feature to the next larger."""
    points = np.random.default_rng(6).normal(size=(60, 3)).astype(np.float32)
    points[:5, (column + 1) % 3] = np.nan
    X = np.repeat(points, 81, axis=0)
    X[:, column] = np.tile(np.linspace(-4, 4, 81, dtype=np.float32), 60)
    return np.diff(model.predict(X).reshape(60, 81, -1), axis=1)


def trained(config: LearningConfig) -> Model:
    return configured_learner(config, 2).fit(humped(), random_state=np.random.SeedSequence(2))


@every_learner
def test_scores_of_every_member_follow_the_direction(name: str) -> None:
    directed, free_of_all = trained(config_of(name, monotone=DIRECTIONS)), trained(config_of(name))
    falling, free, rising = (steps(directed, column) for column in range(3))
    assert falling.max() <= 0
    assert rising.min() >= 0
    assert falling.min() < 0 < rising.max()
    assert free.min() < 0 < free.max()
    for column in (0, 2):
        without = steps(free_of_all, column)
        assert without.min() < 0 < without.max()


def test_without_directions_models_are_what_they_were() -> None:
    """Trained by xgboost itself, with the parameters that this package has always given it."""
    config, training = config_of("boosted_trees", monotone={"x0": "free"}), humped()
    seeds = (np.random.SeedSequence(2).generate_state(3) >> 1).tolist()
    matrix = xgb.QuantileDMatrix(training.X, training.y, weight=training.sample_weight, max_bin=256, nthread=1)
    parameters = {
        "learning_rate": 0.1, "max_depth": 4, "min_child_weight": 2.0, "subsample": 0.5, "colsample_bynode": 1.0,
        "reg_lambda": 1.0, "max_bin": 256, "objective": "binary:logistic", "tree_method": "hist", "nthread": 1,
    }  # fmt: skip
    plain = [xgb.train(parameters | {"seed": seed}, matrix, 12) for seed in seeds[:2]]
    assert trained(config).members == tuple(bytes(booster.save_raw("ubj")) for booster in plain)
    assert trained(config_of("boosted_trees")).members == trained(config).members
    assert trained(config_of("boosted_trees", monotone=DIRECTIONS)).members != trained(config).members


def test_a_direction_of_a_feature_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"monotone names 'tau32_j1', which is none of the features: x0, x1, x2"):
        config_of("boosted_trees", monotone={"tau32_j1": "decreasing"})
    assert config_of("boosted_trees", monotone={"tau32_j1": "free"}) == config_of("boosted_trees")


def test_a_learner_without_directions_is_refused() -> None:
    able = "boosted_trees, label_proportions, hist_gradient_boosting"
    with pytest.raises(ConfigError, match=rf"plain cannot obey learning.monotone, which names x0: .* that can: {able}"):
        configured_learner(config_of("boosted_trees", learner="plain", monotone={"x0": "increasing"}), 1)
    configured_learner(config_of("boosted_trees", learner="plain", monotone={"x0": "free"}), 1)


def test_unused_directions_leave_the_digest_of_older_results_as_it_was() -> None:
    plain, free, used = (
        SearchConfig.model_validate({"learning": {"features": ["x0"]} | more})
        for more in ({}, {"monotone": {"x0": "free"}}, {"monotone": {"x0": "increasing"}})
    )
    assert plain.digest() == free.digest() != used.digest()
    assert plain.digest("learning") != used.digest("learning")


def test_directions_stay_with_their_features_where_each_is_measured_alone() -> None:
    """Signal is low in x1, so a rise in x1 forbids to find it; a rise in x0, where it is high, does no harm."""
    rng = np.random.default_rng(3)

    def events(number: int, n: int, shift: float, origin: str) -> Any:
        mjj = np.concatenate([np.full(n, 3500.0), np.full(n // 4, 3200.0), np.full(n // 4, 3800.0)])
        X = rng.normal(size=(len(mjj), 2)) + np.array([shift, -shift])
        return table_of(mjj, X, event_id=event_hash(number, np.arange(len(mjj))), dataset=np.full(len(mjj), origin))

    background, signal, held_out = events(1, 2000, 0.0, "qcd"), events(2, 1000, 1.0, "sig"), events(3, 500, 1.0, "sig")
    mixed = table_of(
        np.concatenate([background.mjj, signal.mjj]),
        np.concatenate([background.matrix(("x0", "x1")), signal.matrix(("x0", "x1"))]),
        event_id=np.concatenate([background.event_id, signal.event_id]),
        dataset=np.concatenate([background.column("dataset"), signal.column("dataset")]),
    )
    trees = BoostedTrees(LearningConfig(classifier=LIGHT).classifier, 1, monotone=(1, 1))
    task = FoldTask(WINDOW, 0, 2, ("x0", "x1"), Supervised(), trees, 4)
    found = scan_features(task, Benchmark(Samples(mixed, None, ("sig",)), held_out), Serial())
    assert found.alone["x0"].signal.auc > 0.7
    assert found.alone["x1"].signal.auc == pytest.approx(0.5, abs=0.02)
    assert found.without["x1"].signal.auc == found.alone["x0"].signal.auc
