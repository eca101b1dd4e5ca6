"""A web server that gives a file, in ranges, to who knows the password and a token."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

__all__ = ["PASSWORD", "protected"]

PASSWORD = "pa55-w0rd-of-me"


@contextmanager
def protected(folder: Path, tokens: set[str]) -> Iterator[str]:
    """Host and port of a server of the files of a folder; `tokens` may be changed while it runs."""
    wanted = "Basic " + base64.b64encode(f"me:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            given = parse_qs(address.query).get("authz", [""])[0]
            path = folder / address.path.lstrip("/")
            if self.headers.get("Authorization") != wanted or given not in tokens:
                self.send_error(403, f"{self.path} is not for {given}")
            elif not path.is_file():
                self.send_error(404)
            else:
                self._send(path.read_bytes())

        do_HEAD = do_GET  # noqa: N815 - named by http.server

        def _send(self, content: bytes) -> None:
            asked = self.headers.get("Range", "").removeprefix("bytes=")
            if asked:
                start, _, stop = asked.partition("-")
                first, last = int(start), min(int(stop or len(content) - 1), len(content) - 1)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
                content = content[first : last + 1]
            else:
                self.send_response(200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
