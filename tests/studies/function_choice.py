"""Does the bias of the function, measured on each spectrum, make p-values right, also where the function is wrong?

Toys of the sidebands of a truth without signal are fitted, by the default procedure or by dijet3 alone. The bias of the
function against the default alternatives is added to the error in quadrature, in the logarithm. As in
`significance_tail`, the smallest count with at least a significance z follows from each toy, and the Poisson
probability of that count or more is summed exactly. The average over nominal is one if z is right. Next to it: the bias
of the procedure without fluctuations, and the shifts by distortions that the sidebands cannot exclude, in standard
deviations.

Truths: three of the family, as in `fit_calibration`, and the following. `two-powers`: 15 % at 4 TeV of
(m)^-7 added to m^-14. `turn-on`: dijet3 times a trigger that is 99 % efficient at 3 TeV, of width 100 GeV. `kink`: the
index of dijet3 changes by 1.5 at 4 TeV. `odd`: dijet3 distorted by 10 % as the third Chebyshev polynomial of ln m.
"""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from analysis.background import FUNCTIONS, BackgroundFit, Sidebands, function_bias, hidden_shifts
from analysis.background.likelihood import make_design, solve
from analysis.background.order import STRATEGIES
from analysis.errors import FitError
from analysis.search.sideband_toys import direction_of, draw_sidebands, least_count
from tests.builders.toy_tables import SQRT_S
from tests.studies.fit_calibration import EDGES, FAMILY, MARGIN, TRUTHS, WINDOWS, expectation
from tests.studies.runner import Budget, Point, run, study

Array = NDArray[np.float64]

NAME = "function_choice"
EXPECTED = (10, 100, 1_000, 8_000, 30_000)
"""Events expected in the window."""
STIFF = ("dijet3", "dijet4", "two-powers", "odd")
STIFF_EXPECTED = (1_000, 8_000)
"""Truths and events of the fits with dijet3 alone."""
Z = (1.645, 2.326, 3.0, 4.0, 5.0)
_FURTHEST = 5.0  # standard deviations
OTHER_TRUTHS = ("two-powers", "turn-on", "kink", "odd")
MASS = np.arange(EDGES[0] + 0.5, EDGES[-1])


def distorted(shape: str) -> Array:
    """(n_bins,): contents of a truth outside the family, of any sum."""
    log_m = np.log(MASS / 4000.0)
    if shape == "two-powers":
        log_density = np.logaddexp(-14.0 * log_m, np.log(0.15) - 7.0 * log_m)
    else:
        log_density = FUNCTIONS["dijet3"].basis(MASS / SQRT_S)[..., 1:] @ np.array(TRUTHS["dijet3"])
    if shape == "turn-on":
        log_density += special.log_ndtr((MASS - 3000.0) / 100.0 + stats.norm.ppf(0.99))
    if shape == "kink":
        log_density -= 1.5 * np.maximum(log_m, 0.0)
    if shape == "odd":
        at = 2.0 * np.log(MASS / EDGES[0]) / np.log(EDGES[-1] / EDGES[0]) - 1.0
        log_density += 0.1 * (4.0 * at**3 - 3.0 * at)
    contents: Array = np.exp(log_density - log_density.max()).reshape(len(EDGES) - 1, -1).sum(axis=1)
    return contents


def measure(point: Point) -> Point:
    """Ratios of the true to the nominal p-value in one cell, without and with the bias of the function."""
    low, high = window = (point["window"][0], point["window"][1])
    inside = (EDGES[:-1] >= low) & (EDGES[1:] <= high)
    mask = (low - MARGIN, high + MARGIN)
    beside = (EDGES[1:] <= mask[0]) | (EDGES[:-1] >= mask[1])
    truth = distorted(point["shape"]) if point["shape"] in OTHER_TRUTHS else expectation(point["shape"], 1.0)
    truth *= point["expected"] / truth[inside].sum()
    rates, b = truth[beside], float(point["expected"])
    family = tuple(FUNCTIONS[name] for name in point["functions"])

    def fitted(counts: Array) -> BackgroundFit:
        data = Sidebands(EDGES[:-1][beside], EDGES[1:][beside], counts, np.ones(len(counts)), (mask,))
        return STRATEGIES["events"](data, family, 0.05, SQRT_S)

    smooth = fitted(rates)
    value, covariance = smooth.expected(np.array(window))
    design = make_design(smooth.function, EDGES[:-1][beside], EDGES[1:][beside], SQRT_S)
    target = make_design(smooth.function, np.array([low]), np.array([high]), SQRT_S, design.transform)
    null = solve(rates[None], design, np.ones((1, len(rates)))).coefficients
    direction = direction_of(design, target, null, np.ones(len(rates)))
    seed = [len(point["shape"]), int(low), point["expected"]]
    toys, weights = draw_sidebands(rates, direction, _FURTHEST, point["toys"], np.random.default_rng(seed))
    found = np.full((3, len(toys)), np.nan)
    for k, toy in enumerate(toys):
        try:
            fit = fitted(toy)
        except FitError:
            continue
        estimate = fit.estimate(low, high)
        found[:, k] = estimate.value, estimate.log_error, function_bias(fit, window).value
    usable = np.isfinite(found).all(axis=0)
    background, log_error, bias = found[:, usable]
    result: dict[str, Any] = {
        "function": smooth.function.name,
        "fits": int(usable.sum()),
        "bias": round(float((b - value[0]) / np.sqrt(b + covariance[0, 0])), 3),
        "hidden": {name: round(shift, 3) for name, shift in hidden_shifts(smooth, window).items()},
    }
    for name, error in (("without", log_error), ("with", np.hypot(log_error, bias / background))):
        up = background * np.expm1(error)
        counts = [least_count(background, up, z, "profile") for z in Z]
        tails = [stats.poisson.sf(np.ceil(count - 1e-9) - 1, b) for count in counts]
        ratios = [weights[usable] * tail / stats.norm.sf(z) for tail, z in zip(tails, Z, strict=True)]
        result[name] = [
            [round(float(r.sum() / len(toys)), 3), round(float(r.std() / len(r) ** 0.5), 3)] for r in ratios
        ]
    return result


@study(minutes=30.0)
@click.option("--toys", type=int, default=1000, show_default=True)
def main(budget: Budget, toys: int) -> None:
    """Run the study and print two lines per cell."""
    points = [
        {"functions": list(functions), "shape": shape, "window": list(window), "expected": expected, "toys": toys}
        for functions, shapes, numbers in (
            (FAMILY, (*FAMILY, *OTHER_TRUTHS), EXPECTED),
            (("dijet3",), STIFF, STIFF_EXPECTED),
        )
        for shape in shapes
        for window in WINDOWS[:3]
        for expected in numbers
    ]
    for point in run(NAME, points, measure, budget):
        hidden = " ".join(f"{name} {shift:.2f}" for name, shift in point["hidden"].items())
        where = f"{'/'.join(point['functions']):20} {point['shape']:10} {point['window'][0]:.0f} {point['expected']:5d}"
        for name in ("without", "with"):
            cells = "  ".join(f"{ratio:5.2f} ± {error:.2f}" for ratio, error in point[name])
            click.echo(f"{where} {name:8} {cells}   bias {point['bias']:+.2f} {hidden}")


if __name__ == "__main__":
    main()
