"""Cuts on dijet events. `CUTS` fixes their order, and with it the rows of the cutflow.

To add a cut, write one function with `@cut` and give it a place in `CUTS`. Thresholds come from `SelectionConfig`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from processors.objects import Dijets, Tally

__all__ = ["CUTS", "Cut", "apply_cuts", "cut"]

Mask = NDArray[np.bool_]
Condition = Callable[[Dijets, SelectionConfig], Mask]


@dataclass(frozen=True)
class Cut:
    """One requirement on an event.

    Attributes
    ----------
    name, label : str
        Row of the cutflow, and what a plot writes there (mathtext).
    passes : callable
        (Dijets, SelectionConfig) -> (n_events,) bool. The jets come in p_T order.
    """

    name: str
    label: str
    passes: Condition


def cut(name: str, label: str) -> Callable[[Condition], Cut]:
    """Turn a function of (dijets, selection) into a `Cut`."""

    def wrap(condition: Condition) -> Cut:
        return Cut(name, label, condition)

    return wrap


@cut("finite_kinematics", "finite four-momenta")
def finite_kinematics(dijets: Dijets, selection: SelectionConfig) -> Mask:  # noqa: ARG001 - needs no threshold
    """Both four-momenta, m_jj and |Δy| are numbers."""
    jets = (dijets.first, dijets.second)
    columns = [column for jet in jets for column in (jet.pt, jet.eta, jet.phi, jet.mass)]
    finite: Mask = np.logical_and.reduce([np.isfinite(column) for column in (*columns, dijets.mjj, dijets.abs_dy)])
    return finite


@cut("jet_pt", r"$p_T^{J}$")
def jet_pt(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """Both jets have p_T >= pt_min, GeV."""
    return (dijets.first.pt >= selection.pt_min) & (dijets.second.pt >= selection.pt_min)


@cut("leading_pt", r"leading $p_T^{J}$")
def leading_pt(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """Leading jet has p_T >= leading_pt_min, GeV."""
    return dijets.first.pt >= selection.leading_pt_min


@cut("abs_eta", r"$|\eta^{J}|$")
def abs_eta(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """Both jets have |η| <= abs_eta_max."""
    return (np.abs(dijets.first.eta) <= selection.abs_eta_max) & (np.abs(dijets.second.eta) <= selection.abs_eta_max)


@cut("jet_mass", r"$m_J$")
def jet_mass(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """Both jets have jet_mass_min <= m < jet_mass_max, GeV, in the mass `SelectionConfig.jet_mass`.

    A jet that grooming left without a mass counts as lighter than any: it passes only where jet_mass_min is 0.
    """
    masses = [np.nan_to_num(jet.jet_mass, nan=0.0) for jet in (dijets.first, dijets.second)]
    passes = [(mass >= selection.jet_mass_min) & (mass < selection.jet_mass_max) for mass in masses]
    return passes[0] & passes[1]


@cut("abs_dy", r"$|\Delta y|$")
def abs_dy(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """|Δy| < abs_dy_validation; the search region is a part of this."""
    return dijets.abs_dy < selection.abs_dy_validation


@cut("mjj_min", r"$m_{JJ}$")
def mjj_min(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """m_jj >= mjj_min, GeV."""
    return dijets.mjj >= selection.mjj_min


CUTS: tuple[Cut, ...] = (finite_kinematics, jet_pt, leading_pt, abs_eta, jet_mass, abs_dy, mjj_min)
"""The selection, in order."""


def apply_cuts(dijets: Dijets, selection: SelectionConfig, cuts: Sequence[Cut] = CUTS) -> tuple[Mask, dict[str, Tally]]:
    """Apply cuts one after the other.

    Parameters
    ----------
    dijets : Dijets
        Events with at least two jets, in p_T order.
    selection : SelectionConfig
    cuts : sequence of Cut

    Returns
    -------
    mask : (n_events,) bool
        Events that pass all cuts.
    cutflow : dict of str to Tally
        Events left after each cut. Begins with "all", every event of the chunk, and "two_jets".
    """
    alive = np.ones(len(dijets), np.bool_)
    depth = np.zeros(len(dijets), np.intp)
    for one in cuts:
        alive &= one.passes(dijets, selection)
        depth += alive
    stopped = [Tally.of(dijets.weight[depth == stage]) for stage in range(len(cuts) + 1)]
    left = list(accumulate(reversed(stopped)))[::-1]
    rows = ["two_jets", *(one.name for one in cuts)]
    return alive, {"all": dijets.read, **dict(zip(rows, left, strict=True))}
