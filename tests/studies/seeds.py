"""How z depends on the training seed, with and without the W' signal, on the Pythia NanoAOD files.

Truth: 600 generated W'(3500) -> B(500) C(100) events in 200k QCD events, or none. Every point is one complete scan of
the `demo` preset, with one seed for folds, tie-breaks and classifiers.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import click

from analysis import workflow
from analysis.compute import open_backend
from analysis.config import load_config
from analysis.datasets import Dataset
from analysis.store import ResultsFolder
from tests.studies.runner import Point, data_folder, local_z, run

NAME = "seeds"

FEATURES = {
    "mass": ["mj2", "delta_mj", "tau21_j1", "tau21_j2"],
    "scaled": ["mj1_over_mjj", "mj2_over_mjj", "tau21_j1", "tau21_j2"],
}

FUNCTIONS = ["dijet2", "dijet3", "dijet4", "dijet5"]

POINTS = [
    {"features": features, "signal": signal, "seed": seed, "first_function": first}
    for features, first in (("mass", "dijet3"), ("mass", "dijet2"), ("scaled", "dijet3"), ("scaled", "dijet2"))
    for seed in range(5)
    for signal in (True, False)
]


def datasets(signal: bool) -> dict[str, Dataset]:
    """QCD as pseudodata, with the first 600 signal events mixed in or not."""
    folder = data_folder() / "pythia"
    qcd = tuple((str(folder / name), "Events") for name in ("qcd_a.root", "qcd_b.root"))
    found = {"qcd": Dataset("qcd", "pseudodata", "nanoaod", qcd, pt_hat_min=1200.0)}
    if signal:
        files = ((str(folder / "wprime_3500_500_100.root"), "Events"),)
        masses = (("A", 3500.0), ("B", 500.0), ("C", 100.0))
        found["wprime"] = Dataset("wprime", "pseudodata", "nanoaod", files, masses=masses, max_entries=600)
    return found


def measure(point: Point) -> Point:
    """Scan once."""
    config = load_config(
        overrides={
            "random_state": point["seed"],
            "learning": {"features": FEATURES[point["features"]]},
            "background": {"functions": FUNCTIONS[FUNCTIONS.index(point["first_function"]) :]},
        }
    )
    with tempfile.TemporaryDirectory() as folder, open_backend(1) as backend:
        results = ResultsFolder(Path(folder))
        events = workflow.process(datasets(point["signal"]), config, results, backend)
        summary = workflow.scan(events, config, results, backend)
    return {"z": local_z(summary.results)}


@click.command()
@click.option("--max-minutes", type=float, default=30.0, show_default=True)
def main(max_minutes: float) -> None:
    """Run the study and print medians over seeds."""
    finished = run(NAME, POINTS, measure, max_minutes)
    groups: dict[str, list[dict[str, dict[str, float | None]]]] = {}
    for point in finished:
        sample = "with signal" if point["signal"] else "without signal"
        label = f"{point['features']}, from {point['first_function']}, {sample}"
        groups.setdefault(label, []).append(point["z"])
    for label, chosen in groups.items():
        click.echo(f"{label}, {len(chosen)} seeds: median [lowest, highest]")
        for window in chosen[0]:
            cells = []
            for selection in chosen[0][window]:
                values = [z for one in chosen if (z := one[window][selection]) is not None]
                cells.append(f"{selection} {median(values):6.2f} [{min(values):6.2f}, {max(values):6.2f}]")
            click.echo(f"  {window}: " + "  ".join(cells))


if __name__ == "__main__":
    main()
