"""What an archive tells of the machine it was made on: nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analysis.core.documents import from_json
from analysis.export.archive.contents import portable_process
from analysis.export.archive.document import ArchiveDocument, LimitDifference
from analysis.export.archive.texts import text_members
from analysis.results.process_values import ProcessFile
from analysis.results.values import PluginDocument


def record(path: str, kind: str = "pseudodata") -> dict[str, Any]:
    counts = {"all": {"events": 3, "weight": 3.0}}
    largest = {"events": 1, "effective_events": 1.0, "largest": 1.0, "share": 1.0, "file": path}
    return {
        "parts": ["one.parquet"],
        "n_entries": 3,
        "sum_of_weights": None,
        "cutflow": counts,
        "n_minus_one": {},
        "sanity": {},
        "files": [{"dataset": "qcd", "filename": path, "treename": "Events", "uuid": "1", "n_entries": 3}],
        "skipped_files": [{"dataset": "qcd", "filename": path, "reason": f"{path} is empty", "n_entries": 0}],
        "weights": {"all": largest},
        "dataset": {
            "name": "qcd",
            "kind": kind,
            "format": "nanoaod",
            "files": [[path, "Events"]],
            "own": {"author": "/home/her"},
        },
    }


@pytest.mark.parametrize(
    "path",
    [
        "/home/her/data/qcd.root",
        "root://me:secret@host.cern.ch//store/user/her/qcd.root",
        "https://host.cern.ch/her/qcd.root?authz=secret&filename=her",
        "C:\\Users\\her\\qcd.root",
    ],
)
def test_the_record_of_the_events_has_names_of_files_only(path: str) -> None:
    document = {"digest": "00", "datasets": {"qcd": record(path), "more": record(path)}, "selection": {}, "parts": path}
    found = portable_process(document, ["qcd"])
    text = json.dumps(found)
    assert not [word for word in ("her", "secret", "host", "store") if word in text]
    stored = from_json(ProcessFile, found)
    assert list(stored.datasets) == ["qcd"]
    assert (stored.parts, stored.datasets["qcd"].files[0].filename) == (None, "qcd.root")
    assert stored.datasets["qcd"].n_entries == 3


def test_the_readme_names_the_code_that_is_not_there() -> None:
    plugin = PluginDocument("mine.py", "ab" * 32, {"feature": ("x",)}, of_events=True)
    document = ArchiveDocument(cwola="1.2.3", datasets=(), lumi_ifb=None, plugins=(plugin,))
    texts = text_members(document, licence=b"CC0-1.0")
    assert f"`mine.py` (SHA-256 {'ab' * 32})".encode() in texts["README.md"]
    assert texts["LICENCE.txt"] == b"CC0-1.0"
    assert b"version: 1.2.3" in texts["CITATION.cff"]
    assert b"No licence was named" in text_members(document)["LICENCE.txt"]


def test_a_difference_is_relative_to_the_limit_of_the_search() -> None:
    assert LimitDifference(signal="a", rule="b", selected=50.0, synthetic=45.0).relative == pytest.approx(-0.1)
