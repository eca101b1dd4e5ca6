"""Are p-values uniform where there is no signal? 7 truths x 5 sizes x 4 windows, by fitting toys, twice.

The truths are five functions fitted to the Pythia QCD sample (52k events in 3.0-6.5 TeV, |dy| < 1.2), which describes
them all equally well: what one cannot tell apart is what the procedure must be right for. `dijet5` is halfway, in the
logarithm, between its own fit and that of `dijet4`. Two more were fitted to it after the rule of "events" had been
chosen, and no choice was made on them, nor on the second set of toys, `repeat` 1. Spectra of 600 events, a sixth size,
are the hard case: with the first window masked about 300 are left, from which the function has a parameter more.

z is the closed form of Eq. 2.6 of arXiv:2009.02205 for the count in a window against the background of the sideband
fit, with its upward error for an excess and its downward error for a deficit: the Gaussian likelihood. The profile
likelihood, and the far tail of both, are in `significance_tail`. Where the fit expects fewer than 10
events, and so flags itself, the p-value is `p0_averaged`.

Procedures: "events" is the default of `choose_order`; "likelihood-ratio" is what was the default before, with the
symmetric error of the maximum-likelihood fit. Promised for "events" wherever a window expects 10 events: KS
p > 0.01 / 25 and a fraction 0.04-0.06 of p < 0.05; below, no more than 0.05 (within 3 standard errors).
"""

from __future__ import annotations

from collections.abc import Iterator

import click
import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.background import CALIBRATED_FROM, FUNCTIONS, choose_order, estimate_many
from analysis.errors import FitError
from analysis.statistics.counting import averaged_p0
from analysis.statistics.counting_models import GaussianCounting
from tests.builders.toy_tables import SQRT_S
from tests.studies.runner import Budget, Point, run, study

Array = NDArray[np.float64]

NAME = "fit_calibration"

SHAPES: dict[str, tuple[float, ...]] = {
    "dijet3": (12.42, 3.16),
    "dijet4": (13.63, 1.66, -0.40),
    "dijet5": (43.77, -64.345, -34.91, -6.895),
    "exp3": (-30.16, 2.61),
    "ua2": (5.39, -4.83, 25.12),
}
HELD_OUT: dict[str, tuple[float, ...]] = {
    "exp4": (-48.67, 61.836, -61.613),
    "power-exp": (0.595, 26.562, 0.0),
}
"""Fitted to the same sample; `power-exp` is x^(-p1) exp(-p2 x), `ua2` without its last term."""

TRUTHS = SHAPES | HELD_OUT
REPEATS = (0, 1)
SIZES = (20, 300, 5_000, 100_000, 1_000_000)
AT_THE_STEP = 600
FAMILY = ("dijet3", "dijet4", "dijet5")
EDGES = np.arange(3000.0, 6501.0, 100.0)
WINDOWS = ((3300.0, 3700.0), (3900.0, 4300.0), (4700.0, 5100.0), (5400.0, 5800.0))
MARGIN = 100.0


def expectation(shape: str, n_events: float) -> Array:
    """(35,) float64: expected events per bin, from a fine midpoint sum of the formula."""
    mass = np.arange(3000.5, 6500.0)
    terms = FUNCTIONS["ua2" if shape == "power-exp" else shape].terms
    log_density = sum(p * term(mass / SQRT_S) for p, term in zip(TRUTHS[shape], terms, strict=True))
    density = np.exp(log_density - np.max(log_density)).reshape(len(EDGES) - 1, 100).sum(axis=1)
    expected: Array = n_events * density / density.sum()
    return expected


def signed_root(n: Array, b: Array, up: Array, down: Array) -> Array:
    """Signed z of n against b + theta, theta Gaussian; the profiled theta is a root of a quadratic."""
    error = np.maximum(np.where(n > b, up, down), 1e-9)
    slope = b + error**2
    theta = (np.sqrt(slope**2 - 4 * error**2 * (b - n)) - slope) / 2
    mu = np.maximum(b + theta, 1e-12)
    log_ratio = np.where(n > 0, np.log(np.maximum(n, 1) / mu), 0.0)
    q = 2 * (mu - n + n * log_ratio) + (theta / error) ** 2
    root: Array = np.sign(n - b) * np.sqrt(np.maximum(q, 0.0))
    return root


def conservative(n: Array, b: Array, up: Array) -> Array:
    """`p0_averaged` of every toy, as `discovery` gives it for the workspace of the window."""
    rows = np.stack([n, np.zeros_like(n), b, up], axis=1).tolist()
    return np.array([averaged_p0(GaussianCounting(*row)) for row in rows])


def by_events(counts: Array, window: tuple[float, float], mask: tuple[float, float]) -> Array:
    """(n_fits, 4) float64: row of the toy, background, errors up and down, from the default procedure."""
    many = estimate_many(counts, EDGES, mask=mask, windows=[window], functions=FAMILY, sqrt_s_gev=SQRT_S)
    rows = np.flatnonzero(many.valid)
    return np.stack([rows, many.value[rows, 0], many.up[rows, 0], many.down[rows, 0]], axis=1)


