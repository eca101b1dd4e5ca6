"""Exported trees against the classifiers themselves: scores and decisions, for every way to train and cut them."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from numpy.typing import NDArray

from analysis.compute import Serial
from analysis.errors import ResultsError
from analysis.events.table import EventTable
from analysis.export.neutral.check import Sample, check_form, check_window, permuted, with_missing
from analysis.export.neutral.document import score_document, trees_document
from analysis.export.neutral.evaluators.cwola_trees import Trees
from analysis.export.neutral.export import _EVALUATORS, _write_reference
from analysis.export.neutral.onnx_graph import onnx_model, run_onnx
from analysis.export.target import write_compact
from analysis.learning.ensemble import FittedEnsemble
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.search.classifiers import Classifier, load_classifiers
from analysis.search.scan import run_scan
from analysis.search.values import SearchData
from tests.builders.manifest import write_manifest
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

EVALUATORS = Path(trees_document.__code__.co_filename).parent / "evaluators"
WAYS = {
    "mean": {"n_members": 3},
    "members": {"n_members": 3, "ensemble": "mean-count"},
    "nested": {"cross_fitting": "nested", "n_candidates": 2},
    "sequential": {"cross_fitting": "sequential", "n_folds": 4, "n_members": 2, "bagged_features": 1},
}
EVENTS = toy_table(6000, 60, random_state=1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Classifier]:
    """Classifiers of a toy by the way to train them, each trained once."""

    @cache
    def train(way: str) -> Classifier:
        config = toy_config(learning=WAYS[way])
        folder = ResultsFolder(tmp_path_factory.mktemp(way) / "results", create=True)
        ((key, result),) = run_scan(SearchData(EVENTS), RegionScan((WINDOW,), 100.0), config, Serial())
        folder.save_config(config)
        folder.save_window(key, result)
        write_manifest(folder.path, config)
        return load_classifiers(folder.path)[1][0]

    return train


def sample_of(classifier: Classifier, n_events: int = 10_000) -> Sample:
    return Sample.of(with_missing(EVENTS, classifier, n_events), classifier)


@pytest.mark.parametrize("way", WAYS)
def test_stored_events_are_scored_and_selected_as_in_the_search(
    tmp_path: Path, trained: Callable[[str], Classifier], way: str
) -> None:
    classifier = trained(way)
    sample = sample_of(classifier)
    assert len(sample.X) == 10_000
    assert 0.02 < np.isnan(sample.X).mean() < 0.1
    ties = [np.isin(sample.scores, limits[..., 0].astype(np.float32)).any() for limits in classifier.thresholds]
    assert way == "members" or any(ties)  # equal scores are among them
    document = trees_document(classifier, sample.scores)
    path = tmp_path / "trees.json"
    write_compact(path, document)
    for checked in check_window(document, sample, path, None).values():
        assert checked.changed == 0
        assert checked.difference <= 1e-6


def compiled(folder: Path) -> Path:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    source = folder / "main.cpp"
    source.write_text(
        """#include "cwola_trees.hpp"
