"""Options and output of `cwola validate`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from analysis.config import LearningConfig, SearchConfig
    from analysis.validation.drift import WindowDrift
    from analysis.validation.values import WindowVerdict

__all__ = ["print_drift", "print_validation", "validation_options", "with_draws"]


def validation_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--draws` and `--source`."""
    draws = click.option(
        "--draws", type=click.IntRange(1), help="Number of samples per drawn source; replaces validation.draws."
    )
    source = click.option(
        "--source", "sources", multiple=True, metavar="NAME", help="Source of samples; repeatable.  [default: all]"
    )
    return draws(source(command))


def with_draws(config: SearchConfig, draws: int | None) -> SearchConfig:
    """Replace `validation.draws` if `draws` is given."""
    if draws is None:
        return config
    return config.model_copy(update={"validation": config.validation.model_copy(update={"draws": draws})})


def print_validation(verdicts: Sequence[WindowVerdict]) -> None:
    """Print the table of verdicts, and notes on verdicts and samples."""
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.validation import validation_notes, validation_table

    console = open_console()
    console.print(validation_table(verdicts))
    for note in validation_notes(verdicts):
        console.print(note, highlight=False)


def print_drift(drifts: Sequence[WindowDrift], learning: LearningConfig) -> None:
    """Print how far the features tell m_jj, and a note where CWoLa cannot stand it."""
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.drift import drift_table
    from analysis.validation.drift import drift_notes

    console = open_console()
    console.print(drift_table(drifts))
    for note in drift_notes(drifts, learning):
        console.print(note, highlight=False)
