"""Seconds of the pseudo-experiments behind a global p-value: 10 windows, 5 selections, 35 bins.

Aimed at: 1,000 of them in 60 seconds on 2 cores. Wall time depends on what else runs; CPU time is quoted beside it.
"""

from __future__ import annotations

import os
import time

import click
import numpy as np
from scipy import stats

from analysis.background import choose_order
from analysis.compute import open_backend
from analysis.regions import MassWindow
from analysis.search.pseudo_experiments import Look, null_model, run_pseudo_experiments
from analysis.statistics.trials import global_significance
from tests.builders.toy_tables import FIT_RANGE, SQRT_S, dijet_masses

GRID = np.arange(3000.0, 6501.0, 100.0)
EFFICIENCIES = (0.1, 0.05, 0.02, 0.01)
FUNCTIONS = ("dijet3", "dijet4", "dijet5")


def windows(count: int) -> list[MassWindow]:
    """Windows of 400 GeV, 100 GeV apart, with a mask 100 GeV wider on each side."""
    lows = 3300.0 + 100.0 * np.arange(count)
    return [
        MassWindow((low, low + 400), (low - 200, low), (low + 400, low + 600), (low - 100, low + 500), FIT_RANGE)
        for low in lows.tolist()
    ]


@click.command()
@click.option("--events", default=60_000, show_default=True, help="Events in the fit range.")
@click.option("--toys", default=1000, show_default=True, help="Pseudo-experiments.")
@click.option("--jobs", default=2, show_default=True)
@click.option("--strategy", default="transfer-factor", show_default=True, help="How the order of the fits is chosen.")
def main(events: int, toys: int, jobs: int, strategy: str) -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    mjj, common = dijet_masses(events, rng), rng.normal(size=events)
    columns, scan = [np.ones(events)], windows(10)
    looks = [Look(0, window, FUNCTIONS, strategy) for window in scan]
    for window in scan:
        score = 0.6 * common + 0.8 * rng.normal(size=events)
        for efficiency in EFFICIENCIES:
            looks.append(Look(len(columns), window, FUNCTIONS, strategy))
            columns.append((score > stats.norm.isf(efficiency)).astype(float))
    passes = np.stack(columns, axis=1)
    masks = {look.spectrum: look.window.mask for look in looks}
    options = {"functions": FUNCTIONS, "alpha": 0.05, "sqrt_s_gev": SQRT_S, "strategy": strategy}
    start = time.perf_counter()
    fits = [
        choose_order(
            np.histogram(mjj, GRID, weights=column)[0],
            GRID,
            mask=masks[i],
            rest=None if i == 0 else (np.histogram(mjj, GRID, weights=1.0 - column)[0], None),
            **options,  # type: ignore[arg-type]
        )
        for i, column in enumerate(passes.T)
    ]
    fitted = time.perf_counter()
    model = null_model(mjj, passes, fits, looks, GRID)
    ready = time.perf_counter()
    click.echo(
        f"{len(fits)} fits: {fitted - start:.1f} s; model of {len(model.passes)} classes: {ready - fitted:.1f} s"
    )
    with open_backend(jobs) as backend:
        run_pseudo_experiments(model, jobs, backend, random_state=1)  # workers start
        before, begun = sum(os.times()[:4]), time.perf_counter()
        z = run_pseudo_experiments(model, toys, backend, random_state=0)
        seconds = time.perf_counter() - begun
    cpu = sum(os.times()[:4]) - before
    click.echo(
        f"{toys} pseudo-experiments x {len(looks)} looks on {jobs} processes: {seconds:.1f} s, {cpu:.1f} CPU s, "
        f"{1e6 * cpu / (toys * len(looks)):.0f} CPU us per look"
    )
    largest = z.max(axis=1)
    click.echo(f"looks without a valid fit: {np.isinf(z).mean():.2%}; z: {z.mean():.3f} +- {z.std():.3f}")
    for observed in (1.0, 2.0, 2.5, 3.0):
        found = global_significance(observed, largest, n_trials=len(looks))
        click.echo(f"local z = {observed}: {found}")


if __name__ == "__main__":
    main()
