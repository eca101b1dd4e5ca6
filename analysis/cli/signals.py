"""The command `cwola impacts`: what each systematic uncertainty does to the limits on the signal samples."""

from __future__ import annotations

from pathlib import Path

import click

from analysis.errors import ConfigError

__all__ = ["impacts"]


@click.command()
@click.option("--signal", metavar="NAME", help="One dataset of kind signal.  [default: all]")
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

    An impact is the shift of the fitted signal strength when a parameter is held one standard deviation after the fit
    above or below its fitted value.
    """
    from analysis.cli.console import open_console
    from analysis.cli.tables.signals import impact_tables, signal_notes, signal_table
    from analysis.results import ResultsFolder

    found = ResultsFolder(output).load_results()[0].signals
    chosen = [one for one in found if signal in (None, one.dataset)]
    if not chosen:
        known = ", ".join(one.dataset for one in found) or "none"
        msg = (
            f"{output} holds no results of {'a signal' if signal is None else signal}. Signals: {known}. Add a dataset "
            "of kind signal to the datasets file, and run `cwola run` again."
        )
        raise ConfigError(msg)
    console = open_console()
    console.print(signal_table(chosen))
    for one in chosen:
        for table in impact_tables(one, selection):
            console.print(table)
    for note in signal_notes(chosen):
        console.print(note, markup=False)
