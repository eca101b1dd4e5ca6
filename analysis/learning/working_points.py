"""From scores to selections of a given efficiency.

The threshold of a fold is a quantile of the out-of-fold scores of that fold's own events, over reference events that
do not single out the window, so that a cut cannot favour window or sideband. Trees give many equal scores; ties are
broken by a seeded hash of the event alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.identity import uniform
from analysis.learning.crossfit import Scores

__all__ = ["INCLUSIVE", "PassWeights", "choose_working_points", "selection_name"]

INCLUSIVE = "inclusive"
"""Name of the selection that keeps every event."""


def selection_name(efficiency: float) -> str:
    """Name of a selection, such as `eff_0.1`; `inclusive` for 1."""
    return INCLUSIVE if efficiency == 1 else f"eff_{efficiency:g}"


@dataclass(frozen=True)
class PassWeights:
    """Which events pass which selection.

    Attributes
    ----------
    efficiencies : tuple of float
        Requested efficiencies, 1 (inclusive) first.
    achieved : tuple of float
        Efficiencies on the reference events, summed over folds.
    values : (n_events, n_selections) float64
        1 where an event passes, 0 where not; 0 for all but inclusive outside the scored range.
    thresholds : (n_folds, n_selections, 2) float64
        Score and tie-break above which, in this order, an event of the fold passes; -inf for inclusive.
    """

    efficiencies: tuple[float, ...]
    achieved: tuple[float, ...]
    values: NDArray[np.float64]
    thresholds: NDArray[np.float64]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the selections."""
        return tuple(selection_name(efficiency) for efficiency in self.efficiencies)


def choose_working_points(
    scores: Scores,
    reference: NDArray[np.bool_],
    efficiencies: Sequence[float],
    *,
    event_id: NDArray[np.uint64],
    weight: NDArray[np.float64],
    random_state: int,
) -> PassWeights:
    """Cut the member mean of each fold at its own quantile.

    Parameters
    ----------
    scores : Scores
    reference : (n_events,) bool
        Events whose scores fix the thresholds; all must be scored.
    efficiencies : sequence of float
        Fractions of the reference weight to keep.
    event_id : (n_events,) uint64
    weight : (n_events,) float64
    random_state : int
        Seed of the tie-break.

    Returns
    -------
    PassWeights
        With the inclusive selection first.
    """
    mean = scores.mean().astype(np.float64)
    tie = uniform(event_id, random_state, "tie-break")
    n_folds = int(scores.fold.max(initial=0)) + 1
    thresholds = np.full((n_folds, len(efficiencies) + 1, 2), -np.inf)
    for fold in range(n_folds):
        rows = reference & (scores.fold == fold)
        thresholds[fold, 1:] = _quantiles(mean[rows], tie[rows], weight[rows], efficiencies)
    cut = thresholds[scores.fold]
    passes = (mean[:, None] > cut[..., 0]) | ((mean[:, None] == cut[..., 0]) & (tie[:, None] > cut[..., 1]))
    passes[:, 0] = True
    total = weight[reference].sum()
    achieved = (passes[reference] * weight[reference, None]).sum(axis=0) / total
    return PassWeights((1.0, *efficiencies), tuple(achieved.tolist()), passes.astype(np.float64), thresholds)


def _quantiles(
    score: NDArray[np.float64], tie: NDArray[np.float64], weight: NDArray[np.float64], efficiencies: Sequence[float]
) -> NDArray[np.float64]:
    """(n_selections, 2): the last event that fails, when events are ordered by score, then by tie-break."""
    if weight.sum() <= 0:
        return np.full((len(efficiencies), 2), np.inf)  # nothing to measure an efficiency on: nothing passes
    order = np.lexsort((tie, score))[::-1]
    kept = np.concatenate([[0.0], np.cumsum(weight[order])])
    n_pass = [int(np.abs(kept - efficiency * kept[-1]).argmin()) for efficiency in efficiencies]
    below = [(score[order[n]], tie[order[n]]) if n < len(order) else (-np.inf, -np.inf) for n in n_pass]
    return np.array(below, np.float64)
