"""Ensembles whose members are cut one by one, each at its own threshold, and whose counts are averaged.

An event that k of M members select has the pass weight k / M, and the spectrum of these weights is the average of the
members' spectra. Its Σw² is the variance of that average with the covariance of the members: an event that several
select is one event. So one fit of the averaged spectrum with scaled Poisson counts has the right error, and the members
need no covariance of their own; fits of every member, averaged, give the same (`tests/analysis/test_members.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.background import MassFunction, estimate_many
from analysis.errors import FitError
from analysis.regions import Interval, bins_of

__all__ = ["MemberSpread", "member_spread"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class MemberSpread:
    """How far the members of an ensemble lie apart.

    Attributes
    ----------
    mean : float
        Of n - b over members, events.
    spread : float
        Standard deviation of n - b of one member around it, events. It is not a further error of the average: members
        differ because they select different events, and these fluctuate; the error of the average holds that already.
        Members that select no event in common have a spread of sqrt(M) times that error, equal members have none. It
        tells how much a search with one member depends on its seed.
    n_members : int
    """

    mean: float
    spread: float
    n_members: int


def member_spread(
    spectra: Array,
    edges: Array,
    *,
    window: Interval,
    mask: Interval,
    functions: Sequence[str | MassFunction],
    sqrt_s_gev: float,
) -> MemberSpread:
    """Fit every member alone.

    Parameters
    ----------
    spectra : (n_members, n_bins) float64
        Events that each member selects.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    window : (low, high)
        Where events are counted, GeV, on bin edges.
    mask : (low, high)
        Left out of the fits, GeV.
    functions : sequence of str or MassFunction
        One background function, or nested ones of which each member takes its own by its number of events.
    sqrt_s_gev : float
        Collision energy, GeV.

    Returns
    -------
    MemberSpread

    Raises
    ------
    FitError
        If there are fewer than two members, or one cannot be fitted.
    WindowError
        If the window is not on bin edges.
    """
    found = estimate_many(spectra, edges, mask=mask, windows=[window], functions=functions, sqrt_s_gev=sqrt_s_gev)
    if len(spectra) < 2 or not found.valid.all():
        msg = (
            f"a spread needs two members or more that can be fitted, found {int(found.valid.sum())} of {len(spectra)}. "
            "Use a looser selection or fewer parameters."
        )
        raise FitError(msg)
    left = spectra[:, bins_of(edges, window)].sum(axis=1) - found.value[:, 0]
    return MemberSpread(float(left.mean()), float(left.std(ddof=1)), len(spectra))
