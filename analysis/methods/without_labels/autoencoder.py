"""Error with which a narrow network reproduces an event."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.methods.without_labels.base import Arrays, Floats, Scaling, Unlabelled, require_scikit_learn

__all__ = ["Autoencoder"]


@dataclass(frozen=True)
class Autoencoder(Unlabelled):
    """Network that squeezes the features through a layer of two; the score is the distance of its output from them.

    The autoencoder of SA-CWoLa (arXiv:2009.02205), there a control that finds nothing: 64, 2 and 64 nodes with ReLU,
    linear output, mean squared error, Adam. It was trained on background of the signal region; here it is trained on
    the data in the window, signal included. Weights are those of the loss.

    Attributes
    ----------
    n_hidden : int
        Nodes before and after the narrow layer.
    n_latent : int
        Nodes of the narrow layer, less than the number of features unless there is one alone.
    epochs : int
    """

    name: str = "autoencoder"
    n_hidden: int = 64
    n_latent: int = 2
    epochs: int = 20

    def require_installed(self) -> None:
        """Raise if scikit-learn is missing; see `OptionalMethod`."""
        require_scikit_learn(self.name)

    def train(self, X: Floats, weight: Floats, features: Sequence[str], seed: int) -> dict[str, NDArray[Any]]:
        """Train the network; see `Unlabelled.train`.

        Raises
        ------
        ConfigError
            If scikit-learn is missing.
        """
        self.require_installed()
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.neural_network import MLPRegressor
        from threadpoolctl import threadpool_limits

        scaling = Scaling.of(X, weight)
        z = scaling.apply(X)
        layers = (self.n_hidden, max(1, min(self.n_latent, X.shape[1] - 1)), self.n_hidden)
        # Twenty epochs are the recipe: that the loss may still fall is no news.
        epochs = {"max_iter": self.epochs, "n_iter_no_change": self.epochs}
        network = MLPRegressor(hidden_layer_sizes=layers, alpha=0.0, random_state=seed, **epochs)
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            network.fit(z, z[:, 0] if X.shape[1] == 1 else z, sample_weight=weight)
        matrices = {f"matrix_{k}": matrix for k, matrix in enumerate(network.coefs_)}
        offsets = {f"offset_{k}": offset for k, offset in enumerate(network.intercepts_)}
        return {**vars(scaling), **matrices, **offsets}

    def score(self, member: Arrays, X: Floats) -> Floats:
        """Return the distance between features and reproduction; see `Unlabelled.score`."""
        z = Scaling.read(member).apply(X)
        out = z @ member["matrix_0"] + member["offset_0"]
        for k in (1, 2, 3):
            out = np.maximum(out, 0.0) @ member[f"matrix_{k}"] + member[f"offset_{k}"]
        distance: Floats = np.linalg.norm(z - out, axis=1)
        return distance
