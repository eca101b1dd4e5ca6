"""Building blocks of a contrast: the events of one sample in one place of a window, a label and a sum of weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from analysis.errors import WindowError
from analysis.events.table import EventTable
from analysis.learning.training_set import TrainingSet, positive_weights
from analysis.regions import MassWindow

__all__ = ["SIDEBANDS", "Part", "Place", "Region", "build_set", "find_region"]

Place = Literal["window", "lower sideband", "upper sideband"]

SIDEBANDS: tuple[Place, Place] = ("lower sideband", "upper sideband")


@dataclass(frozen=True)
class Region:
    """The events of a sample in one place.

    Attributes
    ----------
    rows : EventTable
    name : str
        Sample, place and window, for messages.
    """

    rows: EventTable
    name: str

    @property
    def total(self) -> float:
        """Sum of the weights, negative ones counted."""
        return float(self.rows.weight.sum())

    def labelled(self, label: int, total: float, factor: NDArray[np.float64] | float = 1.0) -> Part:
        """Label the events and scale their weights to a sum.

        Parameters
        ----------
        label : int
            1 or 0.
        total : float
        factor : (n_rows,) float64, optional
            Further weight of each event.

        Returns
        -------
        Part

        Raises
        ------
        TableError
            If a weight is not finite, or the negative ones are not outweighed.
        """
        weight = positive_weights(self.rows.weight * factor, self.name)
        return Part(self.rows, label, weight * (total / weight.sum()))


@dataclass(frozen=True)
class Part:
    """Labelled events.

    Attributes
    ----------
    rows : EventTable
    label : int
        1 or 0.
    weight : (n_rows,) float64
        Not negative.
    """

    rows: EventTable
    label: int
    weight: NDArray[np.float64]


def find_region(table: EventTable, place: Place, window: MassWindow, sample: str) -> Region:
    """Select the events of one place of a window.

    Parameters
    ----------
    table : EventTable
    place : str
        "window", "lower sideband" or "upper sideband".
    window : MassWindow
    sample : str
        Such as "data" or "simulation", for messages.

    Raises
    ------
    WindowError
        If there are none, or their weights do not add up to something positive.
    """
    low, high = dict(zip(("window", *SIDEBANDS), (window.signal, window.lower, window.upper), strict=True))[place]
    rows = table.select((table.mjj >= low) & (table.mjj < high))
    total = rows.weight.sum()
    if total <= 0:
        lacking = f"no positive sum of weights ({total:g})" if len(rows) else "no events"
        msg = (
            f"window {window.name} GeV: {lacking} of {sample} to train on in the {place}, {low:g}-{high:g} GeV. Lower "
            "scan.last, widen scan.sideband_width, or add events."
        )
        raise WindowError(msg)
    return Region(rows, f"{sample} in the {place} of window {window.name} GeV")


def build_set(parts: Sequence[Part], features: Sequence[str]) -> TrainingSet:
    """Put parts together to a training set."""
    return TrainingSet.build(
        np.concatenate([part.rows.matrix(features) for part in parts]),
        np.repeat([part.label for part in parts], [len(part.rows) for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.rows.event_id for part in parts]),
    )
