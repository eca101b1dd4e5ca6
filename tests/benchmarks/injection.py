"""How long a grid of limits takes: 6 signals x 6 strengths x 5 samplings, and none, 5 folds x 10 members, 60k events.

The Pythia samples of ../shared/data; each of the three signals stands for two, with half of its events each. Settings
of the preset `best`. Prints minutes, injections a minute and CPU seconds an injection.
"""

from __future__ import annotations

import time

import click
import numpy as np

from analysis.cli.where import where_options
from analysis.compute import open_backend
from analysis.config import load_config
from analysis.limits import prepare_point
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import Injection, InjectionResult
from analysis.search.values import SearchData
from analysis.signals.yields import SignalSample
from tests.studies.pythia import selected_events

SIGNALS = ("wprime_3500_500_100", "wprime_3900_350_180", "zprime_tt_3600")
N_EVENTS = 60_000


def load() -> InjectionData:
    """Events and signals."""
    tables = selected_events({name: (name,) for name in ("qcd_a", *SIGNALS)}, 0.0)
    qcd = tables["qcd_a"]
    data = SearchData(qcd.select(np.arange(len(qcd)) < N_EVENTS))
    samples = {}
    for name in SIGNALS:
        for half in (0, 1):
            table = tables[name].select(np.arange(len(tables[name])) % 2 == half)
            key = f"{name}_{half}"
            samples[key] = SignalSample(key, (), {"nominal": table}, None, None, None, False, ())
    return InjectionData(data, samples, load_config(preset="best"))


def timed(task: Injection, shared: InjectionData) -> tuple[float, InjectionResult]:
    """CPU seconds and result of one injection."""
    start = time.process_time()
    result = inject(task, shared)
    return time.process_time() - start, result


@click.command()
@click.option("--signals", type=click.IntRange(1, 6), default=6, show_default=True, help="How many of the six.")
@where_options
def main(signals: int, where: dict[str, object]) -> None:
    """Run the grid."""
    shared = load()
    config = shared.config
    with open_backend(**where) as backend:
        start = time.monotonic()
        points = [prepare_point(name, shared) for name in list(shared.samples)[:signals]]
        tasks = [
            Injection(point.signal, point.window, strength, sampling, config.learning.method, config.learning.features)
            for point in points
            for strength in point.strengths
            for sampling in range(config.limits.samplings)
        ]
        seconds, results = zip(*(found for _, found in backend.map(timed, tasks, shared=shared)), strict=True)
        minutes = (time.monotonic() - start) / 60
    failed = sum(result.reason is not None for result in results)
    click.echo(
        f"{len(shared.search.table)} events, {len(tasks)} injections with {len(tasks) * 50} classifiers: {minutes:.1f} "
        f"minutes, {len(tasks) / minutes:.0f} injections a minute, {np.mean(seconds):.2f} CPU s each; {failed} failed"
    )


if __name__ == "__main__":
    main()
