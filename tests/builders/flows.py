"""A small flow that is trained in a blink, once it is compiled, on Gaussians beside a window."""

from __future__ import annotations

import numpy as np

from analysis.flows import ConditionalDensity, ConditionalQuantiles, FlowSettings, Sample, fit_density
from tests.builders.drifting import drifting_gaussians

__all__ = ["LIGHT", "fit", "sidebands"]

LIGHT = FlowSettings(layers=2, width=8, depth=1, knots=4, epochs=16, n_averaged=2, learning_rate=1e-2)


def sidebands(n_events: int = 6500, *, random_state: int = 1) -> Sample:
    X, mjj = drifting_gaussians(n_events, random_state=random_state)
    beside = (mjj < 3300) | (mjj >= 3700)
    group = np.arange(beside.sum(), dtype=np.uint64)
    return Sample.build(X[beside].astype(np.float32), mjj[beside], np.ones(beside.sum()), group)


def fit(sample: Sample, *, seed: int = 1) -> ConditionalDensity:
    marginals = ConditionalQuantiles.fit(sample.X, sample.mjj, sample.weight, (sample.mjj < 3300, sample.mjj >= 3700))
    return fit_density(sample, marginals, LIGHT, random_state=np.random.SeedSequence(seed))
