"""Scores of every member of an ensemble, by the models that were trained without the event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.diagnostics.region_events import event_folds
from analysis.diagnostics.values import ScoredWindow
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.learning import score_table
from analysis.search.classifiers import Classifier

__all__ = ["MAX_EVENTS", "MemberScores", "listed", "member_scores", "rounded"]

MAX_EVENTS = 200_000
"""Largest number of events scored by all members; ten members of 60 trees take a second for it."""


@dataclass(frozen=True)
class MemberScores:
    """Scores of the members.

    Attributes
    ----------
    rows : (n_used,) int64
        Positions in the table, increasing.
    fold : (n_used,) int8
    values : (n_used, n_members) float32
    fraction : float
        Fraction of the scored events of the fit range that is used; below 1 if they exceed the maximum number.
    """

    rows: NDArray[np.int64]
    fold: NDArray[np.int8]
    values: NDArray[np.float32]
    fraction: float

    def mean(self) -> NDArray[np.float32]:
        """Return the scores averaged over the members, as in the search, (n_used,) float32."""
        mean: NDArray[np.float32] = self.values.mean(axis=1, dtype=np.float64).astype(np.float32)
        return mean


def member_scores(window: ScoredWindow, classifier: Classifier, *, max_events: int = MAX_EVENTS) -> MemberScores:
    """Score the events of the fit range with every member of their fold; without events of a fold that only trains.

    Parameters
    ----------
    window : ScoredWindow
    classifier : Classifier
        Classifier of the window.
    max_events : int
        If the fit range holds more, about this many are used, up to Poisson fluctuations, by a hash of their identity.

    Returns
    -------
    MemberScores
    """
    fold = event_folds(window, classifier)
    scored = window.result.window.in_fit_range(window.table.mjj) & (fold < len(classifier.models))
    rows = np.flatnonzero(scored)
    fraction = min(1.0, max_events / max(len(rows), 1))
    if fraction < 1:
        rows = rows[uniform(window.table.event_id[rows], window.random_state, "member scores") < fraction]
    fold = fold[rows]
    parts = [_score(window.table, classifier, k, rows[fold == k]) for k in range(len(classifier.models))]
    values = np.empty((len(rows), parts[0].shape[1]), np.float32)
    for k, part in enumerate(parts):
        values[fold == k] = part
    return MemberScores(rows, fold, values, fraction)


def _score(table: EventTable, classifier: Classifier, fold: int, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    events = EventTable(table.table.take(rows), table.features)
    if classifier.scalings:
        events = classifier.scalings[fold].apply(events)
    return score_table(classifier.models[fold], events, classifier.features)


def rounded(values: ArrayLike, digits: int = 6) -> tuple[float, ...]:
    """Round numbers to a number of significant digits."""
    return tuple(float(f"{value:.{digits}g}") for value in np.asarray(values, np.float64).ravel().tolist())


def listed(values: ArrayLike, digits: int = 6) -> tuple[float | None, ...]:
    """Round numbers to a number of significant digits; None if not finite."""
    return tuple(value if np.isfinite(value) else None for value in rounded(values, digits))
