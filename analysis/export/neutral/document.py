"""The JSON form of the classifiers of a window: plain numbers of trees and thresholds."""

from __future__ import annotations

import json
from itertools import repeat
from typing import Any

import numpy as np
import xgboost as xgb
from numpy.typing import NDArray

from analysis.errors import ResultsError
from analysis.learning.ensemble import FittedEnsemble
from analysis.search.classifiers import Classifier

__all__ = ["LARGEST_EXPONENT", "Document", "require_trees", "score_document", "trees_document", "vote_document"]

Document = dict[str, Any]

LARGEST_EXPONENT = np.float32(88.7)
"""Largest exponent that xgboost takes in a probability."""

_FORMAT, _VERSION = "cwola-trees", 1


def trees_document(classifier: Classifier, scores: NDArray[np.float32] | None = None) -> Document:
    """Return the classifiers of a window as plain numbers, exact for float32.

    Parameters
    ----------
    classifier : Classifier
    scores : (n_events, n_folds) float32, optional
        Scores of events. The exponential function of other libraries may differ in the last digit, so a score that
        differs from a threshold by one float32 step counts as equal, unless one of these scores does.

    Returns
    -------
    dict
        `folds` hold `thresholds` [cut][selection], the lowest and highest score that counts as equal, and the tie; and
        `members` with a `base` and `trees`. Trees are lists over nodes: `feature` (-1 for a leaf), `value` (threshold:
        left if below; or content of the leaf), `left`, `right`, and `missing_left`. Infinite thresholds are texts.

    Raises
    ------
    ResultsError
        If the models are no boosted trees, or their features are scaled by event counts.
    """
    require_trees(classifier)
    n_cuts = classifier.thresholds.shape[1]
    known: Any = repeat(None) if scores is None or n_cuts > 1 else scores.T
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "window": list(classifier.window.signal),
        "fit_range": list(classifier.window.fit_range),
        "features": list(classifier.features),
        "selections": list(classifier.selections),
        "cut": "mean" if n_cuts == 1 else "members",
        "n_folds": classifier.n_folds,
        "folds": [
            {
                "thresholds": _texts(_bounds(limits, of_fold).tolist()),
                "members": [_member(one) for one in model.members],
            }
            for model, limits, of_fold in zip(classifier.models, classifier.thresholds, known, strict=False)
            if isinstance(model, FittedEnsemble)
        ],
    }


def require_trees(classifier: Classifier) -> None:
    """Raise if classifiers cannot be written as plain trees.

    Raises
    ------
    ResultsError
    """
    where = f"window {classifier.window.name} GeV"
    if not all(isinstance(model, FittedEnsemble) for model in classifier.models):
        msg = (
            f"{where}: the models are no boosted trees and have no such form. `cwola export classifiers` writes them "
            "for `cwola score`."
        )
        raise ResultsError(msg)
    if classifier.scalings:
        msg = (
            f"{where}: features are scaled to percentiles of their m_jj region (learning.decorrelation), which trees "
            "alone do not hold. `cwola export classifiers` writes them for `cwola score`."
        )
        raise ResultsError(msg)


def _bounds(limits: NDArray[np.float64], scores: NDArray[np.float32] | None) -> NDArray[np.float64]:
    """(n_cuts, n_selections, 3): lowest and highest score that counts as equal to the threshold, and tie."""
    at = limits[..., 0].astype(np.float32)
    exact = np.isfinite(at) & (at == limits[..., 0])
    bounds = []
    for direction in (-np.inf, np.inf):
        beside = np.nextafter(at, np.float32(direction))
        free = exact & ~np.isin(beside, scores) if scores is not None else np.zeros(at.shape, bool)
        bounds.append(np.where(free, beside.astype(np.float64), limits[..., 0]))
    return np.stack([*bounds, limits[..., 1]], axis=-1)


def _texts(values: Any) -> Any:
    if isinstance(values, list):
        return [_texts(value) for value in values]
    return values if np.isfinite(values) else str(values)


def _member(content: bytes) -> dict[str, Any]:
    booster = xgb.Booster({"nthread": 1})
    booster.load_model(bytearray(content))
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    probability = np.float32(learner["learner_model_param"]["base_score"].strip("[]"))
    one = np.float32(1)
    # The margin of a probability, in the arithmetic of xgboost; + 0 turns -0 into 0.
    base = float(-np.log(one / probability - one)) + 0.0
    return {"base": base, "trees": [_tree(tree) for tree in learner["gradient_booster"]["model"]["trees"]]}


def _tree(tree: dict[str, Any]) -> dict[str, list[Any]]:
    leaf = np.array(tree["left_children"]) < 0
    return {
        "feature": np.where(leaf, -1, tree["split_indices"]).tolist(),
        # Numbers of the document are the shortest texts of float32, and other numbers as float64.
        "value": np.array(tree["split_conditions"], np.float32).astype(np.float64).tolist(),
        "left": tree["left_children"],
        "right": tree["right_children"],
        "missing_left": [int(value) for value in tree["default_left"]],
    }


def score_document(document: Document, X: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Score events with the JSON form, with numpy.

    Parameters
    ----------
    document : dict
    X : (n_events, n_features) float32

    Returns
    -------
    list of (n_events, n_members) float32
        One per fold.
    """
    return [
        np.stack([_score(member, X) for member in fold["members"]], axis=1).astype(np.float32)
        for fold in document["folds"]
    ]


def _score(member: dict[str, Any], X: NDArray[np.float32]) -> NDArray[np.float32]:
    rows = np.arange(len(X))
    margin = np.full(len(X), member["base"], np.float32)
    for tree in member["trees"]:
        feature, left, right = (np.array(tree[name]) for name in ("feature", "left", "right"))
        missing_left, value = np.array(tree["missing_left"], bool), np.array(tree["value"], np.float32)
        node = np.zeros(len(X), np.intp)
        while np.any(inner := feature[node] >= 0):
            x = X[rows, feature[node]]
            to_left = np.where(np.isnan(x), missing_left[node], x < value[node])
            node = np.where(inner, np.where(to_left, left[node], right[node]), node)
        margin += value[node]
    power = np.exp(np.minimum(-margin, LARGEST_EXPONENT).astype(np.float64)).astype(np.float32)
    scores: NDArray[np.float32] = np.float32(1) / (power + np.float32(1))
    return scores


def vote_document(
    document: Document, members: list[NDArray[np.float32]], mjj: NDArray[np.float64], tie: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(n_events, n_selections) float64: fraction of folds that let events pass, from the scores of the members."""
    values = np.zeros((len(mjj), len(document["selections"])))
    for fold, scores in zip(document["folds"], members, strict=True):
        mean = scores.mean(axis=1, dtype=np.float64).astype(np.float32)
        cut = (mean[:, None] if document["cut"] == "mean" else scores)[:, :, None].astype(np.float64)
        limits = np.array(fold["thresholds"], object).astype(np.float64)[None]
        above = (cut > limits[..., 1]) | ((cut >= limits[..., 0]) & (tie[:, None, None] > limits[..., 2]))
        values += above.mean(axis=1)
    low, high = document["fit_range"]
    values *= ((mjj >= low) & (mjj < high))[:, None] / document["n_folds"]
    values[:, 0] = 1.0
    return values
