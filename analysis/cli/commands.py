"""The command line: parses, calls the workflow, prints. Heavy libraries are imported by the command that needs them."""

from __future__ import annotations

import logging
import shlex
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis import __version__
from analysis.cli.events import select
from analysis.cli.export import export
from analysis.cli.files import convert, inspect
from analysis.cli.fit import fit
from analysis.cli.limit import inject, limit, print_limits
from analysis.cli.performance import performance
from analysis.cli.plot import plot
from analysis.cli.report import report
from analysis.cli.score import score
from analysis.cli.shared import open_results, options, resolve_config
from analysis.cli.signals import impacts
from analysis.cli.validate import print_validation, validation_options, with_draws
from analysis.errors import ConfigError, CwolaError

if TYPE_CHECKING:
    from analysis.config import SearchConfig
    from analysis.datasets import Dataset
    from analysis.location import Location
    from analysis.processed import ProcessedEvents
    from analysis.store import ResultsFolder
    from analysis.workflow import ScanSummary

__all__ = ["cli", "main"]

_log = logging.getLogger("cwola")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cwola")
def cli() -> None:
    """Search for dijet resonances without a signal model: ROOT files in, limits and plots out."""


@cli.command()
@click.option("--limits", is_flag=True, help="Set limits on the signal samples too, as `cwola limit` does.")
@options(
    *("datasets", "exclude", "preset", "config", "plugin", "seed", "seeds", "blind", "output", "skip", "timeout"),
    *("parts", "where"),
)
def run(
    limits: bool,
    datasets: Path,
    exclude: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    skip_bad_files: bool,
    timeout: int,
    parts: Location | None,
    **settings: Any,
) -> None:
    """Run the whole search: process, validate, scan, plot and report, each resuming from what is on disk."""
    from analysis import workflow, workflow_diagnostics, workflow_figures, workflow_limits
    from analysis.compute import open_backend

    config, chosen = resolve_config(**settings), _load_datasets(datasets, exclude)
    options: dict[str, Any] = {"skip_bad_files": skip_bad_files, "timeout": timeout, "parts": parts}
    with open_results(output) as folder, open_backend(**where) as backend:
        events = workflow.process(chosen, config, folder, backend, **options)
        _print_cutflow(events)
        if config.validation.in_run:
            workflow.validate(events, config, folder, backend, sources=config.validation.in_run)
        summary = workflow.scan(events, config, folder, backend)
        workflow_diagnostics.diagnose(events, config, folder, backend)
        found = workflow_limits.limit(events, config, folder, backend) if limits else None
        workflow_figures.plot(folder, config, backend)
        page = workflow_figures.report(folder)
    click.echo(f"Report: {page}")
    if events.skipped_files:
        click.echo(f"{len(events.skipped_files)} files were skipped: listed above and in results.json.")
    _print_scan(summary, folder, config)
    if found is not None:
        print_limits(found)


@cli.command()
@options("datasets", "exclude", "preset", "config", "plugin", "output", "skip", "timeout", "parts", "where")
def process(
    datasets: Path,
    exclude: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    skip_bad_files: bool,
    timeout: int,
    parts: Location | None,
    **settings: Any,
) -> None:
    """Select dijet events from ROOT files and write them as parquet."""
    from analysis import workflow
    from analysis.compute import open_backend

    config, chosen = resolve_config(**settings), _load_datasets(datasets, exclude)
    options: dict[str, Any] = {"skip_bad_files": skip_bad_files, "timeout": timeout, "parts": parts}
    with open_results(output) as folder, open_backend(**where) as backend:
        events = workflow.process(chosen, config, folder, backend, **options)
    _print_cutflow(events, n_minus_one=True)


@cli.command()
@validation_options
@options("exclude", "preset", "config", "plugin", "seed", "output", "where")
def validate(
    exclude: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    draws: int | None,
    sources: tuple[str, ...],
    **settings: Any,
) -> None:
    """Test the search where there is no signal, before it is run: a verdict for every window.

    Samples: data with large |Δy|, simulation, and two that are made of the data beside each window. See
    docs/validation.md.
    """
    from analysis import workflow
    from analysis.compute import open_backend
    from analysis.processed import load_events

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = with_draws(resolve_config(**settings, fallback=folder.config), draws)
        events = load_events(folder).without(exclude)
        verdicts = workflow.validate(events, config, folder, backend, sources=sources or None)
    print_validation(verdicts)


@cli.command()
@options("exclude", "preset", "config", "plugin", "seed", "seeds", "blind", "output", "where")
def scan(exclude: tuple[str, ...], output: Path, where: dict[str, Any], **settings: Any) -> None:
    """Train, cut, fit and compute limits in all windows, on events selected before."""
    from analysis import workflow, workflow_diagnostics
    from analysis.compute import open_backend
    from analysis.processed import load_events

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config, events = resolve_config(**settings, fallback=folder.config), load_events(folder).without(exclude)
        summary = workflow.scan(events, config, folder, backend)
        workflow_diagnostics.diagnose(events, config, folder, backend)
    _print_scan(summary, folder, config)


def _masses(context: click.Context, parameter: click.Parameter, value: str | None) -> dict[str, float]:
    del context
    names = ("mass_a", "mass_b", "mass_c")
    try:
        numbers = [float(text) for text in value.split(",")] if value else []
        return dict(zip(names[: len(numbers)], numbers, strict=True))
    except ValueError as error:
        msg = f"expected up to three masses such as 3500,500,100, found '{value}'"
        raise click.BadParameter(msg, param=parameter) from error


_SETTINGS = {"events": "n_events", "jets": "n_jets", "lumi": "pseudodata_lumi_ifb", "xsec": "pseudodata_xsec_pb"}
"""Options of `simulate` that are named otherwise in `SimulationSettings`."""


