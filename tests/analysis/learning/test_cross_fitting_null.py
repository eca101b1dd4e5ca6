"""Without signal: k folds that train one another count their fluctuations together, halves and sequential folds do not.

Features are cells, and know nothing of m_jj; a classifier is the fraction of window events in each cell. All
pseudo-experiments are trained at once: each has cells of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.events.table import EventTable
from analysis.learning import FoldTask, Samples, Scores, TrainingSet, choose_working_points, collect_folds, run_fold
from analysis.methods import CWoLa
from tests.builders.toy_tables import WINDOW, feature_names, table_of

N_TOYS, N_CELLS, N_EVENTS = 400, 100, 2000
EFFICIENCY = 0.05
IN_WINDOW = 0.3
PRIOR = 5.0


@dataclass(frozen=True)
class CellModel:
    """Scores an event with the fraction of window events in its cell."""

    fraction: NDArray[np.float64]
    members: tuple[bytes, ...] = ()

    def pick(self, member: int) -> CellModel:
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.fraction[X[:, 0].astype(int)][:, None].astype(np.float32)


@dataclass(frozen=True)
class CellLearner:
    """Counts events of the window and of the sidebands in cells, with a few events of each added."""

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> CellModel:
        cell = training.X[:, 0].astype(int)
        inside, all_events = (
            np.bincount(cell, weight, N_TOYS * N_CELLS)
            for weight in (training.sample_weight * training.y, training.sample_weight)
        )
        return CellModel((inside + PRIOR / 2) / (all_events + PRIOR))


@cache
def events() -> EventTable:
    """All pseudo-experiments, one after the other."""
    rng = np.random.default_rng(3)
    n = N_TOYS * N_EVENTS
    window = rng.random(n) < IN_WINDOW
    mjj = np.where(window, rng.uniform(*WINDOW.signal, n), rng.uniform(*WINDOW.lower, n))
    cell = np.repeat(np.arange(N_TOYS), N_EVENTS) * N_CELLS + rng.integers(0, N_CELLS, n)
    upper = ~window & (rng.random(n) < 0.5)
    mjj[upper] = rng.uniform(*WINDOW.upper, upper.sum())
    return table_of(mjj, cell[:, None])


def z_of_toys(n_folds: int, *, sequential: bool = False, apart: bool = False) -> NDArray[np.float64]:
    """(n_toys, n_selections): significance of the window count among the events that pass."""
    table = events()
    task = FoldTask(WINDOW, 0, n_folds, feature_names(1), CWoLa(), CellLearner(), 1, sequential=sequential)
    fit = collect_folds((run_fold(one, Samples(table)) for one in task.every_fold), table, task)
    inside, found = WINDOW.in_signal(table.mjj), []
    for toy in range(N_TOYS):
        rows = slice(toy * N_EVENTS, (toy + 1) * N_EVENTS)
        passes = choose_working_points(
            Scores(fit.scores.values[rows], fit.scores.fold[rows], "cwola"),
            np.ones(N_EVENTS, bool),
            (EFFICIENCY,),
            event_id=table.event_id[rows],
            weight=np.ones(N_EVENTS),
            random_state=1,
            apart=apart,
        ).values[:, 1:]
        total = passes.sum(axis=0)
        found.append((inside[rows] @ passes - IN_WINDOW * total) / np.sqrt(total * IN_WINDOW * (1 - IN_WINDOW)))
    return np.array(found)


def assert_standard_normal(z: NDArray[np.float64]) -> None:
    """Mean, variance and tail within four standard deviations, but for the discreteness of about a hundred counts."""
    n = len(z)
    assert abs(z.mean()) < 4 / n**0.5
    assert abs(z.var() - 1) < 4 * (2 / n) ** 0.5
    assert abs((z > 2).mean() - norm.sf(2)) < 4 * (norm.sf(2) / n) ** 0.5


def test_folds_that_train_one_another_make_a_fat_tail() -> None:
    (z,) = z_of_toys(5).T
    assert abs(z.mean()) < 4 * z.std() / N_TOYS**0.5
    assert z.var() > 1.5
    assert (z > 2).mean() > 2.5 * norm.sf(2)


def test_sequential_folds_are_exact() -> None:
    (z,) = z_of_toys(5, sequential=True).T
    assert_standard_normal(z)


def test_each_half_is_exact_and_the_smaller_p_value_doubled_holds_for_both() -> None:
    first, second = z_of_toys(2, apart=True).T
    assert_standard_normal(first)
    assert_standard_normal(second)
    assert np.corrcoef(first, second)[0, 1] > 0.1  # so that the product of p-values would be none
    doubled = 2 * norm.sf(np.maximum(first, second))
    assert (doubled < 0.1).mean() < 0.1 + 2 * (0.1 / N_TOYS) ** 0.5
