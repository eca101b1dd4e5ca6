"""A learner of a plugin, as the documentation prints it, through the command line."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import xgboost as xgb
from numpy.typing import NDArray

from tests.builders.pages import printed_files
from tests.builders.toy_search import Cwola, ToySearch
from tests.builders.toys import random_events, write_nanoaod

pytestmark = pytest.mark.thorough

LEARNING = """
[scan]
windows = [[3300, 3700]]

[learning]
learner = "logistic"
learner_settings = {C = 0.5}
n_folds = 3
n_members = 1
efficiencies = [0.1]

[statistics]
pseudo_experiments = 0

[plots]
formats = ["png"]
only = ["scan"]
"""


GROUPS = LEARNING.replace('learner = "logistic"\nlearner_settings = {C = 0.5}', "{settings}").replace(
    "n_members = 1", "n_members = 2"
)
SETTINGS = """
features = ["mj1_over_mjj", "mj2_over_mjj", "tau21_j1"]
feature_groups = [["mj1_over_mjj", "mj2_over_mjj"], ["tau21_j1"]]
combine_groups = "{combine}"
monotone = {{tau21_j1 = "decreasing"}}
"""


@pytest.mark.parametrize(("combine", "blinded"), [("rank", False), ("rank", True), ("likelihood", False)])
def test_groups_of_features_are_trained_stored_and_applied(
    combine: str, blinded: bool, cwola: Cwola, toy: ToySearch, tmp_path: Path
) -> None:
    config, output = tmp_path / "search.toml", tmp_path / "results"
    config.write_text(GROUPS.replace("{settings}", SETTINGS.format(combine=combine)))
    datasets = toy.with_kind("data") if blinded else toy.datasets
    made = cwola("run", "--datasets", datasets, "--config", config, "--output", output, "--jobs", 1)
    assert made.code == 0, made.err
    (window,) = json.loads((output / "results.json").read_text())["windows"]
    inclusive, cut = window["selections"]
    if blinded:
        assert cut["z"] is None
    else:
        assert cut["z"] > inclusive["z"] + 1
    models = sorted((output / "windows" / "3300-3700" / "models").iterdir())
    assert [path.name for path in models] == [f"fold{k}_member{m}.json" for k in range(3) for m in range(2)]
    document = json.loads(models[0].read_text())
    assert [group["columns"] for group in document["groups"]] == [[0, 1], [2]]
    own, scored = write_nanoaod(tmp_path / "own.root", random_events(500, seed=3), run=9), tmp_path / "scored.parquet"
    outcome = cwola("score", own, "--models", output, "--output", scored, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    table = pq.read_table(scored)
    X = np.stack([table[name].to_numpy() for name in ("mj1_over_mjj", "mj2_over_mjj", "tau21_j1")], axis=1)
    expected = by_hand([json.loads(path.read_text()) for path in models[:2]], X)
    scores = table["score_3300-3700_fold0"].to_numpy()
    inside = np.isfinite(scores) & np.isfinite(expected)
    assert inside.sum() > 10
    np.testing.assert_allclose(scores[inside], expected[inside], rtol=1e-5)


def by_hand(documents: list[dict[str, Any]], X: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean score of members from their documents alone, with xgboost; the tail beyond 1e-3 is not needed here."""
    members = []
    for document in documents:
        parts = []
        for group in document["groups"]:
            booster = xgb.Booster(model_file=bytearray(base64.b64decode(group["model"])))
            score = booster.inplace_predict(X[:, group["columns"]].astype(np.float32)).astype(np.float64)
            if document["combine"] == "likelihood":
                parts.append(score / (1 - score))
                continue
            knots, decades = np.array(group["knots"]), np.linspace(0, 3, 31)
            levels = np.unique(knots)
            middle = [decades[knots == level].mean() for level in levels]
            parts.append(np.interp(score, levels, middle))
            parts[-1][score > levels[-1]] = np.nan
        members.append(np.max(parts, axis=0) if document["combine"] == "rank" else np.mean(parts, axis=0))
    if documents[0]["combine"] == "likelihood":
        members = [odds / (1 + odds) for odds in members]
    return np.mean(members, axis=0)


@pytest.mark.parametrize("blinded", [False, True])
def test_a_learner_of_a_plugin_is_trained_stored_and_applied(
    blinded: bool, cwola: Cwola, toy: ToySearch, tmp_path: Path
) -> None:
    plugin, config, output = tmp_path / "my_learner.py", tmp_path / "search.toml", tmp_path / "results"
    plugin.write_text(printed_files("plugins.md")["my_learner.py"])
    config.write_text(LEARNING)
    datasets = toy.with_kind("data") if blinded else toy.datasets
    options = ["run", "--datasets", datasets, "--config", config, "--output", output, "--jobs", 2]
    assert "unknown learner 'logistic'" in cwola(*options).err
    made = cwola(*options, "--plugin", plugin)
    assert made.code == 0, made.err
    models = sorted((output / "windows" / "3300-3700" / "models").iterdir())
    assert [path.name for path in models] == [f"fold{fold}_member0.json" for fold in range(3)]
    (window,) = json.loads((output / "results.json").read_text())["windows"]
    inclusive, cut = window["selections"]
    if blinded:
        assert cut["z"] is None
    else:
        assert cut["z"] > inclusive["z"] + 1
    own, scored = write_nanoaod(tmp_path / "own.root", random_events(200, seed=3), run=9), tmp_path / "scored.parquet"
    scoring = ["score", own, "--models", output, "--output", scored, "--jobs", 1, "--plugin", plugin]
    outcome = cwola(*scoring)
    assert outcome.code == 0, outcome.err
    scores = pq.read_table(scored)["score_3300-3700"].drop_null().to_numpy()
    assert len(scores) > 10
    assert scores.min() > 0
    assert scores.max() < 1
    models[0].write_bytes(models[0].read_bytes().replace(b"0", b"1"))
    assert "is not the file that the search wrote" in cwola(*scoring).err
