"""What a search of many events costs: CPU, memory, bytes on disk and on the network, at several numbers of events.

Every number of events runs in two processes, one that selects events and one that trains on them, so that peak
memory is that of one stage. Quote CPU seconds: they hardly depend on what else the machine does. docs/scale.md.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import cloudpickle

from analysis.compute import Backend, Serial
from analysis.config import load_config
from analysis.events.dataset import Dataset
from analysis.events.schema import SEARCH_REGION
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, FoldTask, run_fold
from analysis.methods import get_method
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from processors.runner.run import load_table, process_datasets
from tests.benchmarks.processing import write_events

PRESET = "demo"
WINDOW = {"windows": [[3300.0, 3700.0]], "fit_range": [3000.0, 6500.0]}


class Counting:
    """Serial, and counts what a cluster would send: tasks as they travel, and results."""

    jobs = 1

    def __init__(self) -> None:
        self.tasks = self.sent = self.received = 0

    @property
    def here(self) -> Backend:
        return self

    def map(self, function: Any, tasks: Any, *, shared: Any = None) -> Any:
        for index, result in Serial().map(function, tasks, shared=shared):
            self.tasks += 1
            self.sent += len(cloudpickle.dumps((function, tasks[index])))
            self.received += len(pickle.dumps(result))
            yield index, result


def peak_mb() -> float:
    """Peak memory of this process alone (Linux)."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def sample(path: Path, max_entries: int | None = None) -> dict[str, Dataset]:
    return {"sample": Dataset("sample", "pseudodata", "nanoaod", ((str(path), "Events"),), max_entries=max_entries)}


def select(path: Path, folder: Path) -> dict[str, float]:
    """Cost of selecting the events of a file."""
    config = load_config(preset=PRESET)
    process_datasets(sample(path, 1000), config, folder / "warm", Serial())
    counting = Counting()
    start = time.process_time()
    result = process_datasets(sample(path), config, folder / "parts", counting)
    seconds = time.process_time() - start
    parts = result.datasets["sample"].parts
    return {
        "cpu_s": seconds,
        "peak_mb": peak_mb(),
        "file_mb": path.stat().st_size / 1e6,
        "parts_mb": sum(Path(str(part)).stat().st_size for part in parts) / 1e6,
        "tasks": counting.tasks,
        "sent_mb": counting.sent / 1e6,
        "received_mb": counting.received / 1e6,
    }


def train(path: Path, folder: Path) -> dict[str, float]:
    """Cost of reading the selected events, and of one fold of one window."""
    config = load_config(preset=PRESET, overrides={"scan": WINDOW})
    result = process_datasets(sample(path), config, folder / "parts", Serial())
    start = time.process_time()
    data = SearchData(load_table(result, sample(path), ["sample"]).in_region(SEARCH_REGION))
    reading = time.process_time() - start
    learning, window = config.learning, RegionScan.from_config(config.scan).windows[0]
    learner = BoostedTrees(learning.classifier, learning.n_members, learning.bagged_features)
    task = FoldTask(window, 0, learning.n_folds, learning.features, get_method(learning.method), learner, 0)
    start = time.process_time()
    fold = run_fold(task, data.samples(task.method))
    seconds = time.process_time() - start
    return {
        "cpu_read_s": reading,
        "events": len(data.table),
        "table_mb": data.table.table.nbytes / 1e6,
        "scattered_mb": len(pickle.dumps(data)) / 1e6,
        "in_window": _count(data.table, window.signal),
        "in_fit_range": int(window.in_fit_range(data.table.mjj).sum()),
        "cpu_classifier_s": seconds / learning.n_members,
        "received_mb": len(pickle.dumps(fold)) / 1e6,
        "peak_mb": peak_mb(),
    }


def _count(table: EventTable, interval: tuple[float, float]) -> int:
    return int(((table.mjj >= interval[0]) & (table.mjj < interval[1])).sum())


@click.command()
@click.option("--millions", multiple=True, type=float, default=(1.0, 3.0, 10.0), show_default=True)
@click.option("--one", nargs=3, hidden=True)
def main(millions: tuple[float, ...], one: tuple[str, str, str] | None) -> None:
    """Measure; one JSON line for each number of events and stage."""
    if one is not None:
        stage = {"select": select, "train": train}[one[0]]
        click.echo(json.dumps(stage(Path(one[1]), Path(one[2]))))
        return
    for count in millions:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "events.root"
            write_events(path, int(count * 1e6))
            for stage_name in ("select", "train"):
                command = [sys.executable, "-m", "tests.benchmarks.scale", "--one", stage_name, str(path), scratch]
                found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
                rounded = {name: float(f"{value:.4g}") for name, value in found.items()}
                click.echo(json.dumps({"millions": count, "stage": stage_name, **rounded}))


if __name__ == "__main__":
    main()
