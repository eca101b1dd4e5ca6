r"""Jet features: possible inputs of classifiers and variables of plots.

To add a feature, write one function with `@feature`. It receives the selected events, with jets in the order of
`SelectionConfig.jet_order`, and returns (n_events,) numbers; NaN where the feature is undefined. `mj` is the mass set
by `SelectionConfig.jet_mass`.

N-subjettiness ratios are undefined if τ_{N-1} is zero, or if either is negative or NaN. With one-pass axes, τ_N is
occasionally slightly above τ_{N-1}; the ratio is then clipped to 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.core.registry import Registry
from analysis.errors import ConfigError, InputFileError, TableError
from analysis.events.schema import FIXED_COLUMNS, FeatureSpec
from processors.objects import Dijets, Floats, Jet, naming

__all__ = ["FEATURES", "Feature", "compute_features", "count_oddities", "feature", "nsubjettiness_ratio"]

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
    """

    spec: FeatureSpec
    compute: Function

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


def feature(name: str, *, label: str, unit: str, bins: tuple[int, float, float]) -> Callable[[Function], Function]:
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

    Raises
    ------
    ConfigError
        If another column has this name.
    """

    def register(function: Function) -> Function:
        if name in FIXED_COLUMNS:
            msg = f"a column '{name}' exists already in every table; choose another name for the feature."
            raise ConfigError(msg)
        one = Feature(FeatureSpec(name, label, unit, bins), function)
        FEATURES.add(name, one, origin=getattr(function, "__qualname__", ""))
        return function

    return register


def _raw_ratio(jet: Jet, order: int) -> Floats:
    upper, lower = jet.tau(order), jet.tau(order - 1)
    defined = (upper >= 0) & (lower > 0) & np.isfinite(upper) & np.isfinite(lower)
    ratio: Floats = np.divide(upper, lower, out=np.full(len(upper), np.nan), where=defined)
    return ratio


def nsubjettiness_ratio(jet: Jet, order: int) -> Floats:
    """τ_N / τ_{N-1} in [0, 1].

    Parameters
    ----------
    jet : Jet
    order : int
        N.

    Returns
    -------
    (n_events,) float64
        NaN where undefined.

    Raises
    ------
    InputFileError
        If the file lacks τ_N or τ_{N-1}.
    """
    return np.minimum(_raw_ratio(jet, order), 1.0)


@feature("mj1", label=r"$m_{j_1}$", unit="GeV", bins=(50, 0.0, 1000.0))
def mj1(dijets: Dijets) -> Floats:
    """Mass of jet 1, GeV."""
    return dijets.first.jet_mass


@feature("mj2", label=r"$m_{j_2}$", unit="GeV", bins=(50, 0.0, 500.0))
def mj2(dijets: Dijets) -> Floats:
    """Mass of jet 2, GeV."""
    return dijets.second.jet_mass


@feature("delta_mj", label=r"$m_{j_1} - m_{j_2}$", unit="GeV", bins=(50, 0.0, 500.0))
def delta_mj(dijets: Dijets) -> Floats:
    """Mass difference, GeV: non-negative if the jets are ordered in mass, signed if they are ordered in p_T."""
    return dijets.first.jet_mass - dijets.second.jet_mass


@feature("tau21_j1", label=r"$\tau_{21}^{j_1}$", unit="", bins=(50, 0.0, 1.0))
def tau21_j1(dijets: Dijets) -> Floats:
    """τ2/τ1 of jet 1."""
    return nsubjettiness_ratio(dijets.first, 2)


@feature("tau21_j2", label=r"$\tau_{21}^{j_2}$", unit="", bins=(50, 0.0, 1.0))
def tau21_j2(dijets: Dijets) -> Floats:
    """τ2/τ1 of jet 2."""
    return nsubjettiness_ratio(dijets.second, 2)


@feature("tau32_j1", label=r"$\tau_{32}^{j_1}$", unit="", bins=(50, 0.0, 1.0))
def tau32_j1(dijets: Dijets) -> Floats:
    """τ3/τ2 of jet 1."""
    return nsubjettiness_ratio(dijets.first, 3)


@feature("tau32_j2", label=r"$\tau_{32}^{j_2}$", unit="", bins=(50, 0.0, 1.0))
def tau32_j2(dijets: Dijets) -> Floats:
    """τ3/τ2 of jet 2."""
    return nsubjettiness_ratio(dijets.second, 3)


@feature("mj1_over_mjj", label=r"$m_{j_1} / m_{jj}$", unit="", bins=(50, 0.0, 0.4))
def mj1_over_mjj(dijets: Dijets) -> Floats:
    """Mass of jet 1 in units of m_jj, nearly independent of m_jj in QCD.

    Do not train on it together with `mj1`, since m_jj follows from the two.
    """
    return _over_mjj(dijets, dijets.first)


@feature("mj2_over_mjj", label=r"$m_{j_2} / m_{jj}$", unit="", bins=(50, 0.0, 0.2))
def mj2_over_mjj(dijets: Dijets) -> Floats:
    """Mass of jet 2 in units of m_jj; see `mj1_over_mjj`."""
    return _over_mjj(dijets, dijets.second)


def _over_mjj(dijets: Dijets, jet: Jet) -> Floats:
    scaled: Floats = np.divide(jet.jet_mass, dijets.mjj, out=np.full(len(dijets), np.nan), where=dijets.mjj > 0)
    return scaled


def compute_features(
    dijets: Dijets, features: Iterable[Feature]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, str]]:
    """Evaluate features.

    Parameters
    ----------
    dijets : Dijets
        Selected events, jets ordered.
    features : iterable of Feature

    Returns
    -------
    columns : dict of str to (n_events,) float32
        NaN where a feature is undefined.
    unavailable : dict of str to str
        Features that the file does not provide, all NaN in `columns`, with a message that names the missing branch.

    Raises
    ------
    TableError
        If the number of values that a function returns differs from the number of events.
    """
    columns, unavailable = {}, {}
    for one in features:
        try:
            values = one.evaluate(dijets)
        except InputFileError as error:
            values = np.full(len(dijets), np.nan)
            unavailable[one.spec.name] = str(error)
        columns[one.spec.name] = _to_column(values)
    return columns, unavailable


def _to_column(values: Floats) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        column = values.astype(np.float32)
    return np.where(np.isfinite(column), column, np.float32(np.nan))


def count_oddities(dijets: Dijets) -> dict[str, int]:
    """Count jets whose features are undefined or were clipped, to notice a damaged or unexpected file.

    Parameters
    ----------
    dijets : Dijets
        Selected events.

    Returns
    -------
    dict of str to int
        Number of jets (two per event) without a `jet_mass`, with undefined τ21 or τ32, and with τ21 or τ32 above 1.
        Ratios that the file does not provide are left out.
    """
    jets = (dijets.first, dijets.second)
    counts = {"missing_jet_mass": sum(int(np.isnan(jet.jet_mass).sum()) for jet in jets)}
    for order, name in ((2, "tau21"), (3, "tau32")):
        with suppress(InputFileError):
            ratios = [_raw_ratio(jet, order) for jet in jets]
            counts[f"undefined_{name}"] = sum(int(np.isnan(ratio).sum()) for ratio in ratios)
            counts[f"clipped_{name}"] = sum(int((ratio > 1).sum()) for ratio in ratios)
    return counts
