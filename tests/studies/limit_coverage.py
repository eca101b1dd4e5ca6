"""How often upper limits cover the true signal: CLs+b at the nominal rate, CLs as the exact Gaussian curve.

Truth: pseudo-experiments with the count, or the spectrum, and the auxiliary measurements drawn around a true background
and a true signal of 0 to 3 standard deviations. A limit covers where the true signal is not excluded, so each
pseudo-experiment needs one test, of the signal that is true. Calculators are those that `upper_limit` chooses.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.statistics import Counting, Shape, counting_workspace, shape_workspace, upper_limit
from analysis.statistics.asymptotics import asymptotic_p_values, fit_reference, roots
from analysis.statistics.counting import counting_model, counting_p_values
from analysis.statistics.likelihood import Likelihood
from tests.studies.runner import Point, run

NAME = "limit_coverage"

LEVEL = 0.05
N_TOYS = 5000

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
    shape = Shape(None, background, covariance, np.exp(-0.5 * ((x - 5) / 1.2) ** 2))
    return shape_workspace(shape, channel="window", measurement="study").workspace


def p_values(likelihood: Likelihood, data: NDArray[np.float64], mu: float, calculator: str) -> NDArray[np.float64]:
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
    if mu == 0:  # no limit is below zero
        return found | {"cls_plus_b": None, "cls": 1.0, "gaussian_cls": 1.0}
    p = p_values(likelihood, data, mu, limit.calculator)
    return found | {
        "cls_plus_b": float((p[:, 0] >= LEVEL).mean()),
        "cls": float((p[:, 0] >= LEVEL * p[:, 1]).mean()),
        "gaussian_cls": gaussian_cls_coverage(point["signal"]),
    }


@click.command()
@click.option("--max-minutes", type=float, default=20.0, show_default=True)
def main(max_minutes: float) -> None:
    """Run the study and print the coverages in per cent."""
    for point in run(NAME, POINTS, measure, max_minutes):
        error = "" if point["background_error"] is None else f" +- {point['background_error']:g}"
        shown = "   -" if point["cls_plus_b"] is None else f"{100 * point['cls_plus_b']:5.1f}"
        click.echo(
            f"{point['model']:9s} b = {point['background']:g}{error}, signal {point['signal']:g} sigma, "
            f"{point['calculator']}: CLs+b {shown}, CLs {100 * point['cls']:5.1f} "
            f"(Gaussian {100 * point['gaussian_cls']:5.1f})"
        )


if __name__ == "__main__":
    main()
