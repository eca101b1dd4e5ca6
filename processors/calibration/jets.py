"""Calibrated jets of a chunk, in place of those of the file."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from processors.calibration.energy import corrected_scale
from processors.calibration.inputs import Chunk
from processors.calibration.matching import Directions
from processors.calibration.smearing import Smearing, make_smearing
from processors.calibration.softdrop import SoftDropMass, make_softdrop_mass
from processors.objects import Dijets, Floats, Index, Jet, JetSource, dijet_kinematics, leading_pair

__all__ = ["CalibratedJets", "calibrate"]


@dataclass(frozen=True)
class CalibratedJets:
    """All jets of a chunk, calibrated; see `processors.objects.JetSource`.

    Attributes
    ----------
    source : JetSource
        Jets of the file.
    pt : (n_jets,) float64
        GeV.
    factor : (n_jets,) float64
        On the stored four-momentum.
    smearing : Smearing or None
    softdrop : SoftDropMass or None
        None if `jet_mass` is not groomed, or not calibrated.
    groomed : bool
        Whether `jet_mass` is a groomed mass.
    """

    source: JetSource
    pt: Floats
    factor: Floats
    smearing: Smearing | None
    softdrop: SoftDropMass | None
    groomed: bool

    def column(self, name: str, index: Index) -> Floats:
        """Return one column of some jets, (n,) float64."""
        if name == "pt":
            return self.pt[index]
        if name == "mass" or (name == "jet_mass" and not self.groomed):
            return self.source.column(name, index) * self.factor[index]
        if name == "jet_mass" and self.softdrop is not None:
            return self.softdrop.values()[index]
        return self.source.column(name, index)


def calibrate(dijets: Dijets, selection: SelectionConfig) -> Dijets:
    """Calibrate all jets of a chunk, and choose the two with the largest p_T again.

    Parameters
    ----------
    dijets : Dijets
        As an adapter returns them.
    selection : SelectionConfig
        With its files read.

    Returns
    -------
    Dijets
        The same ones if the selection has no calibration.

    Raises
    ------
    ConfigError
        If a run of data has no correction.
    InputFileError
        If a branch is missing.
    """
    if selection.calibration is None:
        return dijets
    jets = _calibrated(Chunk(dijets, selection.calibration), selection)
    _, first, second = leading_pair(dijets.jet_counts, jets.pt)
    one, two = (
        Jet(jets, index, _directions(old, index)) for old, index in ((dijets.first, first), (dijets.second, second))
    )
    mjj, abs_dy = dijet_kinematics(one, two)
    return replace(dijets, first=one, second=two, mjj=mjj, abs_dy=abs_dy)


def _directions(old: Jet, index: NDArray[np.intp]) -> dict[str, Floats]:
    """Columns that no calibration changes, if the jets are the same ones."""
    if not np.array_equal(old.index, index):
        return {}
    return {name: values for name, values in old.known.items() if name in ("eta", "phi")}


def _calibrated(chunk: Chunk, selection: SelectionConfig) -> CalibratedJets:
    config, counts = chunk.config, chunk.dijets.jet_counts
    factor = np.ones(int(counts.sum()))
    if config.data if chunk.is_data else config.jec is not None:
        factor = corrected_scale(chunk, selection, chunk.column, chunk.column("rawFactor"), counts)
    pt = chunk.column("pt") * factor
    event = np.repeat(np.arange(len(counts)), counts)
    directions = Directions(chunk.column("eta"), chunk.column("phi"), pt, event)
    smearing = None
    if config.jer_resolution is not None and not chunk.is_data:
        smearing = make_smearing(chunk, factor, directions)
        smeared = smearing.factor()
        factor, pt = factor * smeared, pt * smeared
    groomed = selection.jet_mass != "ungroomed"
    softdrop = make_softdrop_mass(chunk, selection, directions) if groomed else None
    return CalibratedJets(chunk.dijets.first.source, pt, factor, smearing, softdrop, groomed)
