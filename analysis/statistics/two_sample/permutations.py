"""Exact p-values from permutations of the labels of two samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.events.identity import string_hash

__all__ = ["PermutationTest", "permutation_test", "permuted"]


@dataclass(frozen=True, kw_only=True)
class PermutationTest:
    """Test of two samples by one statistic, which is larger for more different samples.

    Attributes
    ----------
    name : str
        Name of the statistic.
    value : float
        Statistic of the samples.
    mean, spread : float
        Mean and standard deviation of the statistic over the permutations.
    p : float
        (1 + number of permutations with a statistic as large) / (1 + number of permutations).
    permutations : int
    """

    name: str
    value: float
    mean: float
    spread: float
    p: float
    permutations: int


def permuted(is_first: NDArray[np.bool_], number: int, *, seed: int) -> NDArray[np.bool_]:
    """Hand out the labels of the events again.

    Parameters
    ----------
    is_first : (n_events,) bool
        Events of the first sample.
    number : int
        Number of the permutation; 0 gives the labels as they are.
    seed : int

    Returns
    -------
    (n_events,) bool
        As many events of the first sample.
    """
    if number == 0:
        return is_first
    key = (string_hash("permutation"), number)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key)).permutation(is_first)


def permutation_test(name: str, values: Sequence[float]) -> PermutationTest:
    """Test two samples by a statistic and its values in permutations.

    Parameters
    ----------
    name : str
    values : sequence of float
        Of the samples first, then of at least one permutation.

    Returns
    -------
    PermutationTest
    """
    value, null = values[0], np.asarray(values[1:], np.float64)
    p = (1 + int((null >= value).sum())) / (1 + len(null))
    return PermutationTest(
        name=name, value=value, mean=float(null.mean()), spread=float(null.std()), p=p, permutations=len(null)
    )
