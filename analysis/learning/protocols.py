"""Interfaces of methods, learners and models, as required by cross-fitting."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, TrainingSet
from analysis.regions import MassWindow

__all__ = [
    "METHOD_SEED",
    "ColumnLearner",
    "ContrastMethod",
    "Learner",
    "Method",
    "Model",
    "ModelStorage",
    "OptionalMethod",
    "TemplateMethod",
]

METHOD_SEED = 1
"""Seed key that separates the random numbers of a contrast from the ones of the classifiers trained on it."""


class Method(Protocol):
    """Method that trains a model with higher scores for more signal-like events."""

    @property
    def name(self) -> str:
        """Name in the registry and in results."""
        ...

    @property
    def uses_truth(self) -> bool:
        """Whether the method uses the truth of simulated events: for studies only, rejected for real data."""
        ...

    @property
    def needs_simulation(self) -> bool:
        """Whether the method needs simulated background."""
        ...

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> Model:
        """Train on the events of the training folds only.

        Parameters
        ----------
        samples : Samples
        window : MassWindow
        features : sequence of str
        learner : Learner
            Trains classifiers; a method without classifiers takes only the number of members from it.
        random_state : numpy.random.SeedSequence
            Seed of this fold and window.

        Returns
        -------
        Model
            Model with larger scores for signal. Results keep it if the learner trained it, or if the method is a
            `ModelStorage`.
        """
        ...


@runtime_checkable
class ContrastMethod(Method, Protocol):
    """A method that trains a classifier on two labelled samples; see `analysis.methods.contrast.FromContrast`."""

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Build the training set from the events of the training folds only.

        Parameters
        ----------
        samples : Samples
        window : MassWindow
        features : sequence of str
        random_state : numpy.random.SeedSequence
            Seed of this fold and window, for models that the method trains itself.

        Returns
        -------
        TrainingSet
            `group` is the identity of the event in data or simulation.
        """
        ...


@runtime_checkable
class TemplateMethod(Method, Protocol):
    """A method that makes a template of the background in the window, of simulation or of sidebands."""

    def template(
        self,
        samples: Samples,
        held_out: Samples,
        window: MassWindow,
        features: Sequence[str],
        *,
        random_state: np.random.SeedSequence,
    ) -> Rows:
        """Turn events of the fold that is left out into background inside the window.

        Parameters
        ----------
        samples : Samples
            Events of the training folds.
        held_out : Samples
            Events of the fold that is left out of training.
        window : MassWindow
        features : sequence of str
        random_state : numpy.random.SeedSequence
            Same seed as for `contrast`, so that both train the same reweighter or transport.

        Returns
        -------
        Rows
            Features, non-negative weights and the identity of the event that each row is made of. No event of data in
            the window may influence them.
        """
        ...


@runtime_checkable
class OptionalMethod(Method, Protocol):
    """A method that needs more than the base install."""

    def require_installed(self) -> None:
        """Raise if a library is missing; called before any work is done.

        Raises
        ------
        ConfigError
            Names the extra to install.
        """
        ...


class Model(Protocol):
    """A trained ensemble."""

    @property
    def members(self) -> tuple[bytes, ...]:
        """Stored form of each member."""
        ...

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return (n_rows, n_members) float32 scores."""
        ...

    def pick(self, member: int) -> Model:
        """Return one member as a model."""
        ...


@runtime_checkable
class ModelStorage(Protocol):
    """Stored form of models: that of a learner, or of a method that trains models of its own."""

    @property
    def suffix(self) -> str:
        """Suffix of the files, one per member."""
        ...

    @property
    def importance(self) -> Callable[[bytes, int], NDArray[np.float64] | None] | None:
        """See `LearnerEntry`; None if it is not defined for these models."""
        ...

    @property
    def forget_counts(self) -> Callable[[bytes], bytes] | None:
        """See `LearnerEntry`; None if the models tell the number of events in any form: blinded results lack them."""
        ...

    def load(self, members: tuple[bytes, ...]) -> Model:
        """Build a model from stored members; must not unpickle, since results may come from others."""
        ...


class Learner(Protocol):
    """Trainable classifier, such as `BoostedTrees`."""

    @property
    def n_members(self) -> int:
        """Number of members of a model."""
        ...

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> Model:
        """Train on a training set and return the model."""
        ...


@runtime_checkable
class ColumnLearner(Learner, Protocol):
    """A learner with settings of single features."""

    def on_columns(self, columns: Sequence[int]) -> Learner:
        """Return the learner for training sets that hold only these columns, in this order."""
        ...
