"""Sizes of generator weights, in numbers that add up over chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from processors.tally import Floats, Tally

__all__ = ["STEPS_PER_OCTAVE", "Weights"]

STEPS_PER_OCTAVE = 4
"""Steps in which the sizes of weights are counted, per factor of two."""

ZERO = -10_000
"""Step of weights that are zero, below all others."""


@dataclass(frozen=True)
class Weights:
    """Weights of some events.

    Attributes
    ----------
    events, negative : int
        Number of events, and of those with a negative weight.
    total, absolute, squared, largest : float
        Sums of w, |w| and w², and largest |w|.
    sizes : mapping of int to int
        Number of events by `floor(STEPS_PER_OCTAVE * log2(|w|))`.
    """

    events: int = 0
    negative: int = 0
    total: float = 0.0
    absolute: float = 0.0
    squared: float = 0.0
    largest: float = 0.0
    sizes: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, weights: Floats) -> Self:
        """Summarise weights (n_events,) float64, all finite."""
        if len(weights) == 0:
            return cls()
        size = np.abs(weights)
        return cls(
            len(weights),
            int(np.count_nonzero(weights < 0)),
            Tally.quick(weights).weight,
            float(size.sum()),
            float(np.square(size).sum()),
            float(size.max()),
            _count_sizes(size),
        )

    def __add__(self, other: Weights) -> Weights:
        return Weights(
            self.events + other.events,
            self.negative + other.negative,
            self.total + other.total,
            self.absolute + other.absolute,
            self.squared + other.squared,
            max(self.largest, other.largest),
            Counter(self.sizes) + Counter(other.sizes),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the summary as JSON-ready values."""
        return {**vars(self), "sizes": {str(step): count for step, count in self.sizes.items()}}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        """Build a summary from `to_json`."""
        return cls(**{**document, "sizes": {int(step): count for step, count in document["sizes"].items()}})


def _count_sizes(size: Floats) -> dict[int, int]:
    """Count absolute weights (n_events,) by step."""
    if size.min() == size.max():  # as in most samples
        return {int(_steps(size[:1])[0]): len(size)}
    steps, counts = np.unique(_steps(size), return_counts=True)
    return dict(zip(steps.tolist(), counts.tolist(), strict=True))


def _steps(size: Floats) -> NDArray[np.int16]:
    with np.errstate(divide="ignore"):
        steps = np.floor(STEPS_PER_OCTAVE * np.log2(size))
    return np.where(size > 0, steps, ZERO).astype(np.int16)  # sorted five times faster than int64
