"""Do trained trees reach the population optimum of each loss? The two-dimensional Gaussian example of SA-CWoLa.

arXiv:2009.02205, eq. 3.1-3.3: unit Gaussians at (0, 0) for data in the window, (1, 0) in the sidebands, (0.1, -0.1) and
(1.05, 0) for simulation; 500 signal events, N((1.5, 1.5), 0.5), on 50000 of background. The optimum of each loss is a
function of these densities (docs/methods.md); its AUC and SIC are integrals over a grid, without training noise. The
samples of 5M and 50M background events, each of four times that number, hold features rounded to 0.05, one row for each
filled cell with its number of events, drawn from the exact probabilities, as weight: the same for trees as rows of
weight 1, at a hundredth of the time. The published 50000 are not rounded. Scores are integrated over the exact
densities, so there is no test noise either.

"optimal CWoLa" is data against simulation where the simulation is an independent sample of the data's background.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.config import ClassifierConfig
from analysis.events.identity import event_hash
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, Method, Samples
from analysis.methods import SALAD, CWoLa, DataVsSimulation, SACWoLa
from tests.builders.toy_tables import WINDOW, table_of
from tests.studies.runner import Budget, Point, run, study

Array = NDArray[np.float64]

NAME = "gaussian_example"
NAMES = ("x0", "x1")
CELL = 0.05
AXIS = np.arange(-6.0, 8.0, CELL) + CELL / 2
SIGNAL_FRACTION = 500 / 50_500
MEANS = {"data_window": (0.0, 0.0), "data_side": (1.0, 0.0), "sim_window": (0.1, -0.1), "sim_side": (1.05, 0.0)}
SIGNAL_MEAN, SIGNAL_VARIANCE = (1.5, 1.5), 0.5

EXPECTED = {
    "optimal CWoLa": (0.961, 4.07),
    "SALAD": (0.864, 2.57),
    "data vs simulation": (0.764, 1.36),
    "CWoLa": (0.129, 0.53),
    "SA-CWoLa 0.5": (0.177, 0.54),
    "SA-CWoLa 0.75": (0.313, 0.60),
    "SA-CWoLa 0.9": (0.563, 0.76),
    "SA-CWoLa 1": (0.764, 1.10),
    "SA-CWoLa 1.05": (0.838, 1.43),
    "SA-CWoLa 1.1": (0.887, 1.89),
    "SA-CWoLa 1.5": (0.938, 2.87),
    "SA-CWoLa 2": (0.928, 2.57),
    "SA-CWoLa 5": (0.916, 2.32),
}
"""AUC and SIC(0.5) of the population optimum, computed apart from this code when the study was set."""

ROUNDED = ClassifierConfig(
    n_estimators=300, learning_rate=0.1, max_depth=5, min_child_weight=50.0, subsample=1.0, colsample_bynode=0.5
)
"""No subsampling of rows: a row is a cell, and without half the cells a leaf is mostly noise."""

TREES = {50_000_000: ROUNDED, 5_000_000: ROUNDED, 50_000: ClassifierConfig()}
N_MEMBERS = 4


def gaussian(mean: tuple[float, float], variance: float = 1.0, axis: Array = AXIS) -> Array:
    """(n, n) float64: density of a round Gaussian on the grid."""
    one = [np.exp(-((axis - centre) ** 2) / (2 * variance)) for centre in mean]
    density: Array = np.outer(*one) / (2 * np.pi * variance)
    return density


def odds_at_optimum(loss: str, axis: Array = AXIS) -> Array:
    """(n, n) float64: f / (1 - f) that minimises a loss, from the exact densities."""
    window, side, sim_window, sim_side = (gaussian(mean, axis=axis) for mean in MEANS.values())
    signal = gaussian(SIGNAL_MEAN, SIGNAL_VARIANCE, axis)
    data = (1 - SIGNAL_FRACTION) * window + SIGNAL_FRACTION * signal
    if loss.startswith("SA-CWoLa"):
        factor = float(loss.split()[1])
        return np.asarray((data + factor * sim_side) / (side + factor * sim_window))
    below = {
        "optimal CWoLa": window,
        "SALAD": sim_window * side / sim_side,
        "data vs simulation": sim_window,
        "CWoLa": side,
    }
    return np.asarray(data / below[loss])


def auc_and_sic(score: Array, axis: Array = AXIS) -> tuple[float, float]:
    """AUC and SIC at a signal efficiency of 1/2 against the background in the window, by integrals over the grid."""
    area = (axis[1] - axis[0]) ** 2
    values, block = np.unique(-score.ravel(), return_inverse=True)
    passed = [
        np.concatenate([[0.0], np.cumsum(np.bincount(block, density.ravel() * area, len(values)))])
        for density in (gaussian(SIGNAL_MEAN, SIGNAL_VARIANCE, axis), gaussian(MEANS["data_window"], axis=axis))
    ]
    signal, background = (part / part[-1] for part in passed)
    return float(np.trapezoid(signal, background)), float(0.5 / np.sqrt(np.interp(0.5, signal, background)))


def method_of(loss: str, trees: BoostedTrees) -> Method:
    """Return the method that has this loss."""
    if loss.startswith("SA-CWoLa"):
        return SACWoLa(simulation_weight=float(loss.split()[1]))
    if loss == "SALAD":
        return SALAD(reweighter=replace(trees, n_members=1))
    return CWoLa() if loss == "CWoLa" else DataVsSimulation()


def sample(mean: tuple[float, float], n_signal: int, events: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """(n_rows, 2) features and (n_rows,) weights of one sample."""
    parts = [(mean, 1.0, events), (SIGNAL_MEAN, SIGNAL_VARIANCE, n_signal)]
    if events <= 50_000:
        X = np.concatenate([rng.normal(centre, np.sqrt(variance), (n, 2)) for centre, variance, n in parts])
        return X, np.ones(len(X))
    counts = np.sum([drawn_cells(centre, variance, n, rng) for centre, variance, n in parts], axis=0)
    filled = np.argwhere(counts)
    return AXIS[filled], counts[tuple(filled.T)].astype(np.float64)


def drawn_cells(mean: tuple[float, float], variance: float, events: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(n, n) int64: events in the cells of the grid, multinomial with exact probabilities."""
    edges = np.append(AXIS - CELL / 2, AXIS[-1] + CELL / 2)
    one = [np.diff(ndtr((edges - centre) / np.sqrt(variance))) for centre in mean]
    share = np.outer(*one).ravel()
    return rng.multinomial(events, share / share.sum()).reshape(len(AXIS), -1)


