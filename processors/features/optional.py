"""Optional features: further substructure, the third jet and taggers, computed only if the configuration names them.

Formats give the columns under one name (`processors.formats`); a file without the branch is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from analysis.events.schema import FeatureSpec
from processors.features.registry import Feature, feature
from processors.features.standard import nsubjettiness_ratio
from processors.objects import ALL, Dijets, Floats, Jet

__all__ = ["TAGGERS", "TaggerScore", "tagger_feature"]

TAGGERS = ("particleNet", "deepTag", "btag", "globalParT", "inclParT", "GN2X", "BTag")
"""Beginnings of the names of branches with b and top taggers: CMS, ATLAS (GN2X) and Delphes (BTag)."""

_NO_SCORES = ("_mass", "massCorr", "massCorrGeneric", "massCorrX2p")
"""Ends of the names of branches of these taggers that hold masses and corrections of masses."""

_SIGNED = ("btagHbb", "btagCMVA")
"""Taggers from -1 to 1; those of all others are not negative."""

_JETS = {"_j1": "first", "_j2": "second"}


def _of_jets(
    name: str, *, label: str, unit: str = "", bins: tuple[int, float, float]
) -> Callable[[Callable[[Jet], Floats]], Callable[[Jet], Floats]]:
    """Register a quantity of a jet as the optional features `name_j1` and `name_j2`; `{j}` in the label is the jet."""

    def register(function: Callable[[Jet], Floats]) -> Callable[[Jet], Floats]:
        for suffix, jet in _JETS.items():
            text = label.replace("{j}", f"{{j_{suffix[-1]}}}")
            feature(f"{name}{suffix}", label=text, unit=unit, bins=bins, optional=True)(_Quantity(function, jet))
        return function

    return register


@dataclass(frozen=True)
class _Quantity:
    """A quantity of one of the two jets."""

    function: Callable[[Jet], Floats]
    jet: str

    def __call__(self, dijets: Dijets) -> Floats:
        return self.function(getattr(dijets, self.jet))


def _not_negative(values: Floats) -> Floats:
    """Replace negative values, which stand for "not computed", by NaN."""
    return np.where(values < 0, np.nan, values)


@_of_jets("tau43", label=r"$\tau_{43}^{j}$", bins=(50, 0.0, 1.0))
def tau43(jet: Jet) -> Floats:
    """τ4/τ3, undefined and clipped as τ2/τ1."""
    return nsubjettiness_ratio(jet, 4)


@_of_jets("n2", label=r"$N_2^{j}$", bins=(50, 0.0, 0.5))
def n2(jet: Jet) -> Floats:
    """Energy correlation ratio N2 with β = 1 (arXiv:1609.07483) of the soft-dropped jet."""
    return _not_negative(jet.column("n2"))


@_of_jets("n3", label=r"$N_3^{j}$", bins=(50, 0.0, 5.0))
def n3(jet: Jet) -> Floats:
    """Energy correlation ratio N3 with β = 1 (arXiv:1609.07483) of the soft-dropped jet."""
    return _not_negative(jet.column("n3"))


@_of_jets("d2", label=r"$D_2^{j}$", bins=(50, 0.0, 10.0))
def d2(jet: Jet) -> Floats:
    """Energy correlation ratio D2 with β = 1 (arXiv:1409.6298)."""
    return _not_negative(jet.column("d2"))


@_of_jets("n_constituents", label=r"$n_\mathrm{constituents}^{j}$", bins=(50, 0.0, 250.0))
def n_constituents(jet: Jet) -> Floats:
    """Count the constituents."""
    return jet.column("n_constituents")


@_of_jets("groomed_mass", label=r"groomed $m^{j}$", unit="GeV", bins=(50, 0.0, 1000.0))
def groomed_mass(jet: Jet) -> Floats:
    """Soft-drop mass, GeV, whatever `selection.jet_mass` is."""
    return jet.column("groomed_mass")


@_of_jets("ungroomed_mass", label=r"ungroomed $m^{j}$", unit="GeV", bins=(50, 0.0, 1000.0))
def ungroomed_mass(jet: Jet) -> Floats:
    """Mass without grooming, GeV, whatever `selection.jet_mass` is."""
    return jet.column("ungroomed_mass")


@_of_jets("groomed_fraction", label=r"groomed / ungroomed $m^{j}$", bins=(50, 0.0, 1.25))
def groomed_fraction(jet: Jet) -> Floats:
    """Soft-drop mass over the mass without grooming; undefined if the latter is 0."""
    groomed, ungroomed = jet.column("groomed_mass"), jet.column("ungroomed_mass")
    fraction: Floats = np.divide(groomed, ungroomed, out=np.full(len(groomed), np.nan), where=ungroomed > 0)
    return fraction


@feature("third_jet_pt", label=r"third jet $p_T$", unit="GeV", bins=(50, 0.0, 1500.0), optional=True)
def third_jet_pt(dijets: Dijets) -> Floats:
    """Third-largest p_T of the jet collection, GeV; undefined without a third jet in the file."""
    pt = dijets.first.source.column("pt", ALL).copy()
    pt[dijets.first.index] = pt[dijets.second.index] = -np.inf
    counts = dijets.jet_counts
    largest, filled = np.full(len(counts), -np.inf), counts > 0
    if len(pt):
        largest[filled] = np.maximum.reduceat(pt, (np.cumsum(counts) - counts)[filled])
    third = largest[dijets.entry]
    return np.where(np.isfinite(third), third, np.nan)


@feature("third_jet_pt_over_mjj", label=r"third jet $p_T / m_{jj}$", unit="", bins=(50, 0.0, 0.4), optional=True)
def third_jet_pt_over_mjj(dijets: Dijets) -> Floats:
    """p_T of the third jet in units of m_jj."""
    known = dijets.mjj > 0
    return np.where(known, third_jet_pt(dijets) / np.where(known, dijets.mjj, 1.0), np.nan)


@dataclass(frozen=True)
class TaggerScore:
    """Values of a branch with a tagger, for one of the two jets.

    Attributes
    ----------
    branch : str
        Name in the file, without the collection.
    jet : str
        "first" or "second".
    """

    branch: str
    jet: str

    def __call__(self, dijets: Dijets) -> Floats:
        """(n_events,) float64: NaN where the tagger was not evaluated, which files mark by a value below its range."""
        values: Floats = getattr(dijets, self.jet).column(self.branch)
        lowest = -1.0 if self.branch in _SIGNED else 0.0
        return np.where(values < lowest, np.nan, values)


def tagger_feature(name: str) -> Feature | None:
    """Return the feature of a tagger, such as "particleNet_XbbVsQCD_j1"; None if the name is not one.

    Parameters
    ----------
    name : str
        Name of a branch that begins as one of `TAGGERS`, then `_j1` or `_j2`.
    """
    branch, suffix = name[:-3], name[-3:]
    if suffix not in _JETS or not branch.startswith(TAGGERS) or branch.endswith(_NO_SCORES):
        return None
    spec = FeatureSpec(name, f"{branch.replace('_', ' ')} $j_{suffix[-1]}$", "", (50, 0.0, 1.0))
    return Feature(spec, TaggerScore(branch, _JETS[suffix]), optional=True)
