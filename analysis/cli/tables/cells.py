"""Table and closing lines of `cwola bump3d`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.background import CALIBRATED_FROM, is_bad_fit
from analysis.cli.tables.plain import plain, plain_error
from analysis.results.numbers import count, p_value, z_value
from analysis.results.words import BAD_FIT_MARK, BAD_FIT_NOTE
from analysis.search.cells import Bound, BumpHunt3D, CellAxis, CellResult, CellWindow

__all__ = ["cell_lines", "cell_table"]


def cell_table(found: BumpHunt3D) -> Table:
    """Tabulate the cell with the largest z in each window; while blinded, the number of its cells alone."""
    table = Table(title=Text("Best cell of each window (m_jj in GeV)"), box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("window", no_wrap=True)
    table.add_column("cells", justify="right")
    table.add_column("best cell", overflow="fold")
    for name in ("n", "b", "z", "p0"):
        table.add_column(name, justify="right")
    for window in found.windows:
        table.add_row(
            window.name,
            f"{window.n_fitted} of {len(window.cells)}",
            *map(Text, _cells(window, found.axes, blinded=found.blinded)),
        )
    return table


def _cells(window: CellWindow, axes: Sequence[CellAxis], *, blinded: bool) -> list[str]:
    best = window.best
    if best is None:
        return ["blinded" if blinded and window.n_fitted else "no fit", *["-"] * 4]
    mark = _mark(best)
    return [
        cell_text(best, axes),
        plain(count(best.n_obs)),
        plain_error(best.background, best.background_error) + mark,
        plain(z_value(best.z)) + mark,
        plain(p_value(best.p0)) + mark,
    ]


def cell_text(cell: CellResult, axes: Sequence[CellAxis]) -> str:
    """Return the ranges of a cell, such as "mj1 120-180, mj2 > 95"."""
    return ", ".join(_range(axis.feature, *ends) for axis, ends in zip(axes, cell.ranges, strict=True))


def _range(feature: str, low: Bound, high: Bound) -> str:
    if low is None and high is None:
        return f"any {feature}"
    if low is None:
        return f"{feature} < {high:.4g}"
    return f"{feature} > {low:.4g}" if high is None else f"{feature} {low:.4g} to {high:.4g}"


def cell_lines(found: BumpHunt3D) -> Iterator[str]:
    """Lines below the table: largest excess, global p-value, and notes."""
    left = sum(len(window.cells) - window.n_fitted for window in found.windows)
    if found.blinded:
        yield "Blinded: no count, z or p-value of a window is shown; set statistics.unblind for real data."
    elif found.best is not None:
        window, cell = found.best
        total = found.global_
        yield (
            f"Largest excess: local z = {plain(z_value(cell.z))} in {window.name} GeV, {cell_text(cell, found.axes)}."
        )
        sign = "<=" if total.method.endswith("upper-bound") else "="
        yield (
            f"Global p0 {sign} {plain(p_value(total.p0))}, z = {plain(z_value(total.z))}: {total.method_text} over "
            f"{total.n_trials} cells of all windows."
        )
    if left:
        yield f"{left} cells have too few events beside the mask for a fit, and are not tested: see their reasons."
    yield from _notes([window.best for window in found.windows])


def _notes(best: Sequence[CellResult | None]) -> Iterator[str]:
    shown = [cell for cell in best if cell is not None]
    if any(map(_mark, shown)):
        yield BAD_FIT_NOTE
    if not all(cell.calibrated for cell in shown):
        yield f"Local p-values of cells with b < {CALIBRATED_FROM:g} are approximate; the global p-value is not."


def _mark(cell: CellResult) -> str:
    return BAD_FIT_MARK if is_bad_fit(cell.fit_p_value) else ""
