"""Is an injected signal recovered, net of what the sideband fit absorbs? 5 shapes x 4 sizes x 2 signals x 2 strengths.

The templates are the reconstructed, selected m_jj spectra of the two W' samples of the packaged demo, low tails
included. In every toy the spectrum of background and signal is fitted outside the mask, as `cwola run` does by default,
and the count in the window is tested against b + s_net, where s_net is the yield of
`analysis.signals.template.net_yield` on the Asimov spectrum. The pull is the signed root of the likelihood ratio; its
bias is in units of the total error. Promised: a bias below 0.1 and a width of 0.95 to 1.05.

Points with a fraction are selections of 1 %, which keep 40 % of the signal, fitted together with the events that fail;
their size is that of all events, and the Gaussian signals, of 2 and 5 % of their mass, are at the centre of the window.
"""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from scipy import special

from analysis.background import TRANSFER_FACTOR, choose_order, estimate_many
from analysis.compute import Serial
from analysis.config import load_config
from analysis.demo import DEMO
from analysis.events.datasets import load_datasets
from analysis.events.schema import SEARCH_REGION
from analysis.signals.template import net_yield
from analysis.statistics import counting_z
from processors.runner.run import load_table, process_datasets
from tests.builders.toy_tables import SQRT_S
from tests.studies.fit_calibration import EDGES, FAMILY, SHAPES, expectation, signed_root
from tests.studies.runner import Budget, Point, run, study

Array = NDArray[np.float64]

NAME = "signal_recovery"

SIGNALS = {
    "wprime_3500_500_100": ((3300.0, 3700.0), (3200.0, 3800.0)),
    "wprime_4000_400_200": ((3800.0, 4200.0), (3700.0, 4300.0)),
}
"""Window and mask of each, GeV."""

GAUSSIANS = {"gaussian_2": 0.02, "gaussian_5": 0.05}
"""Standard deviations of Gaussian signals, relative to their mass, at the centre of the first window."""

FRACTION, EFFICIENCY = 0.01, 0.4
"""Of background and signal events that pass a selection."""

SIZES = (300, 5_000, 100_000, 1_000_000)
STRENGTHS = (2.0, 5.0)
"""Signal events in the window over the root of the background there."""


@cache
def templates() -> dict[str, Array]:
    """(35,) float64 each: shape of the selected signal over the fit bins, from the real files and processors."""
    packaged = load_datasets(DEMO / "datasets.json")
    chosen = {name: packaged[name] for name in SIGNALS}
    config = load_config(preset="demo")
    with tempfile.TemporaryDirectory() as folder:
        result = process_datasets(chosen, config, Path(folder), Serial())
        found = {}
        for name, dataset in chosen.items():
            table = load_table(result, {name: dataset}, [name]).in_region(SEARCH_REGION)
            counts = np.histogram(table.mjj, EDGES)[0].astype(np.float64)
            found[name] = counts / counts.sum()
    centre = sum(next(iter(SIGNALS.values()))[0]) / 2.0
    for name, width in GAUSSIANS.items():
        found[name] = np.diff(special.ndtr((EDGES - centre) / (width * centre)))
    return found


def _place(signal: str) -> tuple[tuple[float, float], tuple[float, float]]:
    return SIGNALS.get(signal) or next(iter(SIGNALS.values()))


