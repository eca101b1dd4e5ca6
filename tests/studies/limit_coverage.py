"""How often upper limits cover the true signal: CLs+b at the nominal rate, CLs as the exact curve of CLs.

Truth: pseudo-experiments with the count, or the spectrum, and the auxiliary measurements drawn around a true background
and a true signal of 0 to 3 standard deviations. A limit covers where the true signal is not excluded, so each
pseudo-experiment needs one test, of the signal that is true. Calculators are those that `upper_limit` chooses.

The curve is that of a Gaussian mean which is not negative; for up to 25 background events, that of the counting model,
`exact_cls_coverage`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, poisson

from analysis.statistics import Counting, Shape, counting_workspace, shape_workspace, upper_limit
from analysis.statistics.asymptotics import asymptotic_p_values, fit_reference, roots
from analysis.statistics.counting import counting_model, counting_p_values
from analysis.statistics.likelihood import Likelihood
from tests.studies.runner import Budget, Point, run, study

Array = NDArray[np.float64]

NAME = "limit_coverage"

LEVEL = 0.05
N_TOYS = 5000

FEW = 25.0
"""Background events up to which the curve is that of the counting model."""

REACH, CELL = 14.0, 0.01
"""Of the auxiliary measurement, in standard deviations."""

SIGNALS = (0.0, 1.0, 1.5, 2.0, 2.5, 3.0)
"""True signals, in standard deviations."""

COUNTING = (
    (10_000.0, 200.0),
    (1_000.0, 30.0),
    (100.0, 5.0),
    (25.0, 3.0),
    (10.0, 2.0),
    (5.0, 1.0),
    (3.0, 2.0),
    (10.0, 8.0),
)
"""Background and its error, events: from Gaussian to few events, and errors that reach zero."""

SHAPES = (300.0, 3_000.0, 30_000.0)
"""Events in spectra of 12 bins with three parameters of the background fit."""

CELLS = [
    *({"model": "counting", "background": b, "background_error": sigma} for b, sigma in COUNTING),
    *({"model": "shape", "background": b, "background_error": None} for b in SHAPES),
]

POINTS = [{**cell, "signal": signal, "n_toys": N_TOYS} for cell in CELLS for signal in SIGNALS]


def gaussian_cls_coverage(signal: float) -> float:
    """Coverage of the CLs limit on the mean of a unit Gaussian whose mean is not negative.

    The mean is excluded where sf(mu - x) < level sf(-x), with the x at the boundary found by bisection.
    """
    low, high = -40.0, signal
    for _ in range(200):
        middle = (low + high) / 2
        excluded = norm.logcdf(middle - signal) - norm.logcdf(middle) < np.log(LEVEL)
        low, high = (middle, high) if excluded else (low, middle)
    return float(norm.sf(low - signal))


class FewEvents:
    """Pois(n | b + theta + mu) Gauss(a | theta, sigma), b + theta > 0.001 b, by brute force.

    Shares nothing with `analysis.statistics.counting`: the best theta is found by bisection, and probabilities are sums
    over every count and over narrow cells of the auxiliary measurement.
    """

    def __init__(self, background: float, sigma: float, mu: float) -> None:
        self.background, self.sigma, self.mu = background, sigma, mu
        self.n = np.arange(poisson.isf(1e-8, background + mu + 4 * sigma) + 1)[:, None]
        self.edges = np.arange(-REACH - CELL / 2, REACH, CELL) * sigma
        self.q = self.q_tilde(self.n, (self.edges[1:] + self.edges[:-1]) / 2)

    def best_theta(self, n: Array, a: Array, mu: float) -> Array:
        """Zero of the derivative of the likelihood in theta, which falls with it; or the lowest theta."""
        n, a = np.broadcast_arrays(n, a)
        low = np.full(n.shape, -0.999 * self.background)
        high = np.maximum(a, low) + n + 1.0
        for _ in range(60):
            middle = (low + high) / 2
            rises = n / (self.background + middle + mu) - 1 > (middle - a) / self.sigma**2
            low, high = np.where(rises, middle, low), np.where(rises, high, middle)
        return low

    def log_likelihood(self, n: Array, a: Array, mu: Array | float, theta: Array) -> Array:
        """Of one outcome, normalised as a probability."""
        value: Array = poisson.logpmf(n, self.background + theta + mu) + norm.logpdf(a, theta, self.sigma)
        return value

    def q_tilde(self, n: Array, a: Array) -> Array:
        """Eq. 16 of arXiv:1007.1727 at mu."""
        at_a = np.maximum(a, -0.999 * self.background)  # where the signal is free
        best = n - self.background - at_a
        free = np.where(
            best > 0,
            self.log_likelihood(n, a, np.maximum(best, 0.0), at_a),
            self.log_likelihood(n, a, 0.0, self.best_theta(n, a, 0.0)),
        )
        tested = self.log_likelihood(n, a, self.mu, self.best_theta(n, a, self.mu))
        return np.where(best >= self.mu, 0.0, np.maximum(2 * (free - tested), 0.0))

    def cls(self, n: float, a: float) -> float:
        """CLs of one outcome: ratio of the probabilities of a q at least as large."""
        reached = self.q >= self.q_tilde(np.array(n), np.array(a))
        tails = []
        for mu in (self.mu, 0.0):
            theta = float(self.best_theta(np.array(n), np.array(a), mu))
            cells = np.diff(norm.cdf(self.edges, theta, self.sigma))
            tails.append(float(poisson.pmf(self.n[:, 0], self.background + theta + mu) @ (reached @ cells)))
        return tails[0] / tails[1]


def exact_cls_coverage(background: float, sigma: float, mu: float) -> float:
    """Coverage of the limit that CLs has with infinitely many toys.

    For each count the signal is excluded where the auxiliary measurement is above a value, found by bisection.
    """
    model = FewEvents(background, sigma, mu)
    covered = 0.0
    for n in np.arange(poisson.isf(1e-6, background + mu) + 1):
        low, high = -6.0 * sigma, 6.0 * sigma
        for _ in range(12):
            middle = (low + high) / 2
            low, high = (low, middle) if model.cls(n, middle) < LEVEL else (middle, high)
        covered += poisson.pmf(n, background + mu) * norm.cdf((low + high) / 2, scale=sigma)
    return float(covered)


def exact_curve(point: Point, signal_events: float) -> Point:
    """{"exact_cls": coverage} for a counting experiment with few background events; empty otherwise."""
    if point["model"] != "counting" or point["background"] > FEW:
        return {}
    if signal_events == 0:
        return {"exact_cls": 1.0}
    return {"exact_cls": exact_cls_coverage(point["background"], point["background_error"], signal_events)}


def workspace(point: Point) -> dict[str, Any]:
    """Write the background-only expectation."""
    if point["model"] == "counting":
        counting = Counting(None, point["background"], point["background_error"])
        return counting_workspace(counting, channel="window", measurement="study")
    x = np.arange(12.0)
    background = np.exp(-x / 5)
    background *= point["background"] / background.sum()
    jacobian = np.stack([background * (x / 6 - 1) ** k for k in range(3)], axis=1)
    covariance = jacobian @ np.linalg.inv(jacobian.T @ (jacobian / background[:, None])) @ jacobian.T
    shape = Shape(None, background, covariance, np.exp(-0.5 * ((x - 5) / 1.2) ** 2), likelihood="gaussian")
    return shape_workspace(shape, channel="window", measurement="study").workspace


def p_values(likelihood: Likelihood, data: Array, mu: float, calculator: str) -> Array:
    """(n_toys, 2): CLs+b and CLb of the true signal strength."""
    if calculator == "asymptotics":
        logs = asymptotic_p_values(*roots(likelihood, fit_reference(likelihood, data), np.full(len(data), mu)))
        return np.exp(np.column_stack(logs))
    model = counting_model(likelihood)
    assert model is not None
    events = mu * likelihood.events
    return np.array(
        [
            counting_p_values(dataclasses.replace(model, n=float(n), auxiliary=float(a) * model.sigma), events)
            for n, a in data
        ]
    )


def measure(point: Point) -> Point:
    """Draw pseudo-experiments and test the signal that is true."""
    spec = workspace(point)
    likelihood = Likelihood(spec)
    limit = upper_limit(spec, blinded=True)
    error = likelihood.mu_error(likelihood.start, likelihood.expected(likelihood.start[None])[0])
    mu = point["signal"] * error
    truth = likelihood.start.copy()
    truth[likelihood.poi] = mu
    seed = np.random.SeedSequence([POINTS.index(point)])
    data = likelihood.draw(truth, np.random.default_rng(seed).random((point["n_toys"], len(likelihood.data))))
    found: Point = {"signal_events": mu * likelihood.events, "calculator": limit.calculator}
    found |= exact_curve(point, mu * likelihood.events)
    if mu == 0:  # no limit is below zero
        return found | {"cls_plus_b": None, "cls": 1.0, "gaussian_cls": 1.0}
    p = p_values(likelihood, data, mu, limit.calculator)
    return found | {
        "cls_plus_b": float((p[:, 0] >= LEVEL).mean()),
        "cls": float((p[:, 0] >= LEVEL * p[:, 1]).mean()),
        "gaussian_cls": gaussian_cls_coverage(point["signal"]),
    }


@study(minutes=20.0)
def main(budget: Budget) -> None:
    """Run the study and print the coverages in per cent."""
    for point in run(NAME, POINTS, measure, budget):
        error = "" if point["background_error"] is None else f" +- {point['background_error']:g}"
        shown = "   -" if point["cls_plus_b"] is None else f"{100 * point['cls_plus_b']:5.1f}"
        click.echo(
            f"{point['model']:9s} b = {point['background']:g}{error}, signal {point['signal']:g} sigma, "
            f"{point['calculator']}: CLs+b {shown}, CLs {100 * point['cls']:5.1f} "
            f"(Gaussian {100 * point['gaussian_cls']:5.1f}"
            + (f", exact {100 * point['exact_cls']:5.1f})" if "exact_cls" in point else ")")
        )


if __name__ == "__main__":
    main()
