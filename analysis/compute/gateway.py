"""Addresses of clusters of dask-gateway, gateway://HOST:PORT/NAME: their certificates come from the gateway server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlparse

from analysis.errors import ComputeError, ConfigError

__all__ = ["gateway_security", "is_gateway"]

_SCHEME = "gateway://"


def is_gateway(address: str) -> bool:
    """Whether an address is that of a cluster behind a gateway."""
    return address.startswith(_SCHEME)


def gateway_security(address: str, timeout: float) -> Any:
    """Ask the gateway server for the certificates of a running cluster.

    Parameters
    ----------
    address : str
        gateway://HOST:PORT/NAME, as in `GatewayCluster.scheduler_address`. The server itself is `gateway.address` of
        dask's configuration (variable `DASK_GATEWAY__ADDRESS`), and so is the way to log in.
    timeout : float
        Seconds to wait for the server.

    Returns
    -------
    dask_gateway.client.GatewaySecurity

    Raises
    ------
    ConfigError
        If the library is missing, the address has no name, or no server is configured.
    ComputeError
        If the server does not answer, refuses, or has no such running cluster.
    """
    proxy, name = _parse(address)
    server = _configured_server(address)
    try:
        import dask_gateway
    except ModuleNotFoundError as error:
        msg = f"{address} needs dask-gateway ({error}): pip install dask-gateway, in the version of your facility."
        raise ConfigError(msg) from error

    async def ask() -> Any:
        async with dask_gateway.Gateway(proxy_address=proxy, asynchronous=True) as gateway:
            return await asyncio.wait_for(gateway.get_cluster(name), timeout)

    try:
        with ThreadPoolExecutor(1) as thread:  # a notebook has an event loop already
            report = thread.submit(asyncio.run, ask()).result()
    except Exception as error:
        reason = str(error) or type(error).__name__
        msg = (
            f"the gateway server at {server} did not hand out the certificates of {address}: {reason}. Check the name, "
            "that the cluster runs, and that you can log in."
        )
        raise ComputeError(msg) from error
    if report.scheduler_address is None:
        msg = f"{address} does not run: its status is {report.status.name}. Start it, or another one, and run again."
        raise ComputeError(msg)
    return report.security


def _parse(address: str) -> tuple[str, str]:
    parts = urlparse(address)
    name = parts.path.strip("/")
    if not parts.netloc or not name:
        msg = (
            f"--dask-address: expected gateway://HOST:PORT/NAME, found '{address}'. `Gateway().list_clusters()` of "
            "dask-gateway lists the names; cluster.scheduler_address is the address."
        )
        raise ConfigError(msg)
    return f"{_SCHEME}{parts.netloc}", name


def _configured_server(address: str) -> str:
    import dask.config

    server = dask.config.get("gateway.address", None)
    if not isinstance(server, str):
        msg = (
            f"{address}: which gateway server? Set gateway.address in dask's configuration, or the variable "
            "DASK_GATEWAY__ADDRESS, to its address, http://HOST:PORT."
        )
        raise ConfigError(msg)
    return server