@cli.command()
@click.option("--process", type=click.Choice(["qcd", "wprime", "zprime_tt"]), required=True, help="What to generate.")
@click.option("--masses", callback=_masses, metavar="A,B,C", help="Masses of the signal in GeV, such as 3500,500,100.")
@click.option("--pt-hat-min", type=float, help="Lowest p̂_T of QCD, GeV.  [default: 1200]")
@click.option("--m-hat-min", type=float, help="Lowest m̂ of QCD, GeV.")
@click.option("--tune", type=click.Choice(["default", "alternative", "vincia"]), default="default", show_default=True)
@click.option("--events", type=click.IntRange(1), default=2000, show_default=True, help="Events to generate.")
@click.option("--run-number", type=click.IntRange(0), default=1, show_default=True, help="Give every sample its own.")
@click.option("--pseudodata", is_flag=True, help="Keep a Poisson number of events, for the luminosity of --lumi.")
@click.option("--lumi", type=float, metavar="IFB", help="Luminosity of the pseudodata, fb⁻¹.")
@click.option("--xsec", type=float, metavar="PB", help="Cross-section of the pseudodata, pb.  [default: Pythia's]")
@click.option("--jets", type=click.IntRange(2), default=3, show_default=True, help="Most jets kept per event.")
@click.option("--mantissa-bits", type=click.IntRange(4, 23), metavar="BITS", help="Bits kept of each number.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--output", type=click.Path(path_type=Path), required=True, help="ROOT file to write.")
@options("where")
def simulate(masses: dict[str, float], pseudodata: bool, output: Path, where: dict[str, Any], **options: Any) -> None:
    """Generate a sample with Pythia, a fast detector and fastjet, in NanoAOD layout (extra `simulate`)."""
    from analysis import workflow
    from analysis.compute import open_backend

    if pseudodata != (options["lumi"] is not None):
        msg = "--pseudodata and --lumi go together: the number of events is Poisson(cross-section x luminosity)."
        raise ConfigError(msg)
    settings = {_SETTINGS.get(name, name): value for name, value in options.items() if value is not None}
    with open_backend(**where) as backend:
        click.echo(workflow.simulate(settings | masses, output, backend))


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@options()
def demo(folder: Path) -> None:
    """Copy the packaged demo, its ROOT files, datasets.json and configuration, to FOLDER."""
    from analysis.demo import copy_demo

    copy_demo(folder)
    click.echo(f"The demo is in {folder}. Search it:")
    click.echo(f"  cd {shlex.quote(str(folder))} && cwola run --config search.toml")


@cli.command()
def presets() -> None:
    """List the presets that --preset takes."""
    from analysis.config import available_presets

    click.echo("\n".join(available_presets()))


cli.add_command(convert)
cli.add_command(export)
cli.add_command(fit)
cli.add_command(impacts)
cli.add_command(inject)
cli.add_command(inspect)
cli.add_command(limit)
cli.add_command(performance)
cli.add_command(plot)
cli.add_command(report)
cli.add_command(score)
cli.add_command(select)


def main() -> None:
    """Entry point of the console script: errors of ours are printed, not traced, unless `--debug` is given."""
    try:
        cli.main(standalone_mode=False)
    except CwolaError as error:
        if "--debug" in sys.argv:
            raise
        _fail(str(error), 1)
    except click.exceptions.Abort:
        warnings.simplefilter("ignore")  # libraries that were interrupted while reading complain at exit
        _fail("interrupted. Finished work is kept; run the same command again to go on.", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {message}", err=True)
    sys.exit(code)


def _load_datasets(path: Path, exclude: tuple[str, ...]) -> dict[str, Dataset]:
    from analysis.datasets import exclude_datasets, load_datasets

    return exclude_datasets(load_datasets(path), exclude)


def _print_cutflow(events: ProcessedEvents, *, n_minus_one: bool = False) -> None:
    from analysis.console import open_console
    from analysis.summary import cutflow_table, n_minus_one_table, selection_notes

    console = open_console()
    console.print(cutflow_table(events.cutflow))
    if n_minus_one:
        console.print(n_minus_one_table(events.cutflow, events.n_minus_one))
    kinds = {name: dataset.kind for name, dataset in events.datasets.items()}
    for note in selection_notes(events.selection, kinds, events.records):
        console.print(note, markup=False)
    _print_skipped(events)


def _print_skipped(events: ProcessedEvents) -> None:
    """List the files that were left out, each on one line of its own."""
    for file in events.skipped_files:
        entries = "number of events unknown" if file["entries"] is None else f"{file['entries']} events"
        click.echo(f"skipped {file['file']} (dataset {file['dataset']}, {entries}): {file['reason']}")


def _print_scan(summary: ScanSummary, folder: ResultsFolder, config: SearchConfig) -> None:
    from analysis.console import open_console
    from analysis.errors import WindowError
    from analysis.summary import blinding_note, headline, scan_table
    from analysis.summary_signals import signal_notes, signal_table
    from analysis.summary_validation import verdict_lines

    console = open_console()
    console.print(scan_table(summary.results, blinded=summary.blinded))
    console.print(headline(summary.results, summary.global_result))
    if summary.blinded and (note := blinding_note(config)):
        console.print(note, markup=False)
    for line in verdict_lines(summary.validation, len(summary.results)):
        console.print(line, markup=False, highlight=False)
    if summary.signals:
        console.print(signal_table(summary.signals))
        for note in signal_notes(summary.signals):
            console.print(note, markup=False)
    console.print(f"Results, workspaces and plots: {folder.path}")
    failed = [result for result in summary.results if result.status == "failed"]
    if failed:
        msg = f"{len(failed)} of {len(summary.results)} windows failed; the others are complete. {failed[0].reason}"
        raise WindowError(msg)
