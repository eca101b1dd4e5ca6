"""Table of a trigger turn-on for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich import box
from rich.table import Table

from analysis.results.numbers import p_value, with_error
from analysis.results.turn_on import TurnOnFile
from analysis.statistics.efficiencies import clopper_pearson, turn_on

__all__ = ["turn_on_lines", "turn_on_table"]

_ROWS = 20


def turn_on_table(found: TurnOnFile) -> Table:
    """Tabulate the efficiency in at most about twenty groups of neighbouring bins with events.

    Parameters
    ----------
    found : TurnOnFile

    Returns
    -------
    rich.table.Table
    """
    measured = found.measured
    table = Table(
        title=f"Efficiency of {' or '.join(found.triggers)} in events of {' or '.join(found.reference)}",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for name in ("m_jj [GeV]", "events", "passing", "efficiency", "68 % interval", "fit"):
        table.add_column(name, justify="right")
    for low, high, total, passed in _groups(found):
        if not total:
            continue
        ends = [float(one[0]) for one in clopper_pearson(np.array([passed]), np.array([total]))]
        fit = measured.fit
        model = "-"
        if fit is not None:
            middle = np.array([(low + high) / 2])
            model = f"{turn_on(middle, fit.midpoint, fit.width, fit.plateau)[0]:.4f}"
        interval = f"{ends[0]:.4f} to {ends[1]:.4f}"
        table.add_row(f"{low:g}-{high:g}", str(total), str(passed), f"{passed / total:.4f}", interval, model)
    return table


def _groups(found: TurnOnFile) -> Iterator[tuple[float, float, int, int]]:
    """Yield ends, total and passed of groups of bins around the turn-on and of the plateau."""
    efficiency, edge = found.measured.efficiency, found.measured.smooth_edge
    edges = efficiency.edges
    width = edges[1] - edges[0]
    last = min(len(efficiency.total), int(np.ceil((1.5 * edge - edges[0]) / width)) + 1)
    step = max(1, -(-last // _ROWS))
    starts = list(range(0, last, step))
    for start, stop in zip(starts, [*starts[1:], len(efficiency.total)], strict=True):
        yield edges[start], edges[stop], sum(efficiency.total[start:stop]), sum(efficiency.passed[start:stop])


def turn_on_lines(found: TurnOnFile) -> list[str]:
    """Sentences on the fit and on the proposed edge."""
    measured = found.measured
    lines = []
    if (fit := measured.fit) is None:
        lines.append("No turn-on is visible in the whole range: one efficiency describes all bins.")
    else:
        plateau = "1" if fit.plateau_error is None else with_error(fit.plateau, fit.plateau_error)
        lines.append(
            f"Fit of p Φ((m - μ)/σ): μ = {with_error(fit.midpoint, fit.midpoint_error)} GeV, "
            f"σ = {with_error(fit.width, fit.width_error)} GeV, p = {plateau}; p-value of the fit "
            f"{p_value_of(fit.p_value)}."
        )
        if fit.p_value is not None and fit.p_value < _BAD:
            lines.append(
                "The error function does not describe the turn-on: look at the figure, and choose the edge from the "
                "points, or a --range that begins higher."
            )
    lines.append(
        f"Less than {measured.loss:g} of the plateau is lost from {measured.flat_from:.0f} ± "
        f"{measured.flat_from_error:.0f} GeV. Above the proposed edge the efficiency is the same in the lower and the "
        f"upper half of the events with p-value {p_value_of(measured.flat_p_value)}."
    )
    lines.append(f"Proposal for [scan]: smooth_edge = {measured.smooth_edge:g}")
    return lines


_BAD = 0.01


def p_value_of(value: float | None) -> str:
    """Format a p-value, or say that there are too few events for one."""
    return "(too few events)" if value is None else p_value(value)
