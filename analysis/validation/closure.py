"""Closure of the search on one signal-free sample: counts and fits, efficiency against m_jj, goodness of the fits.

In the sample, n events of a selection lie in the window and b are expected: delta = (n - b) / b is the non-closure. Its
variance is V = (w max(n, b) + sigma_b^2) / b^2, with the weight w of an effective event. Copies of one parent pass or
fail together, while their number is Poisson. An event in the window shifts delta by 1 / b, an event in bin i outside it
by -(n / b) d ln b / d n_i, obtained from the covariance of the fit. With I_p the sum of these shifts over the passing
copies of parent p, and e the passing fraction, the variance increases by (1 - e) (sum_p I_p^2 - sum of the squares of
all terms). Draws with common parents share this contribution.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.background import BackgroundFit, goodness_of_fit, outside
from analysis.errors import FitError
from analysis.events.table import EventTable
from analysis.learning import INCLUSIVE, PassWeights
from analysis.regions import MassWindow
from analysis.search.values import SelectionResult, WindowResult
from analysis.validation.samples import Setting, fit_counts, is_beside_mask
from analysis.validation.sculpting import Sculpting, sculpting

__all__ = ["closure_document", "copy_factor", "sensitivity"]

Array = NDArray[np.float64]


def closure_document(
    result: WindowResult, table: EventTable, searched: Setting, search_fit: BackgroundFit | None
) -> list[dict[str, Any]]:
    """Describe every selection of a searched sample, JSON-ready.

    Parameters
    ----------
    result : WindowResult
        Result of the search of the sample.
    table : EventTable
        Events of the sample in the fit range, in the order of the pass weights.
    searched : Setting
        Setting of the search itself.
    search_fit : BackgroundFit or None
        Smooth fit to the data outside the mask; None if it failed.

    Returns
    -------
    list of dict
        "delta" and its variances, "z", the fit, flatness and non-closure of the efficiency, and background and error of
        the same selection in the search.
    """
    assert result.passes is not None
    assert result.thresholds is not None
    passes = result.passes  # flags, or weights: as numbers, selection by selection, to save memory
    names = tuple(selection.name for selection in result.selections)
    weights = PassWeights(
        tuple(selection.efficiency for selection in result.selections),
        tuple(selection.efficiency_achieved for selection in result.selections),
        passes,
        result.thresholds,
        names=names,
    )
    flat = {
        selection.selection: selection for selection in sculpting(table, weights, result.edges, window=result.window)
    }
    inclusive = next((selection.background for selection in result.selections if selection.name == INCLUSIVE), None)
    copied = has_copies(table.event_id)
    documents = []
    for index, selection in enumerate(result.selections):
        column = passes[:, index].astype(np.float64)
        copies = _Copies.of(table, column, result, selection) if copied else _Copies()
        documents.append(
            _selection(selection, copies, searched)
            | _variances(selection, copies)
            | _flatness(flat.get(selection.name), copies)
            | _in_search(selection, inclusive, searched, search_fit)
        )
    return documents


def has_copies(event_id: NDArray[np.uint64]) -> bool:
    """Whether an identity occurs more than once."""
    ordered = np.sort(event_id)
    return bool((ordered[1:] == ordered[:-1]).any())


@dataclass(frozen=True)
class _Copies:
    """Effect of copies of the same events on one selection; the defaults are those without copies.

    Attributes
    ----------
    window, bin : float
        Ratio of count variance to Poisson variance, in the window and in the bins outside the mask.
    shared : float
        Additional variance of delta.
    """

    window: float = 1.0
    bin: float = 1.0
    shared: float = 0.0

    @classmethod
    def of(cls, table: EventTable, passes: Array, result: WindowResult, one: SelectionResult) -> _Copies:
        """Measure it for a selection with pass weights (n_events,)."""
        window, mjj, identity = result.window, table.mjj, table.event_id
        inside, beside = window.in_signal(mjj), is_beside_mask(mjj, window)
        bins = np.digitize(mjj, result.edges)
        return cls(
            copy_factor(identity[inside], passes[inside]),
            copy_factor(identity[beside], passes[beside], bins[beside]),
            _shared_variance(table, passes, result, one),
        )


def sensitivity(fit: BackgroundFit, edges: Array, window: MassWindow) -> Array:
    """Change of ln b in the window per additional event in each fit bin.

    Parameters
    ----------
    fit : BackgroundFit
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    window : MassWindow

    Returns
    -------
    (n_bins,) float64
        To first order; 0 inside the mask.
    """
    value, covariance = fit.windows([*pairwise(edges.tolist()), window.signal])
    change: Array = covariance[-1, :-1] / (value[:-1] * value[-1])
    return np.where(outside(edges, window.mask), change, 0.0)


def _shared_variance(table: EventTable, passes: Array, result: WindowResult, one: SelectionResult) -> float:
    """Additional variance of delta from copies of the same parents."""
    window, b, n = result.window, one.background, one.n_obs
    fitted = window.in_fit_range(table.mjj)
    mjj, parent, weight = table.mjj[fitted], table.event_id[fitted], passes[fitted]
    _, group = np.unique(parent, return_inverse=True)
    if one.fit is None or b is None or n is None or len(group) == group.max(initial=-1) + 1:
        return 0.0
    bins = np.digitize(mjj, result.edges) - 1
    moved = window.in_signal(mjj) / b - (n / b) * sensitivity(one.fit, result.edges, window)[bins]
    terms = weight * moved
    together = float((np.bincount(group, terms) ** 2).sum() - (terms**2).sum())
    return max(0.0, (1.0 - float(weight.mean())) * together)


def copy_factor(parent: NDArray[np.uint64], passes: Array, bins: NDArray[np.int64] | None = None) -> float:
    """Variance of a count of copies divided by the Poisson variance.

    Parameters
    ----------
    parent : (n_events,) uint64
        Identity of the parent, common to its copies.
    passes : (n_events,) float64
        Pass weights.
    bins : (n_events,) int64, optional
        Count per bin, and return the mean factor. Default: a single count of all events.

    Returns
    -------
    float
        1 without copies, or if all or no events pass.
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
        **dict.fromkeys(("delta", "fit", "fit_p")),
    }
    if one.n_obs is None or one.background is None or not one.background > 0:
        return document
    document["delta"] = one.n_obs / one.background - 1
    if one.fit is not None:
        document["fit"] = one.fit.function.name
        document["fit_p"] = _fit_p(one.fit, copies.bin, searched.config.random_state)
    return document


def _variances(one: SelectionResult, copies: _Copies) -> dict[str, Any]:
    b, error, n = one.background, one.background_error, one.n_obs
    if b is None or error is None or n is None or not b > 0:
        return {"own_variance": None, "shared_variance": None}
    own = (one.weight * max(n, b) + error**2) / b**2
    return {"own_variance": own, "shared_variance": copies.shared}


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
    """Return the background expected in the search, and its error.

    The smooth fit to the data outside the mask is scaled to the fraction of the sample that the selection keeps, and
    fitted.
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
