"""ANODE: density of the window over that of the sidebands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.flows import DEFAULTS, ConditionalDensity, FlowSettings, Sample, fit_density
from analysis.methods.with_flows.density_ratio import DensityRatio

__all__ = ["ANODE"]


@dataclass(frozen=True)
class ANODE(DensityRatio):
    """Anomaly detection with density estimation (Nachman, Shih, arXiv:2001.04990).

    One flow learns the features in the window, another in the sidebands, both given m_jj. The score is the log ratio of
    the first density to the second. The publication takes both at the mass of the event; here see `DensityRatio`.

    Attributes
    ----------
    settings : FlowSettings
    n_masses : int
    """

    settings: FlowSettings = DEFAULTS
    n_masses: int = 5
    name: str = "anode"

    def learn_window(
        self, inside: Sample, background: ConditionalDensity, random_state: np.random.SeedSequence
    ) -> tuple[ConditionalDensity, ...]:
        """Train a flow on all events of the window; see `DensityRatio.learn_window`."""
        return (fit_density(inside, background.marginals, self.settings, random_state=random_state),)
