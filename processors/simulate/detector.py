"""Minimal detector simulation: acceptance for final particles, and energy resolution by particle type.

============================  =========================================
particles                     relative energy resolution (E in GeV)
============================  =========================================
charged                       1 %
photons                       10 % / √E
neutral hadrons               80 % / √E ⊕ 5 %
neutrinos                     not seen
============================  =========================================

Acceptance: |η| < 2.8 and pT > 0.3 GeV, before smearing. The four-momentum is scaled as a whole: directions stay exact
and a particle's mass is smeared with its energy. The numbers are round ones typical of LHC experiments (Delphes 3,
arXiv:1307.6346, parametrises them in more detail).
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

__all__ = ["ETA_MAX", "PT_MIN", "detect", "energy_resolution"]

ETA_MAX = 2.8
PT_MIN = 0.3

NEUTRINOS = (12, 14, 16)
PHOTON = 22
NEUTRAL_HADRONS = (130, 310, 2112, 3122, 3322)
"""K⁰L, K⁰S, n, Λ, Ξ⁰: the neutral hadrons that can be final particles."""


def detect(particles: ak.Array, rng: np.random.Generator) -> ak.Array:
    """Turn the record of a generator into measured particles.

    Parameters
    ----------
    particles : (n_events,) array of lists of records
        Fields `id` (PDG), `status` (positive: final) and `p` with px, py, pz, e in GeV.
    rng : numpy.random.Generator

    Returns
    -------
    (n_events,) array of lists of records
        Fields px, py, pz, E, float64, GeV.
    """
    seen = particles[_visible(particles)]
    momentum = seen.p
    energy = ak.to_numpy(ak.flatten(momentum.e)).astype(np.float64)
    spread = energy_resolution(ak.to_numpy(ak.flatten(seen.id)), energy)
    scale = np.maximum(rng.normal(1.0, spread), 0.0)
    counts = ak.num(seen, axis=1)
    fields = {"px": momentum.px, "py": momentum.py, "pz": momentum.pz, "E": momentum.e}
    smeared = {name: ak.to_numpy(ak.flatten(value)) * scale for name, value in fields.items()}
    return ak.unflatten(ak.zip(smeared), counts)[ak.unflatten(scale > 0, counts)]


def energy_resolution(particle_id: NDArray[np.int32], energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Relative energy resolution.

    Parameters
    ----------
    particle_id : (n,) int32
        PDG identifier.
    energy : (n,) float64, GeV

    Returns
    -------
    (n,) float64
    """
    kind = np.abs(particle_id)
    photon = 0.10 / np.sqrt(energy)
    hadron = np.hypot(0.80 / np.sqrt(energy), 0.05)
    chosen: NDArray[np.float64] = np.select([kind == PHOTON, np.isin(kind, NEUTRAL_HADRONS)], [photon, hadron], 0.01)
    return chosen


def _visible(particles: ak.Array) -> ak.Array:
    momentum, kind = particles.p, abs(particles.id)
    transverse = np.hypot(momentum.px, momentum.py)
    central = abs(momentum.pz) < np.sinh(ETA_MAX) * transverse
    neutrino = (kind == NEUTRINOS[0]) | (kind == NEUTRINOS[1]) | (kind == NEUTRINOS[2])
    return (particles.status > 0) & ~neutrino & central & (transverse > PT_MIN)
