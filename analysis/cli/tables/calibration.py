"""Table of calibrations with retraining for the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.calibration.values import CalibrationFile
from analysis.cli.tables.plain import plain
from analysis.learning import selection_text
from analysis.results.numbers import with_error

__all__ = ["calibration_table"]


def calibration_table(found: CalibrationFile) -> Table:
    """Tabulate z without signal, and the coupling of the folds.

    Parameters
    ----------
    found : CalibrationFile

    Returns
    -------
    rich.table.Table
        One row per window (GeV) and selection.
    """
    scans = f"; {len(found.largest)} sets in all windows, for the global p-value" if found.largest else ""
    table = Table(title=f"z without signal, trained anew{scans}", box=box.SIMPLE_HEAD, collapse_padding=True)
    for column in ("window", "selection"):
        table.add_column(column, no_wrap=True)
    for column in ("searches", "mean of z", "width of z", "coupling of folds"):
        table.add_column(column, justify="right")
    for window, measured in found.windows.items():
        for name, one in measured.items():
            coupling = None if one.coupling is None else with_error(one.coupling.value, one.coupling.error)
            table.add_row(
                window,
                Text(plain(selection_text(name))),
                str(one.z.searches),
                plain(with_error(one.z.mean, one.z.mean_error)),
                plain(with_error(one.z.width, one.z.width_error)),
                "-" if coupling is None else plain(coupling),
            )
    return table
