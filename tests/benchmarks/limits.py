"""CPU seconds of limits, against pyhf's own `upper_limit` on the same workspaces.

Quote ratios within one run: machines are noisy.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click
import numpy as np
import pyhf

from analysis.statistics import (
    Counting,
    Shape,
    SignalSystematic,
    counting_workspace,
    discovery,
    shape_workspace,
    upper_limit,
)

REPEATS = 5


def cpu(function: Callable[[], Any], repeats: int = 1) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    start = time.process_time()
    for _ in range(repeats):
        result = function()
    return (time.process_time() - start) / repeats, result


def thirty_bins() -> dict[str, Any]:
    """Write 30 bins with five parameters: three modes of the background fit, a signal systematic and the signal."""
    x = np.arange(30.0)
    background = 1000.0 * np.exp(-x / 6)
    jacobian = np.stack([background * (x / 15 - 1) ** k for k in range(3)], axis=1)
    covariance = jacobian @ np.diag([0.02, 0.03, 0.04]) ** 2 @ jacobian.T
    observed = np.random.default_rng(1).poisson(background).astype(float)
    signal = np.exp(-0.5 * ((x - 12) / 2) ** 2)
    systematics = [SignalSystematic("jms", "normsys", 1.1, 0.92)]
    shape = Shape(observed, background, covariance, signal, signal_systematics=systematics)
    return shape_workspace(shape, channel="window", measurement="search").workspace


def pyhf_limits(spec: dict[str, Any]) -> list[float]:
    """Observed and expected limits of pyhf with its defaults."""
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    loaded = pyhf.Workspace(spec)
    model = loaded.model()
    observed, expected = pyhf.infer.intervals.upper_limits.upper_limit(loaded.data(model), model)
    events = sum(spec["channels"][0]["samples"][0]["data"])
    return [events * float(value) for value in (observed, *expected)]


@click.command()
def main() -> None:
    """Measure and print."""
    specs = {
        f"single bin, {n} on {b} +- {error}": counting_workspace(
            Counting(n, b, error), channel="window", measurement="search"
        )
        for n, b, error in [(115, 100.0, 5.0), (1_010_000, 1e6, 1e4), (12, 5.0, 1.0)]
    }
    specs["30 bins, 5 parameters"] = thirty_bins()
    upper_limit(specs["30 bins, 5 parameters"])  # imports and caches
    for name, spec in specs.items():
        theirs, truth = cpu(lambda spec=spec: pyhf_limits(spec))
        for calculator in ("asymptotics", *(("auto",) if upper_limit(spec).calculator == "toys" else ())):
            ours, result = cpu(lambda spec=spec, c=calculator: upper_limit(spec, calculator=c), REPEATS)
            ratios = np.array([result.observed_events, *result.expected_events]) / truth - 1
            click.echo(
                f"{name}, {result.calculator}: {ours:.3f} s, pyhf {theirs:.2f} s ({theirs / ours:.0f} times); "
                f"largest difference {100 * abs(ratios).max():.2f} %"
            )
        click.echo(f"{name}, discovery: {cpu(lambda spec=spec: discovery(spec), REPEATS)[0]:.3f} s")


if __name__ == "__main__":
    main()
