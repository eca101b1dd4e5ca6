"""Is `best` more sensitive than scikit-learn's boosted trees, at less CPU? On real Pythia QCD and three signals.

QCD (qcd_a and qcd_b: 200k events, 66.5 fb-1) stands for data. A fixed number of signal events, without Poisson
fluctuation, is hidden in it: S / sqrt(B) in the window, and in the sidebands in proportion. A draw is one order of the
simulated signal events, and a strength takes the first of it, so strengths and methods are paired. SIC is measured on
signal events that no strength injects, scored by all fold models, against the out-of-fold scores of the QCD events in
the window; each fold is cut at its own quantile.

Every method of the registry that trains a classifier has the trees and features of `best`; simulation is the other
tune, qcd_alt. `supervised` and `idealised` use the truth. CPU of fits leaves out the reweighters of SALAD.

Strength 0 is a control: what the QCD sample and its features alone make of a signal that is not there.

`best+tau32` is `best` with tau32 of both jets.

`hist-gb` is HistGradientBoostingClassifier as in arXiv:2309.13111: 200 iterations at most, 31 leaves, 255 bins, stopped
early on a 50 % split of its own for each of 50 members, probabilities averaged; on the same folds and training sets.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.compute import Serial
from analysis.config import SearchConfig, load_config
from analysis.config.learning import LATER
from analysis.core.documents import digest
from analysis.diagnostics.gains import Benchmark, separations, smallest_discovery
from analysis.diagnostics.regret import regrets
from analysis.events.identity import uniform
from analysis.events.schema import FeatureSpec
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, FoldTask, Method, Samples, TrainingSet
from analysis.learning.crossfit import Learner
from analysis.learning.metrics import background_floor, band
from analysis.methods import METHODS, FromContrast
from analysis.regions import MassWindow
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "sensitivity"
SIGMA_MIN = "sigma_min"
"""Points that were measured before it was have no such key."""

QCD = ("qcd_a", "qcd_b")
SIMULATION = "qcd_alt"
MAIN = "wprime_3500_500_100"
OTHERS = ("wprime_3900_350_180", "zprime_tt_3600")
SIGNALS = (MAIN, *OTHERS)
STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.2, 3.0)
OTHER_STRENGTHS = (1.0, 2.2)
DRAWS = 10
N_NOISE = 10
EPS_B = (1e-2, 2e-3)
TURN_ON = 3.0
SMOOTH_FROM = 3000.0
WIDTH, SIDEBAND = 400.0, 200.0

BEST, HIST_GB = "best", "hist-gb"
WITH_TAU32 = "best+tau32"
TAU32 = ("tau32_j1", "tau32_j2")
"""What `best` lacks for jets of three prongs."""

NO_PART = ("n_seeds", "tuning", "working_point", *LATER)
"""Settings that no point depends on: they are newer than the first points, and off in `best`."""

OTHER_METHODS = tuple(name for name, method in METHODS.items() if isinstance(method, FromContrast) and name != "cwola")
"""With trees and features of `best`, which is `cwola`; their points go by the name of the method."""

NAMES = (BEST, WITH_TAU32, *OTHER_METHODS, HIST_GB)

TRUTH = tuple(name for name, method in METHODS.items() if method.uses_truth)


@dataclass(frozen=True)
class HistGradientBoostingModel:
    """Fitted scikit-learn classifiers."""

    classifiers: tuple[Any, ...]
    members: tuple[bytes, ...] = ()

    def predict(self, X: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.stack([c.predict_proba(X)[:, 1] for c in self.classifiers], axis=1).astype(np.float32)


@dataclass(frozen=True)
class HistGradientBoosting:
    """The ensemble of arXiv:2309.13111, as a learner."""

    n_members: int = 50
    monotone: tuple[int, ...] = ()

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> HistGradientBoostingModel:
        from sklearn.ensemble import HistGradientBoostingClassifier

        seeds = random_state.generate_state(self.n_members)
        fitted = []
        for seed in seeds.tolist():
            classifier = HistGradientBoostingClassifier(
                max_iter=200,
                max_leaf_nodes=31,
                learning_rate=0.1,
                l2_regularization=0.0,
                max_bins=255,
                early_stopping=True,
                n_iter_no_change=10,
                validation_fraction=0.5,
                random_state=seed,
                monotonic_cst=self.monotone or None,
            )
            fitted.append(classifier.fit(training.X, training.y, sample_weight=training.sample_weight))
        return HistGradientBoostingModel(tuple(fitted))


@dataclass(frozen=True)
class Timed:
    """A learner that adds the CPU seconds of its fits to a list."""

    learner: Learner
    seconds: list[float]

    def fit(self, training: TrainingSet, *, random_state: np.random.SeedSequence) -> Any:
        start = time.process_time()
        model = self.learner.fit(training, random_state=random_state)
        self.seconds.append(time.process_time() - start)
        return model


@cache
def events() -> dict[str, EventTable]:
    """Selected events of the search region above the smooth edge, by dataset; QCD that stands for data under "qcd"."""
    samples = {"qcd": QCD, **{name: (name,) for name in (SIMULATION, *SIGNALS)}}
    return {key: with_noise(table) for key, table in selected_events(samples, SMOOTH_FROM).items()}


def with_noise(table: EventTable) -> EventTable:
    """Add features that mean nothing."""
    arrow = table.table
    names = [f"noise_{i}" for i in range(N_NOISE)]
    for name in names:
        arrow = arrow.append_column(name, pa.array(uniform(table.event_id, 0, name).astype(np.float32)))
    return EventTable(arrow, (*table.features, *(FeatureSpec(name, name, "", (20, 0.0, 1.0)) for name in names)))


@cache
def window_of(signal: str) -> MassWindow:
    """The window of 400 GeV, on a grid of 50 GeV, in which the signal has the largest S / sqrt(B)."""
    tables = events()
    lows = np.arange(SMOOTH_FROM + SIDEBAND, 4500.0, 50.0)
    counts = {
        name: np.array([((mjj >= low) & (mjj < low + WIDTH)).sum() for low in lows])
        for name, mjj in ((signal, tables[signal].mjj), ("qcd", tables["qcd"].mjj))
    }
    low = float(lows[(counts[signal] / np.sqrt(counts["qcd"])).argmax()]) if signal != MAIN else 3300.0
    high = low + WIDTH
    reach = (low - SIDEBAND, high + SIDEBAND)
    return MassWindow((low, high), (reach[0], low), (high, reach[1]), mask=reach, fit_range=reach)


def inject(signal: str, strength: float, draw: int) -> Benchmark:
    """Hide the first signal events of a draw in the QCD; those that no strength of the study injects are held out."""
    window, tables = window_of(signal), events()
    qcd, simulation, simulated = (
        tables[name].select(window.in_fit_range(tables[name].mjj)) for name in ("qcd", SIMULATION, signal)
    )
    order = np.random.default_rng([draw, SIGNALS.index(signal)]).permutation(len(simulated))
    inside = window.in_signal(simulated.mjj)[order]
    scale = np.sqrt(window.in_signal(qcd.mjj).sum())
    n_inside, n_most = round(strength * scale), round(max(*STRENGTHS, strength) * scale)
    n_beside = round(strength * scale * (~inside).sum() / inside.sum())
    chosen = np.sort(np.concatenate([order[inside][:n_inside], order[~inside][:n_beside]]))
    hidden = pa.concat_tables([qcd.table, simulated.table.take(chosen)]).unify_dictionaries().combine_chunks()
    held_out = EventTable(simulated.table.take(np.sort(order[inside][n_most:])), simulated.features)
    return Benchmark(Samples(EventTable(hidden, qcd.features), simulation, (signal,)), held_out)


def entrant(point: Point) -> tuple[SearchConfig, Method, Learner, int]:
    """Configuration, method, learner and number of members of a point."""
    noise = tuple(f"noise_{i}" for i in range(point["noise"]))
    config = load_config(preset=BEST)
    more = TAU32 if point["classifier"] == WITH_TAU32 else ()
    learning = config.learning.model_copy(update={"features": config.learning.features + more + noise})
    config = config.model_copy(update={"learning": learning})
    if point["classifier"] == HIST_GB:
        return config, METHODS["cwola"], HistGradientBoosting(), HistGradientBoosting().n_members
    method = METHODS["cwola" if point["classifier"] in (BEST, WITH_TAU32) else point["classifier"]]
    return config, method, BoostedTrees(learning.classifier, learning.n_members), learning.n_members


def task_of(point: Point, config: SearchConfig, method: Method, learner: Learner) -> FoldTask:
    """Return the task of a point's signal and draw."""
    return FoldTask(
        window=window_of(point["signal"]),
        fold=0,
        n_folds=config.learning.n_folds,
        features=config.learning.features,
        method=method,
        learner=learner,
        random_state=1000 + point["draw"],
    )


