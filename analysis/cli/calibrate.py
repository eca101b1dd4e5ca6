"""Command `cwola calibrate`: p-values with retraining, from searches of the own events without signal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analysis.cli.shared import open_results, options, resolve_config

if TYPE_CHECKING:
    from analysis.calibration.values import CalibrationFile

__all__ = ["calibrate"]


@click.command()
@click.option(
    "--searches",
    type=click.IntRange(20, 1_000_000),
    default=200,
    show_default=True,
    help="Number of searches without signal.",
)
@click.option(
    "--window",
    "windows",
    multiple=True,
    metavar="NAME",
    help="Window to calibrate, such as 3300-3700; repeatable.  [default: all, which gives the global p-value, too]",
)
@options("exclude", "preset", "config", "plugin", "seed", "output", "where")
def calibrate(
    searches: int,
    windows: tuple[str, ...],
    exclude: tuple[str, ...],
    output: Path,
    where: dict[str, Any],
    **settings: Any,
) -> None:
    """Measure how far retraining widens z without signal, and correct the p-values of the scan for it.

    Pseudo-data without signal are made from the events beside the windows, and searched with classifiers trained anew.
    Run it again with more --searches to go on. Then run `cwola scan` again, which takes no time. See
    docs/calibration.md.
    """
    from analysis.compute import open_backend
    from analysis.stages import calibrate
    from analysis.stages.inputs import SearchInputs

    with open_results(output, create=False) as folder, open_backend(**where) as backend:
        config = resolve_config(**settings, fallback=folder.config)
        inputs = SearchInputs.load(folder, config, exclude=exclude)
        found = calibrate.calibrate(inputs, backend, searches=searches, windows=windows or None)
    _print(found)


def _print(found: CalibrationFile) -> None:
    from analysis.cli.output.console import open_console
    from analysis.cli.tables.calibration import calibration_table

    open_console().print(calibration_table(found))
