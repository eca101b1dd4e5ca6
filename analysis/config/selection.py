"""The section `[selection]` of the configuration."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import SerializerFunctionWrapHandler, model_serializer, model_validator

from analysis.config.calibration import CalibrationConfig
from analysis.config.model import ConfigFile, File, Model, NonNegative, Positive

__all__ = ["SelectionConfig"]

_LATER: dict[str, Any] = {"optional_features": (), "calibration": None}
"""Newer keys and the values that leave them unused."""


class SelectionConfig(Model):
    """Selection of dijet events, and definition of their jets. Masses and momenta in GeV.

    Attributes
    ----------
    jet_collection : str, optional
        Name of the large-R jet collection, without separator; by default the collection of the format, such as FatJet.
    jet_mass : str
        Mass used by the features and the mass window; m_jj always uses the ungroomed four-vectors.
    jet_order : str
        "mass": jet 1 has the larger `jet_mass`; "pt": jet 1 has the larger p_T.
    lumi_mask : file, optional
        Certified luminosity sections, a "golden JSON"; for datasets of kind "data" only.
    triggers : tuple of str
        Branches, at least one of which must be true; if empty, no requirement.
    event_filters : tuple of str
        Branches that must all be true.
    jet_id : str
        Jet ID of both jets: "off", "tight" or "tight_lepton_veto", from the branch `jetId` if the file has it.
    jet_id_file, jet_id_correction : file, str, optional
        correctionlib JSON and its correction for computing the jet ID of files without that branch; by default
        AK8PUPPI_Tight or AK8PUPPI_TightLeptonVeto.
    veto_map, veto_map_name, veto_map_type : file, str, str
        correctionlib JSON with vetoed detector regions, the name of its correction (optional for a single correction)
        and the type of map. Events with one of the two jets in a vetoed region are rejected.
    pt_min, leading_pt_min : float
        Smallest p_T of both jets and of the leading jet.
    abs_eta_max : float
        Largest |η| of both jets.
    jet_mass_min, jet_mass_max : float
        Window in `jet_mass` for both jets, [min, max).
    abs_dy_search, abs_dy_validation : float
        Events below the first value are searched; events between the two are kept for validation.
    mjj_min, mjj_max : float
        Dijet masses that are written to the table, [min, max); by default without an upper end.
    optional_features : tuple of str
        Optional features that become columns of the table, beside those of `learning.features` and of the variants.
    calibration : CalibrationConfig, optional
        Calibration of the jets; by default they are as in the file.
    """

    jet_collection: str | None = None
    jet_mass: Literal["ungroomed", "softdrop", "trimmed", "pruned"] = "ungroomed"
    jet_order: Literal["mass", "pt"] = "mass"
    lumi_mask: File | None = None
    triggers: tuple[str, ...] = ()
    event_filters: tuple[str, ...] = ()
    jet_id: Literal["off", "tight", "tight_lepton_veto"] = "off"
    jet_id_file: File | None = None
    jet_id_correction: str | None = None
    veto_map: File | None = None
    veto_map_name: str | None = None
    veto_map_type: str = "jetvetomap"
    pt_min: NonNegative = 200.0
    leading_pt_min: NonNegative = 500.0
    abs_eta_max: Positive = 2.5
    jet_mass_min: NonNegative = 0.0
    jet_mass_max: Positive = 13000.0
    abs_dy_search: Positive = 1.2
    abs_dy_validation: Positive = 2.0
    mjj_min: NonNegative = 1000.0
    mjj_max: Positive | None = None
    optional_features: tuple[str, ...] = ()
    calibration: CalibrationConfig | None = None

    @model_serializer(mode="wrap")
    def _without_unused(self, serialise: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out newer keys unless they are used: records from before they existed stay valid."""
        document: dict[str, Any] = serialise(self)
        unused = [name for name, value in _LATER.items() if getattr(self, name) == value]
        return {name: value for name, value in document.items() if name not in unused}

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.abs_dy_validation < self.abs_dy_search:
            msg = "abs_dy_validation must not be below abs_dy_search"
            raise ValueError(msg)
        if self.jet_mass_max <= self.jet_mass_min:
            msg = "jet_mass_max must be above jet_mass_min"
            raise ValueError(msg)
        if self.mjj_max is not None and self.mjj_max <= self.mjj_min:
            msg = "mjj_max must be above mjj_min"
            raise ValueError(msg)
        for name, kind in (("triggers", "branches"), ("event_filters", "branches"), ("optional_features", "features")):
            if not all(names := getattr(self, name)) or len(set(names)) != len(names):
                msg = f"{name} must name {kind}, and none twice"
                raise ValueError(msg)
        return self

    def files(self) -> dict[str, ConfigFile]:
        """Return the files of the selection, by key; those of the calibration as "calibration.<key>"."""
        calibration = {} if self.calibration is None else self.calibration.files()
        return self._own_files() | {f"calibration.{name}": file for name, file in calibration.items()}

    def _own_files(self) -> dict[str, ConfigFile]:
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {name: value for name, value in values.items() if isinstance(value, ConfigFile)}

    def loaded(self) -> Self:
        """Return the same selection with its files read.

        Raises
        ------
        ConfigError
            If a file cannot be read.
        """
        files = {name: file.loaded(f"selection.{name}") for name, file in self._own_files().items()}
        calibration = None if self.calibration is None else self.calibration.loaded()
        return self.model_copy(update={**files, "calibration": calibration})

    def identity(self) -> dict[str, Any]:
        """Return the keys that determine the selected events, JSON-ready, with the content of files for their paths.

        The optional features are columns, and no part of it.

        Raises
        ------
        ConfigError
            If a file cannot be read.
        """
        contents: dict[str, Any] = {name: file.sha256 for name, file in self.loaded()._own_files().items()}
        if self.calibration is not None:
            contents["calibration"] = self.calibration.identity()
        return self.model_dump(mode="json", exclude={"optional_features"}) | contents
