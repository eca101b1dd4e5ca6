"""Numbers of things in messages."""

from __future__ import annotations

from analysis.core.counted import counted


def test_one_is_singular_and_all_else_plural() -> None:
    assert [counted(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert [counted(n, "event occurs", "events occur") for n in (1, 2)] == ["1 event occurs", "2 events occur"]
