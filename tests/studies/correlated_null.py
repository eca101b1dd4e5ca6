"""What do features that know of m_jj do to z where there is no signal? Pythia QCD as it is, by method.

The whole chain runs with the settings of `best` in three windows side by side. The samples are finite, and a training
seed does not draw new events: z and (n - b) / b of one sample in one window are averaged over seeds, but their errors
stay those of one seed, 1 and sqrt(1 / b + (sigma_b / b)^2). Independent numbers come from other windows and samples:
qcd_a with qcd_b as data and the other tune qcd_alt as simulation, and with the roles swapped. No event is drawn twice;
sidebands reach into the neighbouring window. Halves of qcd would be the same events again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import numpy as np

from analysis.config import SearchConfig, load_config
from analysis.events.table import EventTable
from analysis.learning import PassWeights
from analysis.regions import RegionScan
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import run_window
from analysis.validation.averages import combine
from analysis.validation.sculpting import sculpting
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "correlated_null"

TABLES = {"qcd": ("qcd_a", "qcd_b"), "alt": ("qcd_alt",)}
SIMULATION = {"qcd": "alt", "alt": "qcd"}
"""Data, and the simulation that goes with them."""

WINDOWS = ((3300.0, 3700.0), (3700.0, 4100.0), (4100.0, 4500.0))
PLAIN_MASSES = ["mj2", "delta_mj", "tau21_j1", "tau21_j2"]
METHODS: dict[str, dict[str, Any]] = {
    "cwola": {},
    "cwola, percentile": {"decorrelation": "percentile"},
    "cwola, counts averaged": {"ensemble": "mean-count"},
    "cwola, plain masses": {"features": PLAIN_MASSES},
    "salad": {"method": "salad"},
    "sa_cwola": {"method": "sa_cwola", "simulation_weight": 0.5},
    "data_vs_simulation": {"method": "data_vs_simulation"},
}
SEEDS = 5

POINTS = [
    {"method": method, "data": data, "window": list(window), "seed": seed}
    for seed in range(SEEDS)
    for data in TABLES
    for window in WINDOWS
    for method in METHODS
]


@cache
def events() -> dict[str, EventTable]:
    """Selected events in the fit range."""
    low, high = load_config(preset="best").scan.fit_range
    return selected_events(TABLES, low, high)


def measure(point: Point) -> Point:
    """Search one window of one sample."""
    overrides = {
        "random_state": point["seed"],
        "learning": METHODS[point["method"]],
        "scan": {"windows": [point["window"]]},
        "statistics": {"calculator": "asymptotics"},
    }
    config = load_config(preset="best", overrides=overrides)
    table, simulation = events()[point["data"]], events()[SIMULATION[point["data"]]]
    scan = RegionScan.from_config(config.scan)
    result = run_window(SearchData(table, simulation=simulation), scan.windows[0], scan, config)
    if result.reason is not None or result.passes is None:
        return {"selections": {}, "reason": result.reason}
    flatness = _flatness(result, table, config)
    return {
        "selections": {
            one.name: {
                "z": None if one.discovery is None else _rounded(one.discovery.z),
                "n": _rounded(one.n_obs),
                "b": _rounded(one.background),
                "b_error": _rounded(one.background_error),
                **flatness.get(one.name, {}),
            }
            for one in result.selections
        }
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _flatness(result: WindowResult, table: EventTable, config: SearchConfig) -> dict[str, dict[str, Any]]:
    """Test of the efficiency in the fit bins, and the non-closure of `analysis.validation.sculpting`, by selection."""
    assert result.passes is not None
    assert result.thresholds is not None
    achieved = tuple(one.efficiency_achieved for one in result.selections)
    efficiencies = (1.0, *config.learning.efficiencies)
    passes = PassWeights(efficiencies, achieved, np.asarray(result.passes, np.float64), result.thresholds)
    found = {}
    for one in sculpting(table, passes, result.edges, window=result.window):
        closure = one.non_closure
        found[one.selection] = {
            "chi2": round(one.chi2, 2),
            "ndof": one.ndof,
            "non_closure": None if closure is None else [round(closure.value, 4), round(closure.error, 4)],
        }
    return found


@dataclass(frozen=True)
class Cell:
    """One selection of one sample in one window, averaged over seeds."""

    z: float
    delta: float
    delta_error: float
    closure: float
    closure_error: float
    chi2: float
    ndof: float


def cell(repeats: Sequence[Point], selection: str) -> Cell | None:
    """Average over the seeds with a fit; None where there is none. Errors are those of one seed."""
    found = [point["selections"].get(selection, {}) for point in repeats]
    found = [one for one in found if one.get("z") is not None and one.get("non_closure") is not None]
    if not found:
        return None
    n, b, error, z, chi2, ndof = (
        np.array([one[key] for one in found], np.float64) for key in ("n", "b", "b_error", "z", "chi2", "ndof")
    )
    closure = np.array([one["non_closure"] for one in found], np.float64)
    columns = (z, n / b - 1, np.sqrt(1 / b + (error / b) ** 2), closure[:, 0], closure[:, 1], chi2, ndof)
    return Cell(*(float(column.mean()) for column in columns))


def cells(finished: Sequence[Point], method: str, samples: Sequence[str], selection: str) -> list[Cell]:
    """All cells of a method with a fit, sample by sample and window by window."""
    found = []
    for data in samples:
        for window in WINDOWS:
            chosen = [p for p in finished if (p["method"], p["data"], p["window"]) == (method, data, list(window))]
            found.append(cell(chosen, selection))
    return [one for one in found if one is not None]


def describe(found: Sequence[Cell]) -> str:
    """One line: means over the cells."""
    z = combine([one.z for one in found], [1.0] * len(found))
    delta = combine([one.delta for one in found], [one.delta_error for one in found])
    closure = combine([one.closure for one in found], [one.closure_error for one in found])
    chi2, ndof = sum(one.chi2 for one in found), sum(one.ndof for one in found)
    return (
        f"z {z.value:+.2f} +- {z.error:.2f} (spread {np.std([one.z for one in found]):.2f}), "
        f"delta {delta.value:+.3f} +- {delta.error:.3f} (chi2 {delta.chi2:.1f}), "
        f"non-closure {closure.value:+.3f} +- {closure.error:.3f}, flatness {chi2:.0f}/{ndof:.0f}, {len(found)} cells"
    )


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print the means by method and selection."""
    finished = run(NAME, POINTS, measure, budget)
    for samples in (("qcd",), tuple(TABLES)):
        click.echo(f"data: {', '.join(samples)}")
        for method in METHODS:
            for selection in ("eff_0.1", "eff_0.05", "eff_0.02", "eff_0.01"):
                found = cells(finished, method, samples, selection)
                if found:
                    click.echo(f"  {method:24s} {selection:8s} {describe(found)}")


if __name__ == "__main__":
    main()
