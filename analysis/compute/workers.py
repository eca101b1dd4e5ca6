"""Watch over the workers of a dask cluster: the user is told if all are gone, and no command waits for ever."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from analysis.compute.cloudpickled import ByValue
from analysis.compute.progress import say
from analysis.errors import ComputeError

__all__ = ["WORKER_TIMEOUT", "Workers"]

WORKER_TIMEOUT = 600.0
"""Seconds that a command waits for workers if a cluster has none."""

QUIET = 15.0
"""Seconds without workers before the user is told; a worker that starts again after a failure takes less."""

REPEAT = 60.0
"""Seconds between messages."""

POLL = 1.0
"""Seconds between questions to the scheduler."""

ANSWER = 5.0
"""Seconds that a scheduler may take to answer a question."""

_log = logging.getLogger("cwola")


class Workers:
    """Workers of a cluster, and since when there are none.

    Parameters
    ----------
    client : distributed.Client
    timeout : float
        Seconds without any worker after which the command gives up.
    """

    def __init__(self, client: Any, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._asked = float("-inf")
        self._lacking_since: float | None = None
        self._said: float | None = None
        self._silent = False

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the scheduler."""
        return bool(self._client.status == "running")

    def count_threads(self) -> int:
        """Return the number of threads of all workers; 0 also if the scheduler does not answer.

        Raises
        ------
        ComputeError
            If the connection to the scheduler is lost.
        """
        self._require_connection()
        try:
            threads = self._client.nthreads(callback_timeout=ANSWER)
        except (OSError, AttributeError):  # without an answer, or closed meanwhile
            self._require_connection()
            self._silent = True
            return 0
        self._silent = False
        return sum(threads.values())

    def check(self) -> bool:
        """Return whether there are workers, and tell the user if there have been none for some time.

        Asks the scheduler at most once per `POLL`.

        Raises
        ------
        ComputeError
            If there have been none for longer than the timeout, or the connection to the scheduler is lost.
        """
        self._require_connection()
        if time.monotonic() < self._asked + POLL:
            return self._lacking_since is None
        threads = self.count_threads()
        self._asked = time.monotonic()
        if threads:
            self._lacking_since = None
            self._tell_return(threads)
            return True
        if self._lacking_since is None:
            self._lacking_since = self._asked
        self._tell_lack(self._asked - self._lacking_since)
        return False

    def wait(self) -> None:
        """Wait until there is a worker.

        Raises
        ------
        ComputeError
            As of `check`.
        """
        self._asked = float("-inf")
        if self.check():
            return
        with self._demand():
            while not self.check():
                time.sleep(min(POLL, self._timeout) / 4)

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Wait until there is a worker, and keep one while data are sent, which a cluster does not count as work.

        Raises
        ------
        ComputeError
            As of `check`.
        """
        self._require_connection()
        with self._demand():
            self.wait()
            yield

    @contextmanager
    def _demand(self) -> Iterator[None]:
        """Keep a task in the cluster: without one, `adapt(minimum=0)` starts no worker, and stops those that idle."""
        from analysis.compute.worker import stay

        key = f"needs-worker-{uuid4().hex}"
        future = self._client.submit(ByValue(stay), key, key=key, pure=False)
        try:
            yield
        finally:
            if self.connected:
                self._client.cancel([future], force=True)

    def _tell_lack(self, seconds: float) -> None:
        if seconds > self._timeout:
            msg = (
                f"{self._state()} for {self._timeout:g} s, with work waiting. Finished work is kept: start workers "
                "(where the cluster starts them itself, its jobs wait or fail: see its queue and logs), or wait longer "
                "with --dask-timeout, and run again."
            )
            raise ComputeError(msg)
        if seconds > min(QUIET, self._timeout / 2) and (self._said is None or self._asked > self._said + REPEAT):
            self._said = self._asked
            _tell(f"{self._state()} for {seconds:.0f} s: waiting another {self._timeout - seconds:.0f} s.")

    def _tell_return(self, threads: int) -> None:
        if self._said is not None:
            self._said = None
            _tell(f"the dask cluster has workers again (threads: {threads}): going on.")

    def _require_connection(self) -> None:
        if not self.connected:
            msg = "the dask scheduler is gone. Finished work is kept: start it, or another one, and run again."
            raise ComputeError(msg)

    def _state(self) -> str:
        address = self._client.scheduler.address
        return f"the dask scheduler {address} {'has not answered' if self._silent else 'has had no worker'}"


def _tell(text: str) -> None:
    _log.warning("%s", text)
    say(text)
