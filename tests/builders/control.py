"""Event tables and plans for control histograms."""

from __future__ import annotations

import numpy as np

from analysis.config import SearchConfig
from analysis.events.schema import FeatureSpec
from analysis.histograms.control import ControlPlan
from tests.builders.toy_tables import table_of

FEATURES = tuple(FeatureSpec(name, name, "", (20, -5.0, 5.0)) for name in ("x0", "x1"))

X0, X1 = FEATURES

CONFIG = SearchConfig(scan={"windows": [(3300, 3700), (3900, 4300)], "fit_range": (3000, 6500)})


def events(n_events: int, seed: int, *, shift: float = 0.0, weight: float = 1.0):
    rng = np.random.default_rng(seed)
    X = rng.normal(shift, 1.0, (n_events, 2))
    X[::10, 1] = np.nan
    X[::7, 0] = 9.0
    region = np.where(rng.random(n_events) < 0.7, "search", "validation").astype(object)
    mjj = 1000 + rng.exponential(1500, n_events)
    weights = weight * rng.uniform(0.5, 1.5, n_events) if weight != 1 else np.ones(n_events)
    return table_of(mjj, X.astype(np.float32), rapidity_region=region, weight=weights)


def plan(*, blinded=False):
    return ControlPlan.from_config(CONFIG, FEATURES, blinded=blinded)
