"""Standard output and error that cannot stop a command: a closed pipe, a full disk, or none at all."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO, cast

__all__ = ["keep_going_without_output", "open_log", "output_error"]


class _Unstoppable(io.RawIOBase):
    """File that drops everything from its first failure on, and remembers that failure."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__()
        self._raw = raw
        self.error: OSError | None = None

    def write(self, data: bytes, /) -> int | None:  # type: ignore[override] # of any buffer
        if self.error is None:
            try:
                return self._raw.write(data)
            except BlockingIOError:
                raise
            except OSError as error:
                self.error = error
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._raw.fileno()

    def isatty(self) -> bool:
        return self._raw.isatty()

    def close(self) -> None:
        self._raw.close()
        super().close()


def keep_going_without_output() -> None:
    """Let a command finish although its output cannot be written, such as after `| head -1`; see `output_error`.

    The next file that is opened would take the place of a standard stream that is closed from the start, so that place
    is filled.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY)
    sys.stdout, sys.stderr = _guarded(sys.stdout, 1), _guarded(sys.stderr, 2)


def output_error() -> OSError | None:
    """Write what standard output still holds, and return its failure, if any."""
    sys.stdout.flush()
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw.error if isinstance(raw, _Unstoppable) else None


def open_log(descriptor: int) -> TextIO:
    """Append lines of text to an opened file; they are dropped once they cannot be written, as on a full disk."""
    return _text(io.FileIO(descriptor, "a"), encoding="utf-8", line_buffering=True)


def _guarded(stream: TextIO | None, number: int) -> TextIO:
    if stream is None:
        return _text(_standard(number), encoding="utf-8")
    buffer = getattr(stream, "buffer", None)
    raw = getattr(buffer, "raw", buffer)
    if not isinstance(stream, io.TextIOWrapper) or not isinstance(raw, io.FileIO) or raw.fileno() != number:
        return stream
    stream.flush()
    options = ("encoding", "errors", "line_buffering", "write_through")
    return _text(_standard(number), **{name: getattr(stream, name) for name in options})


def _standard(number: int) -> io.FileIO:
    return io.FileIO(number, "w", closefd=False)


def _text(raw: io.FileIO, **options: Any) -> TextIO:
    return io.TextIOWrapper(io.BufferedWriter(cast("io.RawIOBase", _Unstoppable(raw))), **options)
