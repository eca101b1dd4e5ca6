"""Table of the drift of the features for the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from analysis.validation.drift import Separation, WindowDrift

__all__ = ["drift_table"]


def drift_table(drifts: Sequence[WindowDrift]) -> Table:
    """Tabulate how far the features tell m_jj around each window.

    Parameters
    ----------
    drifts : sequence of WindowDrift

    Returns
    -------
    rich.table.Table
        One row per window and sample: the drift from the lower to the upper sideband in standard deviations, of all
        features together and of each alone, and the area under the curve of all.
    """
    table = Table(
        title="Drift of the features with m_jj: standard deviations from sideband to sideband, and AUC of slices",
        box=box.SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
    )
    names = list(dict.fromkeys(one.name for drift in drifts for one in drift.features))
    table.add_column("window", no_wrap=True)
    for name in ("sample", "all", "AUC"):
        table.add_column(name)
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    for drift in drifts:
        table.add_row(drift.window, drift.sample, *_together(drift), *_alone(drift, names))
    return table


def _together(drift: WindowDrift) -> list[Text]:
    if drift.together is None:
        return [Text(drift.reason or "-"), Text("-")]
    style = "bold red" if drift.is_large else ""
    return [Text(_shift(drift.together), style=style), Text(f"{drift.together.auc:.3f}±{drift.together.auc_error:.3f}")]


def _alone(drift: WindowDrift, names: Sequence[str]) -> list[Text]:
    found = {one.name: _shift(one) for one in drift.features}
    return [Text(found.get(name, "-")) for name in names]


def _shift(one: Separation) -> str:
    return f"{one.drift:+.2f}±{one.drift_error:.2f}"
