"""When does CWoLa fail in the shift test? The odds of the drift against those of the signal.

With f the signal per background event in the window and g beside it, r(x) the density of signal over background in the
window and d(x) the density of background in the window over the sidebands, CWoLa orders by

    d (1 + f r) / (1 + g r d).

d comes from CWoLa on shifted data without signal, r from a supervised classifier that knows half of the simulated
signal; both are cross-fitted trees as in `tests.studies.shift_test`. SIC(0.5) of this order is the expectation, for any
f, of a classifier that learns both: signal comes out first where f r exceeds what the drift alone gives background.
"""

from __future__ import annotations

from dataclasses import replace

import click
import numpy as np
from numpy.typing import NDArray

from analysis.events.table import EventTable
from analysis.learning import FoldTask, Samples, run_fold
from analysis.learning.metrics import mean_roc, roc_curve
from analysis.methods import CWoLa, Supervised
from tests.studies.runner import Budget, Point, run, study
from tests.studies.shift_test import LEARNERS, N_FOLDS, NAMES, SIGNAL, events, inject, shifted, window

NAME = "shift_odds"
STRENGTHS = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 1e6)
QUANTILES = (0.05, 0.5, 0.95, 0.99)

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def log_odds(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n_events,) float64: mean over the members."""
    clipped = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped)).mean(axis=1)


def measure(point: Point) -> Point:
    """Odds of one draw and what follows from them."""
    where = window(point["sideband"])
    tables = {name: shifted(table, point["shift"]) for name, table in events().items()}
    qcd, signal = tables["data"], tables["signal"]
    n_window = int(where.in_signal(qcd.mjj).sum())
    n_signal = int(where.in_signal(signal.mjj).sum())
    mixture, held_out = inject(tables, where, point["draw"], 0.5 * n_signal / n_window**0.5)
    beside = [int((where.in_lower(t.mjj) | where.in_upper(t.mjj)).sum()) for t in (signal, qcd)]
    # g over f
    leakage = beside[0] / n_signal * n_window / beside[1]
    drift = FoldTask(where, 0, N_FOLDS, NAMES, CWoLa(), LEARNERS["trees"], 100 + point["draw"])
    truth = replace(drift, method=Supervised())
    pairs = []
    for fold in range(N_FOLDS):
        d = pair(replace(drift, fold=fold), Samples(qcd), held_out)
        r = pair(replace(truth, fold=fold), Samples(mixture, None, (SIGNAL,)), held_out)
        pairs.append((d, r))
    found = [np.concatenate([p[i][j] for p in pairs]) for i in (0, 1) for j in (0, 1)]
    names = ("drift_background", "drift_signal", "ratio_background", "ratio_signal")
    f = [strength / n_window**0.5 for strength in STRENGTHS]
    return {
        "n_window": n_window,
        "leakage": round(leakage, 4),
        **{
            name: [float(f"{np.exp(q):.4g}") for q in np.quantile(v, QUANTILES)]
            for name, v in zip(names, found, strict=True)
        },
        "expected": {f"{s:g}": round(expected_sic(pairs, x, leakage), 3) for s, x in zip(STRENGTHS, f, strict=True)},
    }


def pair(task: FoldTask, samples: Samples, held_out: EventTable) -> Pair:
    """Log odds of the QCD events of one fold in the window, and of the signal that is held out."""
    result = run_fold(task, samples)
    scored = EventTable(samples.data.table.take(result.rows), samples.data.features)
    background = task.window.in_signal(scored.mjj) & ~scored.in_datasets([SIGNAL])
    # Both samples hold the same QCD events in the same order, so drift and ratio of an event end up side by side.
    order = np.argsort(result.rows[background])
    return log_odds(result.scores[background][order]), log_odds(result.model.predict(held_out.matrix(NAMES)))


def expected_sic(pairs: list[tuple[Pair, Pair]], f: float, leakage: float) -> float:
    """SIC(0.5) of the order that CWoLa has at f signal events per background event."""
    curves = []
    for drift, ratio in pairs:
        background, signal = (
            d + np.log1p(f * np.exp(r)) - np.log1p(f * leakage * np.exp(r + d))
            for d, r in zip(drift, ratio, strict=True)
        )
        curves.append(roc_curve(signal.astype(np.float32), background.astype(np.float32)))
    roc = mean_roc(curves)
    return float(0.5 / max(np.interp(0.5, roc.signal, roc.background), 1e-5) ** 0.5)


@study(minutes=10.0)
@click.option("--draws", type=int, default=3, show_default=True)
def main(budget: Budget, draws: int) -> None:
    """Run the study and print odds and expectation."""
    points = [{"shift": shift, "sideband": 200.0, "draw": draw} for draw in range(draws) for shift in (1.0, 2.0)]
    for p in run(NAME, points, measure, budget):
        click.echo(p)


if __name__ == "__main__":
    main()
