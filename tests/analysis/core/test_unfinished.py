"""Nobody who can write into the same folder foresees the name of an unfinished file, and makes it a link to another."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.core.atomic import unfinished
from analysis.core.location import write_file
from analysis.demo import copy_demo
from analysis.export.event_list import write_events
from analysis.results.files import write_json

WRITERS: dict[str, Callable[[Path], object]] = {
    "results.json": lambda path: write_json(path, {"z": 1.0}),
    "events.csv": lambda path: write_events(pa.table({"run": [1]}), path),
    "events.parquet": lambda path: write_events(pa.table({"run": [1]}), path),
    "part.parquet": lambda path: write_file(path, b"part"),
    "qcd.root": lambda path: copy_demo(path.parent),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_link_that_was_prepared_is_not_written_through(name: str, tmp_path: Path) -> None:
    folder, others = tmp_path / "folder", tmp_path / "others"
    folder.mkdir()
    others.write_text("of the user")
    for end in (f".{os.getpid()}.tmp", ".tmp", f".{os.getpid()}"):
        for begin in (".", ""):
            (folder / f"{begin}{name}{end}").symlink_to(others)
    WRITERS[name](folder / name)
    assert others.read_text() == "of the user"
    assert (folder / name).stat().st_size > 0
    assert not (folder / name).is_symlink()


def test_names_differ_and_stay_beside_their_target(tmp_path: Path) -> None:
    first, second = unfinished(tmp_path / "a.json"), unfinished(tmp_path / "a.json")
    assert first != second
    assert first.parent == tmp_path
    assert first.name.startswith(f".a.json.{os.getpid()}-")
    assert first.name.endswith(".tmp")
