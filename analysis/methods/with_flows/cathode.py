"""CATHODE: the signal region against events drawn from a density that is learned in the sidebands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.events.identity import event_hash, string_hash
from analysis.flows import DEFAULTS, FlowSettings
from analysis.learning.reweighting import derive_seed
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, TrainingSet
from analysis.methods.contrast import FromContrast
from analysis.methods.sideband_templates import against_template
from analysis.methods.with_flows.base import WithFlows
from analysis.methods.with_flows.sideband_flow import sample_in_window
from analysis.regions import MassWindow

__all__ = ["CATHODE"]


@dataclass(frozen=True)
class CATHODE(WithFlows, FromContrast):
    """Classifying anomalies through outer density estimation (Hallin et al., arXiv:2109.00546).

    A flow learns p(x | m_jj) in the sidebands of the training folds, and events are drawn from it at masses of the
    window; the learner separates the window from them. Masses come from a smooth spectrum that is fitted beside the
    window, not from the window as in the publication, which would let signal shape them. The flow learns normal scores
    of conditional quantiles, see `analysis.flows.marginals`, not logits.

    Attributes
    ----------
    settings : FlowSettings
    oversampling : int
        Drawn events per event of the window.
    """

    settings: FlowSettings = DEFAULTS
    oversampling: int = 4
    name: str = "cathode"

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label the window 1 and drawn events 0; see `ContrastMethod.contrast`.

        Drawn events have identities of their own, which no event of data has.

        Raises
        ------
        ConfigError
            If the extra `flows` is missing.
        WindowError
            If the window or a sideband has no events, or too few with all features.
        """
        sidebands = self.learn_sidebands(samples, window, features, random_state)
        inside = sample_in_window(samples, window, features)
        n_drawn = self.oversampling * int(np.isfinite(inside.X).all(axis=1).sum())
        rng = np.random.default_rng(derive_seed(random_state, 1))
        mjj = sidebands.masses(rng.random(n_drawn))
        X = sidebands.density.sample(mjj, random_state=rng)
        group = event_hash(string_hash("drawn by cathode"), np.arange(n_drawn))
        return against_template(inside, sidebands.with_undefined(Rows(X.astype(np.float32), np.ones(n_drawn), group)))
