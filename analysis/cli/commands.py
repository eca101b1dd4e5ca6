"""Command line: parsing, calls of the stages, printing. Each command imports the heavy libraries that it needs."""

from __future__ import annotations

import io
import logging
import os
import shlex
import sys
import traceback
import warnings
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from analysis import __version__
from analysis.cli.bump3d import bump3d
from analysis.cli.calibrate import calibrate
from analysis.cli.events import select
from analysis.cli.export import export
from analysis.cli.files import convert, datasets, inspect
from analysis.cli.fit import fit
from analysis.cli.inputs.tables import table_datasets, table_options, with_columns
from analysis.cli.limit import inject, limit, print_limits
from analysis.cli.output.amount import add_output_options
from analysis.cli.overview.groups import GroupedCommands
from analysis.cli.overview.status import status
from analysis.cli.performance import compare, performance
from analysis.cli.plot import plot
from analysis.cli.report import report
from analysis.cli.score import score
from analysis.cli.shared import open_results, options, resolve_config
from analysis.cli.sharing.reinterpret import reinterpret
from analysis.cli.signals import impacts
from analysis.cli.simulate import grid, simulate
from analysis.cli.terminal.encoding import allow_any_encoding
from analysis.cli.terminal.interruption import end_by_any_signal
from analysis.cli.terminal.streams import keep_going_without_output, output_error
from analysis.cli.trust import trust
from analysis.cli.turnon import turnon
from analysis.cli.validate import print_drift, print_validation, twosample, validation_options, with_draws
from analysis.core.address import hide_secrets
from analysis.core.counted import counted
from analysis.errors import CwolaError

if TYPE_CHECKING:
    from analysis.config import SearchConfig
    from analysis.core.location import Location
    from analysis.events.dataset import Dataset
    from analysis.results import ResultsFolder
    from analysis.results.processed_events import ProcessedEvents
    from analysis.stages.scan import ScanSummary

__all__ = ["cli", "main"]

_log = logging.getLogger("cwola")


