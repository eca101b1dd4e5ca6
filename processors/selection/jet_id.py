"""Jet ID: read from the file, or computed from the jet composition if the file does not provide it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.errors import InputFileError
from processors.objects import Floats, Jet, Provenance
from processors.selection.corrections import Correction, evaluate, find_correction

__all__ = ["jet_id_correction", "passes_jet_id"]

FLAG = "jetId"
BITS = {"tight": 2, "tight_lepton_veto": 4}
"""Bit 1 is loose, which is not defined after 2016, bit 2 tight, bit 3 tight with lepton veto."""

CORRECTIONS = {"tight": "AK8PUPPI_Tight", "tight_lepton_veto": "AK8PUPPI_TightLeptonVeto"}


def passes_jet_id(jet: Jet, selection: SelectionConfig, origin: Provenance) -> NDArray[np.bool_]:
    """Find the jets that pass `SelectionConfig.jet_id`.

    Parameters
    ----------
    jet : Jet
    selection : SelectionConfig
    origin : Provenance
        File and dataset, for messages.

    Returns
    -------
    (n_events,) bool

    Raises
    ------
    ConfigError
        If the file with the criteria cannot be used.
    InputFileError
        If the file has neither the flag nor the branches for the criteria.
    """
    try:
        flags = jet.column(FLAG)
    except InputFileError as error:
        return _computed(jet, selection, origin, error)
    passes: NDArray[np.bool_] = (flags.astype(np.int64) & BITS[selection.jet_id]) != 0
    return passes


def jet_id_correction(selection: SelectionConfig) -> Correction | None:
    """Return the criteria of the configuration, or None if it has none.

    Raises
    ------
    ConfigError
        If the configured file cannot be used.
    """
    if selection.jet_id_file is None or selection.jet_id == "off":
        return None
    name = selection.jet_id_correction or CORRECTIONS[selection.jet_id]
    return find_correction(selection.jet_id_file, name, ("selection.jet_id_file", "selection.jet_id_correction"))


def _computed(jet: Jet, selection: SelectionConfig, origin: Provenance, missing: InputFileError) -> NDArray[np.bool_]:
    correction = jet_id_correction(selection)
    if correction is None:
        msg = (
            f"{origin.where}: selection.jet_id = '{selection.jet_id}', but the jets have no branch {FLAG}. Set "
            "selection.jet_id_file to the criteria as a correctionlib JSON file (for CMS NanoAOD from v15 on: "
            "jetid.json.gz of the JetMET group), or selection.jet_id = 'off'."
        )
        raise InputFileError(msg) from missing
    try:
        inputs: dict[str, Floats | str] = {one.name: _input(jet, one.name) for one in correction.inputs}
    except InputFileError as error:
        msg = (
            f"{origin.where}: selection.jet_id = '{selection.jet_id}': the jets have neither a branch {FLAG} nor all "
            f"that the correction '{correction.name}' needs. {error} Or set selection.jet_id = 'off'."
        )
        raise InputFileError(msg) from error
    return evaluate(correction, inputs) > 0.5


def _input(jet: Jet, name: str) -> Floats:
    if name == "multiplicity":
        return jet.column("chMultiplicity") + jet.column("neMultiplicity")
    return jet.column(name)
