"""Commands `cwola performance` and `cwola compare`: gain from features, from λ and from methods, on pseudodata."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.fit import parse_interval
from analysis.cli.shared import open_results, options, resolve_config

if TYPE_CHECKING:
    from analysis.diagnostics.gain_values import FeatureGain, GainScan, WeightGain

__all__ = ["compare", "performance"]

_SCANS = ("features", "simulation-weight")


def _parse_weights(_: click.Context, parameter: click.Parameter, value: str | None) -> tuple[float, ...] | None:
    if value is None:
        return None
    try:
        weights = tuple(dict.fromkeys(float(text) for text in value.split(",")))
    except ValueError:
        weights = (-1.0,)
    if not all(0 <= weight < float("inf") for weight in weights):
        msg = f"expected numbers that are not negative, such as 0,0.5,1, found '{value}'"
        raise click.BadParameter(msg, param=parameter)
    return weights


@click.command()
@click.option(
    "--signal", "signals", multiple=True, metavar="NAME", help="Signal sample for the measurement.  [default: all]"
)
@click.option(
    "--window",
    metavar="LO:HI",
    callback=parse_interval,
    help="Window of the scan, GeV.  [default: window with the most signal]",
)
@click.option("--scan", "scans", multiple=True, type=click.Choice(_SCANS), help="Measure this only.  [default: both]")
@click.option(
    "--weights",
    metavar="λ,λ,...",
    callback=_parse_weights,
    help="Weights of the simulation; 0 is CWoLa.  [default: 0,0.1,0.25,0.5,0.75,1,1.5,2]",
)
@click.option(
    "--trainings", type=click.IntRange(1, 1000), default=3, show_default=True, help="Trainings of each classifier."
)
@options("preset", "config", "plugin", "output", "where")
def performance(
    signals: tuple[str, ...],
    window: tuple[float, float] | None,
    scans: tuple[str, ...],
    weights: tuple[float, ...] | None,
    trainings: int,
    output: Path,
    where: dict[str, Any],
    **settings: Any,
) -> None:
    """Measure and draw the gain from each feature and from the weight λ of the simulation.

    Classifiers are trained on the pseudodata of `cwola process` and evaluated on signal samples: significance
    improvement at each of learning.efficiencies, area under the ROC curve, area for background in the window versus the
    sidebands, which should be 0.5, and the smallest S/√B that these classifiers discover. With several signals, the
    regret of each classifier tells how much more signal it needs than the best one for that signal.
    """
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.methods import regret_table
    from analysis.compute import open_backend
    from analysis.diagnostics.gain_values import gain_regrets
    from analysis.stages.figures import plot
    from analysis.stages.inputs import SearchInputs
    from analysis.stages.performance import PerformanceSettings, figure_kinds, measure_performance

    chosen: dict[str, Any] = {"scans": scans, "weights": weights, "trainings": trainings, "window": window}
    wanted = PerformanceSettings(**{name: value for name, value in chosen.items() if value})
    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(**settings, fallback=folder.config)
        inputs = SearchInputs.load(folder, config)
        gains = measure_performance(inputs, backend, wanted, signals=signals)
        figures = plot(folder, config, backend, only=figure_kinds(gains))
    for scan in gains:
        _print(scan)
    if (table := regret_table(gain_regrets(gains))) is not None:
        open_console().print(table)
    click.echo(f"Numbers in {output / 'performance.json'}, {len(figures)} files in {folder.plots}")


def _print(scan: GainScan) -> None:
    from rich import box
    from rich.table import Table

    from analysis.cli.output.console import open_console

    low, high = scan.window.signal
    trainings = "one training" if scan.trainings == 1 else f"mean of {scan.trainings} trainings"
    title = f"{scan.signal} in {low:g}-{high:g} GeV, {trainings}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("Classifier")
    for efficiency in scan.background_efficiencies:
        table.add_column(f"SIC at {efficiency:g}", justify="right")
    for column in ("AUC", "Window against sidebands", "5σ from S/√B"):
        table.add_column(column, justify="right")
    for gain in scan.classifiers:
        table.add_row(gain.label, *_means(gain))
    open_console().print(table)


def _means(gain: WeightGain | FeatureGain) -> list[str]:
    from analysis.cli.tables.methods import discovery_text
    from analysis.diagnostics.regret import mean_discovery

    sic = [f"{sum(column) / len(column):.2f}" for column in zip(*gain.sic, strict=True)]
    areas = [f"{sum(column) / len(column):.3f}" for column in (gain.auc, gain.window_sideband_auc)]
    return [*sic, *areas, discovery_text(mean_discovery(gain.sigma_min))]


def _parse_names(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    return () if value is None else tuple(dict.fromkeys(filter(None, map(str.strip, value.split(",")))))


@click.command()
@click.option(
    "--methods", metavar="NAME,NAME,...", callback=_parse_names, help="Methods to compare.  [default: all that can run]"
)
@click.option(
    "--signal", "signals", multiple=True, metavar="NAME", help="Signal sample for the measurement.  [default: all]"
)
@click.option(
    "--window",
    metavar="LO:HI",
    callback=parse_interval,
    help="Window of the scan, GeV.  [default: window with the most signal]",
)
@click.option("--every-window", is_flag=True, help="Compare in every window that holds signal.")
@click.option(
    "--trainings", type=click.IntRange(1, 1000), default=1, show_default=True, help="Trainings of each method."
)
@options("preset", "config", "plugin", "seed", "output", "where")
def compare(
    methods: tuple[str, ...],
    signals: tuple[str, ...],
    window: tuple[float, float] | None,
    every_window: bool,
    trainings: int,
    output: Path,
    where: dict[str, Any],
    **settings: Any,
) -> None:
    """Compare all methods on the same pseudodata, in one table and one figure.

    Each method is trained on the pseudodata of `cwola process`, measured on signal samples, and searches the pseudodata
    with and without their hidden signal. Finished methods are kept. With several signals, the regret of each method
    tells how much more signal it needs than the best one for that signal.
    """
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.methods import methods_notes, methods_tables, regret_table
    from analysis.compute import open_backend
    from analysis.stages.figures import plot
    from analysis.stages.inputs import SearchInputs
    from analysis.stages.methods import CompareSettings, compare_methods, compared_regrets

    if every_window and window is not None:
        msg = "give --window or --every-window, not both"
        raise click.UsageError(msg)
    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(**settings, fallback=folder.config)
        inputs = SearchInputs.load(folder, config)
        wanted = CompareSettings(methods, trainings, window, every_window)
        results = compare_methods(inputs, backend, wanted, signals=signals)
        trained = any(result.trainings for result in results)
        figures = plot(folder, config, backend, only=["methods"]) if trained else []
    console = open_console()
    for table in (*methods_tables(results), regret_table(compared_regrets(results))):
        if table is not None:
            console.print(table)
    for note in methods_notes(results):
        console.print(note, highlight=False)
    click.echo(f"Numbers in {output / 'methods.json'}, {len(figures)} files in {folder.plots}")
