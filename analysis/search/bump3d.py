"""Bump hunt in three dimensions: cells of features inside each window of m_jj, without a classifier.

Every cell is a selection, fixed before the search, and is tested like one: its spectrum is fitted beside the mask
together with the events outside the cell, and the count of the window is compared with the fit. All cells of all
windows are looks, so the largest excess is compared with the largest of background-only pseudo-experiments over all of
them. Since nothing is trained, these are all that a look depends on: there is no classifier that could steer events of
one part of the data by another. It is the baseline of a search with classifiers, whose price is in
`tests/studies/trials3d.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from analysis.background import DEFAULT_STRATEGY, TRANSFER_FACTOR, BackgroundFit, MassFunction
from analysis.compute import Backend, track
from analysis.config import SearchConfig
from analysis.errors import StatisticsError
from analysis.learning import INCLUSIVE, PassWeights
from analysis.regions import MassWindow, RegionScan
from analysis.search.cells import Bound, BumpHunt3D, CellAxis, CellResult, CellWindow, cell_of
from analysis.search.evaluation import evaluate_window
from analysis.search.pseudo_experiments import Look, null_model, run_pseudo_experiments
from analysis.search.values import SearchData, SelectionResult
from analysis.search.window import configured_functions
from analysis.statistics import GlobalResult, bonferroni, global_significance

__all__ = ["hunt"]

_log = logging.getLogger("cwola")


def hunt(
    data: SearchData, scan: RegionScan, axes: Sequence[CellAxis], config: SearchConfig, backend: Backend
) -> BumpHunt3D:
    """Test all cells of all windows, and their largest excess by pseudo-experiments.

    Parameters
    ----------
    data : SearchData
    scan : RegionScan
    axes : sequence of CellAxis
        From `cell_axes`.
    config : SearchConfig
        Sections `background` and `statistics`; nothing is trained.
    backend : Backend
        Backend of the tasks; the results do not depend on it.

    Returns
    -------
    BumpHunt3D
        Without counts, significances and p-values while blinded.

    Raises
    ------
    ConfigError
        If a background function is unknown, or no event is in a cell.
    """
    n_cells = int(np.prod([axis.n_bins for axis in axes]))
    shared = _Shared(data, scan, cell_of(data.table, axes), n_cells, config, configured_functions(config))
    tasks = [_Task(window, cell) for window in scan.windows for cell in range(n_cells)]
    label = f"Fitting {n_cells} cells in {len(scan.windows)} windows"
    fitted = dict(track(backend.map(_test_cell, tasks, shared=shared), total=len(tasks), description=label))
    results = [fitted[i] for i in range(len(tasks))]
    ranges = [tuple(one) for one in product(*(pairwise(axis.edges) for axis in axes))]
    by_window = [results[start : start + n_cells] for start in range(0, len(results), n_cells)]
    return BumpHunt3D(
        axes=tuple(axes),
        blinded=data.blinded,
        windows=tuple(
            CellWindow(
                window.name, window.signal, tuple(_cell(one[1], area) for one, area in zip(cells, ranges, strict=True))
            )
            for window, cells in zip(scan.windows, by_window, strict=True)
        ),
        global_=_global_result(shared, tasks, results, backend),
    )


@dataclass(frozen=True)
class _Shared:
    """What all tasks need; `cell` is the cell of each event."""

    data: SearchData
    scan: RegionScan
    cell: NDArray[np.intp] = field(repr=False)
    n_cells: int
    config: SearchConfig
    functions: tuple[MassFunction, ...]


@dataclass(frozen=True)
class _Task:
    window: MassWindow
    cell: int


_Tested = tuple[SelectionResult, SelectionResult]
"""Results of all events, and of the cell."""


def _test_cell(task: _Task, shared: _Shared) -> _Tested:
    """Test one cell as a selection of its own: others need not be smooth fractions of all events if one is not."""
    data, inside = shared.data, shared.cell == task.cell
    in_range = task.window.in_fit_range(data.table.mjj)
    share = float(inside[in_range].mean()) if in_range.any() else 0.0
    values = np.stack([np.ones(len(inside)), inside.astype(np.float64)], axis=1)
    efficiencies, names = (1.0, share), (INCLUSIVE, f"cell_{task.cell}")
    passes = PassWeights(efficiencies, efficiencies, values, np.full((1, 1, 2, 2), -np.inf), names=names)
    edges = shared.scan.edges(task.window)
    result = evaluate_window(data, task.window, edges, passes, (), shared.config, shared.functions, limits=False)
    everything, cell = result.selections
    # A cell of all events leaves none to be fitted together with.
    return everything, everything if inside[in_range].all() else cell


def _cell(found: SelectionResult, ranges: tuple[tuple[Bound, Bound], ...]) -> CellResult:
    test = found.discovery
    return CellResult(
        ranges=ranges,
        n_obs=found.n_obs,
        background=found.background,
        background_error=found.total_error,
        z=None if test is None else test.z,
        p0=None if test is None else test.p0,
        p0_toys=None if test is None else test.p0_toys,
        fit_p_value=found.fit_p_value,
        calibrated=found.calibrated,
        reason=found.reason,
    )


def _global_result(
    shared: _Shared, tasks: Sequence[_Task], results: Sequence[_Tested], backend: Backend
) -> GlobalResult:
    """Compare the largest z with that of pseudo-experiments; the bound of Bonferroni where there can be none."""
    looks = [
        (task, everything, cell) for task, (everything, cell) in zip(tasks, results, strict=True) if cell.discovery
    ]
    tested = [cell.discovery for _, _, cell in looks if cell.discovery is not None]
    trials, n_toys = len(tested) or len(tasks), shared.config.statistics.pseudo_experiments
    bound = bonferroni([one.p0 for one in tested], trials)
    if not (tested and n_toys and (shared.data.table.weight == 1).all()):
        return bound
    try:
        toys = _toys(shared, looks, n_toys, backend)
    except StatisticsError as error:
        _log.warning("no pseudo-experiments for the global p-value of the cells: %s", error)
        return bound
    return global_significance(max(one.z for one in tested), toys.max(axis=1), n_trials=trials)


_Look = tuple[_Task, SelectionResult, SelectionResult]


def _z(look: _Look) -> float:
    test = look[2].discovery
    return -np.inf if test is None else test.z


def _toys(shared: _Shared, looks: Sequence[_Look], n_toys: int, backend: Backend) -> NDArray[np.float64]:
    """(n_toys, n_looks): z of all looks in pseudo-experiments; a cell has one spectrum, common to all windows."""
    config, table = shared.config, shared.data.table
    tested = sorted({task.cell for task, _, _ in looks})
    column = {cell: index for index, cell in enumerate(tested, 1)}
    # All fits are of the window with the largest excess, whose mask leaves it out, where a cell has one there: those of
    # several windows, each chosen by its own excess, would be too low together.
    best = max(looks, key=_z)
    ordered = sorted(looks, key=lambda look: (look[0].window == best[0].window, _z(look)))
    fits = {column[task.cell]: cell.fit for task, _, cell in ordered} | {0: best[1].fit}
    found = [_fitted(fits[index]) for index in range(len(tested) + 1)]
    passes = np.stack([np.ones(len(table), bool), *(shared.cell == cell for cell in tested)], axis=1)
    searched = [
        Look(
            column[task.cell],
            task.window,
            shared.functions,
            _strategy(config.background.strategy, cell),
            config.background.alpha,
            _fitted(cell.fit).function_error,
        )
        for task, _, cell in looks
    ]
    grid = shared.scan.edges(shared.scan.windows[0])
    model = null_model(table.mjj, passes, found, searched, grid, config.statistics.likelihood)
    return run_pseudo_experiments(model, n_toys, backend, random_state=config.random_state)


def _fitted(fit: BackgroundFit | None) -> BackgroundFit:
    if fit is None:
        msg = "a spectrum has no fit."
        raise StatisticsError(msg)
    return fit


def _strategy(strategy: str, cell: SelectionResult) -> str:
    """Strategy of a look: a cell that is no smooth fraction of all events was fitted alone."""
    alone = strategy == TRANSFER_FACTOR and not _fitted(cell.fit).function.n_ratio
    return DEFAULT_STRATEGY if alone else strategy
