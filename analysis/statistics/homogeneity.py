"""Chi-squared test of whether data and simulation have the same shape, with weights.

Two weighted histograms are compared as in N. Gagunashvili, arXiv:physics/0605123, with a free normalisation. For
Poisson data against a weighted histogram, the estimator of the common probabilities used there gives too small p-values
if a few events with large weights dominate a bin (4.7 % of them below 1 % when a tenth of the simulated events has
eight times the weight of the others). Here the variance of the data comes from pooled effective events instead, and
p-values are uniform in this case too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

__all__ = ["Homogeneity", "compare_shapes", "homogeneity", "sparse_groups"]

Array = NDArray[np.float64]

MIN_EVENTS = 5.0
"""Bins are merged until each has this many expected events and effective simulated events."""


@dataclass(frozen=True)
class Homogeneity:
    """Result of a test.

    Attributes
    ----------
    chi2 : float
    ndof : int
    p_value : float
    """

    chi2: float
    ndof: int
    p_value: float


def compare_shapes(counts: Array, variances: Array, model: Array, model_variances: Array) -> Homogeneity | None:
    """Test data against simulation, with sparse bins merged.

    Parameters
    ----------
    counts, variances : (n_bins,) float64
        Data and sum of squared weights.
    model, model_variances : (n_bins,) float64
        Simulation and sum of squared weights.

    Returns
    -------
    Homogeneity or None
        None if fewer than two bins remain.
    """
    starts = sparse_groups(counts.sum(), model, model_variances)
    if len(starts) < 2:
        return None
    merged = [np.add.reduceat(values, starts) for values in (counts, variances, model, model_variances)]
    return homogeneity(*merged)


def sparse_groups(total: float, model: Array, model_variances: Array) -> NDArray[np.int64]:
    """Start bins of groups of neighbouring bins with enough events.

    The data enter through their total only: merging bins based on their counts would bias the test.

    Parameters
    ----------
    total : float
        Number of data events.
    model, model_variances : (n_bins,) float64

    Returns
    -------
    (n_groups,) int64
        Empty if the events are too few for one group.
    """
    scale = total / model.sum() if model.sum() > 0 else 0.0
    starts, first = [], 0
    for last in range(1, len(model) + 1):
        expected, variance = model[first:last].sum(), model_variances[first:last].sum()
        if expected > 0 and scale * expected >= MIN_EVENTS and expected**2 >= MIN_EVENTS * variance:
            starts.append(first)
            first = last
    return np.array(starts, np.int64)


def homogeneity(counts: Array, variances: Array, model: Array, model_variances: Array) -> Homogeneity:
    """Test data against simulation in the given bins, with n_bins - 1 degrees of freedom.

    Parameters
    ----------
    counts, variances, model, model_variances : (n_bins,) float64
        As for `compare_shapes`; the totals and all `model_variances` are positive.

    Returns
    -------
    Homogeneity
        Counts equal to their `variances` are taken as Poisson, with variances from the pooled shape.
    """
    total, weight = counts.sum(), model.sum()
    if np.array_equal(counts, variances):
        effective = model**2 / model_variances
        variances = total * (counts + effective) / (total + effective.sum())
    difference = total * model - weight * counts
    terms = difference**2 / (total**2 * model_variances + weight**2 * variances)
    statistic, ndof = float(terms.sum()), len(counts) - 1
    return Homogeneity(statistic, ndof, float(chi2.sf(statistic, ndof)))
