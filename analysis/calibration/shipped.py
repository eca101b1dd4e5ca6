"""Calibrations that are shipped with the package: z without signal for the settings of the presets.

The table `shipped.json` comes from exact nulls with retraining, see docs/studies/retraining.md and
`tests.studies.retrained_null`. It holds for the training and fit settings of a preset, whichever features it uses as
long as they are as many, and for numbers of events in the window between those of the study, between which mean and
width are interpolated.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from math import log

import numpy as np

from analysis.config import SearchConfig
from analysis.core.digests import digest
from analysis.core.documents import parse_json
from analysis.search.null_distribution import NullDistribution

__all__ = ["SHIPPED", "ShippedEntry", "ShippedTable", "settings_digest"]


@dataclass(frozen=True)
class ShippedEntry:
    """Distributions of z without signal for one preset and number of events.

    Attributes
    ----------
    preset : str
    settings : str
        Result of `settings_digest`.
    n_window : int
        Expected events in the window.
    nulls : dict of str to NullDistribution
        By selection.
    """

    preset: str
    settings: str
    n_window: int
    nulls: Mapping[str, NullDistribution]


@dataclass(frozen=True)
class ShippedTable:
    """Entries with equal settings, by increasing number of events in the window."""

    entries: tuple[ShippedEntry, ...]

    def at(self, n_window: float) -> dict[str, NullDistribution]:
        """Interpolate the distributions, linearly in the logarithm of the number of events.

        Parameters
        ----------
        n_window : float
            Events in the window.

        Returns
        -------
        dict of str to NullDistribution
            By selection; empty outside the numbers of the table.
        """
        sizes = [entry.n_window for entry in self.entries]
        if not sizes[0] <= n_window <= sizes[-1]:
            return {}
        upper = max(1, int(np.searchsorted(sizes, n_window)))
        if len(sizes) == 1:
            return dict(self.entries[0].nulls)
        low, high = self.entries[upper - 1], self.entries[upper]
        share = log(n_window / low.n_window) / log(high.n_window / low.n_window)
        return {name: _between(low.nulls[name], high.nulls[name], share) for name in low.nulls if name in high.nulls}


def _between(low: NullDistribution, high: NullDistribution, share: float) -> NullDistribution:
    def mixed(name: str) -> float:
        return float((1 - share) * getattr(low, name) + share * getattr(high, name))

    def error(name: str) -> float:
        return float(np.hypot((1 - share) * getattr(low, name), share * getattr(high, name)))

    searches = low.searches + high.searches
    return NullDistribution(searches, mixed("mean"), mixed("width"), error("mean_error"), error("width_error"))


class _Shipped:
    """The table in the package, read at first use."""

    @cached_property
    def entries(self) -> tuple[ShippedEntry, ...]:
        text = resources.files("analysis").joinpath("calibration", "shipped.json").read_text(encoding="utf-8")
        return parse_json(tuple[ShippedEntry, ...], text)

    def find(self, config: SearchConfig) -> ShippedTable | None:
        """Return the entries for the settings of a configuration; None without any."""
        wanted = settings_digest(config)
        found = sorted((one for one in self.entries if one.settings == wanted), key=lambda entry: entry.n_window)
        return ShippedTable(tuple(found)) if found else None


SHIPPED = _Shipped()


def settings_digest(config: SearchConfig) -> str:
    """Digest of the settings that a calibration depends on: training, number of features, fit and likelihood."""
    learning = config.learning.model_dump(mode="json", exclude={"features", "n_seeds"})
    return digest(
        {
            "learning": learning,
            "features": len(config.learning.features),
            "background": config.background.model_dump(mode="json", exclude={"sqrt_s_gev"}),
            "likelihood": config.statistics.likelihood,
        }
    )
