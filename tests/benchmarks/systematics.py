"""CPU of each systematic relative to a nominal pass: the same simulated events, with and without it.

Every figure comes from a process of its own that has run the job once on a few events. The sides take turns, and the
ratio is that of their smallest times, which a busy machine moves least; a systematic with two sides makes two tables.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import awkward as ak
import click
import numpy as np
import uproot

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.events.dataset import Dataset
from processors.runner.run import process_datasets
from tests.benchmarks.processing import BLOCK, _block

BINS = {"pt": [200, 500, 1000, 5000], "abs_eta": [0, 1.3, 2.5], "sizes": [[0.02, 0.03], [0.01, 0.02], [0.01, 0.01]]}

ENTRIES: dict[str, dict[str, Any]] = {
    "jet-mass-scale": {"kind": "jet-mass-scale", "value": 0.02},
    "jet-mass-resolution": {"kind": "jet-mass-resolution", "value": 0.1},
    "jet-energy-scale": {"kind": "jet-energy-scale", "value": 0.02},
    "jet-energy-scale, in bins": {"kind": "jet-energy-scale", "bins": BINS},
    "jet-energy-resolution": {"kind": "jet-energy-resolution", "value": 0.05},
    "event-weight": {"kind": "event-weight", "up": "weightUp", "down": "weightDown"},
    "generator-weights, one": {
        "kind": "generator-weights",
        "branch": "PSWeight",
        "members": [1],
        "combine": "envelope",
    },
}


def write_events(path: Path, n_events: int) -> None:
    """Write NanoAOD-like simulation: the events of the benchmark of processing, with weights."""
    rng = np.random.default_rng(1)
    with uproot.recreate(path, compression=uproot.LZ4(4)) as file:
        tree = None
        for start in range(0, n_events, BLOCK):
            count = min(BLOCK, n_events - start)
            columns = _block(rng, count, start) | {
                "genWeight": rng.choice([1.0, 1.0, 1.0, -1.0], count).astype(np.float32),
                "weightUp": rng.uniform(1, 1.1, count).astype(np.float32),
                "weightDown": rng.uniform(0.9, 1, count).astype(np.float32),
                "PSWeight": ak.from_regular(ak.Array(rng.uniform(0.5, 1.5, (count, 4)).astype(np.float32))),
            }
            types = {k: v.type if isinstance(v, ak.Array) else v.dtype for k, v in columns.items()}
            tree = tree or file.mktree("Events", types)
            tree.extend(columns)


def measure(path: Path, entries: list[dict[str, Any]]) -> float:
    """CPU seconds of a pass with these entries, in this process."""
    config = SearchConfig(systematics=entries)
    with tempfile.TemporaryDirectory() as scratch:
        for name, count in (("warm", 1000), ("timed", None)):
            sample = Dataset("sample", "background", "nanoaod", ((str(path), "Events"),), max_entries=count)
            start = time.process_time()
            process_datasets({"sample": sample}, config, Path(scratch) / name, Serial())
    return time.process_time() - start


def in_process(path: Path, entries: list[dict[str, Any]]) -> float:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.systematics", "--one", json.dumps(entries), str(path)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


@click.command()
@click.option("--events", default=600_000, show_default=True)
@click.option("--repeats", default=5, show_default=True)
@click.option("--only", help="Entries whose name begins like this.", default="")
@click.option("--one", nargs=2, hidden=True)
def main(events: int, repeats: int, only: str, one: tuple[str, str] | None) -> None:
    """Measure and print one table."""
    if one is not None:
        click.echo(measure(Path(one[1]), json.loads(one[0])))
        return
    sides: dict[str, list[dict[str, Any]]] = {"nominal": []}
    sides |= {name: [{"name": "x", **entry}] for name, entry in ENTRIES.items() if name.startswith(only)}
    found: dict[str, list[float]] = {name: [] for name in sides}
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "events.root"
        write_events(path, events)
        for _ in range(repeats):
            for name, entries in sides.items():
                found[name].append(in_process(path, entries))
    nominal = min(found["nominal"])
    click.echo(f"nominal pass: {nominal * 1e6 / events:.2f} s of CPU per million events")
    for name in list(sides)[1:]:
        click.echo(f"{name:28s} {min(found[name]) / nominal - 1:6.2f} of a nominal pass")


if __name__ == "__main__":
    main()
