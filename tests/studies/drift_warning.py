"""From which drift on does CWoLa lose its signal? With what `analysis.validation.drift` measures before any training.

A multiple of 0.2 m_jj is added to the mass of the first jet and of 0.1 m_jj to that of the second, in Pythia QCD and in
a W' of 3.5 TeV that is hidden in 3.3-3.7 TeV with S / sqrt(B) = 2. Each point has two of the big samples as data. The
largest drift without a note, `analysis.validation.drift.MAX_DRIFT`, was chosen on the first four samples; the numbers
that are quoted come from the other four. SIC is that of cross-fitted trees of `best`, three members, at a background
efficiency of 1 %, and those of idealised CWoLa, which has pure background to compare with, tell what can be reached.

Toys with features that are independent of m_jj tell how often a note is false.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import click
import numpy as np

from analysis.compute import Serial
from analysis.config import LearningConfig, SearchConfig, load_config
from analysis.diagnostics.gains import Benchmark, separations
from analysis.events.table import EventTable
from analysis.learning import Samples
from analysis.methods import CWoLa, Idealised
from analysis.regions import RegionScan
from analysis.search.window import fold_tasks
from analysis.validation.drift import Separation, WindowDrift, measure_drift
from tests.builders.toy_tables import WINDOW, toy_table
from tests.studies.correlated_null import FEATURES, drifted
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study
from tests.studies.shift_test import inject

NAME = "drift_warning"
SIGNAL = "wprime_3500_500_100"
CHOSEN_ON, QUOTED = (("qcd_1", "qcd_2"), ("qcd_3", "qcd_4")), (("qcd_5", "qcd_6"), ("qcd_7", "qcd_8"))
METHODS = {"cwola": CWoLa(), "idealised": Idealised(halves=True)}
STRENGTH = 2.0
EFFICIENCY = 0.01
MULTIPLES = (0.0, 0.1, 0.2, 0.35, 0.6, 1.0)
SETS = ("masses in GeV", "m_2, Δm in GeV, τ21", "masses over m_jj, τ21")
CASES = (
    *((features, False, MULTIPLES) for features in SETS[:2]),
    (SETS[2], False, (0.0,)),
    (SETS[0], True, (0.0, 1.0)),
)
"""Features, whether they are percentiles, and multiples of the drift; masses over m_jj do not feel it."""
TOYS = 300
TOY_EVENTS = (1_500, 5_000, 20_000)

POINTS: list[Point] = [
    {"kind": "pythia", "data": list(data), "features": features, "percentile": percentile, "multiple": multiple}
    for data in (*CHOSEN_ON, *QUOTED)
    for features, percentile, multiples in CASES
    for multiple in multiples
] + [{"kind": "toys", "events": events} for events in TOY_EVENTS]


@cache
def events() -> dict[str, EventTable]:
    """Selected events above 3 TeV, of each pair of samples and of the signal."""
    samples = {"+".join(data): data for data in (*CHOSEN_ON, *QUOTED)}
    return selected_events(samples | {SIGNAL: (SIGNAL,)}, *load_config(preset="best").scan.fit_range)


def configure(features: str, *, percentile: bool) -> SearchConfig:
    """Configuration of `best` with other features, in one window."""
    learning = {"features": FEATURES[features], "n_members": 3, "decorrelation": "percentile" if percentile else "none"}
    return load_config(preset="best", overrides={"learning": learning, "scan": {"windows": [[3300, 3700]]}})


def measure(point: Point) -> Point:
    """Drift beside the mask, and SIC of CWoLa and of idealised CWoLa; or drifts of toys."""
    if point["kind"] == "toys":
        return _toys(point["events"])
    config = configure(point["features"], percentile=point["percentile"])
    scan = RegionScan.from_config(config.scan)
    tables = {"data": events()["+".join(point["data"])], "signal": events()[SIGNAL]}
    tables = {name: drifted(table, point["multiple"]) for name, table in tables.items()}
    data, held_out = inject(tables, scan.windows[0], 0, STRENGTH)
    (task, *_) = fold_tasks(scan.windows[0], scan.edges(scan.windows[0]), config, 0)
    tasks = [replace(task, method=method) for method in METHODS.values()]
    found = separations(tasks, Benchmark(Samples(data, None, (SIGNAL,)), held_out), Serial())
    sic = {name: round(float(one.signal.sic(EFFICIENCY)), 3) for name, one in zip(METHODS, found, strict=True)}
    return _document(measure_drift(data, scan.windows[0], config.learning)) | sic


def _document(drift: WindowDrift) -> dict[str, Any]:
    assert drift.together is not None
    return {
        "auc": [drift.together.auc, drift.together.auc_error],
        "drift": [drift.together.drift, drift.together.drift_error],
        "single": {one.name: [one.auc, one.drift] for one in drift.features},
    }


def _toys(n_events: int) -> Point:
    learning = LearningConfig(features=("x0", "x1", "x2", "x3"))
    measured = [
        measure_drift(toy_table(n_events, random_state=toy, n_features=4), WINDOW, learning, seed=toy)
        for toy in range(TOYS)
    ]
    together = [one.together for one in measured if one.together is not None]
    pulls = np.array([(one.auc - 0.5) / one.auc_error for one in together])
    return {
        "measured": len(together),
        "pull": [round(float(pulls.mean()), 3), round(float(pulls.std(ddof=1)), 3)],
        "largest": max(one.drift for one in together),
    }


def is_noted(point: Point) -> bool:
    """Whether a search would be warned of its features."""
    return Separation("all", *point["auc"], *point["drift"]).is_large


def chosen(
    points: Sequence[Point], pairs: Sequence[Sequence[str]], features: str, multiple: float, *, percentile: bool = False
) -> list[Point]:
    """Points of some samples."""
    wanted = {"features": features, "percentile": percentile, "multiple": multiple}
    found = [p for p in points if p["kind"] == "pythia" and all(p[key] == value for key, value in wanted.items())]
    return [p for p in found if p["data"] in [list(pair) for pair in pairs]]


@study(minutes=20.0)
def main(budget: Budget) -> None:
    """Run the study and print drifts and SIC by features and multiple of the drift."""
    points = run(NAME, POINTS, measure, budget)
    for title, pairs in (("chosen on", CHOSEN_ON), ("quoted", QUOTED)):
        for features, percentile, multiples in CASES:
            for multiple in multiples:
                if found := chosen(points, pairs, features, multiple, percentile=percentile):
                    shown = [f"{p['drift'][0]:+.2f} ({p['auc'][0]:.3f}) {p['cwola']}/{p['idealised']}" for p in found]
                    click.echo(f"{title}, {features}, percentile {percentile}, {multiple:g}: {'; '.join(shown)}")
    for point in points:
        if point["kind"] == "toys":
            click.echo(str(point))


if __name__ == "__main__":
    main()
