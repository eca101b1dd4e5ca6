"""Training sets of classifiers, which are built by the methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from analysis.errors import TableError

__all__ = ["Rows", "TrainingSet", "positive_weights", "refuse_infinite"]


def positive_weights(weight: NDArray[np.float64], what: str) -> NDArray[np.float64]:
    """Set negative weights to zero, and scale the others so that the sum does not change.

    Boosted trees need non-negative weights. Generators beyond leading order produce negative weights, which cancel part
    of the positive ones: the total is correct, and so is the shape if events of both signs have the same distribution.

    Parameters
    ----------
    weight : (n_rows,) float64
    what : str
        Name of the sample, for the message.

    Returns
    -------
    (n_rows,) float64
        Zero for negative weights.

    Raises
    ------
    TableError
        If a weight is not finite, or positive weights do not outweigh negative ones.
    """
    if bad := int((~np.isfinite(weight)).sum()):
        msg = f"{bad} training weights are not finite, in {what}. Make the input files again."
        raise TableError(msg)
    negative = weight < 0
    if not negative.any():
        return weight
    kept = np.where(negative, 0.0, weight)
    total = weight.sum()
    if total <= 0:
        msg = (
            f"the weights of {what} add up to {total:g}: its {int(negative.sum())} events of negative weight are not "
            f"outweighed by the other {int((~negative).sum())}. Use a larger sample, or one with fewer of them."
        )
        raise TableError(msg)
    scaled: NDArray[np.float64] = kept * (total / kept.sum())
    return scaled


def refuse_infinite(X: NDArray[np.float32]) -> None:
    """Raise if a training row holds an infinite feature.

    Raises
    ------
    TableError
        Names the number of rows.
    """
    if bad := int(np.isinf(X).any(axis=1).sum()):
        msg = f"{bad} training rows hold an infinite feature; make it NaN if undefined."
        raise TableError(msg)


@dataclass(frozen=True)
class Rows:
    """A weighted sample.

    Attributes
    ----------
    X : (n_rows, n_features) float32
    weight : (n_rows,) float64
    group : (n_rows,) uint64
        Identity of the events.
    """

    X: NDArray[np.float32]
    weight: NDArray[np.float64]
    group: NDArray[np.uint64]

    def where(self, mask: NDArray[np.bool_] | NDArray[np.intp]) -> Rows:
        """Return the rows selected by a mask or an index."""
        return Rows(self.X[mask], self.weight[mask], self.group[mask])


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
        Event identity of each row; rows of one event are never split between training and validation.

    Examples
    --------
    >>> import numpy as np
    >>> from analysis.learning import TrainingSet
    >>> X = np.array([[0.1], [0.9], [0.4]], np.float32)
    >>> training = TrainingSet.build(X, np.array([0, 1, 1]), np.array([2.0, 1.0, 0.0]), np.arange(3, dtype=np.uint64))
    >>> len(training.X)  # the row of weight zero is dropped
    2
    >>> training.sample_weight.round(3).tolist()
    [1.333, 0.667]
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
        """Check rows, drop rows of zero or negative weight, and scale the weights to mean 1.

        The sum of weights of each class includes the negative weights; see `positive_weights`.

        Raises
        ------
        TableError
            If a weight is not finite, a class is empty or its sum of weights is not positive, or a feature is infinite.
        """
        weight = np.zeros(len(sample_weight))
        for label in (0, 1):
            rows = y == label
            weight[rows] = positive_weights(sample_weight[rows], f"class {label}")
        refuse_infinite(X)
        keep = weight > 0
        if not keep.all():  # else nothing is copied
            X, y, weight, group = X[keep], y[keep], weight[keep], group[keep]
        for label in (0, 1):
            if not (y == label).any():
                msg = f"the training set has no row of class {label}."
                raise TableError(msg)
        return cls(X, y.astype(np.int8), weight / weight.mean(), group)

    def rows(self, mask: NDArray[np.bool_]) -> Self:
        """Return the rows for which `mask`, (n_rows,) bool, is true, with unchanged weights."""
        return type(self)(self.X[mask], self.y[mask], self.sample_weight[mask], self.group[mask])
