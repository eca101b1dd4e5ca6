"""Two-sample tests by cross-fitted boosted trees, trained anew on every permutation of the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.config import ClassifierConfig
from analysis.events.identity import string_hash
from analysis.learning.ensemble import BoostedTrees
from analysis.learning.metrics import roc_curve
from analysis.learning.training_set import TrainingSet
from analysis.statistics.two_sample.permutations import PermutationTest, permutation_test, permuted
from analysis.statistics.two_sample.union import Union

__all__ = ["AREA", "LIKELIHOOD_RATIO", "Trial", "classifier_tests", "likelihood_ratio", "trial"]

AREA, LIKELIHOOD_RATIO = "auc", "likelihood-ratio"

_FOLDS = 2

_TREES = BoostedTrees(ClassifierConfig(n_estimators=50, max_depth=3, max_bin=64, min_child_weight=10.0), 1)
"""Few, shallow trees: the likelihood ratio suffers from every split on noise."""

_SMALLEST = 1e-6


@dataclass(frozen=True)
class Trial:
    """Statistics of one labelling.

    Attributes
    ----------
    area : float
        Area under the ROC curve of the out-of-fold scores.
    likelihood_ratio : float
        See `likelihood_ratio`.
    """

    area: float
    likelihood_ratio: float


def trial(union: Union, number: int, *, seed: int = 0) -> Trial:
    """Train on one labelling of the events, in two folds that score one another.

    Parameters
    ----------
    union : Union
    number : int
        Number of the permutation; 0 for the samples themselves.
    seed : int

    Returns
    -------
    Trial

    Raises
    ------
    TableError
        If a fold has no event of one of the samples.
    """
    first = permuted(union.is_first, number, seed=seed)
    fold = np.arange(len(first)) % _FOLDS  # the order of the events tells nothing
    scores = np.empty(len(first))
    for tested in range(_FOLDS):
        rest, own = fold != tested, fold == tested
        weight = np.where(first, 1 / max(1, (first & rest).sum()), 1 / max(1, (~first & rest).sum()))
        training = TrainingSet.build(union.X[rest], first[rest], weight[rest], np.flatnonzero(rest).astype(np.uint64))
        key = np.random.SeedSequence(seed, spawn_key=(string_hash("two-sample trees"), number, tested))
        scores[own] = _TREES.fit(training, random_state=key).predict(union.X[own])[:, 0]
    area = roc_curve(scores[first], scores[~first]).auc
    return Trial(area, likelihood_ratio(scores, first))


def likelihood_ratio(scores: NDArray[np.float64], is_first: NDArray[np.bool_]) -> float:
    """Return the extended likelihood ratio of the first sample, in the manner of the New Physics Learning Machine.

    With r = f / (1 - f) the ratio of the densities, t = 2 [sum of log r over the first sample, of n events, minus
    n times the mean of r - 1 over the second] (D'Agnolo, Wulzer, arXiv:1806.02350; D'Agnolo et al., arXiv:1912.12155).
    There r is fitted to the sample that it is evaluated on, which makes t positive; here r is of the other fold, and t
    is below 0 if nothing was learned but noise.

    Parameters
    ----------
    scores : (n_events,) float64
        Scores f of classifiers that were trained with samples of equal weight.
    is_first : (n_events,) bool

    Returns
    -------
    float
    """
    f = np.clip(scores, _SMALLEST, 1 - _SMALLEST)
    ratio = f / (1 - f)
    return float(2 * (np.log(ratio[is_first]).sum() - is_first.sum() * (ratio[~is_first] - 1).mean()))


def classifier_tests(trials: Sequence[Trial]) -> tuple[PermutationTest, PermutationTest]:
    """Test two samples by the area under the ROC curve and by the likelihood ratio.

    Parameters
    ----------
    trials : sequence of Trial
        Of the samples first, then of at least one permutation.

    Returns
    -------
    area, likelihood_ratio : PermutationTest
    """
    areas, ratios = [one.area for one in trials], [one.likelihood_ratio for one in trials]
    return permutation_test(AREA, areas), permutation_test(LIKELIHOOD_RATIO, ratios)
