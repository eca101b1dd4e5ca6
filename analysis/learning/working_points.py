"""Selections of given efficiencies from scores.

The threshold of a fold is a quantile of the out-of-fold scores of the events of the same fold, over reference events
that do not single out the window, so that a cut cannot favour window or sideband. Trees produce many equal scores; ties
are broken by a seeded hash of the event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.core.fractions import fraction
from analysis.events.identity import uniform
from analysis.learning.crossfit import Scores, Template

__all__ = [
    "ARGOS",
    "HALVES",
    "INCLUSIVE",
    "Ensemble",
    "PassWeights",
    "choose_working_points",
    "selection_names",
    "selection_text",
    "split_half",
]

HALVES = ("a", "b")
"""Endings of the selections of the two halves, as in `eff_0.1_a`: the half that is tested."""

INCLUSIVE = "inclusive"
"""Name of the selection that keeps every event."""

ARGOS = "argos"
"""Name of the selection in which each fold uses the efficiency preferred by the other folds."""

Ensemble = Literal["mean-score", "mean-count"]


def selection_name(efficiency: float) -> str:
    """Name of a selection, such as `eff_0.1`; `inclusive` for 1."""
    return INCLUSIVE if efficiency == 1 else f"eff_{efficiency:g}"


def selection_names(efficiencies: Sequence[float], *, chosen: bool = False, apart: bool = False) -> list[str]:
    """Names of all selections of a search but the inclusive one.

    Parameters
    ----------
    efficiencies : sequence of float
    chosen : bool
        Whether each fold uses one of the efficiencies.
    apart : bool
        Whether each half is a selection of its own.
    """
    names = [ARGOS] if chosen else [selection_name(efficiency) for efficiency in efficiencies]
    return [f"{name}_{half}" for name in names for half in HALVES] if apart else names


def split_half(name: str) -> tuple[str, str]:
    """Split the name of a selection from the half it tests; an empty text if it tests all folds."""
    whole, _, half = name.rpartition("_")
    return (whole, half) if half in HALVES else (name, "")


@dataclass(frozen=True)
class PassWeights:
    """Weights with which events pass each selection.

    Attributes
    ----------
    efficiencies : tuple of float
        Requested efficiencies, 1 (inclusive) first; mean over folds if they use different efficiencies.
    achieved : tuple of float
        Efficiencies on the reference events of all folds, those that are not tested included.
    values : (n_events, n_selections) float64
        1 if an event passes and 0 otherwise, or the fraction of members that select it if each member is cut
        separately; 0 for events without a score, except for inclusive.
    thresholds : (n_folds, n_cuts, n_selections, 2) float64
        Score and tie-break above which, in this order, an event of the fold passes; -inf for inclusive, and inf in a
        fold that a selection does not test. One cut on the mean of the members, or one per member.
    members : (n_events, n_members, n_selections) bool, or None
        Whether each member selects each event; None for cuts on the mean of the members.
    names : tuple of str
        Names of the selections; by default derived from the efficiencies.
    template : (n_selections, 2) float64, or None
        Fraction of the background template of the method that passes each selection, and its statistical error; None
        without a template.

    Examples
    --------
    >>> from analysis.learning import PassWeights
    >>> passes = PassWeights.everything(3)
    >>> passes.names, passes.values[:, 0].tolist()
    (('inclusive',), [1.0, 1.0, 1.0])
    """

    efficiencies: tuple[float, ...]
    achieved: tuple[float, ...]
    values: NDArray[np.float64] = field(repr=False)
    thresholds: NDArray[np.float64] = field(repr=False)
    members: NDArray[np.bool_] | None = field(default=None, repr=False)
    names: tuple[str, ...] = ()
    template: NDArray[np.float64] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.names:
            object.__setattr__(self, "names", tuple(map(selection_name, self.efficiencies)))

    @classmethod
    def everything(cls, n_events: int) -> PassWeights:
        """Return only the inclusive selection of `n_events` events."""
        return cls((1.0,), (1.0,), np.ones((n_events, 1)), np.full((1, 1, 1, 2), -np.inf))


def choose_working_points(  # noqa: PLR0913 - events, cuts, and two switches
    scores: Scores,
    reference: NDArray[np.bool_] | Template,
    efficiencies: Sequence[float],
    *,
    event_id: NDArray[np.uint64],
    weight: NDArray[np.float64],
    random_state: int,
    ensemble: Ensemble = "mean-score",
    chosen: Sequence[int] | None = None,
    apart: bool = False,
    template: Template | None = None,
) -> PassWeights:
    """Cut each fold at its own quantile.

    Events of a fold that is not scored fail.

    Parameters
    ----------
    scores : Scores
    reference : (n_events,) bool, or Template
        Events whose scores define the thresholds, if they have one; or a template of the background.
    efficiencies : sequence of float
        Fractions of the reference weight to keep.
    event_id : (n_events,) uint64
    weight : (n_events,) float64
    random_state : int
        Seed of the tie-break.
    ensemble : str
        "mean-score" cuts on the mean of the members (CWoLa hunting, arXiv:1902.02634; SA-CWoLa, arXiv:2009.02205).
        "mean-count" cuts on every member at its own quantile and averages the decisions (ATLAS, arXiv:2502.09770); see
        `analysis.search.member_spread` for the error of such counts.
    chosen : sequence of int, optional
        Index of the efficiency for each scored fold, chosen without that fold. The result then has a single selection
        besides the inclusive one, instead of one per efficiency.
    apart : bool
        Whether each of two folds is a selection of its own, `HALVES`, which the events of the other one fail.
    template : Template, optional
        Template of the background whose passing fraction is wanted, whatever defines the thresholds.

    Returns
    -------
    PassWeights
        Selections, the inclusive one first.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.learning import choose_working_points
    >>> from analysis.learning.crossfit import Scores
    >>> values = np.linspace(0, 1, 1000, dtype=np.float32)[:, None]
    >>> scores = Scores(values, fold=(np.arange(1000) % 2).astype(np.int8), method="cwola")
    >>> events = {"event_id": np.arange(1000, dtype=np.uint64), "weight": np.ones(1000)}
    >>> passes = choose_working_points(scores, np.ones(1000, bool), [0.1, 0.01], **events, random_state=0)
    >>> dict(zip(passes.names, passes.values.sum(axis=0).tolist(), strict=True))
    {'inclusive': 1000.0, 'eff_0.1': 100.0, 'eff_0.01': 10.0}
    """
    data = _Cuttable(_cut_values(scores, ensemble), scores.fold, uniform(event_id, random_state, "tie-break"), weight)
    if isinstance(reference, Template):
        fixing = _cuttable(reference, ensemble, random_state)
        rows = np.ones(len(reference.weight), bool)
    else:
        rows, fixing = reference, data
    n_folds = 1 + int(max(scores.fold.max(initial=0), fixing.fold.max(initial=0)))
    thresholds = fixing.thresholds(rows, efficiencies, n_folds)
    names = (INCLUSIVE, *selection_names(efficiencies, chosen=chosen is not None, apart=apart))
    if chosen is not None:
        picked = [*chosen, *[0] * (n_folds - len(chosen))]  # nothing passes in the folds that are not scored
        thresholds = np.stack([one[:, [0, 1 + index]] for one, index in zip(thresholds, picked, strict=True)])
        of_folds = [efficiencies[index] for index in chosen]
        efficiencies = of_folds if apart else [float(np.mean(of_folds))]
    elif apart:
        efficiencies = np.repeat(efficiencies, len(HALVES)).tolist()
    thresholds = _taken_apart(thresholds) if apart else thresholds
    passes = data.passes(thresholds)
    kept = passes if fixing is data else fixing.passes(thresholds)
    selected = kept.mean(axis=1) if rows.all() else kept.mean(axis=1)[rows]
    selected *= fixing.weight[rows, None]  # in place: the largest array of a search
    achieved = fraction(selected.sum(axis=0), float(fixing.weight[rows].sum()))
    del selected
    if fixing is not data:  # a template holds the events of scored folds alone
        achieved[1:] *= len(np.unique(fixing.fold)) / n_folds
    members = None if ensemble == "mean-score" else passes
    values = passes.mean(axis=1)
    fractions = None
    if template is not None:
        # Above the first of N own events that fails, k pass, but (k + 1) / (N + 1) of all others do.
        kept = _cuttable(template, ensemble, random_state).passes(thresholds, reached=template is reference)
        fractions = _fractions(template, kept.mean(axis=1), n_folds)
    return PassWeights((1.0, *efficiencies), tuple(achieved.tolist()), values, thresholds, members, names, fractions)


def _fractions(template: Template, passes: NDArray[np.float64], n_folds: int) -> NDArray[np.float64]:
    """(n_selections, 2): passing fraction of a template in all folds, and its error; copies of an event are one."""
    total, scored = template.weight.sum(), len(np.unique(template.scores.fold)) / n_folds
    mean = template.weight @ passes / total
    _, event = np.unique(template.event_id, return_inverse=True)
    by_event = [np.bincount(event, template.weight * (column - m)) for column, m in zip(passes.T, mean, strict=True)]
    error = np.sqrt((np.stack(by_event) ** 2).sum(axis=1)) / total
    share = np.where(np.arange(len(mean)) > 0, scored, 1.0)  # nothing passes in folds that only train
    return np.stack([mean * share, error * share], axis=1)


def _taken_apart(thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Make one selection per half of each but the inclusive one, (2, n_cuts, n_selections, 2)."""
    inclusive, cuts = thresholds[:, :, :1], np.repeat(thresholds[:, :, 1:], len(HALVES), axis=2)
    for fold in range(len(HALVES)):
        cuts[1 - fold, :, fold :: len(HALVES)] = np.inf
    return np.concatenate([inclusive, cuts], axis=2)


