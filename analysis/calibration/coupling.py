r"""How far folds that train one another widen the distribution of z without signal.

The excess of a selection is a sum of contributions r_i of its events: 1 in the window, and, in the sidebands, minus the
change of the fitted background of the window. For a fixed classifier its variance is b + sigma_b^2. Trained, the score
of event i is a sum of influences K(x_i, x_j) g_j of the training events j, with g_j the weight of the label, and i
passes if the score is above the quantile t of its fluctuations. Two events i and j of different folds influence each
other's score. To first order in single influences this adds

    coupling * N E[r g]^2 / Var(g)

to the variance, with N selected events in the fit range. For a symmetric influence the coupling is
phi_2(t, t; c) / eff, where phi_2 is the density of two standard normal scores with correlation c: the correlation of
the scores of nearby events by classifiers trained without the fold of the one or of the other. If the classifier has no
random numbers of its own, k folds have c = (k - 2) / (k - 1): two folds couple least. Random numbers and an influence
that is not symmetric make the coupling smaller. The derivation is ours; `tests.studies.retrained_null` measures
couplings, which follow neither from the settings nor from the scores.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.background import BackgroundFit, outside
from analysis.background.likelihood import Design, integrals
from analysis.events.table import EventTable
from analysis.learning import Method
from analysis.methods import uses_sidebands
from analysis.regions import Interval, MassWindow
from analysis.search.null_distribution import NullDistribution
from analysis.search.values import SelectionResult

__all__ = ["Coupling", "FoldSums", "Labels", "coupled_variance", "labels_of", "template_masses"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Labels:
    """Weights of the labels in the training of one window.

    Attributes
    ----------
    mjj : (n_events,) float64
        Dijet masses in the fit range, GeV.
    values : (n_events,) float64
        Weight with the sign of the label: positive in the window, negative in the sidebands.
    variance : float
        Mean square of the weights per event, including those of a simulated template.
    """

    mjj: Array = field(repr=False)
    values: Array = field(repr=False)
    variance: float

    def shared_variance(self, contributions: Array) -> float:
        """Return E[r g]^2 / Var(g) for contributions r, (n_events,)."""
        mean = float((contributions * self.values).mean())
        return float(mean**2 / self.variance)

    def count_correlation(self, window: MassWindow) -> float:
        """Squared correlation of an event's contribution to a count in the window with its label."""
        inside = window.in_signal(self.mjj).astype(np.float64)
        probability = float(inside.mean())
        if not 0 < probability < 1:
            return 0.0
        return self.shared_variance(inside - probability) / (probability * (1.0 - probability))


def template_masses(method: Method, simulation: EventTable | None) -> Array | None:
    """(n_simulated,) float64: dijet masses of the template for `labels_of`, GeV; None if the method uses sidebands."""
    return None if simulation is None or uses_sidebands(method) else simulation.mjj


def labels_of(window: MassWindow, mjj: Array, simulated: Array | None = None) -> Labels:
    """Weight the labels as the training does: half for the window, a quarter for each sideband.

    Parameters
    ----------
    window : MassWindow
    mjj : (n_events,) float64
        Dijet masses of the searched events, GeV.
    simulated : (n_simulated,) float64, optional
        Dijet masses of the template, GeV, for methods that compare the window with it and not with sidebands.

    Returns
    -------
    Labels
    """
    inside = mjj[window.in_fit_range(mjj)]
    values, total = np.zeros(len(inside)), len(inside)

    def weigh(chosen: NDArray[np.bool_], share: float) -> None:
        values[chosen] = share * total / max(int(chosen.sum()), 1)

    weigh(window.in_signal(inside), 0.5)
    if simulated is None:
        weigh(window.in_lower(inside), -0.25)
        weigh(window.in_upper(inside), -0.25)
        return Labels(inside, values, float((values**2).mean()))
    template = 0.25 * total / max(int(window.in_signal(simulated).sum()), 1)
    return Labels(inside, values, float((values**2).mean()) + template)


def influence_of(fit: BackgroundFit, window: MassWindow, edges: Array, weight: float = 1.0) -> tuple[Array, Array]:
    """Return how the background of a window changes with one event that passes in a bin of the sidebands.

    Parameters
    ----------
    fit : BackgroundFit
        Its data are not needed, so that fits from disk do. In a fit together with the events that fail, an event that
        passes is missing there.
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.
    weight : float
        Sum of weights of an effective event.

    Returns
    -------
    low : (n_sidebands,) float64
        Lower edges of the bins outside the mask, GeV, in order.
    change : (n_sidebands,) float64
        Change of the background per event, to first order.
    """
    shown = outside(edges, [window.mask])
    low, high = edges[:-1][shown], edges[1:][shown]
    _, slope = (array[0] for array in integrals(_design(fit, window.signal), fit.coefficients[None]))
    response = slope[0] @ fit.covariance
    change = np.zeros(len(low))
    for rest in (False, True)[: 1 + (fit.function.n_ratio > 0)]:
        design = fit.design(low, high, np.full(len(low), rest))
        expected, jacobian = (array[0] for array in integrals(design, fit.coefficients[None]))
        change += (-1.0 if rest else 1.0) * (jacobian @ response) / (expected * weight)
    return low, change


