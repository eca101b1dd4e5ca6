"""Ratio of two densities of the features as a score; no classifier."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.flows import ConditionalDensity, Sample
from analysis.learning.protocols import Learner
from analysis.learning.reweighting import derive_seed
from analysis.learning.samples import Samples
from analysis.methods.with_flows.base import WithFlows
from analysis.methods.with_flows.sideband_flow import region_sample
from analysis.regions import MassWindow

__all__ = ["DensityRatio", "DensityRatioModel"]


@dataclass(frozen=True)
class DensityRatioModel:
    """Log ratio of two densities of the features, each averaged over the masses of a window.

    Attributes
    ----------
    above : tuple of ConditionalDensity
        Numerator: the average of these.
    below : ConditionalDensity
        Denominator.
    mjj : (n_masses,) float64
        Masses of equal probability, GeV.
    """

    above: tuple[ConditionalDensity, ...]
    below: ConditionalDensity
    mjj: NDArray[np.float64]

    @cached_property
    def members(self) -> tuple[bytes, ...]:
        """One document with the parameters of all densities."""
        densities = (*self.above, self.below)
        return (b"".join(density.dumps() for density in densities) + self.mjj.tobytes(),)

    def pick(self, member: int) -> DensityRatioModel:
        """Return the model: it has one member."""
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_rows, 1) float32: log ratio; 0 where a feature is not finite."""
        defined = np.isfinite(X).all(axis=1)
        score = np.zeros((len(X), 1), np.float32)
        if defined.any():
            rows = X[defined].astype(np.float64)
            score[defined, 0] = self._log_prob(self.above, rows) - self._log_prob((self.below,), rows)
        return score

    def _log_prob(self, densities: Sequence[ConditionalDensity], X: NDArray[np.float64]) -> NDArray[np.float64]:
        each = [density.log_prob(X, np.full(len(X), mass)) for density in densities for mass in self.mjj]
        found: NDArray[np.float64] = logsumexp(each, axis=0) - np.log(len(each))
        return found


class DensityRatio(WithFlows):
    """Base class: a density that is learned in the window over that of the sidebands.

    Models of this package score features without m_jj, so that a cut is a smooth function of m_jj: both densities are
    averaged over the m_jj spectrum of the window, which is fitted beside it.

    Attributes
    ----------
    n_masses : int
        Masses over which densities are averaged.
    """

    n_masses: int

    @abstractmethod
    def learn_window(
        self, inside: Sample, background: ConditionalDensity, random_state: np.random.SeedSequence
    ) -> tuple[ConditionalDensity, ...]:
        """Learn the numerator, an average of densities.

        Parameters
        ----------
        inside : Sample
            Events of the window with all features.
        background : ConditionalDensity
            Learned in the sidebands.
        random_state : numpy.random.SeedSequence
        """

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> DensityRatioModel:
        """Train the flows; the learner is not used. See `Method.fit`.

        Raises
        ------
        ConfigError
            If the extra `flows` is missing.
        WindowError
            If the window or a sideband has no events, or too few with all features.
        """
        sidebands = self.learn_sidebands(samples, window, features, random_state)
        inside, _ = region_sample(samples, "window", window, features)
        above = self.learn_window(inside, sidebands.density, derive_seed(random_state, 1))
        levels = (np.arange(self.n_masses) + 0.5) / self.n_masses
        return DensityRatioModel(above, sidebands.density, sidebands.masses(levels))
