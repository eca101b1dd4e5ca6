"""Cuts on dijet events. Their order in this module defines the order of `CUTS` and of the rows of the cutflow.

To add a cut, write one function with `@cut`, here or in a plugin. Thresholds are set in `SelectionConfig`.
A cut that is not used in every search defines when it applies; otherwise it has no row in the cutflow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.config import SelectionConfig
from analysis.core.registry import Registry
from analysis.errors import ConfigError, InputFileError, ProcessingError
from analysis.events.schema import MISSING_TRIGGER, SEARCH_REGION
from processors.objects import Dijets, Floats, Provenance, Tally, naming
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
    "named_branch",
    "passes_all",
    "prepare_selection",
    "require_certified_events",
]

OTHER_ROWS = ("all", "two_jets", "slice", SEARCH_REGION)
"""Rows of the cutflow that are not cuts of the selection."""

Mask = NDArray[np.bool_]
Condition = Callable[[Dijets, SelectionConfig], Mask]
Applies = Callable[[SelectionConfig, Provenance], bool]


def _always(_selection: SelectionConfig, _origin: Provenance) -> bool:
    return True


@dataclass(frozen=True)
class Cut:
    """One requirement on an event.

    Attributes
    ----------
    name, label : str
        Row of the cutflow, and its label in plots (mathtext).
    passes : callable
        (Dijets, SelectionConfig) -> (n_events,) bool. The jets come in p_T order.
    applies : callable
        (SelectionConfig, Provenance) -> whether the cut applies; the same for all chunks of a dataset.
    """

    name: str
    label: str
    passes: Condition
    applies: Applies = _always

    def evaluate(self, dijets: Dijets, selection: SelectionConfig) -> Mask:
        """Return the decision for each event, (n_events,) bool.

        Raises
        ------
        InputFileError
            If the file does not hold a branch.
        ProcessingError
            If a branch has several values where one is needed, or the function does not return one bool per event.
        """
        with naming(f"cut '{self.name}'"):
            mask = self.passes(dijets, selection)
        try:
            found: NDArray[Any] = np.asarray(mask)
        except (TypeError, ValueError):
            found = np.empty(0, object)
        if found.shape != (len(dijets),) or found.dtype != np.bool_:
            msg = (
                f"cut '{self.name}' must return one bool for each of {len(dijets)} events, but returned {_kind(mask)}. "
                "Make one decision of a list, such as with ak.any or ak.num, and fill missing values with ak.fill_none."
            )
            raise ProcessingError(msg)
        return found


def _kind(values: Any) -> str:
    kind = getattr(values, "type", None) or f"{getattr(values, 'dtype', type(values).__name__)} {np.shape(values)}"
    return str(kind).partition("[parameters")[0]


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
        Previous cut in the cutflow; by default the new cut comes last.

    Raises
    ------
    ConfigError
        If another row of the cutflow has this name, or no cut is named `after`.
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
    """At least one of the triggers fired. The file must have at least one; a missing one counts as not fired."""
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
    """All event filters are passed; the file must have all of them."""
    decisions = [_decisions(dijets, name, "event_filters") for name in selection.event_filters]
    passed: Mask = np.logical_and.reduce(decisions)
    return passed


def _find_triggers(dijets: Dijets, selection: SelectionConfig) -> tuple[list[Mask], dict[str, InputFileError]]:
    found, missing = [], {}
    for name in selection.triggers:
        try:
            named_branch(dijets, name, "selection.triggers")
        except InputFileError as error:
            missing[name] = error
        else:
            found.append(_decisions(dijets, name, "triggers"))
    return found, missing


def named_branch(dijets: Dijets, name: str, setting: str) -> NDArray[Any]:
    """Return the event branch (n_events,) that a setting names; raise `ConfigError` if it has a list for each event."""
    try:
        return dijets.column(name)
    except ProcessingError as error:
        msg = (
            f"{dijets.origin.where}: {setting} names {name}, which holds a list of values for each event. Name a "
            "branch with one number for each."
        )
        raise ConfigError(msg) from error


def _decisions(dijets: Dijets, name: str, key: str) -> Mask:
    values = named_branch(dijets, name, f"selection.{key}")
    if values.dtype != np.bool_:
        msg = (
            f"{dijets.origin.where}: selection.{key} names {name}, which holds {values.dtype} and not true or false. "
            "Name a branch with decisions."
        )
        raise InputFileError(msg)
    return values


def count_missing_triggers(dijets: Dijets, selection: SelectionConfig) -> dict[str, int]:
    """Count the events of files that lack a trigger, which counts as not fired: menus change with time.

    Parameters
    ----------
    dijets : Dijets
        Events before cuts.
    selection : SelectionConfig

    Returns
    -------
    dict of str to int
        "without_<trigger>" to number of events read, for each trigger that the file lacks.
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
    """Both jets have jet_mass_min <= m < jet_mass_max, GeV, with the mass chosen by `SelectionConfig.jet_mass`.

    A jet without a mass after grooming counts as lighter than any other: it passes only if jet_mass_min is 0.
    """
    masses = [np.nan_to_num(jet.jet_mass, nan=0.0) for jet in (dijets.first, dijets.second)]
    passes = [(mass >= selection.jet_mass_min) & (mass < selection.jet_mass_max) for mass in masses]
    return passes[0] & passes[1]


