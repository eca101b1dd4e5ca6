"""Does a classifier spare a search in (m_A, m_B, m_C) its trials factor? One window in m_A, cells of (m_B, m_C).

The claim is that of arXiv:2005.02983. m_B and m_C of the background are two independent unit Gaussians, and the square
from -2 to 2 is divided into equal cells, each with a known background; signal lies in one cell. Whatever picks a cell
with the counts of the window is a classifier, so that k folds can be studied with the best cell of the other folds in
its place, in as many replicas as their tails need: the toy of arXiv:2512.13787, with its 25 cells, 25,000 events and 5
folds. Trees of the preset `best` are trained on the same events against as many of sidebands, which have no signal;
their background is known as well, as the integral of the density above the cut, so that only the search differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, norm, poisson

from analysis.config import SearchConfig, load_config
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import fold_tasks, train_folds
from tests.builders.toy_tables import feature_names, table_of
from tests.studies.runner import Budget, Point, run, study

NAME = "trials3d"

EDGE = 2.0
FOLDS = 5
NOMINAL = (0.1, 0.05, 0.01, 3e-3, 1e-3, 3e-4, 1e-4)
GRID = np.round(np.arange(0.0, 7.5, 0.05), 2)
"""z at which replicas above are counted."""

JITTER = "jittered"
"""Integral of the density by points drawn anew; by default they are on a grid, with which bins of trees alias."""

EFFICIENCIES = (0.05, 0.01, 0.005)
REPLICAS = {"best": (10, 12), "best, 1 member": (40, 16)}
"""Replicas of trees in one point, and points without signal."""

Array = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """Cells of (m_B, m_C), and events of the window in and outside the cells."""

    bins: int
    n_events: int
    strengths: tuple[int, ...]
    chunk: int

    @property
    def shares(self) -> Array:
        """(n_cells + 1,): fraction of the background in each cell; outside the cells last."""
        one = np.diff(norm.cdf(self.edges))
        inside = np.outer(one, one).ravel()
        return np.append(inside, 1.0 - inside.sum())

    @property
    def edges(self) -> Array:
        """(bins + 1,): the same in both masses."""
        return np.linspace(-EDGE, EDGE, self.bins + 1)

    @property
    def signal_cell(self) -> int:
        """Cell of the signal."""
        return self.bins**2 // 2 + self.bins // 4


LAYOUTS = {
    "5 × 5": Layout(5, 25_000, (50, 100, 150, 200, 300), 20_000),
    "20 × 20": Layout(20, 16_000, (20, 40, 60, 90, 130), 2_000),
}


def _points() -> Iterator[Point]:
    """Nulls of even seeds make the calibration; those of odd seeds the table of p-values."""
    replicas = {"5 × 5": 100_000, "20 × 20": 50_000}
    for seed in range(10):
        for name, count in replicas.items():
            yield {"search": "cells", "layout": name, "signal": 0, "seed": seed, "replicas": count}
    for name, layout in LAYOUTS.items():
        for strength in layout.strengths:
            yield {"search": "cells", "layout": name, "signal": strength, "seed": 100, "replicas": 4_000}
    for trees, (count, seeds) in REPLICAS.items():
        for seed in range(seeds):
            yield {"search": trees, "layout": "20 × 20", "signal": 0, "seed": seed, "replicas": count}
        for strength in (40, 60, 90):
            yield {"search": trees, "layout": "20 × 20", "signal": strength, "seed": 100, "replicas": count}


JITTERED = [
    {
        "search": "best, 1 member",
        "layout": "20 × 20",
        "signal": 0,
        "seed": 200 + seed,
        "replicas": 40,
        "integral": JITTER,
    }
    for seed in range(16)
]
POINTS = [
    *sorted(_points(), key=lambda point: (point["search"] != "cells", point["seed"] if point["signal"] == 0 else 2)),
    *JITTERED,
]


class Tails:
    """p-values of counts in the cells of a layout, from a table.

    Parameters
    ----------
    layout : Layout
    n_events : int
        Events of which the counts are.
    """

    def __init__(self, layout: Layout, n_events: int) -> None:
        shares = layout.shares[:-1]
        distinct, self._row = np.unique(np.round(shares, 14), return_inverse=True)
        most = int(n_events * distinct.max())
        counts = np.arange(most + 40 * int(np.sqrt(most) + 1) + 2 * max(layout.strengths))
        self._table = binom.sf(counts - 1, n_events, distinct[:, None])

    def __call__(self, counts: Counts) -> Array:
        """(n_replicas, n_cells): probability of as many events or more."""
        table: Array = self._table[self._row, np.minimum(counts, self._table.shape[1] - 1)]
        return table


@cache
def tails(name: str, n_events: int) -> Tails:
    """Tails of so many events in the cells of a layout."""
    return Tails(LAYOUTS[name], n_events)


def classic(name: str, folds: Counts) -> Array:
    """(n_replicas,): smallest p of all cells, not corrected for their number. `folds` are (replicas, folds, cells)."""
    n_events = LAYOUTS[name].n_events
    return tails(name, n_events)(folds.sum(axis=1)).min(axis=1)


def k_folds(name: str, folds: Counts) -> Array:
    """p of the count in each fold's best cell of the other folds, summed over the folds and taken as binomial."""
    total = folds.sum(axis=1)
    others = (total - folds[:, fold] for fold in range(folds.shape[1]))
    return _summed(name, folds, [(fold, train) for fold, train in enumerate(others)])


