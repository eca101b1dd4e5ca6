"""What cross-fitting asks of a method, of a learner and of what the learner returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from analysis.events.table import EventTable
from analysis.learning.samples import Samples
from analysis.learning.training_set import TrainingSet
from analysis.regions import MassWindow

__all__ = ["METHOD_SEED", "ContrastMethod", "Learner", "Method", "Model", "TemplateMethod"]

METHOD_SEED = 1
"""Keeps the random numbers of a contrast apart from those of the classifiers trained on it."""


class Method(Protocol):
    """A way to train a model that scores events by how much they look like signal."""

    @property
    def name(self) -> str:
        """Name in the registry and in results."""
        ...

    @property
    def uses_truth(self) -> bool:
        """Whether it looks at which simulated events are signal: for studies, refused for real data."""
        ...

    @property
    def needs_simulation(self) -> bool:
        """Whether it needs simulated background."""
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
            Trains classifiers; a method that needs none leaves it alone.
        random_state : numpy.random.SeedSequence
            Of this fold and window.

        Returns
        -------
        Model
            Large scores are like signal. Without stored `members`, it is not kept in results.
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
            Of this fold and window, for what the method trains itself.

        Returns
        -------
        TrainingSet
            `group` is the identity of the event, of data or simulation.
        """
        ...


@runtime_checkable
class TemplateMethod(Method, Protocol):
    """A method that turns the simulation into a template of the background."""

    def template(
        self,
        samples: Samples,
        held_out: EventTable,
        window: MassWindow,
        features: Sequence[str],
        *,
        random_state: np.random.SeedSequence,
    ) -> NDArray[np.float64]:
        """Weigh simulated events that are in no training fold so that they look like background inside the window.

        Parameters
        ----------
        samples : Samples
            Events of the training folds.
        held_out : EventTable
            Simulated events of the fold that is left out.
        window : MassWindow
        features : sequence of str
        random_state : numpy.random.SeedSequence
            The same as `contrast` gets, so that both train the same reweighter.

        Returns
        -------
        (n_held_out,) float64
            Not negative; 0 outside the signal region.
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


class Learner(Protocol):
    """Something that can be trained; `BoostedTrees` is the one in use."""

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> Model:
        """Train on a set and return the model."""
        ...
