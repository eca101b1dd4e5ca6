"""Correlated pseudo-experiments of a whole scan: distribution of the largest excess without signal.

One pseudo-experiment is one background-only spectrum of the events, of which every selection keeps a fraction. The
events are grouped into classes: all events that pass exactly the same selections, over windows, feature sets, methods
and seeds. Classes are disjoint, so that their counts in bins of m_jj are independent Poisson numbers, and summing
classes over a selection gives spectra that share events just as the real ones do. The expectation of the classes is
smooth: the fitted background of every selection is divided among the classes that pass it. Each window then masks, fits
and counts the spectrum like the search; windows use the same spectrum, so that overlaps and shared sidebands are
included.

A selection that is counted in a template has no fit. In its window it expects the fraction of all events that passes
in the template; its background is the fit of all events times a fraction that fluctuates as that of a template with as
many effective events. Nested cuts on a template fluctuate together. Templates of different windows and trainings are
independent here. Where they are made of the same events, they are not, and the largest excess of the pseudo-experiments
is a little too large: the p-value is conservative.

The classifiers are not retrained: for classifiers that were not trained on an event, its selection is a fixed function
of its features, and the counts are Poisson.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analysis.background import (
    TRANSFER_FACTOR,
    BackgroundFit,
    MassFunction,
    choose_order,
    estimate_many,
)
from analysis.background.from_template import PassingFraction, draw_fractions, times_fraction
from analysis.background.functions import look_up
from analysis.background.order import DEFAULT_STRATEGY
from analysis.compute import Backend, track
from analysis.errors import FitError, StatisticsError
from analysis.events.identity import string_hash
from analysis.regions import Interval, MassWindow, bins_of, edges_of
from analysis.statistics.counting_models import counting_z

__all__ = [
    "Look",
    "NullModel",
    "draw_counts",
    "draw_passing",
    "null_model",
    "run_pseudo_experiments",
    "scan_significances",
]

Array = NDArray[np.float64]

TOYS_PER_TASK = 100

_MAX_ROUNDS = 100
_CLOSURE = 0.01  # standard deviations of a cell
_LARGEST_BIAS = 0.2  # largest shift of z
_LARGEST_CODE = 2**62
_SMALLEST_EXPECTATION = 1e-12  # events in a cell


@dataclass(frozen=True)
class Look:
    """One p-value of the search.

    Attributes
    ----------
    spectrum : int
        Column of the selection in the pass weights; looks at the same spectrum share it.
    window : MassWindow
        Its signal region is counted, its mask excluded from the fit, its fit range fitted.
    functions : tuple of str or MassFunction
        Background functions of the search, or the chosen function, which is then fixed.
    strategy, alpha : str, float
        Choice of the order, as in `choose_order`. "events" and "transfer-factor" are fast; any other strategy fits one
        spectrum at a time, and is about two orders of magnitude slower.
    function_error : float
        Error of ln b from the choice of the function, as measured in the data.
    fraction : PassingFraction or None
        Fraction of a background template that passes. The background is then the fit of all events times this fraction,
        and functions, strategy and error are of that fit.
    template : str
        Name of the template of `fraction`; looks with the same name are nested cuts on it.
    """

    spectrum: int
    window: MassWindow
    functions: tuple[str | MassFunction, ...]
    strategy: str = "events"
    alpha: float = 0.05
    function_error: float = 0.0
    fraction: PassingFraction | None = None
    template: str = ""


@dataclass(frozen=True)
class NullModel:
    """Background-only expectation from which pseudo-experiments are drawn.

    Attributes
    ----------
    grid : (n_bins + 1,) float64
        Edges of the fit bins, GeV.
    cells : (n_cells + 1,) float64
        The same edges and the edges of all signal regions, GeV: windows need not lie on the grid.
    expected : (n_classes, n_cells) float64
        Expected events of each class.
    passes : (n_classes, n_spectra) float64
        Pass weights, in [0, 1], of the events of each class.
    looks : tuple of Look
    sqrt_s_gev : float
    likelihood : str
        Model of the background, as in `analysis.statistics.Counting`.
    inclusive : int
        Column of the inclusive selection.
    """

    grid: Array
    cells: Array
    expected: Array
    passes: Array
    looks: tuple[Look, ...]
    sqrt_s_gev: float
    likelihood: str = "profile"
    inclusive: int = 0

    def has_rest(self, look: Look) -> bool:
        """Whether a look is fitted together with the events that fail its selection."""
        return look.strategy == TRANSFER_FACTOR and look.spectrum != self.inclusive


def null_model(
    mjj: Array,
    passes: NDArray[Any],
    fits: Sequence[BackgroundFit | None],
    looks: Sequence[Look],
    grid: Array,
    likelihood: str = "profile",
) -> NullModel:
    """Divide the fitted backgrounds among classes of events.

    Parameters
    ----------
    mjj : (n_events,) float64
        Dijet masses of the searched events, GeV. The events must have unit weight.
    passes : (n_events, n_spectra) float64 or bool
        Pass weights in [0, 1] of every tested selection: of all windows, feature sets, methods and seeds, side by side.
        One column must pass every event (the inclusive selection).
    fits : sequence of BackgroundFit or None
        Background of each spectrum. For a spectrum with several windows, any fit that describes it. None for one that
        is counted in templates: in its windows it expects their fractions of all events.
    looks : sequence of Look
    grid : (n_bins + 1,) float64
        Edges of the fit bins, GeV.
    likelihood : str
        Model of the background, as in `analysis.statistics.Counting`.

    Returns
    -------
    NullModel

    Raises
    ------
    StatisticsError
        If the inclusive selection is missing, a window leaves the grid, or a look finds an excess or deficit in the
        expectation itself: the fitted backgrounds are inconsistent, or do not belong to the function family of the
        look.
    """
    inside = (mjj >= grid[0]) & (mjj < grid[-1])
    fitted = [(i, fit) for i, fit in enumerate(fits) if fit is not None]
    everything = [(i, fit) for i, fit in fitted if (passes[inside, i : i + 1] == 1).all()]
    if not everything or not inside.any() or len(fits) != passes.shape[1]:
        msg = (
            f"pseudo-experiments need a background fit per spectrum (found {len(fits)} for {passes.shape[1]}), events "
            f"in {grid[0]:g}-{grid[-1]:g} GeV (found {inside.sum()}) and a selection that keeps all of them (found "
            f"{len(everything)}). Add the inclusive selection."
        )
        raise StatisticsError(msg)
    _require_inside(looks, grid)
    cells = np.unique(np.concatenate([grid, *(look.window.signal for look in looks)]))
    classes, counts = _classes(passes[inside])
    inclusive, of_all = everything[0]
    smooth = of_all.expected(cells)[0]
    margins = np.full((len(fits), len(smooth)), np.nan)
    for i, fit in fitted:
        margins[i] = _expectation(fit, smooth, cells)
    margins[~_constrained(cells, looks, len(fits))] = np.nan
    for look in looks:
        if look.fraction is not None:
            inside_window = _inside(cells, look.window.signal)
            margins[look.spectrum, inside_window] = look.fraction.value * smooth[inside_window]
    expected = _share(counts[:, None] / counts.sum() * smooth, classes, margins)
    model = NullModel(grid, cells, expected, classes, tuple(looks), of_all.sqrt_s_gev, likelihood, inclusive)
    _require_unbiased(model)
    return model


def run_pseudo_experiments(
    model: NullModel, n_toys: int, backend: Backend, *, random_state: int, look_indices: Sequence[int] | None = None
) -> Array:
    """Draw pseudo-experiments and test all looks of each.

    Parameters
    ----------
    model : NullModel
    n_toys : int
    backend : Backend
        Backend of the tasks; the results do not depend on it.
    random_state : int
        Seed; pseudo-experiment i depends only on the seed and on i.
    look_indices : sequence of int, optional
        Restrict to these looks, such as those with a p-value in the data. Default: all.

    Returns
    -------
    (n_toys, n_looks) float64
        Signed z of every look; -inf if the fit is not valid, which in the search is a look without a p-value.
    """
    if n_toys < 1:
        msg = f"the number of pseudo-experiments must be positive, found {n_toys}."
        raise StatisticsError(msg)
    chosen = tuple(range(len(model.looks)) if look_indices is None else look_indices)
    starts = range(0, n_toys, TOYS_PER_TASK)
    tasks = [_Task(range(start, min(start + TOYS_PER_TASK, n_toys)), random_state, chosen) for start in starts]
    results = dict(
        track(
            backend.map(_run_task, tasks, shared=model),
            total=len(tasks),
            description=f"{n_toys} pseudo-experiments",
        )
    )
    return np.concatenate([results[i] for i in range(len(tasks))])


def draw_counts(model: NullModel, random_state: int, toy: int) -> Array:
    """Draw the counts of one pseudo-experiment.

    Returns
    -------
    (n_spectra, n_cells) float64
    """
    rng = np.random.default_rng(
        np.random.SeedSequence(random_state, spawn_key=(string_hash("pseudo-experiments"), toy))
    )
    n_classes, n_cells = model.expected.shape
    expected = model.expected.ravel()
    common = expected >= 1.0
    common_at, rare_at = np.flatnonzero(common), np.flatnonzero(~common)
    cumulative = np.cumsum(expected[rare_at])
    # Poisson splitting: a Poisson total divided at random is the same as independent Poisson counts, and the cost
    # scales with the events, not with the mostly empty cells of rare classes.
    total = rng.poisson(cumulative[-1]) if len(cumulative) else 0
    drawn = np.searchsorted(cumulative, rng.random(total) * cumulative[-1], side="right") if total else []
    at = np.concatenate([common_at, rare_at[np.minimum(drawn, len(rare_at) - 1)] if total else []]).astype(np.intp)
    number = np.concatenate([rng.poisson(expected[common_at]), np.ones(total)])
    counts = sparse.csr_matrix((number, (at % n_cells, at // n_cells)), shape=(n_cells, n_classes))
    result: Array = np.ascontiguousarray((counts @ model.passes).T)
    return result


def draw_passing(model: NullModel, random_state: int, toys: Sequence[int]) -> tuple[Array, Array]:
    """Draw the fractions that pass in the templates of pseudo-experiments.

    Returns
    -------
    value, error : (n_toys, n_looks) float64
        1 and 0 for looks without a template.
    """
    stream = string_hash("pseudo-experiments, templates")
    seeds = [np.random.SeedSequence(random_state, spawn_key=(stream, toy)) for toy in toys]
    normal = np.stack([np.random.default_rng(seed).standard_normal(len(model.looks)) for seed in seeds])
    value, error = np.ones_like(normal), np.zeros_like(normal)
    cuts: dict[str, list[tuple[int, PassingFraction]]] = {}
    for index, look in enumerate(model.looks):
        if look.fraction is not None:
            cuts.setdefault(look.template, []).append((index, look.fraction))
    for nested in cuts.values():
        columns = [index for index, _ in nested]
        value[:, columns], error[:, columns] = draw_fractions(normal[:, columns], [fraction for _, fraction in nested])
    return value, error


def scan_significances(
    counts: Array,
    model: NullModel,
    looks: Sequence[int] | None = None,
    passing: tuple[Array, Array] | None = None,
) -> Array:
    """Test all looks on many sets of spectra: mask, choose the order, fit, count, and compare.

    Parameters
    ----------
    counts : (n_toys, n_spectra, n_cells) float64
    model : NullModel
        Defines grid, cells and looks.
    looks : sequence of int, optional
        Which looks of the model. Default: all.
    passing : value, error, each (n_toys, n_looks of the model) float64, optional
        As from `draw_passing`. Default: the fractions of the looks.

    Returns
    -------
    (n_toys, n_looks) float64
        Signed z; -inf if the fit is not valid.
    """
    indices = range(len(model.looks)) if looks is None else looks
    fraction, fraction_error = _measured(model, len(counts)) if passing is None else passing
    binned = np.add.reduceat(counts, np.searchsorted(model.cells, model.grid[:-1]), axis=2)
    units, units_of_rest = _units(model, model.passes), _units(model, 1.0 - model.passes)
    columns = []
    of_all: dict[MassWindow, tuple[Array, Array, NDArray[np.bool_]]] = {}
    for index in indices:
        look = model.looks[index]
        low, high = np.searchsorted(model.cells, look.window.signal)
        if look.fraction is not None:
            unit = 1.0  # counted as the search does: in events, whatever the weights with which they pass
            if look.window not in of_all:
                of_all[look.window] = _backgrounds(binned[:, model.inclusive], None, look, model)
            background, error, valid = of_all[look.window]
            background, error = times_fraction(background, error, fraction[:, index], fraction_error[:, index])
        else:
            unit, rest = units[look.spectrum], None
            if model.has_rest(look):
                rest = (binned[:, model.inclusive] - binned[:, look.spectrum]) / units_of_rest[look.spectrum]
            background, error, valid = _backgrounds(binned[:, look.spectrum] / unit, rest, look, model)
        n = counts[:, look.spectrum, low:high].sum(axis=1) / unit
        z = np.full(len(counts), -np.inf)
        rows = np.flatnonzero(valid & (background > 0) & (error > 0))
        z[rows] = counting_z(n[rows], background[rows], error[rows], model.likelihood)
        columns.append(z)
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class _Task:
    toys: range
    random_state: int
    looks: tuple[int, ...]


def _run_task(task: _Task, model: NullModel) -> Array:
    counts = np.stack([draw_counts(model, task.random_state, toy) for toy in task.toys])
    return scan_significances(counts, model, task.looks, draw_passing(model, task.random_state, task.toys))


def _measured(model: NullModel, n_toys: int) -> tuple[Array, Array]:
    """Repeat the fractions of the looks and their errors, each (n_toys, n_looks); 1 and 0 without a template."""
    found = [
        (1.0, 0.0) if look.fraction is None else (look.fraction.value, look.fraction.error) for look in model.looks
    ]
    value, error = np.array(found).T
    return np.tile(value, (n_toys, 1)), np.tile(error, (n_toys, 1))


def _backgrounds(
    binned: Array, rest: Array | None, look: Look, model: NullModel
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Background in the window of a look, its error, and whether the fit is valid, each (n_toys,)."""
    window = look.window
    bins = bins_of(model.grid, window.fit_range)
    spectra, edges = binned[:, bins], edges_of(model.grid, bins)
    if look.strategy in (DEFAULT_STRATEGY, TRANSFER_FACTOR) or len(look.functions) == 1:
        estimates = estimate_many(
            spectra,
            edges,
            mask=window.mask,
            windows=[window.signal],
            functions=look.functions,
            sqrt_s_gev=model.sqrt_s_gev,
            rest=None if rest is None else rest[:, bins],
        )
        return estimates.value[:, 0], estimates.error(model.likelihood, look.function_error)[:, 0], estimates.valid
    background, error = np.zeros((2, len(spectra)))
    for row, counts in enumerate(spectra):
        try:
            fit = choose_order(
                counts,
                edges,
                mask=window.mask,
                functions=look.functions,
                alpha=look.alpha,
                sqrt_s_gev=model.sqrt_s_gev,
                strategy=look.strategy,
                variances=counts,
            )
        except FitError:
            continue
        fit = replace(fit, function_error=look.function_error)
        background[row], error[row] = fit.integral(*window.signal, model.likelihood)
    return background, error, background > 0


