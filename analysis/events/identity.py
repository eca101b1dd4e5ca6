"""Event identities: hashes that do not depend on the order of events, chunks or files.

Folds and tie-breaks depend only on (event_id, seed), so they are always the same for the same event. The mixing
function is the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, doi:10.1145/2660193.2660195).
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["event_hash", "string_hash", "uniform"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ROUNDS = (
    (np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)),
    (np.uint64(27), np.uint64(0x94D049BB133111EB)),
)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    with np.errstate(over="ignore"):
        z = np.atleast_1d(state + _GOLDEN)
        shifted = np.empty_like(z)
        for bits, factor in _ROUNDS:
            z ^= np.right_shift(z, bits, out=shifted)
            z *= factor
        z ^= np.right_shift(z, np.uint64(31), out=shifted)
    return z.reshape(np.shape(state))


def string_hash(text: str) -> int:
    """64-bit hash of a string, the same on every machine and in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def event_hash(*keys: NDArray[Any] | int) -> NDArray[np.uint64]:
    """Hash integer columns into one identity per event.

    Parameters
    ----------
    *keys : (n_events,) integer arrays, or int
        Such as run, luminosity block and event number; a scalar is shared by all events.

    Returns
    -------
    (n_events,) uint64
        Depends on the order of the keys.
    """
    state = np.zeros(np.broadcast_shapes(*(np.shape(key) for key in keys)), np.uint64)
    for key in keys:
        state = _mix(state ^ _mix(np.asarray(key).astype(np.uint64, copy=False)))
    return state


def uniform(event_id: NDArray[np.uint64], seed: int, purpose: str) -> NDArray[np.float64]:
    """Pseudo-random number in [0, 1) that depends only on the event, the seed and the purpose.

    Parameters
    ----------
    event_id : (n_events,) uint64
    seed : int
        Random state of the search.
    purpose : str
        Keeps folds, tie-breaks and validation splits independent of each other.

    Returns
    -------
    (n_events,) float64
    """
    bits = event_hash(event_id, seed, string_hash(purpose))
    fraction: NDArray[np.float64] = (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53
    return fraction
