"""A process that imports the modules of tasks once, while the command imports its own; workers are forked from it.

Worker processes that start from nothing import everything anew, which takes each of them two seconds. The fork server
runs none of our code but these imports, and the libraries that start a thread there (BLAS, the allocator of arrow)
expect to be forked.
"""

from __future__ import annotations

import atexit
import gc
import logging
import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from multiprocessing.popen_forkserver import Popen
from multiprocessing.process import BaseProcess
from threading import Event, Thread
from types import ModuleType
from typing import Any

from analysis.core.scratch import ScratchFolder

__all__ = ["start_fork_server", "work_like_command", "worker_context"]

_log = logging.getLogger("cwola")

_running = Event()


def start_fork_server(modules: Sequence[str]) -> None:
    """Start the fork server, and return while it imports; workers that are started from now on are forked from it.

    Elsewhere than on Linux libraries may not survive a fork, and nothing is done.

    Parameters
    ----------
    modules : sequence of str
        Names of modules to import; those that cannot be imported are left to the tasks.
    """
    if sys.platform != "linux" or _running.is_set():
        return
    multiprocessing.set_forkserver_preload([*modules])
    try:
        folder = ScratchFolder("cwola-")
        atexit.register(folder.remove)
        # Of the socket, which would stay in a folder of its own if the command is killed.
        multiprocessing.current_process()._config.setdefault("tempdir", str(folder.path))  # type: ignore[attr-defined]
        forkserver.ensure_running()
    except OSError as error:  # such as a path that is too long for a socket
        _log.info("workers import on their own: %s", error)
        return
    _running.set()


class _Process(ForkServerProcess):
    """Worker that does not run the script of the command again, as multiprocessing would."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Any:  # noqa: N802
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return Popen(process_obj)
        finally:
            sys.modules["__main__"] = script


class _Context(ForkServerContext):
    Process = _Process


def worker_context() -> Any:
    """Return the context in which loky starts workers: None, its own, without a fork server."""
    return _Context() if _running.is_set() else None


def work_like_command(folder: str, environment: Mapping[str, str]) -> None:
    """Prepare a worker that was forked: the server has the folder and the environment of its own start.

    Parameters
    ----------
    folder : str
        Current folder of the command.
    environment : mapping of str to str
    """
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    gc.freeze()  # what was imported is there to stay, and need not be looked through for garbage
    Thread(target=_end_with_command, daemon=True).start()


def _end_with_command() -> None:
    """End soon after the command, which may be killed without a word; the server lives as long as its workers."""
    command = multiprocessing.parent_process()
    assert command is not None
    command.join()
    os._exit(1)
