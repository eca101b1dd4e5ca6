"""CPU seconds of each stage on the Pythia NanoAOD files; `processing` sets the first against plain uproot and numpy."""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from analysis.background import choose_order
from analysis.compute import Serial
from analysis.config import SearchConfig, load_config
from analysis.events.dataset import Dataset
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, FoldTask, Samples, run_fold
from analysis.methods import get_method
from analysis.regions import RegionScan
from analysis.statistics import Counting, counting_workspace, discovery, upper_limit
from processors.runner.run import load_table, process_datasets
from tests.studies.runner import data_folder


def cpu(function: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def training(config: SearchConfig, table: EventTable) -> tuple[float, int]:
    """CPU seconds per classifier for one fold of the first window, and its training events."""
    window = RegionScan.from_config(config.scan).windows[0]
    learner = BoostedTrees(config.learning.classifier, config.learning.n_members)
    method = get_method(config.learning.method)
    task = FoldTask(window, 0, config.learning.n_folds, config.learning.features, method, learner, 0)
    seconds, _ = cpu(lambda: run_fold(task, Samples(table)))
    seed = np.random.SeedSequence(0)
    rows = len(method.contrast(Samples(table), window, config.learning.features, random_state=seed).y)
    return seconds / config.learning.n_members, int(rows * (1 - 1 / config.learning.n_folds))


@click.command()
def main() -> None:
    """Measure and print."""
    config = load_config()
    files = [data_folder() / "pythia" / name for name in ("qcd_a.root", "qcd_b.root")]
    sample = {"qcd": Dataset("qcd", "pseudodata", "nanoaod", tuple((str(file), "Events") for file in files))}
    with tempfile.TemporaryDirectory() as folder:
        process_datasets(sample, config, Path(folder) / "warm", Serial())  # imports and caches
        processing, result = cpu(lambda: process_datasets(sample, config, Path(folder) / "timed", Serial()))
        loading, table = cpu(lambda: load_table(result, sample, sample).in_region("search"))
    per_million = 1e6 / 200_000
    click.echo(f"processing: {processing * per_million:.2f} CPU s per million events")
    click.echo(f"reading the table back: {loading * per_million:.2f} CPU s per million events")
    per_classifier, rows = training(config, table)
    click.echo(f"training and scoring: {per_classifier:.3f} CPU s per classifier of {rows} events")
    edges = np.arange(3000.0, 6501.0, 100.0)
    counts = np.histogram(table.mjj, edges)[0].astype(float)
    options = {"mask": (3200.0, 3800.0), **config.background.model_dump()}
    fitting, _ = cpu(lambda: choose_order(counts, edges, **options))
    click.echo(f"fit with choice of order: {1000 * fitting:.0f} CPU ms")
    workspace = counting_workspace(Counting(300.0, 114.0, 14.0), channel="window", measurement="search")
    testing, _ = cpu(lambda: discovery(workspace))
    limiting, _ = cpu(lambda: upper_limit(workspace))
    click.echo(f"p-value: {1000 * testing:.0f} CPU ms; six limits: {1000 * limiting:.0f} CPU ms")
    click.echo(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
