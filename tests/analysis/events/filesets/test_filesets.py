"""Filesets of other tools, read as they are: the files are those that plain code finds in them."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from analysis.core.address import replicas_of
from analysis.errors import DatasetError
from analysis.events.dataset import Dataset
from analysis.events.datasets import load_datasets
from tests.builders.filesets import FORM, coffea, pocket_coffea

STORE = "/store/data/Run2018A/JetHT/NANOAOD/UL2018_MiniAODv2_NanoAODv9-v2/110000/"
NAMES = [f"{STORE}{name}.root" for name in ("0A1B", "3C4D", "99FF")]
REMOTE = [f"root://eoscms.cern.ch//eos/cms{name}" for name in NAMES]


def load(folder: Path, document: Any, *redirectors: str) -> dict[str, Dataset]:
    path = folder / "fileset.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return load_datasets(path, redirectors)


def paths(dataset: Dataset) -> list[str]:
    return [str(path) for path, _ in dataset.files]


def test_output_of_preprocess_is_read_with_its_form_and_metadata(tmp_path: Path) -> None:
    entry = coffea(REMOTE, 1000, isMC=False, year=2018, nested={"a": [1]})
    assert len(FORM) > 10_000
    one = load(tmp_path, {"JetHT": entry})["JetHT"]
    assert list(one.files) == [(path, "Events") for path in entry["files"]]
    assert (one.kind, one.format) == ("data", "nanoaod")
    assert one.own == {"isMC": False, "year": 2018, "nested": {"a": [1]}}


def test_gzipped_output_of_preprocess_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fileset_available.json.gz"
    path.write_bytes(gzip.compress(json.dumps({"JetHT": coffea(REMOTE, 10, kind="data")}).encode()))
    assert paths(load_datasets(path)["JetHT"]) == REMOTE
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        load_datasets(path)


@pytest.mark.parametrize(
    ("steps", "entries", "whole"),
    [
        ([[0, 5], [5, 9]], 9, True),
        ([[5, 9], [0, 5]], 9, True),
        (None, None, True),
        ([[0, 5]], 9, False),
        ([[0, 4], [5, 9]], 9, False),
        ([[1, 9]], 9, False),
        ([[0, 9]], None, False),
        ([[0]], 9, False),
        ([], 9, False),
        ([], 0, True),
    ],
)
def test_steps_that_choose_a_part_of_a_file_are_refused(tmp_path: Path, steps: Any, entries: Any, whole: bool) -> None:
    entry = coffea(REMOTE[:1], 2, kind="data")
    entry["files"][REMOTE[0]] |= {"steps": steps, "num_entries": entries}
    if whole:
        assert paths(load(tmp_path, {"x": entry})["x"]) == REMOTE[:1]
        return
    with pytest.raises(DatasetError, match=r"/x/files/root:~1~1eoscms.*/steps: "):
        load(tmp_path, {"x": entry})


def test_parquet_files_of_a_fileset_are_refused(tmp_path: Path) -> None:
    entry = {"files": {"a.parquet": {"object_path": None, "format": "parquet"}}, "metadata": {"kind": "data"}}
    with pytest.raises(DatasetError, match=r"/x/files/a.parquet/format: 'parquet' files cannot be read"):
        load(tmp_path, {"x": entry})


def test_pocket_coffea_tells_kind_and_cross_section(tmp_path: Path) -> None:
    fileset = {
        "JetHT_2018_A": pocket_coffea(REMOTE[:2], simulated=False),
        "QCD_2018": pocket_coffea(REMOTE[2:], simulated=True),
    }
    loaded = load(tmp_path, fileset)
    assert {name: paths(one) for name, one in loaded.items()} == {name: one["files"] for name, one in fileset.items()}
    assert [(one.kind, one.xsec_pb, one.format) for one in loaded.values()] == [
        ("data", None, "nanoaod"),
        ("background", 0.6419, "nanoaod"),
    ]
    assert loaded["JetHT_2018_A"].own == fileset["JetHT_2018_A"]["metadata"]
    assert not loaded["QCD_2018"].is_normalised


def test_own_keys_win_over_those_of_others(tmp_path: Path) -> None:
    entry = pocket_coffea(REMOTE, simulated=True)
    entry["metadata"] |= {"kind": "signal", "xsec_pb": 2.0, "lumi_ifb": 59.8, "format": "physlite"}
    one = load(tmp_path, {"x": entry})["x"]
    assert (one.kind, one.xsec_pb, one.format, one.files[0][1]) == ("signal", 2.0, "physlite", "CollectionTree")


@pytest.mark.parametrize(
    ("metadata", "kind"),
    [
        ({"isMC": "False"}, "data"),
        ({"is_mc": 1}, "background"),
        ({"is_data": True}, "data"),
        ({"isData": "no"}, "background"),
        ({"isMC": "perhaps"}, None),
        ({}, None),
    ],
)
def test_kind_follows_only_from_what_is_clear(tmp_path: Path, metadata: dict[str, Any], kind: str | None) -> None:
    document = {"x": {"files": REMOTE, "metadata": metadata}}
    if kind is not None:
        assert load(tmp_path, document)["x"].kind == kind
        return
    with pytest.raises(DatasetError, match=r"/x/metadata/kind: Field required"):
        load(tmp_path, document)


@pytest.mark.parametrize(
    ("tree", "metadata", "expected"),
    [
        ("Events", {}, ("nanoaod", "Events")),
        ("Delphes", {}, ("delphes", "Delphes")),
        ("CollectionTree", {}, ("physlite", "CollectionTree")),
        (None, {"format": "delphes"}, ("delphes", "Delphes")),
        ("mine", {"format": "delphes"}, ("delphes", "mine")),
        (None, {}, ("nanoaod", "Events")),
    ],
)
def test_format_and_tree_complete_each_other(
    tmp_path: Path, tree: str | None, metadata: dict[str, Any], expected: tuple[str, str]
) -> None:
    one = load(tmp_path, {"x": {"files": {"a.root": tree}, "metadata": {"kind": "data", **metadata}}})["x"]
    assert (one.format, one.files[0][1]) == expected


def test_lists_of_files_are_relative_to_the_list(tmp_path: Path) -> None:
    text = f"\ufeff# run A\n{REMOTE[0]}\n\n  near/a.root   # good\n  far/b c#1.root\r\n"
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "files.txt").write_text(text, encoding="utf-8", newline="")
    (tmp_path / "lists" / "lfns_0123.json").write_text(json.dumps(REMOTE, indent=4))
    document = {
        "text": {"files": "lists/files.txt", "metadata": {"kind": "data"}},
        "columnflow": {"files": "lists/lfns_0123.json", "metadata": {"kind": "data"}},
        "single": {"files": "a.root", "metadata": {"kind": "data"}},
    }
    loaded = load(tmp_path, document)
    folder = str(tmp_path / "lists")
    assert paths(loaded["text"]) == [REMOTE[0], f"{folder}/near/a.root", f"{folder}/far/b c#1.root"]
    assert paths(loaded["columnflow"]) == REMOTE
    assert paths(loaded["single"]) == [str(tmp_path / "a.root")]


@pytest.mark.parametrize(
    ("content", "text"),
    [(None, r"cannot read the list .*files.txt"), ("# none\n\n", "it lists no file"), ("[1]", "1 is no path")],
)
def test_a_list_that_cannot_be_used_is_named(tmp_path: Path, content: str | None, text: str) -> None:
    if content is not None:
        (tmp_path / "files.txt").write_text(content)
    with pytest.raises(DatasetError, match=rf"/x/files: .*{text}"):
        load(tmp_path, {"x": {"files": "files.txt", "metadata": {"kind": "data"}}})


@pytest.mark.parametrize(
    ("redirector", "beginning"),
    [
        ("root://cms-xrd-global.cern.ch", "root://cms-xrd-global.cern.ch//store"),
        ("root://xrootd-cms.infn.it//", "root://xrootd-cms.infn.it//store"),
        ("root://eoscms.cern.ch//eos/cms", "root://eoscms.cern.ch//eos/cms/store"),
        ("https://host:1094/", "https://host:1094/store"),
        ("/eos/cms", "/eos/cms/store"),
    ],
)
def test_logical_names_follow_the_redirector(tmp_path: Path, redirector: str, beginning: str) -> None:
    loaded = load(tmp_path, {"x": {"files": NAMES, "metadata": {"kind": "data"}}}, redirector)
    assert paths(loaded["x"]) == [name.replace("/store", beginning, 1) for name in NAMES]


@pytest.mark.parametrize(
    ("redirectors", "text"), [((), "--redirector.*CWOLA_REDIRECTOR"), (("cms-xrd-global.cern.ch",), "neither a URL")]
)
def test_logical_names_need_a_redirector(tmp_path: Path, redirectors: tuple[str, ...], text: str) -> None:
    with pytest.raises(DatasetError, match=rf"/x/files: .*{text}"):
        load(tmp_path, {"x": {"files": NAMES, "metadata": {"kind": "data"}}}, *redirectors)


def test_several_redirectors_and_replicas_are_addresses_of_one_file(tmp_path: Path) -> None:
    document = {
        "redirected": {"files": NAMES[:1], "metadata": {"kind": "data"}},
        "listed": {"files": [[REMOTE[0], "a.root", REMOTE[0]]], "metadata": {"kind": "data"}},
        "described": {
            "files": {REMOTE[0]: {"object_path": "T", "replicas": ["https://me:secret-word@b/1.root"]}},
            "metadata": {"kind": "data"},
        },
    }
    loaded = load(tmp_path, document, "root://a", "root://b")
    found = {name: replicas_of(one.files[0][0]) for name, one in loaded.items()}
    assert found["redirected"] == [f"root://a/{NAMES[0]}", f"root://b/{NAMES[0]}"]
    assert found["listed"] == [REMOTE[0], str(tmp_path / "a.root")]
    assert found["described"] == [REMOTE[0], "https://b/1.root"]
    assert [paths(one) for one in loaded.values()] == [[f"root://a/{NAMES[0]}"], REMOTE[:1], REMOTE[:1]]
    assert loaded["described"].files[0][1] == "T"


def test_wildcards_are_expanded_on_servers(tmp_path: Path, memory: Any) -> None:
    for name in ("/run/b10.root", "/run/b2.root", "/run/c.root", "/run/sub/b3.root"):
        memory.pipe(name, b"x")
    loaded = load(
        tmp_path,
        {
            "flat": {"files": {"memory://run/b*.root": "T"}, "metadata": {"kind": "data"}},
            "deep": {"files": ["memory://run/**/*.root"], "metadata": {"kind": "data"}},
        },
    )
    assert loaded["flat"].files == (("memory://run/b10.root", "T"), ("memory://run/b2.root", "T"))
    assert paths(loaded["deep"]) == [
        f"memory://run/{name}" for name in ("b10.root", "b2.root", "c.root", "sub/b3.root")
    ]


def test_the_same_wildcards_on_several_servers_give_replicas(tmp_path: Path, memory: Any) -> None:
    for name in ("/one/x/a.root", "/one/x/b.root", "/two/x/b.root", "/two/x/c.root"):
        memory.pipe(name, b"x")
    pattern = ["memory://one/x/*.root", "memory://two/x/*.root", "memory://none/*.root"]
    files = load(tmp_path, {"x": {"files": [pattern], "metadata": {"kind": "data"}}})["x"].files
    assert [replicas_of(path) for path, _ in files] == [
        ["memory://one/x/a.root"],
        ["memory://one/x/b.root", "memory://two/x/b.root"],
        ["memory://two/x/c.root"],
    ]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("http://host/x/*.root", "http servers do not list their files"),
        ("memory://nowhere/*.root", "no file matches memory://nowhere"),
        ("nosuch://host/*.root", "cannot list its files: ValueError"),
    ],
)
def test_wildcards_that_find_nothing_are_explained(tmp_path: Path, pattern: str, text: str) -> None:
    with pytest.raises(DatasetError, match=f"/x/files: .*{text}"):
        load(tmp_path, {"x": {"files": [pattern], "metadata": {"kind": "data"}}})


@pytest.fixture
def memory() -> Any:
    import fsspec

    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]
