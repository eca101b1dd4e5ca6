"""Each cut by itself, and the cutflow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.config import SelectionConfig
from analysis.errors import InputFileError
from processors.objects import Dijets, Jet, Source, Tally
from processors.selection import CUTS, apply_cuts


class Arrays:
    """Jets, or events, that are in memory already."""

    def __init__(self, columns):
        self.columns = columns

    def column(self, name, index):
        if name not in self.columns:
            raise InputFileError(f"a.root: branch FatJet_{name} is missing")
        return self.columns[name][index]


def make_dijets(n: int = 1, first=None, second=None, events=None, kind="background", **values) -> Dijets:
    """Dijets of n events; `first` and `second` give columns of the jets, `events` branches of the events."""
    jets = [
        {"pt": 800.0, "eta": 0.0, "phi": 0.0, "mass": 100.0, "jet_mass": 80.0, **(one or {})} for one in (first, second)
    ]
    names = set(jets[0]) | set(jets[1])
    source = Arrays(
        {
            name: np.concatenate([np.broadcast_to(np.asarray(one.get(name, np.nan), float), n) for one in jets])
            for name in names
        }
    )
    columns = {"mjj": 2000.0, "abs_dy": 0.5, **values}
    columns = {name: np.broadcast_to(np.asarray(v, float), n) for name, v in columns.items()}
    numbers = dict.fromkeys(("run", "luminosity_block", "event", "event_id"), np.arange(n, dtype=np.uint64))
    weight = columns.pop("weight", np.ones(n))
    return Dijets(
        Jet(source, np.arange(n)),
        Jet(source, n + np.arange(n)),
        entry=np.arange(n),
        weight=weight,
        events=Arrays({name: np.asarray(v) for name, v in (events or {}).items()}),
        origin=Source("a.root", "sample", kind, "", 0),
        read=Tally(n + 5, 100.0),
        **columns,
        **numbers,
    )


def passes(name: str, dijets: Dijets, **selection) -> list[bool]:
    cut = {one.name: one for one in CUTS}[name]
    return cut.passes(dijets, SelectionConfig(**selection)).tolist()


def test_order_of_the_cutflow():
    names = ["finite_kinematics", "jet_pt", "leading_pt", "abs_eta", "jet_mass", "abs_dy", "mjj_min"]
    assert [one.name for one in CUTS] == names
    assert list(apply_cuts(make_dijets(), SelectionConfig())[1]) == ["all", "two_jets", *names]


@pytest.mark.parametrize("column", ["pt", "eta", "phi", "mass"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_finite_kinematics(column, bad):
    assert passes("finite_kinematics", make_dijets(2, first={column: [1, bad]})) == [True, False]
    assert passes("finite_kinematics", make_dijets(2, second={column: [1, bad]})) == [True, False]


def test_missing_groomed_mass_is_not_a_matter_of_kinematics():
    assert passes("finite_kinematics", make_dijets(first={"jet_mass": np.nan})) == [True]


def test_thresholds_are_part_of_what_is_kept():
    assert passes("jet_pt", make_dijets(3, second={"pt": [199.9, 200, 201]})) == [False, True, True]
    assert passes("leading_pt", make_dijets(2, first={"pt": [499, 500]})) == [False, True]
    assert passes("abs_eta", make_dijets(4, first={"eta": [-2.6, -2.5, 2.5, 2.6]})) == [False, True, True, False]
    assert passes("mjj_min", make_dijets(2, mjj=[999, 1000])) == [False, True]


def test_rapidity_difference_is_below_the_limit():
    assert passes("abs_dy", make_dijets(3, abs_dy=[1.9, 2.0, 2.1])) == [True, False, False]


@pytest.mark.parametrize("which", ["first", "second"])
def test_mass_window_is_half_open(which):
    dijets = make_dijets(4, **{which: {"jet_mass": [29, 30, 499, 500]}})
    assert passes("jet_mass", dijets, jet_mass_min=30, jet_mass_max=500) == [False, True, True, False]


@pytest.mark.parametrize(("minimum", "kept"), [(0, True), (1, False)])
def test_missing_mass_counts_as_the_lightest(minimum, kept):
    """The default window must not cut; any lower limit must."""
    dijets = make_dijets(first={"jet_mass": np.nan})
    assert passes("jet_mass", dijets, jet_mass_min=minimum, jet_mass_max=13000) == [kept]
    assert passes("jet_mass", dijets, jet_mass_min=minimum, jet_mass_max=500) == [kept]


def test_cutflow_counts_what_is_left_after_each_cut():
    weights = np.array([1.25, -2.5, 4.0, 8.0, 16.5])
    dijets = make_dijets(5, first={"pt": [100, 800, 800, 800, 800]}, mjj=[2e3, 2e3, 900, 2e3, 2e3], weight=weights)
    dijets = replace(dijets, abs_dy=np.array([0, 0, 0, 3.0, 0]))
    mask, cutflow = apply_cuts(dijets, SelectionConfig())
    assert mask.tolist() == [False, True, False, False, True]
    assert {name: (tally.events, tally.weight) for name, tally in cutflow.items()} == {
        "all": (10, 100.0),
        "two_jets": (5, 27.25),
        "finite_kinematics": (5, 27.25),
        "jet_pt": (4, 26.0),
        "leading_pt": (4, 26.0),
        "abs_eta": (4, 26.0),
        "jet_mass": (4, 26.0),
        "abs_dy": (3, 18.0),
        "mjj_min": (2, 14.0),
    }