def _units(model: NullModel, passes: Array) -> Array:
    """(n_spectra,): sum w^2 / sum w of each spectrum; counts in this unit are Poisson. 1 if events pass or fail."""
    events = model.expected.sum(axis=1)
    once, twice = events @ passes, events @ passes**2
    return np.where(once > 0, twice / np.where(once > 0, once, 1.0), 1.0)


def _require_inside(looks: Sequence[Look], grid: Array) -> None:
    for look in looks:
        low, high = look.window.signal
        if low < grid[0] or high > grid[-1]:
            msg = f"window {look.window.name} GeV leaves the fit grid {grid[0]:g}-{grid[-1]:g} GeV. Widen the grid."
            raise StatisticsError(msg)


def _classes(passes: NDArray[Any]) -> tuple[Array, Array]:
    """Return distinct rows (n_classes, n_spectra) and their multiplicities, without sorting whole rows."""
    code, size = np.zeros(len(passes), np.int64), 1
    for column in passes.T:
        values = np.unique(column)
        if size > _LARGEST_CODE // len(values):
            code = np.unique(code, return_inverse=True)[1]
            size = int(code.max()) + 1
        code = code * len(values) + np.searchsorted(values, column)
        size *= len(values)
    _, first, counts = np.unique(code, return_index=True, return_counts=True)
    return np.asarray(passes[first], np.float64), counts.astype(np.float64)


