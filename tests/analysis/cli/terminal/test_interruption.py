"""An interruption ends a command even where Python drops exceptions."""

from __future__ import annotations

import signal
import sys
import time
import weakref
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from analysis.cli.terminal.interruption import end_by_any_signal

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


class Finalized:
    def __init__(self, number: int) -> None:
        self.number = number

    def __del__(self) -> None:
        signal.raise_signal(self.number)


class Referred:
    pass


@pytest.fixture(autouse=True)
def as_of_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Handlers as in the foreground, and what was there before put back."""
    monkeypatch.setattr(sys, "unraisablehook", sys.__unraisablehook__)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_during_a_finalizer_is_not_lost(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    end_by_any_signal()
    with pytest.raises(KeyboardInterrupt):
        lose(Finalized(number))
    assert capsys.readouterr().err == ""


def test_a_signal_during_the_callback_of_a_reference_is_not_lost() -> None:
    end_by_any_signal()
    kept = []

    def refer() -> None:
        one = Referred()
        kept.append(weakref.ref(one, lambda _: signal.raise_signal(signal.SIGINT)))

    with pytest.raises(KeyboardInterrupt):
        lose(refer())


def test_it_is_lost_without(capsys: pytest.CaptureFixture[str]) -> None:
    Finalized(signal.SIGINT)
    time.sleep(0.2)
    assert "KeyboardInterrupt" in capsys.readouterr().err


def test_in_the_background_the_signal_that_is_listened_to_is_repeated() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_by_any_signal()
    with pytest.raises(KeyboardInterrupt):
        lose(Finalized(signal.SIGTERM))


def test_other_exceptions_are_shown_as_before_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    end_by_any_signal()
    end_by_any_signal()
    lost = SimpleNamespace(exc_type=ValueError)
    sys.unraisablehook(lost)  # type: ignore[arg-type] # as much of it as is looked at
    assert shown == [lost]


def lose(last: object) -> None:
    """Drop the last reference, and work on for a while."""
    del last
    for _ in range(500):
        time.sleep(0.01)
