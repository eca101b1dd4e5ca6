"""CURTAINs with a flow: the signal region against sideband events that a flow moves into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.flows import DEFAULTS, FlowSettings
from analysis.learning.reweighting import derive_seed
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, TrainingSet
from analysis.methods.contrast import FromContrast
from analysis.methods.sideband_templates import against_template
from analysis.methods.with_flows.base import WithFlows
from analysis.methods.with_flows.sideband_flow import sample_in_window
from analysis.regions import MassWindow

__all__ = ["CurtainsFlow"]


@dataclass(frozen=True)
class CurtainsFlow(WithFlows, FromContrast):
    """Transport of sideband events by a conditional flow, after CURTAINs and Flows for Flows (arXiv:2305.04646).

    A flow f learns p(x | m_jj) in both sidebands of the training folds by maximum likelihood. An event x of mass m is
    moved to a mass m' of the window by way of the normal variables: x' = f⁻¹(f(x | m) | m'). In the publication this
    flow is the base density of a second one, T(x | m' − m), which is trained to turn one sideband into the other and
    prefers short ways. There is no second flow here: the path follows from f alone.

    Attributes
    ----------
    settings : FlowSettings
    oversampling : int
        Masses m' to which an event is moved.
    """

    settings: FlowSettings = DEFAULTS
    oversampling: int = 4
    name: str = "curtains_flow"

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Label the window 1 and moved sideband events 0; see `ContrastMethod.contrast`.

        A moved event has the identity of its source.

        Raises
        ------
        ConfigError
            If the extra `flows` is missing.
        WindowError
            If the window or a sideband has no events, or too few with all features.
        """
        sidebands = self.learn_sidebands(samples, window, features, random_state)
        source, density = sidebands.sample.repeat(self.oversampling), sidebands.density
        rng = np.random.default_rng(derive_seed(random_state, 1))
        mjj = sidebands.masses(rng.random(len(source)))
        X = density.from_latent(density.to_latent(source.X, source.mjj, random_state=rng), mjj)
        template = sidebands.with_undefined(Rows(X.astype(np.float32), source.weight, source.group))
        return against_template(sample_in_window(samples, window, features), template)
