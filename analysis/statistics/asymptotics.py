"""Asymptotic p-values of signal hypotheses, for many data sets at once (arXiv:1007.1727)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics.crossings import crossings
from analysis.statistics.likelihood import Fits, Likelihood

__all__ = ["Reference", "asymptotic_limits", "asymptotic_p_values", "fit_reference", "roots"]

Array = NDArray[np.float64]

BANDS = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])

_TOLERANCE = 2e-4
_MAX_LOG = 700.0


@dataclass(frozen=True)
class Reference:
    """Fits that do not depend on the tested signal strength, one row per data set.

    Attributes
    ----------
    data : (n_rows, n_data) float64
    free : Fits
        Fits with the signal strength bounded below by zero.
    null : Fits
        Fits without signal.
    asimov : (n_rows, n_data) float64
        Expectation of `null`.
    asimov_twice_nll : (n_rows,) float64
        Twice the negative log likelihood of `asimov` at `null`, its best fit.
    """

    data: Array
    free: Fits
    null: Fits
    asimov: Array
    asimov_twice_nll: Array

    def repeated(self, times: int) -> Reference:
        """Repeat every data set `times` times."""
        rows = np.repeat(np.arange(len(self.data)), times)
        free, null = (Fits(fits.parameters[rows], fits.twice_nll[rows]) for fits in (self.free, self.null))
        return Reference(self.data[rows], free, null, self.asimov[rows], self.asimov_twice_nll[rows])


def fit_reference(likelihood: Likelihood, data: Array) -> Reference:
    """Fit data sets (n_rows, n_data) with and without signal."""
    null = likelihood.fit(data, np.zeros(len(data)))
    free = likelihood.fit(data, start=null.parameters)
    asimov = likelihood.expected(null.parameters)
    return Reference(data, free, null, asimov, likelihood.evaluate(null.parameters, asimov)[0])


def roots(likelihood: Likelihood, reference: Reference, mu: Array) -> tuple[Array, Array]:
    """Square roots of the test statistic q-tilde (Eq. 16) of data sets, and of their Asimov data sets.

    Parameters
    ----------
    likelihood : Likelihood
    reference : Reference
    mu : (n_rows,) float64
        Tested signal strength of each data set.

    Returns
    -------
    observed, asimov : (n_rows,) float64
    """
    n_rows = len(mu)
    both = np.concatenate([reference.data, reference.asimov])
    start = np.concatenate([reference.free.parameters, reference.null.parameters])
    fits = likelihood.fit(both, np.concatenate([mu, mu]), start=start)
    q = np.maximum(fits.twice_nll[:n_rows] - reference.free.twice_nll, 0.0)
    q[reference.free.parameters[:, likelihood.poi] > mu] = 0.0
    q_asimov = np.maximum(fits.twice_nll[n_rows:] - reference.asimov_twice_nll, 0.0)
    return np.sqrt(q), np.sqrt(q_asimov)


def asymptotic_p_values(observed: Array, asimov: Array) -> tuple[Array, Array]:
    """Logarithms of CLs+b and CLb (Eqs. 64 to 66) from the two roots; all are (n_rows,)."""
    safe = np.maximum(asimov, 1e-150)
    far = observed > asimov
    shift = np.where(far, (observed**2 - safe**2) / (2.0 * safe), observed - asimov)
    log_sb, log_b = stats.norm.logsf(shift + asimov), stats.norm.logsf(shift)
    return np.asarray(log_sb), np.asarray(log_b)


def asymptotic_limits(likelihood: Likelihood, *, level: float, cls: bool = True) -> Array:
    """Observed limit, then the expected limits at -2 ... 2 standard deviations, in units of the signal strength.

    Expected limits are the points where the root of the Asimov test statistic takes its known value (Eq. 89), so that
    one curve gives all five; the observed limit uses the same points.

    Parameters
    ----------
    likelihood : Likelihood
    level : float
    cls : bool
        Whether to divide by CLb.

    Returns
    -------
    (6,) float64
    """
    reference = fit_reference(likelihood, likelihood.data[None])
    targets = BANDS + stats.norm.isf(level * (stats.norm.cdf(BANDS) if cls else np.ones(5)))

    def function(mu: Array) -> Array:
        observed, asimov = roots(likelihood, reference.repeated(len(mu)), mu)
        log_sb, log_b = asymptotic_p_values(observed, asimov)
        log_p: Array = np.clip(log_sb - (log_b if cls else 0.0), -_MAX_LOG, _MAX_LOG)
        columns: Array = np.concatenate([log_p[:, None] - float(np.log(level)), targets - asimov[:, None]], axis=1)
        return columns

    return crossings(function, first_points(likelihood, reference), tolerance=_TOLERANCE)


def first_points(likelihood: Likelihood, reference: Reference) -> Array:
    """(n_points,) float64: signal strengths around the limits in the Gaussian approximation."""
    error = likelihood.mu_error(reference.null.parameters[0], reference.asimov[0])
    best = reference.free.parameters[0, likelihood.poi]
    points: Array = error * np.array([0.5, 1.05, 1.41, 1.96, 2.73, 3.66, 5.0])
    points[-1] += best
    return points
