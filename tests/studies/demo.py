"""What the demo finds, over seeds and strengths of its signal, and on QCD samples other than the packaged one.

Every point is one scan of the `demo` preset. Seed 0 at 0.008 pb is the packaged demo as `cwola run` searches it; other
seeds draw other signal events and train with another seed. `qcd_seed` 1 is the packaged QCD; others are simulated, at
ten minutes each, kept in CWOLA_STUDY_CACHE or a temporary folder.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from statistics import median

import click

from analysis.compute import Serial
from analysis.config import load_config
from analysis.demo import DEMO
from analysis.events.dataset import Dataset
from analysis.events.datasets import load_datasets
from analysis.results import ResultsFolder
from analysis.stages import inputs, process, scan
from processors.simulate import simulate
from processors.simulate.demo import HIDDEN_XSEC_PB, hidden_signal, qcd
from tests.studies.runner import Budget, Point, local_z, run, study

NAME = "demo"

SEEDS = range(10)
WINDOW = "3300-3700"

POINTS = [
    *({"qcd_seed": 1, "seed": seed, "xsec_pb": xsec} for seed in SEEDS for xsec in (0.0, HIDDEN_XSEC_PB, 0.016)),
    *({"qcd_seed": 1 + seed, "seed": seed, "xsec_pb": xsec} for seed in (1, 2, 3, 4) for xsec in (0.0, 0.008, 0.016)),
]


def datasets(point: Point, folder: Path) -> dict[str, Dataset]:
    """The packaged pseudodata, or what replaces it at this point."""
    packaged = load_datasets(DEMO / "datasets.json")
    lumi_ifb = packaged["qcd_alternative"].lumi_ifb
    assert lumi_ifb is not None
    found = {"qcd": packaged["qcd"]}
    if point["qcd_seed"] != 1:
        path = simulate(qcd(point["qcd_seed"]), folder / f"qcd_{point['qcd_seed']}.root", Serial())
        found["qcd"] = Dataset("qcd", "pseudodata", "nanoaod", ((str(path), "Events"),), pt_hat_min=1200.0)
    if point["xsec_pb"] > 0:
        name = f"signal_{point['seed']}_{point['xsec_pb']}.root"
        settings = hidden_signal(lumi_ifb, seed=1 + point["seed"], xsec_pb=point["xsec_pb"])
        files = ((str(simulate(settings, folder / name, Serial())), "Events"),)
        masses = packaged["hidden_signal"].masses
        found["hidden_signal"] = Dataset("hidden_signal", "pseudodata", "nanoaod", files, masses=masses)
    return found


def measure(point: Point) -> Point:
    """Scan once; the local z of every window and selection."""
    config = load_config(preset="demo", overrides={"random_state": point["seed"]})
    with tempfile.TemporaryDirectory() as temporary:
        cache = Path(os.environ.get("CWOLA_STUDY_CACHE", temporary))
        results = ResultsFolder(Path(temporary) / "results", create=True)
        events = process.process(datasets(point, cache), config, results, Serial())
        summary = scan.scan(inputs.SearchInputs(events, config, results), Serial())
    return {"z": local_z(summary.results)}


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print what the seeds have in common."""
    finished = run(NAME, POINTS, measure, budget)
    for packaged in (True, False):
        chosen = [point for point in finished if (point["qcd_seed"] == 1) == packaged]
        for xsec in sorted({point["xsec_pb"] for point in chosen}):
            _print_summary([point for point in chosen if point["xsec_pb"] == xsec], packaged, xsec)


def _print_summary(points: list[Point], packaged: bool, xsec: float) -> None:
    sample = "packaged QCD" if packaged else "other QCD"
    click.echo(f"{sample}, signal of {xsec:g} pb, {len(points)} seeds: median [lowest, highest] in {WINDOW}")
    for selection in points[0]["z"][WINDOW]:
        values = [z for point in points if (z := point["z"][WINDOW][selection]) is not None]
        click.echo(f"  {selection:10s} {median(values):6.2f} [{min(values):6.2f}, {max(values):6.2f}]")
    everything = [z for point in points for window in point["z"].values() for z in window.values() if z is not None]
    click.echo(f"  all windows: {sum(abs(z) > 3 for z in everything)} of {len(everything)} |z| above 3")


if __name__ == "__main__":
    main()
