"""Tail of z without signal from its skewness and kurtosis: not a study of its own, but a reading of stored ones.

Few searches reach the tail, but all of them know the shape of the distribution. To first order in the cumulants beyond
the second (Edgeworth's series; H. Cramer 1946, 17.7) the probability of more than t standard deviations is

    Q(t) + phi(t) [skewness / 6 (t^2 - 1) + excess kurtosis / 24 (t^3 - 3 t)].

That says nothing of cumulants beyond the fourth, and assumes that mean and width are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.learning import INCLUSIVE
from tests.studies.retrained_null import cells
from tests.studies.runner import Point

__all__ = ["Shape", "of_presets", "of_scans"]

_LEAST = 100

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """Skewness and excess kurtosis of standardised z, as averages over what each search tested.

    Attributes
    ----------
    cubes, fourths : (n_searches,) float64
        Hermite's polynomials z^3 - 3 z and z^4 - 6 z^2 + 3: z and z^2 - 1 average to zero, and with them the errors are
        those of cumulants. Searches are independent, the z of one search are not.
    """

    cubes: Array
    fourths: Array

    @classmethod
    def of(cls, z: Array) -> Shape:
        """Standardise z, (n_searches, n_tests), test by test; NaN are left out."""
        unit = (z - np.nanmean(z, 0)) / np.nanstd(z, 0)
        known = unit[np.isfinite(unit).any(1)]
        return cls(np.nanmean(known**3 - 3 * known, 1), np.nanmean(known**4 - 6 * known**2 + 3, 1))

    def __add__(self, other: Shape) -> Shape:
        """Join the searches of two settings."""
        return Shape(np.append(self.cubes, other.cubes), np.append(self.fourths, other.fourths))

    def __len__(self) -> int:
        return len(self.cubes)

    @property
    def skewness(self) -> tuple[float, float]:
        """With its error."""
        return _mean(self.cubes)

    @property
    def excess_kurtosis(self) -> tuple[float, float]:
        """With its error."""
        return _mean(self.fourths)

    def tail(self, threshold: float) -> tuple[float, float]:
        """Probability beyond a number of standard deviations, relative to the normal one, with its error."""
        slope = norm.pdf(threshold) / norm.sf(threshold)
        skewed = self.cubes * (threshold**2 - 1) / 6
        return _mean(1 + slope * (skewed + self.fourths * (threshold**3 - 3 * threshold) / 24))


def _mean(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / len(values) ** 0.5)


def _array(columns: Mapping[str, Sequence[float | None]]) -> Array:
    return np.array([list(column) for column in columns.values()], np.float64).T


def of_scans(finished: Sequence[Point], seed: int) -> dict[str, Shape]:
    """Shapes of the significances of whole scans, by selection, and of all trained selections together."""
    chosen = [point for point in finished if point["seed"] == seed]
    z: dict[str, dict[str, list[float | None]]] = {}
    for point in chosen:
        for window, one in point["windows"].items():
            for name, values in one["z"].items():
                z.setdefault(name, {}).setdefault(window, []).extend(values)
    trained = {f"{name} {window}": of[window] for name, of in z.items() if name != INCLUSIVE for window in of}
    return {**{name: Shape.of(_array(of)) for name, of in z.items()}, "all trained": Shape.of(_array(trained))}


def of_presets(finished: Sequence[Point]) -> Iterator[tuple[str, Shape]]:
    """Shapes of the significances of the trained selections of each preset as shipped, all sizes joined.

    Cells of fewer than a hundred searches are left out.
    """
    joined: dict[str, Shape] = {}
    for (preset, _, varied, _), batches in cells(finished).items():
        if varied or sum(batch["searches"] for batch in batches) < _LEAST:
            continue
        names = [name for name in batches[0]["z"] if name != INCLUSIVE]
        shape = Shape.of(_array({name: [z for batch in batches for z in batch["z"][name]] for name in names}))
        joined[preset] = joined[preset] + shape if preset in joined else shape
    yield from joined.items()
