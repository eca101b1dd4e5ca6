"""Learning from label proportions: gradients of the loss, and the order of events on two Gaussians."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from scipy import stats

from analysis.config import ClassifierConfig, LearningConfig
from analysis.errors import ConfigError
from analysis.learning import LEARNERS, BoostedTrees, TrainingSet, configured_learner
from analysis.learning.label_proportions import LabelProportions
from analysis.learning.metrics import roc_curve

SETTINGS = {"fraction_window": 0.8, "fraction_sidebands": 0.2}
LIGHT = ClassifierConfig(n_estimators=30, min_child_weight=20.0)


def mixtures(n: int, fraction: float, *, seed: int = 0) -> tuple[TrainingSet, np.ndarray]:
    """Two samples with fractions f and 1 - f of signal at (1, 1), among background at (0, 0), and the truth."""
    rng = np.random.default_rng(seed)
    label = np.arange(2 * n) % 2
    truth = rng.random(2 * n) < np.where(label == 1, fraction, 1 - fraction)
    X = (rng.normal(size=(2 * n, 2)) + truth[:, None]).astype(np.float32)
    weight = rng.uniform(0.5, 1.5, 2 * n)
    return TrainingSet.build(X, label, weight, np.arange(2 * n, dtype=np.uint64)), truth


def loss(margin: np.ndarray, training: TrainingSet, fractions: tuple[float, float]) -> float:
    score = 1 / (1 + np.exp(-margin))
    return sum(
        (np.average(score[training.y == k], weights=training.sample_weight[training.y == k]) - fractions[k]) ** 2
        for k in (0, 1)
    )


def test_gradients_are_those_of_the_squared_error_of_both_mean_scores() -> None:
    training, _ = mixtures(20, 0.8)
    learner = LabelProportions(LIGHT, 1, fractions=(0.1, 0.7))
    data = xgb.QuantileDMatrix(training.X, training.y, weight=training.sample_weight)
    margin = np.random.default_rng(1).normal(size=len(training.y))
    gradient, bound = learner._objective(data)(margin.astype(np.float32), data)
    numeric = np.empty_like(margin)
    for index in range(len(margin)):
        step = np.zeros_like(margin)
        step[index] = 1e-4
        up, down = (loss(margin + sign * step, training, (0.1, 0.7)) for sign in (1, -1))
        numeric[index] = (up - down) / 2e-4
    ratio = gradient / numeric
    assert ratio == pytest.approx(np.full(len(margin), len(margin)), rel=1e-3)  # weights have mean 1
    assert bound.sum() == pytest.approx(len(margin) / 4)


def test_areas_of_cwola_label_proportions_and_supervision_are_equal() -> None:
    training, truth = mixtures(20_000, 0.75)
    supervised = TrainingSet.build(training.X, truth, training.sample_weight, training.group)
    tested, is_signal = mixtures(50_000, 0.5, seed=1)
    learners = {
        "label proportions": (LabelProportions(LIGHT, 3, fractions=(0.25, 0.75)), training),
        "wrong proportions": (LabelProportions(LIGHT, 3, fractions=(0.1, 0.5)), training),
        "CWoLa": (BoostedTrees(LIGHT, 3), training),
        "supervised": (BoostedTrees(LIGHT, 3), supervised),
    }
    areas = {}
    for name, (learner, rows) in learners.items():
        score = learner.fit(rows, random_state=np.random.SeedSequence(2)).predict(tested.X).mean(axis=1)
        areas[name] = roc_curve(score[is_signal], score[~is_signal]).auc
    optimum = stats.norm.cdf(1.0)  # a distance of √2 in units of the width
    assert areas == pytest.approx(dict.fromkeys(areas, optimum), abs=0.01)


def test_the_learner_is_that_of_its_settings_and_its_models_are_stored_as_trees() -> None:
    config = LearningConfig(learner="label_proportions", learner_settings=SETTINGS, classifier=LIGHT)
    learner = configured_learner(config, 2)
    assert learner == LabelProportions(LIGHT, 2, fractions=(0.2, 0.8))
    training, _ = mixtures(1000, 0.8)
    model = learner.fit(training, random_state=np.random.SeedSequence(0))
    restored = LEARNERS["label_proportions"].load(model.members)
    assert (restored.predict(training.X) == model.predict(training.X)).all()


@pytest.mark.parametrize(
    ("settings", "further", "message"),
    [
        ({}, {}, "learner_settings.fraction_window: Field required"),
        ({"fraction_window": 0.1, "fraction_sidebands": 0.1}, {}, "0.1, must be above that in the sidebands, 0.1"),
        ({"fraction_window": 1.1}, {}, "fraction_window: Input should be less than or equal to 1"),
        (SETTINGS, {"tuning": {"criterion": "argos"}}, "learning.tuning goes by labels"),
        (SETTINGS, {"classifier": {"early_stopping_rounds": 3}}, "early_stopping_rounds goes by labels"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: dict[str, float], further: dict[str, Any], message: str
) -> None:
    config = LearningConfig(learner="label_proportions", learner_settings=settings, **further)
    with pytest.raises(ConfigError, match=message):
        configured_learner(config, 1)
