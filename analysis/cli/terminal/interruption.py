"""Ctrl-C and the signals of batch systems: each ends a command in the same way, wherever it arrives."""

from __future__ import annotations

import _thread
import signal
import sys
from collections.abc import Callable
from functools import partial
from threading import Timer

__all__ = ["end_by_any_signal"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_AFTER_CLEAN_UP = 0.05
"""Seconds until a lost interruption is repeated: a collection of garbage may call back again and again."""


def end_by_any_signal() -> None:
    """Let a batch system, or a closed terminal, end a command as Ctrl-C does: workers and temporary folders go.

    Python drops every exception of a finalizer or of a callback from C. A signal is handled by whatever Python code
    runs next, and after a collection of garbage that is often such a callback: the interruption is raised again then.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as of nohup
            signal.signal(number, signal.default_int_handler)
    if getattr(sys.unraisablehook, "func", None) is not _repeat_interruption:
        sys.unraisablehook = partial(_repeat_interruption, sys.unraisablehook)


def _repeat_interruption(show: Callable[[sys.UnraisableHookArgs], object], lost: sys.UnraisableHookArgs) -> None:
    if not issubclass(lost.exc_type, KeyboardInterrupt):
        show(lost)
        return
    number = next((one for one in _SIGNALS if signal.getsignal(one) is signal.default_int_handler), signal.SIGINT)
    again = Timer(_AFTER_CLEAN_UP, _thread.interrupt_main, (number,))
    again.daemon = True
    again.start()
