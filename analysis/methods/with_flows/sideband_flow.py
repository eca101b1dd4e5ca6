"""Density of the features in the sidebands of the training folds, and events that no density describes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from analysis.errors import WindowError
from analysis.flows import (
    ConditionalDensity,
    ConditionalQuantiles,
    FlowSettings,
    Sample,
    fit_density,
)
from analysis.learning.mass_spectrum import MassSpectrum, fit_spectrum
from analysis.learning.reweighting import derive_seed
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, positive_weights
from analysis.methods.contrast import SIDEBANDS, Place, find_region
from analysis.regions import MassWindow

__all__ = ["SidebandFlow", "fit_sideband_flow", "region_sample", "sample_in_window"]

_FEATURES: Callable[[Sample], NDArray[np.float64]] = attrgetter("X")

_FEWEST = 50
"""Events with all features that a region must have."""


@dataclass(frozen=True)
class SidebandFlow:
    """What flows learn in the sidebands.

    Attributes
    ----------
    sample : Sample
        Sideband events of which every feature is defined.
    undefined : Sample
        The others, whose density is not modelled.
    density : ConditionalDensity
    spectrum : MassSpectrum
        m_jj, fitted beside the window.
    window : (low, high)
        GeV.
    """

    sample: Sample
    undefined: Sample
    density: ConditionalDensity
    spectrum: MassSpectrum
    window: tuple[float, float]

    def with_undefined(self, template: Rows, coordinates: Callable[[Sample], NDArray[np.float64]] = _FEATURES) -> Rows:
        """Add the events with an undefined feature to a template, as they are, with their fraction of the sidebands.

        Parameters
        ----------
        template : Rows
            Of any total weight.
        coordinates : callable
            Of a sample, (n_rows, n_features) float64: what the learner is given of its events.
        """
        rest, modelled = self.undefined, self.sample.weight.sum()
        return Rows(
            np.concatenate([template.X, coordinates(rest).astype(np.float32)]),
            np.concatenate([template.weight * (modelled / template.weight.sum()), rest.weight]),
            np.concatenate([template.group, rest.group]),
        )

    def masses(self, levels: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n_levels,) float64: masses, GeV, below which these fractions of the window are."""
        return self.spectrum.quantile(levels, self.window)


def fit_sideband_flow(
    samples: Samples,
    window: MassWindow,
    features: Sequence[str],
    settings: FlowSettings,
    *,
    random_state: np.random.SeedSequence,
) -> SidebandFlow:
    """Train a flow on both sidebands, and fit the m_jj spectrum in them.

    Parameters
    ----------
    samples : Samples
        Events of the training folds.
    window : MassWindow
    features : sequence of str
    settings : FlowSettings
    random_state : numpy.random.SeedSequence

    Raises
    ------
    WindowError
        If a sideband has no events, or too few with all features.
    """
    sides = [region_sample(samples, side, window, features) for side in SIDEBANDS]
    sample, undefined = (Sample.join([side[index] for side in sides]) for index in (0, 1))
    below = sample.mjj < window.signal[0]
    marginals = ConditionalQuantiles.fit(sample.X, sample.mjj, sample.weight, (below, ~below))
    density = fit_density(sample, marginals, settings, random_state=derive_seed(random_state, 0))
    spectrum = fit_spectrum(
        np.concatenate([sample.mjj, undefined.mjj]),
        np.concatenate([sample.weight, undefined.weight]),
        (window.lower, window.upper),
    )
    return SidebandFlow(sample, undefined, density, spectrum, window.signal)


def region_sample(samples: Samples, place: Place, window: MassWindow, features: Sequence[str]) -> tuple[Sample, Sample]:
    """Return the data of one region, with all features defined, and the others.

    Raises
    ------
    WindowError
        If the region has no events, or too few with all features.
    """
    region = find_region(samples.data, place, window, "data")
    rows = region.rows
    every = Sample.build(rows.matrix(features), rows.mjj, rows.weight, rows.event_id)
    weight = positive_weights(every.weight, region.name)
    every = replace(every, weight=weight).where(weight > 0)
    defined = np.isfinite(every.X).sum(axis=1) == len(features)
    if defined.sum() < _FEWEST:
        msg = (
            f"{region.name} has {defined.sum()} events with all of {', '.join(features)}; flows need {_FEWEST}. Widen "
            "the window or its sidebands, add events, or leave out features that are often undefined."
        )
        raise WindowError(msg)
    return every.where(defined), every.where(~defined)


def sample_in_window(
    samples: Samples,
    window: MassWindow,
    features: Sequence[str],
    coordinates: Callable[[Sample], NDArray[np.float64]] = _FEATURES,
) -> Rows:
    """Return the data in the window, those with undefined features too; see `region_sample`.

    Parameters
    ----------
    samples : Samples
    window : MassWindow
    features : sequence of str
    coordinates : callable
        Of a sample, (n_rows, n_features) float64: what the learner is given of its events.
    """
    inside = Sample.join(region_sample(samples, "window", window, features))
    return Rows(coordinates(inside).astype(np.float32), inside.weight, inside.group)
