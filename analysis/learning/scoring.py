"""Scores of the events of a table, by models that know m_jj or not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from analysis.events.table import EventTable
from analysis.learning.protocols import Model

__all__ = ["ModelAtMass", "score_table"]


@runtime_checkable
class ModelAtMass(Model, Protocol):
    """A model that needs m_jj to undo how features follow it; its scores must not tell m_jj."""

    def predict_at(self, X: NDArray[np.float32], mjj: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return (n_rows, n_members) float32 scores of features X (n_rows, n_features) at masses (n_rows,), GeV."""
        ...


def score_table(model: Model, table: EventTable, features: Sequence[str]) -> NDArray[np.float32]:
    """Score the events of a table.

    Parameters
    ----------
    model : Model
        `predict_at` is used if it has one.
    table : EventTable
    features : sequence of str

    Returns
    -------
    (n_events, n_members) float32
    """
    X = table.matrix(features)
    return model.predict_at(X, table.mjj) if isinstance(model, ModelAtMass) else model.predict(X)
