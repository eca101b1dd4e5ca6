"""Veto maps: regions in η and φ where the detector was faulty."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.errors import ConfigError
from processors.objects import Floats, Jet
from processors.selection.corrections import Correction, evaluate, find_correction

__all__ = ["in_vetoed_region", "veto_map_correction"]

INPUTS = ("type", "eta", "phi")
ETA_EDGE = 5.19
PHI_EDGE = math.nextafter(3.14159, 0.0)
"""Maps end at 5.191 and 3.14159 or slightly above; values beyond belong to the outermost cells."""


def in_vetoed_region(jet: Jet, selection: SelectionConfig) -> NDArray[np.bool_]:
    """Find the jets that lie in a vetoed cell of `SelectionConfig.veto_map`.

    Parameters
    ----------
    jet : Jet
    selection : SelectionConfig

    Returns
    -------
    (n_events,) bool
        False for jets whose direction is not finite.

    Raises
    ------
    ConfigError
        If the map cannot be used.
    """
    inputs: dict[str, Floats | str] = {
        "type": selection.veto_map_type,
        "eta": np.where(np.isfinite(jet.eta), np.clip(jet.eta, -ETA_EDGE, ETA_EDGE), np.nan),
        "phi": np.where(np.isfinite(jet.phi), np.clip(jet.phi, -PHI_EDGE, PHI_EDGE), np.nan),
    }
    values = evaluate(veto_map_correction(selection), inputs)
    vetoed: NDArray[np.bool_] = (values != 0) & ~np.isnan(values)
    return vetoed


def veto_map_correction(selection: SelectionConfig) -> Correction:
    """Return the veto map of the configuration.

    Raises
    ------
    ConfigError
        If the configuration has no map, or the map cannot be used.
    """
    if selection.veto_map is None:
        msg = "selection.veto_map is not set."
        raise ConfigError(msg)
    keys = ("selection.veto_map", "selection.veto_map_name")
    correction = find_correction(selection.veto_map, selection.veto_map_name, keys)
    if sorted(names := [one.name for one in correction.inputs]) != sorted(INPUTS):
        msg = (
            f"selection.veto_map: the correction '{correction.name}' in {selection.veto_map.path} takes "
            f"{', '.join(names)}; a veto map takes {', '.join(INPUTS)}. Name another one."
        )
        raise ConfigError(msg)
    return correction
