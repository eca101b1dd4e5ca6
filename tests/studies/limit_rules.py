"""Do limits cover where the classifier is trained anew for every injected strength? The whole procedure, small.

Pseudo-experiments are synthetic, so that every one has events of its own: 20 000 background events above 3 TeV that
fall as the dijet function, two features that know nothing of m_jj, and a Gaussian peak at 3.5 TeV whose features are
shifted. Each is searched with 5 folds of one member, with 4 injected strengths and none, 2 samplings each, and is given
limits by all rules. A limit covers if it is not below the true strength. Strengths are numbers of signal events.

Beside the rules stand two limits at fixed efficiency: with that of the strongest injection, which is the naive limit,
and with that of the classifiers of the search itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from analysis.config import SearchConfig, load_config
from analysis.events.identity import event_hash
from analysis.events.table import EventTable
from analysis.limits import RuleLimit, apply_rule, candidates, naive_selection
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import InjectedSelection, Injection, InjectionResult
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.signals.yields import SignalSample
from tests.builders.toy_tables import dijet_masses, table_of
from tests.studies.runner import Budget, Point, run, study

NAME = "limit_rules"

N_BACKGROUND = 20_000
SIZE_OF_POOL = 4_000
MASS, WIDTH, SHIFT, SPREAD = 3500.0, 80.0, 1.5, 0.7
STRENGTHS = (20.0, 40.0, 80.0, 160.0)
SAMPLINGS = 2
TRUE = (40.0, 80.0, 120.0)

POINTS = [{"true": true, "draw": draw} for draw in range(300) for true in TRUE]


def signal_events(n_events: int, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Masses (n_events,), GeV, and features (n_events, 2) of the signal."""
    return rng.normal(MASS, WIDTH, n_events), rng.normal(SHIFT, SPREAD, (n_events, 2))


@cache
def sample() -> SignalSample:
    """Simulated signal: what is injected, and what measures the efficiency."""
    mjj, X = signal_events(SIZE_OF_POOL, np.random.default_rng(77))
    table = table_of(mjj, X, event_id=event_hash(99, 1, np.arange(SIZE_OF_POOL)))
    return SignalSample("toy", (), {"nominal": table}, None, None, None, False, ())


def pseudo_experiment(true: float, draw: int) -> EventTable:
    """Background and a Poisson number of signal events."""
    rng = np.random.default_rng([draw, round(true)])
    mjj, X = signal_events(int(rng.poisson(true)), rng)
    masses = np.concatenate([dijet_masses(N_BACKGROUND, rng), mjj])
    return table_of(masses, np.concatenate([rng.normal(0, 1, (N_BACKGROUND, 2)), X]))


def configuration(draw: int) -> SearchConfig:
    """Search of one pseudo-experiment."""
    overrides = {
        "random_state": draw,
        "learning": {
            "features": ["x0", "x1"],
            "n_folds": 5,
            "n_members": 1,
            "efficiencies": [0.05, 0.01],
            "classifier": {"max_depth": 4, "min_child_weight": 20.0},
        },
        "scan": {"windows": [[3300.0, 3700.0]]},
    }
    return load_config(preset="best", overrides=overrides)


def measure(point: Point) -> Point:
    """Set the limits on one pseudo-experiment, by all rules."""
    config = configuration(point["draw"])
    data = InjectionData(SearchData(pseudo_experiment(point["true"], point["draw"])), {"toy": sample()}, config)
    (window,) = RegionScan.from_config(config.scan).windows
    learning = config.learning
    results = [
        inject(Injection("toy", window, strength, sampling, learning.method, learning.features), data)
        for strength in (0.0, *STRENGTHS)
        for sampling in range(SAMPLINGS)
    ]
    return {"limits": summary(results)}


def summary(results: Sequence[InjectionResult]) -> dict[str, Any]:
    """Observed and expected limits by rule, and at fixed efficiency."""
    found = candidates(results)
    limits: dict[str, Any] = {}
    for rule in ("atlas-2020", "atlas-2025"):
        limit = apply_rule(rule, [one.scan for one in found])
        limits[rule] = _limit(limit) | {"selection": found[limit.scan].selection, "strength": limit.strength}
    limits["inclusive"] = _limit(apply_rule("atlas-2020", [found[0].scan]))
    naive = [one for one in map(naive_selection, found[1:]) if one is not None]
    own = [one.found[0.0][0] for one in found]
    limits["fixed-efficiency"] = _best(naive)
    limits["own classifiers"] = _best([one for one in own if one is not None and one.expected])
    return limits


def _limit(limit: RuleLimit) -> dict[str, Any]:
    return {"observed": _rounded(limit.observed), "expected": [_rounded(value) for value in limit.expected]}


def _best(selections: list[InjectedSelection]) -> dict[str, Any]:
    best = min(selections, key=lambda one: one.expected[2])
    return {"observed": _rounded(best.observed), "expected": [_rounded(value) for value in best.expected]}


def _rounded(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 2)


@dataclass(frozen=True)
class Coverage:
    """How often the limits of one rule cover, and where they lie; strengths are numbers of signal events."""

    n: int
    covered: float
    error: float
    observed: float
    expected: float


def coverage(finished: Sequence[Point], true: float, rule: str) -> Coverage:
    """Fraction of the limits that are not below the true strength, with its error, and median limits."""
    chosen = [point["limits"][rule] for point in finished if point["true"] == true]
    observed = np.array([one["observed"] or np.inf for one in chosen])
    expected = np.array([one["expected"][2] or np.inf for one in chosen])
    covered = float((observed >= true).mean())
    error = max(covered * (1 - covered), 1 / len(chosen)) ** 0.5 / len(chosen) ** 0.5
    return Coverage(len(chosen), covered, error, float(np.median(observed)), float(np.median(expected)))


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print the coverage of every rule at every true strength."""
    finished = run(NAME, POINTS, measure, budget)
    for true in TRUE:
        chosen = [point for point in finished if point["true"] == true]
        for rule in chosen[0]["limits"] if chosen else ():
            found = coverage(chosen, true, rule)
            click.echo(
                f"true {true:g}, {rule}: covers {100 * found.covered:.1f} +- {100 * found.error:.1f} % of {found.n}, "
                f"median observed {found.observed:.0f}, expected {found.expected:.0f}"
            )


if __name__ == "__main__":
    main()
