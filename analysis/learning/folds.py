"""Folds by event identity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.identity import uniform

__all__ = ["assign_folds"]


def assign_folds(event_id: NDArray[np.uint64], n_folds: int, *, random_state: int) -> NDArray[np.int8]:
    """Assign each event to a fold.

    Parameters
    ----------
    event_id : (n_events,) uint64
        Copies of an event share its identity and so its fold.
    n_folds : int
    random_state : int

    Returns
    -------
    (n_events,) int8
        Fold 0 .. n_folds - 1; depends on the event and the seed alone.
    """
    return (uniform(event_id, random_state, "fold") * n_folds).astype(np.int8)