def measure(point: Point) -> Point:
    """Cross-fit one draw and measure it."""
    config, method, learner, n_members = entrant(point)
    benchmark, seconds = inject(point["signal"], point["strength"], point["draw"]), list[float]()
    task = task_of(point, config, method, Timed(learner, seconds))
    roc = separations([task], benchmark, Serial())[0].signal
    floor = background_floor(np.ones(n_background(benchmark, task.window)))
    best, where = roc.max_sic(floor)
    return {
        **{f"sic_{eps:g}": round(roc.sic(eps), 4) for eps in EPS_B},
        "max_sic": round(best, 4),
        "max_sic_eps_b": round(where, 6),
        "eps_b_floor": round(floor, 6),
        "auc": round(roc.auc, 5),
        SIGMA_MIN: smallest_discovery(roc, benchmark, task.window),
        "n_held_out": len(benchmark.held_out),
        "window": list(task.window.signal),
        "cpu_fits": round(sum(seconds), 3),
        "cpu_per_fit": round(sum(seconds) / (task.n_folds * n_members), 4),
    }


def n_background(benchmark: Benchmark, window: MassWindow) -> int:
    """Count the QCD events in the window."""
    samples = benchmark.samples
    return int((window.in_signal(samples.data.mjj) & ~samples.is_signal()).sum())


