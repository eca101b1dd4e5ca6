"""Is the global p-value uniform where whole scans are trained anew? Exact nulls, all windows of the demo.

Every point is a batch of scans of pseudo-data without signal, with the settings of `demo` but one member, so that
many can be made, and 3,000 events in the first window. Scans with seed 0 calibrate: couplings of folds, and the largest
z of each scan. Scans with seed 1 are tested with them, as a search would be: largest calibrated z, global p-value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from analysis.calibration.coupling import FoldSums
from analysis.calibration.nulls import NullEvents
from analysis.calibration.searches import NullTask, search_nulls
from analysis.calibration.summary import summarise
from analysis.calibration.values import CalibrationFile, NullBatch
from analysis.config import SearchConfig, load_config
from analysis.learning import INCLUSIVE
from analysis.regions import RegionScan
from analysis.search.window import window_task
from analysis.statistics import retrained_significance
from tests.studies.retrained_null import spectrum, stored
from tests.studies.runner import Budget, Point, load, run, study

NAME = "retrained_global"

N_WINDOW = 3000
BATCH = 20
CALIBRATING, TESTED = 300, 12_000
TAIL = 0.1
"""Level below which the distribution of p is taken for a power."""

POINTS = [
    *({"seed": 0, "first": first, "searches": BATCH} for first in range(0, CALIBRATING, BATCH)),
    *({"seed": 1, "first": first, "searches": BATCH} for first in range(0, TESTED, BATCH)),
]


def configured(seed: int) -> SearchConfig:
    """Settings of the demo with one member."""
    return load_config(preset="demo", overrides={"random_state": seed, "learning": {"n_members": 1}})


@cache
def nulls() -> NullEvents:
    """Features of simulated QCD events and a smooth spectrum."""
    _, _, unit = spectrum("demo")
    return replace(unit, expected=unit.expected * N_WINDOW)


def measure(point: Point) -> Point:
    """Scan one batch of pseudo-data; z by window, selection and set, and the sums over folds."""
    config = configured(point["seed"])
    scan = RegionScan.from_config(config.scan)
    found: dict[str, Any] = {}
    for window in scan.windows:
        batch = search_nulls(NullTask(window_task(window, scan, config), point["first"], point["searches"]), nulls())
        found[window.name] = {**stored(batch), "correlation": round(batch.correlation, 4)}
    return {"windows": found}


def batches(finished: Sequence[Point], seed: int) -> list[NullBatch]:
    """Records of all windows, as `cwola calibrate` stores them."""
    return [
        NullBatch(
            name,
            point["first"],
            {selection: tuple(z) for selection, z in one["z"].items()},
            {selection: FoldSums(*sums) for selection, sums in one["folds"].items()},
            one["correlation"],
        )
        for point in finished
        if point["seed"] == seed
        for name, one in point["windows"].items()
    ]


def calibration(finished: Sequence[Point]) -> CalibrationFile:
    """Summarise the calibrating scans."""
    names = [window.name for window in RegionScan.from_config(configured(0).scan).windows]
    return summarise("", batches(finished, 0), names)


def tested(finished: Sequence[Point]) -> Iterator[dict[tuple[str, str], tuple[float, float]]]:
    """Plain and calibrated z by window and selection, of one tested scan after the other; widths are of seed 0."""
    widths = {
        (window, name): null.z.width
        for window, selections in calibration(finished).windows.items()
        for name, null in selections.items()
    }
    for point in finished:
        if point["seed"] != 1:
            continue
        for index in range(point["searches"]):
            yield {
                (window, name): (z[index], z[index] / (1.0 if name == INCLUSIVE else widths[window, name]))
                for window, one in point["windows"].items()
                for name, z in one["z"].items()
                if z[index] is not None
            }


def local_significances(finished: Sequence[Point]) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Plain and calibrated z of all windows of the tested scans, (n,) each, by selection."""
    found: dict[str, list[tuple[float, float]]] = {}
    for scan in tested(finished):
        for (_, name), pair in scan.items():
            found.setdefault(name, []).append(pair)
    return {name: (np.array(pairs)[:, 0], np.array(pairs)[:, 1]) for name, pairs in found.items()}


def global_p_values(finished: Sequence[Point]) -> NDArray[np.float64]:
    """(n_scans,): global p-values of the tested scans."""
    largest = np.array(calibration(finished).largest)
    p_values = []
    for scan in tested(finished):
        z = [calibrated for _, calibrated in scan.values()]
        p0 = retrained_significance(max(z), largest, n_trials=len(z)).p0
        p_values.append(1.0 if p0 is None else p0)
    return np.array(p_values)


def ratio_by_power_law(p_values: NDArray[np.float64], level: float, *, start: float = TAIL) -> tuple[float, float]:
    """Estimate how often p is below a level, relative to the level, from all p-values below a larger one.

    Below `start`, P(p < x) is taken for a power of x, whose exponent is the inverse mean of ln(start / p) (B. M. Hill,
    Ann. Statist. 3 (1975) 1163): a p-value that comes from a smooth function of z has this to first order in ln x.

    Parameters
    ----------
    p_values : (n,) float64
    level : float
    start : float

    Returns
    -------
    ratio, error : float
    """
    below = p_values[p_values < start]
    exponent, distance = 1 / float(np.log(start / below).mean()), float(np.log(start / level))
    ratio = len(below) / len(p_values) / level * float(np.exp(-exponent * distance))
    return ratio, ratio * float(np.hypot(1.0, exponent * distance)) / len(below) ** 0.5


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print how often global p-values are below a level."""
    run(NAME, POINTS, measure, budget)
    finished = load(NAME)
    if not any(point["seed"] for point in finished):
        return
    p_values = global_p_values(finished)
    for level in (0.5, 0.1, 0.05, 0.01, 1e-3):
        below = int((p_values < level).sum())
        ratio, error = ratio_by_power_law(p_values, level)
        click.echo(
            f"p < {level:g}: {below} of {len(p_values)}, {level * len(p_values):.1f} expected, "
            f"ratio by a power law {ratio:.2f} ± {error:.2f}"
        )


if __name__ == "__main__":
    main()
