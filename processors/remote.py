"""Read ROOT files from servers: answers within a time limit, and HTTP servers whose answers are checked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine
from contextvars import ContextVar
from queue import Queue
from typing import Any

import fsspec
from fsspec.implementations.http import HTTPFileSystem
from uproot.source.chunk import Chunk
from uproot.source.coalesce import coalesce_requests
from uproot.source.fsspec import FSSpecLoopExecutor, FSSpecSource
from uproot.source.futures import TrivialFuture

__all__ = ["TIMEOUT", "NoRangesError", "RemoteSource", "seconds_to_answer"]

TIMEOUT = 60
"""Seconds that a server may take to answer, by default."""

seconds_to_answer: ContextVar[float] = ContextVar("seconds_to_answer", default=TIMEOUT)
"""Seconds that a server may take to answer, for the files that are opened now."""

_LENGTH = re.compile(r"bytes \d+-\d+/(\d+)")
"""Header `Content-Range`, with the length of the file."""


class NoRangesError(OSError):
    """A server sends a whole file where a part of it was requested."""


class RemoteSource(FSSpecSource):
    """Source of uproot for a file on a server.

    Errors inside of bulk requests are raised, not returned. HTTP is read by requests of its own where a file is opened:
    fsspec hides the status, asks for the length of the file separately, and takes a whole file for a part of it.
    """

    def __init__(self, address: str, **options: Any) -> None:
        self._seconds = seconds_to_answer.get()
        self._length: int | None = None
        super().__init__(address, **options)

    def _open(self) -> None:
        """Open without a request: some versions of uproot ask for the length of the file here, and hide the status."""
        if "_file_path_orig" in vars(self):
            opened = fsspec.open(self._file_path_orig, **self._fsspec_options)
            if opened.fs.async_impl:
                self._executor = FSSpecLoopExecutor()
                self._open_file, self._fs, self._file_path, self._fo = opened, opened.fs, opened.path, None
                self._async_impl, self._closed = True, False
                return
        super()._open()

    def chunk(self, start: int, stop: int) -> Chunk:
        """Read the bytes from `start` to `stop`.

        Raises
        ------
        TimeoutError
            If the server does not answer in time.
        NoRangesError
        """
        if not self._async_impl:
            return super().chunk(start, stop)
        if self.closed:
            msg = f"file {self._file_path!r} is closed"
            raise OSError(msg)
        self._count([(start, stop)])
        if isinstance(self._fs, HTTPFileSystem):
            data = self._executor.submit(self._read_http(start, stop)).result()
        else:
            data = self._limited(self._fs._cat_file(self._file_path, start=start, end=stop))
        return Chunk(self, start, stop, TrivialFuture(data))

    def chunks(self, ranges: list[tuple[int, int]], notifications: Queue[Chunk]) -> list[Chunk]:
        """Read several ranges of bytes with as few requests as possible, in the background."""
        if not self._async_impl:
            chunks: list[Chunk] = super().chunks(ranges, notifications)
            return chunks
        self._count(ranges)
        read: list[Chunk] = coalesce_requests(
            ranges, lambda some: self._executor.submit(self._read_all(some)), self, notifications, self._coalesce_config
        )
        return read

    @property
    def num_bytes(self) -> int:
        """Length of the file."""
        if self._length is None:
            size = self._fs.size if not self._async_impl else lambda path: self._limited(self._fs._size(path))
            self._length = int(size(self._file_path))
        return self._length

    def _count(self, ranges: list[tuple[int, int]]) -> None:
        self._num_requests += 1
        self._num_requested_chunks += len(ranges)
        self._num_requested_bytes += sum(stop - start for start, stop in ranges)

    def _limited(self, answer: Coroutine[Any, Any, Any]) -> Any:
        return self._executor.submit(asyncio.wait_for(answer, self._seconds)).result()

    async def _read_all(self, ranges: list[tuple[int, int]]) -> list[bytes]:
        starts, stops = zip(*ranges, strict=True)
        read: list[Any] = await self._fs._cat_ranges([self._file_path] * len(ranges), list(starts), list(stops))
        for one in read:
            if isinstance(one, Exception):
                raise one
        return read

    async def _read_http(self, start: int, stop: int) -> bytes:
        session = await self._fs.set_session()
        options = {**self._fs.kwargs}
        headers = {**options.pop("headers", {}), "Range": f"bytes={start}-{stop - 1}"}
        async with session.get(self._fs.encode_url(self._file_path), headers=headers, **options) as answer:
            answer.raise_for_status()
            length = _LENGTH.fullmatch(answer.headers.get("Content-Range", ""))
            if answer.status != 206 and not (start == 0 and 0 <= (answer.content_length or -1) <= stop):
                msg = f"{answer.status} {answer.reason} for a part of the file"
                raise NoRangesError(msg)
            if length:
                self._length = int(length[1])
            content: bytes = await answer.read()
        return content
