"""Branches of other collections: numbers, counters and lists of each event."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from analysis.config import SelectionConfig
from analysis.errors import InputFileError, ProcessingError
from processors.features import FEATURES, Feature
from processors.selection.cuts import CUTS, Cut
from tests.builders import toys
from tests.builders.running import dataset, read, run

EVENTS = [toys.dijet(), [toys.jet()], [*toys.dijet(), toys.jet(250)], [*toys.dijet(), toys.jet(260), toys.jet(240)]]
"""All but the second have two jets."""

MUONS = ak.Array([[40.0], [], [], [50.0, 20.0]])

WRITERS = {"nanoaod": toys.write_nanoaod, "delphes": toys.write_delphes, "physlite": toys.write_physlite}

COUNTERS = [
    ("nanoaod", "nFatJet", [2, 3, 4]),
    ("nanoaod", "nMuon", [1, 0, 2]),
    ("delphes", "FatJet_size", [2, 3, 4]),
    ("delphes", "Event_size", [1, 1, 1]),
]

LISTS = [
    ("nanoaod", "FatJet_pt", [[800, 800], [800, 800, 250], [800, 800, 260, 240]]),
    ("nanoaod", "Muon_pt", [[40], [], [50, 20]]),
    ("delphes", "FatJet.PT", [[800, 800], [800, 800, 250], [800, 800, 260, 240]]),
    ("physlite", "AnalysisLargeRJetsAuxDyn.pt", [[8e5, 8e5], [8e5, 8e5, 2.5e5], [8e5, 8e5, 2.6e5, 2.4e5]]),
]

MISSING = [
    ("nanoaod", "FatJet.offsets", "nFatJet"),
    ("nanoaod", "Muon.offsets", "nMuon"),
    ("nanoaod", "nMuons", "nMuon"),
    ("nanoaod", "nfatjet", "nFatJet"),
    ("nanoaod", "nrun", "run"),
    ("nanoaod", "Muon_pT", "Muon_pt"),
    ("delphes", "FatJet.offsets", "FatJet_size"),
    ("delphes", "FatJet_sizes", "FatJet_size"),
    ("delphes", "FatJet.P", "FatJet.PT"),
    ("physlite", "nAnalysisLargeRJets", ""),
]


@pytest.fixture
def path(tmp_path, request):
    layout = request.node.callspec.params["layout"]
    extra = {"extra": {"Muon": ak.zip({"pt": MUONS}), "MET_pt": np.arange(4.0)}} if layout == "nanoaod" else {}
    return WRITERS[layout](tmp_path / "toy.root", EVENTS, **extra)


@pytest.mark.parametrize(("layout", "name", "counts"), COUNTERS)
def test_counters_are_numbers_of_objects(path, layout, name, counts):
    """coffea makes offsets of them, running indices."""
    dijets = read(path, layout)
    assert dijets.column(name).tolist() == counts
    assert dijets.take(np.array([2, 0])).column(name).tolist() == [counts[2], counts[0]]


@pytest.mark.parametrize(("layout", "name", "lists"), LISTS)
def test_lists_are_those_of_the_file(path, layout, name, lists):
    dijets = read(path, layout)
    assert dijets.jagged(name).tolist() == lists
    assert dijets.take(np.array([False, True, True])).jagged(name).tolist() == lists[1:]


@pytest.mark.parametrize(("layout", "name", "similar"), MISSING)
@pytest.mark.parametrize("call", ["column", "jagged"])
def test_names_that_no_file_holds_are_missing(path, layout, name, similar, call):
    with pytest.raises(InputFileError, match=rf"branch {name} is missing\. Similar branches: .*{similar}") as caught:
        getattr(read(path, layout), call)(name)
    assert "offsets" not in str(caught.value).partition("Similar")[2]


SHAPES = [
    ("nanoaod", lambda dijets: dijets.column("Muon_pt"), r"branch Muon_pt holds a list .*dijets\.jagged\('Muon_pt'\)"),
    ("nanoaod", lambda dijets: dijets.column("FatJet_pt"), r"FatJet_pt holds a list .*dijets\.jagged\('FatJet_pt'\)"),
    ("nanoaod", lambda dijets: dijets.jagged("MET_pt"), r"MET_pt holds one value .*dijets\.column\('MET_pt'\)"),
    ("nanoaod", lambda dijets: dijets.jagged("nMuon"), r"nMuon holds one value .*dijets\.column\('nMuon'\)"),
    ("nanoaod", lambda dijets: dijets.column("Muon"), r"Muon is a collection, not a branch.*Muon_pt"),
    ("delphes", lambda dijets: dijets.column("FatJet.PT"), r"FatJet\.PT holds a list .*dijets\.jagged\('FatJet\.PT'\)"),
    ("delphes", lambda dijets: dijets.first.column("Tau_5"), r"FatJet\.Tau\[5\] holds several values for each jet"),
    ("physlite", lambda dijets: dijets.column("AnalysisLargeRJetsAuxDyn.pt"), r"AuxDyn\.pt holds a list .*jagged"),
]


@pytest.mark.parametrize(("layout", "call", "message"), SHAPES)
@pytest.mark.parametrize("function", ["cut", "feature"])
def test_wrong_shape_names_function_branch_and_remedy(monkeypatch, tmp_path, path, layout, call, message, function):
    if function == "cut":
        monkeypatch.setitem(CUTS, "mine", Cut("mine", "mine", lambda dijets, selection: call(dijets) > 0))
    else:
        monkeypatch.setitem(FEATURES, "mj1", Feature(FEATURES["mj1"].spec, call))
    name = {"cut": "mine", "feature": "mj1"}[function]
    where = rf"^{function} '{name}': .*toy\.root \(dataset sample\)"
    with pytest.raises(ProcessingError, match=f"{where}: .*{message}") as caught:
        run(dataset(path, layout=layout), tmp_path / "out", {"mjj_min": 0})
    assert len(str(caught.value).splitlines()) == 1


RETURNED = {
    "a list of each event": (lambda dijets: dijets.jagged("Muon_pt") > 30, "returned 3 .* var .* bool"),
    "missing values": (lambda dijets: ak.firsts(dijets.jagged("Muon_pt")) > 30, r"returned 3 \* \?bool"),
    "numbers": (lambda dijets: dijets.column("nMuon"), r"returned int\d+ \(3,\)"),
    "one bool": (lambda dijets: True, r"returned bool \(\)"),
    "other events": (lambda dijets: dijets.column("nMuon")[:2] > 0, r"returned bool \(2,\)"),
}


@pytest.mark.parametrize("layout", ["nanoaod"])
@pytest.mark.parametrize("name", RETURNED)
def test_cut_that_returns_no_decisions_is_named(path, layout, name):
    passes, message = RETURNED[name]
    mine = Cut("mine", "mine", lambda dijets, selection: passes(dijets))
    with pytest.raises(ProcessingError, match=rf"cut 'mine' must return one bool for each of 3 events.*{message}"):
        mine.evaluate(read(path, layout), SelectionConfig())
