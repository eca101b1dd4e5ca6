"""The section `[selection.calibration]` of the configuration."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from analysis.config.model import ConfigFile, File, Model, Positive

__all__ = ["CalibrationConfig", "RunCorrection"]

Run = Annotated[int, Field(ge=0, lt=2**32)]

FILES = ("file", "subjet_file")


class RunCorrection(Model):
    """Energy correction of data in a range of runs.

    Attributes
    ----------
    jec : str
        Correction of the jets, as `CalibrationConfig.jec`.
    subjet_jec : str, optional
        Correction of the subjets; required if simulation has one.
    runs : (first, last), optional
        First and last run, both included; by default all runs.
    """

    jec: str
    subjet_jec: str | None = None
    runs: tuple[Run, Run] | None = None

    @model_validator(mode="after")
    def _rising(self) -> Self:
        if self.runs is not None and self.runs[1] < self.runs[0]:
            msg = "runs must be [first, last] with first <= last"
            raise ValueError(msg)
        return self


class CalibrationConfig(Model):
    """Calibration of large-R jets from correctionlib files of the JetMET group, applied before the selection.

    Attributes
    ----------
    file : file
        Corrections of the jets, such as fatJet_jerc.json.gz.
    jec : str, optional
        Energy correction of simulation, mostly a compound one such as Summer19UL18_V5_MC_L1L2L3Res_AK8PFPuppi. It
        replaces the correction in the file; without it, that one is kept.
    data : tuple of RunCorrection
        Energy corrections of data, by run.
    jer_resolution, jer_scale_factor : str, optional
        Relative p_T resolution and its scale factor, for the smearing of simulation; both or none.
    jer_uncertainty : str, optional
        Uncertainty of the scale factor, if the scale factor has no text input with "up" and "down".
    subjet_file, subjet_jec : file, str, optional
        Corrections of subjets, such as jet_jerc.json.gz, and the one of simulation: the soft-drop mass is computed
        again from corrected subjets.
    subjet_area : float, optional
        Area of subjets in files that do not store it.
    jms, jmr : float
        Scale factors of the soft-drop mass and of its resolution in simulation.
    jmr_resolution : float, optional
        Relative resolution of the soft-drop mass, for jets without generator jet.
    rho : str, optional
        Branch with the energy density of pile-up; by default fixedGridRhoFastjetAll, in its old or its new place.
    gen_jets, subjets, gen_subjets : str
        Collections of generator jets, subjets, and subjets of generator jets.
    radius : float
        R of the jets; a generator jet matches within R/2.
    seed : int
        Seed of the stochastic smearing.
    """

    file: File
    jec: str | None = None
    data: tuple[RunCorrection, ...] = ()
    jer_resolution: str | None = None
    jer_scale_factor: str | None = None
    jer_uncertainty: str | None = None
    subjet_file: File | None = None
    subjet_jec: str | None = None
    subjet_area: Positive | None = None
    jms: Positive = 1.0
    jmr: Positive = 1.0
    jmr_resolution: Positive | None = None
    rho: str | None = None
    gen_jets: str = "GenJetAK8"
    subjets: str = "SubJet"
    gen_subjets: str = "SubGenJetAK8"
    radius: Positive = 0.8
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.jer_resolution is None) != (self.jer_scale_factor is None):
            msg = "jer_resolution and jer_scale_factor need each other"
            raise ValueError(msg)
        if self.subjet_jec is not None and self.subjet_file is None:
            msg = "subjet_jec needs subjet_file"
            raise ValueError(msg)
        if self.jmr > 1 and self.jmr_resolution is None:
            msg = "jmr above 1 needs jmr_resolution, for jets without generator jet"
            raise ValueError(msg)
        for one in self.data:
            if (one.subjet_jec is None) != (self.subjet_jec is None):
                msg = "subjet_jec must be set for simulation and for every entry of data, or for none"
                raise ValueError(msg)
        self._require_distinct_runs()
        return self

    def _require_distinct_runs(self) -> None:
        if len(self.data) > 1 and any(one.runs is None for one in self.data):
            msg = "every entry of data needs runs if there is more than one"
            raise ValueError(msg)
        ranges = sorted(one.runs for one in self.data if one.runs is not None)
        for (_, last), (first, _) in pairwise(ranges):
            if first <= last:
                msg = f"two entries of data hold run {first}"
                raise ValueError(msg)

    @property
    def changes_groomed_mass(self) -> bool:
        """Whether the soft-drop mass is calibrated."""
        return self.subjet_jec is not None or self.jms != 1 or self.jmr != 1

    def files(self) -> dict[str, ConfigFile]:
        """Return the files, by key."""
        return {name: file for name in FILES if (file := getattr(self, name)) is not None}

    def loaded(self) -> Self:
        """Return the same calibration with its files read.

        Raises
        ------
        ConfigError
            If a file cannot be read.
        """
        files = self.files().items()
        return self.model_copy(update={name: file.loaded(f"selection.calibration.{name}") for name, file in files})

    def identity(self) -> dict[str, Any]:
        """Return the keys that determine the calibrated jets, JSON-ready, with the content of files for their paths."""
        contents = {name: file.sha256 for name, file in self.loaded().files().items()}
        return self.model_dump(mode="json") | contents
