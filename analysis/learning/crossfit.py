"""Cross-fitting: every event is scored by models trained without its fold.

With k folds that score one another, a fluctuation in one of them steers the models of all others into the same corner,
where they count it: the mean of a count is right without signal, its variance too large. With sequential training fold
j is scored by models trained on folds j + 1 to k - 1 only, and fold k - 1 only trains. Given the folds that trained
them, models are fixed: the events of fold j that pass are a random sample of the m_jj spectrum, whatever was learned,
and so is the sum over folds (a prequential argument: A. P. Dawid, J. R. Stat. Soc. A 147 (1984) 278).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from analysis.errors import TableError, WindowError
from analysis.events.identity import string_hash
from analysis.events.reading import release_memory
from analysis.events.table import EventTable
from analysis.learning.decorrelation import FeatureMap, FeatureScaling
from analysis.learning.ensemble import Choice, FittedEnsemble
from analysis.learning.folds import assign_folds, stratified_folds
from analysis.learning.learners import BOOSTED_TREES
from analysis.learning.nested import JoinedModel, Nested, best_candidate
from analysis.learning.protocols import (
    METHOD_SEED,
    ColumnLearner,
    ContrastMethod,
    Learner,
    Method,
    Model,
    ModelStorage,
    TemplateMethod,
)
from analysis.learning.samples import Samples
from analysis.learning.scoring import score_table
from analysis.learning.training_set import TrainingSet
from analysis.regions import MassWindow

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


_CANDIDATES = 2
"""Seed key that separates the random numbers of candidates from the ones of classifiers and methods."""

Folds = tuple[NDArray[np.int8], NDArray[np.int8] | None]
"""Folds of data and of simulation."""


@dataclass(frozen=True)
class FoldTask:
    """The unit of training work: all members of one fold of one window.

    Attributes
    ----------
    window : MassWindow
    fold : int
        Fold that is left out of training, and scored.
    n_folds : int
    features : tuple of str
    method : Method
    learner : Learner
    random_state : int
        Seed of the search, folds and tie-breaks; the seed of the task is derived from it, the window and the fold.
    nested : Nested or None
        Choice of models on validation folds.
    sequential : bool
        Whether only later folds train, instead of all other folds; the last fold is then not scored.
    template : bool
        Whether to score the background template of the method as well.
    decorrelation : FeatureScaling or None
        Scaling of the features.
    training_seed : int
        Number of the training: different trainings share the folds, and differ in everything that is trained.
    storage : ModelStorage or None
        Stored form of the models; None if they are not kept.
    averaged : bool
        Whether only the mean of the members is kept of the scores, which takes less memory.
    """

    window: MassWindow
    fold: int
    n_folds: int
    features: tuple[str, ...]
    method: Method
    learner: Learner
    random_state: int
    nested: Nested | None = None
    sequential: bool = False
    template: bool = False
    decorrelation: FeatureScaling | None = None
    training_seed: int = 0
    storage: ModelStorage | None = BOOSTED_TREES
    averaged: bool = False

    @property
    def every_fold(self) -> list[FoldTask]:
        """Tasks of all folds that are scored, in order; the others only train."""
        return [replace(self, fold=fold) for fold in range(self.n_folds - self.sequential)]

    @property
    def left_out(self) -> tuple[int, ...]:
        """Folds that the models of this fold must not see."""
        return tuple(range(self.fold + 1)) if self.sequential else (self.fold,)

    def folds(self, table: EventTable) -> NDArray[np.int8]:
        """(n_events,) int8: fold of each event of data or simulation."""
        if self.nested is None:
            return assign_folds(table.event_id, self.n_folds, random_state=self.random_state)
        return stratified_folds(
            table.event_id, table.mjj, self.nested.edges, self.n_folds, random_state=self.random_state
        )

    def with_features(self, features: Sequence[str]) -> FoldTask:
        """Return the task with some of its features, each with its own settings of the learner."""
        learner = self.learner
        if isinstance(learner, ColumnLearner):
            learner = learner.on_columns([self.features.index(name) for name in features])
        return replace(self, features=tuple(features), learner=learner)

    def seed(self, *purpose: int) -> np.random.SeedSequence:
        """Seed of this training, window, fold and purpose."""
        repeat = (string_hash("training seed"), self.training_seed) if self.training_seed else ()
        key = (*repeat, string_hash(self.window.name), self.fold, *purpose)
        return np.random.SeedSequence(self.random_state, spawn_key=key)


@dataclass(frozen=True)
class Template:
    """Background of the signal region as the method makes it, scored out of fold.

    Attributes
    ----------
    scores : Scores
    event_id : (n_rows,) uint64
        Event that each row is made of; one event may have several.
    weight : (n_rows,) float64
        Non-negative.
    """

    scores: Scores
    event_id: NDArray[np.uint64]
    weight: NDArray[np.float64]


@dataclass(frozen=True)
class FoldResult:
    """Out-of-fold scores of one fold.

    Attributes
    ----------
    fold : int
    rows : (n_scored,) int64
        Positions of the scored events in the table.
    scores : (n_scored, n_members) float32
        A single column if the task averages them.
    model : Model
    template : Template or None
        Template of this fold.
    scaling : FeatureMap or None
        Scaling of the features, for events to be scored by the model.
    """

    fold: int
    rows: NDArray[np.int64] = field(repr=False)
    scores: NDArray[np.float32] = field(repr=False)
    model: Model
    template: Template | None = field(default=None, repr=False)
    scaling: FeatureMap | None = None


@dataclass(frozen=True)
class Scores:
    """Out-of-fold scores of all events in the fit range of a window.

    Attributes
    ----------
    values : (n_events, n_members) float32
        NaN outside the fit range, and in a fold that only trains.
    fold : (n_events,) int8
        Fold of the event; its models were trained without it and scored the event.
    method : str
    """

    values: NDArray[np.float32] = field(repr=False)
    fold: NDArray[np.int8] = field(repr=False)
    method: str

    def mean(self) -> NDArray[np.float32]:
        """(n_events,) float32: score averaged over the members."""
        return _mean(self.values)


@dataclass(frozen=True)
class CrossFit:
    """Result of cross-fitting a window.

    Attributes
    ----------
    scores : Scores
    models : tuple of Model
        One per scored fold, in order, each trained without the events of its own fold.
    template : Template or None
        Template of the background, if requested.
    scalings : tuple of FeatureMap
        One per scored fold; empty if the features are not scaled.
    """

    scores: Scores
    models: tuple[Model, ...]
    template: Template | None = field(default=None, repr=False)
    scalings: tuple[FeatureMap, ...] = ()

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Chosen settings, by fold; empty if none were chosen."""
        choices = [model.choice for model in self.models if isinstance(model, FittedEnsemble)]
        return tuple(choice for choice in choices if choice is not None)

    @property
    def working_points(self) -> list[int]:
        """Position of the chosen efficiency, by fold; empty if none was chosen."""
        return [choice.working_point for choice in self.choices if choice.working_point is not None]

    def first(self, n_events: int) -> CrossFit:
        """Keep only the scores of the first `n_events` events."""
        scores = Scores(self.scores.values[:n_events], self.scores.fold[:n_events], self.scores.method)
        return replace(self, scores=scores)

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Score events that were not used for training, such as signal simulation.

        Returns
        -------
        (n_rows, n_folds) float32
            Mean over members for the model of each fold; not averaged over folds, since thresholds differ.
        """
        return np.stack([model.predict(X).mean(axis=1) for model in self.models], axis=1)


def run_fold(task: FoldTask, samples: Samples) -> FoldResult:
    """Train the models of one fold on other folds, and score the fold.

    Parameters
    ----------
    task : FoldTask
    samples : Samples
        All events of the search region, and simulation if the method needs it.

    Returns
    -------
    FoldResult

    Raises
    ------
    TableError
        If a template is requested from a method without one.
    WindowError
        If no events remain for the training or for a template.

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.learning import Samples, run_fold
    >>> from analysis.search.window import fold_tasks
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> window = inputs.regions.windows[0]
    >>> config = load_config(overrides={"learning": {"n_members": 3, "classifier": {"n_estimators": 5}}})
    >>> tasks = fold_tasks(window, inputs.regions.edges(window), config, training_seed=0)
    >>> result = run_fold(tasks[1], Samples(inputs.fitted.table))
    >>> result.fold, len(result.model.members)
    (1, 3)
    """
    folds = samples.map(task.folds)
    trained, scored, scaling = samples, samples, None
    if task.decorrelation is not None:
        scaling = task.decorrelation.fit(_without(samples, folds, *task.left_out).data, task.features)
        trained = scored = samples.apply(scaling.apply)
        if task.decorrelation.SCORED_APART:
            scaling = task.decorrelation.fit(_of_fold(samples, folds, task.fold).data, task.features)
            scored = samples.apply(scaling.apply)
    model = _train(task, trained, folds) if task.nested is None else _train_nested(task, task.nested, trained, folds)
    release_memory()
    rows = np.flatnonzero((folds[0] == task.fold) & task.window.in_fit_range(samples.data.mjj))
    scores = score_table(model, _take(scored.data, rows), task.features)
    if task.averaged:
        scores = _mean(scores)[:, None]
    template = _score_template(task, trained, scored, folds, model) if task.template else None
    return FoldResult(task.fold, rows, scores, model, template, scaling)


def _mean(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    mean: NDArray[np.float32] = scores.mean(axis=1, dtype=np.float64).astype(np.float32)
    return mean


def _train(task: FoldTask, samples: Samples, folds: Folds) -> Model:
    if not getattr(task.method, "learns_contrast", False):
        training = _without(samples, folds, *task.left_out)
        return task.method.fit(training, task.window, task.features, task.learner, task.seed())
    # The same, but the events of the other folds, which are copies, are dropped before the learner needs memory.
    contrast = _contrast(task, _without(samples, folds, *task.left_out))
    release_memory()
    return task.learner.fit(contrast, random_state=task.seed())


def _contrast(task: FoldTask, samples: Samples, *purpose: int) -> TrainingSet:
    if not isinstance(task.method, ContrastMethod):
        msg = f"method {task.method.name} has no labels to choose restarts by: set learning.cross_fitting to kfold."
        raise TableError(msg)
    return task.method.contrast(samples, task.window, task.features, random_state=task.seed(METHOD_SEED, *purpose))


def _without(samples: Samples, folds: Folds, *left_out: int) -> Samples:
    data, simulation = folds
    kept = None if simulation is None else ~np.isin(simulation, left_out)
    return samples.select(~np.isin(data, left_out), kept)


def _of_fold(samples: Samples, folds: Folds, wanted: int) -> Samples:
    data, simulation = folds
    return samples.select(data == wanted, None if simulation is None else simulation == wanted)


def _take(table: EventTable, rows: NDArray[np.int64]) -> EventTable:
    return EventTable(table.table.take(rows), table.features)


def _train_nested(task: FoldTask, nested: Nested, samples: Samples, folds: Folds) -> Model:
    chosen = []
    for validation in range(task.n_folds):
        if validation == task.fold:
            continue
        training = _contrast(task, _without(samples, folds, task.fold, validation), validation, 0)
        deciding = _contrast(task, _of_fold(samples, folds, validation), validation, 1)
        candidates = task.learner.fit(training, random_state=task.seed(_CANDIDATES, validation))
        chosen.append(candidates.pick(best_candidate(candidates.predict(deciding.X), deciding, nested.efficiency)))
    return JoinedModel(tuple(chosen))


def _score_template(task: FoldTask, trained: Samples, scored: Samples, folds: Folds, model: Model) -> Template:
    if not isinstance(task.method, TemplateMethod):
        msg = (
            f"method {task.method.name} has no template of the background: set learning.threshold_reference to "
            "spectrum or sidebands."
        )
        raise TableError(msg)
    seed = task.seed(METHOD_SEED)
    training, held_out = _without(trained, folds, *task.left_out), _of_fold(scored, folds, task.fold)
    rows = task.method.template(training, held_out, task.window, task.features, random_state=seed)
    if not rows.weight.sum() > 0:
        msg = (
            f"window {task.window.name} GeV: fold {task.fold} has no events to make a template of the background of. "
            "Set learning.threshold_reference to spectrum or sidebands, use fewer folds, or add events."
        )
        raise WindowError(msg)
    scores, fold = model.predict(rows.X), np.full(len(rows.weight), task.fold, np.int8)
    return Template(Scores(scores, fold, task.method.name), rows.group, rows.weight)


def collect_folds(results: Iterable[FoldResult], table: EventTable, task: FoldTask) -> CrossFit:
    """Combine the folds of one window.

    Parameters
    ----------
    results : iterable of FoldResult
        One per scored fold, in any order.
    table : EventTable
        Events that were scored.
    task : FoldTask
        Any task of the window.

    Returns
    -------
    CrossFit

    Examples
    --------
    >>> from analysis.config import load_config
    >>> from analysis.learning import Samples, collect_folds, run_fold
    >>> from analysis.search.window import fold_tasks
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> table, window = inputs.fitted.table, inputs.regions.windows[0]
    >>> config = load_config(overrides={"learning": {"n_folds": 2, "n_members": 1, "classifier": {"n_estimators": 5}}})
    >>> tasks = fold_tasks(window, inputs.regions.edges(window), config, training_seed=0)
    >>> fit = collect_folds([run_fold(task, Samples(table)) for task in tasks], table, tasks[0])
    >>> len(fit.models), fit.scores.values.shape == (len(table), 1)
    (2, True)
    """
    ordered = sorted(results, key=lambda result: result.fold)
    values = np.full((len(table), ordered[0].scores.shape[1]), np.nan, np.float32)
    for result in ordered:
        values[result.rows] = result.scores
    scores = Scores(values, task.folds(table), task.method.name)
    scalings = tuple(result.scaling for result in ordered if result.scaling is not None)
    return CrossFit(scores, tuple(result.model for result in ordered), _join_templates(ordered), scalings)


def _join_templates(results: Iterable[FoldResult]) -> Template | None:
    parts = [result.template for result in results if result.template is not None]
    if not parts:
        return None
    values, folds = (np.concatenate([getattr(part.scores, name) for part in parts]) for name in ("values", "fold"))
    event_id, weight = (np.concatenate([getattr(part, name) for part in parts]) for name in ("event_id", "weight"))
    return Template(Scores(values, folds, parts[0].scores.method), event_id, weight)
