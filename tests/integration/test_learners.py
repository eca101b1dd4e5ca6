"""A learner of a plugin, as the documentation prints it, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

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
