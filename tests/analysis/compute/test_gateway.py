"""Addresses of dask-gateway that cannot be used; `tests/integration/servers/test_gateway.py` has a server."""

from __future__ import annotations

import sys

import dask
import pytest

from analysis.compute import open_backend
from analysis.errors import ConfigError

ADDRESS = "gateway://127.0.0.1:1/name"


@pytest.mark.parametrize("address", ["gateway://127.0.0.1:8000", "gateway://127.0.0.1:8000/", "gateway:///name"])
def test_an_address_needs_a_host_and_a_name(address: str) -> None:
    with pytest.raises(ConfigError, match="expected gateway://HOST:PORT/NAME"), open_backend(dask_address=address):
        pass


def test_the_server_must_be_configured() -> None:
    with (
        dask.config.set({"gateway.address": None}),
        pytest.raises(ConfigError, match=r"which gateway server.*DASK_GATEWAY__ADDRESS"),
        open_backend(dask_address=ADDRESS),
    ):
        pass


def test_the_library_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask_gateway", None)
    with (
        dask.config.set({"gateway.address": "http://127.0.0.1:1"}),
        pytest.raises(ConfigError, match="pip install dask-gateway"),
        open_backend(dask_address=ADDRESS),
    ):
        pass


def test_certificates_of_ones_own_are_refused() -> None:
    with pytest.raises(ConfigError, match="--dask-tls"), open_backend(dask_address=ADDRESS, dask_tls="ca,cert,key"):
        pass
