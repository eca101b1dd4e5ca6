"""CWoLa, learning from label proportions and full supervision on two Gaussians, against the fractions of the samples.

Signal and background are round unit Gaussians at (0.5, 0.5) and (-0.5, -0.5): no classifier has an area above Φ(1) =
0.841. Two samples of 50,000 events each have fractions f and 1 - f of signal. CWoLa is told which sample an event is
of, label proportions that and both fractions, right or wrong, and supervision the truth. All have the same trees, and
are measured on 100,000 events of their own.
"""

from __future__ import annotations

import click
import numpy as np
from numpy.typing import NDArray

from analysis.config import ClassifierConfig
from analysis.learning import BoostedTrees, TrainingSet
from analysis.learning.label_proportions import LabelProportions
from analysis.learning.metrics import roc_curve
from tests.studies.runner import Budget, Point, run, study

NAME = "label_proportions"

FRACTIONS = (0.55, 0.6, 0.7, 0.8, 0.9, 1.0)
MISTOLD, WRONG = 0.7, (0.6, 0.9)
"""True fraction of signal, and the ones that label proportions are told in its place."""

EVENTS, TESTED, N_MEMBERS = 50_000, 100_000, 5
MORE, MORE_FRACTION = 4 * EVENTS, 0.55
"""Events of a sample with which 0.55 has the information of `EVENTS` at 0.6, as it scales with (2 f - 1)^2."""
CENTRE = 0.5


def features(is_signal: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.float32]:
    """(n_events, 2) float32: features of signal and background."""
    centre = np.where(is_signal, CENTRE, -CENTRE)[:, None]
    return (rng.normal(size=(len(is_signal), 2)) + centre).astype(np.float32)


def measure(point: Point) -> Point:
    """Train one learner on one draw."""
    rng = np.random.default_rng([point["draw"], round(100 * point["fraction"])])
    sample = np.repeat([1, 0], point.get("events", EVENTS))
    is_signal = rng.random(len(sample)) < np.where(sample == 1, point["fraction"], 1 - point["fraction"])
    X = features(is_signal, rng)
    label = is_signal.astype(int) if point["learner"] == "supervised" else sample
    training = TrainingSet.build(X, label, np.ones(len(X)), np.arange(len(X), dtype=np.uint64))
    trees = BoostedTrees(ClassifierConfig(), N_MEMBERS)
    if point["learner"] == "label proportions":
        told = point["told"]
        trees = LabelProportions(ClassifierConfig(), N_MEMBERS, fractions=(1 - told, told))
    model = trees.fit(training, random_state=np.random.SeedSequence(point["draw"]))
    tested = np.arange(TESTED) % 2 == 0
    score = model.predict(features(tested, rng)).mean(axis=1, dtype=np.float64)
    return {"auc": round(roc_curve(score[tested], score[~tested]).auc, 4)}


@study(minutes=10.0)
@click.option("--draws", type=int, default=3, show_default=True)
def main(budget: Budget, draws: int) -> None:
    """Run the study."""
    cells = [("supervised", f, f) for f in FRACTIONS] + [("CWoLa", f, f) for f in FRACTIONS]
    cells += [("label proportions", f, f) for f in FRACTIONS]
    cells += [("label proportions", MISTOLD, told) for told in WRONG]
    points = [
        {"learner": learner, "fraction": fraction, "told": told, "draw": draw}
        for draw in range(draws)
        for learner, fraction, told in cells
    ]
    points += [
        {"learner": learner, "fraction": MORE_FRACTION, "told": MORE_FRACTION, "draw": draw, "events": MORE}
        for draw in range(draws)
        for learner in ("CWoLa", "label proportions")
    ]
    finished = run(NAME, points, measure, budget)
    for learner, fraction, told in cells:
        found = areas(finished, learner, fraction, told)
        click.echo(f"{learner:18} {fraction:5} {told:5}: {np.mean(found):.4f} ± {np.std(found):.4f} ({len(found)})")


def areas(points: list[Point], learner: str, fraction: float, told: float, events: int = EVENTS) -> list[float]:
    """Areas of all draws of one cell."""
    wanted = (learner, fraction, told, events)
    return [p["auc"] for p in points if (p["learner"], p["fraction"], p["told"], p.get("events", EVENTS)) == wanted]


if __name__ == "__main__":
    main()
