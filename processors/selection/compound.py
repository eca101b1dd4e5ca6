"""Compound corrections level by level: correctionlib takes twice as long for the same numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import correctionlib
import numpy as np
from correctionlib.highlevel import CompoundCorrection
from numpy.typing import NDArray

__all__ = ["Levels", "compound_corrections"]

Argument = NDArray[Any] | str


@dataclass(frozen=True)
class Levels:
    """A compound correction whose levels multiply: the product of its levels, each at the inputs corrected before it.

    Attributes
    ----------
    whole : correctionlib.highlevel.CompoundCorrection
        For its name and inputs.
    levels : tuple of correctionlib.Correction
    updated : frozenset of str
        Inputs that every level multiplies.
    """

    whole: CompoundCorrection
    levels: tuple[correctionlib.Correction, ...]
    updated: frozenset[str]

    @property
    def name(self) -> str:
        """Name in the file."""
        return self.whole.name

    @property
    def inputs(self) -> list[Any]:
        """Inputs of the compound correction, as those of a `correctionlib.Correction`."""
        return self.whole.inputs

    def evaluate(self, *arguments: Argument) -> NDArray[np.float64]:
        """Return the product, bit by bit what `CompoundCorrection.evaluate` returns.

        Parameters
        ----------
        *arguments : (n,) arrays, or str
            In the order of `inputs`, at least one of them an array.

        Returns
        -------
        (n,) float64
        """
        values = {one.name: value for one, value in zip(self.inputs, arguments, strict=True)}
        shape = np.broadcast_shapes(*(np.shape(value) for value in arguments))
        total = np.ones(shape)
        for level in self.levels:
            factor: Any = level.evaluate(*(values[one.name] for one in level.inputs))
            total *= factor
            values |= {name: values[name] * factor for name in self.updated}
        return total


def compound_corrections(
    found: correctionlib.CorrectionSet, text: str
) -> dict[str, correctionlib.highlevel.CompoundCorrection | Levels]:
    """Return the compound corrections of a file by name.

    Parameters
    ----------
    found : correctionlib.CorrectionSet
    text : str
        The JSON document that it was made of.

    Returns
    -------
    dict of str to Levels or CompoundCorrection
        The latter where levels do anything but multiply.
    """
    if not len(found.compound):
        return {}
    # Bins and formulas are dropped as soon as they are read: only the names of the levels are needed.
    try:
        document = json.loads(text, object_hook=lambda one: None if "nodetype" in one else one)
    except ValueError:  # correctionlib reads more than JSON
        return dict(found.compound)
    return {one["name"]: _compound(found, one) for one in document["compound_corrections"]}


def _compound(found: correctionlib.CorrectionSet, entry: Mapping[str, Any]) -> CompoundCorrection | Levels:
    whole = found.compound[entry["name"]]
    levels = tuple(found[name] for name in entry["stack"])
    numbers = {one.name for one in whole.inputs if one.type == "real"}
    known = all({one.name for one in level.inputs} <= {one.name for one in whole.inputs} for level in levels)
    updated = frozenset(entry["inputs_update"])
    if entry["input_op"] == entry["output_op"] == "*" and levels and known and updated <= numbers:
        return Levels(whole, levels, updated)
    return whole
