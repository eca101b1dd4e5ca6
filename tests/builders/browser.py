"""A headless Chromium, driven through its debugging pipe."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 180
"""Seconds; the tests may have to share the cores with many others."""

_NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str:
    """Path of a browser; the test is skipped without one, or fails if CWOLA_REQUIRE_BROWSER is 1."""
    if os.environ.get("CWOLA_NO_BROWSER") == "1":
        pytest.skip("CWOLA_NO_BROWSER: no browser works here")
    found = os.environ.get("CWOLA_BROWSER") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        reason = f"needs a browser: one of {', '.join(_NAMES)} on PATH, or its path in CWOLA_BROWSER"
        if os.environ.get("CWOLA_REQUIRE_BROWSER") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Browser:
    """One page of a browser; `events` holds everything that it reported."""

    def __init__(self, process: subprocess.Popen[bytes], commands: int, answers: int) -> None:
        self.process, self.commands, self.answers = process, commands, answers
        self.events: list[dict[str, Any]] = []
        self._buffer, self._number, self._session = b"", 0, None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        session = {} if self._session is None else {"sessionId": self._session}
        message = {"id": self._number, "method": method, "params": parameters, **session}
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._read()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append(answer)

    def open(self, path: Path) -> None:
        """Load a file and wait until it is there with its images."""
        self.call("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._read())

    def evaluate(self, expression: str) -> Any:
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def complaints(self) -> list[Any]:
        """What the console shows: errors, warnings, uncaught exceptions, breaches of the policy."""
        methods = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")
        return [event["params"] for event in self.events if event["method"] in methods]

    def requests(self) -> list[str]:
        sent = [event["params"] for event in self.events if event["method"] == "Network.requestWillBeSent"]
        return [one["request"]["url"] for one in sent]

    def _read(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self.answers], [], [], _PATIENCE)
            assert ready, f"the browser has not answered for {_PATIENCE} s"
            chunk = os.read(self.answers, 1 << 16)
            assert chunk, "the browser has closed its pipe"
            self._buffer += chunk
        message, _, self._buffer = self._buffer.partition(b"\0")
        answer: dict[str, Any] = json.loads(message)
        return answer


def _pipe() -> tuple[int, int]:
    """A pipe whose descriptors are not those that the browser's are put on."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]


@contextlib.contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser with an empty profile; it ends with the context."""
    executable = find_browser()
    read_commands, write_commands = _pipe()
    read_answers, write_answers = _pipe()
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", f"--user-data-dir={profile}"]
    # The browser reads from descriptor 3 and writes to 4.
    script = f'exec "$0" "$@" 3<&{read_commands} 4>&{write_answers}'
    process = subprocess.Popen(
        ["bash", "-c", script, executable, *options],
        pass_fds=(read_commands, write_answers),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(read_commands)
    os.close(write_answers)
    try:
        yield Browser(process, write_commands, read_answers)
    finally:
        os.close(write_commands)
        os.close(read_answers)
        process.terminate()
        process.wait(timeout=30)