def _design(fit: BackgroundFit, interval: Interval) -> Design:
    return fit.design(*(np.array([end]) for end in interval))


def contributions(labels: Labels, fit: BackgroundFit, window: MassWindow, edges: Array, weight: float = 1.0) -> Array:
    """(n_events,): how much the excess in the window changes if an event passes, in events."""
    low, change = influence_of(fit, window, edges, weight)
    index = np.searchsorted(low, labels.mjj, side="right") - 1
    masked = (labels.mjj >= window.mask[0]) & (labels.mjj < window.mask[1])
    fitted = np.where(masked | (index < 0), 0.0, change[np.maximum(index, 0)])
    result: Array = window.in_signal(labels.mjj).astype(np.float64) - fitted
    return result


def coupled_variance(selection: SelectionResult, labels: Labels, window: MassWindow, edges: Array) -> float | None:
    """Return by how much a coupling of one widens the variance of z without signal; None without a fit.

    Parameters
    ----------
    selection : SelectionResult
    labels : Labels
    window : MassWindow
    edges : (n_bins + 1,) float64
        Fit bins, GeV.

    Returns
    -------
    float or None
        N E[r g]^2 / Var(g), see the module, in units of the variance of the count for a fixed classifier.
    """
    if selection.fit is None or selection.background is None:
        return None
    counting, weight = selection.counting.effective(selection.weight), selection.weight
    # Without signal as many events are selected as the fit expects.
    selected = float(selection.fit.expected(edges)[0].sum()) / weight
    shared = selected * labels.shared_variance(contributions(labels, selection.fit, window, edges, weight))
    return shared / (counting.background + ((selection.total_error or 0.0) / weight) ** 2)


@dataclass(frozen=True)
class FoldSums:
    """Sums over searches without signal of the excesses x_f of the folds of a selection, in standard deviations.

    Attributes
    ----------
    squares, folds : float
        Sum of x_f^2, and number of summands.
    products, pairs : float
        Sum of x_f x_g over pairs of different folds, and number of summands.
    """

    squares: float = 0.0
    folds: float = 0.0
    products: float = 0.0
    pairs: float = 0.0

    @classmethod
    def of(cls, excess: Array) -> FoldSums:
        """Sum over one search with excesses (n_folds,); folds without selected events have NaN."""
        known = excess[np.isfinite(excess)]
        n, total, squares = len(known), float(known.sum()), float((known**2).sum())
        return cls(squares, n, (total**2 - squares) / 2, n * (n - 1) / 2)

    def __add__(self, other: FoldSums) -> FoldSums:
        """Add the sums of further searches."""
        names = ("squares", "folds", "products", "pairs")
        return FoldSums(*(getattr(self, name) + getattr(other, name) for name in names))


@dataclass(frozen=True)
class Coupling:
    """Coupling of the folds of one selection, see the module.

    Attributes
    ----------
    value, error : float
        Measured coupling and its standard deviation.
    searches : int
        Number of searches without signal that measured it.
    """

    value: float
    error: float
    searches: int

    @classmethod
    def of(cls, sums: FoldSums, correlation: float) -> Coupling | None:
        """Derive the coupling from the excesses of the folds of many searches.

        Parameters
        ----------
        sums : FoldSums
        correlation : float
            Squared, see `Labels.count_correlation`.

        Returns
        -------
        Coupling or None
            None without searches.
        """
        if not (sums.pairs > 0 and sums.squares > 0 and correlation > 0):
            return None
        n_folds = 1.0 + 2.0 * sums.pairs / sums.folds
        unit = (n_folds - 1.0) / correlation
        # The product of two independent excesses has a variance of one.
        value = unit * (sums.products / sums.pairs) / (sums.squares / sums.folds)
        return cls(value, unit / sums.pairs**0.5, round(sums.folds / n_folds))

    def null(self, variance: float) -> NullDistribution:
        """Return the distribution of z without signal of a selection with this `coupled_variance`."""
        # A coupling is not negative: a value below zero is a fluctuation of its measurement.
        width = float(np.sqrt(1.0 + max(self.value, 0.0) * variance))
        return NullDistribution(self.searches, 0.0, width, 0.0, variance * self.error / (2.0 * width))
