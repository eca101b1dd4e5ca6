"""Classifiers of a finished search applied to other files, through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import xgboost as xgb
from fsspec.implementations.memory import MemoryFileSystem

from analysis.config import load_config
from analysis.events.identity import uniform
from analysis.results import ResultsFolder
from analysis.results.processed_events import load_processed
from analysis.search.classifiers import load_classifiers, score_events
from tests.builders.toy_search import Cwola, ToySearch
from tests.builders.toys import jet, write_nanoaod

WINDOW = "3300-3700"


@pytest.fixture
def published(finished: Path, tmp_path: Path) -> Path:
    """What is given to others: configuration, manifest, and of each window the models and their record."""
    folder = tmp_path / "published"
    folder.mkdir()
    for name in ("config.json", "manifest.json"):
        shutil.copy(finished / name, folder)
    for window in (finished / "windows").iterdir():
        target = folder / "windows" / window.name
        shutil.copytree(window / "models", target / "models")
        shutil.copy(window / "classifier.json", target)
    return folder


@pytest.fixture
def own_signal(tmp_path: Path) -> Path:
    """A file that the search has not seen: half of its events lie in the window, a tenth fails the selection."""
    rng = np.random.default_rng(11)
    events = []
    for index in range(400):
        pt = 1750.0 if index % 2 else 2300.0
        leading = 300.0 if index % 10 == 0 else pt
        tau21 = rng.uniform(0.05, 0.9, 2)
        masses = rng.normal([400, 150], 40)
        events.append(
            [
                jet(leading, eta=0.0, phi=0.0, mass=masses[0], tau1=0.5, tau2=0.5 * tau21[0], tau3=0.1),
                jet(leading, eta=0.0, phi=np.pi, mass=masses[1], tau1=0.5, tau2=0.5 * tau21[1], tau3=0.1),
            ]
        )
    path = tmp_path / "own.root"
    write_nanoaod(path, events, run=9)
    return path


def scored(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def test_own_events_get_the_out_of_fold_scores_from_the_model_of_their_fold(finished: Path) -> None:
    folder = ResultsFolder(finished)
    events = load_processed(folder)
    table = events.searched(folder).read()
    config, classifiers = load_classifiers(finished)
    assert [one.window.name for one in classifiers] == [WINDOW, "3900-4300"]
    fold = (uniform(table.event_id, config.random_state, "fold") * config.learning.n_folds).astype(int)
    for classifier in classifiers:
        found = score_events(table, classifier)
        stored = folder.load_scores(classifier.window.name, inputs=events.identity(blinded=False))
        assert np.isfinite(stored).sum() > 5000
        np.testing.assert_array_equal(found.folds[np.arange(len(table)), fold], stored)
        others = found.folds[np.arange(len(table)), (fold + 1) % config.learning.n_folds]
        assert (others != stored)[np.isfinite(stored)].mean() > 0.9
        assert found.passes.values.max() == 1


def test_selected_events_in_parts_give_the_same_scores_and_are_not_selected_again(
    cwola: Cwola,
    published: Path,
    own_signal: Path,
    tmp_path: Path,
    memory: MemoryFileSystem,
) -> None:
    beside, apart, again = (tmp_path / f"{name}.parquet" for name in ("beside", "apart", "again"))
    command = ["score", own_signal, "--models", published, "--jobs", 1, "--output"]
    assert cwola(*command, beside).code == 0
    assert not memory.find("")
    assert cwola(*command, apart, "--parts", "memory://scored").code == 0
    (part,) = memory.find("")
    assert part.endswith(".parquet")
    made = memory.modified(part)
    assert cwola(*command, again, "--parts", "memory://scored").code == 0
    assert memory.modified(part) == made
    assert pq.read_table(apart).equals(pq.read_table(beside))
    assert pq.read_table(again).equals(pq.read_table(beside))


def test_the_pass_weights_and_the_acceptance_are_those_counted_by_hand(
    cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scored.parquet"
    done = cwola("score", own_signal, "--models", published, "--window", "3300:3700", "--output", output, "--jobs", 1)
    assert done.code == 0, done.err
    rows = scored(output)
    assert len(rows) == 360
    record = json.loads((published / "windows" / WINDOW / "classifier.json").read_text())
    models = published / "windows" / WINDOW / "models"
    X = np.array([[row[name] for name in record["features"]] for row in rows], np.float32)
    seed = load_config(path=published / "config.json").random_state
    tie = uniform(np.array([row["event_id"] for row in rows], np.uint64), seed, "tie-break")
    expected = np.zeros(len(rows))
    for fold, n_members in enumerate(record["n_members"]):
        members = []
        for member in range(n_members):
            booster = xgb.Booster(model_file=models / f"fold{fold}_member{member}.ubj")
            members.append(booster.inplace_predict(X))
        score = np.mean(members, axis=0, dtype=np.float64).astype(np.float32)
        np.testing.assert_array_equal([row[f"score_{WINDOW}_fold{fold}"] for row in rows], score)
        threshold, broken = record["thresholds"][fold][0][1]
        expected += (score > threshold) | ((score == threshold) & (tie > broken))
    expected /= len(record["n_members"])
    assert 0.05 < expected.mean() < 0.95
    assert ((expected > 0) & (expected < 1)).any()
    np.testing.assert_allclose([row[f"pass_{WINDOW}_eff_0.1"] for row in rows], expected)
    inside = np.array([3300 <= row["mjj"] < 3700 for row in rows])
    assert inside.sum() == 200
    acceptance = expected[inside].sum() / 400
    line = next(line for line in done.out.splitlines() if "eff_0.1" in line)
    assert f"{acceptance:.4g}" in line
    assert f"{expected[inside].mean():.4g}" in line
    assert "do not record how many events were generated" in done.out


def test_luminosity_and_cross_section_give_the_expected_events(
    cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path
) -> None:
    """1000 sigma L A, with sigma in pb and L in inverse fb; and L A for 1 fb."""
    output = tmp_path / "scored.parquet"
    options = ["--models", published, "--window", "3300:3700", "--output", output, "--jobs", 1]
    done = cwola("score", own_signal, *options, "--lumi", 20, "--xsec", 0.01, "--generated", 800)
    assert done.code == 0, done.err
    rows = scored(output)
    assert {row["weight"] for row in rows} == {1000 * 0.01 * 20 / 800}
    passed = sum(row[f"pass_{WINDOW}_eff_0.1"] for row in rows if 3300 <= row["mjj"] < 3700)
    line = next(line for line in done.out.splitlines() if "eff_0.1" in line).split()
    events, acceptance, _, per_fb = (float(one) for one in line[-4:])
    assert acceptance == pytest.approx(passed / 800, rel=1e-3)
    assert events == pytest.approx(1000 * 0.01 * 20 * passed / 800, rel=1e-3)
    assert per_fb == pytest.approx(20 * passed / 800, rel=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--xsec", 0.01], "--xsec needs --lumi"), (["--lumi", 20], "so --lumi cannot be applied. Give --generated")],
)
def test_a_rate_without_what_it_needs_is_refused(
    cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path, options: list[object], message: str
) -> None:
    output = tmp_path / "scored.parquet"
    done = cwola("score", own_signal, "--models", published, "--output", output, "--jobs", 1, *options)
    assert done.code == 1
    assert message in done.err
    assert not output.exists()


def test_a_table_of_the_same_events_gets_the_same_scores(
    cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path
) -> None:
    options = ["--models", published, "--jobs", 1]
    assert cwola("score", own_signal, *options, "--output", tmp_path / "root.parquet").code == 0
    table = pq.read_table(tmp_path / "root.parquet")
    kept = [name for name in table.column_names if not name.startswith(("score_", "pass_", "event_id", "dataset"))]
    pq.write_table(table.select(kept), tmp_path / "own.parquet")
    done = cwola("score", tmp_path / "own.parquet", *options, "--output", tmp_path / "table.parquet")
    assert done.code == 0, done.err
    found, expected = scored(tmp_path / "table.parquet"), scored(tmp_path / "root.parquet")
    names = [name for name in expected[0] if name.startswith(("score_", "pass_"))]
    assert len(names) > 8
    assert [[row[name] for name in names] for row in found] == [[row[name] for name in names] for row in expected]


def test_all_windows_are_scored_by_default_and_events_beyond_the_fit_range_do_not_pass(
    cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path
) -> None:
    output = tmp_path / "scored.parquet"
    assert cwola("score", own_signal, "--models", published, "--output", output, "--jobs", 1).code == 0
    for row in scored(output):
        assert row["pass_3900-4300_inclusive"] == row[f"pass_{WINDOW}_inclusive"] == 1
        beyond = not 3000 <= row["mjj"] < 6500
        assert (row[f"score_{WINDOW}"] is None) == beyond
        assert not (beyond and row[f"pass_{WINDOW}_eff_0.1"])


@pytest.mark.parametrize("name", [f"windows/{WINDOW}/models/fold1_member0.ubj", f"windows/{WINDOW}/classifier.json"])
def test_a_changed_file_is_refused(cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path, name: str) -> None:
    path = published / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    done = cwola("score", own_signal, "--models", published, "--output", tmp_path / "out.parquet", "--jobs", 1)
    assert done.code == 1
    assert f"{path} is not the file that the search wrote" in done.err
    assert not (tmp_path / "out.parquet").exists()


def test_a_missing_model_or_manifest_and_another_configuration_are_refused(
    cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path
) -> None:
    arguments = ["score", own_signal, "--models", published, "--output", tmp_path / "out.parquet", "--jobs", 1]
    model = published / "windows" / WINDOW / "models" / "fold0_member1.ubj"
    kept = model.read_bytes()
    model.unlink()
    missing = cwola(*arguments)
    assert (missing.code, str(model) in missing.err) == (1, True)
    model.write_bytes(kept)
    config = json.loads((published / "config.json").read_text())
    config["selection"]["leading_pt_min"] = 100.0
    (published / "config.json").write_text(json.dumps(config))
    other = cwola(*arguments)
    assert other.code == 1
    assert "not the configuration that the classifiers were trained with" in other.err
    (published / "manifest.json").unlink()
    none = cwola(*arguments)
    assert none.code == 1
    assert "--models takes the folder of a finished" in none.err


def test_files_of_the_search_itself_are_refused(cwola: Cwola, toy: ToySearch, finished: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    done = cwola("score", toy.folder / "qcd_1.root", "--models", finished, "--output", output, "--jobs", 1)
    assert done.code == 1
    assert "dataset qcd of kind pseudodata: models that saw an event must not score it" in done.err
    assert not output.exists()
    assert not list(tmp_path.iterdir())


def test_a_window_that_was_not_searched_is_named_with_those_that_were(
    cwola: Cwola, published: Path, own_signal: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    done = cwola("score", own_signal, "--models", published, "--window", "3300:3800", "--output", output)
    assert done.code == 1
    assert "--window 3300:3800" in done.err
    assert "Windows: 3300:3700, 3900:4300." in done.err


def test_real_data_are_refused_while_the_search_is_blinded(cwola: Cwola, published: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.root"
    write_nanoaod(data, [[jet(1750.0, eta=0.0, phi=0.0), jet(1750.0, eta=0.0, phi=np.pi)]], run=297050)
    done = cwola("score", data, "--models", published, "--output", tmp_path / "out.parquet", "--jobs", 1)
    assert done.code == 1
    assert "the files hold real data (run 297050), and the search is blinded" in done.err
