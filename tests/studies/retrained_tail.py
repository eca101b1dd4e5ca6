"""How often is the calibrated z without signal beyond 3 and 4 standard deviations? Exact nulls, trained anew.

Plain searches of pseudo-data would need a hundred thousand of them. Multilevel splitting with a fixed effort (subset
simulation: S.-K. Au, J. L. Beck, Probabilistic Engineering Mechanics 16 (2001) 263) goes there in steps: of the
pseudo-data whose z is beyond one threshold, how many are beyond the next? Those beyond a threshold are spread by a
Markov chain that leaves their distribution alone: a part of the events is replaced by new ones, and the result is
accepted if its z, after training anew, is still beyond the threshold. A Poisson process of which every event is kept
with a given probability and to which the missing expectation is added is the same process again, and the step is
reversible, so that with thresholds set beforehand the product of the fractions is unbiased.

A point is one run of all steps; runs are independent, and their spread is the error. Calibrations come from the points
of `retrained_null` with seed 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from analysis.calibration.coupling import Coupling, coupled_variance, labels_of, template_masses
from analysis.calibration.nulls import NullEvents
from analysis.events.table import EventTable
from analysis.search.values import SearchData
from analysis.search.window import WindowTask, search_window
from tests.studies import retrained_null
from tests.studies.retrained_null import cells, prepared, varied
from tests.studies.runner import Budget, Point, load, run, study
from tests.studies.shipped_couplings import measured

NAME = "retrained_tail"

N_WINDOW = 3000
SEED = 2
LEVELS = (0.1, 0.02, 0.004, 1.35e-3, 2e-4, 3.17e-5)
"""Nominal p-values of the thresholds."""
KEPT = (0.98, 0.9, 0.7)
"""Fractions of the events that a step may keep, one of them at random."""


STATES = 100
"""Pseudo-datasets of each threshold."""


def points(preset: str, selection: str, runs: int, **learning: Any) -> list[Point]:
    """List the runs of one setting."""
    common = {"preset": preset, "learning": learning, "selection": selection, "states": STATES}
    return [{**common, "run": number} for number in range(runs)]


SHIPPED = ("sa-cwola-2021", "best", "demo", "atlas-2025")
RUNS = 40

POINTS = [
    *points("demo", "eff_0.1", 12, n_members=1),
    *(one for turn in zip(*(points(preset, "eff_0.1", RUNS) for preset in SHIPPED), strict=True) for one in turn),
    *points("demo", "eff_0.01", 12, n_members=1),
    *points("demo", "eff_0.1", RUNS, n_members=1)[12:],
    *points("atlas-2020", "eff_0.1", 12),
]
"""The presets as shipped take turns, so that a shorter study has as many runs of each."""


@cache
def couplings(preset: str, changed: str) -> dict[str, Coupling]:
    """Couplings that the study of exact nulls measured with seed 0."""
    return measured(cells(load(retrained_null.NAME))[preset, N_WINDOW, changed, 0])


@dataclass(frozen=True)
class State:
    """Pseudo-data and their calibrated z."""

    data: SearchData
    z: float


@dataclass
class Chain:
    """Draws and changes pseudo-data; each search has the same random numbers of the training.

    Attributes
    ----------
    task : WindowTask
    nulls : NullEvents
    selection : str
    coupling : Coupling
    rng : numpy.random.Generator
    """

    task: WindowTask
    nulls: NullEvents
    selection: str
    coupling: Coupling
    rng: np.random.Generator

    def _drawn(self, expected: float) -> SearchData:
        number = int(self.rng.integers(2**62))
        return replace(self.nulls, expected=expected).draw(self.task.config.random_state, number)

    def _searched(self, data: SearchData) -> State:
        window, edges = self.task.window, self.task.edges
        simulated = template_masses(self.task.folds[0].method, data.simulation)
        result = search_window(self.task, data, tests=False)
        selection = next((one for one in result.selections if one.name == self.selection), None)
        null = None
        if selection is not None:
            labels = labels_of(window, data.table.mjj, simulated)
            variance = coupled_variance(selection, labels, window, edges)
            null = None if variance is None else self.coupling.null(variance)
        if selection is None or null is None:
            return State(data, -np.inf)
        return State(data, selection.counting.effective(selection.weight).z / null.width)

    def start(self) -> State:
        """Search fresh pseudo-data."""
        return self._searched(self._drawn(self.nulls.expected))

    def step(self, state: State, threshold: float) -> tuple[State, bool]:
        """Replace a part of the events, and take the result if it is still beyond the threshold."""
        kept, data = KEPT[int(self.rng.integers(len(KEPT)))], state.data
        table = data.table.select(self.rng.random(len(data.table)) < kept)
        added = self._drawn((1 - kept) * self.nulls.expected)
        simulation = data.simulation
        if simulation is not None and added.simulation is not None:
            old = self.rng.random(len(simulation)) < kept
            simulation = simulation.replaced({"mjj": np.where(old, simulation.mjj, added.simulation.mjj)})
        proposed = self._searched(SearchData(EventTable.joined([table, added.table]), simulation=simulation))
        return (proposed, True) if proposed.z >= threshold else (state, False)


def measure(point: Point) -> Point:
    """Run all steps once; the fraction beyond each threshold of those beyond the one before."""
    task, nulls = prepared({**point, "n_window": N_WINDOW, "seed": SEED})
    coupling = couplings(point["preset"], varied(point))[point["selection"]]
    chain = Chain(task, nulls, point["selection"], coupling, np.random.default_rng([SEED, point["run"]]))
    states = [chain.start() for _ in range(point["states"])]
    thresholds = norm.isf(LEVELS)
    fractions, accepted = [], []
    for index, threshold in enumerate(thresholds):
        beyond = [state for state in states if state.z >= threshold]
        fractions.append(len(beyond) / len(states))
        if not beyond or index == len(thresholds) - 1:
            break
        states, moved = spread(chain, beyond, threshold, point["states"])
        accepted.append(round(moved, 3))
    return {"fractions": fractions + [0.0] * (len(LEVELS) - len(fractions)), "accepted": accepted}


def spread(chain: Chain, beyond: Sequence[State], threshold: float, number: int) -> tuple[list[State], float]:
    """Continue the chain of every state in turn until there are `number` states; and the fraction of accepted steps."""
    states, moved = list(beyond), []
    last = list(beyond)
    while len(states) < number:
        index = len(moved) % len(last)
        last[index], accepted = chain.step(last[index], threshold)
        states.append(last[index])
        moved.append(accepted)
    return states, float(np.mean(moved))


def probabilities(finished: Sequence[Point]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probability beyond each threshold and its error, (n_levels,) each, from independent runs of one setting."""
    products = np.array([np.cumprod(point["fractions"]) for point in finished])
    return products.mean(axis=0), products.std(axis=0, ddof=1) / np.sqrt(len(products))


def settings(finished: Sequence[Point]) -> dict[tuple[str, str, str], list[Point]]:
    """Group the runs by preset, settings that are varied, and selection."""
    found: dict[tuple[str, str, str], list[Point]] = {}
    for point in finished:
        found.setdefault((point["preset"], varied(point), point["selection"]), []).append(point)
    return found


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print empirical over calculated p-values."""
    for (preset, changed, selection), runs in settings(run(NAME, POINTS, measure, budget)).items():
        if len(runs) < 2:
            continue
        click.echo(f"{preset}, {changed or 'as shipped'}, {selection}, {len(runs)} runs")
        for level, p, error in zip(LEVELS, *probabilities(runs), strict=True):
            click.echo(f"  p {level:.3g}: {p / level:.2f} +- {error / level:.2f}")


if __name__ == "__main__":
    main()
