"""One clear error for each thing that is wrong with a file, in this process and from workers."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import uproot

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.errors import CwolaError, InputFileError, ProcessingError
from analysis.events.dataset import Dataset
from processors.features import FEATURES, Feature
from processors.runner.problems import explain
from processors.runner.run import process_datasets
from tests.builders import toys
from tests.builders.running import TREES, dataset, run

EDGES = [
    ("delphes_truncated_download", "Delphes", r"cut off: it has 900000 of 3208336 bytes\. Download"),
    ("delphes_still_being_written", "Delphes", r"no tree 'Delphes'; the file holds nothing.*still running"),
    ("delphes_no_tree", "Delphes", r"no tree 'Delphes'; the file holds nothing.*make the file again"),
    ("delphes_zero_events", "Delphes", r"hold no events.*Make them again"),
    ("nanoaod_zero_events", "Events", r"hold no events.*Make them again"),
    ("nanoaod_missing_luminosityblock", "Events", r"branch luminosityBlock is missing.*Make the file again"),
]


@pytest.fixture(params=["serial", "two_processes"])
def backend(request):
    return request.getfixturevalue(request.param)


def process(name: str, layout: str, path: str, tree: str, folder, backend) -> None:
    one = Dataset(name, "background", layout, ((path, tree),))
    process_datasets({name: one}, SearchConfig(), folder, backend)


@pytest.mark.parametrize(("name", "tree", "message"), EDGES)
def test_edge_files(data, tmp_path, capfd, name, tree, message):
    path = data(f"edge/{name}.root")
    with pytest.raises(InputFileError, match=message) as caught:
        process("broken", name.split("_")[0], str(path), tree, tmp_path, Serial())
    assert str(path) in str(caught.value)
    assert "broken" in str(caught.value)
    assert "Traceback" not in "".join(capfd.readouterr())
    assert not list(tmp_path.rglob("*.parquet"))


def test_edge_file_read_by_a_worker(data, tmp_path, capfd, two_processes):
    path = data("edge/delphes_truncated_download.root")
    with pytest.raises(
        InputFileError, match=r"delphes_truncated_download\.root \(dataset broken\): the file is cut off"
    ):
        process("broken", "delphes", str(path), "Delphes", tmp_path, two_processes)
    assert "Traceback" not in "".join(capfd.readouterr())


def test_missing_file(tmp_path, backend):
    with pytest.raises(
        InputFileError, match=r"nowhere\.root \(dataset gone\): there is no such file\. Correct the path"
    ):
        process("gone", "nanoaod", str(tmp_path / "nowhere.root"), "Events", tmp_path, backend)


def test_wrong_tree_names_what_the_file_holds(tmp_path):
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()], generator_sums=[1.0])
    with pytest.raises(
        InputFileError, match=r"a\.root \(dataset x\): there is no tree 'Event'; the file holds Events, Runs"
    ):
        process("x", "nanoaod", str(path), "Event", tmp_path, Serial())


@pytest.mark.parametrize("content", [b"", b"root\0\0", bytes(5000), b"<html>404 not found</html>" * 10])
def test_file_that_is_not_root(tmp_path, content):
    path = tmp_path / "page.root"
    path.write_bytes(content)
    with pytest.raises(InputFileError, match=r"page\.root \(dataset x\): this is not a ROOT file"):
        process("x", "nanoaod", str(path), "Events", tmp_path, Serial())


def test_folder_and_histogram_are_no_trees(tmp_path):
    (tmp_path / "folder.root").mkdir()
    with pytest.raises(InputFileError, match=r"folder\.root \(dataset x\): this is a folder.*with folder/\*\.root"):
        process("x", "nanoaod", str(tmp_path / "folder.root"), "Events", tmp_path, Serial())
    with uproot.recreate(tmp_path / "h.root") as file:
        file["Events"] = np.histogram([1.0, 2.0])
    with pytest.raises(InputFileError, match=r"h\.root \(dataset x\): 'Events' is not a tree\. Correct the tree"):
        process("x", "nanoaod", str(tmp_path / "h.root"), "Events", tmp_path, Serial())


@pytest.mark.parametrize(("layout", "spell"), [("nanoaod", {}), ("physlite", {".": ":"})])
def test_rntuple_gives_the_events_of_the_tree(tmp_path, layout, spell):
    writer = {"nanoaod": toys.write_nanoaod, "physlite": toys.write_physlite}[layout]
    tree = writer(tmp_path / "tree.root", toys.random_events(60, seed=6))
    ntuple = toys.as_rntuple(tmp_path / "ntuple.root", tree, TREES[layout], spell)
    loose = {"mjj_min": 0, "abs_eta_max": 10, "jet_mass_min": 0}
    tables = [run(dataset(path, layout=layout), tmp_path / path.stem, loose)[1] for path in (ntuple, tree)]
    assert len(tables[0]) > 10
    for name in ("event", "mjj", "mj1", "tau21_j1"):
        np.testing.assert_array_equal(tables[0].column(name), tables[1].column(name))


def test_rntuple_with_dots_in_its_names(tmp_path):
    tree = toys.write_physlite(tmp_path / "tree.root", [toys.dijet()] * 3)
    dotted = toys.as_rntuple(tmp_path / "dotted.root", tree, "CollectionTree")
    with pytest.raises(InputFileError, match=r"dotted\.root \(dataset x\): no branch of the tree can be read.*inspect"):
        process("x", "physlite", str(dotted), "CollectionTree", tmp_path, Serial())


def test_wrong_format_is_suspected(tmp_path):
    nano = toys.write_nanoaod(tmp_path / "nano.root", [toys.dijet()])
    with pytest.raises(InputFileError, match=r"nano\.root.*metadata\.format"):
        process("x", "delphes", str(nano), "Events", tmp_path, Serial())
    delphes = toys.write_delphes(tmp_path / "delphes.root", [toys.dijet()])
    with pytest.raises(InputFileError, match=r"delphes\.root.*metadata\.format"):
        process("x", "nanoaod", str(delphes), "Delphes", tmp_path, Serial())


def test_error_of_the_package_comes_through_unchanged(tmp_path, backend):
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()], drop=("FatJet_phi",))
    with pytest.raises(InputFileError) as caught:
        run(dataset(path), tmp_path, backend=backend)
    assert str(caught.value).startswith(f"{path} (dataset sample): branch FatJet_phi is missing")


def test_mistake_in_a_feature_names_its_line(tmp_path, monkeypatch):
    def divide(dijets):
        return 1 / 0

    monkeypatch.setitem(FEATURES, "mj1", Feature(FEATURES["mj1"].spec, divide))
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()])
    with pytest.raises(ProcessingError, match=r"a\.root.*ZeroDivisionError.*test_broken_files\.py, line \d+"):
        run(dataset(path), tmp_path)


def test_chain_of_causes_that_runs_in_a_circle_ends():
    ours, outer = InputFileError("a.root: this"), RuntimeError("wrapped")
    outer.__cause__ = ours
    ours.__cause__ = outer
    task = dataset()
    assert explain(outer, task) is ours
    first, second = KeyError("x"), KeyError("y")
    first.__cause__, second.__cause__ = second, first
    record = type("Task", (), {"filename": "a.root", "dataset": "d", "treename": "Events"})()
    assert "a.root (dataset d): KeyError" in str(explain(first, record))


def test_errors_survive_the_way_back_from_a_worker():
    """An exception whose constructor takes more than the message breaks the pool when it is unpickled."""
    for kind in [CwolaError, *CwolaError.__subclasses__()]:
        copy = pickle.loads(pickle.dumps(kind("what, where, what to do")))
        assert (type(copy), str(copy)) == (kind, "what, where, what to do")
