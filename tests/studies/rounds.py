"""How many rounds? Early stopping of single members, against choices that a whole ensemble makes, and a fixed number.

The samples, signal draws and measures of `tests.studies.sensitivity`, with the trees of `best`. Entrants:

- `fixed`: the 30 rounds of the preset;
- `early-stopping`: each member stops when the weighted log loss of a quarter of its training events has not improved
  for 10 rounds;
- `log-loss`, `argos`: 5 to 90 rounds, chosen by `analysis.learning.TunedTrees` on four inner folds, three members each;
- `argos-grid`: depth and `min_child_weight` as well.

All of them train at most 90 rounds. A point tells the significance improvement and how many rounds were trained.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import click
import numpy as np
import xgboost as xgb

from analysis.compute import Serial
from analysis.config import ClassifierConfig, TuningConfig, load_config
from analysis.diagnostics.gains import separations
from analysis.learning import BoostedTrees, FittedEnsemble, FoldTask, Learner, TrainingSet, TunedTrees
from analysis.learning.metrics import band
from analysis.methods import get_method
from tests.studies.runner import Budget, Point, run, study
from tests.studies.sensitivity import BEST, EPS_B, MAIN, OTHERS, inject, window_of

NAME = "rounds"
MOST = 90.0
ROUNDS = (5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, MOST)
GRID = {"n_estimators": ROUNDS, "max_depth": (3.0, 6.0), "min_child_weight": (5.0, 50.0)}
FIXED = "fixed"
ENTRANTS = (FIXED, "early-stopping", "log-loss", "argos", "argos-grid")
CELLS = ((MAIN, 0.5), (MAIN, 1.0), (MAIN, 2.2), (OTHERS[0], 1.0))
DRAWS = range(300, 306)
"""None of the draws with which the preset was chosen, or that the sensitivity study quotes."""

POINTS = [
    {"entrant": entrant, "signal": signal, "strength": strength, "draw": draw}
    for draw, (signal, strength), entrant in product(DRAWS, CELLS, ENTRANTS)
]


@dataclass(frozen=True)
class Watched:
    """A learner that keeps the number of rounds of every member that it trains, and its CPU seconds."""

    learner: Learner
    rounds: list[int]
    seconds: list[float]

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> Any:
        start = time.process_time()
        model = self.learner.fit(training, random_state=random_state)
        self.seconds.append(time.process_time() - start)
        assert isinstance(model, FittedEnsemble)
        for document in model.members:
            booster = xgb.Booster()
            booster.load_model(bytearray(document))
            self.rounds.append(booster.num_boosted_rounds())
        return model


def learner_of(entrant: str, trees: ClassifierConfig, n_members: int) -> Learner:
    """Return what an entrant trains with."""
    if entrant == FIXED:
        return BoostedTrees(trees, n_members)
    if entrant == "early-stopping":
        update = {"n_estimators": int(MOST), "early_stopping_rounds": 10}
        return BoostedTrees(trees.model_copy(update=update), n_members)
    grid = GRID if entrant == "argos-grid" else {"n_estimators": ROUNDS}
    tuning = TuningConfig.model_validate({"criterion": entrant.removesuffix("-grid"), "grid": grid})
    return TunedTrees(BoostedTrees(trees, n_members), tuning)


def measure(point: Point) -> Point:
    """Cross-fit one draw and measure it."""
    learning = load_config(preset=BEST).learning
    watched = Watched(learner_of(point["entrant"], learning.classifier, learning.n_members), [], [])
    task = FoldTask(
        window=window_of(point["signal"]),
        fold=0,
        n_folds=learning.n_folds,
        features=learning.features,
        method=get_method("cwola"),
        learner=watched,
        random_state=1000 + point["draw"],
    )
    benchmark = inject(point["signal"], point["strength"], point["draw"])
    roc = separations([task], benchmark, Serial())[0].signal
    return {
        **{f"sic_{eps:g}": round(roc.sic(eps), 4) for eps in EPS_B},
        "rounds": watched.rounds,
        "cpu_fits": round(sum(watched.seconds), 2),
    }


def summary(finished: Sequence[Point], entrant: str, cell: tuple[str, float]) -> str:
    """Median SIC, paired log ratio to the fixed rounds, and rounds: median and central 68 %."""
    points = {
        name: {p["draw"]: p for p in finished if (p["entrant"], p["signal"], p["strength"]) == (name, *cell)}
        for name in (entrant, FIXED)
    }
    draws = sorted(points[entrant].keys() & points[FIXED].keys())
    parts = []
    for eps in EPS_B:
        ours, fixed = (np.array([points[name][draw][f"sic_{eps:g}"] for draw in draws]) for name in (entrant, FIXED))
        ratio = np.log(np.maximum(ours, 0.01) / fixed)
        error = ratio.std(ddof=1) / len(draws) ** 0.5 if len(draws) > 1 else np.nan
        parts.append(f"SIC({eps:g}) {np.median(ours):5.2f}, log ratio {ratio.mean():+.3f} +- {error:.3f}")
    rounds = band(np.concatenate([points[entrant][draw]["rounds"] for draw in draws]))
    cpu = np.median([points[entrant][draw]["cpu_fits"] for draw in draws])
    parts.append(
        f"rounds {rounds.median:.0f} [{rounds.low:.0f}, {rounds.high:.0f}]  CPU {cpu:.1f} s, {len(draws)} draws"
    )
    return "  ".join(parts)


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print what the draws have in common."""
    finished = run(NAME, POINTS, measure, budget)
    for cell, entrant in product(CELLS, ENTRANTS):
        if any((p["entrant"], p["signal"], p["strength"]) == (entrant, *cell) for p in finished):
            click.echo(f"{cell[0]} S/sqrt(B) {cell[1]:<4g} {entrant:15s} {summary(finished, entrant, cell)}")


if __name__ == "__main__":
    main()