def _expectation(fit: BackgroundFit, inclusive: Array, cells: Array) -> Array:
    """(n_cells,): expected events of a spectrum; if it was fitted as a fraction of all events, that of `inclusive`."""
    passing = fit.expected(cells)[0]
    if not fit.function.n_ratio:
        return passing
    fraction: Array = passing / (passing + fit.expected_rest(cells))
    return fraction * inclusive


def _constrained(cells: Array, looks: Sequence[Look], n_spectra: int) -> NDArray[np.bool_]:
    """(n_spectra, n_cells): cells in which a spectrum is fitted; elsewhere its background is an extrapolation."""
    constrained = np.zeros((n_spectra, len(cells) - 1), bool)
    for look in looks:
        constrained[look.spectrum] |= _inside(cells, look.window.fit_range)
    return constrained


def _inside(cells: Array, interval: Interval) -> NDArray[np.bool_]:
    """(n_cells,): cells within an interval."""
    inside: NDArray[np.bool_] = (cells[:-1] >= interval[0]) & (cells[1:] <= interval[1])
    return inside


def _share(start: Array, passes: Array, margins: Array) -> Array:
    """Scale classes until each selection expects its own background in every cell.

    Iterative proportional fitting (Deming, Stephan, Ann. Math. Stat. 11 (1940) 427; for fractional weights Darroch,
    Ratcliff, Ann. Math. Stat. 43 (1972) 1470): among all divisions with these sums the closest to `start`. Every factor
    is a ratio of smooth curves, so that the result is smooth even if the curves are inconsistent and no division has
    these sums.
    """
    expected = np.maximum(start, _SMALLEST_EXPECTATION)
    members = [np.flatnonzero(column) for column in passes.T]
    before = np.inf
    for _ in range(_MAX_ROUNDS):
        largest = 0.0
        for rows, column, margin in zip(members, passes.T, margins, strict=True):
            weight = column[rows]
            total = weight @ expected[rows]
            usable = np.isfinite(margin) & (total > 0)
            off = abs(total - margin)[usable] / np.sqrt(margin[usable])
            largest = max(largest, float(off.max(initial=0.0)))
            factor = np.where(usable, margin / np.where(usable, total, 1.0), 1.0)
            expected[rows] *= factor if (weight == 1).all() else factor ** weight[:, None]
        if largest < _CLOSURE or largest > 0.999 * before:
            break
        before = largest
    return expected


