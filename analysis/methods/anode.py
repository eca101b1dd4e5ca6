"""ANODE: ratio of two densities of the signal region, learned inside it and in the sidebands; no classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from analysis.flows import DEFAULTS, ConditionalDensity, FlowSettings, fit_density, require_flows
from analysis.learning.protocols import Learner
from analysis.learning.reweighting import derive_seed
from analysis.learning.samples import Samples
from analysis.methods.sideband_flow import fit_sideband_flow, region_sample
from analysis.regions import MassWindow

__all__ = ["ANODE", "DensityRatioModel"]


@dataclass(frozen=True)
class DensityRatioModel:
    """Log ratio of two densities of the features, each averaged over the masses of a window.

    Attributes
    ----------
    above, below : ConditionalDensity
        Numerator and denominator.
    mjj : (n_masses,) float64
        Masses of equal probability, GeV.
    """

    above: ConditionalDensity
    below: ConditionalDensity
    mjj: NDArray[np.float64]

    @cached_property
    def members(self) -> tuple[bytes, ...]:
        """One document with the parameters of both densities."""
        return (self.above.dumps() + self.below.dumps() + self.mjj.tobytes(),)

    def pick(self, member: int) -> DensityRatioModel:
        """Return the model: it has one member."""
        return self

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_rows, 1) float32: log ratio; 0 where a feature is not finite."""
        defined = np.isfinite(X).all(axis=1)
        score = np.zeros((len(X), 1), np.float32)
        if defined.any():
            rows = X[defined].astype(np.float64)
            score[defined, 0] = self._log_prob(self.above, rows) - self._log_prob(self.below, rows)
        return score

    def _log_prob(self, density: ConditionalDensity, X: NDArray[np.float64]) -> NDArray[np.float64]:
        by_mass = [density.log_prob(X, np.full(len(X), mass)) for mass in self.mjj]
        found: NDArray[np.float64] = logsumexp(by_mass, axis=0)
        return found


@dataclass(frozen=True)
class ANODE:
    """Anomaly detection with density estimation (Nachman, Shih, arXiv:2001.04990).

    One flow learns the features in the window, another in the sidebands, both given m_jj. The score is the log ratio of
    the first density to the second. Models of this package score features without m_jj, so that a cut is a smooth
    function of m_jj: both densities are averaged over the m_jj spectrum of the window, which is fitted beside it. In
    the publication they are taken at the mass of the event.

    Attributes
    ----------
    settings : FlowSettings
    n_masses : int
        Masses over which densities are averaged.
    """

    settings: FlowSettings = DEFAULTS
    n_masses: int = 5
    name: str = "anode"
    uses_truth: bool = False
    needs_simulation: bool = False
    uses_sidebands: bool = False

    def require_installed(self) -> None:
        """Raise `ConfigError` if the extra `flows` is missing."""
        require_flows(self.name)

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> DensityRatioModel:
        """Train both flows; the learner is not used. See `Method.fit`.

        Raises
        ------
        ConfigError
            If the extra `flows` is missing.
        WindowError
            If the window or a sideband has no events, or too few with all features.
        """
        sidebands = fit_sideband_flow(
            samples, window, features, self.settings, method=self.name, random_state=random_state
        )
        inside, _ = region_sample(samples, "window", window, features)
        seed = derive_seed(random_state, 1)
        above = fit_density(inside, sidebands.density.marginals, self.settings, random_state=seed)
        levels = (np.arange(self.n_masses) + 0.5) / self.n_masses
        return DensityRatioModel(above, sidebands.density, sidebands.masses(levels))
