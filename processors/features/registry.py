r"""Registry of the features of events.

A feature is one function with `@feature`. It receives the selected events, with jets in the order of
`SelectionConfig.jet_order`, and returns (n_events,) numbers; NaN where the feature is undefined.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.core.registry import Registry
from analysis.errors import ConfigError, TableError
from analysis.events.schema import FIXED_COLUMNS, FeatureSpec
from processors.objects import Dijets, Floats, naming

__all__ = ["FEATURES", "Feature", "feature"]

Function = Callable[[Dijets], Floats]


@dataclass(frozen=True)
class Feature:
    """One column of the event table.

    Attributes
    ----------
    spec : FeatureSpec
        Name, label, unit and binning, which travel with the table.
    compute : callable
        Dijets -> (n_events,) floats.
    optional : bool
        Whether the feature is computed only if the configuration names it.
    """

    spec: FeatureSpec
    compute: Function
    optional: bool = False

    def evaluate(self, dijets: Dijets) -> Floats:
        """Compute the feature, (n_events,) float64.

        Raises
        ------
        InputFileError
            If the file does not hold a branch.
        ProcessingError
            If a branch has several values where one is needed.
        TableError
            If the function does not return one number per event.
        """
        with naming(f"feature '{self.spec.name}'"):
            values = self.compute(dijets)
        try:
            found = np.asarray(values, np.float64)
        except (TypeError, ValueError) as error:
            msg = f"feature '{self.spec.name}' returned no array of numbers, one per event ({error})."
            raise TableError(" ".join(msg.split())) from error
        if found.shape != (len(dijets),):
            expected = f"expected ({len(dijets)},), one per event"
            msg = f"feature '{self.spec.name}' returned an array of shape {found.shape}; {expected}."
            raise TableError(msg)
        return found


FEATURES: Registry[Feature] = Registry("feature", of_events=True)
"""Features by name, in column order."""


def feature(
    name: str, *, label: str, unit: str, bins: tuple[int, float, float], optional: bool = False
) -> Callable[[Function], Function]:
    """Register a function as a feature, here or in a plugin.

    Parameters
    ----------
    name : str
        Column name.
    label : str
        Axis label in mathtext, without the unit.
    unit : str
        "GeV" or empty.
    bins : (int, float, float)
        Number of bins, lower and upper edge for plots.
    optional : bool
        Compute the feature only if `learning.features`, a variant or `selection.optional_features` names it.

    Raises
    ------
    ConfigError
        If another column has this name.
    """

    def register(function: Function) -> Function:
        if name in FIXED_COLUMNS:
            msg = f"a column '{name}' exists already in every table; choose another name for the feature."
            raise ConfigError(msg)
        one = Feature(FeatureSpec(name, label, unit, bins), function, optional)
        FEATURES.add(name, one, origin=getattr(function, "__qualname__", ""))
        return function

    return register
