"""Large-radius jets and their substructure, from fastjet (Cacciari, Salam, Soyez, arXiv:1111.6097).

Jets are anti-kt with R = 1.0. The groomed mass is the soft-drop mass (arXiv:1402.2657) with z_cut = 0.1 and β = 0, for
the jet reclustered with Cambridge/Aachen. N-subjettiness τ1 to τ4 (arXiv:1011.2268) uses β = 1 and axes from exclusive
kt jets, minimised once, and is normalised by Σ pT R.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

__all__ = ["JET_FIELDS", "JET_RADIUS", "find_jets", "silent_stdout", "substructure"]

JET_RADIUS = 1.0
WHOLE_JET = 10.0
"""Radius for reclustering the constituents of a jet into one jet."""

TAUS = (1, 2, 3, 4)

JET_FIELDS = ("pt", "eta", "phi", "mass", "msoftdrop", *(f"tau{n}" for n in TAUS))


@contextmanager
def silent_stdout() -> Iterator[None]:
    """Suppress banners of C++ libraries: discard all output to file descriptor 1."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def find_jets(particles: ak.Array, *, n_jets: int, pt_min: float) -> ak.Array:
    """Cluster jets and measure them.

    Parameters
    ----------
    particles : (n_events,) array of lists of records
        Fields px, py, pz, E in GeV.
    n_jets : int
        Maximum number of jets kept, leading in pT.
    pt_min : float
        Lowest jet pT, GeV.

    Returns
    -------
    (n_events,) array of lists of records
        Fields `JET_FIELDS`, float64; pt, mass, msoftdrop in GeV. Ordered in pT.
    """
    import fastjet  # noqa: PLC0415

    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, JET_RADIUS)
    constituents = fastjet.ClusterSequence(particles, definition).constituents(min_pt=pt_min)
    total = {name: ak.sum(constituents[name], axis=-1) for name in ("px", "py", "pz", "E")}
    order = ak.argsort(np.hypot(total["px"], total["py"]), axis=1, ascending=False)[:, :n_jets]
    counts = ak.num(order, axis=1)
    flat = {name: ak.to_numpy(ak.flatten(value[order])) for name, value in total.items()}
    columns = {**_kinematics(**flat), **substructure(ak.flatten(constituents[order], axis=1))}
    return ak.unflatten(ak.zip(columns), counts)


def substructure(jets: ak.Array) -> dict[str, NDArray[np.float64]]:
    """Compute the groomed mass and N-subjettiness of jets.

    Parameters
    ----------
    jets : (n_jets,) array of lists of records
        Constituents with px, py, pz, E in GeV.

    Returns
    -------
    dict of (n_jets,) float64
        "msoftdrop" (GeV) and "tau1" to "tau4".
    """
    import fastjet  # noqa: PLC0415

    if not len(jets):
        return {name: np.zeros(0) for name in JET_FIELDS[4:]}
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, WHOLE_JET)
    sequence = fastjet.ClusterSequence(jets, definition)
    groomed = sequence.exclusive_jets_softdrop_grooming(njets=1, beta=0.0, symmetry_cut=0.1, R0=JET_RADIUS)
    taus = ak.to_numpy(
        sequence.njettiness(
            measure_definition="NormalizedMeasure",
            axes_definition="OnePass_KT_Axes",
            njets=list(TAUS),
            beta=1.0,
            R0=JET_RADIUS,
        )
    ).reshape(len(jets), len(TAUS))
    mass = ak.to_numpy(ak.flatten(groomed.msoftdrop, axis=None)).astype(np.float64)
    return {"msoftdrop": np.maximum(mass, 0.0), **{f"tau{n}": taus[:, index] for index, n in enumerate(TAUS)}}


def _kinematics(**total: Any) -> dict[str, NDArray[np.float64]]:
    px, py, pz, energy = (total[name] for name in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    return {
        "pt": pt,
        "eta": np.arcsinh(pz / pt),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0)),
    }
