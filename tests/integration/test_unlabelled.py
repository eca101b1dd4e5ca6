"""Methods without labels through the command line: models stored, applied to signals and other files, and blinded."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.builders.toy_search import Cwola, ToySearch
from tests.builders.toys import random_events, write_nanoaod

pytestmark = pytest.mark.thorough

WINDOW = "3300-3700"

SEARCH = """
[scan]
windows = [[3300, 3700]]

[learning]
method = "{method}"
n_folds = 3
n_members = 2
efficiencies = [0.1]

[limits]
strengths = [0.4]
samplings = 1
display_efficiencies = [0.1]

[statistics]
calculator = "asymptotics"
pseudo_experiments = 0

[plots]
formats = ["png"]
only = ["scan"]
"""


def config_of(method: str, folder: Path) -> Path:
    path = folder / "search.toml"
    path.write_text(SEARCH.replace("{method}", method))
    return path


def own_file(folder: Path) -> Path:
    return write_nanoaod(folder / "own.root", random_events(200, seed=3), run=9)


@pytest.mark.parametrize("method", ["autoencoder", "pca", "nearest_neighbours", "lda"])
def test_models_are_stored_and_score_signals_and_other_files(
    method: str, cwola: Cwola, limits: ToySearch, tmp_path: Path
) -> None:
    if method == "autoencoder":
        pytest.importorskip("sklearn", reason="needs scikit-learn: pip install 'cwola-dijet[unsupervised]'")
    output = tmp_path / "results"
    given = ["--datasets", limits.datasets, "--config", config_of(method, tmp_path), "--output", output, "--jobs", 1]
    made = cwola("run", *given)
    assert made.code == 0, made.err
    models = sorted(path.name for path in (output / "windows" / WINDOW / "models").iterdir())
    members = range(1 if method == "pca" else 2)
    assert models == [f"fold{fold}_member{member}.npz" for fold in range(3) for member in members]
    document = json.loads((output / "results.json").read_text())
    (signal,) = document["signals"]
    assert signal["reason"] is None
    assert sum("caricature" in note for note in document["notes"]) == (method == "lda")
    record = json.loads((output / "windows" / WINDOW / "classifier.json").read_text())
    assert (record["method"], record["learner"]) == (method, None)

    scored = tmp_path / "scored.parquet"
    scoring = ["score", own_file(tmp_path), "--models", output, "--output", scored, "--jobs", 1]
    outcome = cwola(*scoring)
    assert outcome.code == 0, outcome.err
    assert len(pq.read_table(scored)[f"score_{WINDOW}"].drop_null()) > 10
    model = output / "windows" / WINDOW / "models" / models[0]
    model.write_bytes(model.read_bytes().replace(b"a", b"b"))
    assert "is not the file that the search wrote" in cwola(*scoring).err


def test_limits_train_a_method_without_labels_again(cwola: Cwola, limits: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    given = ["--datasets", limits.datasets, "--config", config_of("lda", tmp_path), "--output", output, "--jobs", 1]
    assert cwola("process", *given).code == 0
    outcome = cwola("limit", "--output", output, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    found = {one["rule"]: one for one in json.loads((output / "limits.json").read_text())["limits"]}
    assert found["atlas-2025"]["reason"] is None


def test_neighbours_are_not_kept_while_blinded(cwola: Cwola, limits: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    config = config_of("nearest_neighbours", tmp_path)
    made = cwola("run", "--datasets", limits.datasets, "--config", config, "--output", output, "--jobs", 1, "--blind")
    assert made.code == 0, made.err
    assert not list((output / "windows").rglob("*.npz"))
    assert not list((output / "windows").rglob("classifier.json"))
    outcome = cwola("score", own_file(tmp_path), "--models", output, "--output", tmp_path / "scored.csv", "--jobs", 1)
    assert outcome.code == 1
    assert "method nearest_neighbours keeps none, such as" in outcome.err


def test_a_missing_extra_is_named_before_events_are_selected(
    cwola: Cwola, limits: ToySearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    output = tmp_path / "results"
    config = config_of("autoencoder", tmp_path)
    outcome = cwola("run", "--datasets", limits.datasets, "--config", config, "--output", output, "--jobs", 1)
    assert outcome.code == 1
    assert outcome.err.startswith("error: method autoencoder needs the extra `unsupervised`")
    assert "pip install 'cwola-dijet[unsupervised]'" in outcome.err
    assert not (output / "parts").exists()
