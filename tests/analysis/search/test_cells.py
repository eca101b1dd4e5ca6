"""Cells of features: where they begin and end, which events they hold, and which bins are refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from analysis.errors import ConfigError, CwolaError
from analysis.regions import RegionScan
from analysis.search.cells import Binning, CellAxis, cell_axes, cell_of
from tests.builders.toy_tables import table_of, toy_config, toy_table

SCAN = RegionScan.from_config(toy_config(scan={"first": 3300.0, "last": 3900.0, "step": 200.0}).scan)
TABLE = toy_table(3000, random_state=1)
MASKED = (TABLE.mjj >= 3200) & (TABLE.mjj < 4000)
"""Events in the mask of one of the windows 3300-3700 and 3500-3900."""


def test_quantile_bins_are_those_of_the_events_beside_the_masks() -> None:
    (axis,) = cell_axes(TABLE, [Binning("x1", 4)], SCAN)
    beside = TABLE.column("x1")[~MASKED]
    assert axis.edges[0] is axis.edges[-1] is None
    assert axis.edges[1:-1] == pytest.approx(np.quantile(beside, [0.25, 0.5, 0.75]))
    assert np.bincount(axis.bin_of(beside)) == pytest.approx(np.full(4, len(beside) / 4), abs=1)


def test_events_inside_a_window_have_no_say_in_quantile_bins() -> None:
    X = TABLE.matrix(("x0", "x1")).copy()
    X[MASKED] += 10.0
    moved = table_of(TABLE.mjj, X)
    wanted = [Binning("x0", 3), Binning("x1", 2)]
    assert cell_axes(moved, wanted, SCAN) == cell_axes(TABLE, wanted, SCAN)


def test_each_event_is_in_the_cell_of_its_bins() -> None:
    """Edges belong to the bin above; what is outside, or undefined, is in no cell."""
    x0, x1 = np.array([0.0, 1.0, 1.0, 2.0, -0.1, np.nan, 0.5]), np.array([-5.0, 0.0, 9.0, 0.0, 0.0, 0.0, np.nan])
    table = table_of(np.full(7, 3500.0), np.stack([x0, x1], axis=1))
    axes = (CellAxis("x0", (0.0, 1.0, 2.0)), CellAxis("x1", (None, 0.0, None)))
    assert cell_of(table, axes).tolist() == [0, 3, 3, -1, -1, -1, -1]


def test_undefined_values_are_left_out_of_quantiles() -> None:
    X = TABLE.matrix(("x0", "x1")).copy()
    X[::2, 0] = np.nan
    (axis,) = cell_axes(table_of(TABLE.mjj, X), [Binning("x0", 2)], SCAN)
    assert axis.edges[1] == pytest.approx(np.median(X[1::2, 0][~MASKED[1::2]]))


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ([("x0", 0)], "x0: expected at least 1 bin, found 0"),
        ([("x0", (1.0,))], "x0: expected two or more rising edges, such as 50,100,200, found 1."),
        ([("x0", (1.0, 1.0))], "rising edges"),
        ([("x0", (0.0, np.inf))], "rising edges"),
        ([("x0", 2), ("x0", 3)], "different features for the cells, found x0, x0"),
        ([], "found none"),
        ([("mj1", 2)], "'mj1' is not in the event table. Features: x0, x1. Name others with --feature"),
        ([("mjj", 2)], "'mjj' may not be trained on"),
        ([("x0", 21), ("x1", 20)], "420 cells in each window are more than 400"),
    ],
)
def test_bins_that_make_no_cells_are_refused(wanted: list[tuple[str, int]], reason: str) -> None:
    with pytest.raises(CwolaError, match=re.escape(reason)):
        cell_axes(TABLE, [Binning(*one) for one in wanted], SCAN)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.zeros(3000), "x0 has too few different values"),
        (np.full(3000, np.nan), "x0 has no value in the 1465 events beside the masks"),
        (np.repeat([0.0, 1.0], [2900, 100]), "for 3 quantile bins. Use fewer bins, or give edges"),
    ],
)
def test_features_with_few_values_need_edges(values: np.ndarray, reason: str) -> None:
    table = table_of(TABLE.mjj, values[:, None])
    with pytest.raises(ConfigError, match=reason):
        cell_axes(table, [Binning("x0", 3)], SCAN)
    assert cell_axes(table, [Binning("x0", (0.0, 0.5, 2.0))], SCAN)[0].n_bins == 2


def test_cells_without_any_event_are_refused() -> None:
    with pytest.raises(ConfigError, match="none of the 3000 events is in a cell of x0"):
        cell_of(TABLE, [CellAxis("x0", (50.0, 60.0))])
