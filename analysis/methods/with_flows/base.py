"""Base class of methods with flows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.flows import FlowSettings, require_flows
from analysis.learning.samples import Samples
from analysis.methods.with_flows.sideband_flow import SidebandFlow, fit_sideband_flow
from analysis.regions import MassWindow

__all__ = ["WithFlows"]


class WithFlows:
    """Base class: data alone are used, the sidebands by way of their density, and the extra `flows` is needed.

    Attributes
    ----------
    settings : FlowSettings
        Of every flow that the method trains.
    """

    settings: FlowSettings
    name: str
    uses_truth: bool = False
    needs_simulation: bool = False
    uses_sidebands: bool = False

    def require_installed(self) -> None:
        """Raise `ConfigError` if the extra `flows` is missing."""
        require_flows(self.name)

    def learn_sidebands(
        self, samples: Samples, window: MassWindow, features: Sequence[str], random_state: np.random.SeedSequence
    ) -> SidebandFlow:
        """Train a flow on both sidebands, and fit the m_jj spectrum in them.

        Parameters
        ----------
        samples : Samples
            Events of the training folds.
        window : MassWindow
        features : sequence of str
        random_state : numpy.random.SeedSequence

        Raises
        ------
        ConfigError
            If the extra `flows` is missing.
        WindowError
            If a sideband has no events, or too few with all features.
        """
        self.require_installed()
        return fit_sideband_flow(samples, window, features, self.settings, random_state=random_state)
