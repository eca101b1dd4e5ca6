"""Signal samples with their shape in the likelihood: all bins of the fit, sidebands included, and a template for each.

The background is the function of the search with free coefficients: their constraint from the fit, whose bins are in
the likelihood themselves, is widened by `FREEDOM`, so that it adds FREEDOM⁻² of the information of the sidebands. Where
the fit also holds the events that fail the selection, these are further bins, with the signal that fails. Systematics
that change events are templates, the others factors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import StatisticsError
from analysis.histograms.spectra import NOMINAL, selection_counts
from analysis.learning import INCLUSIVE
from analysis.search.non_closure import NON_CLOSURE
from analysis.search.values import SelectionResult, WindowResult
from analysis.signals.yields import SignalYields, signal_modifiers, varied_sides
from analysis.statistics import Shape, ShapeWorkspace, SignalSystematic, shape_workspace

__all__ = ["FREEDOM", "FUNCTION", "SignalShapeModel", "signal_shape_model"]

Array = NDArray[np.float64]

FREEDOM = 10.0
"""Width of the constraint of the background, in standard deviations of its fit."""

_PRUNE = 1e-5
"""Modes of a smaller effect are none of the function: as many remain as it has coefficients."""

FUNCTION = "background_function"
"""Parameter of the error from the choice of the background function."""


@dataclass(frozen=True)
class SignalShapeModel:
    """Shape model of a signal sample in one selection of one window.

    Attributes
    ----------
    written : ShapeWorkspace
    strength_per_mu : float
        Signal strength at mu = 1.
    """

    written: ShapeWorkspace
    strength_per_mu: float

    @property
    def workspace(self) -> dict[str, Any]:
        """The pyhf workspace."""
        return self.written.workspace


def signal_shape_model(
    name: str,
    selection: SelectionResult,
    window: WindowResult,
    yields: SignalYields,
    systematics: Sequence[Mapping[str, Any]],
) -> SignalShapeModel:
    """Write the shape workspace of a signal.

    Parameters
    ----------
    name : str
        Of the signal sample: the measurement.
    selection : SelectionResult
        With a fit.
    window : WindowResult
    yields : SignalYields
        Of the sample in this window, with the spectra of its variations.
    systematics : sequence of mapping
        See `analysis.results.processed_events.ProcessedEvents`.

    Returns
    -------
    SignalShapeModel

    Raises
    ------
    StatisticsError
        If the background has no fit or one with a prior, or the signal is not positive.
    """
    if selection.fit is None or window.spectrum is None:
        msg = "the shape model needs a background with a fit of its own."
        raise StatisticsError(msg)
    if selection.fit.has_prior:
        msg = (
            f"the function {selection.fit.function.name} has a prior, which the shape model does not know. Use another "
            'of background.functions, or statistics.model = "counting".'
        )
        raise StatisticsError(msg)
    bins = _Bins.of(selection, window)
    background, covariance = selection.fit.expected_both(bins.edges)
    background, covariance = bins.effective(background), bins.effective(bins.effective(covariance).T)
    inside = bins.fraction_in(window.window.signal)
    correction = 1.0 + inside * (0.0 if selection.non_closure is None else selection.non_closure.delta)
    background, covariance = background * correction, covariance * np.outer(correction, correction)
    variations = {
        FUNCTION: background * inside * np.expm1(selection.fit.function_error),
        NON_CLOSURE: background * inside * selection.non_closure_error / (selection.background or 1.0),
    }
    template = bins.effective(bins.signal(yields.spectra[NOMINAL], yields.selections, selection.name))
    hidden = selection.n_obs is None
    shape = Shape(
        observed=None if hidden else bins.effective(bins.counts(window, selection.name)),
        background=background,
        covariance=covariance,
        signal=np.maximum(template, 0.0),
        background_variations={key: shift for key, shift in variations.items() if shift.any()},
        signal_systematics=_systematics(bins, yields, selection.name, systematics),
        freedom=FREEDOM,
    )
    channel = f"window_{window.window.name}_{selection.name}"
    written = shape_workspace(shape, channel=channel, measurement=name, prune=_PRUNE)
    return SignalShapeModel(written, written.events / float(shape.signal.sum()))


@dataclass(frozen=True)
class _Bins:
    """Bins of a shape model: those of the fit, and again for the events that fail, if the fit holds them."""

    edges: Array
    kept: slice
    both: bool
    weight: float

    @classmethod
    def of(cls, selection: SelectionResult, window: WindowResult) -> _Bins:
        """Bins of a selection, in the range that its fit has chosen."""
        assert selection.fit is not None
        ranges = [(step.low, step.high) for step in selection.fit.path if step.preferred]
        low, high = ranges[-1] if ranges else (None, None)
        edges = window.edges
        first = 0 if low is None else int(np.searchsorted(edges, low - 1e-6))
        last = len(edges) - 1 if high is None else int(np.searchsorted(edges, high - 1e-6))
        return cls(edges[first : last + 1], slice(first, last), selection.fit.function.n_ratio > 0, selection.weight)

    def effective(self, values: Array) -> Array:
        """Convert sums of weights of the passing events, in the first bins, to effective events."""
        scaled = np.array(values, np.float64)
        scaled[: len(self.edges) - 1] /= self.weight
        return scaled

    def fraction_in(self, interval: tuple[float, float]) -> Array:
        """Fraction of each bin inside an interval; 0 for the events that fail."""
        low, high = np.maximum(self.edges[:-1], interval[0]), np.minimum(self.edges[1:], interval[1])
        inside = np.maximum(high - low, 0.0) / np.diff(self.edges)
        return np.concatenate([inside, np.zeros_like(inside)]) if self.both else inside

    def counts(self, window: WindowResult, selection: str) -> Array:
        """Observed events."""
        assert window.spectrum is not None
        passing, every = (selection_counts(window.spectrum, name)[self.kept] for name in (selection, INCLUSIVE))
        return np.concatenate([passing, every - passing]) if self.both else passing

    def signal(self, spectra: Array, selections: Sequence[str], selection: str) -> Array:
        """Signal events from (n_selections, n_bins) spectra."""
        passing, every = (spectra[selections.index(name)][self.kept] for name in (selection, INCLUSIVE))
        return np.concatenate([passing, every - passing]) if self.both else passing


def _systematics(
    bins: _Bins, yields: SignalYields, selection: str, systematics: Sequence[Mapping[str, Any]]
) -> list[SignalSystematic]:
    """Replace the factors of the counting model by templates where events were varied one side at a time."""
    modifiers = signal_modifiers(yields, selection, systematics)
    sides = {str(one["name"]): varied_sides(one) for one in systematics}
    found = []
    for modifier in modifiers:
        names = sides.get(modifier.name, ())
        if not names:
            found.append(modifier)
            continue
        up, *down = (bins.effective(bins.signal(yields.spectra[name], yields.selections, selection)) for name in names)
        found.append(SignalSystematic(modifier.name, "histosys", up, down[0] if down else None))
    return found
