"""Do the verdicts of `cwola validate` agree with the truth? On single samples of QCD; the truth is the mean of many.

A verdict sees one sample and what validation makes of it. The truth is the mean over all samples of the same search of
the same windows, from `tests.studies.correlated_null`; with a drift of the masses CWoLa is bad by construction. The
sources are those of the defaults without the exact null, which tests the chain and not the features, and with two draws
of up-down-sampling. |dy| reaches up to 1.8, so that the band is smooth from 3.44 TeV.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import click

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.events.schema import SEARCH_REGION, VALIDATION_REGION
from analysis.events.table import EventTable
from analysis.regions import RegionScan
from analysis.validation import SOURCES, Pools, find_sources, plan_draws, run_draws
from analysis.validation.rapidity import band_limit
from analysis.validation.values import WindowVerdict
from analysis.validation.verdicts import window_verdict
from tests.studies.correlated_null import FRESH, SETUPS, configure, drifted
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "validation_null"
SAMPLES = FRESH[:4]
CHECKED = ("cwola", "cwola, GeV", "cwola, masses in GeV", "cwola, drift", "salad, drift")
WINDOWS = ((3300.0, 3700.0), (3700.0, 4100.0))
CHOSEN = ("rapidity", "simulation", "up-down-sampling")
DRAWS = 2
PT_HAT_MIN = 1200.0

POINTS: list[Point] = [
    {"setup": setup, "data": data, "window": list(window), "source": source.name, "draw": draw}
    for data in SAMPLES
    for setup in CHECKED
    for window in WINDOWS
    for source in find_sources(CHOSEN)
    for draw in range(DRAWS if source.repeated else 1)
]


@cache
def events(region: str) -> dict[str, EventTable]:
    """Selected events from 3 TeV on, by sample."""
    return selected_events({name: (name,) for name in (*SAMPLES, "qcd_alt")}, 3000.0, region=region)


def settings(point: Point) -> SearchConfig:
    """Configuration of the search that a point validates."""
    setup = SETUPS[point["setup"]]
    return configure(setup, point["window"], validation={"draws": DRAWS, "abs_dy_max": 1.8})


def pools(config: SearchConfig, data: str, *, drift: bool) -> Pools:
    """Events of the search, its band, and the simulation of both, as the workflow would read them."""
    searched, band = (
        {name: drifted(events(region)[name]) if drift else events(region)[name] for name in (data, "qcd_alt")}
        for region in (SEARCH_REGION, VALIDATION_REGION)
    )
    band = {name: table.select(table.column("abs_dy") < band_limit(config)) for name, table in band.items()}
    return Pools(searched[data], band[data], (("qcd_alt", searched["qcd_alt"]),), band["qcd_alt"])


def measure(point: Point) -> Point:
    """Search one signal-free sample."""
    config = settings(point)
    draws = plan_draws(
        RegionScan.from_config(config.scan), config, find_sources([point["source"]]), pt_hat_min=PT_HAT_MIN
    )
    chosen = [draw for draw in draws if draw.number == point["draw"]]
    drift = SETUPS[point["setup"]].drift
    found = run_draws(lambda: pools(config, point["data"], drift=drift), chosen, Serial())
    return {"record": next(record for _, record in found)}


def verdicts(points: Sequence[Point]) -> dict[tuple[str, str, tuple[float, float]], WindowVerdict]:
    """Verdict by set-up, sample and window, from the records of all sources; complete ones only."""
    keeps_drift = [source.name for source in SOURCES if source.keeps_drift]
    needed = sum(DRAWS if source.repeated else 1 for source in find_sources(CHOSEN))
    found = {}
    for key in dict.fromkeys((p["setup"], p["data"], tuple(p["window"])) for p in points):
        chosen = [p for p in points if (p["setup"], p["data"], tuple(p["window"])) == key]
        if len(chosen) == needed:
            records = [p["record"] for p in chosen]
            validation = settings(chosen[0]).validation
            found[key] = window_verdict(records[0]["window"], records, keeps_drift, validation)
    return found


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print all verdicts."""
    for (setup, data, _), verdict in verdicts(run(NAME, POINTS, measure, budget)).items():
        click.echo(f"{setup:24s} {data} {verdict.window} {verdict.text}; {verdict.reason}; flags {len(verdict.flags)}")


if __name__ == "__main__":
    main()
