"""Two correlated Gaussian features whose means and widths follow m_jj, with their exact density, and a signal there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

__all__ = ["drifting_gaussians", "exact_log_prob", "exact_log_ratio", "narrow_signal", "normal_scores"]

CORRELATION = 0.6

PLACE, WIDTH = np.array([2.0, -0.5]), 0.3
"""Mean and width of the signal, in widths of the background from its mean."""


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
    return _log_prob_of_scores(first, second) - np.log(_width(mjj)).sum(axis=1)


def narrow_signal(n_events: int, *, random_state: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (n_events, 2) and masses (n_events,) of a signal in 3.3 to 3.7 TeV, away from the diagonal."""
    rng = np.random.default_rng(random_state)
    mjj = rng.uniform(3300.0, 3700.0, n_events)
    return _mean(mjj) + _width(mjj) * (PLACE + WIDTH * rng.normal(size=(n_events, 2))), mjj


def exact_log_ratio(X: NDArray[np.float64], mjj: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log density of the signal over that of the background."""
    scores = normal_scores(X, mjj)
    signal: NDArray[np.float64] = norm.logpdf(scores, PLACE, WIDTH).sum(axis=1)
    return signal - _log_prob_of_scores(*scores.T)


def _log_prob_of_scores(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    rest = np.sqrt(1 - CORRELATION**2)
    own: NDArray[np.float64] = norm.logpdf(first) + norm.logpdf(second, CORRELATION * first, rest)
    return own