def by_likelihood_ratio(counts: Array, window: tuple[float, float], mask: tuple[float, float]) -> Array:
    """Return the same from the likelihood-ratio test with alpha = 0.05 and the plain maximum-likelihood fit."""
    return np.array(list(_likelihood_ratio_rows(counts, window, mask)))


def _likelihood_ratio_rows(
    counts: Array, window: tuple[float, float], mask: tuple[float, float]
) -> Iterator[tuple[float, float, float, float]]:
    options = {"mask": mask, "functions": FAMILY, "alpha": 0.05, "sqrt_s_gev": SQRT_S}
    for row, spectrum in enumerate(counts):
        try:
            fit = choose_order(spectrum, EDGES, strategy="likelihood-ratio", **options)
        except FitError:
            continue
        value, covariance = fit.expected(np.array(window))
        error = float(np.sqrt(covariance[0, 0]))
        yield row, float(value[0]), error, error


PROCEDURES = {"events": by_events, "likelihood-ratio": by_likelihood_ratio}


def measure(point: Point) -> Point:
    """Fit the toys of one cell in every window."""
    truth = expectation(point["shape"], point["events"])
    seed = [list(TRUTHS).index(point["shape"]), point["events"], point["repeat"]]
    counts = np.random.default_rng(seed).poisson(truth, (point["toys"], len(truth))).astype(float)
    return {"windows": [_window(point["procedure"], counts, truth, window) for window in WINDOWS]}


def _window(procedure: str, counts: Array, truth: Array, window: tuple[float, float]) -> Point:
    inside = (EDGES[:-1] >= window[0]) & (EDGES[1:] <= window[1])
    expected = float(truth[inside].sum())
    found = PROCEDURES[procedure](counts, window, (window[0] - MARGIN, window[1] + MARGIN))
    rows, b, up, down = found[:, 0].astype(int), found[:, 1], found[:, 2], found[:, 3]
    n = counts[rows][:, inside].sum(axis=1)
    z = signed_root(n, b, up, down)
    p_values, few = stats.norm.sf(z), b < CALIBRATED_FROM
    p_values[few] = conservative(n[few], b[few], up[few])
    tail = float((p_values < 0.05).mean())
    ks = float(stats.kstest(p_values, "uniform").pvalue)
    if expected >= CALIBRATED_FROM:
        kept = ks > 0.01 / 25 and 0.04 <= tail <= 0.06
    else:
        kept = tail < 0.05 + 3 * np.sqrt(0.05 * 0.95 / len(z))
    return {
        "window": list(window),
        "expected": round(expected, 3),
        "fits": len(z),
        "z_mean": round(float(z.mean()), 4),
        "z_width": round(float(z.std()), 4),
        "below_0.05": round(tail, 4),
        "ks_p": ks,
        "flagged": round(float((b < CALIBRATED_FROM).mean()), 4),
        "median_error": round(float(np.median(up)), 4),
        "kept": bool(kept),
    }


@study(minutes=20.0)
@click.option("--toys", type=int, default=5000, show_default=True)
@click.option("--procedure", type=click.Choice(list(PROCEDURES)), default="events", show_default=True)
def main(budget: Budget, toys: int, procedure: str) -> None:
    """Run the study and print one line per cell and window."""
    points = [
        {"procedure": procedure, "shape": shape, "events": size, "toys": toys, "repeat": repeat}
        for repeat in REPEATS
        for size in (*SIZES, AT_THE_STEP)
        for shape in TRUTHS
    ]
    finished = [point for point in run(NAME, points, measure, budget) if point["procedure"] == procedure]
    for point in finished:
        for cell in point["windows"]:
            click.echo(
                f"{procedure} {point['shape']:9} {point['events']:8d} toys {point['repeat']} {cell['window'][0]:.0f} "
                f"expects {cell['expected']:10.1f}  z {cell['z_mean']:6.3f} +- {cell['z_width']:.3f}  "
                f"p<0.05 {cell['below_0.05']:.4f}  KS p {cell['ks_p']:.2g}  flagged {cell['flagged']:.3f}  "
                f"b error {cell['median_error']:.4g}  {'' if cell['kept'] else 'NOT KEPT'}"
            )
    for held_out, name in ((False, "shapes of the rule"), (True, "held-out shapes")):
        for repeat in REPEATS:
            chosen = [
                point for point in finished if (point["shape"] in HELD_OUT) == held_out and point["repeat"] == repeat
            ]
            at_the_step = [point for point in chosen if point["events"] == AT_THE_STEP]
            _print_kept(f"{name}, toys {repeat}", [point for point in chosen if point not in at_the_step])
            _print_kept(f"{name}, toys {repeat}, {AT_THE_STEP} events", at_the_step)


def _print_kept(name: str, points: list[Point]) -> None:
    for few, what in ((False, "expecting 10 events"), (True, "expecting fewer")):
        kept = [c["kept"] for point in points for c in point["windows"] if (c["expected"] < CALIBRATED_FROM) == few]
        click.echo(f"{name}: {sum(kept)} of {len(kept)} cells {what} as promised.")


if __name__ == "__main__":
    main()
