"""Couplings of folds that are shipped with the package, measured for the settings of the presets.

The table `shipped.json` comes from exact nulls with retraining, see docs/studies/retraining.md and
`tests.studies.shipped_couplings`, which writes it. A coupling holds for the training settings of a preset, whichever
features it uses as long as they are as many, and for numbers of events in the window between those of the study,
between which it is interpolated. It accounts for windows and fits, see `analysis.calibration.coupling`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import log

import numpy as np

from analysis.calibration.coupling import Coupling
from analysis.config import SearchConfig
from analysis.core.documents import digest, parse_json

__all__ = ["ShippedCouplings", "ShippedEntry", "settings_digest", "shipped_couplings"]

_BEYOND = 1.25
"""Factor by which the number of events may lie outside the numbers of the study."""


@dataclass(frozen=True)
class ShippedEntry:
    """Measured couplings of one preset at one size.

    Attributes
    ----------
    preset : str
    settings : str
        Result of `settings_digest`.
    n_window : int
        Expected events in the window.
    selections : dict of str to Coupling
        By selection.
    """

    preset: str
    settings: str
    n_window: int
    selections: Mapping[str, Coupling]


@dataclass(frozen=True)
class ShippedCouplings:
    """Content of `shipped.json`."""

    entries: tuple[ShippedEntry, ...]

    def at(self, config: SearchConfig, n_window: float) -> dict[str, Coupling]:
        """Interpolate the couplings, linearly in the logarithm of the number of events.

        Parameters
        ----------
        config : SearchConfig
        n_window : float
            Events in the window.

        Returns
        -------
        dict of str to Coupling
            By selection; empty for other settings, and outside the numbers of the study.
        """
        wanted = settings_digest(config)
        found = sorted((one for one in self.entries if one.settings == wanted), key=lambda entry: entry.n_window)
        if not found or not found[0].n_window / _BEYOND <= n_window <= found[-1].n_window * _BEYOND:
            return {}
        upper = int(np.searchsorted([entry.n_window for entry in found], n_window))
        low, high = found[max(upper - 1, 0)], found[min(upper, len(found) - 1)]
        if low.n_window == high.n_window:
            return dict(low.selections)
        share = log(n_window / low.n_window) / log(high.n_window / low.n_window)
        return {
            name: _between(one, high.selections[name], share)
            for name, one in low.selections.items()
            if name in high.selections
        }


def _between(low: Coupling, high: Coupling, share: float) -> Coupling:
    return Coupling(
        (1 - share) * low.value + share * high.value,
        float(np.hypot((1 - share) * low.error, share * high.error)),
        low.searches + high.searches,
    )


@cache
def shipped_couplings() -> ShippedCouplings:
    """Read the table in the package."""
    text = resources.files("analysis").joinpath("calibration", "shipped.json").read_text(encoding="utf-8")
    return parse_json(ShippedCouplings, text)


def settings_digest(config: SearchConfig) -> str:
    """Digest of the settings that the coupling depends on: the training, and the number of features.

    A cut is coupled alike whichever other cuts there are, unless these choose the training.
    """
    unused = {"features", "n_seeds"} | config.learning.unused
    if config.learning.working_point == "each" and config.learning.tuning.criterion != "argos":
        unused.add("efficiencies")
    learning = config.learning.model_dump(mode="json", exclude=unused)
    return digest({"learning": learning, "features": len(config.learning.features)})
