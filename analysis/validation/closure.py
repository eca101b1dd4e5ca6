"""What the search of one signal-free sample says: counts against fits, efficiency against m_jj, goodness of the fits.

In the sample, n events of a selection lie in the window and b are expected: delta = (n - b) / b is the non-closure. Its
variance is V = (w max(n, b) + sigma_b^2) / b^2, w the weight of an effective event. Where events are copies of fewer
parents, all counts fluctuate more: of k_p copies of parent p that pass, the variance is larger by
F = 1 + (1 - e) (sum k_p^2 / sum k_p - 1), e the fraction that passes, since copies pass or fail together while their
number is Poisson. F is counted for the window and for the events beside it, and multiplies the two parts of V; the
excess over V is shared by draws that share parents.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.background import BackgroundFit, goodness_of_fit
from analysis.errors import FitError
from analysis.evaluation import SelectionResult, WindowResult
from analysis.learning import INCLUSIVE, PassWeights
from analysis.sculpting import Sculpting, sculpting
from analysis.table import EventTable
from analysis.validation.samples import Setting, fit_counts

__all__ = ["closure_document", "copy_factor"]

Array = NDArray[np.float64]


def closure_document(
    result: WindowResult, table: EventTable, searched: Setting, search_fit: BackgroundFit | None
) -> list[dict[str, Any]]:
    """Describe every selection of a searched sample, JSON-ready.

    Parameters
    ----------
    result : WindowResult
        Of the sample.
    table : EventTable
        The sample.
    searched : Setting
        Of the search itself.
    search_fit : BackgroundFit or None
        Smooth fit to the data beside the mask; None where it failed.

    Returns
    -------
    list of dict
        "delta" and its variances, "z", the fit, flatness and non-closure of the efficiency, and background and error of
        the same selection in the search.
    """
    assert result.passes is not None
    assert result.thresholds is not None
    passes = np.asarray(result.passes, np.float64)
    names = tuple(one.name for one in result.selections)
    weights = PassWeights(
        tuple(one.efficiency for one in result.selections),
        tuple(one.efficiency_achieved for one in result.selections),
        passes,
        result.thresholds,
        names=names,
    )
    flat = {one.selection: one for one in sculpting(table, weights, result.edges, window=result.window)}
    inclusive = next((one.background for one in result.selections if one.name == INCLUSIVE), None)
    return [
        _selection(one, _Copies(table, passes[:, index], result), searched)
        | _flatness(flat.get(one.name), _Copies(table, passes[:, index], result))
        | _in_search(one, inclusive, searched, search_fit)
        for index, one in enumerate(result.selections)
    ]


class _Copies:
    """How much more counts of one selection fluctuate than Poisson counts, in the window, beside it and by bin."""

    def __init__(self, table: EventTable, passes: Array, result: WindowResult) -> None:
        window, mjj, identity = result.window, table.mjj, table.event_id
        inside = window.in_signal(mjj)
        beside = window.in_fit_range(mjj) & ~((mjj >= window.mask[0]) & (mjj < window.mask[1]))
        bins = np.digitize(mjj, result.edges)
        self.window = copy_factor(identity[inside], passes[inside])
        self.beside = copy_factor(identity[beside], passes[beside])
        self.bin = copy_factor(identity[beside], passes[beside], bins[beside])


def copy_factor(parent: NDArray[np.uint64], passes: Array, bins: NDArray[np.int64] | None = None) -> float:
    """Variance of a count of copies over that of a Poisson count.

    Parameters
    ----------
    parent : (n_events,) uint64
        Identity, which copies share.
    passes : (n_events,) float64
        Pass weights.
    bins : (n_events,) int64, optional
        Counts are those of bins, and the factor is their mean; all events are one count by default.

    Returns
    -------
    float
        1 where no event has a copy, where all pass, or none.
    """
    total = passes.sum()
    if total <= 0 or len(np.unique(parent)) == len(parent):
        return 1.0
    _, group = np.unique(parent, return_inverse=True)
    if bins is not None:
        _, group = np.unique(group * (int(bins.max()) + 1) + bins, return_inverse=True)
    together = float((np.bincount(group, passes) ** 2).sum() / (passes**2).sum())
    return 1.0 + (1.0 - float(total) / len(passes)) * (together - 1.0)


def _selection(one: SelectionResult, copies: _Copies, searched: Setting) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": one.name,
        "efficiency": one.efficiency_achieved,
        "n": one.n_obs,
        "background": one.background,
        "background_error": one.background_error,
        "calibrated": one.calibrated,
        "z": None if one.discovery is None else one.discovery.z,
        "reason": one.reason,
        **dict.fromkeys(("delta", "own_variance", "shared_variance", "fit", "fit_p")),
    }
    if one.n_obs is None or one.background is None or one.background_error is None or not one.background > 0:
        return document
    b, error = one.background, one.background_error
    poisson = one.weight * max(one.n_obs, b)
    document["delta"] = one.n_obs / b - 1
    document["own_variance"] = (poisson + error**2) / b**2
    document["shared_variance"] = ((copies.window - 1) * poisson + (copies.beside - 1) * error**2) / b**2
    if one.fit is not None:
        document["fit"] = one.fit.function.name
        document["fit_p"] = _fit_p(one.fit, copies.bin, searched.config.random_state)
    return document


def _fit_p(fit: BackgroundFit, factor: float, seed: int) -> float | None:
    try:
        return goodness_of_fit(replace(fit, deviance=fit.deviance / factor), random_state=seed).p_value
    except FitError:
        return None


def _flatness(found: Sculpting | None, copies: _Copies) -> dict[str, Any]:
    if found is None:
        return {"flatness": None, "efficiency_non_closure": None}
    from_flat = {"chi2": found.chi2 / copies.bin, "ndof": found.ndof}
    closure = found.non_closure
    non_closure = None if closure is None else [closure.value, closure.error * copies.window**0.5]
    return {"flatness": from_flat, "efficiency_non_closure": non_closure}


def _in_search(
    one: SelectionResult, inclusive: float | None, searched: Setting, search_fit: BackgroundFit | None
) -> dict[str, Any]:
    """Background and its error as the search will have them.

    The smooth fit to its data beside the mask, scaled to the share that the selection keeps of the sample, is fitted.
    """
    unknown = dict.fromkeys(("search_background", "search_error", "search_spread"))
    if search_fit is None or one.background is None or not inclusive:
        return unknown
    expected = search_fit.expected(searched.edges)[0] * (one.background / inclusive)
    try:
        estimate = fit_counts(expected, searched, expected * one.weight).estimate(*searched.window.signal)
    except FitError:
        return unknown
    spread = (one.weight * estimate.value + estimate.up**2) ** 0.5
    return {"search_background": estimate.value, "search_error": estimate.up, "search_spread": spread}
