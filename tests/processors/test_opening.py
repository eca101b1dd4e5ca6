"""A path is a path, and a file is the file at that path."""

from __future__ import annotations

import json

import pytest
import uproot

from analysis.events.datasets import load_datasets
from processors.files.inspection import inspect_file
from processors.opening import create_root, open_root
from tests.builders import toys
from tests.builders.running import run

NAMES = [
    "a:b.root",
    "a.root:Events",
    "a::b.root",
    "zip::a.root",
    "file:a.root",
    "http:a.root",
    "folder::1/a.root",
    "a.zip::folder/a.root",
    "x#1.root",
    "two words.root",
    "50%.root",
    "%20.root",
    "what?.root",
    "any*.root",
    "m[12].root",
    "{a,b}.root",
    "a;1.root",
    "~.root",
    "-a.root",
]


@pytest.mark.parametrize("name", NAMES)
def test_files_of_any_name_are_inspected_and_processed(tmp_path, monkeypatch, name):
    """Beside files that another reading of the name leads to."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    for other in ("a", "a.root", "b.root", "zip", "m1.root", "any1.root", "x", " .root"):
        (tmp_path / other).write_bytes(b"another file")
    events = [toys.dijet()] * 3
    toys.write_nanoaod(tmp_path / "plain", events, gen_weight=[2.0] * 3, generator_sums=[6.0]).rename(path)
    for address in (name, str(path)):
        report = inspect_file(address)
        assert (report.events, report.generator_sum) == (3, 6.0)

    (entry,) = report.datasets.values()
    assert list(entry["files"]) == [str(path)]
    entry["metadata"] |= {"kind": "background", "xsec_pb": 1.0, "lumi_ifb": 1.0}
    entry["files"] = {name: "Events"}
    document = tmp_path / "datasets.json"
    document.write_text(json.dumps({"x": entry}))
    result, table = run(load_datasets(document)["x"], tmp_path / "out", {"mjj_min": 0})
    assert [file.filename for file in result.files] == [str(path)]
    assert (len(table), result.sum_of_weights) == (3, 6.0)


@pytest.mark.parametrize("name", NAMES)
def test_files_of_any_name_are_created(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    with create_root(path.relative_to(tmp_path)) as file:
        file["note"] = "text"
    assert [str(one.relative_to(tmp_path)) for one in tmp_path.rglob("*") if one.is_file()] == [name]
    with uproot.open(path.open("rb")) as file:
        assert str(file["note"]) == "text"


def test_files_with_one_uuid_are_told_apart(tmp_path):
    paths = [
        toys.set_uuid(toys.write_nanoaod(tmp_path / f"{n}.root", [toys.dijet()] * 3, first_event=10 * n))
        for n in (0, 1)
    ]
    firsts = []
    for path in [*paths, *paths]:
        with open_root(str(path)) as file:
            firsts.append(int(file["Events/event"].array()[0]))
    assert firsts == [0, 10, 0, 10]
