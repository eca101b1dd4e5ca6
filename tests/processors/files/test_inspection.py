"""What an inspection says of a file against what the file holds, and against what processing makes of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import uproot

from analysis.errors import InputFileError
from analysis.events.datasets import load_datasets
from processors.files.inspection import inspect_file
from tests.builders import plain, toys
from tests.builders.running import run

REAL = {
    "nanoaod/nano_v9_dy": ("nanoaod", "Events", 40, "background"),
    "nanoaod/nano_v12_tt": ("nanoaod", "Events", 200, "background"),
    "nanoaod/nano_v15_tt": ("nanoaod", "Events", 200, "background"),
    "nanoaod/pfnano": ("nanoaod", "Events", 10, "background"),
    "pythia/qcd_b": ("nanoaod", "Events", 100_000, "pseudodata"),
    "pythia/wprime_3500_500_100": ("nanoaod", "Events", 8000, "background"),
    "delphes/qcd_low_pt_r10": ("delphes", "Delphes", 500, "background"),
    "delphes/stock_cms_card_r08": ("delphes", "Delphes", 200, "background"),
    "delphes/wprime_3500_500_100_r10_full": ("delphes", "Delphes", 3000, "background"),
    "physlite/physlite_mc_100": ("physlite", "CollectionTree", 100, "background"),
}

READERS = {"nanoaod": plain.nanoaod_events, "delphes": plain.delphes_events, "physlite": plain.physlite_events}


@pytest.mark.thorough
@pytest.mark.parametrize("name", REAL)
def test_real_files(data, name):
    """Format, tree, events and jets, counted independently; every branch that is named is there."""
    path = data(f"{name}.root")
    layout, tree, events, kind = REAL[name]
    report = inspect_file(str(path))
    assert (report.format, report.tree, report.events, report.problem) == (layout, tree, events, None)
    default = "AnalysisLargeRJets" if layout == "physlite" else "FatJet"
    assert report.collections[0].name == default
    assert not {"nFatJet", "SubJet"} & {one.name for one in report.collections}
    jets = [len(event["jets"]) for event in READERS[layout](path, 3000)]
    if events <= 3000:
        assert report.collections[0].jets == sum(jets)
        assert report.collections[0].mean == sum(jets) / events
        assert report.collections[0].two_or_more == sum(count >= 2 for count in jets)
    with uproot.open(path) as file:
        held = {key.rpartition("/")[2] for key in file[tree].keys(recursive=True)}
    named = [*report.columns.values(), *report.event_columns.values(), *report.triggers, *report.filters]
    assert {branch for branch in named if branch is not None} <= held
    assert report.datasets[path.stem]["metadata"] == {"kind": kind, "format": layout}
    json.dumps(report.to_json(), allow_nan=False)


def test_delphes_collections_of_the_stock_card(data):
    report = inspect_file(str(data("delphes/stock_cms_card_r08.root")))
    assert [one.name for one in report.collections] == ["FatJet", "GenJet", "Jet"]
    assert report.columns["tau2"] == "FatJet.Tau[5]"
    assert report.columns["trimmed"] == "FatJet.TrimmedP4[5]"


@pytest.mark.parametrize(
    ("name", "total", "counts"),
    [("nano_v9_dy", 15166686735.858717, (651, 27)), ("pfnano", 10.0, (569, 26)), ("nano_v12_tt", None, (4, 28))],
)
def test_nanoaod_sums_triggers_and_filters(data, name, total, counts):
    report = inspect_file(str(data(f"nanoaod/{name}.root")))
    assert report.generator_sum == total
    assert (len(report.triggers), len(report.filters)) == counts
    missing = {one.what: one.cost for one in report.missing}
    assert ("sum of generator weights before skims" in missing) == (total is None)


@pytest.mark.parametrize(
    ("drop", "costs"),
    [
        (["FatJet_tau3"], {"FatJet_tau3": "no tau32_j1, tau32_j2"}),
        (
            ["FatJet_tau1", "FatJet_tau2"],
            {"FatJet_tau1": "no tau21_j1, tau21_j2", "FatJet_tau2": "no tau21_j1, tau21_j2, tau32_j1, tau32_j2"},
        ),
        (["FatJet_tau4"], {"FatJet_tau4": "nothing: no feature needs it"}),
        (["FatJet_msoftdrop"], {"FatJet_msoftdrop": 'no selection.jet_mass = "softdrop"'}),
    ],
)
def test_missing_branches_and_what_they_cost(tmp_path, drop, costs):
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()] * 3, drop=drop)
    report = inspect_file(str(path))
    assert {one.what: one.cost for one in report.missing} == costs
    assert report.problem is None


def test_features_said_to_be_missing_are_those_that_processing_cannot_compute(tmp_path):
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()] * 3, drop=["FatJet_tau3", "run"])
    assert "the branch run is missing" in str(inspect_file(str(path)).problem)
    path = toys.write_nanoaod(tmp_path / "tau.root", [toys.dijet()] * 3, drop=["FatJet_tau3"])
    document = tmp_path / "datasets.json"
    report = inspect_file(str(path))
    document.write_text(json.dumps(report.datasets))
    loaded = load_datasets(document)["tau"]
    assert loaded.files == ((str(path), "Events"),)
    _, table = run(loaded, tmp_path, {"mjj_min": 0})
    empty = {name for name in ("tau21_j1", "tau32_j1", "tau32_j2") if np.isnan(table.column(name)).all()}
    assert empty == {"tau32_j1", "tau32_j2"}
    assert all(name in report.missing[0].cost for name in empty)


@pytest.mark.parametrize(("run_number", "kind"), [(1, "pseudodata"), (2, "pseudodata"), (316_187, "data")])
def test_kind_is_guessed_from_the_run_number(tmp_path, run_number, kind):
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()], run=run_number)
    assert inspect_file(str(path)).datasets["toy"]["metadata"]["kind"] == kind


def test_collection_and_tree_of_any_name(tmp_path):
    path = toys.write_delphes(tmp_path / "toy.root", [toys.dijet(), []], collection="MyBigJets")
    report = inspect_file(str(path))
    assert [(one.name, one.jets, one.two_or_more) for one in report.collections] == [("MyBigJets", 2, 1)]
    assert report.columns["pt"] == "MyBigJets.PT"
    assert report.problem is None
    with pytest.raises(InputFileError, match=r"toy\.root.*no tree 'Events'.*holds Delphes"):
        inspect_file(str(path), "Events")
    assert inspect_file(str(path), "Delphes").format == "delphes"


def test_file_without_fat_jets_is_recognised_but_cannot_be_processed(tmp_path):
    drop = [f"FatJet_{name}" for name in ("msoftdrop", "tau1", "tau2", "tau3", "tau4")]
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()], drop=drop)
    report = inspect_file(str(path))
    assert (report.format, report.collections) == ("nanoaod", ())
    assert "no jet collection" in str(report.problem)


def test_file_of_no_format(tmp_path):
    path = tmp_path / "toy.root"
    with uproot.recreate(path) as file:
        file.mktree("ntuple", {"x": np.float32}).extend({"x": np.ones(3, np.float32)})
    with pytest.raises(InputFileError, match=r"toy\.root: none of the formats.*ntuple \(x .*Events with FatJet_pt"):
        inspect_file(str(path))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("delphes_truncated_download", "cut off: it has 900000 of 3208336 bytes"),
        ("delphes_still_being_written", "still running"),
        ("delphes_no_tree", "no tree 'Delphes'"),
        ("delphes_zero_events", "holds no events"),
        ("nanoaod_zero_events", "holds no events"),
    ],
)
def test_edge_files(data, name, text):
    path = data(f"edge/{name}.root")
    with pytest.raises(InputFileError) as caught:
        inspect_file(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert text in str(caught.value)


def test_nanoaod_in_an_rntuple(tmp_path):
    """The report is that of the same tree, but for the address."""
    tree = toys.write_nanoaod(tmp_path / "tree.root", toys.random_events(40, seed=2), gen_weight=[1.0] * 40)
    ntuple = toys.as_rntuple(tmp_path / "a.root", tree, "Events")
    assert_same_report(ntuple, tree)


def test_physlite_in_an_rntuple(tmp_path):
    """ATLAS writes a colon where the names of branches have a dot."""
    tree = toys.write_physlite(tmp_path / "tree.root", toys.random_events(40, seed=2))
    ntuple = toys.as_rntuple(tmp_path / "a.root", tree, "CollectionTree", {".": ":"})
    assert_same_report(ntuple, tree)
    dotted = toys.as_rntuple(tmp_path / "b.root", tree, "CollectionTree")
    with pytest.raises(InputFileError, match=r"b\.root: the field \S+ of the RNTuple .* cannot be read.*with a colon"):
        inspect_file(str(dotted))


def assert_same_report(one, other):
    reports = [inspect_file(str(path)).to_json() for path in (one, other)]
    assert reports[0]["problem"] is None
    for report in reports:
        del report["file"], report["datasets"]
    assert reports[0] == reports[1]


def test_edge_file_without_a_branch(data):
    report = inspect_file(str(data("edge/nanoaod_missing_luminosityblock.root")))
    assert report.event_columns["luminosity_block"] is None
    assert str(report.problem).startswith("the branch luminosityBlock is missing")


def folder(path):
    path.mkdir()


def histogram(path):
    with uproot.recreate(path) as file:
        file["Events"] = np.histogram([1.0, 2.0])


def other_rntuple(path):
    with uproot.recreate(path) as file:
        file.mkrntuple("ntuple", {"x": np.ones(3, np.float32)})


def cut_off(path):
    toys.write_nanoaod(path, [toys.dijet()])
    path.write_bytes(path.read_bytes()[:400])


UNUSABLE = {
    "absent": (lambda path: None, "there is no such file. Correct the path."),
    "folder": (folder, "this is a folder, not a ROOT file"),
    "empty": (lambda path: path.write_bytes(b""), "this is not a ROOT file but an empty one"),
    "page": (lambda path: path.write_text("<html>404 not found</html>" * 10), "this is not a ROOT file. Download"),
    "zeros": (lambda path: path.write_bytes(bytes(5000)), "this is not a ROOT file. Download"),
    "cut off in the header": (lambda path: path.write_bytes(b"root\0\0"), "this is not a ROOT file. Download"),
    "cut off": (cut_off, "the file is cut off: it has 400 of"),
    "histogram": (
        histogram,
        "there is no tree 'Delphes' or 'Events' or 'CollectionTree'; the file holds Events (TH1D)",
    ),
    "RNTuple": (other_rntuple, "none of the formats is recognised. Trees: ntuple (x ...)"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_file_that_cannot_be_used_is_one_clear_error(tmp_path, name):
    make, text = UNUSABLE[name]
    path = tmp_path / "a.root"
    make(path)
    with pytest.raises(InputFileError) as caught:
        inspect_file(str(path))
    assert str(caught.value).startswith(f"{path}: {text}")
    assert len(str(caught.value).splitlines()) == 1


def test_object_that_is_no_tree(tmp_path):
    histogram(tmp_path / "a.root")
    with pytest.raises(InputFileError, match=r"a\.root: 'Events' is a TH1D, not a tree\. Name the tree"):
        inspect_file(str(tmp_path / "a.root"), "Events")