def together(point: Point) -> Point:
    """Fit passing and failing events of the toys of one cell."""
    window, mask = _place(point["signal"])
    inside = (EDGES[:-1] >= window[0]) & (EDGES[1:] <= window[1])
    everything, template = expectation(point["shape"], point["events"]), templates()[point["signal"]]
    passing, failing = everything * point["fraction"], everything * (1.0 - point["fraction"])
    signal = template * point["strength"] * np.sqrt(passing[inside].sum()) / template[inside].sum()
    lost = signal * (1.0 / EFFICIENCY - 1.0)
    options = {"mask": mask, "functions": FAMILY, "sqrt_s_gev": SQRT_S}
    fit = choose_order(
        passing + signal,
        EDGES,
        alpha=0.05,
        strategy=TRANSFER_FACTOR,
        variances=passing + signal,
        rest=(failing + lost, failing + lost),
        **options,  # type: ignore[arg-type]
    )
    place = {"window": window, "mask": mask, "sqrt_s_gev": SQRT_S, "rest": (failing, lost)}
    net = net_yield(passing, signal, EDGES, fit.function, **place)  # type: ignore[arg-type]
    rng = np.random.default_rng([list(SHAPES).index(point["shape"]), point["events"], int(point["strength"])])
    counts, rest = (
        rng.poisson(expected, (point["toys"], len(expected))).astype(np.float64)
        for expected in (passing + signal, failing + lost)
    )
    many = estimate_many(counts, EDGES, windows=[window], rest=rest, **options)  # type: ignore[arg-type]
    b, error = many.value[many.valid, 0], many.error()[many.valid, 0]
    n = counts[many.valid][:, inside].sum(axis=1)
    pulls = counting_z(n, b + net.net, error)
    return {
        "function": fit.function.name,
        "absorbed": round(net.absorbed_fraction, 4),
        "fits": int(many.valid.sum()),
        "bias": round(float(pulls.mean()), 4),
        "width": round(float(pulls.std()), 4),
        "ratio": round(float((n - b).mean() / net.net), 4),
    }


def measure(point: Point) -> Point:
    """Fit the toys of one cell."""
    if "fraction" in point:
        return together(point)
    template = templates()[point["signal"]]
    window, mask = _place(point["signal"])
    inside = (EDGES[:-1] >= window[0]) & (EDGES[1:] <= window[1])
    background = expectation(point["shape"], point["events"])
    signal = template * point["strength"] * np.sqrt(background[inside].sum()) / template[inside].sum()
    options = {"mask": mask, "functions": FAMILY, "sqrt_s_gev": SQRT_S}
    asimov = background + signal
    function = choose_order(asimov, EDGES, variances=asimov, alpha=0.05, **options).function.name  # type: ignore[arg-type]
    net = net_yield(background, signal, EDGES, function, window=window, mask=mask, sqrt_s_gev=SQRT_S)
    seed = [list(SHAPES).index(point["shape"]), point["events"], int(point["strength"]), int(window[0])]
    counts = np.random.default_rng(seed).poisson(asimov, (point["toys"], len(asimov))).astype(np.float64)
    many = estimate_many(counts, EDGES, windows=[window], **options)  # type: ignore[arg-type]
    valid = many.valid
    b, up, down = many.value[valid, 0], many.up[valid, 0], many.down[valid, 0]
    n = counts[valid][:, inside].sum(axis=1)
    pulls = signed_root(n, b + net.net, up, down)
    return {
        "function": function,
        "absorbed": round(net.absorbed_fraction, 4),
        "fits": int(valid.sum()),
        "bias": round(float(pulls.mean()), 4),
        "width": round(float(pulls.std()), 4),
        "ratio": round(float((n - b).mean() / net.net), 4),
    }


@study(minutes=20.0)
@click.option("--toys", type=int, default=5000, show_default=True)
def main(budget: Budget, toys: int) -> None:
    """Run the study and print one line per cell."""
    points = [
        {"shape": shape, "events": size, "signal": signal, "strength": strength, "toys": toys}
        for size in SIZES
        for shape in SHAPES
        for signal in SIGNALS
        for strength in STRENGTHS
    ]
    points += [
        {"shape": "dijet4", "events": size, "signal": signal, "strength": strength, "fraction": FRACTION, "toys": toys}
        for size in (25_000, 250_000)
        for signal in (*SIGNALS, *GAUSSIANS)
        for strength in STRENGTHS
    ]
    finished = run(NAME, points, measure, budget)
    failed = 0
    for point in finished:
        kept = abs(point["bias"]) < 0.1 and 0.95 < point["width"] < 1.05
        failed += not kept
        click.echo(
            f"{point['shape']:6} {point['events']:8d} {point['signal']} {point['strength']:.0f}: {point['function']} "
            f"absorbs {point['absorbed']:.3f}  pull {point['bias']:+.3f} +- {point['width']:.3f}  "
            f"yield over net {point['ratio']:.3f}  {'' if kept else 'NOT KEPT'}"
        )
    click.echo(f"{len(finished)} cells, {failed} of them not as promised.")


if __name__ == "__main__":
    main()
