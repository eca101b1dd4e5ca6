"""Commands `cwola limit` and `cwola inject`: injection of signal samples into the events of a search."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.shared import open_results, options, resolve_config

if TYPE_CHECKING:
    from analysis.limits.values import FailedLimit, InjectionLimit

__all__ = ["inject", "limit", "print_limits"]

_signals = click.option(
    "--signal", "signals", multiple=True, metavar="NAME", help="Signal dataset; repeatable.  [default: all]"
)


@click.command()
@_signals
@options("preset", "config", "plugin", "seed", "blind", "output", "where")
def limit(signals: tuple[str, ...], output: Path, where: dict[str, Any], **settings: Any) -> None:
    """Set limits on signal samples, with classifiers retrained for each injected signal strength.

    Signal of several strengths is hidden among the training events, and all classifiers are retrained for each; see
    [limits] in the configuration. Uses events selected by `cwola process` or `cwola run`, reuses finished work on
    disk, and writes limits.json, figures and, after a scan, results.json.
    """
    from analysis.compute import open_backend
    from analysis.stages import limit
    from analysis.stages.figures import plot_injections
    from analysis.stages.inputs import SearchInputs

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(**settings, fallback=folder.config)
        limits = limit.limit(SearchInputs.load(folder, config), backend, signals=signals)
        figures = plot_injections(folder, config, backend)
    print_limits(limits)
    click.echo(f"{len(figures)} figures in {folder.plots}")
    folder.require_schema()


def print_limits(found: Sequence[InjectionLimit | FailedLimit]) -> None:
    """Print the limits by all rules, and the reasons for missing limits."""
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.limits import limit_notes, limit_table

    console = open_console()
    console.print(limit_table(found))
    for note in limit_notes(found):
        console.print(note)


@click.command()
@_signals
@options("preset", "config", "plugin", "seed", "blind", "output", "where")
def inject(signals: tuple[str, ...], output: Path, where: dict[str, Any], **settings: Any) -> None:
    """Show the significance of the search for signals that an inclusive search would see at three standard deviations.

    Each signal sample is hidden among the events, which are then trained on and searched, for several random choices of
    its events. The search without the signal gives the significance that is not due to it. Writes limits.json and
    figures like `cwola limit`.
    """
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.limits import limit_notes, sensitivity_table
    from analysis.compute import open_backend
    from analysis.stages import limit
    from analysis.stages.figures import plot_injections
    from analysis.stages.inputs import SearchInputs

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(**settings, fallback=folder.config)
        sensitivities = limit.sensitivity(SearchInputs.load(folder, config), backend, signals=signals)
        figures = plot_injections(folder, config, backend)
    console = open_console()
    console.print(sensitivity_table(sensitivities))
    for note in limit_notes(sensitivities):
        console.print(note)
    click.echo(f"{len(figures)} figures in {folder.plots}")
