"""Methods without labels: models of all events in the window, which score an event by how unusual it is.

They compare with nothing, so the learner is not used; only the number of members is taken from it. Features are
standardised with the weighted mean and width of the training events, and an undefined feature takes their median: an
event is never unusual because a feature is undefined.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.errors import ConfigError
from analysis.learning.protocols import Learner, Model
from analysis.learning.samples import Samples
from analysis.learning.training_set import positive_weights, refuse_infinite
from analysis.methods.contrast import find_region
from analysis.regions import MassWindow

__all__ = ["Arrays", "Scaling", "Unlabelled", "UnlabelledModel", "require_scikit_learn", "window_events"]

Floats = NDArray[np.float64]

Arrays = Mapping[str, NDArray[Any]]
"""Content of a member, by name."""


class Unlabelled(ABC):
    """Base class: a method is a fit of one member, arrays in and out, and a score.

    Members are stored as `.npz` without pickled objects, and scored by numpy and scipy alone.
    """

    name: str
    uses_truth: bool = False
    needs_simulation: bool = False
    uses_sidebands: bool = False
    suffix: str = ".npz"
    importance: Callable[[bytes, int], Floats | None] | None = None

    @property
    def forget_counts(self) -> Callable[[bytes], bytes] | None:
        """Stored form without counts: these models hold none; see `ModelStorage`."""
        return bytes

    @abstractmethod
    def train(self, X: Floats, weight: Floats, features: Sequence[str], seed: int) -> dict[str, NDArray[Any]]:
        """Fit one member.

        Parameters
        ----------
        X : (n_rows, n_features) float64
            NaN where a feature is undefined.
        weight : (n_rows,) float64
            Positive, with mean 1.
        features : sequence of str
        seed : int

        Returns
        -------
        dict of str to array
        """

    @abstractmethod
    def score(self, member: Arrays, X: Floats) -> Floats:
        """Score rows with one member, (n_rows,) float64: larger for unusual events."""

    def notes(self, features: Sequence[str]) -> tuple[str, ...]:
        """Return warnings for the results of a search with these features, plain text."""
        return ()

    def members(self, wanted: int) -> int:
        """Return the number of members to train if a learner would train `wanted`."""
        return wanted

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> UnlabelledModel:
        """Train the members on the window in data, each with a seed of its own; see `Method.fit`.

        Raises
        ------
        WindowError
            If the window has no events, or their sum of weights is not positive.
        TableError
            If a weight or a feature is infinite.
        """
        X, weight = window_events(samples, window, features)
        seeds = (random_state.generate_state(self.members(learner.n_members)) >> 1).tolist()
        return UnlabelledModel(self, tuple(_dumps(self.train(X, weight, features, seed)) for seed in seeds))

    def load(self, members: tuple[bytes, ...]) -> Model:
        """Build a model from stored members."""
        return UnlabelledModel(self, members)


@dataclass(frozen=True)
class UnlabelledModel:
    """Members of a method without labels, in stored form."""

    method: Unlabelled
    members: tuple[bytes, ...]

    @cached_property
    def _arrays(self) -> tuple[Arrays, ...]:
        return tuple(map(_loads, self.members))

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n_rows, n_members) float32: scores."""
        rows = X.astype(np.float64)
        return np.stack([self.method.score(arrays, rows) for arrays in self._arrays], axis=1).astype(np.float32)

    def pick(self, member: int) -> UnlabelledModel:
        """Return one member as a model."""
        return UnlabelledModel(self.method, (self.members[member],))


@dataclass(frozen=True)
class Scaling:
    """Centre and width of features, and what stands for an undefined one.

    Attributes
    ----------
    centre, width, median : (n_features,) float64
    """

    centre: Floats
    width: Floats
    median: Floats

    @classmethod
    def of(cls, X: Floats, weight: Floats) -> Scaling:
        """Measure the features of weighted events; one that is never defined or constant stays as it is, about 0."""
        median = np.array([_median(column, weight) for column in X.T])
        filled = np.where(np.isnan(X), median, X)
        centre = np.average(filled, axis=0, weights=weight)
        width = np.sqrt(np.average((filled - centre) ** 2, axis=0, weights=weight))
        constant = width <= 1e-9 * np.abs(centre)
        return cls(centre, np.where(constant, 1.0, width), median)

    @classmethod
    def read(cls, member: Arrays) -> Scaling:
        """Take the scaling out of the arrays of a member."""
        return cls(*(member[name].astype(np.float64) for name in ("centre", "width", "median")))

    def apply(self, X: Floats) -> Floats:
        """Standardise rows, (n_rows, n_features) float64, none of them NaN."""
        scaled: Floats = (np.where(np.isnan(X), self.median, X) - self.centre) / self.width
        return scaled


def window_events(samples: Samples, window: MassWindow, features: Sequence[str]) -> tuple[Floats, Floats]:
    """Select the data in the window, in an order that does not depend on the order of the table.

    Returns
    -------
    X : (n_rows, n_features) float64
    weight : (n_rows,) float64
        Positive, with mean 1; see `positive_weights`.

    Raises
    ------
    WindowError
        If the window has no events, or their sum of weights is not positive.
    TableError
        If a weight or a feature is infinite, or a feature may not be trained on.
    """
    region = find_region(samples.data, "window", window, "data")
    weight = positive_weights(region.rows.weight, region.name)
    X = region.rows.matrix(features)
    refuse_infinite(X)
    order = np.lexsort((region.rows.mjj, region.rows.event_id))
    order = order[weight[order] > 0]
    return X[order].astype(np.float64), weight[order] / weight[order].mean()


def require_scikit_learn(method: str) -> None:
    """Import scikit-learn.

    Raises
    ------
    ConfigError
        If it is missing.
    """
    try:
        import sklearn  # noqa: F401
    except ImportError as error:
        msg = f"method {method} needs the extra `unsupervised` ({error}): pip install 'cwola-dijet[unsupervised]'."
        raise ConfigError(msg) from error


def _median(column: Floats, weight: Floats) -> float:
    defined = ~np.isnan(column)
    if not defined.any():
        return 0.0
    return float(np.quantile(column[defined], 0.5, weights=weight[defined], method="inverted_cdf"))


def _dumps(arrays: Arrays) -> bytes:
    """Store floats in single precision: a mean in double precision of such numbers tells how many they were."""
    stream = io.BytesIO()
    np.savez(stream, **{name: _single(array) for name, array in arrays.items()})  # type: ignore[arg-type]
    return stream.getvalue()


def _single(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if np.issubdtype(array.dtype, np.floating) else array


def _loads(document: bytes) -> Arrays:
    with np.load(io.BytesIO(document), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}