def points() -> list[Point]:
    """All points: `best` first and HistGB, the slowest, last; draw by draw, so that a part is paired."""
    learning = load_config(preset=BEST).learning
    settings = learning.model_dump(mode="json", exclude=set(NO_PART))
    versions = {
        BEST: digest(settings),
        WITH_TAU32: digest([settings, TAU32]),
        HIST_GB: digest([list(learning.features), learning.n_folds, "arXiv:2309.13111"]),
        **{name: digest([settings, repr(METHODS[name])]) for name in OTHER_METHODS},
    }
    ours = (BEST, WITH_TAU32)
    cells = [(MAIN, strength) for strength in STRENGTHS] + list(product(OTHERS, OTHER_STRENGTHS))
    control = [(name, signal, 0.0, draw, 0) for name in ours for draw in range(DRAWS) for signal in SIGNALS]
    noisy = [(BEST, MAIN, max(STRENGTHS), draw, N_NOISE) for draw in range(DRAWS)]
    plain = [(name, *cell, draw, 0) for name in ours for draw in range(DRAWS) for cell in cells]
    methods = [(name, *cell, draw, 0) for draw in range(DRAWS) for cell in cells for name in OTHER_METHODS]
    # The signal of the main comparison before the others.
    hist_gb = [(HIST_GB, *cell, draw, 0) for part in (cells[:7], cells[7:]) for draw in range(DRAWS) for cell in part]
    keys = ("classifier", "signal", "strength", "draw", "noise")
    return [
        dict(zip(keys, values, strict=True)) | {"version": versions[values[0]]}
        for values in (*control, *plain, *noisy, *methods, *hist_gb)
    ]


def log_ratio(ours: Sequence[Point], theirs: Sequence[Point], key: str) -> tuple[float, float, int]:
    """Mean over draws of the log of our SIC over theirs, its error, and the number of draws.

    A selection of no signal event counts as one event. A draw of several strengths counts once, since they share their
    signal events.
    """
    other = {(point["draw"], point["strength"]): point for point in theirs}
    by_draw: dict[int, list[float]] = {}
    for point in ours:
        partner = other.get((point["draw"], point["strength"]))
        if partner is not None:
            values = [
                max(p[key], 1 / p["n_held_out"] / float(key.removeprefix("sic_")) ** 0.5) for p in (point, partner)
            ]
            by_draw.setdefault(point["draw"], []).append(float(np.log(values[0] / values[1])))
    means = [float(np.mean(values)) for values in by_draw.values()]
    error = float(np.std(means, ddof=1) / len(means) ** 0.5) if len(means) > 1 else float("nan")
    return (float(np.mean(means)) if means else float("nan")), error, len(means)


def report(finished: Sequence[Point]) -> None:
    """Print medians, bands and paired ratios."""
    cells = sorted({(p["signal"], p["strength"], p["noise"]) for p in finished}, key=str)
    for signal, strength, noise in cells:
        chosen = [p for p in finished if (p["signal"], p["strength"], p["noise"]) == (signal, strength, noise)]
        by_name = {name: [p for p in chosen if p["classifier"] == name] for name in NAMES}
        for name, repeats in by_name.items():
            if repeats:
                shown = f"{name} (truth)" if name in TRUTH else name
                click.echo(f"{signal} S/sqrt(B) {strength:<4g} noise {noise:2d} {shown:18s} {_summary(repeats)}")
        if by_name["idealised"]:
            click.echo(f"    {_over_idealised(by_name)}")
        for name in (HIST_GB, WITH_TAU32):
            if by_name[BEST] and by_name[name]:
                click.echo(f"    {BEST} against {name}: {_ratios(by_name[BEST], by_name[name])}")
    for signal in SIGNALS:
        plain = [p for p in finished if p["signal"] == signal and p["strength"] and not p["noise"]]
        by_name = {name: [p for p in plain if p["classifier"] == name] for name in NAMES}
        for name in (HIST_GB, WITH_TAU32):
            if by_name[BEST] and by_name[name]:
                click.echo(f"pooled {signal}, {BEST} against {name}: {_ratios(by_name[BEST], by_name[name])}")
    _report_regret(finished)
    _report_turn_on(finished)
    _report_noise(finished)


