"""Does validation tell a method that survives a drift with m_jj from one that does not? The shift test of SA-CWoLa.

As in `tests.studies.shift_test` (arXiv:2009.02205), in data and simulation the mass of the lighter jet gets 0.1 m_jj
and that of the heavier 0.2 m_jj. qcd_a and qcd_b stand for data (66.5 fb-1), the other tune qcd_alt for simulation; no
signal is hidden. CWoLa must be called not valid, SALAD or SA-CWoLa valid; without the shift (shift 0) all of them.
Settings are the defaults with three members; the band in |dy| ends at 1.8, so that it is smooth from 3.44 TeV.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import click

from analysis.compute import Serial
from analysis.config import SearchConfig, load_config
from analysis.events.dataset import Dataset
from analysis.events.schema import SEARCH_REGION, VALIDATION_REGION
from analysis.events.table import EventTable
from analysis.regions import RegionScan
from analysis.validation import SOURCES, Pools, find_sources, plan_draws, run_draws
from analysis.validation.rapidity import band_limit
from analysis.validation.values import CombinedShift, SourceSelection, WindowVerdict
from analysis.validation.verdicts import window_verdict
from processors.runner.run import load_table, process_datasets
from tests.studies.runner import Budget, Point, data_folder, run, study
from tests.studies.shift_test import NAMES, shifted

NAME = "validation_shift"
SAMPLES = {"data": ("qcd_a", "qcd_b"), "simulation": ("qcd_alt",)}
PT_HAT_MIN = 1200.0
WINDOWS = ((3300.0, 3700.0), (3700.0, 4100.0))
METHODS: dict[str, dict[str, Any]] = {
    "cwola": {},
    "salad": {"method": "salad"},
    "sa_cwola": {"method": "sa_cwola", "simulation_weight": 0.5},
}
DRAWS = 3

POINTS = [
    {"method": method, "shift": shift, "source": source.name, "window": list(window), "draw": draw}
    for shift in (1.0, 0.0)
    for source in SOURCES
    for method in METHODS
    for window in WINDOWS
    for draw in range(DRAWS if source.repeated else 1)
]


def configure(point: Point) -> SearchConfig:
    """Configuration of the search that a point validates."""
    learning = {"features": NAMES, "n_members": 3, **METHODS[point["method"]]}
    overrides = {
        "learning": learning,
        "scan": {"windows": [point["window"]]},
        "validation": {"draws": DRAWS, "abs_dy_max": 1.8},
    }
    return load_config(overrides=overrides)


@cache
def events() -> dict[tuple[str, str], EventTable]:
    """Selected events by sample and region in |dy|, features as they are."""
    folder = data_folder() / "pythia"
    names = [name for members in SAMPLES.values() for name in members]
    datasets = {
        name: Dataset(name, "pseudodata", "nanoaod", ((str(folder / f"{name}.root"), "Events"),)) for name in names
    }
    with tempfile.TemporaryDirectory() as temporary:
        result = process_datasets(datasets, load_config(preset="best"), Path(temporary), Serial())
        tables = {key: load_table(result, datasets, list(members)) for key, members in SAMPLES.items()}
    return {
        (key, region): table.in_region(region)
        for key, table in tables.items()
        for region in (SEARCH_REGION, VALIDATION_REGION)
    }


def pools(config: SearchConfig, shift: float) -> Pools:
    """Shifted events, as the workflow would read them."""
    found = {key: shifted(table, shift) for key, table in events().items()}
    band = {
        key: table.select(table.column("abs_dy") < band_limit(config))
        for (key, region), table in found.items()
        if region == VALIDATION_REGION
    }
    return Pools(
        found["data", SEARCH_REGION],
        band["data"],
        (("qcd_alt", found["simulation", SEARCH_REGION]),),
        band["simulation"],
    )


def measure(point: Point) -> Point:
    """Search one signal-free sample."""
    config = configure(point)
    scan = RegionScan.from_config(config.scan)
    draws = plan_draws(scan, config, find_sources([point["source"]]), pt_hat_min=PT_HAT_MIN)
    chosen = [draw for draw in draws if draw.number == point["draw"]]
    found = run_draws(lambda: pools(config, point["shift"]), chosen, Serial())
    return {"record": next(record for _, record in found)}


def verdicts(finished: Sequence[Point]) -> dict[tuple[str, float, tuple[float, float]], WindowVerdict]:
    """Verdict of every method, shift and window, from the records of all its sources."""
    drift = [source.name for source in SOURCES if source.keeps_drift]
    found = {}
    for method, shift, window in dict.fromkeys((p["method"], p["shift"], tuple(p["window"])) for p in finished):
        chosen = [p for p in finished if (p["method"], p["shift"], tuple(p["window"])) == (method, shift, window)]
        records = [p["record"] for p in chosen]
        settings = configure(chosen[0]).validation
        found[method, shift, window] = window_verdict(records[0]["window"], records, drift, settings)
    return found


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print verdicts with their numbers."""
    finished = run(NAME, POINTS, measure, budget)
    for (method, shift, _), verdict in verdicts(finished).items():
        click.echo(f"{method}, shift {shift:g}, {verdict.window} GeV: {verdict.verdict}")
        rows = {"all": verdict.combined}
        rows |= {f"{one.source} ({one.verdict})": one.selections for one in verdict.sources}
        for source, selections in rows.items():
            click.echo(f"  {source:32s}" + "  ".join(map(_describe, selections)))


def _describe(one: CombinedShift | SourceSelection) -> str:
    if one.delta is None:
        return f"{one.name} -"
    shift = "" if one.shift is None else f" ({one.shift:+.1f} ± {one.shift_error:.1f} sigma)"
    return f"{one.name} {one.delta:+.3f} ± {one.delta_error:.3f}{shift}"


if __name__ == "__main__":
    main()
