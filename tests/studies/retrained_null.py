"""How fat are the tails of z without signal, if classifiers are trained anew? Exact nulls, by preset and settings.

Folds train one another: a fluctuation in one fold steers the classifiers of the others to the same corner of the
features, and there it is counted. The whole chain runs: draw, folds, training, cuts, sideband fit, z. Features are
those of simulated QCD events, m_jj is drawn anew from a smooth spectrum of the preset's own functions, so that no
feature knows of it; simulation, for methods that need it, comes from the same two distributions and other events. A
window of each preset, with its own sidebands, mask and fit range.

A point is a batch of searches; `first` is the number of the first one. Searches of the same numbers and sizes share
their pseudo-data for all settings with the same folds. Seeds: 0 for the calibrations that are shipped, others to test
them. `folds` holds, by selection, sums over the searches of x_f^2 and of x_f x_g (f < g), and their numbers, where x_f
is the excess of the selected events of fold f in the window over their known expectation, in standard deviations.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple
from functools import cache
from itertools import zip_longest
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from analysis.calibration.nulls import NullEvents
from analysis.calibration.searches import NullTask, search_nulls
from analysis.calibration.values import NullBatch
from analysis.config import SearchConfig, load_config
from analysis.events.table import EventTable
from analysis.learning import INCLUSIVE
from analysis.regions import MassWindow, RegionScan
from analysis.search.window import WindowTask, window_task
from analysis.validation.samples import Setting, fit_counts
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "retrained_null"

SAMPLES = {"data": ("qcd_a",), "simulation": ("qcd_b",)}
WINDOWS = {
    "demo": (3300.0, 3700.0),
    "best": (3300.0, 3700.0),
    "sa-cwola-2021": (3300.0, 3700.0),
    "atlas-2020": (3280.0, 3940.0),
    "atlas-2025": (3200.0, 3800.0),
    "cwola-hunting-2019": (2875.0, 3358.0),
}
"""The window of each preset that is searched, GeV."""


def points(
    preset: str, n_window: int, searches: int, *, start: int = 0, batch: int = 200, seed: int = 0, **learning: Any
) -> list[Point]:
    """List the batches of one cell, from the search `start` on; `learning` replaces settings of the preset."""
    common = {"preset": preset, "n_window": n_window, "learning": learning, "seed": seed, "searches": batch}
    return [{**common, "first": first} for first in range(start, searches, batch)]


METHODS = (
    "pca",
    "nearest_neighbours",
    "data_vs_simulation",
    "sa_cwola",
    "interpolated_sidebands",
    "autoencoder",
    "salad",
    "curtains",
    "lda",
)
"""Methods beside `cwola`. With one member and 3,000 events in the window a search takes 0.06, 0.10, 0.19, 0.30, 0.44,
0.59, 0.61, 0.76 and 1.1 CPU seconds, in this order; 2,000 searches of each take 2.3 CPU hours."""


def in_turns(*cells: Sequence[Point]) -> list[Point]:
    """Take one batch of each cell after the other."""
    return [point for turn in zip_longest(*cells) for point in turn if point is not None]


def by_method(searches: int, batch: int) -> list[Point]:
    """List the batches of all methods with one member, in turns."""
    return in_turns(*(points("demo", 3000, searches, batch=batch, method=method, n_members=1) for method in METHODS))


SINGLE = {"cross_fitting": "kfold", "n_candidates": 1, "n_members": 1}
"""One classifier a fold, for presets that choose it among candidates."""


def by_decorrelation(preset: str, searches: int) -> list[Point]:
    """List the batches of a preset with single classifiers and each decorrelation, in turns."""
    kinds = ("none", "percentile", "quantiles")
    return in_turns(*(points(preset, 3000, searches, batch=50, **SINGLE, decorrelation=kind) for kind in kinds))


POINTS = [
    *points("demo", 3000, 1000, n_members=1),
    *points("demo", 3000, 200, batch=100),
    *points("best", 3000, 200, batch=100),
    *points("sa-cwola-2021", 3000, 200, batch=100),
    *points("demo", 1000, 200, batch=100),
    *points("demo", 10_000, 200, batch=50),
    *points("demo", 3000, 400, start=200, batch=100),
    *points("best", 3000, 400, start=200, batch=100),
    *points("sa-cwola-2021", 3000, 800, start=200, batch=100),
    *points("demo", 3000, 400, batch=100, n_members=1, n_folds=2),
    *points("demo", 3000, 400, batch=100, n_members=1, n_folds=10),
    *points("demo", 30_000, 400, batch=100, n_members=1),
    *points("atlas-2025", 3000, 150, batch=50),
    *points("atlas-2020", 3000, 150, batch=50),
    *points("best", 10_000, 200, batch=50),
    *points("demo", 3000, 200, batch=100, ensemble="mean-count"),
    *by_decorrelation("atlas-2020", 400),
    *in_turns(
        points("sa-cwola-2021", 3000, 20_000, seed=1),
        points("demo", 3000, 20_000, batch=100, seed=1),
        points("best", 3000, 20_000, batch=50, seed=1),
        points("atlas-2025", 3000, 20_000, batch=50, seed=1),
        by_method(2000, batch=100),
    ),
    *points("cwola-hunting-2019", 3000, 60, batch=20),
    *points("atlas-2020", 3000, 20_000, batch=50, seed=1),
    *points("cwola-hunting-2019", 3000, 20_000, batch=20, seed=1),
]
"""Calibrations, what governs them, the methods, then tests with other seeds, as many as there is time for.

