"""Ensembles over groups of features: their p-values on new background, and what the combination promises."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from numpy.typing import NDArray
from pydantic import ValidationError

from analysis.config import LearningConfig
from analysis.errors import ConfigError, TableError
from analysis.learning import FittedEnsemble, TrainingSet, configured_learner, stored_form, stored_name
from analysis.learning.groups import GroupedLearner, GroupedModel

FEATURES = ("x0", "x1", "x2")
GROUPS = (("x0", "x1"), ("x2",))
LIGHT = {"n_estimators": 10, "max_depth": 3, "min_child_weight": 5.0}
OVERFITTED = {"n_estimators": 20, "max_depth": 7, "min_child_weight": 0.5, "subsample": 1.0, "learning_rate": 0.3}


def config_of(**more: Any) -> LearningConfig:
    given = {"features": FEATURES, "feature_groups": GROUPS, "classifier": LIGHT, "n_members": 2}
    return LearningConfig.model_validate(given | more)


def background(n_rows: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(n_rows, 3)).astype(np.float32)


def training_set(n_rows: int = 4000, n_signal: int = 60) -> TrainingSet:
    """Background in both classes; in class 1 signal of two kinds, one high in x0 and the other in x2."""
    X, y = background(n_rows, 1), np.arange(n_rows) % 2
    kinds = np.flatnonzero(y == 1)[:n_signal]
    X[kinds[::2], 0] += 3.5
    X[kinds[1::2], 2] += 3.5
    return TrainingSet.build(X, y, np.ones(n_rows), np.arange(n_rows, dtype=np.uint64))


def trained(training: TrainingSet | None = None, **more: Any) -> GroupedModel:
    learner = configured_learner(config_of(**more), 2)
    assert isinstance(learner, GroupedLearner)
    return learner.fit(training or training_set(), random_state=np.random.SeedSequence(7))


def only(model: GroupedModel, group: int) -> GroupedModel:
    """The model with a single one of its groups."""
    members = []
    for member in model.members:
        document = json.loads(member)
        members.append(json.dumps(document | {"groups": [document["groups"][group]]}).encode())
    return replace(model, members=tuple(members))


@pytest.mark.parametrize("classifier", [LIGHT, OVERFITTED], ids=["light", "overfitted"])
def test_ranks_of_new_background_are_p_values(classifier: dict[str, Any]) -> None:
    """Of pure noise somewhat fewer, since models of three quarters of the events fluctuate more than that of all."""
    new, tails, seen = background(10_000, 2), [], []
    for seed in range(8):
        X, y = background(2000, 100 + seed), np.random.default_rng(seed).integers(0, 2, 2000)
        training = TrainingSet.build(X, y, np.ones(2000), np.arange(2000, dtype=np.uint64) + seed)
        model = trained(training, classifier=classifier, n_members=1)
        for rows, found in ((new, tails), (X[y == 0], seen)):
            found.append([(10.0 ** -only(model, group).predict(rows)[:, 0]).astype(float) for group in range(2)])
    for p in (0.5, 0.1, 0.03, 0.01):
        fraction = (np.array(tails) < p).mean(axis=(0, 2))
        assert (fraction > 0.4 * p).all()
        assert (fraction < 1.3 * p).all()
    if classifier is OVERFITTED:  # a rank among events that the model has seen would be far from this
        assert np.mean([np.mean(of[0] < 0.1) for of in seen]) < 0.01


def test_a_cut_keeps_the_smallest_p_values() -> None:
    model, new = trained(), background(20_000, 3)
    combined = model.predict(new)
    apart = np.stack([only(model, group).predict(new) for group in range(2)])
    np.testing.assert_array_equal(combined, apart.max(axis=0))
    for efficiency in (0.2, 0.02):
        kept = (apart.mean(axis=2) > np.quantile(combined.mean(axis=1), 1 - efficiency)).mean(axis=1)
        assert (kept > 0.2 * efficiency).all()


def test_signals_of_either_group_are_found() -> None:
    model, new = trained(training_set(n_signal=200)), background(20_000, 4)
    threshold = np.quantile(model.predict(new).mean(axis=1), 0.99)
    for column in (0, 2):
        signal = background(2000, 5)
        signal[:, column] += 3.5
        efficiency = (model.predict(signal).mean(axis=1) > threshold).mean()
        # Optimal at 1 % without knowing which of the two it is: P(N > 2.58 - 3.5) = 0.82, where half of 1 % is left.
        assert 0.6 < efficiency < 0.87


def test_likelihoods_are_averaged() -> None:
    model, X = trained(combine_groups="likelihood"), background(300, 6)
    odds = []
    for member in model.members:
        parts = []
        for group in json.loads(member)["groups"]:
            booster = xgb.Booster(model_file=bytearray(base64.b64decode(group["model"])))
            p = booster.inplace_predict(X[:, group["columns"]]).astype(np.float64)
            parts.append(p / (1 - p))
        odds.append(np.mean(parts, axis=0))
    expected = np.stack(odds, axis=1)
    np.testing.assert_allclose(model.predict(X), expected / (1 + expected), rtol=1e-6)


@pytest.mark.parametrize("combine", ["rank", "likelihood"])
def test_stored_models_score_the_same_and_forget_counts(combine: str) -> None:
    config, X = config_of(combine_groups=combine), background(200, 8)
    model = trained(combine_groups=combine)
    entry = stored_form(stored_name(config))
    scores = model.predict(X)
    assert scores.shape == (200, 2)
    assert len(set(model.members)) == 2
    np.testing.assert_array_equal(entry.load(model.members).predict(X), scores)
    np.testing.assert_array_equal(entry.load(model.members).pick(1).predict(X)[:, 0], scores[:, 1])
    blind = tuple(map(entry.forget_counts, model.members))
    np.testing.assert_array_equal(entry.load(blind).predict(X), scores)
    for before, after in zip(model.members, blind, strict=True):
        assert _weights(before) > 0 == _weights(after)
    assert entry.importance is not None
    shares = entry.importance(model.members[0], 3)
    assert shares is not None
    assert shares.sum() == pytest.approx(1)
    assert shares[2] == pytest.approx(0.5)  # the only feature of one of two groups


def _weights(member: bytes) -> float:
    document = base64.b64decode(json.loads(member)["groups"][0]["model"])
    content = json.loads(bytes(xgb.Booster(model_file=bytearray(document)).save_raw("json")))
    return sum(sum(tree["sum_hessian"]) for tree in content["learner"]["gradient_booster"]["model"]["trees"])


def test_directions_and_left_out_features_go_to_the_groups() -> None:
    learner = configured_learner(config_of(monotone={"x2": "decreasing", "x0": "increasing"}), 2)
    assert isinstance(learner, GroupedLearner)
    assert [group.learner.monotone for group in learner.groups] == [(1, 0), (-1,)]  # type: ignore[attr-defined]
    fewer = learner.on_columns([1, 2])
    assert [(group.columns, group.learner.monotone) for group in fewer.groups] == [((0,), (0,)), ((1,), (-1,))]  # type: ignore[attr-defined]
    assert [group.columns for group in learner.on_columns([2]).groups] == [(0,)]
    turned = learner.on_columns([2, 1, 0])
    assert [(group.columns, group.learner.monotone) for group in turned.groups] == [((1, 2), (0, 1)), ((0,), (-1,))]  # type: ignore[attr-defined]


def test_too_few_rows_for_p_values_are_named() -> None:
    with pytest.raises(TableError, match=r"4 training rows are too few for p-values .* set learning.combine_groups"):
        trained(training_set(4, 0))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"feature_groups": [["x0", "x1", "x2"]]}, "two lists of features at least"),
        ({"feature_groups": [["x0", "x1", "x2"], []]}, "none of them empty"),
        (
            {"feature_groups": [["x0", "y"], ["x1", "x2"]]},
            "feature_groups has 'y', which is none of the features: x0, x1",
        ),
        ({"feature_groups": [["x0"], ["x2"]]}, "feature_groups leaves out 'x1'"),
        ({"feature_groups": [["x0", "x0", "x1"], ["x2"]]}, "lists a feature twice: x0, x0, x1"),
        ({"bagged_features": 2}, "bagged_features = 2 is more than a group has: x2"),
        ({"tuning": {"criterion": "argos"}}, "tuning chooses the settings of one ensemble"),
    ],
)
def test_groups_that_cannot_work_are_refused(given: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        config_of(**given)


def test_likelihoods_need_probabilities() -> None:
    given = {"learner": "label_proportions", "learner_settings": {"fraction_window": 0.5}}
    with pytest.raises(ConfigError, match="which the learner label_proportions does not give"):
        configured_learner(config_of(combine_groups="likelihood", **given), 1)
    configured_learner(config_of(**given), 1)


def test_one_ensemble_is_stored_as_it_was() -> None:
    assert stored_name(config_of(feature_groups=())) == "boosted_trees"
    assert isinstance(stored_form("boosted_trees").load(()), FittedEnsemble)
