"""Conversion of varied signal yields to workspace modifiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.config.systematics import Combination
from analysis.errors import StatisticsError
from analysis.statistics.samples import SignalSystematic

__all__ = ["combined_modifier", "yield_modifier"]


def yield_modifier(name: str, nominal: float, up: float, down: float | None = None) -> SignalSystematic:
    """Make the modifier whose factors are the varied yields divided by the nominal yield.

    Parameters
    ----------
    name : str
        Name of the nuisance parameter.
    nominal, up : float
        Events.
    down : float, optional
        Without a downward variation, the factor is the inverse of the factor of `up`.

    Returns
    -------
    SignalSystematic

    Raises
    ------
    StatisticsError
        If a yield is not positive.
    """
    _require_positive(name, [nominal, up] if down is None else [nominal, up, down])
    return SignalSystematic(name, "normsys", up / nominal, None if down is None else down / nominal)


def combined_modifier(name: str, nominal: float, members: Sequence[float], how: Combination) -> SignalSystematic:
    """Make the modifier of the yields with several alternative weights.

    Parameters
    ----------
    name : str
    nominal : float
        Events.
    members : sequence of float
        Events with each weight.
    how : str
        "envelope": the largest and the smallest yield, including the nominal one. "replicas": the standard deviation of
        the yields. "hessian": differences from the nominal yield in quadrature (both as in arXiv:1510.03865).

    Returns
    -------
    SignalSystematic

    Raises
    ------
    StatisticsError
        If a yield is not positive, or fewer than two replicas are given.
    """
    if how == "envelope":
        return yield_modifier(name, nominal, max(nominal, *members), min(nominal, *members))
    if how == "replicas" and len(members) < 2:
        msg = f"the signal systematic '{name}' needs at least two replicas, found {len(members)}."
        raise StatisticsError(msg)
    values = np.asarray(members, np.float64)
    error = values.std(ddof=1) if how == "replicas" else np.sqrt(((values - nominal) ** 2).sum())
    return yield_modifier(name, nominal, nominal + float(error))


def _require_positive(name: str, yields: Sequence[float]) -> None:
    if not all(np.isfinite(value) and value > 0 for value in yields):
        values = ", ".join(f"{value:g}" for value in yields)
        msg = f"the signal systematic '{name}' needs positive yields, found {values}. Simulate more events."
        raise StatisticsError(msg)
