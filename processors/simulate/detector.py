"""Minimal detector simulation: acceptance for final particles, and energy resolution by particle type.

============================  =========================================
particles                     relative energy resolution (E in GeV)
============================  =========================================
charged                       1 %
photons                       10 % / √E
neutral hadrons               80 % / √E ⊕ 5 %
neutrinos, invisible ones     not seen
============================  =========================================

Acceptance: |η| < 2.8 and pT > 0.3 GeV, before smearing. `DetectorSettings` changes all these numbers. The
four-momentum is scaled as a whole: directions stay exact and a particle's mass is smeared with its energy. The numbers
are round ones typical of LHC experiments (Delphes 3, arXiv:1307.6346, parametrises them in more detail).
"""

from __future__ import annotations

from collections.abc import Sequence

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from processors.simulate.settings import DetectorSettings

__all__ = ["detect", "energy_resolution"]

NEUTRINOS = (12, 14, 16)
PHOTON = 22
NEUTRAL_HADRONS = (130, 310, 2112, 3122, 3322)
"""K⁰L, K⁰S, n, Λ, Ξ⁰: the neutral hadrons that can be final particles."""


def detect(
    particles: ak.Array,
    rng: np.random.Generator,
    settings: DetectorSettings | None = None,
    invisible: Sequence[int] = NEUTRINOS,
) -> ak.Array:
    """Turn the record of a generator into measured particles.

    Parameters
    ----------
    particles : (n_events,) array of lists of records
        Fields `id` (PDG), `status` (positive: final) and `p` with px, py, pz, e in GeV.
    rng : numpy.random.Generator
    settings : DetectorSettings, optional
        Default: the table above.
    invisible : sequence of int
        PDG identifiers, without sign, of the particles that are not seen.

    Returns
    -------
    (n_events,) array of lists of records
        Fields px, py, pz, E, float64, GeV.
    """
    settings = settings or DetectorSettings()
    seen = particles[_visible(particles, settings, invisible)]
    momentum = seen.p
    energy = ak.to_numpy(ak.flatten(momentum.e)).astype(np.float64)
    spread = energy_resolution(ak.to_numpy(ak.flatten(seen.id)), energy, settings)
    scale = np.maximum(rng.normal(1.0, spread), 0.0)
    counts = ak.num(seen, axis=1)
    fields = {"px": momentum.px, "py": momentum.py, "pz": momentum.pz, "E": momentum.e}
    smeared = {name: ak.to_numpy(ak.flatten(value)) * scale for name, value in fields.items()}
    return ak.unflatten(ak.zip(smeared), counts)[ak.unflatten(scale > 0, counts)]


def energy_resolution(
    particle_id: NDArray[np.int32], energy: NDArray[np.float64], settings: DetectorSettings | None = None
) -> NDArray[np.float64]:
    """Relative energy resolution.

    Parameters
    ----------
    particle_id : (n,) int32
        PDG identifier.
    energy : (n,) float64, GeV
    settings : DetectorSettings, optional

    Returns
    -------
    (n,) float64
    """
    kind, used = np.abs(particle_id), settings or DetectorSettings()
    photon = np.hypot(used.photon_stochastic / np.sqrt(energy), used.photon_constant)
    hadron = np.hypot(used.hadron_stochastic / np.sqrt(energy), used.hadron_constant)
    chosen: NDArray[np.float64] = np.select(
        [kind == PHOTON, np.isin(kind, NEUTRAL_HADRONS)], [photon, hadron], used.charged
    )
    return chosen


def _visible(particles: ak.Array, settings: DetectorSettings, invisible: Sequence[int]) -> ak.Array:
    momentum, kind = particles.p, abs(particles.id)
    transverse = np.hypot(momentum.px, momentum.py)
    central = abs(momentum.pz) < np.sinh(settings.eta_max) * transverse
    seen = (particles.status > 0) & central & (transverse > settings.pt_min)
    for one in invisible:
        seen = seen & (kind != one)
    return seen
