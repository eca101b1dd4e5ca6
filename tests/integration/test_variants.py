"""Variants of a search through the command line: folders of their own, one table and one report."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from analysis.learning import FoldTask
from analysis.search import window as search
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

VARIANTS = """
[[variants]]
name = "one_member"
learning.n_members = 1

[[variants]]
name = "flat"
background.functions = ["dijet3"]
"""


@pytest.fixture
def varied(toy: ToySearch, finished: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Results of the finished search, and its configuration with variants."""
    output, config = tmp_path / "results", tmp_path / "search.toml"
    shutil.copytree(finished, output)
    config.write_text(toy.config.read_text() + VARIANTS)
    return output, config


def read(folder: Path, name: str = "results.json") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / name).read_text())
    return document


def test_every_variant_is_searched_once_beside_the_search(
    cwola: Cwola, toy: ToySearch, varied: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    output, config = varied
    before, trained = read(output), list[FoldTask]()
    run_fold = search.run_fold

    def watch(task: FoldTask, samples: Any) -> Any:
        trained.append(task)
        return run_fold(task, samples)

    monkeypatch.setattr(search, "run_fold", watch)
    command = ("run", "--datasets", toy.datasets, "--config", config, "--output", output, "--jobs", 1)
    outcome = cwola(*command)
    assert outcome.code == 0, outcome.err
    assert read(output)["windows"] == before["windows"]
    assert len(trained) == 2 * 2 * 3  # variants, windows, folds; the finished search is not trained again
    for name in ("one_member", "flat"):
        folder = output / "variants" / name
        assert (folder / "report.html").exists()
        assert read(folder)["windows"] != before["windows"]
        assert read(folder)["inputs"] == before["inputs"]
        assert not (folder / "parts").exists()
        assert name in outcome.out
    assert "in 3 folders are compared" in outcome.out
    assert any((output / "comparison").iterdir())
    report = (output / "report.html").read_text()
    assert "learning.n_members = 1" in report
    assert "Largest excess of the search and of its variants" in report
    trained.clear()
    assert cwola(*command).code == 0
    assert trained == []
    # A variant is a results folder like any other.
    assert cwola("scan", "--output", output / "variants" / "flat", "--jobs", 1).code == 0
    assert trained == []


def test_blinding_the_search_blinds_its_variants(cwola: Cwola, varied: tuple[Path, Path]) -> None:
    output, config = varied
    outcome = cwola("scan", "--config", config, "--output", output, "--blind", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert all(read(output / "variants" / name)["blinded"] for name in ("one_member", "flat"))
    assert "looks in" not in outcome.out
