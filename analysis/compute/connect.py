"""Creation of a dask client, from the address of a scheduler or with a function of the user."""

from __future__ import annotations

import importlib
import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analysis.compute.cluster import DaskWorkers
from analysis.compute.gateway import gateway_security, is_gateway
from analysis.compute.versions import ask_address, require_same_versions
from analysis.errors import ComputeError, ConfigError, CwolaError

__all__ = ["open_dask"]

_log = logging.getLogger("cwola")

CONNECT_TIMEOUT = 30
"""Seconds to wait for an answer of the scheduler."""


@contextmanager
def open_dask(
    address: str | None, cluster: str | None, tls: str | None, *, timeout: float, local_jobs: int | None
) -> Iterator[DaskWorkers]:
    """Connect to a dask cluster, wait for a worker, and disconnect at the end.

    Parameters
    ----------
    address : str or None
        Address of a scheduler. By default, without `cluster`, `scheduler-address` of dask's configuration.
    cluster : str or None
        "module:function"; the function returns a client. Its cluster, if any, is closed at the end.
    tls : str or None
        Files "CA,CERT,KEY"; by default as set in `distributed.comm.tls` of dask's configuration.
    timeout : float
        Seconds to wait for workers if there are none, at the start and later.
    local_jobs : int or None
        See `DaskWorkers`.

    Yields
    ------
    DaskWorkers

    Raises
    ------
    ConfigError
        If no cluster is configured, or the function or a file of `tls` is invalid.
    ComputeError
        If the scheduler does not answer, no worker connects, or workers have different versions.
    """
    _require_distributed()
    client = _call(cluster) if cluster is not None else _connect(address or _configured(), tls)
    with _lost_connections_in_log():
        try:
            backend = DaskWorkers(client, local_jobs=local_jobs, timeout=timeout)
            _log.info("dask cluster %s with %d threads", client.scheduler.address, backend.jobs)
            try:
                yield backend
            finally:
                backend.close()
        finally:
            made = client.cluster if cluster is not None else None
            client.close()
            if made is not None:
                made.close()


def _to_log(record: logging.LogRecord) -> bool:
    _log.info("%s: %s", record.name, record.getMessage())
    return False


@contextmanager
def _lost_connections_in_log() -> Iterator[None]:
    """Keep tracebacks of lost connections from the terminal: the user is told in one line, if it matters."""
    loggers = [logging.getLogger(name) for name in ("distributed.client", "distributed.batched")]
    for logger in loggers:
        logger.addFilter(_to_log)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(_to_log)


def _require_distributed() -> None:
    try:
        importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        msg = f"a dask cluster needs the extra `dask` ({error}): pip install 'cwola-dijet[dask]'."
        raise ConfigError(msg) from error


def _configured() -> str:
    import dask.config

    address = dask.config.get("scheduler-address", None)
    if not isinstance(address, str):
        msg = (
            "--executor dask: which cluster? Give --dask-address tcp://HOST:PORT or tls://HOST:PORT, or set "
            "DASK_SCHEDULER_ADDRESS, or give --cluster MODULE:FUNCTION."
        )
        raise ConfigError(msg)
    return address


def _connect(address: str, tls: str | None) -> Any:
    from distributed import Client
    from distributed.versions import VersionMismatchWarning

    from analysis.compute.worker import compared, installed

    security = _find_security(address, tls)
    try:
        found = ask_address(address, security, CONNECT_TIMEOUT)
        require_same_versions(compared(installed()), found)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # of libraries that may differ
            return Client(address, timeout=CONNECT_TIMEOUT, set_as_default=False, security=security)  # type: ignore[no-untyped-call]
    except CwolaError:
        raise
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        secret = " and the files of --dask-tls" if address.startswith("tls") else ""
        reason = str(error) or type(error).__name__
        msg = (
            f"no dask scheduler at {address}: {reason}. Check the address (--dask-address or "
            f"DASK_SCHEDULER_ADDRESS){secret}, and that it is running; --executor processes works without one."
        )
        raise ComputeError(msg) from error


def _find_security(address: str, tls: str | None) -> Any:
    if not is_gateway(address):
        return _configured_security(address) if tls is None else _security(tls)
    if tls is not None:
        msg = f"--dask-tls: {address} belongs to dask-gateway, which hands out its certificates: leave it out."
        raise ConfigError(msg)
    return gateway_security(address, CONNECT_TIMEOUT)


def _configured_security(address: str) -> Any:
    """Certificates from the loader that dask's configuration names, if any, else from `distributed.comm.tls`."""
    import dask.config
    from distributed import Security
    from distributed.utils import import_term

    loader = dask.config.get("distributed.client.security-loader", None)
    if not loader:
        return Security()  # type: ignore[no-untyped-call]
    try:
        return import_term(loader)({"address": address})
    except Exception as error:
        msg = f"distributed.client.security-loader of dask's configuration, {loader}, failed: {error}."
        raise ConfigError(msg) from error


def _security(tls: str) -> Any:
    from distributed import Security

    files = [Path(part.strip()) for part in tls.split(",")]
    if len(files) != 3:
        msg = f"--dask-tls: expected three files CA,CERT,KEY, found '{tls}'."
        raise ConfigError(msg)
    if missing := [str(file) for file in files if not file.is_file()]:
        msg = f"--dask-tls: there is no file {missing[0]}. Expected the certificate authority, certificate and key."
        raise ConfigError(msg)
    authority, certificate, key = map(str, files)
    return Security(  # type: ignore[no-untyped-call]
        tls_ca_file=authority, tls_client_cert=certificate, tls_client_key=key, require_encryption=True
    )


def _call(cluster: str) -> Any:
    """Create a client with a function of the user."""
    from distributed import Client

    function = _find(cluster)
    try:
        client = function()
    except Exception as error:
        msg = f"--cluster {cluster} failed: {type(error).__name__}: {error}"
        raise ComputeError(msg) from error
    if not isinstance(client, Client):
        msg = f"--cluster {cluster} returned a {type(client).__name__}; expected a distributed.Client(cluster)."
        raise ConfigError(msg)
    return client


def _find(cluster: str) -> Callable[[], Any]:
    module, _, name = cluster.partition(":")
    if not module or not name:
        msg = f"--cluster: expected MODULE:FUNCTION, found '{cluster}'."
        raise ConfigError(msg)
    sys.path.insert(0, str(Path.cwd()))
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        msg = f"--cluster {cluster}: importing {module}, also looked for in {Path.cwd()}, failed: {error}"
        raise ConfigError(msg) from error
    finally:
        sys.path.remove(str(Path.cwd()))
    if not callable(found):
        msg = f"--cluster {cluster}: {module} has no function {name}. It should return a distributed.Client."
        raise ConfigError(msg)
    result: Callable[[], Any] = found
    return result
