"""Toys of one bin with an uncertain background, summed and integrated instead of drawn.

Pseudo-experiments follow pyhf's ToyCalculator: nuisance parameters at their conditional best fit to the observed data,
the count from its Poisson distribution, the auxiliary measurement from its Gaussian. Because the models of
`counting_models` have a closed profile, and the test statistic is monotone in the auxiliary measurement a, the p-value
is a sum over n of normal integrals; no random numbers are drawn.

Outcomes whose test statistic is closer than 0.01 to the observed value count as equal to it, so that the result becomes
the exact Poisson result as sigma goes to zero, where toys would order equal counts by noise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics.counting_models import CountingModel, GaussianCounting, LogNormalCounting
from analysis.statistics.crossings import crossings
from analysis.statistics.likelihood import Likelihood

__all__ = ["averaged_p0", "counting_limits", "counting_model", "counting_p0", "counting_p_values"]

Array = NDArray[np.float64]

_EQUAL = 1e-2  # tolerance on the test statistic
_REACH = 7.0  # standard deviations of the auxiliary measurement
_NODE_STEP = 0.1
_MAX_NODES = 801
_MAX_ROWS = 400
_TAIL = 1e-9
_TOLERANCE = 5e-4
_HERMITE_NODES = 64
_BAND_TAILS = stats.norm.cdf([-2.0, -1.0, 0.0, 1.0, 2.0])


def counting_model(likelihood: Likelihood) -> CountingModel | None:
    """Recognise a single bin with a signal without uncertainty, and a background of one of two forms.

    The background is linear in its nuisance parameters, or exponential in all of them; several nuisance parameters are
    one whose variance is the sum of theirs.

    Returns
    -------
    CountingModel or None
        None if pyhf's expectation has another form.
    """
    names, rates, poi = likelihood.model.config.par_names, likelihood.rates, likelihood.poi
    pulls = np.delete(np.arange(len(names)), poi)
    if (
        rates is None
        or likelihood.n_bins != 1
        or likelihood.model.config.nauxdata != len(pulls)
        or not likelihood.has_unit_normals()
        or rates.factors
        or rates.signal[1:, 0].any()
    ):
        return None
    n, b = float(likelihood.data[0]), float(rates.background[0, 0])
    shifts, logs = rates.background[1:, 0][pulls], rates.logs[:, 0][pulls]
    auxiliary = likelihood.auxiliary_pulls()[pulls]
    if not logs.any():
        sigma = float(np.sqrt((shifts**2).sum()))
        bounds = likelihood.bounds[pulls]
        lowest = b + float(np.minimum(shifts * bounds[:, 0], shifts * bounds[:, 1]).sum())
        floor = max(lowest, 1e-9)
        return GaussianCounting(n, float(auxiliary @ shifts) / sigma, b, sigma, floor) if sigma > 0 else None
    if not shifts.any():
        total = float(np.sqrt((logs**2).sum()))
        return LogNormalCounting(n, float(auxiliary @ logs) / total, b, total)
    return None


def counting_p_values(model: CountingModel, mu: float) -> tuple[float, float]:
    """CLs+b and CLb of a signal of mu events."""
    observed = float(model.limit_root(model.n, model.auxiliary, mu))
    return _Table(model, mu).p_values(observed)


def counting_limits(model: CountingModel, *, level: float, cls: bool = True) -> Array:
    """Observed limit, then the expected ones at -2 ... 2 standard deviations, (6,) float64, events."""

    def function(points: Array) -> Array:
        return np.array([_log_p(model, mu, cls) for mu in points]) - float(np.log(level))

    error = float(np.hypot(np.sqrt(max(model.background, 1.0)), model.sigma))
    excess = max(model.n - float(model.rate(model.auxiliary)), 0.0)
    start = error * np.array([0.7, 1.2, 1.7, 2.3, 3.2, 4.5]) + np.array([0, 0, 0, 0, 0, excess])
    return crossings(function, start, tolerance=_TOLERANCE)


def counting_p0(model: CountingModel) -> float:
    """Probability of a discovery statistic at least as large as observed, without signal."""
    observed = float(model.signed_z(model.n, model.auxiliary))
    pull = float(model.profiled(model.n, model.auxiliary, 0.0))
    rate = float(model.rate(pull))
    n, weight = _rows(rate, rate, at_least=model.n)
    nodes = _nodes(pull, pull, reach=2 * _REACH)
    table = model.signed_z(n[:, None], -nodes)  # rises along the row, as _first_reaching requires
    close = np.sqrt(max(observed**2 - _EQUAL, 0.0)) if observed > 0 else -np.sqrt(observed**2 + _EQUAL)
    return float(min(1.0, weight[0] @ stats.norm.sf(_first_reaching(table, nodes, close) + pull)))


def averaged_p0(model: CountingModel) -> float:
    """Poisson probability of at least the observed count, averaged over a log-normal error of the background.

    Hybrid p-value of R. Cousins, J. Linnemann, J. Tucker, Nucl. Instrum. Meth. A 595 (2008) 480, arXiv:physics/0702156:
    conservative, increasingly so for larger errors.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(_HERMITE_NODES)
    means = model.background * np.exp(np.log1p(model.sigma / model.background) * nodes)
    return float(stats.poisson.sf(model.n - 1, means) @ weights / weights.sum())


