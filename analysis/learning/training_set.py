"""What a classifier is trained on: every method of this package is a way to choose one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analysis.errors import TableError

__all__ = ["TrainingSet"]


@dataclass(frozen=True)
class TrainingSet:
    """Weighted two-class training data.

    Attributes
    ----------
    X : (n_rows, n_features) float32
        NaN where a feature is undefined.
    y : (n_rows,) int8
        1 or 0.
    sample_weight : (n_rows,) float64
        Positive, with mean 1, so that `min_child_weight` means the same for every sample size.
    group : (n_rows,) uint64
        Identity of the event a row comes from; rows of one event are never split between training and validation.
    """

    X: NDArray[np.float32]
    y: NDArray[np.int8]
    sample_weight: NDArray[np.float64]
    group: NDArray[np.uint64]

    @classmethod
    def build(
        cls,
        X: NDArray[np.float32],
        y: NDArray[Any],
        sample_weight: NDArray[np.float64],
        group: NDArray[np.uint64],
    ) -> Self:
        """Check rows, drop those of weight zero and scale the weights to mean 1.

        Raises
        ------
        TableError
            If a weight is negative or not finite, a feature is infinite, or a class is empty.
        """
        if not np.isfinite(sample_weight).all() or (sample_weight < 0).any():
            bad = int((~np.isfinite(sample_weight) | (sample_weight < 0)).sum())
            msg = f"{bad} training weights are negative or not finite; boosted trees need positive weights."
            raise TableError(msg)
        if np.isinf(X).any():
            bad = int(np.isinf(X).any(axis=1).sum())
            msg = f"{bad} training rows hold an infinite feature; make it NaN if undefined."
            raise TableError(msg)
        keep = sample_weight > 0
        kept = sample_weight[keep]
        for label in (0, 1):
            if not (y[keep] == label).any():
                msg = f"the training set has no row of class {label}."
                raise TableError(msg)
        return cls(X[keep], y[keep].astype(np.int8), kept / kept.mean(), group[keep])

    def rows(self, mask: NDArray[np.bool_]) -> Self:
        """Return the rows where `mask`, (n_rows,) bool, is true, with their weights as they are."""
        return type(self)(self.X[mask], self.y[mask], self.sample_weight[mask], self.group[mask])
