"""Bump hunt in cells: each cell tested as `cwola fit` tests it, a global p-value of all cells, and blinding."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.compute import Serial
from analysis.core.documents import to_json
from analysis.events.table import EventTable
from analysis.histograms.spectrum import Spectrum
from analysis.regions import RegionScan
from analysis.search.bump import fit_bump, plan_fit
from analysis.search.bump3d import hunt
from analysis.search.cells import Binning, BumpHunt3D, cell_axes, cell_of
from analysis.search.values import SearchData
from tests.builders.toy_tables import SQRT_S, table_of, toy_config, toy_table

FUNCTIONS = ("dijet2", "dijet3")
EDGES = np.arange(3000.0, 6501.0, 100.0)


def searched(data: SearchData, *, toys: int = 0, bins: int = 3, last: float = 3700.0) -> BumpHunt3D:
    config = toy_config(
        scan={"first": 3300.0, "last": last, "step": 200.0},
        background={"function_error": "none", "functions": FUNCTIONS},
        statistics={"pseudo_experiments": toys},
    )
    scan = RegionScan.from_config(config.scan)
    axes = cell_axes(data.table, [Binning("x0", bins), Binning("x1", bins)], scan)
    return hunt(data, scan, axes, config, Serial())


NOTHING = SearchData(toy_table(9000, random_state=4))
SOMETHING = SearchData(toy_table(9000, 150, random_state=4), signal_datasets=("signal",))


def test_every_cell_is_tested_as_the_fit_of_its_spectrum() -> None:
    found = searched(NOTHING)
    table = NOTHING.table
    cells = cell_of(table, found.axes)
    (window,) = found.windows
    assert len(window.cells) == 9
    for index, cell in enumerate(window.cells):
        counts, rest = (
            np.histogram(table.mjj[chosen], EDGES)[0].astype(float) for chosen in (cells == index, cells != index)
        )
        spectrum = Spectrum(EDGES, counts, source="toy", rest=(rest, None))
        plan = plan_fit(spectrum, (3300.0, 3700.0), mask=(3200.0, 3800.0))
        expected = fit_bump(spectrum, plan, functions=FUNCTIONS, function_error="none", sqrt_s_gev=SQRT_S)
        assert (cell.n_obs, cell.reason) == (expected.n_obs, None)
        assert cell.background == pytest.approx(expected.background)
        assert cell.background_error == pytest.approx(expected.background_error)
        assert cell.z == pytest.approx(expected.discovery.z)


def test_the_global_p_value_of_one_window_is_that_of_independent_cells() -> None:
    """The counts of nine cells are independent, and so are nearly their backgrounds: 1 - (1 - p)^9."""
    found = searched(NOTHING, toys=300)
    assert found.best is not None
    smallest = stats.norm.sf(found.best[1].z)
    sidak = 1 - (1 - smallest) ** 9
    total = found.global_
    assert (total.method, total.n_toys, total.n_trials) == ("pseudo-experiments", 300, 9)
    assert total.p0 == pytest.approx(sidak, abs=3 * (sidak * (1 - sidak) / 300) ** 0.5)
    assert total.p0 > 3 * smallest


def test_overlapping_windows_are_fewer_looks_than_their_number() -> None:
    """Windows 3300-3700 and 3500-3900 share half of their events: more than one window, less than two."""
    found = searched(NOTHING, toys=200, last=3900.0)
    assert found.best is not None
    smallest = stats.norm.sf(found.best[1].z)
    one, two = (1 - (1 - smallest) ** n for n in (9, 18))
    assert found.global_.n_trials == 18
    assert one - 0.1 < found.global_.p0 < two + 0.1


def test_a_signal_is_found_in_its_cell() -> None:
    """150 events about 1.5 in both features, where the highest bin begins at 0.43."""
    found = searched(SOMETHING, last=3900.0)
    assert found.best is not None
    window, cell = found.best
    assert window.name == "3300-3700"
    assert cell == window.cells[-1]
    assert cell.n_obs - cell.background == pytest.approx(140, abs=45)
    # Each of the 18 is a look; without pseudo-experiments it is the bound.
    assert found.global_.p0 == pytest.approx(18 * cell.p0)


def test_a_blinded_search_shows_no_count_and_no_p_value() -> None:
    found = searched(replace(NOTHING, blinded=True, hidden=((3200.0, 3800.0), (3400.0, 4000.0))), toys=20, last=3900.0)
    cells = [cell for window in found.windows for cell in window.cells]
    assert {(cell.n_obs, cell.z, cell.p0, cell.p0_toys) for cell in cells} == {(None, None, None, None)}
    assert all(cell.background is not None for cell in cells)
    assert (found.blinded, found.best, found.global_.p0, found.global_.z) == (True, None, None, None)


def test_a_blinded_window_is_the_same_whatever_it_holds() -> None:
    table = NOTHING.table
    inside = (table.mjj >= 3200) & (table.mjj < 3800)
    X = table.matrix(("x0", "x1")).copy()
    X[inside] = 2.0
    hidden = ((3200.0, 3800.0),)
    first, second = (
        to_json(searched(SearchData(one, blinded=True, hidden=hidden))) for one in (table, table_of(table.mjj, X))
    )
    assert first == second


def test_cells_without_events_beside_the_mask_are_not_tested_and_say_so() -> None:
    """All events above 2 in x0 are inside the window."""
    X = np.minimum(NOTHING.table.matrix(("x0", "x1")), 1.9)
    inside = (NOTHING.table.mjj >= 3300) & (NOTHING.table.mjj < 3700)
    X[inside & (X[:, 0] > 1.5), 0] = 3.0
    found = searched_in(table_of(NOTHING.table.mjj, X), (-5.0, 0.0, 2.0, 4.0))
    *tested, empty = found.windows[0].cells
    assert [cell.reason for cell in tested] == [None, None]
    assert (empty.z, empty.background) == (None, None)
    assert empty.reason is not None
    assert "0 filled bins" in empty.reason
    assert (found.windows[0].n_fitted, found.global_.n_trials) == (2, 2)


def test_a_cell_of_all_events_is_the_inclusive_spectrum() -> None:
    """With a single look the global p-value is the local one."""
    found = searched_in(NOTHING.table, (-9.0, 9.0), toys=300)
    (cell,) = found.windows[0].cells
    counts = np.histogram(NOTHING.table.mjj, EDGES)[0].astype(float)
    plan = plan_fit(Spectrum(EDGES, counts), (3300.0, 3700.0), mask=(3200.0, 3800.0))
    function = ("dijet3",)  # that of the search with so many events
    expected = fit_bump(Spectrum(EDGES, counts), plan, functions=function, function_error="none", sqrt_s_gev=SQRT_S)
    assert (cell.n_obs, cell.background) == (expected.n_obs, pytest.approx(expected.background))
    assert found.global_.p0 == pytest.approx(cell.p0, abs=0.09)


def searched_in(table: EventTable, edges: tuple[float, ...], *, toys: int = 50) -> BumpHunt3D:
    config = toy_config(background={"function_error": "none"}, statistics={"pseudo_experiments": toys})
    scan = RegionScan.from_config(config.scan)
    return hunt(SearchData(table), scan, cell_axes(table, [Binning("x0", edges)], scan), config, Serial())


def test_weighted_events_have_the_bound_of_bonferroni() -> None:
    weighted = table_of(NOTHING.table.mjj, NOTHING.table.matrix(("x0", "x1")), weight=np.full(9000, 0.5))
    found = searched(replace(NOTHING, table=weighted), toys=20, bins=2)
    assert found.best is not None
    assert found.global_.method == "bonferroni-upper-bound"
    assert found.global_.p0 == pytest.approx(min(1.0, 4 * found.best[1].p0))