def table(window: tuple[Array, Array], side: tuple[Array, Array], number: int) -> EventTable:
    """Events in the window and, in turn, in the two sidebands: their features do not depend on the side."""
    n_window, n_side = len(window[1]), len(side[1])
    if n_side and (side[1] > 1).any():  # merged cells: half of each on either side
        side = np.concatenate([side[0]] * 2), np.concatenate([side[1]] * 2) / 2
        lower = np.repeat([True, False], n_side)
    else:
        lower = np.arange(n_side) % 2 == 0
    mjj = np.concatenate([np.full(n_window, 3500.0), np.where(lower, 3200.0, 3800.0)])
    columns: dict[str, Any] = {"weight": np.concatenate([window[1], side[1]])}
    return table_of(
        mjj, np.concatenate([window[0], side[0]]), event_id=event_hash(number, np.arange(len(mjj))), **columns
    )


def measure(point: Point) -> Point:
    """Train one loss on one draw."""
    loss, events = point["loss"], point["events"]
    rng = np.random.default_rng([point["draw"], events])
    signal = round(events * SIGNAL_FRACTION / (1 - SIGNAL_FRACTION))
    drawn = {name: sample(mean, signal * (name == "data_window"), events, rng) for name, mean in MEANS.items()}
    if loss == "optimal CWoLa":
        drawn["sim_window"] = sample(MEANS["data_window"], 0, events, rng)
    samples = Samples(
        table(drawn["data_window"], drawn["data_side"], 1), table(drawn["sim_window"], drawn["sim_side"], 2)
    )
    trees = BoostedTrees(TREES[events], N_MEMBERS)
    seed = np.random.SeedSequence(point["draw"])
    training = method_of(loss, trees).contrast(samples, WINDOW, NAMES, random_state=seed)
    grid = np.stack(np.meshgrid(AXIS, AXIS, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float32)
    score = trees.fit(training, random_state=seed).predict(grid).mean(axis=1, dtype=np.float64)
    auc, sic = auc_and_sic(score.reshape(len(AXIS), -1))
    return {"auc": round(auc, 4), "sic": round(sic, 3)}


@study(minutes=15.0)
@click.option("--draws", type=int, default=5, show_default=True, help="Of the sample of published size.")
def main(budget: Budget, draws: int) -> None:
    """Run the study and compare every loss with its optimum."""
    points = [
        {"loss": loss, "events": events, "draw": draw}
        for events in TREES
        for draw in range(draws if events == 50_000 else 1)
        for loss in EXPECTED
    ]
    finished = run(NAME, points, measure, budget)
    for loss in EXPECTED:
        exact = auc_and_sic(odds_at_optimum(loss))
        line = f"{loss:18}  optimum {exact[0]:.3f} {exact[1]:.2f}"
        for events in TREES:
            found = [(p["auc"], p["sic"]) for p in finished if p["loss"] == loss and p["events"] == events]
            if found:
                auc, sic = np.median(found, axis=0)
                kept = abs(auc - exact[0]) < 0.01 and abs(sic / exact[1] - 1) < 0.05
                line += f"   {events} ({len(found)}): {auc:.3f} {sic:.2f} {'kept' if kept else '-'}"
        click.echo(line)


if __name__ == "__main__":
    main()
