"""Options and output of `cwola validate`, and the command `cwola twosample`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.shared import open_results, options, resolve_config

if TYPE_CHECKING:
    from analysis.config import SearchConfig
    from analysis.validation.drift import WindowDrift
    from analysis.validation.values import WindowVerdict

__all__ = ["print_drift", "print_validation", "twosample", "validation_options", "with_draws"]


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


def print_drift(drifts: Sequence[WindowDrift], config: SearchConfig) -> None:
    """Print how far the features tell m_jj, and a note where CWoLa cannot stand it."""
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.drift import drift_table
    from analysis.validation.drift import drift_notes

    console = open_console()
    console.print(drift_table(drifts))
    for note in drift_notes(drifts, config):
        console.print(note, highlight=False)


@click.command()
@click.option("--window", "windows", multiple=True, metavar="NAME", help="Window, such as 3300-3700; repeatable.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="NAME",
    help="Source of samples without signal; repeatable.  [default: those in which features follow m_jj]",
)
@click.option(
    "--permutations",
    type=click.IntRange(1, 1_000_000),
    default=500,
    show_default=True,
    help="Permutations for the divergence by nearest neighbours.",
)
@click.option(
    "--trainings",
    type=click.IntRange(0, 100_000),
    default=50,
    show_default=True,
    help="Permutations for classifiers, each trained anew; 0 leaves them out.",
)
@click.option(
    "--events", type=click.IntRange(100), default=20_000, show_default=True, help="Largest number of events to compare."
)
@options("exclude", "preset", "config", "plugin", "seed", "blind", "output", "where")
def twosample(
    windows: tuple[str, ...],
    sources: tuple[str, ...],
    permutations: int,
    trainings: int,
    events: int,
    exclude: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    **settings: Any,
) -> None:
    """Test each window against the template of the method, with exact p-values.

    The template is what classifiers compare the window with: sidebands, simulation, or made from them. Samples without
    signal are tested beside the data. See docs/validation.md.
    """
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.two_sample import two_sample_notes, two_sample_table
    from analysis.compute import open_backend
    from analysis.stages.inputs import SearchInputs
    from analysis.stages.validation.two_sample import TwoSampleSettings, compare_templates

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(**settings, fallback=folder.config)
        inputs = SearchInputs.load(folder, config, exclude=exclude)
        wanted = TwoSampleSettings(permutations, trainings, events)
        tests = compare_templates(inputs, backend, wanted, sources=sources or None, windows=windows or None)
    console = open_console()
    console.print(two_sample_table(tests))
    for note in two_sample_notes(tests):
        console.print(note, highlight=False)
