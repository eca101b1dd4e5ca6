"""The compulsory check of exported trees: scores and decisions of stored events, some features undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import ResultsError
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.export.neutral.document import Document, score_document, vote_document
from analysis.export.neutral.evaluators.cwola_trees import Trees
from analysis.export.neutral.onnx_graph import run_onnx
from analysis.search.classifiers import Classifier, score_events

__all__ = ["Checked", "Sample", "check_form", "check_window", "permuted", "with_missing"]

LEAST_EVENTS = 10_000
"""Number of events that a form is checked with; stored events are repeated if there are fewer."""

TOLERANCE = 1e-6
_BY_HAND = 50
"""Number of events for the Python evaluator, which takes a millisecond for a hundred trees."""
_MISSING = 0.1


@dataclass(frozen=True)
class Checked:
    """Result of a check: number of events, largest difference of a score, and number of changed decisions."""

    events: int
    difference: float
    changed: int


@dataclass(frozen=True)
class Sample:
    """Events with the scores and decisions of the search.

    Attributes
    ----------
    X : (n_events, n_features) float32
    mjj, tie : (n_events,) float64
    scores : (n_events, n_folds) float32
        NaN outside the fit range.
    passes : (n_events, n_selections) float64
    """

    X: NDArray[np.float32]
    mjj: NDArray[np.float64]
    tie: NDArray[np.float64]
    scores: NDArray[np.float32]
    passes: NDArray[np.float64]

    @classmethod
    def of(cls, table: EventTable, classifier: Classifier) -> Sample:
        """Score events with the classifiers as they are stored."""
        scored = score_events(table, classifier)
        tie = uniform(table.event_id, classifier.random_state, "tie-break")
        return cls(table.matrix(classifier.features), table.mjj, tie, scored.folds, scored.passes.values)

    def take(self, rows: NDArray[np.intp]) -> Sample:
        """Return some of the events."""
        return Sample(self.X[rows], self.mjj[rows], self.tie[rows], self.scores[rows], self.passes[rows])


def with_missing(table: EventTable, classifier: Classifier, n_events: int = LEAST_EVENTS) -> EventTable:
    """Return `n_events` or more events in the fit range, half of them with further undefined features.

    Raises
    ------
    ResultsError
        If there are none.
    """
    rows = np.flatnonzero(classifier.window.in_fit_range(table.mjj))
    if not len(rows):
        msg = f"window {classifier.window.name} GeV: there are no stored events in the fit range to check with."
        raise ResultsError(msg)
    rng = np.random.default_rng(classifier.random_state)
    half = (n_events + 1) // 2
    chosen = rng.permutation(rows)[:half] if len(rows) >= half else np.resize(rows, half)
    events = EventTable(table.table.take(np.concatenate([chosen, chosen])), table.features)
    columns = {}
    for name in classifier.features:
        values = events.column(name).copy()
        values[half:][rng.random(half) < _MISSING] = np.nan
        columns[name] = values
    return events.replaced(columns)


def permuted(table: EventTable, classifier: Classifier, n_events: int) -> EventTable:
    """Return events whose features are each taken from another event, so that they tell nothing about single events."""
    events = with_missing(table, classifier, n_events)
    rng = np.random.default_rng([classifier.random_state, 1])
    columns: dict[str, NDArray[Any]] = {name: rng.permutation(events.column(name)) for name in classifier.features}
    columns["mjj"] = np.round(rng.uniform(*classifier.window.fit_range, len(events)), 1)
    columns["event_id"] = rng.integers(0, 2**63, len(events)).astype(np.uint64)
    return events.replaced(columns)


def check_window(document: Document, sample: Sample, path: Path, onnx: bytes | None) -> Mapping[str, Checked]:
    """Check all forms of a window.

    Parameters
    ----------
    document : dict
        The JSON form.
    sample : Sample
        Of stored events.
    path : pathlib.Path
        File of the JSON form.
    onnx : bytes or None
        The ONNX form.

    Returns
    -------
    mapping of str to Checked

    Raises
    ------
    ResultsError
        If a form differs from the classifiers of the search.
    """
    members = score_document(document, sample.X)
    means = np.stack([one.mean(axis=1, dtype=np.float64).astype(np.float32) for one in members], axis=1)
    votes = vote_document(document, members, sample.mjj, sample.tie)
    checked = {"JSON": check_form("JSON", path, sample, means, votes)}
    trees, middle = Trees(str(path)), len(sample.mjj) // 2
    some = np.arange(middle - _BY_HAND // 2, middle + _BY_HAND // 2)
    few = sample.take(some)
    rows = list(zip(few.X.tolist(), few.mjj.tolist(), few.tie.tolist(), strict=True))
    scores = np.array([trees.scores(row) for row, _, _ in rows], np.float32)
    passes = np.array([trees.passes(row, mjj, tie) for row, mjj, tie in rows])
    checked["Python evaluator"] = check_form("Python evaluator", path, few, scores, passes)
    if onnx is not None:
        checked["ONNX"] = check_form("ONNX", path, sample, *run_onnx(onnx, sample.X, sample.mjj, sample.tie))
    return checked


def check_form(
    form: str, path: Path, sample: Sample, scores: NDArray[np.float32], passes: NDArray[np.float64]
) -> Checked:
    """Compare scores and decisions with those of the search.

    Raises
    ------
    ResultsError
        If a score differs by more than 1e-6, or any decision.
    """
    inside = np.isfinite(sample.scores)
    difference = float(np.abs(scores - sample.scores)[inside].max(initial=0.0))
    # Fractions of folds and members: a changed vote shifts them by at least 1 in a few hundred.
    changed = int((np.abs(passes - sample.passes) > TOLERANCE).any(axis=1).sum())
    if changed or not difference <= TOLERANCE:
        msg = (
            f"the {form} form of {path.stem} is not equal to the classifiers of the search: of {len(scores)} stored "
            f"events {changed} are selected differently, scores differ by up to {difference:.2g}. Nothing was written. "
            "Report this, with the versions of xgboost and onnxruntime."
        )
        raise ResultsError(msg)
    return Checked(len(scores), difference, changed)
