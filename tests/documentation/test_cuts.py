"""The table of all cuts: its values are those that cut, and those of the publications."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.config import SelectionConfig, available_presets
from docs._ext.cuts import DEFINITIONS, keys_of_cuts, table
from processors.selection.cuts import CUTS
from tests.builders.dijets import make_dijets

Row = dict[str, str]


def printed() -> dict[str, Row]:
    """Rows by key, with the cut and the meaning of the first row of the cut."""
    found: dict[str, Row] = {}
    for line in table().replace(r"\|", "/").splitlines()[2:]:
        cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
        row = dict(zip(("cut", "passes", "key", "default", "presets"), cells, strict=True))
        found[row["key"].strip("`")] = row
    return found


def test_every_key_of_a_cut_has_one_row() -> None:
    keys = [key for keys in keys_of_cuts().values() for key in keys]
    assert len(keys) == len(set(keys))
    assert {*keys, *DEFINITIONS} == SelectionConfig.model_fields.keys()
    assert list(keys_of_cuts()) == ["two_jets", *CUTS, "search"]


EDGES = {
    "pt_min": ("jet_pt", lambda v: make_dijets(2, second={"pt": [np.nextafter(v, 0), v]}), [False, True]),
    "leading_pt_min": ("leading_pt", lambda v: make_dijets(2, first={"pt": [np.nextafter(v, 0), v]}), [False, True]),
    "abs_eta_max": ("abs_eta", lambda v: make_dijets(2, second={"eta": [-v, np.nextafter(-v, -9)]}), [True, False]),
    "jet_mass_min": ("jet_mass", lambda v: make_dijets(2, second={"jet_mass": [-1.0, v]}), [False, True]),
    "jet_mass_max": ("jet_mass", lambda v: make_dijets(2, first={"jet_mass": [np.nextafter(v, 0), v]}), [True, False]),
    "abs_dy_validation": ("abs_dy", lambda v: make_dijets(2, abs_dy=[np.nextafter(v, 0), v]), [True, False]),
    "mjj_min": ("mjj_min", lambda v: make_dijets(2, mjj=[np.nextafter(v, 0), v]), [False, True]),
}
"""Cut, events at both sides of the printed value, and the decisions about them, by key."""


@pytest.mark.parametrize("key", EDGES)
def test_the_printed_default_is_the_edge_of_the_cut(key: str) -> None:
    cut, events, expected = EDGES[key]
    value = float(printed()[key]["default"].removesuffix(" GeV"))
    assert CUTS[cut].passes(events(value), SelectionConfig()).tolist() == expected


def test_every_number_is_tested_or_absent() -> None:
    """`abs_dy_search` divides the events that pass in two, which the processor does; `mjj_max` is not set."""
    numbers = {key for key, row in printed().items() if row["default"][:1].isdigit()}
    assert numbers == {*EDGES, "abs_dy_search"}
    assert printed()["mjj_max"]["default"] == "absent"


@pytest.mark.parametrize(
    ("key", "preset", "value"),
    [
        # Slides on arXiv:2005.02983: 30 GeV < m, m < 500 GeV; 64 bins of 100 GeV from 1.8 TeV.
        ("jet_mass_min", "atlas-2020", "30 GeV"),
        ("jet_mass_max", "atlas-2020", "500 GeV"),
        ("mjj_min", "atlas-2020", "1800 GeV"),
        ("mjj_max", "atlas-2020", "8200 GeV"),
        # arXiv:2009.02205, section II.C: one jet above 1.3 TeV.
        ("leading_pt_min", "sa-cwola-2021", "1300 GeV"),
    ],
)
def test_presets_are_listed_where_they_differ(key: str, preset: str, value: str) -> None:
    assert f"`{preset}`: {value}" in printed()[key]["presets"].split(", ")


def test_published_defaults_have_no_preset_beside_them() -> None:
    """|Δy| < 1.2 and p_T > 200 GeV (slides on arXiv:2005.02983) hold in every preset."""
    rows = printed()
    assert [(rows[key]["default"], rows[key]["presets"]) for key in ("abs_dy_search", "pt_min")] == [
        ("1.2", ""),
        ("200 GeV", ""),
    ]
    assert all(name in available_presets() for name in ("atlas-2020", "sa-cwola-2021"))
