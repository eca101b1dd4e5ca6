"""Soft-drop mass of all jets of a chunk: from corrected subjets, with scale and resolution of data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.errors import InputFileError
from processors.calibration.energy import corrected_scale
from processors.calibration.inputs import Chunk, Collection, branches_for
from processors.calibration.matching import Directions, leading_pair_mass, match, sum_mass
from processors.calibration.smearing import hybrid_factor
from processors.objects import ALL, Floats
from processors.systematics import standard_normal

__all__ = ["SoftDropMass", "make_softdrop_mass"]

SMALLEST_FACTOR = 1e-3
"""No smearing makes a mass negative, or zero, so that variations can be ratios to the nominal mass."""


@dataclass(frozen=True)
class SoftDropMass:
    """Soft-drop masses that are computed at the first access.

    Attributes
    ----------
    unscaled : callable
        () -> (n_jets,) float64: mass before scale and smearing, GeV; NaN where grooming left no jet.
    generated : callable
        () -> (n_jets,) float64: mass at generator level, GeV; NaN without a match.
    normal : callable
        () -> (n_jets,) float64: standard normal numbers.
    scale, resolution_scale : float
        Scale factors of the mass and of its resolution; 1 for data.
    resolution : float
        Relative resolution for jets without a match.
    """

    unscaled: Callable[[], Floats]
    generated: Callable[[], Floats]
    normal: Callable[[], Floats]
    scale: float
    resolution_scale: float
    resolution: float
    _known: dict[str, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    def values(self) -> Floats:
        """(n_jets,) float64: the nominal masses, GeV."""
        if "nominal" not in self._known:
            self._known["nominal"] = self.varied()
        return self._known["nominal"]

    def varied(self, scale_shift: float = 0.0, resolution_shift: float = 0.0) -> Floats:
        """(n_jets,) float64: masses for shifted scale factors, GeV."""
        mass = self._cached("unscaled") * (self.scale + scale_shift)
        ratio = self.resolution_scale + resolution_shift
        if ratio == 1.0:
            return mass
        generated, normal = self._cached("generated"), self._cached("normal")
        factor = hybrid_factor(mass, generated, np.asarray(ratio), np.asarray(self.resolution), normal)
        smeared: Floats = np.where(mass > 0, mass * np.maximum(factor, SMALLEST_FACTOR), mass)
        return smeared

    def _cached(self, name: str) -> Floats:
        if name not in self._known:
            self._known[name] = getattr(self, name)()
        return self._known[name]


def make_softdrop_mass(chunk: Chunk, selection: SelectionConfig, directions: Directions) -> SoftDropMass:
    """Return the soft-drop masses of all jets of a chunk.

    Parameters
    ----------
    chunk : Chunk
    selection : SelectionConfig
    directions : Directions
        Of the large-R jets.

    Returns
    -------
    SoftDropMass
    """
    config = chunk.config
    recomputed = config.subjet_jec is not None and not (chunk.is_data and not config.data)
    return SoftDropMass(
        (lambda: _from_subjets(chunk, selection, directions.event)) if recomputed else lambda: chunk.column("jet_mass"),
        lambda: _generated(chunk, directions),
        lambda: standard_normal(chunk.dijets.jet_identity(), ".jmr", config.seed),
        1.0 if chunk.is_data else config.jms,
        1.0 if chunk.is_data else config.jmr,
        config.jmr_resolution or 0.0,
    )


def _from_subjets(chunk: Chunk, selection: SelectionConfig, event: NDArray[np.intp]) -> Floats:
    """Mass of the sum of the corrected subjets; the stored mass of jets without subjets."""
    subjets = Collection(chunk.dijets, chunk.config.subjets, "subjet_jec")
    counts = subjets.counts

    def column(name: str) -> Floats:
        if name in ("rho", "run"):
            return np.repeat(chunk.per_event(name), counts)
        if name == "area" and chunk.config.subjet_area is not None:
            return np.full(int(counts.sum()), chunk.config.subjet_area)
        return subjets.column(name)

    scale = corrected_scale(chunk, selection, column, subjets.column("rawFactor"), counts, subjets=True)
    masses = chunk.column("jet_mass").copy()
    places = [_place(chunk, name, event, counts) for name in ("subJetIdx1", "subJetIdx2")]
    some = np.flatnonzero((places[0] >= 0) | (places[1] >= 0))
    vectors = []
    for place in places:
        rows = place[some]
        factor = np.where(rows >= 0, scale[rows], 0.0) if len(scale) else np.zeros(len(rows))
        pt, eta, phi, mass = (column(name)[rows] for name in ("pt", "eta", "phi", "mass"))
        vectors.append([pt * factor, eta, phi, mass * factor])
    masses[some] = sum_mass(vectors)
    return masses


def _place(chunk: Chunk, name: str, event: NDArray[np.intp], counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """Position of a subjet of each jet among all subjets of the chunk; -1 if there is none."""
    with branches_for(chunk.dijets, "subjet_jec"):
        index = chunk.dijets.first.source.column(name, ALL).astype(np.intp)
    if bad := int((index >= counts[event]).sum()):
        msg = (
            f"{chunk.dijets.origin.where}: {bad} jets have in {name} the number of a subjet that their event does not "
            "have. The file is damaged, or selection.calibration.subjets names another collection."
        )
        raise InputFileError(msg)
    starts = np.cumsum(counts) - counts
    return np.where(index >= 0, starts[event] + index, -1)


def _generated(chunk: Chunk, directions: Directions) -> Floats:
    """Mass of the two hardest generator subjets in the matched generator jet."""
    config = chunk.config
    jets = Collection(chunk.dijets, config.gen_jets, "gen_jets")
    place = match(directions, jets, config.radius / 2, None)
    found = np.flatnonzero(place >= 0)
    eta, phi, pt = (jets.column(name)[place[found]] for name in ("eta", "phi", "pt"))
    subjets = Collection(chunk.dijets, config.gen_subjets, "gen_subjets")
    masses = np.full(len(place), np.nan)
    masses[found] = leading_pair_mass(Directions(eta, phi, pt, directions.event[found]), subjets, config.radius)
    return masses
