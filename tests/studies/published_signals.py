"""Limits on twenty signals of the second weakly supervised search of ATLAS (arXiv:2502.09770), on the demo's QCD.

W' → W'' Z'' and A0 → H'' Z', both to four quarks, at ten sets of masses each; the grid of the publication is not known
to us. Preset `atlas-2025` as far as the demo's QCD carries it: its spectrum is smooth above 3 TeV, so the first window
begins at 3.6 TeV, and jets are soft-drop jets. SALAD with the masses and τ21, the search itself; with its variants,
CURTAINs and two more sets of features, it would take six times as long or more. Data are the QCD sample of the demo,
without its signal, and the alternative QCD sample is the simulation.

Named before the first run: no expected limit of `atlas-2025` is above the inclusive one by more than 10 %.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import click

from analysis.compute import Serial
from analysis.config import load_config
from analysis.demo import DEMO
from analysis.events.datasets import load_datasets
from analysis.limits.values import InjectionLimit
from analysis.results import ResultsFolder
from analysis.stages.inputs import SearchInputs
from analysis.stages.limit import limit
from analysis.stages.process import process
from processors.simulate import SimulationSettings, simulate
from tests.studies.runner import Budget, Point, run, study

NAME = "published_signals"

PROCESSES = ("wprime_narrow", "a0")
MASSES = tuple(
    (float(heavy), *pair)
    for heavy in (4000, 4600)
    for pair in ((80.0, 80.0), (200.0, 80.0), (200.0, 200.0), (400.0, 200.0), (400.0, 400.0))
)
POINTS = [{"process": process, "masses": list(masses)} for masses in MASSES for process in PROCESSES]

EVENTS = 2000
"""Simulated events of each signal."""

OVERRIDES = {
    "selection": {"jet_mass": "softdrop"},
    "scan": {"fit_range": [3000.0, 6500.0], "first": 3600.0, "last": 4800.0},
    "limits": {"methods": [], "feature_sets": []},
}
DATA, SIMULATION = "qcd", "qcd_alternative"
PLACES = 4


def measure(point: Point) -> Point:
    """Simulate a signal and set its limits by all rules, in fb."""
    heavy, second, third = point["masses"]
    document = json.loads((DEMO / "datasets.json").read_text(encoding="utf-8"))
    lumi = document[SIMULATION]["metadata"]["lumi_ifb"]
    settings = SimulationSettings(
        process=point["process"], mass_a=heavy, mass_b=second, mass_c=third, n_events=EVENTS, seed=1, run_number=9
    )
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        sample = simulate(settings, place / "signal.root", Serial())
        files = {name: {"files": {str(DEMO / f"{name}.root"): "Events"}} for name in (DATA, SIMULATION)}
        chosen = {name: {**document[name], **files[name]} for name in files}
        chosen["signal"] = {
            "files": {str(sample): "Events"},
            "metadata": {
                "kind": "signal",
                "format": "nanoaod",
                "masses": dict(zip("ABC", point["masses"], strict=True)),
                "xsec_pb": 0.001,
                "lumi_ifb": lumi,
            },
        }
        (place / "datasets.json").write_text(json.dumps(chosen), encoding="utf-8")
        config = load_config(preset="atlas-2025", overrides=OVERRIDES)
        folder = ResultsFolder(place / "results", create=True)
        events = process(load_datasets(place / "datasets.json"), config, folder, Serial())
        found = limit(SearchInputs(events, config, folder), Serial())
    return {"limits": {one.rule: _numbers(one) for one in found if isinstance(one, InjectionLimit)}}


def _numbers(limit: InjectionLimit) -> Point:
    """Return what the table shows of a limit."""
    assert limit.expected_fb is not None
    return {
        "window": list(limit.window),
        "selection": limit.selection,
        "expected_fb": [None if value is None else round(value, PLACES) for value in limit.expected_fb],
        "observed_fb": None if limit.observed_fb is None else round(limit.observed_fb, PLACES),
        "fit_p_value": None if limit.fit_p_value is None else round(limit.fit_p_value, PLACES),
    }


@study(minutes=60.0)
def main(budget: Budget) -> None:
    """Run the study and print the expected limits and their ratios to the inclusive one."""
    for point in run(NAME, POINTS, measure, budget):
        median = {rule: one["expected_fb"][2] for rule, one in point["limits"].items()}
        shown = ", ".join(f"{rule} {value:.2f}" for rule, value in median.items() if value is not None)
        click.echo(f"{point['process']} {point['masses']}: expected limits in fb: {shown}; {point['cpu_seconds']} s")


if __name__ == "__main__":
    main()
