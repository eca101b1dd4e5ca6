"""Building blocks of a contrast: events of one sample in one region of a window, with a label and a sum of weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from analysis.errors import WindowError
from analysis.events.table import EventTable
from analysis.learning.protocols import METHOD_SEED, ContrastMethod, Learner, Method, Model
from analysis.learning.samples import Samples
from analysis.learning.training_set import Rows, TrainingSet, positive_weights
from analysis.regions import MassWindow

__all__ = [
    "SIDEBANDS",
    "FromContrast",
    "LabelledEvents",
    "Place",
    "Region",
    "adapted",
    "build_set",
    "find_region",
    "method_seed",
    "removes_drift",
    "uses_sidebands",
]

Place = Literal["window", "lower sideband", "upper sideband"]

SIDEBANDS: tuple[Place, Place] = ("lower sideband", "upper sideband")


@dataclass(frozen=True)
class Region:
    """Events of a sample in one region of a window.

    Attributes
    ----------
    rows : EventTable
    name : str
        Sample, region and window, for messages.

    Examples
    --------
    >>> from analysis.methods.contrast import Region
    >>> from analysis.results import load_events
    >>> region = Region(load_events("results", ["hidden_signal"]), "signal")
    >>> region.total
    253.0
    >>> labelled = region.labelled(1, total=2.0)
    >>> labelled.label, round(float(labelled.weight.sum()), 6)
    (1, 2.0)
    """

    rows: EventTable
    name: str

    @property
    def total(self) -> float:
        """Sum of the weights, including negative ones."""
        return float(self.rows.weight.sum())

    def labelled(self, label: int, total: float, factor: NDArray[np.float64] | float = 1.0) -> LabelledEvents:
        """Label the events, and scale their weights to a given sum.

        Parameters
        ----------
        label : int
            1 or 0.
        total : float
            Sum of the scaled weights.
        factor : (n_rows,) float64, optional
            Additional weight of each event.

        Returns
        -------
        LabelledEvents

        Raises
        ------
        TableError
            If a weight is not finite, or positive weights do not outweigh negative ones.
        """
        weight = positive_weights(self.rows.weight * factor, self.name)
        return LabelledEvents(self.rows, label, weight * (total / weight.sum()))


@dataclass(frozen=True)
class LabelledEvents:
    """Labelled events.

    Attributes
    ----------
    rows : EventTable
    label : int
        1 or 0.
    weight : (n_rows,) float64
        Non-negative weights.
    """

    rows: EventTable
    label: int
    weight: NDArray[np.float64]


def find_region(table: EventTable, place: Place, window: MassWindow, sample: str) -> Region:
    """Select the events in one region of a window.

    Parameters
    ----------
    table : EventTable
    place : str
        "window", "lower sideband" or "upper sideband".
    window : MassWindow
    sample : str
        Name of the sample for messages, such as "data" or "simulation".

    Raises
    ------
    WindowError
        If the region has no events, or their sum of weights is not positive.

    Examples
    --------
    >>> from analysis.methods.contrast import find_region
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> region = find_region(inputs.fitted.table, "window", inputs.regions.windows[0], "data")
    >>> len(region.rows), region.total
    (8279, 8279.0)
    """
    low, high = dict(zip(("window", *SIDEBANDS), (window.signal, window.lower, window.upper), strict=True))[place]
    rows = table.select((table.mjj >= low) & (table.mjj < high))
    total = rows.weight.sum()
    if total <= 0:
        lacking = f"no positive sum of weights ({total:g})" if len(rows) else "no events"
        msg = (
            f"window {window.name} GeV: {lacking} of {sample} to train on in the {place}, {low:g}-{high:g} GeV. Lower "
            "scan.last, widen scan.sideband_width, or add events."
        )
        raise WindowError(msg)
    return Region(rows, f"{sample} in the {place} of window {window.name} GeV")


def build_set(parts: Sequence[LabelledEvents], features: Sequence[str]) -> TrainingSet:
    """Build a training set from parts.

    Examples
    --------
    >>> from analysis.methods.contrast import build_set, find_region
    >>> from analysis.stages.inputs import SearchInputs
    >>> inputs = SearchInputs.load("results")
    >>> table, window = inputs.fitted.table, inputs.regions.windows[0]
    >>> inside = find_region(table, "window", window, "data").labelled(1, total=1.0)
    >>> below = find_region(table, "lower sideband", window, "data").labelled(0, total=1.0)
    >>> training = build_set([inside, below], ["mj1_over_mjj", "mj2_over_mjj"])
    >>> training.X.shape == (len(inside.rows) + len(below.rows), 2)
    True
    >>> round(float(training.sample_weight[training.y == 1].sum() / training.sample_weight.sum()), 6)
    0.5
    """
    return TrainingSet.build(
        np.concatenate([part.rows.matrix(features) for part in parts]),
        np.repeat([part.label for part in parts], [len(part.rows) for part in parts]),
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.rows.event_id for part in parts]),
    )


def method_seed(random_state: np.random.SeedSequence) -> np.random.SeedSequence:
    """Seed of what a method trains before the learner, of the seed of the learner."""
    return np.random.SeedSequence(random_state.entropy, spawn_key=(*random_state.spawn_key, METHOD_SEED))


class FromContrast(ABC):
    """Base class of methods that define a training set; the learner is trained on its two classes."""

    @property
    def learns_contrast(self) -> bool:
        """Whether `fit` is that of this class, so that the events can be dropped once the contrast is made of them."""
        return type(self).fit is FromContrast.fit

    @abstractmethod
    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        """Build the training set; see `ContrastMethod.contrast`."""

    def fit(
        self,
        samples: Samples,
        window: MassWindow,
        features: Sequence[str],
        learner: Learner,
        random_state: np.random.SeedSequence,
    ) -> Model:
        """Train the learner on the contrast; see `Method.fit`."""
        training = self.contrast(samples, window, features, random_state=method_seed(random_state))
        return learner.fit(training, random_state=random_state)


@dataclass(frozen=True)
class _Adapted(FromContrast):
    """Wrapper of a plugin method with a `contrast` but no `fit`."""

    method: Any

    @property
    def name(self) -> str:
        return str(self.method.name)

    @property
    def uses_truth(self) -> bool:
        return bool(self.method.uses_truth)

    @property
    def needs_simulation(self) -> bool:
        return bool(self.method.needs_simulation)

    @property
    def uses_sidebands(self) -> bool:
        return uses_sidebands(self.method)

    def contrast(
        self, samples: Samples, window: MassWindow, features: Sequence[str], *, random_state: np.random.SeedSequence
    ) -> TrainingSet:
        training: TrainingSet = self.method.contrast(samples, window, features, random_state=random_state)
        return training


@dataclass(frozen=True)
class _AdaptedTemplate(_Adapted):
    """Wrapper of such a method that also has a template of the background."""

    def template(
        self,
        samples: Samples,
        held_out: Samples,
        window: MassWindow,
        features: Sequence[str],
        *,
        random_state: np.random.SeedSequence,
    ) -> Rows:
        rows: Rows = self.method.template(samples, held_out, window, features, random_state=random_state)
        return rows


def uses_sidebands(method: object) -> bool:
    """Whether a method compares events of the window with sidebands as they are, of other masses.

    Such a method can learn m_jj, and has no use for features that tell it. Methods that do not say, as those of
    plugins may, count as such.

    Parameters
    ----------
    method : Method or None
        None for an unknown one.
    """
    return bool(getattr(method, "uses_sidebands", True))


def removes_drift(method: object) -> bool:
    """Whether scores of a method tell nothing of m_jj where its features do, since it takes their drift out.

    Parameters
    ----------
    method : Method or None
        None for an unknown one.
    """
    return bool(getattr(method, "removes_drift", False))


def adapted(method: Any) -> Method:
    """Return a method with a `fit`: the method itself, or a wrapper that trains the learner on its contrast."""
    if hasattr(method, "fit"):
        fitted: Method = method
        return fitted
    wrapped: ContrastMethod = _AdaptedTemplate(method) if hasattr(method, "template") else _Adapted(method)
    return wrapped