def sequential(name: str, folds: Counts) -> Array:
    """p of the count in each fold's best cell of the folds before it; the first fold is never counted."""
    return _summed(name, folds, [(fold, folds[:, :fold].sum(axis=1)) for fold in range(1, folds.shape[1])])


def one_half(name: str, halves: Counts) -> Array:
    """p of the count of the second half in the best cell of the first."""
    return _of_half(name, halves[:, 0], halves[:, 1])


def both_halves(name: str, halves: Counts) -> Array:
    """Twice the smaller p of the two halves, each in the best cell of the other: holds under any dependence."""
    both = np.minimum(one_half(name, halves), one_half(name, halves[:, ::-1]))
    return np.minimum(2.0 * both, 1.0)


CELL_SEARCHES: dict[str, Callable[[str, Counts], Array]] = {
    "classic": classic,
    "k-fold": k_folds,
    "sequential": sequential,
    "half": one_half,
    "halves": both_halves,
}
_ON_HALVES = ("half", "halves")


def _best(name: str, train: Counts, n_events: int) -> NDArray[np.intp]:
    return tails(name, n_events)(train).argmin(axis=1)


def _summed(name: str, folds: Counts, trained: Sequence[tuple[int, Counts]]) -> Array:
    layout = LAYOUTS[name]
    rows, size = np.arange(len(folds)), layout.n_events // folds.shape[1]
    shares = layout.shares
    count, share = np.zeros(len(folds)), np.zeros(len(folds))
    for fold, train in trained:
        used = folds.shape[1] - 1 if len(trained) == folds.shape[1] else fold
        cell = _best(name, train, used * size)
        count += folds[rows, fold, cell]
        share += shares[cell] / len(trained)
    return np.asarray(binom.sf(count - 1, len(trained) * size, share))


def _of_half(name: str, train: Counts, test: Counts) -> Array:
    size = LAYOUTS[name].n_events // 2
    cell = _best(name, train, size)
    rows = np.arange(len(train))
    return tails(name, size)(test)[rows, cell]


