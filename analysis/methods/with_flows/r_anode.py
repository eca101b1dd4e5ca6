"""R-ANODE: density of the signal, fitted to the window above a known background, over that of the background."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.flows import DEFAULTS, ConditionalDensity, FlowSettings, Fraction, Sample, fit_part
from analysis.learning.reweighting import derive_seed
from analysis.methods.with_flows.density_ratio import DensityRatio

__all__ = ["RANODE"]

_LEARNED = Fraction(0.01)


@dataclass(frozen=True)
class RANODE(DensityRatio):
    """Residual ANODE (Das, Kasieczka, Shih, arXiv:2312.11629).

    The events of the window follow w p_S(x | m_jj) + (1 - w) p_B(x | m_jj), in which p_B is learned in the sidebands
    and kept. A flow p_S is fitted together with w by maximum likelihood; the score is log p_S - log p_B. The m_jj
    spectrum of the signal within the window is taken to be that of the background: the publication learns it too, but
    a score must not know m_jj.

    Attributes
    ----------
    settings : FlowSettings
    n_masses : int
    fraction : Fraction
        w; a start that is far too large stays.
    n_splits : int
        Flows p_S, each with a split of its own into training and validation, that are averaged.
    """

    settings: FlowSettings = DEFAULTS
    n_masses: int = 5
    fraction: Fraction = _LEARNED
    n_splits: int = 3
    name: str = "r_anode"

    def learn_window(
        self, inside: Sample, background: ConditionalDensity, random_state: np.random.SeedSequence
    ) -> tuple[ConditionalDensity, ...]:
        """Fit the signal above the background; see `DensityRatio.learn_window`."""
        seeds = (derive_seed(random_state, split) for split in range(self.n_splits))
        return tuple(
            fit_part(inside, background, self.settings, fraction=self.fraction, random_state=seed)[0] for seed in seeds
        )
