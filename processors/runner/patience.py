"""Limit how long servers may take to answer, for all libraries that read files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import fsspec.config
from aiohttp import ClientTimeout

from processors.remote import seconds_to_answer
from processors.runner.restoring import Restored

__all__ = ["patience"]

_XROOTD = {"root", "xroot"}


@contextmanager
def patience(addresses: Iterable[str], seconds: float) -> Iterator[None]:
    """Let servers take some time to answer: to connect, and between two pieces of an answer.

    Parameters
    ----------
    addresses : iterable of str
        Paths and URLs of the files that will be read.
    seconds : float
    """
    protocols = {address.partition("://")[0].rpartition("::")[2] for address in addresses if "://" in address}
    if protocols & _XROOTD:
        _set_xrootd(seconds)
    settings = fsspec.config.conf
    token = seconds_to_answer.set(seconds)
    try:
        with _SETTINGS.changing():
            for protocol in protocols:
                settings[protocol] = _merged(settings.get(protocol, {}), _options(protocol, seconds))
            yield
    finally:
        seconds_to_answer.reset(token)


def _options(protocol: str, seconds: float) -> dict[str, Any]:
    """Options of a file system of fsspec, each of which has its own."""
    if protocol in _XROOTD:
        return {"timeout": max(1, round(seconds))}
    if protocol in ("http", "https"):
        return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_connect=seconds, sock_read=seconds)}}
    if protocol in ("s3", "s3a"):
        once = {"total_max_attempts": 1}  # s3fs and the executor repeat failed requests
        return {"config_kwargs": {"connect_timeout": seconds, "read_timeout": seconds, "retries": once}}
    return {}


def _set_xrootd(seconds: float) -> None:
    """Set variables that XRootD reads when it is loaded: else it checks times every 15 s, and hides closed ports."""
    variables = {"TIMEOUTRESOLUTION": 1, "CONNECTIONRETRY": 1, "CONNECTIONWINDOW": max(1, round(seconds))}
    for name, value in variables.items():
        os.environ.setdefault(f"XRD_{name}", str(value))


def _merged(given: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """Add options to those of the user's configuration of fsspec."""
    nested = {key: {**given.get(key, {}), **value} if isinstance(value, dict) else value for key, value in ours.items()}
    return {**given, **nested}


def _save_settings() -> Callable[[], None]:
    settings, before = fsspec.config.conf, dict(fsspec.config.conf)

    def restore() -> None:
        settings.clear()
        settings.update(before)

    return restore


_SETTINGS = Restored(_save_settings)
