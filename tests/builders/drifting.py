"""Two correlated Gaussian features whose means and widths follow m_jj, with their exact density."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["drifting_gaussians", "exact_log_prob", "normal_scores"]

CORRELATION = 0.6


def _mean(mjj: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([100 + 0.2 * (mjj - 3500), 0.5 + 1e-4 * (mjj - 3500)], axis=1)


def _width(mjj: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([10 * mjj / 3500, np.full(len(mjj), 0.1)], axis=1)


def drifting_gaussians(n_events: int, *, random_state: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (n_events, 2) and masses (n_events,) of events that are uniform in 3 to 4 TeV."""
    rng = np.random.default_rng(random_state)
    mjj = rng.uniform(3000.0, 4000.0, n_events)
    first, second = rng.normal(size=(2, n_events))
    second = CORRELATION * first + np.sqrt(1 - CORRELATION**2) * second
    return _mean(mjj) + _width(mjj) * np.stack([first, second], axis=1), mjj


def normal_scores(X: NDArray[np.float64], mjj: NDArray[np.float64]) -> NDArray[np.float64]:
    """Features in units of their width, from their mean."""
    return (X - _mean(mjj)) / _width(mjj)


def exact_log_prob(X: NDArray[np.float64], mjj: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density of the features at a mass."""
    first, second = normal_scores(X, mjj).T
    rest = np.sqrt(1 - CORRELATION**2)
    own = norm.logpdf(first) + norm.logpdf(second, CORRELATION * first, rest)
    return own - np.log(_width(mjj)).sum(axis=1)
