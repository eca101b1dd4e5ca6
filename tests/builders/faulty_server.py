"""A web server that gives files as it should, or fails in one of the ways that servers have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["FaultyServer", "faulty_server"]


@dataclass
class FaultyServer:
    """State of the server.

    Attributes
    ----------
    address : str
        Such as "http://127.0.0.1:1234".
    fault : str
        "", a status such as "503", "no ranges", "silent" or "half" (half of an answer, and then nothing).
    good : int
        Number of requests that are answered well before the fault.
    requests : list of str
        Method and path of each request.
    """

    address: str = ""
    fault: str = ""
    good: int = 0
    requests: list[str] = field(default_factory=list)


@contextmanager
def faulty_server(folder: Path) -> Iterator[FaultyServer]:
    """Serve the files of a folder."""
    state, end = FaultyServer(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(f"{self.command} {self.path}")
            fault = state.fault if len(state.requests) > state.good else ""
            path = folder / self.path.lstrip("/")
            if fault == "silent":
                end.wait(60)
            elif fault.isdigit() or not path.is_file():
                self.send_error(int(fault or 404))
            else:
                self._send(path.read_bytes(), fault)

        do_HEAD = do_GET  # noqa: N815 - named by http.server

        def _send(self, content: bytes, fault: str) -> None:
            asked = self.headers.get("Range", "").removeprefix("bytes=")
            whole = not asked or fault == "no ranges"
            self.send_response(200 if whole else 206)
            if not whole:
                first, last = (int(one) for one in asked.split("-"))
                last = min(last, len(content) - 1)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                content = content[first : last + 1]
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content[: len(content) // 2] if fault == "half" else content)
                if fault == "half":
                    end.wait(60)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        end.set()
        server.shutdown()
        server.server_close()
        thread.join()
