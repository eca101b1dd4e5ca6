"""Tasks on the way to a dask worker."""

from __future__ import annotations

import operator
import zlib

import cloudpickle

from analysis.compute.worker import packed
from analysis.core.address import Address, full_address


def test_a_packed_task_shows_no_secret_and_brings_it() -> None:
    """Dask writes the beginning of the arguments of a task that fails into its logs."""
    address = "https://me:S3CRET@host/f.root?authz=t0ken"
    sent = packed((operator.methodcaller("read"), Address(address)))
    for secret in ("S3CRET", "t0ken"):
        assert secret.encode() not in sent
        assert secret not in repr(sent)
    _, task = cloudpickle.loads(zlib.decompress(sent))
    assert full_address(task) == address
    assert "S3CRET" not in repr(task)
