"""Large-radius jets and their substructure, from fastjet (Cacciari, Salam, Soyez, arXiv:1111.6097).

Jets are anti-kt with R = 1.0. The groomed mass is the soft-drop mass (arXiv:1402.2657) with z_cut = 0.1 and β = 0, for
the jet reclustered with Cambridge/Aachen. N-subjettiness τ1 to τ4 (arXiv:1011.2268) uses β = 1 and axes from exclusive
kt jets, minimised once, and is normalised by Σ pT R. Declusterings are those of the primary Lund plane
(arXiv:1807.04758): the harder branch of the jet reclustered with Cambridge/Aachen is followed, without grooming.
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

__all__ = [
    "CONSTITUENTS",
    "DECLUSTERING_FIELDS",
    "JET_FIELDS",
    "JET_RADIUS",
    "declusterings",
    "find_jets",
    "silent_stdout",
    "substructure",
]

JET_RADIUS = 1.0
WHOLE_JET = 10.0
"""Radius for reclustering the constituents of a jet into one jet."""

TAUS = (1, 2, 3, 4)

JET_FIELDS = ("pt", "eta", "phi", "mass", "msoftdrop", *(f"tau{n}" for n in TAUS))

CONSTITUENTS = "constituents"
"""Field of the jets that holds the list of their constituents."""

N_DECLUSTERINGS = 12
"""Declusterings kept of a jet, those of the widest angles."""

LEAST_KT = 1.0
"""Lowest kT of a declustering, GeV."""

DECLUSTERING_FIELDS = tuple(f"lund{name}{n}" for n in range(1, N_DECLUSTERINGS + 1) for name in ("Delta", "Kt"))


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


def find_jets(
    particles: ak.Array, *, n_jets: int, pt_min: float, declustered: bool = False, constituents: bool = False
) -> ak.Array:
    """Cluster jets and measure them.

    Parameters
    ----------
    particles : (n_events,) array of lists of records
        Fields px, py, pz, E in GeV.
    n_jets : int
        Maximum number of jets kept, leading in pT.
    pt_min : float
        Lowest jet pT, GeV.
    declustered : bool
        Whether to add the declusterings.
    constituents : bool
        Whether to add the constituents.

    Returns
    -------
    (n_events,) array of lists of records
        Fields `JET_FIELDS` and, if requested, `DECLUSTERING_FIELDS`, float64; pt, mass, msoftdrop and kT in GeV.
        If requested, `CONSTITUENTS`: lists of records pt, eta, phi, mass, float64. Ordered in pT.
    """
    import fastjet  # noqa: PLC0415

    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, JET_RADIUS)
    found = fastjet.ClusterSequence(particles, definition).constituents(min_pt=pt_min)
    total = {name: ak.sum(found[name], axis=-1) for name in ("px", "py", "pz", "E")}
    order = ak.argsort(np.hypot(total["px"], total["py"]), axis=1, ascending=False)[:, :n_jets]
    counts = ak.num(order, axis=1)
    flat = {name: ak.to_numpy(ak.flatten(value[order])) for name, value in total.items()}
    inside = ak.flatten(found[order], axis=1)
    columns: dict[str, Any] = {**_kinematics(**flat), **substructure(inside)}
    columns |= declusterings(inside) if declustered else {}
    if constituents:
        parts = {name: ak.to_numpy(ak.flatten(inside[name])) for name in total}
        columns[CONSTITUENTS] = ak.unflatten(ak.zip(_kinematics(**parts)), ak.num(inside))
    return ak.unflatten(ak.zip(columns, depth_limit=1), counts)


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


def declusterings(jets: ak.Array) -> dict[str, NDArray[np.float64]]:
    """Follow the harder branch of each jet.

    Parameters
    ----------
    jets : (n_jets,) array of lists of records
        Constituents with px, py, pz, E in GeV.

    Returns
    -------
    dict of (n_jets,) float64
        "lundDelta1" and "lundKt1" (GeV) of the declustering of the widest angle with a kT of at least `LEAST_KT`,
        and so on; 0 where a jet has fewer.
    """
    import fastjet  # noqa: PLC0415

    if not len(jets):
        return {name: np.zeros(0) for name in DECLUSTERING_FIELDS}
    definition = fastjet.JetDefinition(fastjet.cambridge_algorithm, WHOLE_JET)
    found = fastjet.ClusterSequence(jets, definition).exclusive_jets_lund_declusterings(njets=1)
    primary = ak.flatten(found, axis=2)
    hard = ak.pad_none(primary[primary.kt >= LEAST_KT], N_DECLUSTERINGS, axis=1, clip=True)
    values = {"Delta": hard.Delta, "Kt": hard.kt}
    filled = {name: ak.to_numpy(ak.fill_none(column, 0.0)).astype(np.float64) for name, column in values.items()}
    return {f"lund{name}{n + 1}": filled[name][:, n] for n in range(N_DECLUSTERINGS) for name in values}


def _kinematics(**total: Any) -> dict[str, NDArray[np.float64]]:
    px, py, pz, energy = (total[name] for name in ("px", "py", "pz", "E"))
    pt = np.hypot(px, py)
    return {
        "pt": pt,
        "eta": np.arcsinh(pz / pt),
        "phi": np.arctan2(py, px),
        "mass": np.sqrt(np.maximum(energy**2 - pt**2 - pz**2, 0.0)),
    }