#include <iostream>
int main(int, char** arguments) {
    const cwola::Trees trees(arguments[1]);
    std::ifstream events(arguments[2]);
    std::cout.precision(17);
    for (std::string line; std::getline(events, line);) {
        std::istringstream words(line);
        std::vector<double> row;
        for (std::string word; words >> word;) row.push_back(std::strtod(word.c_str(), nullptr));
        const double tie = row.back(), mjj = row[row.size() - 2];
        const std::vector<float> x(row.begin(), row.end() - 2);
        for (const float score : trees.scores(x)) std::cout << score << ' ';
        for (const double one : trees.passes(x, mjj, tie)) std::cout << one << ' ';
        std::cout << '\\n';
    }
}
"""
    )
    program = folder / "evaluate"
    command = [compiler, "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", "-I", str(EVALUATORS)]
    subprocess.run([*command, str(source), "-o", str(program)], check=True, capture_output=True)
    return program


def run_program(program: Path, document: Path, sample: Sample) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    events = document.with_suffix(".txt")
    np.savetxt(events, np.column_stack([sample.X.astype(float), sample.mjj, sample.tie]), fmt="%.17g")
    done = subprocess.run([str(program), str(document), str(events)], check=True, capture_output=True, text=True)
    values = np.array([line.split() for line in done.stdout.splitlines()], float)
    n_folds = sample.scores.shape[1]
    return values[:, :n_folds].astype(np.float32), values[:, n_folds:]


def test_the_header_scores_and_selects_as_in_the_search(tmp_path: Path, trained: Callable[[str], Classifier]) -> None:
    program = compiled(tmp_path)
    for way in ("mean", "members"):
        sample = sample_of(trained(way))
        path = tmp_path / f"{way}.json"
        write_compact(path, trees_document(trained(way), sample.scores))
        assert check_form("C++", path, sample, *run_program(program, path, sample)).changed == 0


@pytest.mark.parametrize("way", WAYS)
def test_onnx_scores_and_selects_as_in_the_search(
    tmp_path: Path, trained: Callable[[str], Classifier], way: str
) -> None:
    onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'cwola-dijet[onnx]'")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'cwola-dijet[onnx]'")
    sample = sample_of(trained(way))
    content = onnx_model(trees_document(trained(way), sample.scores))
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    found = run_onnx(content, sample.X, sample.mjj, sample.tie)
    assert check_form("ONNX", tmp_path, sample, *found).changed == 0


def test_without_the_extra_onnx_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ResultsError, match=r"cwola-dijet\[onnx\]"):
        onnx_model({})


@pytest.mark.thorough
@pytest.mark.parametrize("way", ["mean", "members"])
def test_no_decision_changes_in_a_hundred_thousand_events(
    tmp_path: Path, trained: Callable[[str], Classifier], way: str
) -> None:
    """Other events than the stored ones, that the tolerance of the thresholds does not know."""
    classifier = trained(way)
    document = trees_document(classifier, sample_of(classifier).scores)
    path = tmp_path / "trees.json"
    write_compact(path, document)
    others = with_missing(toy_table(100_000, random_state=5), classifier, 100_000)
    sample = Sample.of(others, classifier)
    trees = Trees(str(path))
    rows = list(zip(sample.X.tolist(), sample.mjj.tolist(), sample.tie.tolist(), strict=True))
    by_hand = (
        np.array([trees.scores(row) for row, _, _ in rows], np.float32),
        np.array([trees.passes(row, mjj, tie) for row, mjj, tie in rows]),
    )
    found = {"Python": by_hand, "C++": run_program(compiled(tmp_path), path, sample)}
    if _has_onnx():
        found["ONNX"] = run_onnx(onnx_model(document), sample.X, sample.mjj, sample.tie)
    for form, (scores, passes) in found.items():
        assert check_form(form, path, sample, scores, passes).changed == 0


def _has_onnx() -> bool:
    try:
        import onnx
        import onnxruntime
    except ImportError:
        return False
    return bool(onnx and onnxruntime)


@pytest.mark.parametrize("base_score", [0.5, 0.2, 0.93])
def test_the_base_score_is_the_one_of_xgboost(trained: Callable[[str], Classifier], base_score: float) -> None:
    """Also of a model that was not trained here, with thresholds at its own values and leaves of any size."""
    rng = np.random.default_rng(8)
    X = np.round(rng.normal(size=(3000, 2)), 1).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    y = (np.nan_to_num(X[:, 0]) > rng.normal(size=3000)).astype(int)
    parameters = {"objective": "binary:logistic", "base_score": base_score, "eta": 1.5, "max_depth": 5, "nthread": 1}
    booster = xgb.train(parameters, xgb.DMatrix(X, y), 20)
    model = FittedEnsemble((bytes(booster.save_raw("ubj")),))
    document = trees_document(replace(trained("mean"), models=(model,)))
    (scores,) = score_document(document, X)
    np.testing.assert_allclose(scores[:, 0], booster.inplace_predict(X), rtol=2e-7, atol=1e-44)


def test_a_changed_threshold_or_branch_is_noticed(tmp_path: Path, trained: Callable[[str], Classifier]) -> None:
    """What converters are known to get wrong: each of these must fail the check."""
    sample = sample_of(trained("mean"))

    def check(change: Callable[[dict[str, Any]], object]) -> None:
        document = trees_document(trained("mean"), sample.scores)
        change(document)
        write_compact(tmp_path / "trees.json", document)
        check_window(document, sample, tmp_path / "trees.json", None)

    def tree(document: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = document["folds"][0]["members"][0]["trees"][0]
        return found

    check(lambda document: None)
    for change in (
        lambda document: document["folds"][0]["members"][0].update(base=0.01),
        lambda document: tree(document).update(missing_left=[1 - one for one in tree(document)["missing_left"]]),
        lambda document: tree(document).update(value=np.float16(tree(document)["value"]).astype(float).tolist()),
        lambda document: document["folds"][1]["thresholds"][0][1].__setitem__(2, 2.0),
        lambda document: document.update(n_folds=document["n_folds"] + 1),
    ):
        with pytest.raises(ResultsError, match="not equal to the classifiers of the search"):
            check(change)


def test_the_reference_table_is_reproduced_and_holds_no_event(
    tmp_path: Path, trained: Callable[[str], Classifier]
) -> None:
    classifier = trained("mean")
    mixed = permuted(EVENTS, classifier, 200)
    _write_reference(tmp_path / "reference.csv", Sample.of(mixed, classifier), classifier)
    write_compact(tmp_path / "trees.json", trees_document(classifier))
    trees = Trees(str(tmp_path / "trees.json"))
    events = {tuple(row) for row in EVENTS.matrix(classifier.features).tolist()}
    with (tmp_path / "reference.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 200
    for row in rows:
        features = [float(row[name]) for name in trees.features]
        assert tuple(features) not in events
        scores = trees.scores(features)
        assert scores == pytest.approx([float(row[f"score_fold{fold}"]) for fold in range(len(scores))], abs=1e-6)
        expected = [float(row[f"pass_{name}"]) for name in trees.selections]
        assert trees.passes(features, float(row["mjj"]), float(row["tie"])) == pytest.approx(expected)


def test_events_outside_the_fit_range_pass_only_the_inclusive_selection(
    tmp_path: Path, trained: Callable[[str], Classifier]
) -> None:
    write_compact(tmp_path / "trees.json", trees_document(trained("mean")))
    trees = Trees(str(tmp_path / "trees.json"))
    best = max(EVENTS.matrix(trees.features).tolist(), key=lambda row: sum(trees.scores(row)))
    assert trees.passes(best, 3500.0) == [1.0, 1.0, 1.0]
    assert trees.passes(best, 6500.0) == trees.passes(best, 2999.0) == [1.0, 0.0, 0.0]


def test_models_without_such_a_form_are_refused(trained: Callable[[str], Classifier]) -> None:
    class Flow:
        def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
            return X[:, :1]

    with pytest.raises(ResultsError, match="no boosted trees and have no such form"):
        trees_document(replace(trained("mean"), models=(Flow(),)))  # type: ignore[arg-type]
    with pytest.raises(ResultsError, match=r"scaled to percentiles .*learning\.decorrelation"):
        trees_document(replace(trained("mean"), scalings=(object(),)))  # type: ignore[arg-type]


def test_a_window_without_stored_events_is_refused(trained: Callable[[str], Classifier]) -> None:
    beyond = EVENTS.select(EVENTS.mjj > 1e6)
    assert isinstance(beyond, EventTable)
    with pytest.raises(ResultsError, match="no stored events in the fit range"):
        with_missing(beyond, trained("mean"))


def test_the_evaluators_need_only_the_standard_library() -> None:
    assert sorted(_EVALUATORS) == sorted(path.name for path in EVALUATORS.glob("cwola_trees.*") if path.is_file())
    text = (EVALUATORS / "cwola_trees.py").read_text()
    imports = {line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert imports == {"__future__", "json", "math", "struct", "collections", "pathlib", "typing"}
