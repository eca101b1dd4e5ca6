"""One JSON line per finished point, appended as it comes; a study that is stopped goes on where it was."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from analysis.cli.where import where_options
from analysis.compute import open_backend
from analysis.search.values import WindowResult

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


@dataclass(frozen=True)
class Budget:
    """What a study may use.

    Attributes
    ----------
    max_minutes : float
        No point is started after that.
    where : dict
        Keywords of `analysis.compute.open_backend`.
    """

    max_minutes: float
    where: dict[str, Any]


def study(minutes: float) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function that takes a `Budget` a command with `--max-minutes` and options that say where points run."""

    def decorate(function: Callable[..., None]) -> click.Command:
        @click.command()
        @click.option("--max-minutes", type=float, default=minutes, show_default=True)
        @where_options
        @wraps(function)
        def command(max_minutes: float, where: dict[str, Any], **options: Any) -> None:
            function(Budget(max_minutes, where), **options)

        return command

    return decorate


def run(name: str, points: Iterable[Point], measure: Callable[[Point], Point], budget: Budget) -> list[Point]:
    """Measure the points that are not on disk yet, as many at once as there are workers, until the time is up.

    Workers of a cluster must see this checkout.

    Parameters
    ----------
    name : str
        Of the study; names its file.
    points : iterable of dict
        What identifies each point; JSON-ready.
    measure : callable
        From a point to its measurements; a function of the study's module.
    budget : Budget

    Returns
    -------
    list of dict
        All finished points.
    """
    finished = load(name)
    end = time.monotonic() + 60 * budget.max_minutes
    left = [p for p in points if not any(all(done.get(key) == value for key, value in p.items()) for done in finished)]
    if not left or budget.max_minutes <= 0:
        return finished
    task = _Measurement(_module_of(measure), measure.__name__)
    with open_backend(**budget.where) as backend:
        while left and time.monotonic() < end:
            batch, left = left[: backend.jobs], left[backend.jobs :]
            for _, record in backend.map(task, batch):
                RESULTS.mkdir(exist_ok=True)
                with (RESULTS / f"{name}.jsonl").open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(record, allow_nan=False) + "\n")
                finished.append(record)
    return finished


@dataclass(frozen=True)
class _Measurement:
    """A function of a module, by name: what a study keeps in memory is made once in each worker."""

    module: str
    function: str

    def __call__(self, point: Point) -> Point:
        start = time.process_time()
        measured = getattr(import_module(self.module), self.function)(point)
        return {**point, **measured, "cpu_seconds": round(time.process_time() - start, 1)}


def _module_of(function: Callable[..., Any]) -> str:
    """Name under which the module of a function can be imported, also where it runs as the main one."""
    if function.__module__ != "__main__":
        return function.__module__
    spec = sys.modules["__main__"].__spec__
    if spec is None:
        msg = "run studies as modules: python -m tests.studies.NAME"
        raise click.ClickException(msg)
    return spec.name
