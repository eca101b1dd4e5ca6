"""Background functions from tables of their terms.

Stored fits are evaluated without the plugin that gave the function, and without another expansion of one that is not
log-linear.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from analysis.background.functions import MassFunction, parts_of_name, times_ratio
from analysis.core.documents import ABSENT

__all__ = ["TermTable", "tabulate", "tabulated_function"]

Array = NDArray[np.float64]

_ORDER = 8
"""Coefficients in each bin: smooth terms come back to the precision of their numbers in bins of 100 GeV."""


@dataclass(frozen=True)
class TermTable:
    """Chebyshev series of the terms of a function in each bin.

    Attributes
    ----------
    edges : tuple of float
        (n_bins + 1,) edges in x = m / sqrt(s).
    coefficients : tuple
        (n_terms, n_bins, order).
    offset : tuple or None
        (n_bins, order), of the offset if there is one.
    centre : tuple of float or None
        As in `MassFunction`.
    """

    edges: tuple[float, ...]
    coefficients: tuple[tuple[tuple[float, ...], ...], ...]
    offset: tuple[tuple[float, ...], ...] | None = field(default=None, metadata=ABSENT)
    centre: tuple[float, ...] | None = field(default=None, metadata=ABSENT)


def tabulate(function: MassFunction, edges: Array, sqrt_s_gev: float) -> TermTable | None:
    """Tabulate the terms of a function.

    Parameters
    ----------
    function : MassFunction
        Log-linear; an `AdaptedFunction` as it was adapted to the bins.
    edges : (n_bins + 1,) float64
        GeV.
    sqrt_s_gev : float
        Collision energy, GeV.

    Returns
    -------
    TermTable or None
        None if a term is not finite between the edges.
    """
    x = np.asarray(edges, np.float64) / sqrt_s_gev
    nodes = np.polynomial.chebyshev.chebpts1(_ORDER)
    points = (x[1:] + x[:-1])[:, None] / 2 + (x[1:] - x[:-1])[:, None] / 2 * nodes
    with np.errstate(all="ignore"):
        values = function.basis(points)
        if function.offset is not None:  # in the place of the constant
            values[..., 0] = function.offset(points)
    if not np.isfinite(values).all():
        return None
    to_series = np.linalg.inv(np.polynomial.chebyshev.chebvander(nodes, _ORDER - 1))
    series = np.einsum("ck,bkt->tbc", to_series, values).tolist()
    offset, *terms = (tuple(map(tuple, term)) for term in series)
    return TermTable(
        tuple(x.tolist()), tuple(terms), None if function.offset is None else offset, function.centre or None
    )


def tabulated_function(name: str, table: TermTable) -> MassFunction:
    """Return a function that reads its terms from a table; beyond the edges the series of the last bin is used."""
    edges = np.array(table.edges)
    terms = tuple(_Term(edges, np.array(term)) for term in table.coefficients)
    offset = None if table.offset is None else _Term(edges, np.array(table.offset))
    shape, order = parts_of_name(name)
    own = len(terms) - (0 if order is None else order + 1)
    function = MassFunction(shape, terms[:own], "from a table", offset=offset, centre=(table.centre or ())[: own + 1])
    return function if order is None else times_ratio(function, order)


@dataclass(frozen=True, eq=False)
class _Term:
    edges: Array
    series: Array

    def __call__(self, x: Array) -> Array:
        index = np.clip(np.searchsorted(self.edges, x, side="right") - 1, 0, len(self.series) - 1)
        low, high = self.edges[index], self.edges[index + 1]
        powers = np.polynomial.chebyshev.chebvander((2 * x - low - high) / (high - low), _ORDER - 1)
        value: Array = (powers * self.series[index]).sum(axis=-1)
        return value
