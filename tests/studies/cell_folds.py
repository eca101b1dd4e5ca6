"""Are p-values exact where folds do not train one another? Cells as features, cut and counted; nothing is fitted.

A toy that shows the effect of the folds alone, at its worst: 3,000 events in 100 cells that say nothing about the
window, a classifier that is the fraction of window events in each cell, a cut at 5 %. For a fixed classifier the count
of the window among the events that pass is binomial; p-values are randomised between its steps, so that they are
uniform if they are right.
"""

from __future__ import annotations

from collections.abc import Sequence

import click
import numpy as np
from scipy.stats import binom

from tests.studies.runner import Budget, Point, load, run, study

NAME = "cell_folds"

KFOLD, HALF, SEQUENTIAL = "kfold", "half", "sequential"
SCHEMES = ((KFOLD, 5), (HALF, 2), (SEQUENTIAL, 5), (SEQUENTIAL, 10))
LEVELS = (0.05, 0.01, 1.35e-3, 1e-4)
N_BATCHES, N_TOYS = 10, 4000

N_EVENTS, N_CELLS, EFFICIENCY, IN_WINDOW, PRIOR = 3000, 100, 0.05, 0.3, 5.0

POINTS = [
    {"scheme": scheme, "n_folds": n_folds, "batch": batch} for batch in range(N_BATCHES) for scheme, n_folds in SCHEMES
]


def counts(scheme: str, n_folds: int, rng: np.random.Generator) -> tuple[int, int]:
    """Count the passing events of one pseudo-experiment: in the window, and all; of two halves those of the first."""
    cell, fold = rng.integers(0, N_CELLS, N_EVENTS), rng.integers(0, n_folds, N_EVENTS)
    window, tie = rng.random(N_EVENTS) < IN_WINDOW, rng.random(N_EVENTS)
    tested = {KFOLD: n_folds, HALF: 1, SEQUENTIAL: n_folds - 1}[scheme]
    inside = everything = 0
    for k in range(tested):
        trains = fold > k if scheme == SEQUENTIAL else fold != k
        of_window, of_all = (np.bincount(cell[rows], minlength=N_CELLS) for rows in (trains & window, trains))
        rows = np.flatnonzero(fold == k)
        score = ((of_window + PRIOR * IN_WINDOW) / (of_all + PRIOR))[cell[rows]]
        kept = rows[np.lexsort((tie[rows], score))[::-1][: round(EFFICIENCY * len(rows))]]
        inside, everything = inside + int(window[kept].sum()), everything + len(kept)
    return inside, everything


def measure(point: Point) -> Point:
    """Count the pseudo-experiments of a batch with a p-value below each level."""
    scheme, n_folds = point["scheme"], point["n_folds"]
    rng = np.random.default_rng([point["batch"], SCHEMES.index((scheme, n_folds))])
    n, total = np.array([counts(scheme, n_folds, rng) for _ in range(N_TOYS)]).T
    p = binom.sf(n, total, IN_WINDOW) + rng.random(N_TOYS) * binom.pmf(n, total, IN_WINDOW)
    return {"below": [int((p < level).sum()) for level in LEVELS], "toys": N_TOYS}


def ratios(points: Sequence[Point], scheme: str, n_folds: int) -> list[tuple[float, float]]:
    """Return the frequency of p-values below each level, over the level, with the error of the frequency."""
    chosen = [one for one in points if (one["scheme"], one["n_folds"]) == (scheme, n_folds)]
    below, toys = np.sum([one["below"] for one in chosen], axis=0), sum(one["toys"] for one in chosen)
    expected = [toys * level for level in LEVELS]
    return [(float(n / e), float(max(n, e) ** 0.5 / e)) for n, e in zip(below, expected, strict=True)]


@study(minutes=10.0)
def main(budget: Budget) -> None:
    """Run the study and print frequencies over p-values."""
    run(NAME, POINTS, measure, budget)
    for scheme, n_folds in SCHEMES:
        shown = zip(LEVELS, ratios(load(NAME), scheme, n_folds), strict=True)
        click.echo(f"{scheme}, {n_folds}: " + ", ".join(f"{p:g}: {r:.2f} +- {e:.2f}" for p, (r, e) in shown))


if __name__ == "__main__":
    main()
