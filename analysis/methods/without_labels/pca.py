"""Distance of an event from the plane of the principal components: the linear form of the autoencoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.methods.without_labels.base import Arrays, Floats, Scaling, Unlabelled

__all__ = ["PCA"]


@dataclass(frozen=True)
class PCA(Unlabelled):
    """Residual of standardised features beside their leading principal components.

    Nothing in it is random, so a model has one member. Events that break the linear correlations score high.

    Attributes
    ----------
    n_components : int
        Components that count as usual, less than the number of features in any case.
    """

    name: str = "pca"
    n_components: int = 2

    def members(self, wanted: int) -> int:
        """Return 1, since all members would be equal."""
        return 1

    def train(self, X: Floats, weight: Floats, features: Sequence[str], seed: int) -> dict[str, NDArray[Any]]:
        """Find the components of the weighted covariance; see `Unlabelled.train`."""
        scaling = Scaling.of(X, weight)
        z = scaling.apply(X)
        # Not a matrix product, whose sums depend on the number of threads.
        covariance = np.einsum("n,ni,nj->ij", weight / weight.sum(), z, z)
        beside = np.linalg.eigh(covariance)[1][:, : max(1, X.shape[1] - self.n_components)]
        return {**vars(scaling), "beside": beside @ beside.T}

    def score(self, member: Arrays, X: Floats) -> Floats:
        """Return the length of the residual; see `Unlabelled.score`."""
        residual: Floats = np.linalg.norm(Scaling.read(member).apply(X) @ member["beside"], axis=1)
        return residual
