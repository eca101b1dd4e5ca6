"""Do data and simulation have the same shape? A chi-squared test that knows of weights.

Two weighted histograms are compared as in N. Gagunashvili, arXiv:physics/0605123, with the normalisation left free. For
Poisson data against a weighted histogram its estimator of the common probabilities gives too small p-values where few
heavy events carry a bin (4.7 % of them below 1 % where a tenth of the simulated events has eight times the weight of
the others); here the variance of the data comes from pooled effective events instead, and p-values are uniform there
too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

__all__ = ["Homogeneity", "compare_shapes", "homogeneity", "sparse_groups"]

Array = NDArray[np.float64]

MIN_EVENTS = 5.0
"""Bins are merged until so many events are expected, and so many effective events of simulation are in each."""


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
    """Test data against simulation, sparse bins merged.

    Parameters
    ----------
    counts, variances : (n_bins,) float64
        Data and the sum of its squared weights.
    model, model_variances : (n_bins,) float64
        Simulation and the sum of its squared weights.

    Returns
    -------
    Homogeneity or None
        None where fewer than two bins are left.
    """
    starts = sparse_groups(counts.sum(), model, model_variances)
    if len(starts) < 2:
        return None
    merged = [np.add.reduceat(values, starts) for values in (counts, variances, model, model_variances)]
    return homogeneity(*merged)


def sparse_groups(total: float, model: Array, model_variances: Array) -> NDArray[np.int64]:
    """Where groups of neighbouring bins start that hold enough events.

    The data enter by their total alone: bins that were merged on the counts in them would bias the test.

    Parameters
    ----------
    total : float
        Number of data events.
    model, model_variances : (n_bins,) float64

    Returns
    -------
    (n_groups,) int64
        Empty where there are not enough events for one group.
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
    """Test data against simulation in the bins given, with n_bins - 1 degrees of freedom.

    Parameters
    ----------
    counts, variances, model, model_variances : (n_bins,) float64
        As for `compare_shapes`; the totals and all `model_variances` are positive.

    Returns
    -------
    Homogeneity
        Counts with `variances` equal to them are taken as Poisson, their variances from the pooled shape.
    """
    total, weight = counts.sum(), model.sum()
    if np.array_equal(counts, variances):
        effective = model**2 / model_variances
        variances = total * (counts + effective) / (total + effective.sum())
    difference = total * model - weight * counts
    terms = difference**2 / (total**2 * model_variances + weight**2 * variances)
    statistic, ndof = float(terms.sum()), len(counts) - 1
    return Homogeneity(statistic, ndof, float(chi2.sf(statistic, ndof)))
