"""Seconds of searches without signal for `cwola calibrate`, in one window with the settings and events of the demo.

Aimed at: p0 at 3 standard deviations to 20 % within 15 minutes on 2 cores, and half the time with twice the workers.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import click
from scipy import stats

from analysis.calibration.coupling import coupled_variance, labels_of
from analysis.calibration.nulls import NullEvents
from analysis.calibration.searches import NullTask, run_null_searches
from analysis.calibration.summary import summarise
from analysis.cli.where import where_options
from analysis.compute import open_backend
from analysis.search.window import search_window
from tests.studies.retrained_null import spectrum

N_WINDOW = 7400
Z = 3.0


@click.command()
@click.option("--searches", type=click.IntRange(20), default=20, show_default=True, help="Searches, five per task.")
@where_options
def main(searches: int, where: dict[str, Any]) -> None:
    """Measure and print."""
    window, task, unit = spectrum("demo")
    nulls: NullEvents = replace(unit, expected=unit.expected * N_WINDOW)
    tasks = [NullTask(task, first, 5) for first in range(0, searches, 5)]
    with open_backend(**where) as backend:
        first = [NullTask(task, 0, 1)] * backend.jobs
        list(run_null_searches(first, lambda: nulls, backend))  # workers start
        start = time.perf_counter()
        batches = [batch for _, batch in run_null_searches(tasks, lambda: nulls, backend)]
        seconds, jobs = time.perf_counter() - start, backend.jobs
    measured = summarise("", batches, [window.name]).windows[window.name]
    data = nulls.draw(task.config.random_state, 0)
    result, labels = search_window(task, data, tests=False), labels_of(window, data.table.mjj)
    click.echo(f"{searches} searches with {jobs} workers: {seconds:.0f} s, {seconds * jobs / searches:.2f} s each")
    for selection in result.selections[1:]:
        coupling = measured[selection.name].coupling
        variance = coupled_variance(selection, labels, window, result.edges)
        if coupling is None or variance is None:
            continue
        null = coupling.null(variance)
        found = null.calibration(Z * null.width, "searches")
        relative = found.p0_error / float(stats.norm.sf(Z))
        needed = searches * (relative / 0.2) ** 2
        click.echo(
            f"  {selection.name}: p0 at {Z:g} standard deviations to {relative:.0%}; to 20 % with {needed:.0f} "
            f"searches, {needed * seconds / searches * jobs / 120:.0f} minutes on 2 cores"
        )


if __name__ == "__main__":
    main()
