"""The last command in a log, and the stages in which it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.stages.status.log import LastCommand, last_command

RUN = "2026-11-30 12:17:58,174 INFO cwola: cwola 0.1.0: run --output results"
STARTED = "2026-11-30 12:18:00,000 INFO cwola: {}: started"
DONE = "2026-11-30 12:18:01,000 INFO cwola: {}: finished in 1.0 s"
TEXT = "`cwola run --output results`, 2026-11-30 12:17:58"


@pytest.mark.parametrize(
    ("lines", "stages"),
    [
        ([], ()),
        ([STARTED.format("process")], ("process",)),
        ([STARTED.format("process"), DONE.format("process")], ()),
        ([STARTED.format("process"), DONE.format("process"), STARTED.format("plot --control")], ("plot --control",)),
        (["a line of a library: started", "2026-11-30 12:18:00,000 WARNING cwola: scan: started"], ()),
    ],
)
def test_stages_that_were_started_and_not_finished(lines: list[str], stages: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "cwola.log"
    log.write_text("\n".join([RUN.replace("run", "process"), STARTED.format("limit"), RUN, *lines]))
    assert last_command(log) == LastCommand(TEXT, stages)


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "cwola.log"
    log.write_text(f"{RUN.replace('run', 'scan')}\n" + "warning\n" * 100_000 + f"{RUN}\n")
    assert last_command(log) == LastCommand(TEXT)


def test_without_a_command_in_the_log_there_is_none(tmp_path: Path) -> None:
    log = tmp_path / "cwola.log"
    assert last_command(log) is None
    log.write_bytes(b"\xff\x00 no command")
    assert last_command(log) is None
    log.unlink()
    log.mkdir()
    assert last_command(log) is None
