"""Is a p-value what it says, down to 3e-7, with every way to fit the background, whatever the spectrum is? No training.

Sidebands are drawn from a truth, some of them low on purpose and weighted (`analysis.search.sideband_toys`), and fitted
as the search does it; the tail of the count in the window is summed exactly. A cell gives true over nominal p-values,
mean and width of z, coverage of the estimate with its error, bias and error of the estimate, and how often the fit is
marked as bad.

Strategies: "events" fits a spectrum alone, "transfer-factor" a selection together with the events that fail it. Truths:
functions of the family and a mixture that describe simulated QCD; sums of power laws, a trigger that is 99 % efficient
at the lower end, a kink at 4 TeV (a change of the spectral index by 0.5 and by 1.5), an odd curvature of 10 %, and the
spectrum of a million simulated QCD events. The log of the ratio of passing to failing events is a line in ln m with the
slope that classifiers show on those events, or curved as much as they may be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from analysis.background import FUNCTIONS, function_family
from analysis.background.functions import MassFunction, times_ratio
from analysis.background.likelihood import make_design, solve
from analysis.background.many import estimate_many
from analysis.background.order import ratio_order, supported
from analysis.search.sideband_toys import direction_of, draw_sidebands, least_count
from analysis.statistics import counting_z
from tests.builders.toy_tables import SQRT_S
from tests.studies.fit_calibration import EDGES, FAMILY, MARGIN, SHAPES, WINDOWS
from tests.studies.runner import Budget, Point, run, study

Array = NDArray[np.float64]

NAME = "p_values"
EXPECTED = (3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000)
"""Events expected in the window."""
NOMINAL = (0.05, 1e-2, 1.35e-3, 3.2e-5, 2.9e-7)
_FURTHEST = 5.0  # standard deviations

_MASS = np.arange(3000.5, 6500.0)
_LOG = np.log(_MASS / 4000.0)

PYTHIA = (7.51942, -3.76872, -0.33894, -0.03117, -0.01604)
"""Chebyshev series of the log density of a million simulated QCD events on -1 ... 1 in ln m: see `smoothed_pythia`."""


def _function(name: str) -> Array:
    terms = zip(SHAPES[name], FUNCTIONS[name].terms, strict=True)
    return np.asarray(sum(p * term(_MASS / SQRT_S) for p, term in terms))


def _mixture() -> Array:
    densities = [np.exp(_function(name) - special.logsumexp(_function(name))) for name in SHAPES]
    return np.log(np.mean(densities, axis=0))


def _unit(mass: Array) -> Array:
    low, high = np.log(EDGES[[0, -1]])
    return np.asarray(2.0 * (np.log(mass) - low) / (high - low) - 1.0)


def _kink(change: float) -> Array:
    return _function("dijet3") - change * np.maximum(_LOG, 0.0)


TRUTHS: Mapping[str, Callable[[], Array]] = {
    "dijet3": lambda: _function("dijet3"),
    "dijet4": lambda: _function("dijet4"),
    "dijet5": lambda: _function("dijet5"),
    "mixture": _mixture,
    "power laws, hard": lambda: np.logaddexp(-14.0 * _LOG, np.log(0.15) - 7.0 * _LOG),
    "power laws, soft": lambda: np.logaddexp(-11.0 * _LOG, np.log(0.3) - 8.0 * _LOG),
    "trigger": lambda: _function("dijet3") + np.log(special.ndtr((_MASS - 3000.0) / 100.0 + 2.326)),
    "kink 0.5": lambda: _kink(0.5),
    "kink 1.5": lambda: _kink(1.5),
    "odd": lambda: _function("dijet3") + 0.1 * (4.0 * _unit(_MASS) ** 3 - 3.0 * _unit(_MASS)),
    "pythia": lambda: np.polynomial.chebyshev.chebval(_unit(_MASS), PYTHIA),
}
"""Log density at the centres of 1 GeV."""
IN_FAMILY = ("dijet3", "dijet4", "dijet5", "mixture")

RATIOS = {"line": (1.0, 0.0), "bent": (1.0, -0.3)}
"""First and second coefficient of the log of the pass/fail ratio in powers of ln(m / 4 TeV)."""


def expected_counts(truth: str) -> Array:
    """(35,) float64: expected events in each bin, of one event."""
    log_density = TRUTHS[truth]()
    density = np.exp(log_density - log_density.max()).reshape(len(EDGES) - 1, 100).sum(axis=1)
    return np.asarray(density / density.sum())


@cache
def smoothed_pythia() -> tuple[float, ...]:
    """Fit a series of five terms to the spectrum of all simulated QCD events; it made `PYTHIA`.

    Its χ² is 42.9 for 30 degrees of freedom; a sixth term gains 0.7, and all further ones follow the fluctuations.
    """
    from tests.studies.pythia import every_qcd_event

    counts = np.histogram(every_qcd_event(EDGES[0], EDGES[-1]).mjj, EDGES)[0]
    centre = _unit((EDGES[1:] + EDGES[:-1]) / 2.0)
    series = np.polynomial.chebyshev.chebfit(centre, np.log(counts), 4, w=np.sqrt(counts))
    return tuple(round(float(one), 5) for one in series)


def measure(point: Point) -> Point:
    """Ratios of true to nominal p-values in one cell, and what goes with them."""
    low, high = point["window"]
    inside = (EDGES[:-1] >= low) & (EDGES[1:] <= high)
    mask = (low - MARGIN, high + MARGIN)
    beside = (EDGES[1:] <= mask[0]) | (EDGES[:-1] >= mask[1])
    rates, rest, b = expected_spectra(point, inside)
    observed = rates[beside] if rest is None else np.concatenate([rest[beside], rates[beside]])
    toys, weights = _draw(point, observed, beside, b)
    counts = np.zeros((len(toys), len(EDGES) - 1))
    counts[:, beside] = toys[:, -beside.sum() :]
    failing = None
    if rest is not None:
        failing = np.zeros_like(counts)
        failing[:, beside] = toys[:, : beside.sum()]
    many = estimate_many(
        counts, EDGES, mask=mask, windows=[(low, high)], functions=FAMILY, sqrt_s_gev=SQRT_S, rest=failing
    )
    usable = many.valid & (many.value[:, 0] > 0) & np.isfinite(many.error()[:, 0])
    value, error, weight = many.value[usable, 0], many.error()[usable, 0], weights[usable] / len(toys)
    found: dict[str, Any] = {"invalid": _rounded(1.0 - float(weight.sum()))}
    ratios = []
    for p in NOMINAL:
        least = least_count(value, error, float(stats.norm.isf(p)), "profile")
        tail = weights[usable] * stats.poisson.sf(np.ceil(least - 1e-9) - 1, b) / p
        ratios.append([_rounded(float(tail.sum() / len(toys))), _rounded(float(tail.std() / len(tail) ** 0.5))])
    total = np.sqrt(value + error**2)
    n = np.random.default_rng(1).poisson(b, len(value)).astype(float)
    z = counting_z(n, value, error)
    mean = float(np.average(z, weights=weight))
    down = value * -np.expm1(-np.log1p(error / value))
    covered = (b <= value + error) & (b >= value - down)
    return found | {
        "ratios": ratios,
        "z_mean": _rounded(mean),
        "z_width": _rounded(float(np.sqrt(np.average((z - mean) ** 2, weights=weight)))),
        "coverage": _rounded(float(np.average(covered, weights=weight))),
        "bias": _rounded(float(np.average((b - value) / total, weights=weight))),
        "error": _rounded(float(np.average(error / value, weights=weight))),
    }


def expected_spectra(point: Point, inside: NDArray[np.bool_]) -> tuple[Array, Array | None, float]:
    """Expected passing and failing events in each bin, and passing events in the window."""
    shape = expected_counts(point["truth"])
    if point["strategy"] == "events":
        return shape * point["expected"] / shape[inside].sum(), None, float(point["expected"])
    slope, curvature = RATIOS[point["ratio"]]
    at = np.log((EDGES[1:] + EDGES[:-1]) / 2.0 / 4000.0)
    passing = shape * np.exp(slope * at + curvature * at**2)
    passing *= point["expected"] / passing[inside].sum()
    failing = shape * point["expected"] * (1.0 / point["fraction"] - 1.0) / shape[inside].sum()
    return passing, failing, float(point["expected"])


def _draw(point: Point, observed: Array, beside: NDArray[np.bool_], b: float) -> tuple[Array, Array]:
    """Sidebands, some of them low, and their weights; the direction is that of the function that most toys have."""
    low, high = point["window"]
    bins = EDGES[:-1][beside], EDGES[1:][beside]
    failing = None
    function = _usual(observed[: beside.sum()], None)
    if point["strategy"] != "events":
        function = _usual(observed[: beside.sum()], observed[beside.sum() :])
        failing = np.repeat([True, False], beside.sum())
        bins = np.tile(bins[0], 2), np.tile(bins[1], 2)
    ones = np.ones_like(observed)
    fitted = make_design(function, *bins, SQRT_S, rest=failing)
    target = make_design(function, np.array([low]), np.array([high]), SQRT_S, fitted.transform)
    null = solve(observed[None], fitted, ones[None]).coefficients
    seed = [list(TRUTHS).index(point["truth"]), int(low), point["expected"], int(1e4 * point["fraction"])]
    rng = np.random.default_rng(seed)
    return draw_sidebands(observed, direction_of(fitted, target, null, ones), _FURTHEST, point["toys"], rng)


def _usual(shape: Array, passing: Array | None) -> MassFunction:
    family = function_family(FAMILY)
    order = supported(family, np.array([np.count_nonzero(shape > 0.5)]), np.array([shape.sum()]))[0]
    if passing is None:
        return family[order]
    return times_ratio(family[order], int(ratio_order(np.array([passing.sum()]))[0]))


def _rounded(value: float) -> float:
    return round(value, 4)


POINTS = [
    {"strategy": strategy, "fraction": fraction, "ratio": ratio, "truth": truth, "window": list(window), "expected": b}
    for truth in TRUTHS
    for strategy, fraction, ratio in (
        ("events", 1.0, "line"),
        ("transfer-factor", 0.01, "line"),
        ("transfer-factor", 0.1, "line"),
        ("transfer-factor", 0.01, "bent"),
    )
    for window in WINDOWS[:3]
    for b in EXPECTED
]


@study(minutes=45.0)
@click.option("--toys", type=int, default=4000, show_default=True)
def main(budget: Budget, toys: int) -> None:
    """Run the study and print one line per cell."""
    for point in run(NAME, [{**one, "toys": toys} for one in POINTS], measure, budget):
        cells = "  ".join(f"{ratio:6.2f} ± {error:.2f}" for ratio, error in point["ratios"])
        where = f"{point['truth']:16} {point['strategy']:15} {point['fraction']:4g} {point['ratio']:4}"
        rest = f"bias {point['bias']:+.2f} error {point['error']:.3f}"
        click.echo(f"{where} {point['window'][0]:.0f} {point['expected']:5d}  {cells}  {rest}")


if __name__ == "__main__":
    main()
