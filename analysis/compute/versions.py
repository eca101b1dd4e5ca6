"""Versions of Python and libraries on a dask cluster, compared with those here before any work is sent.

A scheduler of unknown version is asked on a bare connection, before a client is made: a client of another version of
distributed may fail at its first message, with an error that names no version. Workers look their versions up without
an import, which takes long for some libraries.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import cloudpickle

from analysis.compute.cloudpickled import by_value
from analysis.compute.workers import ANSWER
from analysis.errors import ComputeError

if TYPE_CHECKING:
    from analysis.compute.worker import Versions

__all__ = ["ask_address", "ask_client", "require_same_versions", "version_advice"]

_OF_SCHEDULER = ("python", "distributed")
"""Versions that count for the scheduler, which only forwards tasks."""


def ask_address(address: str, security: Any, timeout: float) -> dict[str, Versions]:
    """Ask the scheduler at an address, and the workers that it has, for the versions that count.

    Parameters
    ----------
    address : str
    security : distributed.Security
    timeout : float
        Seconds to wait for the scheduler.

    Returns
    -------
    dict
        Versions by place; of workers only those that answer soon.

    Raises
    ------
    OSError
        If no scheduler answers.
    """

    async def ask() -> dict[str, Versions]:
        from distributed.core import rpc

        arguments = security.get_connection_args("client")
        async with rpc(address, timeout=timeout, connection_args=arguments) as scheduler:  # type: ignore[no-untyped-call]
            return await _ask(scheduler, timeout)

    with ThreadPoolExecutor(1) as thread:  # a notebook has an event loop already
        return thread.submit(asyncio.run, ask()).result()


def ask_client(client: Any, timeout: float) -> dict[str, Versions]:
    """Ask the cluster of a client; see `ask_address`."""
    found: dict[str, Versions] = client.sync(_ask, client.scheduler, timeout)
    return found


def require_same_versions(here: Versions, found: Mapping[str, Versions]) -> None:
    """Raise unless all places have the versions of this process.

    Parameters
    ----------
    here : dict
    found : mapping of str to dict
        Versions by place.

    Raises
    ------
    ComputeError
        With all differences.
    """
    from analysis.compute.worker import differences

    where: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for place, versions in found.items():
        for difference in differences(here, versions):
            where[difference].append(place)
    if where:
        lines = [f"{name}: {one} here, {other} on {_some(places)}" for (name, one, other), places in where.items()]
        raise ComputeError(version_advice(lines))


def version_advice(lines: Iterable[str]) -> str:
    """Message that lists differences, and says what to do."""
    listed = "\n".join(f"  {line}" for line in lines)
    return (
        f"the dask cluster has other versions than this machine, and results may depend on them:\n{listed}\n"
        "Install the same versions here and there (pip install NAME==VERSION, or another image for the workers; of "
        "python and numpy the first two numbers count) and run again."
    )


async def _ask(scheduler: Any, timeout: float) -> dict[str, Versions]:
    from analysis.compute import worker
    from analysis.compute.worker import compared, installed, short

    here = compared(installed())
    bare = (await asyncio.wait_for(scheduler.versions(packages=[]), timeout))["packages"]
    found = {"the scheduler": here | {name: short(name, bare[name]) for name in _OF_SCHEDULER}}
    same = []
    for address, one in (await _broadcast(scheduler, {"op": "versions", "packages": []})).items():
        known = {name: short(name, version) for name, version in one["packages"].items() if name in here}
        found[f"worker {address}"] = here | known
        if known["python"] == here["python"]:  # else it cannot run what is pickled here
            same.append(address)
    with by_value(worker):
        question = {"op": "run", "function": cloudpickle.dumps(installed), "wait": True}
    for address, one in (await _broadcast(scheduler, question, workers=same)).items():
        if one["status"] == "OK":
            found[f"worker {address}"] = compared(one["result"])
    return found


async def _broadcast(scheduler: Any, message: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Ask workers; those that do not answer in time are asked again when they get work."""
    try:
        return dict(await asyncio.wait_for(scheduler.broadcast(msg=message, on_error="ignore", **options), ANSWER))
    except TimeoutError:
        return {}


def _some(places: Sequence[str], limit: int = 3) -> str:
    rest = f" and {len(places) - limit} more" if len(places) > limit else ""
    return ", ".join(places[:limit]) + rest
