"""CPU seconds of every figure of a results folder, PDF and PNG, and of its report.

A figure should take a quarter of a CPU second on average, so that a search is not spent on its pictures.
"""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from pathlib import Path

import click

from analysis.compute import open_backend
from analysis.config import load_config
from analysis.plots.catalogue import result_figures, save_figures
from analysis.plots.drawing import draw_all
from analysis.report import ReportSources, render_report, report_context
from analysis.results import ResultsFolder
from analysis.stages.figures import figure_sources


@click.command()
@click.argument("results", type=click.Path(path_type=Path, exists=True))
@click.option("--jobs", default=2, show_default=True)
def main(results: Path, jobs: int) -> None:
    """Measure and print."""
    folder = ResultsFolder(results)
    config = load_config(path=folder.config)
    sources = figure_sources(folder, config)
    known = result_figures(sources)
    with tempfile.TemporaryDirectory() as place:
        draw_all(known[:1], Path(place), config.plots)  # fonts are read
        seconds: dict[str, list[float]] = defaultdict(list)
        for figure in known:
            start = time.process_time()
            draw_all([figure], Path(place), config.plots)
            seconds[figure.stem.split("_")[0]].append(time.process_time() - start)
        for kind, found in seconds.items():
            click.echo(
                f"{kind:14s} {len(found):3d} figures, mean {sum(found) / len(found):.2f} s, max {max(found):.2f} s"
            )
        total = sum(map(sum, seconds.values()))
        click.echo(f"{len(known)} figures: {total:.1f} s, {total / len(known):.2f} s each, in one process")
        with open_backend(jobs) as backend:
            start = time.perf_counter()
            save_figures(sources, Path(place), config.plots, backend=backend)
            click.echo(f"wall with {jobs} processes, their start included: {time.perf_counter() - start:.1f} s")
    start = time.process_time()
    text = render_report(report_context(ReportSources.read(folder)))
    click.echo(f"report of figures on disk: {time.process_time() - start:.2f} s, {len(text) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
