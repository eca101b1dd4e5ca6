"""Tests whether two samples of events have the same distribution, with exact p-values from permutations of the labels.

Every statistic is a function of the union of both samples and of the labels. If the samples are of the same
distribution, all ways to hand out the labels are equally probable, whatever the statistic does with them: p is exact
for any number of permutations (Phipson and Smyth, arXiv:1603.05766).
"""

from analysis.statistics.two_sample.classifiers import AREA, LIKELIHOOD_RATIO, Trial, classifier_tests, trial
from analysis.statistics.two_sample.neighbours import DIVERGENCE, Neighbours, neighbour_test
from analysis.statistics.two_sample.permutations import PermutationTest, permutation_test, permuted
from analysis.statistics.two_sample.union import Union

__all__ = [
    "AREA",
    "DIVERGENCE",
    "LIKELIHOOD_RATIO",
    "Neighbours",
    "PermutationTest",
    "Trial",
    "Union",
    "classifier_tests",
    "neighbour_test",
    "permutation_test",
    "permuted",
    "trial",
]
