"""Inputs of corrections, by the names that the JetMET group gives them, for all jets of a chunk."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from analysis.config import CalibrationConfig, ConfigFile
from analysis.errors import ConfigError, InputFileError
from processors.objects import ALL, Dijets, Floats, as_float64
from processors.selection.corrections import Correction, evaluate, find_correction

__all__ = ["ETA_EDGE", "Chunk", "Collection", "branches_for", "correct", "find_named", "inputs_of"]

RHO = ("Rho_fixedGridRhoFastjetAll", "fixedGridRhoFastjetAll")
"""Energy density of pile-up in NanoAOD from v10 on, and before."""

ETA_EDGE = 5.19
"""Corrections end at |η| = 5.191; values beyond belong to the outermost bin."""

NUMERIC = {"JetPt": "pt", "JetEta": "eta", "JetPhi": "phi", "JetA": "area", "Rho": "rho", "run": "run", "Run": "run"}
"""Column of each numeric input that corrections may have."""


def find_named(file: ConfigFile | None, name: str, key: str, file_key: str = "file") -> Correction:
    """Look up a correction of the calibration, and check that its inputs are known.

    Parameters
    ----------
    file : ConfigFile
    name, key : str
        Name of the correction, and the key in `[selection.calibration]` that gives it.
    file_key : str
        Key of the file.

    Raises
    ------
    ConfigError
    """
    assert file is not None
    correction = find_correction(file, name, (f"selection.calibration.{file_key}", f"selection.calibration.{key}"))
    if unknown := [one for one in correction.inputs if one.type != "string" and one.name not in NUMERIC]:
        msg = (
            f"selection.calibration.{key}: the correction '{name}' in {file.path} takes {unknown[0].name}; known "
            f"inputs are {', '.join(NUMERIC)}. Name another correction."
        )
        raise ConfigError(msg)
    return correction


def inputs_of(correction: Correction) -> list[str]:
    """Names of the columns that a correction needs."""
    return [NUMERIC[one.name] for one in correction.inputs if one.type != "string"]


def correct(
    correction: Correction, column: Callable[[str], Floats], rows: NDArray[np.intp] | None = None, *, text: str = ""
) -> Floats:
    """Evaluate a correction.

    Parameters
    ----------
    correction : correctionlib.Correction or CompoundCorrection
    column : callable
        Name of a column, such as "pt" -> (n,) float64.
    rows : (n_rows,) intp, optional
        Rows to evaluate; by default all.
    text : str
        Value of a text input, such as "up".

    Returns
    -------
    (n,) or (n_rows,) float64
        NaN where an input is not finite.
    """
    inputs: dict[str, Floats | str] = {}
    for one in correction.inputs:
        if one.type == "string":
            inputs[one.name] = text
            continue
        values = column(NUMERIC[one.name])
        values = values if rows is None else values[rows]
        inputs[one.name] = np.clip(values, -ETA_EDGE, ETA_EDGE) if one.name == "JetEta" else values
    return evaluate(correction, inputs)


@contextmanager
def branches_for(dijets: Dijets, key: str) -> Iterator[None]:
    """Say in the error of a missing branch which key of the calibration needs it.

    Raises
    ------
    InputFileError
    """
    try:
        yield
    except InputFileError as error:
        where = dijets.origin.where
        reason = str(error).removeprefix(f"{where}: ").partition(" Correct the name")[0].partition(" Use a file")[0]
        msg = (
            f"{where}: selection.calibration.{key}: {reason} Use NanoAOD that holds it, or leave out what needs it of "
            "[selection.calibration]."
        )
        raise InputFileError(msg) from error


@dataclass(frozen=True)
class Collection:
    """Another collection of a chunk, as flat columns.

    Attributes
    ----------
    dijets : Dijets
    name, key : str
        Name of the collection, and the key of the calibration that needs it.
    """

    dijets: Dijets
    name: str
    key: str
    _known: dict[str, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def counts(self) -> NDArray[np.int64]:
        """(n_read,) int64: number of objects of each event."""
        with branches_for(self.dijets, self.key):
            counts: NDArray[np.int64] = ak.to_numpy(ak.num(self.dijets.events.jagged(f"{self.name}_pt", ALL), axis=1))
        return counts

    def column(self, field: str) -> Floats:
        """(n_objects,) float64: one branch of all objects of the chunk."""
        if field not in self._known:
            with branches_for(self.dijets, self.key):
                values = self.dijets.events.jagged(f"{self.name}_{field}", ALL)
            self._known[field] = as_float64(ak.to_numpy(ak.flatten(values, axis=1)))
        return self._known[field]


@dataclass(frozen=True)
class Chunk:
    """All jets of a chunk with the columns that corrections need.

    Attributes
    ----------
    dijets : Dijets
    config : CalibrationConfig
    """

    dijets: Dijets
    config: CalibrationConfig
    _known: dict[str, Floats] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def is_data(self) -> bool:
        """Whether the events are recorded ones, which have a correction by run and no smearing."""
        return self.dijets.origin.kind == "data"

    def column(self, name: str) -> Floats:
        """(n_jets,) float64: a column of the large-R jets, or "rho" or "run" of their events."""
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def per_event(self, name: str) -> Floats:
        """(n_read,) float64: "rho" or "run" of all events."""
        key = f".{name}"
        if key not in self._known:
            self._known[key] = self._rho() if name == "rho" else self._branch("run", "data")
        return self._known[key]

    def _read(self, name: str) -> Floats:
        if name in ("rho", "run"):
            return np.repeat(self.per_event(name), self.dijets.jet_counts)
        with branches_for(self.dijets, "jec" if name in ("rawFactor", "area") else "file"):
            return self.dijets.first.source.column(name, ALL)

    def _rho(self) -> Floats:
        if self.config.rho is not None:
            return self._branch(self.config.rho, "rho")
        return self._branch(RHO[0] if self.dijets.events.holds(RHO[0]) else RHO[1], "rho")

    def _branch(self, name: str, key: str) -> Floats:
        with branches_for(self.dijets, key):
            return as_float64(self.dijets.events.column(name, ALL))
