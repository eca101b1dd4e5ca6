"""Optional features against uproot and plain Python on real files, and on made ones with odd values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from analysis.config import SearchConfig
from analysis.errors import InputFileError
from processors.features import FEATURES, tagger_feature
from tests.builders import toys
from tests.builders.running import dataset, read, run

NAN = math.nan
OPEN = {"pt_min": 0, "leading_pt_min": 0, "abs_eta_max": 10, "abs_dy_search": 20, "abs_dy_validation": 20, "mjj_min": 0}

NANOAOD = {
    "n2": "n2b1",
    "n3": "n3b1",
    "n_constituents": "nConstituents",
    "groomed_mass": "msoftdrop",
    "ungroomed_mass": "mass",
    "tau3": "tau3",
    "tau4": "tau4",
}
PHYSLITE = {"groomed_mass": "m", "d2": "D2"}


def nanoaod_jets(path: Path, *taggers: str) -> Iterator[list[dict[str, float]]]:
    """Jets of each event, with their values as in the file."""
    names = {"pt": "pt", **NANOAOD, **{name: name for name in taggers}}
    with uproot.open(path) as file:
        names = {name: branch for name, branch in names.items() if f"FatJet_{branch}" in file["Events"]}
        columns = {name: file[f"Events/FatJet_{branch}"].array(library="np") for name, branch in names.items()}
    for event in zip(*columns.values(), strict=True):
        yield [dict(zip(columns, map(float, jet), strict=True)) for jet in zip(*event, strict=True)]


def delphes_jets(path: Path, *taggers: str) -> Iterator[list[dict[str, float]]]:
    with uproot.open(path) as file:
        tree = file["Delphes"]
        branches = ("PT", "Mass", "NCharged", "NNeutrals", "Tau[5]", "SoftDroppedP4[5]", *taggers)
        columns = {name: tree[f"FatJet/FatJet.{name}"].array().to_list() for name in branches}
    for event in zip(*columns.values(), strict=True):
        jets = []
        for values in zip(*event, strict=True):
            one = dict(zip(columns, values, strict=True))
            p4 = one["SoftDroppedP4[5]"][0]
            square = p4["fE"] ** 2 - sum(p4["fP"][axis] ** 2 for axis in ("fX", "fY", "fZ"))
            jets.append(
                {
                    "pt": one["PT"],
                    "ungroomed_mass": one["Mass"],
                    "groomed_mass": math.sqrt(max(square, 0.0)) if p4["fE"] else -1.0,
                    "n_constituents": one["NCharged"] + one["NNeutrals"],
                    "tau3": one["Tau[5]"][2],
                    "tau4": one["Tau[5]"][3],
                    **{name: float(one[name]) for name in taggers},
                }
            )
        yield jets


def physlite_jets(path: Path, *taggers: str) -> Iterator[list[dict[str, float]]]:
    names = {"pt": "pt", **PHYSLITE, **{name: name for name in taggers}}
    with uproot.open(path) as file:
        tree = file["CollectionTree"]
        columns = {name: tree[f"AnalysisLargeRJetsAuxDyn.{branch}"].array().to_list() for name, branch in names.items()}
    for event in zip(*columns.values(), strict=True):
        jets = [dict(zip(columns, jet, strict=True)) for jet in zip(*event, strict=True)]
        yield [{**jet, "pt": jet["pt"] / 1000, "groomed_mass": jet["groomed_mass"] / 1000} for jet in jets]


READERS = {"nanoaod": nanoaod_jets, "delphes": delphes_jets, "physlite": physlite_jets}


def value(name: str, jet: dict[str, float]) -> float:
    """One optional feature of one jet, by its definition in the documentation."""
    if name == "tau43":
        return min(jet["tau4"] / jet["tau3"], 1.0) if jet["tau3"] > 0 and jet["tau4"] >= 0 else NAN
    if name == "groomed_fraction":
        groomed, ungroomed = value("groomed_mass", jet), value("ungroomed_mass", jet)
        return groomed / ungroomed if ungroomed > 0 else NAN
    if name in ("groomed_mass", "ungroomed_mass"):
        return NAN if jet[name] <= -1 else max(jet[name], 0.0)
    return NAN if jet[name] < 0 else jet[name]


JETS = ("tau43", "n2", "n3", "n_constituents", "groomed_mass", "ungroomed_mass", "groomed_fraction")
CASES = [
    (
        "nanoaod",
        "nanoaod/nano_v12_tt.root",
        JETS,
        ("particleNet_XbbVsQCD", "particleNetWithMass_TvsQCD", "btagDDBvLV2"),
    ),
    ("nanoaod", "nanoaod/nano_v15_tt.root", JETS, ("globalParT3_Xbb", "globalParT3_TopbWqq", "particleNet_XbbVsQCD")),
    ("nanoaod", "nanoaod/pfnano.root", (*JETS[:3], *JETS[4:]), ("deepTagMD_TvsQCD", "deepTag_TvsQCD", "btagDeepB")),
    ("delphes", "delphes/wprime_3500_500_100_r10_small.root", ("tau43", *JETS[3:]), ("BTag",)),
    ("physlite", "physlite/physlite_mc_100.root", ("groomed_mass", "d2"), ("GN2Xv01_phbb", "GN2Xv01_ptop")),
]


@pytest.mark.thorough
@pytest.mark.parametrize(("layout", "name", "features", "taggers"), CASES)
def test_features_are_those_of_plain_python(data, layout, name, features, taggers):
    path = data(name)
    pairs, third = [], []
    for jets in READERS[layout](path, *taggers):
        ordered = sorted(jets, key=lambda jet: -jet["pt"])
        if len(ordered) > 1:
            pairs.append(ordered[:2])
            third.append(ordered[2]["pt"] if len(ordered) > 2 else NAN)
    assert len(pairs) > 3
    dijets = read(path, layout)
    for feature in features:
        for k in (0, 1):
            found = FEATURES[f"{feature}_j{k + 1}"].evaluate(dijets)
            expected = [value(feature, pair[k]) for pair in pairs]
            np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-3 if "mass" in feature else 1e-6)
    for tagger in taggers:
        found = tagger_feature(f"{tagger}_j2").evaluate(dijets)
        np.testing.assert_array_equal(found, [value(tagger, pair[1]) for pair in pairs])
    np.testing.assert_allclose(FEATURES["third_jet_pt"].evaluate(dijets), third, rtol=1e-6)
    np.testing.assert_allclose(
        FEATURES["third_jet_pt_over_mjj"].evaluate(dijets), np.array(third) / dijets.mjj, rtol=1e-6
    )


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"n2b1": 0.25}, {"n2": 0.25}),
        ({"n2b1": 0.0}, {"n2": 0.0}),
        ({"n2b1": -1.0}, {"n2": NAN}),
        ({"n2b1": -99968.0}, {"n2": NAN}),
        ({"n3b1": -99968.0}, {"n3": NAN}),
        ({"nConstituents": 84}, {"n_constituents": 84}),
        ({"particleNet_XbbVsQCD": -10.0}, {"particleNet_XbbVsQCD": NAN}),
        ({"particleNet_XbbVsQCD": 0.0}, {"particleNet_XbbVsQCD": 0.0}),
        ({"btagHbb": -0.75}, {"btagHbb": -0.75}),
        ({"btagHbb": -1000.0}, {"btagHbb": NAN}),
    ],
)
def test_values_of_jets_that_were_not_evaluated_are_undefined(tmp_path, stored, expected):
    event = [{**one, **stored} for one in toys.dijet()]
    dijets = read(toys.write_nanoaod(tmp_path / "toy.root", [event]))
    for name, number in expected.items():
        feature = FEATURES.get(f"{name}_j1") or tagger_feature(f"{name}_j1")
        np.testing.assert_array_equal(feature.evaluate(dijets), np.float64(np.float32(number)))


@pytest.mark.parametrize(
    ("mass", "msoftdrop", "fraction"),
    [(100.0, 80.0, 0.8), (100.0, -1.0, NAN), (0.0, 0.0, NAN), (-1e-5, 0.0, NAN), (100.0, 110.0, 1.1)],
)
@pytest.mark.parametrize("jet_mass", ["ungroomed", "softdrop"])
def test_groomed_fraction_whatever_the_mass_of_the_search(tmp_path, mass, msoftdrop, fraction, jet_mass):
    event = toys.dijet(toys.jet(900, mass=mass, msoftdrop=msoftdrop))
    dijets = read(toys.write_nanoaod(tmp_path / "toy.root", [event]), jet_mass=jet_mass)
    np.testing.assert_allclose(FEATURES["groomed_fraction_j1"].evaluate(dijets), fraction, rtol=1e-6)


def test_third_jet_in_any_order_and_after_a_selection(tmp_path):
    pts = [[300, 900, 400, 800], [700, 600], [], [500], [200, 300, 250]]
    events = [[toys.jet(pt, mass=pt / 10) for pt in event] for event in pts]
    dijets = read(toys.write_nanoaod(tmp_path / "toy.root", events))
    np.testing.assert_array_equal(FEATURES["third_jet_pt"].evaluate(dijets), [400, NAN, 200])
    chosen = dijets.take(np.array([False, True, True])).ordered("mass")
    np.testing.assert_array_equal(FEATURES["third_jet_pt"].evaluate(chosen), [NAN, 200])


def processed(path: Path, tmp_path: Path, layout: str = "nanoaod", **learning: Any) -> Any:
    config = {"selection": OPEN, "learning": learning}
    return run(dataset(path, layout=layout), tmp_path / "out", config=SearchConfig(**config))


def test_columns_follow_the_jets_in_mass_order_and_only_those_named_are_there(tmp_path):
    event = [toys.jet(900, mass=50, tau4=0.05), toys.jet(800, phi=3.0, mass=90, tau4=0.15)]
    path = toys.write_nanoaod(tmp_path / "toy.root", [event, event])
    _, table = processed(path, tmp_path, features=("mj1", "tau43_j1"))
    np.testing.assert_allclose(table.column("tau43_j1"), 0.75, rtol=1e-6)
    assert {name for name in table.feature_names if name in FEATURES and FEATURES[name].optional} == {"tau43_j1"}


@pytest.mark.parametrize(
    ("layout", "name", "message"),
    [
        ("nanoaod", "n2_j1", r"feature 'n2_j1' cannot.*toy\.root.*branch FatJet_n2b1 is missing"),
        ("nanoaod", "d2_j2", r"feature 'd2_j2' cannot.*toy\.root.*branch FatJet_d2 is missing"),
        ("nanoaod", "particleNet_XbbVsQCD_j1", r"'particleNet_XbbVsQCD_j1'.*branch FatJet_particleNet_XbbVsQCD is"),
        ("delphes", "n_constituents_j1", r"'n_constituents_j1'.*toy\.root.*branch FatJet\.NCharged is missing"),
        ("delphes", "groomed_fraction_j1", r"'groomed_fraction_j1'.*branch FatJet\.SoftDroppedP4\[5\] is missing"),
        ("physlite", "tau43_j1", r"'tau43_j1'.*branch AnalysisLargeRJetsAuxDyn\.Tau4_wta is missing"),
        ("physlite", "ungroomed_mass_j1", r"'ungroomed_mass_j1'.*toy\.root.*no branch.*ungroomed mass"),
        ("physlite", "n_constituents_j2", r"'n_constituents_j2'.*no branch.*number of constituents"),
    ],
)
def test_missing_branch_is_one_error_that_names_file_branch_and_feature(tmp_path, layout, name, message):
    write = {"nanoaod": toys.write_nanoaod, "delphes": toys.write_delphes, "physlite": toys.write_physlite}[layout]
    path = write(tmp_path / "toy.root", [toys.dijet()])
    with pytest.raises(InputFileError, match=message):
        processed(path, tmp_path, layout, features=("mj1", name))


def test_branches_are_read_only_if_a_feature_is_named(data):
    log: list = []
    dijets = read(data("nanoaod/nano_v15_tt.root"), log=log)
    further = {"FatJet_n2b1", "FatJet_n3b1", "FatJet_nConstituents", "FatJet_tau4", "FatJet_msoftdrop"}
    for optional, expected in ((False, set()), (True, further)):
        for name, one in FEATURES.items():
            if one.optional == optional and not name.startswith("d2"):
                one.evaluate(dijets)
        assert further & {one.branch for one in log} == expected