@cut("abs_dy", r"$|\Delta y|$")
def abs_dy(dijets: Dijets, selection: SelectionConfig) -> Mask:
    """|Δy| < abs_dy_validation, which includes the search region."""
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
    """Events that pass the cuts.

    Attributes
    ----------
    mask : (n_events,) bool
        Events that pass all cuts.
    cutflow : dict of str to Tally
        Events that remain after each cut. Begins with "all", every event of the chunk, and "two_jets".
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
        In order; cuts that do not apply are left out. By default all registered cuts.

    Returns
    -------
    Selected
    """
    cuts = [one for one in (CUTS.values() if cuts is None else cuts) if one.applies(selection, dijets.origin)]
    alive = np.ones(len(dijets), np.bool_)
    depth, passed = np.zeros((2, len(dijets)), np.uint8)
    for one in cuts:
        mask = one.evaluate(dijets, selection)
        alive &= mask
        depth += alive
        passed += mask
    # `depth` is the first failed cut; it is the only failed cut if all others are passed.
    only = passed == len(cuts) - 1
    tallies = _tally_groups(dijets.weight, 2 * depth + only, 2 * len(cuts) + 1)
    failed, failed_only = tallies[0:-1:2], tallies[1::2]
    stopped = [*(a + b for a, b in zip(failed, failed_only, strict=True)), tallies[-1]]
    left = list(accumulate(reversed(stopped)))[::-1]
    rows = ["two_jets", *(one.name for one in cuts)]
    others = {one.name: left[-1] + tally for one, tally in zip(cuts, failed_only, strict=True)}
    return Selected(alive, {"all": dijets.read, **dict(zip(rows, left, strict=True))}, others)


def passes_all(dijets: Dijets, selection: SelectionConfig, cuts: Iterable[Cut]) -> Mask:
    """(n_events,) bool: whether all applicable cuts are passed; like `apply_cuts`, without the cutflow."""
    masks = [cut.evaluate(dijets, selection) for cut in cuts if cut.applies(selection, dijets.origin)]
    passed: Mask = np.logical_and.reduce([np.ones(len(dijets), np.bool_), *masks])
    return passed


def _tally_groups(weight: Floats, group: NDArray[np.uint8], count: int) -> list[Tally]:
    """Tally weights (n_events,) by group (n_events,), numbered from 0 to count - 1."""
    sizes = np.bincount(group, minlength=count)
    return [Tally.of(part) for part in np.split(weight[np.argsort(group, kind="stable")], np.cumsum(sizes)[:-1])]


def prepare_selection(selection: SelectionConfig) -> SelectionConfig:
    """Read the files of a selection, and check that they can be used.

    Parameters
    ----------
    selection : SelectionConfig

    Returns
    -------
    SelectionConfig
        Selection with the content of its files, so that workers need no access to the paths.

    Raises
    ------
    ConfigError
        If a file cannot be read, or is not of the kind that its key requires.
    """
    loaded = selection.loaded()
    if loaded.lumi_mask is not None:
        lumi_mask(loaded.lumi_mask)
    if loaded.veto_map is not None:
        veto_map_correction(loaded)
    jet_id_correction(loaded)
    return loaded


def require_certified_events(dataset: str, selection: SelectionConfig, cutflow: Mapping[str, Tally]) -> None:
    """Raise if the golden JSON rejects all events of a dataset, since it then belongs to other data.

    Raises
    ------
    ConfigError
        If the dataset has events with two jets, but none of them in a certified luminosity section.
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
