from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.studies import runner
from tests.studies.runner import Budget, Point, load, run

POINTS = [{"value": value} for value in range(5)]


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "RESULTS", tmp_path)


def square(point: Point) -> Point:
    return {"square": point["value"] ** 2, "process": os.getpid()}


def never(point: Point) -> Point:
    raise AssertionError(point)


def budget(minutes: float = 1.0, jobs: int = 1) -> Budget:
    return Budget(minutes, {"jobs": jobs})


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_point_is_measured_once_wherever_it_runs(jobs: int) -> None:
    found = run("toy", POINTS, square, budget(jobs=jobs))
    assert sorted((p["value"], p["square"]) for p in found) == [(0, 0), (1, 1), (2, 4), (3, 9), (4, 16)]
    assert (os.getpid() in {p["process"] for p in found}) == (jobs == 1)
    assert load("toy") == found
    assert run("toy", POINTS, never, budget(jobs=jobs)) == found


def test_a_study_goes_on_where_it_was() -> None:
    run("toy", POINTS[:2], square, budget())
    assert len(run("toy", POINTS, square, budget())) == 5
    assert [p["value"] for p in load("toy")] == [0, 1, 2, 3, 4]


def test_no_point_is_started_when_the_time_is_up() -> None:
    assert run("toy", POINTS, never, budget(0.0)) == []
