"""NanoAOD with trigger decisions: a reference that is always on, and a trigger with a known turn-on in m_jj."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
from scipy import stats

from analysis.results.turn_on import TurnOnFile
from analysis.statistics.efficiencies import measure_turn_on
from tests.builders.toys import jet, write_nanoaod

MIDPOINT, WIDTH, PLATEAU = 1500.0, 100.0, 0.98
REFERENCE, TRIGGER = "HLT_Ref", "HLT_Sig"


def write_triggered(folder: Path, n_events: int, seed: int, kind: str = "pseudodata") -> Path:
    """Write `data.root`, of which a fifth fires no reference, and `datasets.json`."""
    rng = np.random.default_rng(seed)
    mjj = 1000.0 + rng.exponential(500.0, n_events)
    chance = PLATEAU * stats.norm.cdf((mjj - MIDPOINT) / WIDTH)
    decisions = {REFERENCE: rng.random(n_events) < 0.8, TRIGGER: rng.random(n_events) < chance}
    events = [_pair(mass) for mass in mjj]
    write_nanoaod(folder / "data.root", events, run=300_000, extra=decisions)
    entry = {"files": {str(folder / "data.root"): "Events"}, "metadata": {"kind": kind, "format": "nanoaod"}}
    (folder / "datasets.json").write_text(json.dumps({"data": entry}))
    return folder / "datasets.json"


def measured_turn_on() -> TurnOnFile:
    """Measurement in 5000 events."""
    rng = np.random.default_rng(11)
    mass = 1000.0 + rng.exponential(500.0, 5000)
    passes = rng.random(5000) < PLATEAU * stats.norm.cdf((mass - MIDPOINT) / WIDTH)
    found = measure_turn_on(mass, passes, np.arange(1000.0, 6001.0, 50.0), loss=0.01, step=100.0)
    return TurnOnFile((TRIGGER,), (REFERENCE,), ("data",), (), found)


def _pair(mass: float) -> list[dict[str, float]]:
    """Two light jets back to back at rest with this mass, GeV."""
    return [jet(mass / 2, mass=1.0, phi=0.0), jet(mass / 2, mass=1.0, phi=math.pi)]
