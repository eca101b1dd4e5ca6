"""Progress on a terminal: bars, a clock for what takes long, and neither elsewhere."""

from __future__ import annotations

import io
import sys
import time

import pytest

from analysis.cli.output.console import Terminal
from analysis.compute import busy, paused, progress, track


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen_of(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """Standard error that is a terminal, with a clock from 0.1 s on; pytest would replace one that a fixture sets."""
    shown = Screen()
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(progress, "_LONG", 0.1)
    monkeypatch.setenv("TERM", "xterm")
    return shown


def test_work_that_takes_long_shows_a_clock_until_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch)
    with busy("Stage report"):
        time.sleep(0.4)
    assert "Stage report" in screen.getvalue()
    shown = screen.getvalue()
    time.sleep(0.3)
    assert screen.getvalue() == shown


def test_work_that_is_quickly_done_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch)
    with busy("Stage report"):
        pass
    time.sleep(0.3)
    assert screen.getvalue() == ""


def test_a_bar_takes_the_place_of_the_clock_which_comes_back_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch)
    with busy("Stage scan"):
        for _ in track(iter(range(3)), total=3, description="Training"):
            time.sleep(0.15)
        assert "Training" in screen.getvalue()
        assert "Stage scan" not in screen.getvalue()
        time.sleep(0.4)
    assert "Stage scan" in screen.getvalue()


def test_the_innermost_work_is_shown_and_then_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch)
    with busy("cwola run"):
        with busy("Stage drift"):
            time.sleep(0.4)
        assert "Stage drift" in screen.getvalue()
        assert "cwola run" not in screen.getvalue()
        time.sleep(0.4)
    assert "cwola run" in screen.getvalue()


def test_the_clock_waits_while_a_table_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    screen = screen_of(monkeypatch)

    class Slow:
        def __rich__(self) -> str:
            time.sleep(0.4)
            return "the table"

    with busy("cwola run"):
        with paused():
            Terminal(80).print(Slow())
            time.sleep(0.3)
        assert screen.getvalue() == ""
    assert capsys.readouterr().out == "the table\n"


@pytest.mark.parametrize("quiet", [False, True])
def test_there_is_no_clock_without_a_terminal_and_with_quiet(quiet: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: io.StringIO = screen_of(monkeypatch)
    if not quiet:
        shown = io.StringIO()
        monkeypatch.setattr(sys, "stderr", shown)
    if quiet:
        with progress.without_bars(), busy("cwola run"):
            time.sleep(0.3)
    else:
        with busy("cwola run"):
            time.sleep(0.3)
    assert shown.getvalue() == ""


def test_an_error_ends_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch)

    def fail() -> None:
        with busy("cwola run"):
            time.sleep(0.3)
            msg = "it failed"
            raise ValueError(msg)

    with pytest.raises(ValueError, match="it failed"):
        fail()
    shown = screen.getvalue()
    time.sleep(0.3)
    assert screen.getvalue() == shown
