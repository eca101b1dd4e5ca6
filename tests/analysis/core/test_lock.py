"""The holder of a lock, seen from outside."""

from __future__ import annotations

import os
from pathlib import Path

from analysis.core.lock import holder, locked


def test_the_holder_is_named_while_the_lock_is_held_and_can_be_taken_by_another_one_then(tmp_path: Path) -> None:
    assert holder(tmp_path) is None
    with locked(tmp_path):
        assert f"process {os.getpid()} on " in (holder(tmp_path) or "")
    assert holder(tmp_path) is None
    with locked(tmp_path):
        pass


def test_a_killed_command_left_its_name_and_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("`cwola run`, process 1 on here\n")
    assert holder(tmp_path) is None
    assert (tmp_path / ".lock").read_text() == "`cwola run`, process 1 on here\n"
    with locked(tmp_path):
        assert holder(tmp_path) is not None


def test_a_link_and_a_pipe_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("secret")
    (tmp_path / ".lock").symlink_to(tmp_path / "text")
    assert holder(tmp_path) is None
    (tmp_path / ".lock").unlink()
    os.mkfifo(tmp_path / ".lock")
    assert holder(tmp_path) is None
