"""Milliseconds of a sideband fit with the choice of its order, and of the same minimum with iminuit.

Quote ratios within one run: machines are noisy. The promise is less than 20 ms for a fit with choice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
from iminuit import Minuit

from analysis.background import (
    FUNCTIONS,
    STRATEGIES,
    TRANSFER_FACTOR,
    choose_order,
    estimate_many,
    fit_background,
    goodness_of_fit,
    with_function_error,
)
from analysis.background.bins import sidebands
from analysis.background.likelihood import deviance_of, gradient_of, integrals, make_design
from tests.builders.toy_tables import SQRT_S, dijet_density

WINDOW = (3300.0, 3700.0)
MASK = (3200.0, 3800.0)
FAMILY = ("dijet3", "dijet4", "dijet5")


def milliseconds(function: Callable[[], Any], repeats: int = 20) -> float:
    """Median over repeats of the CPU time of a call, in ms."""
    function()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        seconds.append(time.process_time() - start)
    return 1e3 * float(np.median(seconds))


def with_iminuit(counts: np.ndarray, edges: np.ndarray, hessian: bool) -> None:
    """Fit `dijet5` as `fit_background` does, by iminuit with gradient and, optionally, Hessian."""
    data = sidebands(counts, edges, mask=MASK)
    design = make_design(FUNCTIONS["dijet5"], data.low, data.high, SQRT_S)
    scale = data.scale[None]

    def deviance(c: np.ndarray) -> float:
        return float(deviance_of(data.observed[None], integrals(design, c[None])[0], scale)[0])

    def gradient(c: np.ndarray) -> np.ndarray:
        return gradient_of(data.observed[None], *integrals(design, c[None]), scale)[0]

    def second(c: np.ndarray) -> np.ndarray:
        expected, jacobian = integrals(design, c[None])
        return 2 * (jacobian[0] / expected[0][:, None]).T @ jacobian[0]

    start = np.zeros(5)
    start[0] = np.log(data.observed.sum() / (data.high - data.low).sum())
    minuit = Minuit(deviance, start, grad=gradient, **({"hessian": second} if hessian else {}))
    minuit.errordef = Minuit.LEAST_SQUARES
    minuit.migrad()
    minuit.hesse()


def measure(n_bins: int, n_events: int) -> dict[str, float]:
    """Milliseconds of each task on a spectrum of that size."""
    rng = np.random.default_rng(0)
    edges = np.linspace(3000.0, 6500.0, n_bins + 1)
    density = dijet_density((edges[1:] + edges[:-1]) / 2, 9.0, 5.0)
    spectra = rng.poisson(n_events * density / density.sum(), (1000, n_bins)).astype(float)
    counts, options = spectra[0], {"mask": MASK, "sqrt_s_gev": SQRT_S}

    selected = rng.binomial(spectra.astype(int), 0.02 if n_events > 5000 else 0.3).astype(float)

    def choose(strategy: str) -> Any:
        chosen = {"functions": FAMILY, "alpha": 0.05, "strategy": strategy, **options}
        if strategy == TRANSFER_FACTOR:
            return choose_order(selected[0], edges, rest=(counts - selected[0], None), **chosen)
        return choose_order(counts, edges, **chosen)

    fit = fit_background(counts, edges, FUNCTIONS["dijet5"], **options)
    of_all = with_function_error(fit, WINDOW)
    batch = {"windows": [WINDOW], "functions": FAMILY, **options}
    return {
        "dijet5 alone": milliseconds(lambda: fit_background(counts, edges, FUNCTIONS["dijet5"], **options)),
        "dijet5 alone, iminuit with gradient": milliseconds(lambda: with_iminuit(counts, edges, False)),
        "dijet5 alone, iminuit with gradient and Hessian": milliseconds(lambda: with_iminuit(counts, edges, True)),
        **{
            f"choice by {name}, with estimate and error": milliseconds(lambda name=name: choose(name).estimate(*WINDOW))
            for name in STRATEGIES
        },
        "all events as the search fits them, with the error of the function": milliseconds(
            lambda: with_function_error(choose("events"), WINDOW).estimate(*WINDOW)
        ),
        "a selection as the search fits it, with the error of the function": milliseconds(
            lambda: with_function_error(choose(TRANSFER_FACTOR), WINDOW, of_all=of_all).estimate(*WINDOW)
        ),
        f"goodness of fit by {goodness_of_fit(fit).method}": milliseconds(lambda: goodness_of_fit(fit), 5),
        "one of 1000 chosen at once": milliseconds(lambda: estimate_many(spectra, edges, **batch), 3) / len(spectra),
        "one of 1000 with the events that fail": milliseconds(
            lambda: estimate_many(selected, edges, rest=spectra - selected, **batch), 3
        )
        / len(spectra),
    }


@click.command()
def main() -> None:
    """Measure and print."""
    for n_bins, n_events in ((35, 300), (35, 50_000), (60, 1_000_000)):
        click.echo(f"{n_bins} bins, {n_events} events")
        for task, taken in measure(n_bins, n_events).items():
            click.echo(f"  {task}: {taken:.3f} ms")


if __name__ == "__main__":
    main()
