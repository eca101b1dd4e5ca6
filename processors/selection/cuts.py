"""Cuts on dijet events. Their order here is that of `CUTS`, and with it of the rows of the cutflow.

To add a cut, write one function with `@cut`, here or in a plugin. Thresholds come from `SelectionConfig`.
A cut that not every search uses says when it applies; where it does not, it has no row in the cutflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError, InputFileError
from analysis.events.schema import MISSING_TRIGGER, SEARCH_REGION
from processors.objects import Dijets, Floats, Source, Tally
from processors.selection.jet_id import jet_id_correction, passes_jet_id
from processors.selection.luminosity import certified, lumi_mask, run_range
from processors.selection.veto_map import in_vetoed_region, veto_map_correction

__all__ = [
    "CUTS",
    "Cut",
    "Selected",
    "apply_cuts",
    "count_missing_triggers",
    "cut",
    "passes_all",
    "prepare_selection",
    "require_certified_events",
]

OTHER_ROWS = ("all", "two_jets", "slice", SEARCH_REGION)
"""Rows of the cutflow that are no cuts of the selection."""

Mask = NDArray[np.bool_]
Condition = Callable[[Dijets, SelectionConfig], Mask]
Applies = Callable[[SelectionConfig, Source], bool]


def _always(_selection: SelectionConfig, _origin: Source) -> bool:
    return True


@dataclass(frozen=True)
class Cut:
    """One requirement on an event.

    Attributes
    ----------
    name, label : str
        Row of the cutflow, and what a plot writes there (mathtext).
    passes : callable
        (Dijets, SelectionConfig) -> (n_events,) bool. The jets come in p_T order.
    applies : callable
        (SelectionConfig, Source) -> whether there is anything to cut on; the same for all chunks of a dataset.
    """

    name: str
    label: str
    passes: Condition
    applies: Applies = _always


CUTS: Registry[Cut] = Registry("cut", of_events=True)
"""The selection by name, in order."""


def cut(
    name: str, label: str, *, applies: Applies = _always, after: str | None = None
) -> Callable[[Condition], Condition]:
    """Register a function as a cut, here or in a plugin.

    Parameters
    ----------
    name, label, applies
        See `Cut`.
    after : str, optional
        The cut that it follows in the cutflow; by default it comes after all others.

    Raises
    ------
    ConfigError
        If the name is that of another row of the cutflow, or there is no cut named `after`.
    """

    def register(condition: Condition) -> Condition:
        if name in OTHER_ROWS:
            msg = f"a row '{name}' exists already in every cutflow; choose another name for the cut."
            raise ConfigError(msg)
        CUTS.add(name, Cut(name, label, condition, applies), origin=condition.__qualname__, after=after)
        return condition

    return register


@cut("lumi_mask", "certified", applies=lambda selection, origin: bool(selection.lumi_mask) and origin.kind == "data")
def certified_luminosity(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """Observed data come from a luminosity section of the golden JSON."""
    if selection.lumi_mask is None:
        return np.ones(len(dijets), np.bool_)
    return certified(selection.lumi_mask, dijets.run, dijets.luminosity_block)


@cut("trigger", "trigger", applies=lambda selection, _: bool(selection.triggers))
def trigger(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """At least one of the triggers has fired. One that the file lacks has not; at least one must be there."""
    found, missing = _find_triggers(dijets, selection)
    if not found:
        first = str(missing[selection.triggers[0]]).removeprefix(f"{dijets.origin.where}: ")
        msg = (
            f"{dijets.origin.where}: none of selection.triggers is in the file: {first} Formats without trigger "
            "decisions need selection.triggers = []."
        )
        raise InputFileError(msg)
    fired: Mask = np.logical_or.reduce(found)
    return fired


@cut("event_filters", "event filters", applies=lambda selection, _: bool(selection.event_filters))
def event_filters(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """All event filters are passed; a file must have all of them."""
    decisions = [_decisions(dijets, name, "event_filters") for name in selection.event_filters]
    passed: Mask = np.logical_and.reduce(decisions)
    return passed


def _find_triggers(dijets: Dijets, selection: SelectionConfig) -> tuple[list[Mask], dict[str, InputFileError]]:
    found, missing = [], {}
    for name in selection.triggers:
        try:
            dijets.column(name)
        except InputFileError as error:
            missing[name] = error
        else:
            found.append(_decisions(dijets, name, "triggers"))
    return found, missing


def _decisions(dijets: Dijets, name: str, key: str) -> Mask:
    values = dijets.column(name)
    if values.dtype != np.bool_:
        msg = (
            f"{dijets.origin.where}: selection.{key} names {name}, which holds {values.dtype} and not true or false. "
            "Name a branch with decisions."
        )
        raise InputFileError(msg)
    return values


def count_missing_triggers(dijets: Dijets, selection: SelectionConfig) -> dict[str, int]:
    """Count the events of files that lack a trigger, where it counts as not fired: menus change with time.

    Parameters
    ----------
    dijets : Dijets
        Events before cuts.
    selection : SelectionConfig

    Returns
    -------
    dict of str to int
        "without_<trigger>" to events read, for every trigger that the file lacks.
    """
    return {f"{MISSING_TRIGGER}{name}": dijets.read.events for name in _find_triggers(dijets, selection)[1]}


@cut("finite_kinematics", "finite four-momenta")
def finite_kinematics(dijets: Dijets, selection: SelectionConfig) -> Mask:  # noqa: ARG001 - needs no threshold
    """Both four-momenta, m_jj and |Δy| are numbers."""
    jets = (dijets.first, dijets.second)
    columns = [column for jet in jets for column in (jet.pt, jet.eta, jet.phi, jet.mass)]
    finite: Mask = np.logical_and.reduce([np.isfinite(column) for column in (*columns, dijets.mjj, dijets.abs_dy)])
    return finite


@cut("jet_id", "jet ID", applies=lambda selection, _: selection.jet_id != "off")
def jet_id(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """Both jets pass the jet ID."""
    first, second = (passes_jet_id(jet, selection, dijets.origin) for jet in (dijets.first, dijets.second))
    return first & second


@cut("veto_map", "veto map", applies=lambda selection, _: selection.veto_map is not None)
def veto_map(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """Neither jet lies in a vetoed region of the detector."""
    return ~(in_vetoed_region(dijets.first, selection) | in_vetoed_region(dijets.second, selection))


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


@cut("jet_mass", r"$m_j$")
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


@cut("mjj_min", r"$m_{jj}$")
def mjj_min(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """m_jj >= mjj_min, GeV."""
    return dijets.mjj >= selection.mjj_min


@cut("mjj_max", r"$m_{jj}$ below", applies=lambda selection, _: selection.mjj_max is not None)
def mjj_max(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """m_jj < mjj_max, GeV."""
    return dijets.mjj < (np.inf if selection.mjj_max is None else selection.mjj_max)


@dataclass(frozen=True)
class Selected:
    """Which events pass the cuts.

    Attributes
    ----------
    mask : (n_events,) bool
        Events that pass all cuts.
    cutflow : dict of str to Tally
        Events left after each cut. Begins with "all", every event of the chunk, and "two_jets".
    n_minus_one : dict of str to Tally
        For each cut, the events that pass all the others.
    """

    mask: Mask
    cutflow: dict[str, Tally]
    n_minus_one: dict[str, Tally]


def apply_cuts(dijets: Dijets, selection: SelectionConfig, cuts: Iterable[Cut] | None = None) -> Selected:
    """Apply cuts one after the other.

    Parameters
    ----------
    dijets : Dijets
        Events with at least two jets, in p_T order.
    selection : SelectionConfig
    cuts : iterable of Cut, optional
        In order; those that do not apply are left out. By default all that are registered.

    Returns
    -------
    Selected
    """
    cuts = [one for one in (CUTS.values() if cuts is None else cuts) if one.applies(selection, dijets.origin)]
    alive = np.ones(len(dijets), np.bool_)
    depth, passed = np.zeros((2, len(dijets)), np.uint8)
    for one in cuts:
        mask = one.passes(dijets, selection)
        alive &= mask
        depth += alive
        passed += mask
    # `depth` is the first cut that fails; it is the only one where all but one are passed.
    only = passed == len(cuts) - 1
    tallies = _tally_groups(dijets.weight, 2 * depth + only, 2 * len(cuts) + 1)
    failed, failed_only = tallies[0:-1:2], tallies[1::2]
    stopped = [*(a + b for a, b in zip(failed, failed_only, strict=True)), tallies[-1]]
    left = list(accumulate(reversed(stopped)))[::-1]
    rows = ["two_jets", *(one.name for one in cuts)]
    others = {one.name: left[-1] + tally for one, tally in zip(cuts, failed_only, strict=True)}
    return Selected(alive, {"all": dijets.read, **dict(zip(rows, left, strict=True))}, others)


def passes_all(dijets: Dijets, selection: SelectionConfig, cuts: Iterable[Cut]) -> Mask:
    """(n_events,) bool: whether all cuts that apply are passed; as `apply_cuts`, without counting."""
    masks = [one.passes(dijets, selection) for one in cuts if one.applies(selection, dijets.origin)]
    passed: Mask = np.logical_and.reduce([np.ones(len(dijets), np.bool_), *masks])
    return passed


def _tally_groups(weight: Floats, group: NDArray[np.uint8], count: int) -> list[Tally]:
    """Tally weights (n_events,) by group (n_events,), numbered from 0 to count - 1."""
    sizes = np.bincount(group, minlength=count)
    return [Tally.of(part) for part in np.split(weight[np.argsort(group, kind="stable")], np.cumsum(sizes)[:-1])]


def prepare_selection(selection: SelectionConfig) -> SelectionConfig:
    """Read the files that a selection names, and check that they can be used.

    Parameters
    ----------
    selection : SelectionConfig

    Returns
    -------
    SelectionConfig
        With the content of its files: workers need not see their paths.

    Raises
    ------
    ConfigError
        If a file cannot be read, or is not what its key says.
    """
    loaded = selection.loaded()
    if loaded.lumi_mask is not None:
        lumi_mask(loaded.lumi_mask)
    if loaded.veto_map is not None:
        veto_map_correction(loaded)
    jet_id_correction(loaded)
    return loaded


def require_certified_events(dataset: str, selection: SelectionConfig, cutflow: Mapping[str, Tally]) -> None:
    """Refuse a golden JSON that leaves nothing of a dataset: it is one of other data.

    Raises
    ------
    ConfigError
        If there are events with two jets, none of them in a certified luminosity section.
    """
    if selection.lumi_mask is None or "lumi_mask" not in cutflow:
        return
    if (found := cutflow["two_jets"].events) and not cutflow["lumi_mask"].events:
        low, high = run_range(selection.lumi_mask)
        msg = (
            f"dataset {dataset}: none of its {found} events with two jets is in a luminosity section of "
            f"{selection.lumi_mask.path}, which certifies runs {low} to {high}. Set selection.lumi_mask to the golden "
            "JSON of this period; formats without run numbers can have none."
        )
        raise ConfigError(msg)
