"""Choice between restarts on a validation fold, as in CWoLa hunting."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.learning.protocols import Model
from analysis.learning.training_set import TrainingSet

__all__ = ["JoinedModel", "Nested", "best_candidate", "efficiency_at"]


@dataclass(frozen=True)
class Nested:
    """Nested cross-fitting of CWoLa hunting (arXiv:1902.02634).

    For every fold that is left out, each of the other folds once serves as validation fold, on which one of several
    restarts, trained on the remaining folds, is chosen; the chosen restarts form the ensemble.

    Attributes
    ----------
    n_candidates : int
        Restarts per validation fold.
    efficiency : float
        Fraction of class 0 (sidebands) at which the fraction of class 1 (window) is compared; 0.005 as published.
    edges : tuple of float
        Edges of the m_jj bins, GeV, in which the folds have equal sizes.
    """

    n_candidates: int
    efficiency: float
    edges: tuple[float, ...]


@dataclass(frozen=True)
class JoinedModel:
    """Several models as one, with their members in sequence.

    Attributes
    ----------
    models : tuple of Model
    """

    models: tuple[Model, ...]

    @property
    def members(self) -> tuple[bytes, ...]:
        """Stored form of all members."""
        return tuple(member for model in self.models for member in model.members)

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_rows, n_members) float32: scores."""
        return np.concatenate([model.predict(X) for model in self.models], axis=1)

    def pick(self, member: int) -> Model:
        """Return one member as a model."""
        return JoinedModel((self._single(member),))

    def _single(self, member: int) -> Model:
        for model in self.models:
            if member < len(model.members):
                return model.pick(member)
            member -= len(model.members)
        msg = "no such member"
        raise IndexError(msg)


def best_candidate(scores: NDArray[np.float32], validation: TrainingSet, efficiency: float) -> int:
    """Return the candidate that selects the largest fraction of class 1 at a given fraction of class 0.

    Parameters
    ----------
    scores : (n_rows, n_candidates) float32
    validation : TrainingSet
        Rows that were scored; no candidate was trained on them.
    efficiency : float
        Fraction of the weight of class 0.

    Returns
    -------
    int
        Index of the best candidate, the first one if several are equal.
    """
    fractions = [efficiency_at(column, validation.y, validation.sample_weight, efficiency) for column in scores.T]
    return int(np.argmax(fractions))


def efficiency_at(
    score: NDArray[np.float32], y: NDArray[np.int8], weight: NDArray[np.float64], efficiency: float
) -> float:
    """Weighted fraction of class 1 above the score that is exceeded by a given fraction of class 0.

    Parameters
    ----------
    score : (n_rows,) float32
    y : (n_rows,) int8
        1 or 0, both present.
    weight : (n_rows,) float64
    efficiency : float
        Fraction of class 0. Within a group of equal scores, both fractions grow in proportion, as with random ties.

    Returns
    -------
    float
    """
    _, block = np.unique(-score, return_inverse=True)
    fractions = []
    for label in (0, 1):
        rows = y == label
        passing = np.cumsum(np.bincount(block[rows], weight[rows], minlength=int(block.max()) + 1))
        fractions.append(np.concatenate([[0.0], passing / passing[-1]]))
    return float(np.interp(efficiency, fractions[0], fractions[1]))
