"""Random counts from given random numbers, so that all hypotheses share the same numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["poisson_quantiles"]

Array = NDArray[np.float64]

_REACH = 12.0  # standard deviations


def poisson_quantiles(probability: Array, rate: float) -> Array:
    """(n_rows,) float64: counts at these probabilities, like `scipy.stats.poisson.ppf`, from one table."""
    reach = _REACH * (np.sqrt(rate) + 1.0)
    counts = np.arange(max(0.0, np.floor(rate - reach)), rate + 2.0 * reach)
    return np.asarray(counts[np.searchsorted(stats.poisson.cdf(counts, rate), probability).clip(max=len(counts) - 1)])
