"""Look-elsewhere effect: the global p-value of the largest excess of a scan."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background import BY_TEMPLATE, DEFAULT_STRATEGY, TRANSFER_FACTOR, BackgroundFit, require_functions
from analysis.compute import Backend
from analysis.config import SearchConfig
from analysis.core.fingerprint import fingerprint
from analysis.errors import StatisticsError
from analysis.events.identity import string_hash
from analysis.learning import INCLUSIVE, split_half
from analysis.regions import MassWindow, RegionScan, span_of
from analysis.search.pseudo_experiments import Look, NullModel, null_model, run_pseudo_experiments
from analysis.search.scan import n_trials
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.statistics import GlobalResult, bonferroni, global_significance

__all__ = ["global_key", "global_result"]

_log = logging.getLogger("cwola")

Array = NDArray[np.float64]


def global_result(
    data: SearchData, results: Sequence[WindowResult], scan: RegionScan, config: SearchConfig, backend: Backend
) -> GlobalResult:
    """Global p-value over all windows, selections and training seeds.

    Uses correlated pseudo-experiments that share events, fits and windows, or Bonferroni's bound if the events are
    weighted, a window is blinded, or the fitted backgrounds are inconsistent with each other.

    With a non-closure correction, the data are tested after the correction, and the pseudo-experiments, which are drawn
    from the smooth fits and have no non-closure, without it: both z are standard normal without signal. But the z of
    the data include the error of the correction. This error does not come from events that windows share, so that it
    makes their z less correlated, and the largest of them larger. Every look of a pseudo-experiment therefore gets its
    share of this error, independent in each window and selection: if the measured corrections are correlated, the
    p-value is conservative.

    Significances that are calibrated with retraining are tested as such. The pseudo-experiments hold the classifiers
    fixed: their z are standard normal, like calibrated ones, but they leave out how far retraining changes the
    correlation of windows and selections. `retrained_significance` counts that, from whole scans.

    Every fit is taken as good, also one that the sidebands contradict: readers are told so where the p-value is shown
    (`analysis.results.words`).

    Parameters
    ----------
    data : SearchData
        Events of the results, at least those in the fit ranges.
    results : sequence of WindowResult
        All trainings of all windows; further trainings are further looks, which share most of their events with the
        first.
    scan : RegionScan
    config : SearchConfig
        `statistics.pseudo_experiments` is the number of toys.
    backend : Backend

    Returns
    -------
    GlobalResult
    """
    found = (selection.local_z for result in results for selection in result.selections)
    tested = [z for z in found if z is not None]
    trials = n_trials(scan, config)
    bound = bonferroni(stats.norm.sf(tested).tolist(), trials)
    if not (tested and config.statistics.pseudo_experiments):
        return bound
    table = data.table.within(span_of([result.window for result in results]))  # the rows of all pass weights
    if not (table.weight == 1).all():
        return bound
    try:
        model = _null_model(table.mjj, results, scan, config)
        toys = run_pseudo_experiments(
            model, config.statistics.pseudo_experiments, backend, random_state=config.random_state
        )
        toys = _add_correction_errors(toys, [_correction_error(*look) for look in _looks(results)], config.random_state)
    except StatisticsError as error:
        _log.warning("no pseudo-experiments for the global p-value: %s", error)
        return bound
    return global_significance(max(tested), toys.max(axis=1), n_trials=trials)


def global_key(windows: Iterable[str], config: SearchConfig, calibrated: Iterable[float] = ()) -> str:
    """Fingerprint of the global result; window keys cover events, fit settings and plugins.

    `calibrated` are the calibrated significances, in order.
    """
    return fingerprint(
        code=[__name__],
        seed=config.random_state,
        upstream=list(windows),
        pseudo_experiments=config.statistics.pseudo_experiments,
        calibrated=list(calibrated),
    )


def _null_model(mjj: Array, results: Sequence[WindowResult], scan: RegionScan, config: SearchConfig) -> NullModel:
    """Define one spectrum per window, selection and seed; the inclusive spectrum is common to all windows."""
    columns = [np.ones(len(mjj), bool)]
    fits: list[BackgroundFit | None] = [_inclusive_fit(results)]
    looks, background = [], config.background
    functions = require_functions(background.functions, background.strategy)
    of_all = _inclusive_fits(results)
    for result, index in _looks(results):
        selection = result.selections[index]
        if selection.name != INCLUSIVE and result.passes is not None:
            columns.append(np.zeros(len(mjj), result.passes.dtype))
            columns[-1][result.window.in_fit_range(mjj)] = result.passes[:, index]
            fits.append(selection.fit)
        spectrum = 0 if selection.name == INCLUSIVE else len(columns) - 1
        fit = of_all.get(result.window) if selection.fit is None else selection.fit
        error = 0.0 if fit is None else fit.function_error
        # A ratio that is not smooth was given up: the selection was fitted alone.
        alone = background.strategy == TRANSFER_FACTOR and (fit is None or not fit.function.n_ratio)
        strategy = DEFAULT_STRATEGY if alone or background.strategy == BY_TEMPLATE else background.strategy
        look = Look(spectrum, result.window, functions, strategy, background.alpha, error)
        if selection.template is not None:
            look = replace(look, fraction=selection.template, template=_template_name(result, selection))
        looks.append(look)
    grid = scan.edges(results[0].window)
    passes = np.stack(columns, axis=1)
    return null_model(mjj, passes, fits, looks, grid, config.statistics.likelihood)


def _template_name(result: WindowResult, selection: SelectionResult) -> str:
    """Name a template: one per training, and per half where each half is tested alone."""
    return f"{result.window.name} {result.training_seed} {split_half(selection.name)[1]}"


def _looks(results: Sequence[WindowResult]) -> list[tuple[WindowResult, int]]:
    """Windows with the indices of their selections that have a p-value."""
    return [
        (result, index)
        for result in results
        for index, selection in enumerate(result.selections)
        if selection.discovery is not None
        and result.passes is not None
        and (selection.fit is not None or selection.template is not None)
    ]


def _correction_error(result: WindowResult, index: int) -> tuple[str, float]:
    """Return the name of a correction, and the ratio of its error to the total error of n - b."""
    selection = result.selections[index]
    fit, extra = selection.background_error or 0.0, selection.non_closure_error
    variance = (selection.background or 0.0) * selection.weight + fit**2 + extra**2  # the variance of n is weight * b
    return f"{result.window.name} {selection.name}", float(extra / np.sqrt(variance)) if extra > 0 else 0.0


def _add_correction_errors(z: Array, errors: Sequence[tuple[str, float]], random_state: int) -> Array:
    """Add the share of the correction error to each look (n_toys, n_looks); trainings have a common correction."""
    result = z.copy()
    for column, (name, share) in enumerate(errors):
        if share > 0:
            seed = np.random.SeedSequence(random_state, spawn_key=(string_hash("non-closure"), string_hash(name)))
            drawn = np.random.default_rng(seed).standard_normal(len(z))
            result[:, column] = np.sqrt(1.0 - share**2) * z[:, column] + share * drawn
    return result


def _inclusive_fit(results: Sequence[WindowResult]) -> BackgroundFit:
    """Fit of the inclusive spectrum in the window with the largest excess, whose mask excludes that excess."""
    largest: dict[MassWindow, float] = {}
    fits = _inclusive_fits(results)
    for result in results:
        for selection in result.selections:
            if selection.discovery is not None:
                largest[result.window] = max(selection.discovery.z, largest.get(result.window, -np.inf))
    tested = [window for window in fits if window in largest]
    if not tested:
        msg = "no window has a fit of the inclusive spectrum."
        raise StatisticsError(msg)
    return fits[max(tested, key=lambda window: largest[window])]


def _inclusive_fits(results: Sequence[WindowResult]) -> dict[MassWindow, BackgroundFit]:
    """Fits of the inclusive spectrum, by window."""
    return {
        result.window: selection.fit
        for result in results
        for selection in result.selections
        if selection.name == INCLUSIVE and selection.fit is not None
    }
