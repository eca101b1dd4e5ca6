"""What `cwola validate` takes beside the options that all stages share, and what it prints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from analysis.config import SearchConfig
    from analysis.validation.values import WindowVerdict

__all__ = ["print_validation", "validation_options", "with_draws"]


def validation_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--draws` and `--source`."""
    draws = click.option(
        "--draws", type=click.IntRange(1), help="Samples of each source that is drawn; replaces validation.draws."
    )
    source = click.option(
        "--source", "sources", multiple=True, metavar="NAME", help="One source of samples, or several.  [default: all]"
    )
    return draws(source(command))


def with_draws(config: SearchConfig, draws: int | None) -> SearchConfig:
    """Replace `validation.draws`, where a number is given."""
    if draws is None:
        return config
    return config.model_copy(update={"validation": config.validation.model_copy(update={"draws": draws})})


def print_validation(verdicts: Sequence[WindowVerdict]) -> None:
    """Print the table, and in words what it does not hold."""
    from analysis.cli.console import open_console
    from analysis.cli.tables.validation import validation_notes, validation_table

    console = open_console()
    console.print(validation_table(verdicts))
    for note in validation_notes(verdicts):
        console.print(note, markup=False, highlight=False)
