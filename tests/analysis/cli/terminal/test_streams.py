"""Texts for a file are dropped once it cannot be written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from analysis.cli.terminal.streams import open_log


def test_a_log_is_appended_line_by_line(tmp_path: Path) -> None:
    for text in ("a\n", "μ\n"):
        with open_log(tmp_path / "log") as log:
            log.write(text)
            assert (tmp_path / "log").read_text(encoding="utf-8").endswith(text)
    assert (tmp_path / "log").read_text(encoding="utf-8") == "a\nμ\n"
    with pytest.raises(OSError, match="No such file"):
        open_log(tmp_path / "none" / "log")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_log_on_a_full_disk_stops_nothing() -> None:
    with open_log(Path("/dev/full")) as log:
        log.write("a\n")
        log.write("b\n" * 100_000)
