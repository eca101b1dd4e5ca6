"""Limits on Gaussian signals, tails beside the window and in the fitted bins included.

A limit on the events above the fit in a window is a limit on the whole signal only if all of it is in the window. Of a
wider one a part lies outside, and a part beyond the mask raises the fit. Without both, a limit on a Gaussian of 5 % of
the mass excludes the true signal in most experiments: `tests/analysis/signals/test_gaussian.py`.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from analysis.errors import FitError
from analysis.search.bump import Bump
from analysis.signals.template import net_yields
from analysis.signals.window import approximate_limit

__all__ = ["WIDTHS", "gaussian_limits", "net_fraction"]

WIDTHS = (0.02, 0.05)
"""Standard deviations of the signals, relative to the centre of the window."""


def gaussian_limits(bump: Bump) -> dict[str, float | None]:
    """Observed limits on all events of Gaussian signals at the centre of the window.

    Parameters
    ----------
    bump : Bump

    Returns
    -------
    dict of str to float or None
        By relative width, such as "0.02", in the unit of the counts; None where the signal does not show as an excess
        in the window, or there is no limit.
    """
    limit = bump.limit.observed_events
    found: dict[str, float | None] = {}
    for width in WIDTHS:
        net = None if limit is None else net_fraction(bump, width)
        found[f"{width:g}"] = None if limit is None or net is None else limit / net
    return found


def net_fraction(bump: Bump, width: float) -> float | None:
    """Fraction of a Gaussian signal that shows as an excess over the fit in the window; None if there is no excess.

    Parameters
    ----------
    bump : Bump
    width : float
        Standard deviation, relative to the centre of the window.

    Returns
    -------
    float or None
    """
    assert bump.fit.data is not None
    low, high = bump.fit.data.low, bump.fit.data.high
    edges = np.unique(np.concatenate([low, high, bump.plan.mask, bump.plan.signal]))
    centre = sum(bump.plan.signal) / 2.0
    shape = np.diff(special.ndtr((edges - centre) / (width * centre)))
    strength = float(approximate_limit(bump.background / bump.weight, bump.background_error / bump.weight))
    signal, rest = strength * shape, None
    if bump.fit.function.n_ratio:
        rest = bump.fit.expected_rest(edges), np.zeros_like(signal)  # too many to be changed by a signal
    try:
        (found,) = net_yields(
            bump.fit.expected(edges)[0] / bump.weight,
            signal,
            edges,
            bump.fit.function,
            (bump.plan.signal,),
            bump.plan.mask,
            bump.fit.sqrt_s_gev,
            rest=rest,
        )
    except FitError:
        return None
    return found.net / strength if found.net > 0 else None
