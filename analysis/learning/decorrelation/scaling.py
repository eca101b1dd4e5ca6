"""Interfaces of the decorrelations, and the one that a configuration chooses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from analysis.config import LearningConfig
from analysis.events.table import EventTable
from analysis.learning.decorrelation.percentiles import PercentileMap, PercentileScaling
from analysis.learning.decorrelation.quantiles import QuantileMap, QuantileScaling
from analysis.regions import MassWindow

__all__ = ["MAPS", "FeatureMap", "FeatureScaling", "configured_scaling"]


class FeatureMap(Protocol):
    """Map from features to ranks.

    Attributes
    ----------
    PARTS : tuple of str
        Names of the arrays that are stored.
    TELLS_COUNTS : bool
        Whether the arrays reveal the number of events in the window: blinded results lack them.
    """

    PARTS: ClassVar[tuple[str, ...]]
    TELLS_COUNTS: ClassVar[bool]

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features that are replaced."""
        ...

    @classmethod
    def from_arrays(cls, features: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Build a map from its stored arrays, by name in `PARTS`."""
        ...

    def apply(self, table: EventTable) -> EventTable:
        """Replace the features of a table by their ranks; other columns are kept."""
        ...


class FeatureScaling(Protocol):
    """Settings of a decorrelation.

    Attributes
    ----------
    SCORED_APART : bool
        Whether events that are scored have a map of their own, learned from the fold that is left out of the training.
    """

    SCORED_APART: ClassVar[bool]

    def fit(self, training: EventTable, features: Sequence[str]) -> FeatureMap:
        """Learn the map from events of the training folds, or of the one that is scored."""
        ...


MAPS: dict[str, type[FeatureMap]] = {"percentile": PercentileMap, "quantiles": QuantileMap}
"""Maps by the value of `learning.decorrelation`."""


def configured_scaling(
    learning: LearningConfig, window: MassWindow, grid: NDArray[np.float64], random_state: int
) -> FeatureScaling | None:
    """Return the scaling of a configuration for a window.

    Parameters
    ----------
    learning : LearningConfig
    window : MassWindow
    grid : (n_bins + 1,) float64
        Edges of the fit bins, GeV.
    random_state : int
        Seed of the search.

    Returns
    -------
    FeatureScaling or None
        None if features are used as they are.
    """
    if learning.decorrelation == "percentile":
        return PercentileScaling.of_window(window, grid, learning.decorrelated_features)
    if learning.decorrelation == "quantiles":
        return QuantileScaling.of_window(window, random_state, learning.decorrelated_features)
    return None
