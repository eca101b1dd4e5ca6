"""Table of calibrations with retraining for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.calibration.values import CalibrationFile
from analysis.cli.tables.plain import plain
from analysis.results.numbers import with_error
from analysis.results.words import selection_text
from analysis.search.null_distribution import NullDistribution

__all__ = ["calibration_table"]


def calibration_table(found: CalibrationFile) -> Table:
    """Tabulate mean and width of z without signal.

    Parameters
    ----------
    found : CalibrationFile

    Returns
    -------
    rich.table.Table
        One row per window (GeV) and selection, with the factor by which p0 is too small at 3 and 5 standard deviations.
    """
    scans = f"; {len(found.largest)} of them in all windows, for the global p-value" if found.largest else ""
    table = Table(title=f"z without signal, trained anew{scans}", box=box.SIMPLE_HEAD, collapse_padding=True)
    for column in ("window", "selection"):
        table.add_column(column, no_wrap=True)
    for column in ("searches", "mean of z", "width of z", "true p0 / p0 at z = 3", "at z = 5"):
        table.add_column(column, justify="right")
    for window, nulls in found.windows.items():
        for name, null in nulls.items():
            table.add_row(
                window,
                Text(plain(selection_text(name))),
                str(null.searches),
                plain(with_error(null.mean, null.mean_error)),
                plain(with_error(null.width, null.width_error)),
                *(_factor(null, z) for z in (3.0, 5.0)),
            )
    return table


def _factor(null: NullDistribution, z: float) -> str:
    factor, error = null.factor(z)
    return plain(with_error(factor, error))
