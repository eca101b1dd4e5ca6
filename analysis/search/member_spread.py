"""Ensembles with one cut per member, each at its own threshold, and averaged counts.

An event that k of M members select has the pass weight k / M, and the spectrum of these weights is the average of the
spectra of the members. Its Σw² is the variance of that average, including the covariance of the members: an event
selected by several members is one event. One fit of the averaged spectrum with scaled Poisson counts therefore has the
right error, and the members need no separate covariance; averaging fits of every member gives the same
(`tests/analysis/test_members.py`).
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
    """Spread of the results of the members of an ensemble.

    Attributes
    ----------
    mean : float
        Mean of n - b over members, events.
    spread : float
        Standard deviation of n - b of the members around the mean, events. It is not an additional error of the
        average: members differ because they select different events, whose fluctuations are already part of the error
        of the average. Members without common events have a spread of sqrt(M) times that error, identical members have
        none. It measures how much a search with one member depends on its seed.
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
    rest: Array | None = None,
) -> MemberSpread:
    """Fit every member separately.

    Parameters
    ----------
    spectra : (n_members, n_bins) float64
        Selected events of each member.
    edges : (n_bins + 1,) float64
        Bin edges, GeV.
    window : (low, high)
        Interval of the counted events, GeV, on bin edges.
    mask : (low, high)
        Interval excluded from the fits, GeV.
    functions : sequence of str or MassFunction
        One background function, or nested functions whose order is chosen by the number of events of each member.
    sqrt_s_gev : float
        Collision energy, GeV.
    rest : (n_members, n_bins) float64, optional
        Events that fail each member, with the strategy "transfer-factor".

    Returns
    -------
    MemberSpread

    Raises
    ------
    FitError
        If fewer than two members are given, or one cannot be fitted.
    WindowError
        If the window is not on bin edges.
    """
    options = {"mask": mask, "windows": [window], "functions": functions, "sqrt_s_gev": sqrt_s_gev}
    estimates = estimate_many(spectra, edges, rest=rest, **options)  # type: ignore[arg-type]
    if len(spectra) < 2 or not estimates.valid.all():
        msg = (
            "a spread needs two members or more that can be fitted, found "
            f"{int(estimates.valid.sum())} of {len(spectra)}. Use a looser selection or fewer parameters."
        )
        raise FitError(msg)
    net = spectra[:, bins_of(edges, window)].sum(axis=1) - estimates.value[:, 0]
    return MemberSpread(float(net.mean()), float(net.std(ddof=1)), len(spectra))
