"""Systematics of the calibration: kinds of `[[systematics]]` that vary what `[selection.calibration]` applies."""

from __future__ import annotations

import numpy as np

from analysis.errors import ConfigError
from processors.calibration.jets import CalibratedJets
from processors.objects import Floats
from processors.systematics import ChunkJets, Factor, jet_energy_scale, object_systematic

__all__ = ["NEEDED", "SOURCE"]

SOURCE = "jec-source"

NEEDED: dict[str, tuple[str, ...]] = {
    SOURCE: ("jec",),
    "jer-scale-factor": ("jer_scale_factor",),
    "softdrop-mass-scale": (),
    "softdrop-mass-resolution": ("jmr_resolution",),
}
"""Keys of the calibration that each kind needs."""


@object_systematic(SOURCE, needs=(("source",),))
def jec_source(jets: ChunkJets) -> dict[str, Factor]:
    """Four-momenta times 1 ± the uncertainty of one source, at the calibrated p_T."""
    return dict(jet_energy_scale(jets))


@object_systematic("jer-scale-factor", needs=((),))
def jer_scale_factor(jets: ChunkJets) -> dict[str, Factor]:
    """Four-momenta smeared with the scale factor of the resolution up or down, in place of the nominal one."""
    source = _calibrated(jets)
    assert source.smearing is not None
    factor: Factor = source.smearing.factor("up" if jets.sign > 0 else "down") / source.smearing.factor()
    columns = ("pt", "mass") if source.groomed else ("pt", "mass", "jet_mass")
    return dict.fromkeys(columns, factor)


@object_systematic("softdrop-mass-scale", needs=(("value",),))
def softdrop_mass_scale(jets: ChunkJets) -> dict[str, Factor]:
    """Soft-drop masses with the scale factor `jms` plus or minus `value`; m_jj does not change."""
    return _mass_ratio(jets, scale_shift=jets.sign * (jets.config.value or 0.0))


@object_systematic("softdrop-mass-resolution", needs=(("value",),))
def softdrop_mass_resolution(jets: ChunkJets) -> dict[str, Factor]:
    """Soft-drop masses with the scale factor `jmr` plus or minus `value`; m_jj does not change."""
    return _mass_ratio(jets, resolution_shift=jets.sign * (jets.config.value or 0.0))


def _mass_ratio(jets: ChunkJets, *, scale_shift: float = 0.0, resolution_shift: float = 0.0) -> dict[str, Factor]:
    source = _calibrated(jets)
    if source.softdrop is None:
        msg = f"{jets.config.where} varies the soft-drop mass: set selection.jet_mass to 'softdrop'."
        raise ConfigError(msg)
    nominal, varied = source.softdrop.values(), source.softdrop.varied(scale_shift, resolution_shift)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = np.where(nominal > 0, varied / nominal, 1.0)
    return {"jet_mass": ratio}


def _calibrated(jets: ChunkJets) -> CalibratedJets:
    assert isinstance(jets.source, CalibratedJets)
    return jets.source
