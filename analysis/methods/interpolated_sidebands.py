"""Signal region against sidebands whose weights are interpolated to it: the cheap baseline of `curtains`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.config import ClassifierConfig
from analysis.learning.ensemble import BoostedTrees
from analysis.learning.protocols import Learner
from analysis.learning.reweighting import DensityRatio, fit_ratio
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, TrainingSet
from analysis.methods.contrast import FromContrast
from analysis.methods.sideband_templates import (
    LEAST_EVENTS,
    SidebandEvents,
    against_template,
    joined_halves,
    sideband_events,
    spectrum_beside,
    window_rows,
)
from analysis.regions import MassWindow

__all__ = ["InterpolatedSidebands"]

_REWEIGHTER = BoostedTrees(ClassifierConfig(n_estimators=60, max_depth=3), 1)
_N_MASSES = 8
"""Masses inside the window over which a weight is averaged."""


@dataclass(frozen=True)
class InterpolatedSidebands(FromContrast):
    """Window against sidebands that are weighted as if the log density at fixed features were linear in m_jj.

    The ratio of upper to lower sideband is learned in data. Weights cannot put events where the sidebands have none:
    features that drift by more than their width need `curtains`.

    Attributes
    ----------
    reweighter : Learner
    n_inner_folds : int
        Number of folds of the training events in which the reweighter is trained.
    least_events : int
        Smallest number of events of a sideband.
    max_log : float
        Log weights are clipped to this absolute value.
    """

    reweighter: Learner = _REWEIGHTER
    n_inner_folds: int = 3
    least_events: int = LEAST_EVENTS
    max_log: float = 5.0
    name: str = "interpolated_sidebands"
    uses_truth: bool = False
    needs_simulation: bool = False
    uses_sidebands: bool = True

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label data in the window 1 and weighted sidebands 0; see `ContrastMethod.contrast`.

        Raises
        ------
        WindowError
            If the window has no events, or a sideband too few.
        """
        inside = window_rows(samples.data, window, features)
        sides = sideband_events(samples.data, window, features, least=self.least_events)
        ratio = self._fit(sides, random_state)
        template = self._weighted(sides, sides, window, lambda rows: ratio.out_of_fold(rows.X, rows.group))
        return against_template(inside, template)

    def template(
        self,
        samples: Samples,
        held_out: Samples,
        window: MassWindow,
        features: Sequence[str],
        *,
        random_state: np.random.SeedSequence,
    ) -> Rows:
        """Weight the sideband events of the fold that is left out; see `TemplateMethod.template`."""
        sides = sideband_events(samples.data, window, features, least=self.least_events)
        left_out = sideband_events(held_out.data, window, features, least=0)
        ratio = self._fit(sides, random_state)
        return self._weighted(sides, left_out, window, lambda rows: ratio.log_ratio(rows.X))

    def _fit(self, sides: Sequence[SidebandEvents], random_state: np.random.SeedSequence) -> DensityRatio:
        lower, upper = (side.rows for side in sides)
        return fit_ratio(upper, lower, self.reweighter, n_folds=self.n_inner_folds, random_state=random_state)

    def _weighted(
        self,
        sides: Sequence[SidebandEvents],
        events: Sequence[SidebandEvents],
        window: MassWindow,
        log_ratio: Callable[[Rows], NDArray[np.float64]],
    ) -> Rows:
        low, high = (float(np.average(side.mass, weights=side.rows.weight)) for side in sides)
        probability = (np.arange(_N_MASSES) + 0.5) / _N_MASSES
        inside = spectrum_beside(sides, window).quantile(probability, window.signal)
        parts = []
        for side in events:
            way = (inside[:, None] - side.mass) / (high - low)
            log_weight = np.clip(way * log_ratio(side.rows), -self.max_log, self.max_log)
            weight = side.rows.weight * np.exp(log_weight).mean(axis=0)
            parts.append(Rows(side.rows.X, weight, side.rows.group))
        return joined_halves(parts)
