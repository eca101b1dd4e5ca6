"""Cross-fitting: every event is scored by models that were trained without its fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.identity import string_hash
from analysis.learning.folds import assign_folds
from analysis.learning.training_set import TrainingSet
from analysis.regions import MassWindow
from analysis.table import EventTable

__all__ = ["CrossFit", "FoldResult", "FoldTask", "Learner", "Method", "Model", "Scores", "collect_folds", "run_fold"]


class Method(Protocol):
    """A way to set up the contrast that a classifier learns."""

    @property
    def name(self) -> str:
        """Name in the registry and in results."""
        ...

    def contrast(self, data: EventTable, window: MassWindow, features: Sequence[str]) -> TrainingSet:
        """Build the training set from the events of the training folds only."""
        ...


class Model(Protocol):
    """A trained ensemble."""

    @property
    def members(self) -> tuple[bytes, ...]:
        """Stored form of each member."""
        ...

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n_rows, n_members) float32 scores."""
        ...


class Learner(Protocol):
    """Something that can be trained; `BoostedTrees` is the one in use."""

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> Model:
        """Train on a set and return the model."""
        ...


@dataclass(frozen=True)
class FoldTask:
    """The unit of training work: all members of one fold of one window.

    Attributes
    ----------
    window : MassWindow
    fold : int
        The fold that is left out of training, and scored.
    n_folds : int
    features : tuple of str
    method : Method
    learner : Learner
    random_state : int
        Seed of the search; the task derives its own from it, the window and the fold.
    """

    window: MassWindow
    fold: int
    n_folds: int
    features: tuple[str, ...]
    method: Method
    learner: Learner
    random_state: int


@dataclass(frozen=True)
class FoldResult:
    """Out-of-fold scores of one fold.

    Attributes
    ----------
    fold : int
    rows : (n_scored,) int64
        Positions in the table of the scored events.
    scores : (n_scored, n_members) float32
    model : Model
    """

    fold: int
    rows: NDArray[np.int64]
    scores: NDArray[np.float32]
    model: Model


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores of all events in the fit range of a window.

    Attributes
    ----------
    values : (n_events, n_members) float32
        NaN outside the fit range.
    fold : (n_events,) int8
        Fold whose models, trained without it, scored the event.
    method : str
    """

    values: NDArray[np.float32]
    fold: NDArray[np.int8]
    method: str

    def mean(self) -> NDArray[np.float32]:
        """(n_events,) float32: score averaged over the members."""
        mean: NDArray[np.float32] = self.values.mean(axis=1, dtype=np.float64).astype(np.float32)
        return mean


@dataclass(frozen=True)
class CrossFit:
    """What cross-fitting a window gives.

    Attributes
    ----------
    scores : Scores
    models : tuple of Model
        One per fold, in order; each has not seen the events of its own fold.
    """

    scores: Scores
    models: tuple[Model, ...]

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score events that were not trained on, such as signal simulation.

        Returns
        -------
        (n_rows, n_folds) float32
            Member mean of each fold's model; thresholds differ per fold, so they are not averaged here.
        """
        return np.stack([model.predict(X).mean(axis=1) for model in self.models], axis=1)


def run_fold(task: FoldTask, table: EventTable) -> FoldResult:
    """Train the models of one fold on the other folds and score it.

    Parameters
    ----------
    task : FoldTask
    table : EventTable
        All events of the search region.

    Returns
    -------
    FoldResult
    """
    fold = assign_folds(table.event_id, task.n_folds, random_state=task.random_state)
    training = task.method.contrast(table.select(fold != task.fold), task.window, task.features)
    seed = np.random.SeedSequence(task.random_state, spawn_key=(string_hash(task.window.name), task.fold))
    model = task.learner.fit(training, random_state=seed)
    rows = np.flatnonzero((fold == task.fold) & task.window.in_fit_range(table.mjj))
    held_out = table.table.take(rows)
    return FoldResult(task.fold, rows, model.predict(EventTable(held_out, table.features).matrix(task.features)), model)


def collect_folds(results: Iterable[FoldResult], event_id: NDArray[np.uint64], task: FoldTask) -> CrossFit:
    """Put the folds of one window together.

    Parameters
    ----------
    results : iterable of FoldResult
        One per fold, in any order.
    event_id : (n_events,) uint64
    task : FoldTask
        Any task of the window.

    Returns
    -------
    CrossFit
    """
    ordered = sorted(results, key=lambda result: result.fold)
    values = np.full((len(event_id), ordered[0].scores.shape[1]), np.nan, np.float32)
    for result in ordered:
        values[result.rows] = result.scores
    fold = assign_folds(event_id, task.n_folds, random_state=task.random_state)
    return CrossFit(Scores(values, fold, task.method.name), tuple(result.model for result in ordered))