def _cut_values(scores: Scores, ensemble: Ensemble) -> NDArray[np.float32]:
    """(n_events, n_cuts): values on which cuts are made."""
    return scores.mean()[:, None] if ensemble == "mean-score" else scores.values


def _cuttable(template: Template, ensemble: Ensemble, random_state: int) -> _Cuttable:
    tie = uniform(template.event_id, random_state, "tie-break")
    return _Cuttable(_cut_values(template.scores, ensemble), template.scores.fold, tie, template.weight)


@dataclass(frozen=True)
class _Cuttable:
    """Scored events: values (n_events, n_cuts), and fold, tie-break and weight, each (n_events,)."""

    values: NDArray[np.float32]
    fold: NDArray[np.int8]
    tie: NDArray[np.float64]
    weight: NDArray[np.float64]

    def thresholds(self, rows: NDArray[np.bool_], efficiencies: Sequence[float], n_folds: int) -> NDArray[np.float64]:
        """(n_folds, n_cuts, n_selections, 2): quantiles of the selected rows in each fold."""
        thresholds = np.full((n_folds, self.values.shape[1], len(efficiencies) + 1, 2), -np.inf)
        for fold in range(n_folds):
            used = rows & (self.fold == fold) & ~np.isnan(self.values).any(axis=1)
            for cut, values in enumerate(self.values.T):
                score = values[used].astype(np.float64)
                thresholds[fold, cut, 1:] = _quantiles(score, self.tie[used], self.weight[used], efficiencies)
        return thresholds

    def passes(self, thresholds: NDArray[np.float64], *, reached: bool = False) -> NDArray[np.bool_]:
        """(n_events, n_cuts, n_selections) bool; with `reached`, events at a threshold pass too."""
        result = np.ones((*self.values.shape, thresholds.shape[2]), bool)
        for selection in range(1, thresholds.shape[2]):
            score, tie = (thresholds[self.fold, :, selection, part] for part in (0, 1))
            above = self.tie[:, None] >= tie if reached else self.tie[:, None] > tie
            result[:, :, selection] = (self.values > score) | ((self.values == score) & above)
        return result


