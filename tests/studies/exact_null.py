"""Is z a unit Gaussian where features know nothing of m_jj? One window, pseudo-datasets without signal, by method.

The events are those of the Pythia QCD samples with their own features; m_jj of every event is drawn anew from a smooth
fit to their spectrum, which is the same as to shuffle the features among the events. Simulation, for the methods that
need it, is the sample of the alternative tune, with m_jj from the same fit. The whole chain runs: five folds of three
members, cuts, sideband fit with choice of order, test. Aimed at: mean of z within 0.2 of 0, width 0.9 to 1.1, at every
working point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.background import DEFAULT_STRATEGY, FUNCTIONS, TRANSFER_FACTOR, fit_background
from analysis.config import load_config
from analysis.events.table import EventTable
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import run_window
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "exact_null"

SAMPLES = {"qcd": ("qcd_a", "qcd_b"), "simulation": ("qcd_alt",)}
EDGES = np.arange(3000.0, 6501.0, 100.0)
FINE = np.arange(3000.0, 6500.5, 5.0)

POINTS = [
    *({"method": "cwola", "ensemble": "mean-score", "draw": draw, "strategy": TRANSFER_FACTOR} for draw in range(200)),
    *({"method": "cwola", "ensemble": "mean-score", "draw": draw} for draw in range(200)),
    *({"method": "cwola", "ensemble": "argos", "draw": draw} for draw in range(100)),
    *(
        {"method": method, "ensemble": "mean-score", "draw": draw}
        for draw in range(200)
        for method in ("salad", "sa_cwola", "data_vs_simulation")
    ),
    *({"method": "cwola", "ensemble": "mean-count", "draw": draw} for draw in range(50)),
]
"""Without a strategy: selections fitted alone, with a Gaussian error, as was the default before."""

ENSEMBLES: dict[str, dict[str, Any]] = {
    "mean-score": {"ensemble": "mean-score"},
    "mean-count": {"ensemble": "mean-count"},
    "argos": {"working_point": "argos", "tuning": {"criterion": "argos", "n_members": 2}},
}
"""Settings of `learning`; with "argos" rounds and working point are chosen in the training folds, by mean scores."""


@cache
def events() -> dict[str, EventTable]:
    """Selected events of the search region in the fit range, data and simulation."""
    return selected_events(SAMPLES, EDGES[0], EDGES[-1])


@cache
def quantiles() -> NDArray[np.float64]:
    """Cumulative distribution of m_jj at the edges `FINE`, from a fit to the data without a mask."""
    counts = np.histogram(events()["qcd"].mjj, EDGES)[0].astype(np.float64)
    fit = fit_background(counts, EDGES, mask=(), function=FUNCTIONS["dijet4"], sqrt_s_gev=13000.0)
    expected, _ = fit.expected(FINE)
    return np.concatenate([[0.0], np.cumsum(expected) / expected.sum()])


def shuffled(table: EventTable, rng: np.random.Generator) -> EventTable:
    """The same events with other masses."""
    mjj = np.interp(rng.random(len(table)), quantiles(), FINE)
    index = table.table.column_names.index("mjj")
    return EventTable(table.table.set_column(index, "mjj", pa.array(mjj)), table.features)


def measure(point: Point) -> Point:
    """Search one pseudo-dataset; z of every selection."""
    learning = {"method": point["method"], "n_members": 3, **ENSEMBLES[point["ensemble"]]}
    overrides: dict[str, Any] = {
        "random_state": point["draw"],
        "learning": learning,
        "scan": {"windows": [[3300.0, 3700.0]]},
        "background": {"strategy": point.get("strategy", DEFAULT_STRATEGY)},
        "statistics": {"calculator": "asymptotics", "likelihood": "profile" if "strategy" in point else "gaussian"},
    }
    if "strategy" not in point:
        overrides["background"]["function_error"] = "none"
    config = load_config(preset="best", overrides=overrides)
    rng = np.random.default_rng([point["draw"], 1])
    data = SearchData(shuffled(events()["qcd"], rng), simulation=shuffled(events()["simulation"], rng))
    scan = RegionScan.from_config(config.scan)
    result = run_window(data, scan.windows[0], scan, config)
    return {
        "z": {one.name: None if one.discovery is None else round(one.discovery.z, 3) for one in result.selections},
        "background": {
            one.name: None if one.background is None else round(one.background, 1) for one in result.selections
        },
    }


def kind(point: Point) -> tuple[str, str, str]:
    """Return method, ensemble and strategy of a point."""
    return point["method"], point["ensemble"], point.get("strategy", DEFAULT_STRATEGY)


@dataclass(frozen=True)
class Spread:
    """How z scatters over pseudo-datasets; errors are statistical, of a Gaussian."""

    n: int
    mean: float
    mean_error: float
    width: float
    width_error: float


def spread(finished: Sequence[Point], selection: str) -> Spread:
    """Mean and width of z of one selection, over the pseudo-datasets that have one."""
    z = np.array([point["z"][selection] for point in finished if point["z"][selection] is not None])
    width = float(z.std(ddof=1))
    return Spread(len(z), float(z.mean()), width / len(z) ** 0.5, width, width / (2 * len(z)) ** 0.5)


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print mean and width of z."""
    finished = run(NAME, POINTS, measure, budget)
    for method, ensemble, strategy in dict.fromkeys(map(kind, finished)):
        chosen = [point for point in finished if kind(point) == (method, ensemble, strategy)]
        for name in chosen[0]["z"]:
            z = spread(chosen, name)
            click.echo(
                f"{method}, {ensemble}, {name}: {z.n} of {len(chosen)} fits, mean {z.mean:+.2f} +- {z.mean_error:.2f}, "
                f"width {z.width:.2f} +- {z.width_error:.2f}"
            )


if __name__ == "__main__":
    main()
