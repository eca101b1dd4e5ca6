"""Stored classifiers give what the search gave, for every way to train and cut them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.compute import Backend
from analysis.errors import ResultsError
from analysis.learning.folds import assign_folds, stratified_folds
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.search.classifiers import load_classifiers, score_events
from analysis.search.scan import run_scan
from analysis.search.values import SearchData
from tests.builders.manifest import write_manifest
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

SCAN = RegionScan((WINDOW,), 100.0)


@pytest.mark.parametrize(
    "learning",
    [
        {"n_members": 2},
        {"n_members": 3, "ensemble": "mean-count"},
        {"n_members": 2, "decorrelation": "percentile"},
        {"n_members": 2, "decorrelation": "quantiles"},
        {"decorrelation": "quantiles", "decorrelated_features": ("x1",)},
        {"cross_fitting": "nested", "n_candidates": 2},
        {"cross_fitting": "nested", "n_candidates": 2, "ensemble": "mean-count", "decorrelation": "percentile"},
        {"cross_fitting": "half", "n_folds": 2},
        {"cross_fitting": "half", "n_folds": 2, "n_members": 2, "ensemble": "mean-count"},
        {"cross_fitting": "sequential", "n_folds": 4},
        {"cross_fitting": "sequential", "n_members": 2, "ensemble": "mean-count", "decorrelation": "percentile"},
    ],
    ids=lambda learning: "-".join(map(str, learning.values())),
)
def test_scores_and_cuts_of_the_own_fold_are_those_of_the_search(
    tmp_path: Path, serial: Backend, learning: dict[str, Any]
) -> None:
    table = toy_table(6000, 60, random_state=1)
    config = toy_config(learning=learning)
    folder = ResultsFolder(tmp_path / "results", create=True)
    ((key, result),) = run_scan(SearchData(table), SCAN, config, serial)
    assert result.scores is not None
    assert result.passes is not None
    folder.save_config(config)
    folder.save_window(key, result)
    write_manifest(folder.path, config)
    _, (classifier,) = load_classifiers(folder.path)
    n_folds, seed = config.learning.n_folds, config.random_state
    fold = assign_folds(table.event_id, n_folds, random_state=seed)
    if config.learning.cross_fitting == "nested":
        edges = tuple(SCAN.edges(WINDOW).tolist())
        fold = stratified_folds(table.event_id, table.mjj, edges, n_folds, random_state=seed)
    n_models = n_folds - (config.learning.cross_fitting == "sequential")
    assert len(classifier.models) == n_models
    votes = []
    for k in range(n_models):
        alone = score_events(
            table,
            replace(
                classifier,
                models=classifier.models[k : k + 1],
                scalings=classifier.scalings[k : k + 1],
                thresholds=classifier.thresholds[k : k + 1],
            ),
        )
        rows = fold == k
        np.testing.assert_array_equal(alone.mean()[rows], result.scores[rows])
        np.testing.assert_allclose(alone.passes.values[rows], result.passes[rows].astype(float), rtol=1e-12)
        assert not np.array_equal(alone.mean()[~rows], result.scores[~rows])
        votes.append(alone.passes.values)
    together = score_events(table, classifier).passes.values
    np.testing.assert_allclose(together[:, 1:], np.sum(votes, axis=0)[:, 1:] / n_folds, rtol=1e-12)
    assert (together[:, 0] == 1).all()
    assert 0 < together[:, 1:].mean() < 0.2
    not_tested = fold >= n_models
    assert not result.passes[not_tested, 1:].any()
    assert np.isnan(result.scores[not_tested]).all()


def test_a_blinded_search_keeps_no_scaling_and_its_classifiers_are_refused(tmp_path: Path, serial: Backend) -> None:
    config = toy_config(learning={"decorrelation": "percentile"})
    data = SearchData(toy_table(6000, random_state=1), blinded=True)
    ((key, result),) = run_scan(data, SCAN, config, serial)
    folder = ResultsFolder(tmp_path / "results", create=True)
    folder.save_config(config)
    folder.save_window(key, result)
    write_manifest(folder.path, config)
    assert not list(folder.path.rglob("decorrelation.npz"))
    with pytest.raises(ResultsError, match="lacks the scaling of the features"):
        load_classifiers(folder.path)
