"""A results folder with a damaged file: every reader gives one error that names it; nothing finished is lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from analysis.results import ResultsFolder
from analysis.search.values import WindowResult
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

FILES = ["process.json", "results.json", "manifest.json", "config.json", "diagnostics.json", "validation.json"]


def emptied(text: str) -> str:
    return "{}"


def truncated(text: str) -> str:
    return text[: len(text) // 2]


def listed(text: str) -> str:
    return f"[{text}]"


def renamed(text: str) -> str:
    """First value of every object becomes one of another type."""
    document = json.loads(text)
    name = next(iter(document))
    return json.dumps(
        {**document, name: {"not": "this"}, "windows": "none", "datasets": 3, "window_keys": 1, "scan": 2}
    )


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "results")
    return tmp_path / "results"


@pytest.mark.parametrize("damage", [emptied, truncated, listed, renamed])
@pytest.mark.parametrize("name", FILES)
def test_every_reader_names_the_damaged_file(name: str, damage: Callable[[str], str], copy: Path, cwola: Cwola) -> None:
    path = copy / name
    path.write_text(damage(path.read_text()))
    outcome = cwola("report", "--output", copy)
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert outcome.err.startswith("error: ")
    assert str(path) in outcome.err


@pytest.mark.parametrize(
    "command",
    [
        ("plot",),
        ("export", "hepdata", "--to"),
        ("export", "pyhf", "--to"),
        ("export", "classifiers", "--to"),
        ("scan",),
    ],
)
@pytest.mark.parametrize("name", ["process.json", "results.json", "manifest.json", "config.json"])
def test_no_command_ends_in_a_traceback(name: str, command: tuple[str, ...], copy: Path, cwola: Cwola) -> None:
    (copy / name).write_text("{}")
    target = [copy.parent / "exported"] if command[-1] == "--to" else ["--jobs", 1]
    outcome = cwola(*command, *target, "--output", copy)
    if outcome.code:  # a scan makes results and manifest again, and some exports do not read the processing record
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert name in outcome.err


@pytest.mark.parametrize("damage", [emptied, truncated, listed])
def test_a_damaged_window_is_searched_again(damage: Callable[[str], str], copy: Path, cwola: Cwola) -> None:
    path = next((copy / "windows").glob("*/window.json"))
    before, results = path.read_text(), (copy / "results.json").read_text()
    path.write_text(damage(before))
    assert cwola("report", "--output", copy).code == 1
    assert cwola("scan", "--output", copy, "--jobs", 1).code == 0
    assert (path.read_text(), (copy / "results.json").read_text()) == (before, results)


def test_results_that_do_not_follow_the_schema_are_kept(
    toy: ToySearch, finished: Path, tmp_path: Path, cwola: Cwola, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An efficiency above 1 by rounding is refused by the schema, after hours of training."""
    load = ResultsFolder.load_windows

    def rounded(folder: ResultsFolder, keys: Any) -> dict[str, WindowResult]:
        found = load(folder, keys)
        return {
            key: replace(
                result,
                selections=tuple(replace(one, efficiency_achieved=1.0000000000000009) for one in result.selections),
            )
            for key, result in found.items()
        }

    shutil.copytree(finished, tmp_path / "results")
    monkeypatch.setattr(ResultsFolder, "load_windows", rounded)
    outcome = cwola("scan", "--output", tmp_path / "results", "--jobs", 1)
    assert outcome.code == 1
    assert "results.json is complete, but does not follow its schema at $." in outcome.err
    assert "largest local z = " in outcome.out
    document = json.loads((tmp_path / "results" / "results.json").read_text())
    assert "1.0000000000000009" in document["schema_error"]
    assert len(document["windows"]) == len(json.loads((finished / "results.json").read_text())["windows"])
    assert cwola("plot", "--output", tmp_path / "results", "--only", "scan", "--jobs", 1).code == 0
    monkeypatch.undo()