def _report_regret(finished: Sequence[Point]) -> None:
    for strength in sorted({p["strength"] for p in finished}):
        found: dict[str, dict[str, list[float | None]]] = {}
        for p in finished:
            if p["strength"] == strength and not p["noise"] and SIGMA_MIN in p and p["classifier"] not in TRUTH:
                found.setdefault(p["signal"], {}).setdefault(p["classifier"], []).append(p[SIGMA_MIN])
        show_regrets(found, f"S/sqrt(B) {strength:g}, ")


def show_regrets(found: Mapping[str, Mapping[str, Sequence[float | None]]], place: str = "") -> None:
    """Print the regret of each classifier over all signals."""
    for one in regrets(found):
        ratios = (f"{signal} {'none' if ratio is None else f'{ratio:.2f}'}" for signal, ratio in one.by_signal.items())
        worst = "none" if one.worst is None else f"{one.worst:.2f}"
        click.echo(f"{place}regret of {one.classifier}: {', '.join(ratios)}, worst {worst}")


def _summary(repeats: Sequence[Point]) -> str:
    parts = []
    for key in (*(f"sic_{eps:g}" for eps in EPS_B), "max_sic"):
        found = band([point[key] for point in repeats])
        parts.append(f"{key} {found.median:5.2f} [{found.low:5.2f}, {found.high:5.2f}]")
    cpu = np.median([point["cpu_fits"] for point in repeats])
    each = np.median([point["cpu_per_fit"] for point in repeats])
    return f"{'  '.join(parts)}  CPU {cpu:.1f} s, {1000 * each:.0f} ms a fit, {len(repeats)} draws"


def _over_idealised(by_name: dict[str, list[Point]]) -> str:
    """Paired ratios of SIC(1e-2) to that of `idealised`."""
    parts = []
    for name, repeats in by_name.items():
        mean, error, count = log_ratio(repeats, by_name["idealised"], "sic_0.01")
        if name != "idealised" and count:
            parts.append(f"{name} {np.exp(mean):.2f} +- {np.exp(mean) * error:.2f} ({count})")
    return "SIC(0.01) over idealised: " + ", ".join(parts)


def _ratios(ours: Sequence[Point], theirs: Sequence[Point]) -> str:
    parts = []
    for eps in EPS_B:
        mean, error, count = log_ratio(ours, theirs, f"sic_{eps:g}")
        parts.append(f"log SIC({eps:g}) ratio {mean:+.3f} +- {error:.3f} ({count} draws)")
    paired = {(p["draw"], p["strength"]) for p in ours} & {(p["draw"], p["strength"]) for p in theirs}
    total = [sum(p["cpu_fits"] for p in part if (p["draw"], p["strength"]) in paired) for part in (ours, theirs)]
    return f"{', '.join(parts)}, CPU 1/{total[1] / total[0]:.1f}"


def _report_turn_on(finished: Sequence[Point]) -> None:
    for name in (BEST, HIST_GB):
        plain = [p for p in finished if (p["classifier"], p["signal"], p["noise"]) == (name, MAIN, 0)]
        medians = {s: np.median([p["sic_0.01"] for p in plain if p["strength"] == s]) for s in STRENGTHS if plain}
        above = [strength for strength, median in medians.items() if median > TURN_ON]
        click.echo(f"turn-on of {name} (median SIC(0.01) > {TURN_ON:g}): {min(above, default=None)}")


def _report_noise(finished: Sequence[Point]) -> None:
    ours = [p for p in finished if (p["classifier"], p["signal"], p["strength"]) == (BEST, MAIN, max(STRENGTHS))]
    noisy, plain = [p for p in ours if p["noise"]], [p for p in ours if not p["noise"]]
    if noisy and plain:
        mean, error, count = log_ratio(noisy, plain, "sic_0.01")
        click.echo(f"with {N_NOISE} noise features: SIC(0.01) x {np.exp(mean):.3f} +- {error:.3f} ({count} draws)")


@study(minutes=30.0)
@click.option("--classifier", "only", multiple=True, help="Measure points of these alone; all are printed.")
def main(budget: Budget, only: tuple[str, ...]) -> None:
    """Run the study and print what the draws have in common."""
    wanted = points()
    chosen = [point for point in wanted if not only or point["classifier"] in only]
    finished = run(NAME, chosen, measure, budget)
    report([done for done in finished if any(all(done.get(k) == v for k, v in p.items()) for p in wanted)])


if __name__ == "__main__":
    main()