@click.group(cls=GroupedCommands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cwola")
def cli() -> None:
    """Search for dijet resonances without a signal model: ROOT files in, limits and plots out."""


@cli.command()
@click.option("--limits", is_flag=True, help="Also set limits on the signal samples, as with `cwola limit`.")
@options(
    *("datasets", "exclude", "preset", "config", "plugin", "seed", "seeds", "blind", "output", "skip", "timeout"),
    *("parts", "where"),
)
@table_options
def run(
    limits: bool,
    exclude: tuple[str, ...],
    tables: dict[str, Any],
    output: Path,
    where: dict[str, Any],
    skip_bad_files: bool,
    timeout: int,
    parts: Location | None,
    **settings: Any,
) -> None:
    """Run the whole search: process, validate, scan, plot and report. Finished work on disk is reused."""
    from analysis.compute import open_backend
    from analysis.stages import diagnose, figures, limit, process, scan, variants
    from analysis.stages.inputs import SearchInputs
    from analysis.stages.validation.validate import validate

    config, chosen = with_columns(resolve_config(**settings), tables), _load_datasets(tables, exclude)
    options: dict[str, Any] = {"skip_bad_files": skip_bad_files, "timeout": timeout, "parts": parts}
    with open_results(output) as folder, open_backend(**where) as backend:
        events = process.process(chosen, config, folder, backend, **options)
        _print_cutflow(events)
        inputs = SearchInputs(events, config, folder)
        if config.validation.in_run:
            validate(inputs, backend, sources=config.validation.in_run)
        summary = scan.scan(inputs, backend)
        diagnose.diagnose(inputs, backend)
        limited = limit.limit(inputs, backend) if limits else None
        searched = variants.scan_variants(inputs, backend)
        for variant in searched:
            figures.plot(variant.folder, variant.config, backend)
            figures.report(variant.folder)
        variants.compare_variants(inputs, searched, backend)
        figures.plot(folder, config, backend)
        page = figures.report(folder)
    if events.skipped_files:
        click.echo(f"{len(events.skipped_files)} files were skipped: listed above and in results.json.")
    if limited is not None:
        print_limits(limited)
    _print_scan(summary, folder, config, page)


@cli.command()
@options("datasets", "exclude", "preset", "config", "plugin", "output", "skip", "timeout", "parts", "where")
@table_options
def process(
    exclude: tuple[str, ...],
    tables: dict[str, Any],
    output: Path,
    where: dict[str, Any],
    skip_bad_files: bool,
    timeout: int,
    parts: Location | None,
    **settings: Any,
) -> None:
    """Select dijet events from ROOT files and write them as parquet, or take over tables of selected events."""
    from analysis.compute import open_backend
    from analysis.stages import process

    config, chosen = with_columns(resolve_config(**settings), tables), _load_datasets(tables, exclude)
    options: dict[str, Any] = {"skip_bad_files": skip_bad_files, "timeout": timeout, "parts": parts}
    with open_results(output) as folder, open_backend(**where) as backend:
        events = process.process(chosen, config, folder, backend, **options)
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
    """Test the search on signal-free samples before it is run, with a verdict for each window.

    The samples are data with large |Δy|, simulation, and two samples made from the data beside each window. See
    docs/validation.md.
    """
    from analysis.compute import open_backend
    from analysis.stages.inputs import SearchInputs
    from analysis.stages.validation import drift, validate

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = with_draws(resolve_config(**settings, fallback=folder.config), draws)
        inputs = SearchInputs.load(folder, config, exclude=exclude)
        verdicts = validate.validate(inputs, backend, sources=sources or None)
        drifts = drift.measure_drifts(inputs, backend)
    print_validation(verdicts)
    print_drift(drifts, config)


@cli.command()
@options("exclude", "preset", "config", "plugin", "seed", "seeds", "blind", "output", "where")
@table_options
def scan(
    exclude: tuple[str, ...], tables: dict[str, Any], output: Path, where: dict[str, Any], **settings: Any
) -> None:
    """Train, cut, fit and compute limits in all windows, for events selected by `cwola process` or given as tables."""
    from analysis.compute import open_backend
    from analysis.stages import diagnose, process, scan, variants
    from analysis.stages.inputs import SearchInputs

    chosen = table_datasets(tables)
    with open_results(output, create=chosen is not None) as folder, open_backend(**where) as backend:
        config = with_columns(resolve_config(**settings, fallback=folder.config), tables)
        if chosen is not None:
            _print_cutflow(process.process(chosen, config, folder, backend))
        inputs = SearchInputs.load(folder, config, exclude=exclude)
        summary = scan.scan(inputs, backend)
        diagnose.diagnose(inputs, backend)
        variants.scan_variants(inputs, backend)
    _print_scan(summary, folder, config)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@options()
def demo(folder: Path) -> None:
    """Copy the packaged demo to FOLDER: ROOT files, datasets.json and configuration."""
    from analysis.demo import copy_demo

    copy_demo(folder)
    click.echo(f"The demo is in {folder}. Search it:")
    click.echo(f"  cd {shlex.quote(str(folder))} && cwola run --config search.toml")


@cli.command()
def presets() -> None:
    """List the available presets, for --preset."""
    from analysis.cli.output.console import open_console
    from analysis.config import available_presets

    console = open_console()
    for name in available_presets():
        console.print(name, highlight=False)


cli.add_command(calibrate)
cli.add_command(bump3d)
cli.add_command(compare)
cli.add_command(convert)
cli.add_command(datasets)
cli.add_command(export)
cli.add_command(fit)
cli.add_command(impacts)
cli.add_command(grid)
cli.add_command(inject)
cli.add_command(inspect)
cli.add_command(limit)
cli.add_command(performance)
cli.add_command(plot)
cli.add_command(reinterpret)
cli.add_command(report)
cli.add_command(score)
cli.add_command(select)
cli.add_command(simulate)
cli.add_command(status)
cli.add_command(trust)
cli.add_command(twosample)
cli.add_command(turnon)

for _command in cli.commands.values():
    add_output_options(_command)


def main() -> None:
    """Run the console script; errors of this package are printed without a traceback unless `--debug` is given."""
    keep_going_without_output()
    allow_any_encoding()
    sys.excepthook = _show_traceback
    end_by_any_signal()
    # Workers are started by `python -m` and `-c`, which would look for their modules in the current folder first.
    os.environ["PYTHONSAFEPATH"] = "1"
    os.environ.setdefault("MPLBACKEND", "agg")  # a matplotlibrc there could name a module
    warnings.filterwarnings("ignore", "(?s).*joblib will operate in serial mode")  # its processes are not used
    try:
        cli.main(standalone_mode=False)
    except CwolaError as error:
        if "--debug" in sys.argv:
            raise
        _fail(str(error), 1)
    except click.exceptions.Abort:
        warnings.simplefilter("ignore")  # libraries interrupted while reading warn at exit
        _fail("interrupted. Finished work is kept; run the same command again to go on.", 130)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        click.echo(hide_secrets(shown.getvalue()), nl=False, err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        if "--debug" in sys.argv:
            raise
        _fail_unexpectedly(error)
    if (lost := output_error()) is not None:
        reason = lost.strerror or lost
        _fail(f"cannot write to standard output: {reason}. All else was done, and files are complete.", 1)


def _fail_unexpectedly(error: Exception) -> None:
    from analysis.core.text_files import one_line

    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(last.filename).name}, line {last.lineno}"
    _fail(
        f"unexpected {type(error).__name__}: {one_line(error)} ({place}). Finished work is kept. The cause may be a "
        "file that was edited or damaged, else it is a fault of cwola: run again with --debug, and report the output.",
        1,
    )


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback as Python does, without passwords and tokens of addresses."""
    sys.stderr.write(hide_secrets("".join(traceback.format_exception(kind, error, trace))))


def _fail(message: str, code: int) -> None:
    click.echo(f"error: {hide_secrets(message)}", err=True)
    sys.exit(code)


def _load_datasets(tables: dict[str, Any], exclude: tuple[str, ...]) -> dict[str, Dataset]:
    from analysis.events.datasets import exclude_datasets

    given = table_datasets(tables)
    return tables["datasets"].load(exclude) if given is None else exclude_datasets(given, exclude)


def _print_cutflow(events: ProcessedEvents, *, n_minus_one: bool = False) -> None:
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.search import cutflow_table, n_minus_one_table
    from analysis.results.wording.notes import selection_notes

    console = open_console()
    console.print(cutflow_table(events.cutflow))
    if n_minus_one:
        console.print(n_minus_one_table(events.cutflow, events.n_minus_one))
    kinds = {name: dataset.kind for name, dataset in events.datasets.items()}
    for note in selection_notes(events.selection, kinds, events.records):
        console.print(note)
    _print_skipped(events)


def _print_skipped(events: ProcessedEvents) -> None:
    """Print the skipped files, one per line."""
    from analysis.compute import paused

    for file in events.skipped_files:
        entries = "number of events unknown" if file.entries is None else f"{file.entries} events"
        with paused():
            click.echo(f"skipped {file.file} (dataset {file.dataset}, {entries}): {file.reason}")


def _print_scan(summary: ScanSummary, folder: ResultsFolder, config: SearchConfig, page: Path | None = None) -> None:
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.plain import plain
    from analysis.cli.tables.search import headline, scan_table, variants_table
    from analysis.cli.tables.signals import shape_table, signal_notes, signal_table
    from analysis.cli.tables.validation import verdict_lines
    from analysis.errors import WindowError
    from analysis.results.compared.searches import comparison_sentences
    from analysis.results.compared.variants import found_by_variants
    from analysis.results.wording.notes import blinding_note
    from analysis.results.words import bad_looks

    console = open_console()
    console.print(scan_table(summary.document))
    console.print(headline(summary.document))
    if summary.document.blinded and (note := blinding_note(config)):
        console.print(note)
    for line in verdict_lines(summary.validation, len(summary.results)):
        console.print(line, highlight=False)
    if signals := summary.document.signals:
        bad = bad_looks(summary.document.windows)
        console.print(signal_table(signals, bad))
        if (by_shape := shape_table(signals)) is not None:
            console.print(by_shape)
        for note in signal_notes(signals, bad):
            console.print(note)
    for note in (*summary.document.notes, *summary.notes):
        console.print(note, highlight=False)
    if found := found_by_variants(folder, config, summary.document):
        console.print(variants_table(found))
        for sentence in comparison_sentences([one.looks for one in found if one.looks is not None]):
            console.print(plain(sentence), highlight=False)
    _print_closing(folder, page)
    failed = [result for result in summary.results if result.status == "failed"]
    if failed:
        rest = "; the others are complete" if len(failed) < len(summary.results) else ""
        msg = f"{len(failed)} of {counted(len(summary.results), 'window')} failed{rest}. {failed[0].reason}"
        raise WindowError(msg)
    folder.require_schema()


def _print_closing(folder: ResultsFolder, page: Path | None) -> None:
    """Print three lines to repeat to others, and where the results are."""
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.plain import plain
    from analysis.results.verdict import closing_lines

    console = open_console()
    for line in closing_lines(folder.read_results()):  # with the limits that were added after the scan
        console.print(plain(line), highlight=False)
    console.print(f"Results, workspaces and plots: {folder.path}{f'; report: {page}' if page else ''}")
