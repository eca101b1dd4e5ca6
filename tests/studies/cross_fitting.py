"""Do schemes of cross-fitting whose p-values are exact find less? k folds, half against half, sequential.

Five independent samples of 66.5 fb-1 of Pythia QCD stand for data, in which W'(3500) events are hidden: S / sqrt(B) in
3.3 to 3.7 TeV, and beside it in proportion. A draw is one order of the simulated signal events and one seed of the
search; schemes and strengths are paired. The whole chain of `best` runs, with three members. Without signal, the null
is that of the study `exact_null`, which holds the points of the five folds: features know nothing of m_jj, and events
are trained on again in every pseudo-dataset.

z is the local one that the search quotes. For k folds it is not that of a correct p-value, since the folds train one
another; its width without signal says by how much. Of the two halves the smaller p-value counts, doubled, which holds
however they depend on each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import numpy as np
import pyarrow as pa
from scipy.stats import norm

from analysis.background import TRANSFER_FACTOR
from analysis.config import SearchConfig, load_config
from analysis.events.table import EventTable
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import run_window
from tests.studies import exact_null
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, load, local_z, run, study

NAME = "cross_fitting"

KFOLD, HALF, SEQUENTIAL, SEQUENTIAL_10 = "kfold, 5", "half", "sequential, 5", "sequential, 10"
SCHEMES: dict[str, dict[str, Any]] = {
    KFOLD: {"cross_fitting": "kfold", "n_folds": 5},
    HALF: {"cross_fitting": "half", "n_folds": 2},
    SEQUENTIAL: {"cross_fitting": "sequential", "n_folds": 5},
    SEQUENTIAL_10: {"cross_fitting": "sequential", "n_folds": 10},
}

SAMPLES = (("qcd_a", "qcd_b"), *((f"qcd_{i}", f"qcd_{i + 1}") for i in (1, 3, 5, 7)))
SIGNAL = "wprime_3500_500_100"
WINDOW = (3300.0, 3700.0)
STRENGTHS = (0.25, 0.5, 1.0, 1.5)
CUTS = (0.1, 0.05, 0.02, 0.01)
N_DRAWS, N_NULLS = 4, 120

_WITH_SIGNAL: list[Point] = [
    {"scheme": scheme, "strength": strength, "sample": sample, "draw": draw}
    for draw in range(N_DRAWS)
    for sample in range(len(SAMPLES))
    for strength in STRENGTHS
    for scheme in SCHEMES
]
_NULLS: list[Point] = [
    {"scheme": scheme, "strength": 0.0, "draw": draw}
    for draw in range(N_NULLS)
    for scheme in SCHEMES
    if scheme != KFOLD
]
POINTS = [*_WITH_SIGNAL[: len(_WITH_SIGNAL) // 2], *_NULLS, *_WITH_SIGNAL[len(_WITH_SIGNAL) // 2 :]]


@cache
def qcd(sample: int) -> EventTable:
    """Return the selected events of one sample in the fit range."""
    return selected_events({"qcd": SAMPLES[sample]}, *_fit_range())["qcd"]


@cache
def signal() -> EventTable:
    """Return the selected signal events in the fit range."""
    return selected_events({"signal": (SIGNAL,)}, *_fit_range())["signal"]


def _fit_range() -> tuple[float, float]:
    return float(exact_null.EDGES[0]), float(exact_null.EDGES[-1])


def configured(point: Point) -> SearchConfig:
    """Return the settings of a point."""
    overrides: dict[str, Any] = {
        "random_state": point["draw"],
        "learning": {"n_members": 3, **SCHEMES[point["scheme"]]},
        "scan": {"windows": [list(WINDOW)]},
        "statistics": {"calculator": "asymptotics"},
    }
    return load_config(preset="best", overrides=overrides)


def injected(sample: int, strength: float, draw: int) -> EventTable:
    """Hide the first signal events of a draw in a sample, S / sqrt(B) in the window and in proportion beside it."""
    background, simulated = qcd(sample), signal()
    order = np.random.default_rng([draw, sample]).permutation(len(simulated))
    inside = ((simulated.mjj >= WINDOW[0]) & (simulated.mjj < WINDOW[1]))[order]
    n_background = int(((background.mjj >= WINDOW[0]) & (background.mjj < WINDOW[1])).sum())
    n_inside = round(strength * n_background**0.5)
    n_beside = round(n_inside * (~inside).sum() / inside.sum())
    chosen = np.sort(np.concatenate([order[inside][:n_inside], order[~inside][:n_beside]]))
    tables = [background.table, simulated.table.take(chosen)]
    return EventTable(pa.concat_tables(tables).unify_dictionaries().combine_chunks(), background.features)


def measure(point: Point) -> Point:
    """Search the window; local z of every selection."""
    config = configured(point)
    if point["strength"]:
        table = injected(point["sample"], point["strength"], point["draw"])
    else:
        table = exact_null.shuffled(exact_null.events()["qcd"], np.random.default_rng([point["draw"], 1]))
    scan = RegionScan.from_config(config.scan)
    (z,) = local_z([run_window(SearchData(table), scan.windows[0], scan, config)]).values()
    return {"z": z}


def finished_points() -> list[Point]:
    """Return all points, with those of the five folds without signal from the study `exact_null`."""
    wanted = ("cwola", "mean-score", TRANSFER_FACTOR)
    folds = [one for one in load(exact_null.NAME) if exact_null.kind(one) == wanted]
    nulls = [{"scheme": KFOLD, "strength": 0.0, "draw": one["draw"], "z": one["z"]} for one in folds]
    return [*load(NAME), *nulls]


def combined(z_a: float, z_b: float) -> float:
    """Significance of two looks that may depend on each other in any way: the smaller p-value, doubled; at least -3."""
    return max(-3.0, float(norm.isf(min(1.0, 2.0 * norm.sf(max(z_a, z_b))))))


def quoted(point: Point, efficiency: float) -> float | None:
    """Significance of a point at a working point; of two halves the combination, None without a fit."""
    name = f"eff_{efficiency:g}"
    if point["scheme"] != HALF:
        return None if point["z"][name] is None else float(point["z"][name])
    halves = [point["z"][f"{name}_{half}"] for half in ("a", "b")]
    return None if None in halves else combined(*halves)


@dataclass(frozen=True)
class Found:
    """Median of z over draws of all samples; its error is that of the mean of the medians of each sample."""

    median: float
    error: float
    n: int


def found(points: Sequence[Point], scheme: str, strength: float, efficiency: float) -> Found | None:
    """Summarise z with signal; None without draws of two samples."""
    by_sample: dict[int, list[float]] = {}
    for point in points:
        if (point["scheme"], point["strength"]) == (scheme, strength):
            z = quoted(point, efficiency)
            if z is not None:
                by_sample.setdefault(point["sample"], []).append(z)
    if len(by_sample) < 2:
        return None
    every = [z for of_one in by_sample.values() for z in of_one]
    medians = [float(np.median(of_one)) for of_one in by_sample.values()]
    return Found(float(np.median(every)), float(np.std(medians, ddof=1) / len(medians) ** 0.5), len(every))


def nulls(points: Sequence[Point], scheme: str, efficiency: float) -> list[float]:
    """Significances without signal; of two halves those of both, each of which is a look."""
    chosen = [one["z"] for one in points if one["scheme"] == scheme and not one["strength"]]
    endings = ("_a", "_b") if scheme == HALF else ("",)
    found = [z[f"eff_{efficiency:g}{ending}"] for z in chosen for ending in endings]
    return [z for z in found if z is not None]


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study; print the median z with signal, and mean and width of z without."""
    run(NAME, POINTS, measure, budget)
    points = finished_points()
    for strength in STRENGTHS:
        for scheme in SCHEMES:
            cells = [found(points, scheme, strength, efficiency) for efficiency in CUTS]
            shown = ["none" if one is None else f"{one.median:+.2f} +- {one.error:.2f} ({one.n})" for one in cells]
            click.echo(f"S/sqrt(B) {strength:g}, {scheme}: {', '.join(shown)}")
    for scheme in SCHEMES:
        for efficiency in CUTS:
            z = nulls(points, scheme, efficiency)
            if len(z) > 1:
                one = exact_null.spread([{"z": {"": value}} for value in z], "")
                click.echo(
                    f"no signal, {scheme}, {efficiency:g}: {one.n} z, mean {one.mean:+.2f} +- {one.mean_error:.2f}, "
                    f"width {one.width:.3f} +- {one.width_error:.3f}"
                )


if __name__ == "__main__":
    main()
