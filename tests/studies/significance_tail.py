"""Are p-values right at five standard deviations? Sideband toys times exact Poisson tails, for both likelihoods.

Each toy of the sidebands of a truth without signal is fitted by the default procedure, choice of the order included.
The smallest count with at least a significance z follows from its estimate, and the Poisson probability of that count
or more is summed exactly. Sidebands that fluctuate down, which make most of the tail, are drawn on purpose and
weighted. The average over the toys, divided by the nominal p-value, is one if z is right.

The truths are those of `fit_calibration`.
"""

from __future__ import annotations

from typing import Any

import click
import numpy as np
from scipy import stats

from analysis.background import estimate_many, function_family
from analysis.background.likelihood import make_design, solve
from analysis.background.order import supported
from analysis.search.sideband_toys import direction_of, draw_sidebands, least_count
from analysis.statistics import LIKELIHOODS
from tests.builders.toy_tables import SQRT_S
from tests.studies.fit_calibration import EDGES, FAMILY, MARGIN, TRUTHS, WINDOWS, expectation
from tests.studies.runner import Budget, Point, run, study

NAME = "significance_tail"
EXPECTED = (10, 30, 100, 300, 1_000, 3_000)
"""Events expected in the window."""
Z = (1.645, 2.326, 3.0, 4.0, 5.0)
_FURTHEST = 5.0  # standard deviations


def measure(point: Point) -> Point:
    """Ratios of the true to the nominal p-value in one cell."""
    low, high = point["window"]
    inside = (EDGES[:-1] >= low) & (EDGES[1:] <= high)
    mask = (low - MARGIN, high + MARGIN)
    beside = (EDGES[1:] <= mask[0]) | (EDGES[:-1] >= mask[1])
    truth = expectation(point["shape"], 1.0)
    truth *= point["expected"] / truth[inside].sum()
    rates = truth[beside]
    ones = np.ones_like(rates)
    family = function_family(FAMILY)
    order = supported(family, np.array([np.count_nonzero(rates > 0.5)]), np.array([rates.sum()]))[0]
    fitted = make_design(family[order], EDGES[:-1][beside], EDGES[1:][beside], SQRT_S)
    target = make_design(family[order], np.array([low]), np.array([high]), SQRT_S, fitted.transform)
    null = solve(rates[None], fitted, ones[None]).coefficients
    direction = direction_of(fitted, target, null, ones)
    seed = [list(TRUTHS).index(point["shape"]), int(low), point["expected"]]
    toys, weights = draw_sidebands(rates, direction, _FURTHEST, point["toys"], np.random.default_rng(seed))
    counts = np.zeros((len(toys), len(truth)))
    counts[:, beside] = toys
    many = estimate_many(counts, EDGES, mask=mask, windows=[(low, high)], functions=FAMILY, sqrt_s_gev=SQRT_S)
    usable = many.valid & (many.value[:, 0] > 0)
    found: dict[str, Any] = {"fits": int(usable.sum())}
    for likelihood in LIKELIHOODS:
        b, error = many.value[usable, 0], many.error(likelihood)[usable, 0]
        tails = [
            stats.poisson.sf(np.ceil(least_count(b, error, z, likelihood) - 1e-9) - 1, point["expected"]) for z in Z
        ]
        ratios = [weights[usable] * tail / stats.norm.sf(z) for tail, z in zip(tails, Z, strict=True)]
        found[likelihood] = [
            [round(float(r.sum() / len(toys)), 4), round(float(r.std() / len(r) ** 0.5), 4)] for r in ratios
        ]
    return found


@study(minutes=30.0)
@click.option("--toys", type=int, default=7000, show_default=True)
def main(budget: Budget, toys: int) -> None:
    """Run the study and print one line per cell and likelihood."""
    points = [
        {"shape": shape, "window": list(window), "expected": expected, "toys": toys}
        for shape in TRUTHS
        for window in WINDOWS[:3]
        for expected in EXPECTED
    ]
    for point in run(NAME, points, measure, budget):
        for likelihood in LIKELIHOODS:
            cells = "  ".join(f"{ratio:5.2f} ± {error:.2f}" for ratio, error in point[likelihood])
            click.echo(f"{point['shape']:9} {point['window'][0]:.0f} {point['expected']:5d}  {likelihood:8}  {cells}")


if __name__ == "__main__":
    main()
