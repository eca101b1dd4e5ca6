"""Checks of a calibration before anything is read, and the systematics that it serves."""

from __future__ import annotations

from collections.abc import Collection

from analysis.config import CalibrationConfig, SelectionConfig, SystematicConfig
from analysis.errors import ConfigError
from processors.calibration.inputs import find_named
from processors.calibration.variations import NEEDED, SOURCE
from processors.selection.corrections import find_correction

__all__ = ["calibrated_entries", "require_usable"]


def require_usable(selection: SelectionConfig, kinds: Collection[str]) -> None:
    """Look up all corrections of a calibration.

    Parameters
    ----------
    selection : SelectionConfig
        With its files read.
    kinds : collection of str
        Kinds of the datasets.

    Raises
    ------
    ConfigError
        If a correction is missing, has unknown inputs, or does not fit the datasets.
    """
    config = selection.calibration
    if config is None:
        return
    for key in ("jec", "jer_resolution", "jer_scale_factor", "jer_uncertainty"):
        if (name := getattr(config, key)) is not None:
            find_named(config.file, name, key)
    _require_scale_factor(config)
    for one in config.data:
        find_named(config.file, one.jec, "data.jec")
        if one.subjet_jec is not None:
            find_named(config.subjet_file, one.subjet_jec, "data.subjet_jec", "subjet_file")
    if config.subjet_jec is not None:
        find_named(config.subjet_file, config.subjet_jec, "subjet_jec", "subjet_file")
    if config.changes_groomed_mass and selection.jet_mass == "ungroomed":
        msg = (
            "selection.calibration corrects the soft-drop mass, but selection.jet_mass = 'ungroomed'. Set "
            "selection.jet_mass to 'softdrop', or leave out subjet_jec, jms and jmr."
        )
        raise ConfigError(msg)
    if config.jec is not None and "data" in kinds and not config.data:
        msg = (
            "selection.calibration.jec corrects simulation, and there is no correction for the datasets of kind data. "
            "Add [[selection.calibration.data]] with its `jec` and, if there are several, its `runs`."
        )
        raise ConfigError(msg)


def _require_scale_factor(config: CalibrationConfig) -> None:
    if config.jer_scale_factor is None:
        return
    correction = find_named(config.file, config.jer_scale_factor, "jer_scale_factor")
    texts = [one.name for one in correction.inputs if one.type == "string"]
    if len(texts) > 1:
        msg = (
            f"selection.calibration.jer_scale_factor: the correction '{correction.name}' has the text inputs "
            f"{', '.join(texts)}; a scale factor has at most one, for nom, up and down. Name another correction."
        )
        raise ConfigError(msg)


def calibrated_entries(
    entries: tuple[SystematicConfig, ...], calibration: CalibrationConfig | None
) -> tuple[SystematicConfig, ...]:
    """Give entries of the configuration the corrections that they take from the calibration.

    Parameters
    ----------
    entries : tuple of SystematicConfig
    calibration : CalibrationConfig or None

    Returns
    -------
    tuple of SystematicConfig

    Raises
    ------
    ConfigError
        If an entry needs what the calibration does not have.
    """
    return tuple(_with_correction(one, calibration) for one in entries)


def _with_correction(entry: SystematicConfig, calibration: CalibrationConfig | None) -> SystematicConfig:
    if entry.kind not in NEEDED:
        return entry
    missing = NEEDED[entry.kind]
    if calibration is None or not all(getattr(calibration, key) for key in missing):
        wanted = "".join(f" with {key}" for key in missing)
        msg = f"{entry.where} varies the calibration of the jets: add [selection.calibration]{wanted}."
        raise ConfigError(msg)
    if entry.kind != SOURCE:
        _require_two_sides(entry, calibration)
        return entry
    if entry.source is None:
        return entry  # refused later, with the keys that it needs
    name = entry.correction or _of_source(calibration, entry)
    find_correction(calibration.file, name, ("selection.calibration.file", f"the `source` of {entry.where}"))
    inputs = {"JetEta": "eta", "JetPt": "pt", "JetPhi": "phi", "JetA": "area"}
    return entry.model_copy(update={"file": calibration.file, "correction": name, "inputs": inputs})


def _of_source(calibration: CalibrationConfig, entry: SystematicConfig) -> str:
    """Return the correction of a source: that of the energy with the source in place of its level."""
    parts = (calibration.jec or "").rsplit("_", 2)
    if len(parts) != 3:
        msg = (
            f"{entry.where}: the name of a source is put in the place of the level in selection.calibration.jec, as in "
            "TAG_L1L2L3Res_AK8PFPuppi, and that name has none. Give the entry its `correction`."
        )
        raise ConfigError(msg)
    return f"{parts[0]}_{entry.source}_{parts[2]}"


def _require_two_sides(entry: SystematicConfig, calibration: CalibrationConfig) -> None:
    if entry.kind != "jer-scale-factor" or calibration.jer_uncertainty is not None:
        return
    correction = find_named(calibration.file, calibration.jer_scale_factor or "", "jer_scale_factor")
    if all(one.type != "string" for one in correction.inputs):
        msg = (
            f"{entry.where}: the correction '{correction.name}' has no text input with up and down. Set "
            "selection.calibration.jer_uncertainty to the correction with its uncertainty."
        )
        raise ConfigError(msg)