def _require_unbiased(model: NullModel) -> None:
    """Raise if the search cannot fit the expectation even with its most flexible function."""
    units, units_of_rest = _units(model, model.passes), _units(model, 1.0 - model.passes)
    spectra = model.passes.T @ model.expected / units[:, None]
    failing = (1.0 - model.passes).T @ model.expected / units_of_rest[:, None]
    starts = np.searchsorted(model.cells, model.grid[:-1])
    binned, binned_rest = (np.add.reduceat(events, starts, axis=1) for events in (spectra, failing))
    for look in model.looks:
        bins = bins_of(model.grid, look.window.fit_range)
        edges = edges_of(model.grid, bins)
        fitted, share = (look.spectrum, 1.0) if look.fraction is None else (model.inclusive, look.fraction.value)
        counts, function = binned[fitted, bins], look_up(look.functions[-1:])[0]
        rest = binned_rest[look.spectrum, bins]
        try:
            fit = choose_order(
                counts,
                edges,
                mask=look.window.mask,
                functions=(function,),
                alpha=look.alpha,
                sqrt_s_gev=model.sqrt_s_gev,
                strategy=TRANSFER_FACTOR if model.has_rest(look) else DEFAULT_STRATEGY,
                variances=counts,
                rest=(rest, rest) if model.has_rest(look) else None,
            )
        except FitError:
            continue
        low, high = np.searchsorted(model.cells, look.window.signal)
        truth = float(spectra[look.spectrum, low:high].sum() * (1.0 if look.fraction is None else units[look.spectrum]))
        curve, covariance = fit.expected(np.array(look.window.signal))
        bias = (truth - share * float(curve[0])) / float(np.sqrt(truth + share**2 * covariance[0, 0]))
        if abs(bias) > _LARGEST_BIAS:
            msg = (
                f"the background-only expectation of spectrum {look.spectrum} gives z = {bias:.2g} in window "
                f"{look.window.name} GeV, where 0 is expected: the fitted backgrounds contradict each other or are not "
                f"of the family of {function.name}. Fit all spectra with one family, or take the Bonferroni bound."
            )
            raise StatisticsError(msg)
