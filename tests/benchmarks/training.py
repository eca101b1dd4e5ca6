"""A thousand classifiers: 20 windows, 5 folds, 10 members, out-of-fold scores of 80,000 events with 6 features.

The whole scan is timed, fits and limits included, so that the part that trains is at most what is printed; one fold
alone tells how the time divides. On a busy machine compare CPU seconds. Budget: 4 minutes on 2 cores and 2 GB.
"""

from __future__ import annotations

import resource
import time

import click
import numpy as np

from analysis.compute import open_backend
from analysis.config import SearchConfig, load_config
from analysis.learning import BoostedTrees, FoldTask, run_fold
from analysis.methods import get_method
from analysis.regions import RegionScan
from analysis.search.scan import run_scan
from analysis.search.values import SearchData
from tests.builders.toy_tables import feature_names, toy_table

N_FOLDS, N_MEMBERS, N_EVENTS, N_FEATURES = 5, 10, 80_000, 6
SCAN = {"windows": [[low, low + 400.0] for low in np.arange(3200.0, 5101.0, 100.0)], "fit_range": [3000.0, 6500.0]}


def configuration(preset: str, members: int) -> SearchConfig:
    """The classifier of a preset, on 20 windows of a toy."""
    learning = {"features": feature_names(N_FEATURES), "n_folds": N_FOLDS, "n_members": members}
    statistics = {"calculator": "asymptotics"}
    return load_config(preset=preset, overrides={"scan": SCAN, "learning": learning, "statistics": statistics})


def used_cpu() -> float:
    """CPU seconds of this process and of its workers that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_mib(jobs: int) -> float:
    """Largest resident memory of this process plus that of its largest worker, once a worker; shared pages twice."""
    own, worker = (resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return own + (jobs * worker if jobs > 1 else 0.0)


def one_fold(data: SearchData, scan: RegionScan, config: SearchConfig) -> tuple[float, float]:
    """CPU seconds of training and of scoring per classifier, in the first window."""
    learning, window = config.learning, scan.windows[0]
    learner = BoostedTrees(learning.classifier, learning.n_members, learning.bagged_features)
    task = FoldTask(window, 0, N_FOLDS, learning.features, get_method(learning.method), learner, 0)
    samples = data.samples(task.method)
    run_fold(task, samples)  # imports and caches
    start = time.process_time()
    result = run_fold(task, samples)
    middle = time.process_time()
    result.model.predict(data.table.select(np.isin(np.arange(len(data.table)), result.rows)).matrix(task.features))
    end = time.process_time()
    scoring = end - middle
    return (middle - start - scoring) / learning.n_members, scoring / learning.n_members


@click.command()
@click.option("--preset", default="demo", show_default=True)
@click.option("--jobs", default=2, show_default=True)
@click.option("--members", default=N_MEMBERS, show_default=True)
def main(preset: str, jobs: int, members: int) -> None:
    """Measure and print."""
    config = configuration(preset, members)
    scan = RegionScan.from_config(config.scan)
    data = SearchData(toy_table(N_EVENTS, random_state=1, n_features=N_FEATURES))
    train, score = one_fold(data, scan, config)
    start, cpu = time.monotonic(), used_cpu()
    with open_backend(jobs) as backend:
        results = [result for _, result in run_scan(data, scan, config, backend)]
    seconds = time.monotonic() - start
    n_models = sum(len(fold) for result in results for fold in result.models)
    click.echo(
        f"preset {preset}: {len(results)} windows, {n_models} classifiers, {len(data.table)} events, {jobs} jobs"
    )
    click.echo(f"  wall clock {seconds:7.1f} s")
    click.echo(f"  CPU        {used_cpu() - cpu:7.1f} s")
    click.echo(f"  peak RSS   {peak_mib(jobs):7.0f} MiB")
    click.echo(f"  a classifier of the first window: train {1000 * train:.0f} ms, score {1000 * score:.0f} ms CPU")
    click.echo(f"  failed: {[result.window.name for result in results if result.status == 'failed'] or 'none'}")


if __name__ == "__main__":
    main()