class _Table:
    """Test statistic for all relevant outcomes (n, a) at one mu, and their probabilities."""

    def __init__(self, model: CountingModel, mu: float) -> None:
        self.pulls = [float(model.profiled(model.n, model.auxiliary, value)) for value in (mu, 0.0)]
        rates = [float(model.rate(pull)) + value for pull, value in zip(self.pulls, (mu, 0.0), strict=True)]
        n, self.weights = _rows(*rates)
        self.nodes = _nodes(min(self.pulls), max(self.pulls))
        self.roots = model.limit_root(n[:, None], self.nodes, mu)

    def p_values(self, root: float) -> tuple[float, float]:
        """Return the probability of at least this root, with and without signal."""
        if root**2 <= _EQUAL:
            return 1.0, 1.0
        first = _first_reaching(self.roots, self.nodes, np.sqrt(root**2 - _EQUAL))
        with_signal, without = (
            float(min(1.0, weight @ stats.norm.sf(first - pull)))
            for weight, pull in zip(self.weights, self.pulls, strict=True)
        )
        return with_signal, without

    def band_roots(self) -> Array:
        """(5,) float64: quantiles of the root without signal, at -2 ... 2 standard deviations of the limit."""
        edges = np.concatenate([[-np.inf], (self.nodes[1:] + self.nodes[:-1]) / 2, [np.inf]])
        cells = np.outer(self.weights[1], np.diff(stats.norm.cdf(edges - self.pulls[1]))).ravel()
        order = np.argsort(self.roots.ravel())[::-1]
        cumulative = np.cumsum(cells[order])
        quantiles: Array = self.roots.ravel()[order][np.searchsorted(cumulative, _BAND_TAILS * cumulative[-1])]
        return quantiles


def _log_p(model: CountingModel, mu: float, cls: bool) -> list[float]:
    table = _Table(model, mu)
    observed = float(model.limit_root(model.n, model.auxiliary, mu))
    pairs = [table.p_values(root) for root in (observed, *table.band_roots())]
    return [float(np.log(max(sb, 1e-300)) - (np.log(max(b, 1e-300)) if cls else 0.0)) for sb, b in pairs]


def _rows(first: float, second: float, at_least: float = 0.0) -> tuple[Array, tuple[Array, Array]]:
    """Return counts, in blocks if they are many, and their probabilities under the two rates."""
    low = float(stats.poisson.ppf(_TAIL, min(first, second)))
    reach = max(float(stats.poisson.ppf(1 - _TAIL, max(first, second))), at_least)
    high = reach + (10.0 * np.sqrt(reach) + 30.0 if reach == at_least else 0.0)
    step = max(1, int((high - low) // _MAX_ROWS))
    edges = np.arange(max(low, 0.0), high + step + 1, step) - 1.0
    weights = tuple(_interval(edges, rate) for rate in (first, second))
    return (edges[:-1] + edges[1:] + 1.0) / 2.0, (weights[0], weights[1])


def _interval(edges: Array, rate: float) -> Array:
    """Poisson probability of edges[i] < n <= edges[i + 1], from the tail that keeps its precision."""
    below, above = np.diff(stats.poisson.cdf(edges, rate)), -np.diff(stats.poisson.sf(edges, rate))
    probability: Array = np.where(edges[1:] > rate, above, below)
    return probability


def _nodes(low: float, high: float, reach: float = _REACH) -> Array:
    size = int(np.ceil((high - low + 2 * reach) / _NODE_STEP)) + 1
    return np.linspace(low - reach, high + reach, min(size, _MAX_NODES))


def _first_reaching(table: Array, nodes: Array, value: float) -> Array:
    """(n_rows,): position where each rising row reaches the value; infinite if it never or always does."""
    index = (table < value).sum(axis=1)
    inside = (index > 0) & (index < len(nodes))
    right = np.clip(index, 1, len(nodes) - 1)
    rows = np.arange(len(table))
    low, high = table[rows, right - 1], table[rows, right]
    share = np.where(inside, (value - low) / np.maximum(high - low, 1e-300), 0.0)
    where = nodes[right - 1] + share * (nodes[right] - nodes[right - 1])
    return np.where(inside, where, np.where(index == 0, -np.inf, np.inf))
