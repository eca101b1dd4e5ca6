"""Command `cwola impacts`: impacts of the systematic uncertainties on the signal samples."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.errors import ConfigError

__all__ = ["impacts"]


@click.command()
@click.option("--signal", metavar="NAME", help="One signal dataset.  [default: all]")
@click.option("--selection", metavar="NAME", help="One selection, such as eff_0.1.  [default: all]")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Results folder of a finished scan.",
)
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def impacts(signal: str | None, selection: str | None, output: Path) -> None:
    """Print yields, limits, pulls and impacts of the signal samples of a finished search.

    An impact is the shift of the fitted signal strength when a parameter is fixed one post-fit standard deviation
    above or below its fitted value.
    """
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.signals import impact_tables, shape_table, signal_notes, signal_table
    from analysis.results import ResultsFolder
    from analysis.results.words import bad_looks

    results = ResultsFolder(output).load_results()[0]
    stored, bad = results.signals, bad_looks(results.windows)
    chosen = [result for result in stored if signal in (None, result.dataset)]
    if not chosen:
        names = ", ".join(result.dataset for result in stored) or "none"
        msg = (
            f"{output} holds no results of {'a signal' if signal is None else signal}. Signals: {names}. Add a dataset "
            "of kind signal to the datasets file, and run `cwola run` again."
        )
        raise ConfigError(msg)
    console = open_console()
    console.print(signal_table(chosen, bad))
    if (by_shape := shape_table(chosen)) is not None:
        console.print(by_shape)
    for result in chosen:
        for table in impact_tables(result, selection):
            console.print(table)
    for note in signal_notes(chosen, bad):
        console.print(note)