def draw(layout: Layout, parts: int, n_replicas: int, signal: float, rng: np.random.Generator) -> Counts:
    """(n_replicas, parts, n_cells): counts of background and signal in equal parts of the events."""
    counts = rng.multinomial(layout.n_events // parts, layout.shares, size=(n_replicas, parts))[:, :, :-1]
    if signal:
        drawn = rng.multinomial(rng.poisson(signal, n_replicas), np.full(parts, 1 / parts))
        counts[:, :, layout.signal_cell] += drawn
    return counts


def measure_cells(point: Point) -> Point:
    """Count replicas below the nominal p-values and above the z of the grid; quantiles of z."""
    layout = LAYOUTS[point["layout"]]
    rng = np.random.default_rng([point["seed"], point["signal"], layout.bins])
    found: dict[str, list[Array]] = {search: [] for search in CELL_SEARCHES}
    left = point["replicas"]
    while left:
        size = min(left, layout.chunk)
        left -= size
        drawn = {parts: draw(layout, parts, size, point["signal"], rng) for parts in (FOLDS, 2)}
        for search, test in CELL_SEARCHES.items():
            found[search].append(test(point["layout"], drawn[2 if search in _ON_HALVES else FOLDS]))
    return {"found": {search: _summary(np.concatenate(values)) for search, values in found.items()}}


def z_of(p_values: Any) -> Array:
    """z of one-sided p-values, kept finite."""
    return np.asarray(norm.isf(np.clip(p_values, 1e-300, 1.0 - 1e-12)))


def _summary(p_values: Array) -> dict[str, Any]:
    z = np.sort(z_of(p_values))
    above = len(z) - np.searchsorted(z, GRID - 1e-9)
    return {
        "below": [int((p_values < nominal).sum()) for nominal in NOMINAL],
        "above": np.trim_zeros(above, "b").tolist(),
        "z": [round(float(value), 3) for value in np.quantile(z, (0.16, 0.5, 0.84))],
    }


def tree_config(trees: str, random_state: int) -> SearchConfig:
    """Preset `best` on (m_B, m_C) in one window, as shipped or with a single member."""
    learning: dict[str, Any] = {"features": feature_names(2)}
    if "1 member" in trees:
        learning["n_members"] = 1
    scan = {"windows": [[3400.0, 3600.0]], "fit_range": [3200.0, 3800.0], "mask_margin": 0.0, "sideband_width": 200.0}
    return load_config(preset="best", overrides={"random_state": random_state, "learning": learning, "scan": scan})


def density_points(rng: np.random.Generator | None = None, side: int = 200) -> NDArray[np.float32]:
    """(side², 2): points in rectangles of equal probability; what a cut keeps of them it keeps of the background.

    In their middles, or, unbiased for any cut, at random.
    """
    index = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2)
    inside = 0.5 if rng is None else rng.random(index.shape)
    points: NDArray[np.float32] = norm.ppf((index + inside) / side).astype(np.float32)
    return points


def measure_trees(point: Point) -> Point:
    """z of the events that pass cuts of given efficiencies on out-of-fold scores, a list for each replica."""
    return {"z": [tree_z(point, replica) for replica in range(point["replicas"])]}


def tree_z(point: Point, replica: int) -> list[float]:
    """z at every efficiency of one replica; each fold is cut where its own classifier keeps that of the background."""
    layout = LAYOUTS[point["layout"]]
    rng = np.random.default_rng([point["seed"], point["signal"], replica, len(point["search"])])
    config = tree_config(point["search"], int(rng.integers(2**31)))
    scan = RegionScan.from_config(config.scan)
    window = scan.windows[0]
    masses, X = _toy(layout, point["signal"], rng)
    table = table_of(masses, X)
    tasks = fold_tasks(window, scan.edges(window), config, 0)
    fit = train_folds(tasks, SearchData(table))
    inside, fold, scores = window.in_signal(table.mjj), fit.scores.fold, fit.scores.mean()
    # Signal comes on top of a fixed number of background events: the background of a fold is its share of them.
    sizes = np.bincount(fold[inside], minlength=len(tasks)) * layout.n_events / inside.sum()
    points = density_points(rng if point.get("integral") == JITTER else None)
    return _tested(fit.predict(points), sizes, [scores[inside & (fold == one)] for one in range(len(tasks))])


def _toy(layout: Layout, signal: float, rng: np.random.Generator) -> tuple[Array, NDArray[np.float32]]:
    n, n_signal = layout.n_events, rng.poisson(signal)
    masses = np.concatenate([rng.uniform(3400, 3600, n + n_signal), *_sidebands(n, rng)])
    X = rng.normal(size=(len(masses), 2))
    column, row = divmod(layout.signal_cell, layout.bins)
    width = 2 * EDGE / layout.bins
    low = layout.edges[[column, row]]
    X[:n_signal] = low + width * rng.random((n_signal, 2))
    order = rng.permutation(len(masses))
    return masses[order], X[order].astype(np.float32)


