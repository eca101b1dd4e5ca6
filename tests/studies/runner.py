"""One JSON line per finished point, appended as it comes; a study that is stopped goes on where it was."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from analysis.search import WindowResult

Point = dict[str, Any]

RESULTS = Path(__file__).parent / "results"
REPOSITORY = Path(__file__).parents[2]


def data_folder() -> Path:
    """Where the real files are: CWOLA_TEST_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("CWOLA_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    if not folder.is_dir():
        msg = f"no folder {folder}: set CWOLA_TEST_DATA to where the sample files are."
        raise click.ClickException(msg)
    return folder


def load(name: str) -> list[Point]:
    """Read the finished points of a study."""
    path = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def local_z(results: Iterable[WindowResult]) -> dict[str, dict[str, float | None]]:
    """Local z by window and selection; None where a window shows none."""
    return {
        result.window.name: {
            selection.name: None if selection.discovery is None else round(selection.discovery.z, 3)
            for selection in result.selections
        }
        for result in results
    }


def run(name: str, points: Iterable[Point], measure: Callable[[Point], Point], max_minutes: float) -> list[Point]:
    """Measure the points that are not on disk yet, until the time is up.

    Parameters
    ----------
    name : str
        Of the study; names its file.
    points : iterable of dict
        What identifies each point; JSON-ready.
    measure : callable
        From a point to its measurements.
    max_minutes : float
        No point is started after that.

    Returns
    -------
    list of dict
        All finished points.
    """
    finished = load(name)
    end = time.monotonic() + 60 * max_minutes
    for point in points:
        if time.monotonic() > end:
            break
        if any(all(done.get(key) == value for key, value in point.items()) for done in finished):
            continue
        start = time.process_time()
        record = {**point, **measure(point), "cpu_seconds": round(time.process_time() - start, 1)}
        RESULTS.mkdir(exist_ok=True)
        with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record, allow_nan=False) + "\n")
        finished.append(record)
    return finished
