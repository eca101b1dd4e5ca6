"""What does each feature add, and which weight of the simulation does SA-CWoLa want? On the samples of `sensitivity`.

`features`: full supervision with one feature alone, with all but one, with all, by trees and features of `best`, at
S / sqrt(B) = 6: as many signal events as leave enough to measure with. `lambda`: SA-CWoLa with simulation of another
tune (qcd_alt), with signal at S / sqrt(B) = 2.2 and without; the area of window against sidebands is that of QCD alone,
and 1/2 where the mass spectrum is not sculpted (arXiv:2009.02205, fig. 5).
"""

from __future__ import annotations

from collections.abc import Sequence

import click

from analysis.compute import Serial
from analysis.config import load_config
from analysis.core.documents import digest
from analysis.diagnostics.gains import (
    Benchmark,
    Separation,
    scan_features,
    scan_simulation_weight,
    smallest_discovery,
)
from analysis.diagnostics.regret import mean_discovery
from analysis.learning import BoostedTrees, FoldTask
from analysis.learning.metrics import band
from analysis.methods import SACWoLa, Supervised
from analysis.regions import MassWindow
from tests.studies.runner import Budget, Point, run, study
from tests.studies.sensitivity import BEST, EPS_B, MAIN, SIGMA_MIN, SIGNALS, inject, show_regrets, task_of, window_of

NAME = "performance"
FEATURES, LAMBDA = "features", "lambda"
SUPERVISED_STRENGTH = 6.0
STRENGTHS = (2.2, 0.0)
WEIGHTS = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
KEYS = (*(f"sic_{eps:g}" for eps in EPS_B), "auc", "window_sideband_auc")


def summary(separation: Separation, benchmark: Benchmark, window: MassWindow) -> Point:
    """Return the numbers of one classifier, JSON-ready."""
    return {
        **{f"sic_{eps:g}": round(separation.signal.sic(eps), 4) for eps in EPS_B},
        "auc": round(separation.signal.auc, 5),
        "window_sideband_auc": round(separation.sculpting.auc, 5),
        SIGMA_MIN: smallest_discovery(separation.signal, benchmark, window),
    }


def template(point: Point) -> FoldTask:
    """Task with the trees and features of `best`."""
    config = load_config(preset=BEST)
    trees = BoostedTrees(config.learning.classifier, config.learning.n_members)
    return task_of(point, config, Supervised(), trees)


def measure(point: Point) -> Point:
    """Scan one draw."""
    benchmark, window = inject(point["signal"], point["strength"], point["draw"]), window_of(point["signal"])
    if point["scan"] == LAMBDA:
        found = scan_simulation_weight(template(point), WEIGHTS, benchmark, Serial())
        return {
            "curves": {f"{weight:g}": summary(separation, benchmark, window) for weight, separation in found.items()}
        }
    scan = scan_features(template(point), benchmark, Serial())
    named = {"all": scan.together, **scan.alone, **{f"without {name}": one for name, one in scan.without.items()}}
    return {"curves": {name: summary(separation, benchmark, window) for name, separation in named.items()}}


def points(draws: int) -> list[Point]:
    """All points, draw by draw."""
    learning = load_config(preset=BEST).learning
    settings = learning.model_dump(mode="json", exclude=learning.unused)
    versions = {FEATURES: digest(settings), LAMBDA: digest([settings, repr(SACWoLa()), list(WEIGHTS)])}
    cells = [
        *((FEATURES, signal, SUPERVISED_STRENGTH) for signal in SIGNALS),
        *((LAMBDA, MAIN, strength) for strength in STRENGTHS),
    ]
    return [
        {"scan": scan, "signal": signal, "strength": strength, "draw": draw, "version": versions[scan]}
        for draw in range(draws)
        for scan, signal, strength in cells
    ]


def report(finished: Sequence[Point]) -> None:
    """Print the median and the 16-84 % band over the draws."""
    for scan, signal, strength in dict.fromkeys((p["scan"], p["signal"], p["strength"]) for p in finished):
        repeats = [p["curves"] for p in finished if (p["scan"], p["signal"], p["strength"]) == (scan, signal, strength)]
        click.echo(f"{scan}, {signal}, S/sqrt(B) {strength:g}, {len(repeats)} draws")
        for name in repeats[0]:
            parts = []
            for key in KEYS:
                found = band([curves[name][key] for curves in repeats])
                parts.append(f"{key} {found.median:6.3f} [{found.low:6.3f}, {found.high:6.3f}]")
            known = [curves[name][SIGMA_MIN] for curves in repeats if SIGMA_MIN in curves[name]]
            if (smallest := mean_discovery(known)) is not None:
                parts.append(f"{SIGMA_MIN} {smallest:.3f}")
            click.echo(f"  {name:20} {'  '.join(parts)}")
    features = [p for p in finished if p["scan"] == FEATURES]
    found: dict[str, dict[str, list[float | None]]] = {}
    for point in features:
        for name, curve in point["curves"].items():
            if SIGMA_MIN in curve:
                found.setdefault(point["signal"], {}).setdefault(name, []).append(curve[SIGMA_MIN])
    show_regrets(found)


@study(minutes=20.0)
@click.option("--draws", type=int, default=3, show_default=True)
def main(budget: Budget, draws: int) -> None:
    """Run the study and print what the draws have in common."""
    wanted = points(draws)
    finished = run(NAME, wanted, measure, budget)
    report([done for done in finished if any(all(done.get(k) == v for k, v in p.items()) for p in wanted)])


if __name__ == "__main__":
    main()