def _sidebands(n: int, rng: np.random.Generator) -> list[Array]:
    return [rng.uniform(low, low + 200, n // 2) for low in (3200, 3600)]


def _tested(reference: NDArray[np.float32], sizes: Array, scores: Sequence[NDArray[np.float32]]) -> list[float]:
    found = []
    for efficiency in EFFICIENCIES:
        count, expected = 0, 0.0
        for fold, own in enumerate(scores):
            cut = np.quantile(reference[:, fold], 1.0 - efficiency)
            count += int((own > cut).sum())
            expected += float((reference[:, fold] > cut).mean() * sizes[fold])
        found.append(round(float(z_of(poisson.sf(count - 1, expected))), 3))
    return found


def measure(point: Point) -> Point:
    """Measure one point."""
    return measure_cells(point) if point["search"] == "cells" else measure_trees(point)


@dataclass(frozen=True)
class Fraction:
    """Part of the replicas, with its binomial error."""

    passed: int
    n: int

    @property
    def value(self) -> float:
        """Fraction."""
        return self.passed / self.n

    @property
    def error(self) -> float:
        """Standard deviation; of one replica if there is none."""
        return max(self.passed, 1) ** 0.5 / self.n


def nulls(points: Sequence[Point], search: str, layout: str, odd: bool | None = None) -> list[Point]:
    """Points without signal: all, or those of odd or even seeds."""
    chosen = [one for one in points if (one["search"], one["layout"], one["signal"]) == (search, layout, 0)]
    return [one for one in chosen if odd is None or one["seed"] % 2 == odd]


def true_fraction(points: Sequence[Point], layout: str, search: str, nominal: float) -> Fraction:
    """Fraction of the replicas without signal below a nominal p, of odd seeds."""
    chosen, index = nulls(points, "cells", layout, odd=True), NOMINAL.index(nominal)
    below = sum(one["found"][search]["below"][index] for one in chosen)
    return Fraction(below, sum(one["replicas"] for one in chosen))


def calibrated_p(points: Sequence[Point], layout: str, search: str, z: float) -> Fraction:
    """Fraction of the replicas without signal with at least this z, of even seeds; z is rounded down to the grid."""
    chosen, index = nulls(points, "cells", layout, odd=False), int(np.searchsorted(GRID, z + 1e-9) - 1)
    above = [one["found"][search]["above"] for one in chosen]
    return Fraction(
        sum(counts[index] if index < len(counts) else 0 for counts in above), sum(one["replicas"] for one in chosen)
    )


def sidak(p: float, layout: str) -> float:
    """Global p of the smallest p of independent cells."""
    return float(-np.expm1(LAYOUTS[layout].bins ** 2 * np.log1p(-p)))


def tree_nulls(points: Sequence[Point], trees: str, efficiency: float, integral: str | None = None) -> Array:
    """z of all replicas without signal, with this integral of the density."""
    chosen = [one for one in nulls(points, trees, "20 × 20") if one.get("integral") == integral]
    return _tree_column(chosen, efficiency)


def tree_signals(points: Sequence[Point], trees: str, signal: int, efficiency: float) -> Array:
    """z of all replicas with a signal."""
    return _tree_column([one for one in points if (one["search"], one["signal"]) == (trees, signal)], efficiency)


def _tree_column(points: Sequence[Point], efficiency: float) -> Array:
    index = EFFICIENCIES.index(efficiency)
    return np.array([z[index] for one in points for z in one["z"]])


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print true p-values and median z."""
    finished = run(NAME, POINTS, measure, budget)
    for layout in LAYOUTS:
        for search in CELL_SEARCHES:
            found = [true_fraction(finished, layout, search, nominal) for nominal in NOMINAL]
            click.echo(f"{layout} {search:10s} " + ", ".join(f"{one.value:.2g} +- {one.error:.1g}" for one in found))
        for point in (
            one for one in finished if one["layout"] == layout and one["search"] == "cells" and one["signal"]
        ):
            z = {search: found["z"][1] for search, found in point["found"].items()}
            click.echo(f"{layout} S = {point['signal']}: {z}")
    for trees in REPLICAS:
        for efficiency in EFFICIENCIES:
            z = tree_nulls(finished, trees, efficiency)
            if len(z):
                click.echo(f"{trees}, {efficiency}: {len(z)} nulls, mean {z.mean():.2f}, width {z.std():.2f}")


if __name__ == "__main__":
    main()
