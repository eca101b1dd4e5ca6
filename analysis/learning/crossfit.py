"""Cross-fitting: every event is scored by models that were trained without its fold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from analysis.identity import string_hash
from analysis.learning.folds import assign_folds
from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.regions import MassWindow
from analysis.table import EventTable

__all__ = [
    "CrossFit",
    "FoldResult",
    "FoldTask",
    "Learner",
    "Method",
    "Model",
    "Scores",
    "TemplateMethod",
    "collect_folds",
    "run_fold",
]


_METHOD = 1
"""Keeps the random numbers of a method apart from those of the classifiers."""


class Method(Protocol):
    """A way to set up the contrast that a classifier learns."""

    @property
    def name(self) -> str:
        """Name in the registry and in results."""
        ...

    @property
    def uses_truth(self) -> bool:
        """Whether it looks at which simulated events are signal: for studies, refused for real data."""
        ...

    @property
    def needs_simulation(self) -> bool:
        """Whether it needs simulated background."""
        ...

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Build the training set from the events of the training folds only.

        Parameters
        ----------
        samples : Samples
        window : MassWindow
        features : sequence of str
        random_state : numpy.random.SeedSequence
            Of this fold and window, for what the method trains itself.

        Returns
        -------
        TrainingSet
            `group` is the identity of the event, of data or simulation.
        """
        ...


@runtime_checkable
class TemplateMethod(Method, Protocol):
    """A method that turns the simulation into a template of the background."""

    def template(
        self,
        samples: Samples,
        held_out: EventTable,
        window: MassWindow,
        features: Sequence[str],
        *,
        random_state: np.random.SeedSequence,
    ) -> NDArray[np.float64]:
        """Weigh simulated events that are in no training fold so that they look like background inside the window.

        Parameters
        ----------
        samples : Samples
            Events of the training folds.
        held_out : EventTable
            Simulated events of the fold that is left out.
        window : MassWindow
        features : sequence of str
        random_state : numpy.random.SeedSequence
            The same as `contrast` gets, so that both train the same reweighter.

        Returns
        -------
        (n_held_out,) float64
            Not negative; 0 outside the signal region.
        """
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


def run_fold(task: FoldTask, samples: Samples) -> FoldResult:
    """Train the models of one fold on the other folds and score it.

    Parameters
    ----------
    task : FoldTask
    samples : Samples
        All events of the search region, and of the simulation where the method needs one.

    Returns
    -------
    FoldResult
    """
    table = samples.data
    fold = assign_folds(table.event_id, task.n_folds, random_state=task.random_state)
    key = (string_hash(task.window.name), task.fold)
    seed = np.random.SeedSequence(task.random_state, spawn_key=key)
    method_seed = np.random.SeedSequence(task.random_state, spawn_key=(*key, _METHOD))
    training = task.method.contrast(
        _training_folds(samples, task, fold), task.window, task.features, random_state=method_seed
    )
    model = task.learner.fit(training, random_state=seed)
    rows = np.flatnonzero((fold == task.fold) & task.window.in_fit_range(table.mjj))
    held_out = table.table.take(rows)
    return FoldResult(task.fold, rows, model.predict(EventTable(held_out, table.features).matrix(task.features)), model)


def _training_folds(samples: Samples, task: FoldTask, fold: NDArray[np.int8]) -> Samples:
    simulation = None
    if samples.simulation is not None:
        simulation = (
            assign_folds(samples.simulation.event_id, task.n_folds, random_state=task.random_state) != task.fold
        )
    return samples.select(fold != task.fold, simulation)


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