For one member `retrained_global` has the test with another seed, in all windows.
"""


@cache
def events() -> dict[str, EventTable]:
    """Features of simulated QCD events."""
    return selected_events(SAMPLES, 3000.0)


def configured(point: Point) -> SearchConfig:
    """Configuration of a point: its preset, with the settings that are varied."""
    overrides = {"random_state": point["seed"], "learning": point["learning"]}
    return load_config(preset=point["preset"], overrides=overrides)


@cache
def spectrum(preset: str) -> tuple[MassWindow, WindowTask, NullEvents]:
    """Return window, task and smooth spectrum of a preset; the spectrum has one event in the window."""
    config = load_config(preset=preset)
    scan = RegionScan.from_config(config.scan)
    window = next(one for one in scan.windows if one.signal == WINDOWS[preset])
    task = window_task(window, scan, config)
    middle = (task.edges[1:] + task.edges[:-1]) / 2 / config.background.sqrt_s_gev
    falling = (1 - middle) ** 12.4 * middle**-3.2
    setting = Setting(window, task.edges, config, task.functions, needs_simulation=False)
    fit = fit_counts(1e6 * falling / falling.sum(), setting, 1e6 * falling / falling.sum())
    total = fit.expected(task.edges)[0].sum() / fit.estimate(*window.signal).value
    return window, task, NullEvents(events()["data"], fit, task.edges, float(total))


def prepared(point: Point) -> tuple[WindowTask, NullEvents]:
    """Return the search of a point and the events of its pseudo-data, with as much simulation if it needs any."""
    config = configured(point)
    window, _, unit = spectrum(point["preset"])
    task = window_task(window, RegionScan.from_config(config.scan), config)
    expected = unit.expected * point["n_window"]
    simulation = None
    if task.folds[0].method.needs_simulation:
        pool = events()["simulation"]
        rows = np.random.default_rng([point["seed"], 1]).permutation(len(pool))[: int(expected)]
        simulation = EventTable(pool.table.take(rows), pool.features)
    return task, NullEvents(unit.events, unit.fit, unit.edges, expected, simulation)


def measure(point: Point) -> Point:
    """Search one batch of pseudo-data; z by selection and search, and the sums over pairs of folds."""
    task, nulls = prepared(point)
    return stored(search_nulls(NullTask(task, point["first"], point["searches"]), nulls))


def stored(batch: NullBatch) -> Point:
    """Round z and the sums over folds of a batch, for the file."""
    return {
        "z": {name: [None if z is None else round(z, 3) for z in values] for name, values in batch.z.items()},
        "folds": {name: [round(x, 2) for x in astuple(sums)] for name, sums in batch.folds.items()},
    }


def varied(point: Point) -> str:
    """Name the settings that a point changes; empty for the preset as shipped."""
    return ", ".join(f"{key} {value}" for key, value in point["learning"].items())


def cells(finished: Sequence[Point]) -> dict[tuple[str, int, str, int], list[Point]]:
    """Group the points by preset, events in the window, settings that are varied, and seed."""
    found: dict[tuple[str, int, str, int], list[Point]] = {}
    for point in finished:
        found.setdefault((point["preset"], point["n_window"], varied(point), point["seed"]), []).append(point)
    return found


def joined(batches: Sequence[Point]) -> dict[str, NDArray[np.float64]]:
    """z of all searches of a cell, by selection; NaN without a fit."""
    return {
        name: np.array([np.nan if z is None else z for batch in batches for z in batch["z"][name]], np.float64)
        for name in batches[0]["z"]
    }


def tested_presets(
    finished: Sequence[Point],
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.float64]]]:
    """Yield every preset as shipped whose searches with seed 1 can be calibrated with those of seed 0.

    Yields
    ------
    preset : str
    plain, calibrated : (n_searches, n_selections) float64
        z of the trained selections with seed 1, NaN without a fit; divided by the widths of z with seed 0, as
        `cwola calibrate` would have measured them.
    """
    known = cells(finished)
    for (preset, n_window, changed, seed), batches in known.items():
        calibrating = known.get((preset, n_window, "", 0))
        if not seed or changed or calibrating is None:
            continue
        found, before = joined(batches), joined(calibrating)
        names = [name for name in found if name != INCLUSIVE]
        widths = [np.nanstd(before[name], ddof=1) for name in names]
        plain = np.stack([found[name] for name in names], axis=1)
        yield preset, plain, plain / widths


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print width, correlation of folds and tails by cell."""
    finished = run(NAME, POINTS, measure, budget)
    for (preset, n_window, changed, seed), batches in cells(finished).items():
        click.echo(f"{preset}, {n_window} events in the window, {changed or 'as shipped'}, seed {seed}")
        sums = {name: np.sum([batch["folds"][name] for batch in batches], axis=0) for name in batches[0]["z"]}
        for name, values in joined(batches).items():
            z = values[np.isfinite(values)]
            squares, n, products, pairs = sums[name]
            tails = ", ".join(f"{int((z >= t).sum())} above {t}" for t in (1.645, 2.0, 3.0, 3.719, 4.0))
            click.echo(
                f"  {name:10s} {len(z)} searches, mean {z.mean():+.3f}, width {z.std(ddof=1):.3f} +- "
                f"{z.std() / np.sqrt(2 * len(z)):.3f}, variance of a fold {squares / n:.3f}, covariance of folds "
                f"{products / pairs:+.4f}; {tails}"
            )


if __name__ == "__main__":
    main()
