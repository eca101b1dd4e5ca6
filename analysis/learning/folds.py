"""Folds by event identity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.events.identity import uniform

__all__ = ["assign_folds", "stratified_folds"]


def assign_folds(event_id: NDArray[np.uint64], n_folds: int, *, random_state: int) -> NDArray[np.int8]:
    """Assign each event to a fold.

    Parameters
    ----------
    event_id : (n_events,) uint64
        Copies of an event share its identity, and thus its fold.
    n_folds : int
    random_state : int

    Returns
    -------
    (n_events,) int8
        Fold 0 .. n_folds - 1; depends only on the event and the seed.
    """
    return (uniform(event_id, random_state, "fold") * n_folds).astype(np.int8)


def stratified_folds(
    event_id: NDArray[np.uint64],
    mjj: NDArray[np.float64],
    edges: Sequence[float],
    n_folds: int,
    *,
    random_state: int,
) -> NDArray[np.int8]:
    """Assign events to folds of equal size, to within one event, in every bin of the dijet mass.

    Parameters
    ----------
    event_id : (n_events,) uint64
        Copies of an event share a fold, in the bin of the copy with the smallest mass.
    mjj : (n_events,) float64
        Dijet mass, GeV.
    edges : sequence of float
        Bin edges, GeV; underflow and overflow are two additional bins.
    n_folds : int
    random_state : int

    Returns
    -------
    (n_events,) int8
        Fold 0 .. n_folds - 1; does not depend on the order of events, but on the other events in the sample.
    """
    lightest = np.lexsort((mjj, event_id))
    distinct, first, inverse = np.unique(event_id[lightest], return_index=True, return_inverse=True)
    bins = np.searchsorted(np.asarray(edges), mjj[lightest][first], side="right")
    order = np.lexsort((uniform(distinct, random_state, "fold"), bins))
    start = np.searchsorted(bins[order], bins[order], side="left")
    fold = np.empty(len(distinct), np.int8)
    # Each bin starts at another fold, so that the remainders are not always added to the first folds.
    fold[order] = (np.arange(len(distinct)) - start + bins[order]) % n_folds
    result = np.empty(len(event_id), np.int8)
    result[lightest] = fold[inverse]
    return result