def _quantiles(
    score: NDArray[np.float64], tie: NDArray[np.float64], weight: NDArray[np.float64], efficiencies: Sequence[float]
) -> NDArray[np.float64]:
    """(n_selections, 2): score and tie-break of the last event that fails, ordered by score, then by tie-break."""
    if weight.sum() <= 0:
        return np.full((len(efficiencies), 2), np.inf)  # no events to define an efficiency: nothing passes
    order = np.lexsort((tie, score))[::-1]
    kept = np.concatenate([[0.0], np.cumsum(weight[order])])
    n_pass = [int(np.abs(kept - efficiency * kept[-1]).argmin()) for efficiency in efficiencies]
    below = [(score[order[n]], tie[order[n]]) if n < len(order) else (-np.inf, -np.inf) for n in n_pass]
    return np.array(below, np.float64)


def selection_text(name: str) -> str:
    """Return the name of a selection for readers, such as "efficiency 5 %" for "eff_0.05"."""
    whole, half = split_half(name)
    ending = f", half\N{NO-BREAK SPACE}{half}" if half else ""
    if whole == ARGOS:
        return f"efficiency by ARGOS{ending}"
    try:
        percent = 100 * float(whole.removeprefix("eff_"))
    except ValueError:
        return name.replace("_", " ")
    return f"efficiency\N{NO-BREAK SPACE}{percent:.4g}\N{NO-BREAK SPACE}%{ending}"
