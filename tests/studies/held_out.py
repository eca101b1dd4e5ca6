"""Which training finds weak signals of two and three prongs, and how near is it to the idealised one? Choice and test.

Ten samples of 100,000 QCD events, 33 fb-1 each. Settings are chosen on five of them and half of the simulated signal,
and quoted on the other five samples and the other half; nothing is chosen on these. A number of signal events is hidden
in a sample without Poisson fluctuation, as in `sensitivity`; every sample has signal events of its own order, which all
strengths and classifiers share. SIC is that of signal events that are never injected. Errors are jackknife errors over
the samples: they hold the fluctuations of background, signal and training.

`null` searches the samples without signal, with features as they follow m_jj, in three windows.

`HistGB` is that of `sensitivity`: its published sidebands of 200 GeV, and the features of `best`.

The signal of equal masses is simulated, which needs Pythia, and kept in the temporary folder.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from analysis.compute import Serial
from analysis.config import LearningConfig, SearchConfig, load_config
from analysis.core.documents import digest
from analysis.demo import DEMO
from analysis.diagnostics.gains import Benchmark, separations, smallest_discovery
from analysis.diagnostics.regret import mean_discovery
from analysis.events.table import EventTable
from analysis.learning import FoldTask, Samples
from analysis.learning.decorrelation import configured_scaling
from analysis.learning.learners import configured_learner
from analysis.methods import METHODS
from analysis.regions import MassWindow, RegionScan
from analysis.search.values import SearchData
from analysis.search.window import search_window, window_task
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study
from tests.studies.sensitivity import HistGradientBoosting, Timed

NAME = "held_out"

CHOICE, QUOTE, NULL, NULL_QUOTE = "choice", "quote", "null", "null, quoted"
FILES = {
    CHOICE: ("qcd_a", "qcd_b", "qcd_1", "qcd_2", "qcd_3"),
    QUOTE: ("qcd_4", "qcd_5", "qcd_6", "qcd_7", "qcd_8"),
}
FIT_RANGE = (3000.0, 6500.0)
NEAR = 200.0

EQUAL = "wprime_3700_250_250"
WINDOWS = {
    "wprime_3500_500_100": (3300.0, 3700.0),
    "wprime_3900_350_180": (3750.0, 4150.0),
    "wprime_4000_400_200": (3850.0, 4250.0),
    EQUAL: (3600.0, 4000.0),
    "zprime_tt_3600": (3350.0, 3750.0),
}
"""400 GeV on a grid of 50 GeV where S / sqrt(B) is largest; of the first signal as in `sensitivity`."""

STRENGTHS = (0.25, 0.35, 0.5, 1.0)
EPS_B = (1e-2, 5e-3, 2e-3)
NULL_WINDOWS = ((3300.0, 3700.0), (3700.0, 4100.0), (4100.0, 4500.0))
EFFICIENCIES = (0.1, 0.05, 0.02, 0.01, 0.005, 0.002)

MASSES = ["mj1_over_mjj", "mj2_over_mjj"]
TAU21, TAU32 = ["tau21_j1", "tau21_j2"], ["tau32_j1", "tau32_j2"]
OLD: dict[str, Any] = {
    "features": [*MASSES, *TAU21],
    "n_members": 10,
    "classifier": {"max_depth": 6, "min_child_weight": 5.0, "n_estimators": 30, "max_bin": 64},
}
"""The preset `best`."""
PRESET = "best"


def _falling(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "decreasing")


MONOTONE = {"monotone": _falling(*TAU21)}
BOTH = {"features": [*MASSES, *TAU21, *TAU32], "monotone": _falling(*TAU21, *TAU32)}
GROUPS = {**BOTH, "feature_groups": [[*MASSES, *TAU21], [*MASSES, *TAU32]]}
QUANTILES = {"decorrelation": "quantiles"}


def _trees(**settings: float) -> dict[str, Any]:
    return {"classifier": {**OLD["classifier"], **settings}}


@dataclass(frozen=True)
class Entrant:
    """One way to train.

    Attributes
    ----------
    learning : mapping
        What differs from `OLD`.
    wide : bool
        Whether the training sidebands take the whole smooth spectrum.
    hist_gb : bool
    """

    learning: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = False
    hist_gb: bool = False

    @property
    def config(self) -> LearningConfig:
        """The settings in full."""
        return LearningConfig(**{**OLD, **self.learning, "efficiencies": EFFICIENCIES})


ENTRANTS: dict[str, Entrant] = {
    PRESET: Entrant(),
    "τ21": Entrant(MONOTONE),
    "wide": Entrant(wide=True),
    "τ21, wide": Entrant(MONOTONE, wide=True),
    "τ21, wide, quantiles": Entrant({**MONOTONE, **QUANTILES}, wide=True),
    "τ21 and τ32": Entrant(BOTH),
    "τ21 and τ32, wide": Entrant(BOTH, wide=True),
    "τ21 and τ32, wide, quantiles": Entrant({**BOTH, **QUANTILES}, wide=True),
    "τ21 and τ32, quantiles": Entrant({**BOTH, **QUANTILES}),
    "shallow": Entrant({**BOTH, **QUANTILES, **_trees(max_depth=4, min_child_weight=20.0)}, wide=True),
    "shallow, 60 rounds": Entrant({**BOTH, **QUANTILES, **_trees(max_depth=4, n_estimators=60)}, wide=True),
    "weight 20": Entrant({**BOTH, **QUANTILES, **_trees(min_child_weight=20.0)}, wide=True),
    "60 rounds": Entrant({**BOTH, **QUANTILES, **_trees(n_estimators=60)}, wide=True),
    "20 members": Entrant({**BOTH, **QUANTILES, "n_members": 20}, wide=True),
    "idealised": Entrant({**BOTH, **QUANTILES, "method": "idealised"}, wide=True),
    "supervised": Entrant({**BOTH, **QUANTILES, "method": "supervised"}, wide=True),
    "HistGB": Entrant(hist_gb=True),
    "groups": Entrant(GROUPS),
    "groups, wide": Entrant(GROUPS, wide=True),
    "groups, wide, quantiles": Entrant({**GROUPS, **QUANTILES}, wide=True),
}


@cache
def events() -> dict[str, EventTable]:
    """Selected events in the fit range, by file."""
    names = (*FILES[CHOICE], *FILES[QUOTE], *WINDOWS)
    extra = {"wprime_4000_400_200": DEMO / "wprime_4000_400_200.root", EQUAL: _equal_masses()}
    return selected_events({name: (name,) for name in names}, *FIT_RANGE, extra=extra)


def _equal_masses() -> Path:
    path = Path(tempfile.gettempdir()) / f"cwola_{EQUAL}.root"
    if not path.exists():
        from processors.simulate import SimulationSettings, simulate

        settings = SimulationSettings(
            process="wprime", mass_a=3700.0, mass_b=250.0, mass_c=250.0, n_events=4000, seed=3700, run_number=31
        )
        simulate(settings, path, Serial())
    return path


def window_of(signal: str, wide: bool) -> MassWindow:
    """Window of a signal with its training sidebands."""
    low, high = WINDOWS[signal]
    start, stop = FIT_RANGE if wide else (low - NEAR, high + NEAR)
    return MassWindow((low, high), (start, low), (high, stop), (low - 100, high + 100), FIT_RANGE)


def inject(point: Point, window: MassWindow) -> Benchmark:
    """Hide signal events in two samples; the phase has its own half of the simulated signal."""
    tables, signal, strength = events(), point["signal"], point["strength"]
    qcd = _joined([tables[name].table for name in point["files"]])
    background = EventTable(qcd, tables[signal].features)
    simulated = tables[signal]
    half = np.random.default_rng(list(WINDOWS).index(signal)).permutation(len(simulated)) % 2
    own = np.flatnonzero(half == (point["phase"] == QUOTE))
    purpose = [list(WINDOWS).index(signal), FILES[point["phase"]].index(point["files"][0]), point["draw"]]
    order = np.random.default_rng(purpose).permutation(own)
    inside = window.in_signal(simulated.mjj)[order]
    scale = np.sqrt(window.in_signal(background.mjj).sum())
    n_inside, n_most = round(strength * scale), round(max(*STRENGTHS, strength) * scale)
    n_beside = round(strength * scale * (~inside).sum() / inside.sum())
    chosen = np.sort(np.concatenate([order[inside][:n_inside], order[~inside][:n_beside]]))
    held_out = EventTable(simulated.table.take(np.sort(order[inside][n_most:])), simulated.features)
    hidden = _joined([qcd, simulated.table.take(chosen)])
    return Benchmark(Samples(EventTable(hidden, background.features), None, (signal,)), held_out)


def _joined(tables: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).unify_dictionaries().combine_chunks()


def measure(point: Point) -> Point:
    """Measure one point of any phase."""
    return search(point) if point["phase"] in (NULL, NULL_QUOTE) else separate(point)


def separate(point: Point) -> Point:
    """Cross-fit one experiment and measure it."""
    entrant = ENTRANTS[point["entrant"]]
    learning, window = entrant.config, window_of(point["signal"], entrant.wide)
    benchmark, seconds = inject(point, window), list[float]()
    learner = HistGradientBoosting() if entrant.hist_gb else configured_learner(learning, learning.n_members)
    grid = np.arange(FIT_RANGE[0], FIT_RANGE[1] + 1, 100.0)
    task = FoldTask(
        window=window,
        fold=0,
        n_folds=learning.n_folds,
        features=learning.features,
        method=METHODS[learning.method],
        learner=Timed(learner, seconds),
        random_state=1000,
        decorrelation=configured_scaling(learning, window, grid, 1000),
    )
    found = separations([task], benchmark, Serial())[0]
    return {
        **{f"sic_{eps:g}": round(found.signal.sic(eps), 4) for eps in EPS_B},
        "sigma_min": smallest_discovery(found.signal, benchmark, window),
        "auc": round(found.signal.auc, 5),
        "window_sideband_auc": round(found.sculpting.auc, 5),
        "n_held_out": len(benchmark.held_out),
        "n_background": int((window.in_signal(benchmark.samples.data.mjj) & ~benchmark.samples.is_signal()).sum()),
        "cpu_fits": round(sum(seconds), 3),
    }


def configured(entrant: Entrant, window: Sequence[float]) -> SearchConfig:
    """Configuration of a search of one window, with the settings of an entrant."""
    learning = entrant.config.model_dump(mode="json")
    scan: dict[str, Any] = {"windows": [list(window)], "fit_range": list(FIT_RANGE)}
    if entrant.wide:
        scan["sidebands"] = [list(FIT_RANGE)]
    return load_config(
        overrides={"learning": learning, "scan": scan, "statistics": {"calculator": "asymptotics"}},
    )


def search(point: Point) -> Point:
    """Search one window of samples without signal."""
    config = configured(ENTRANTS[point["entrant"]], point["window"])
    tables = events()
    table = EventTable(_joined([tables[name].table for name in point["files"]]), tables[point["files"][0]].features)
    scan = RegionScan.from_config(config.scan)
    task = window_task(scan.windows[0], scan, config)
    result = search_window(task, SearchData(table), limits=False)
    return {
        "z": {one.name: None if one.discovery is None else round(one.discovery.z, 3) for one in result.selections},
        "n": {one.name: round(one.n_obs, 2) for one in result.selections},
        "b": {one.name: None if one.background is None else round(one.background, 2) for one in result.selections},
    }


def version(name: str) -> str:
    """Digest of the settings of an entrant."""
    entrant = ENTRANTS[name]
    return digest([entrant.config.model_dump(mode="json"), entrant.wide, entrant.hist_gb])


def separated(
    phase: str,
    entrants: Sequence[str],
    signals: Sequence[str],
    strengths: Sequence[float],
    samples: Sequence[int] = range(5),
    draw: int = 0,
) -> list[Point]:
    """List points with signal, sample by sample."""
    return [
        {"phase": phase, "entrant": name, "signal": signal, "strength": strength}
        | {"files": [FILES[phase][sample]], "draw": draw, "version": version(name)}
        for sample in samples
        for signal in signals
        for strength in strengths
        for name in entrants
    ]


def nulls(phase: str, entrants: Sequence[str], samples: Sequence[int] = range(5)) -> list[Point]:
    """List searches without signal, sample by sample."""
    return [
        {"phase": phase, "entrant": name, "files": [file], "window": list(window), "version": version(name)}
        for file in [FILES[CHOICE if phase == NULL else QUOTE][sample] for sample in samples]
        for name in entrants
        for window in NULL_WINDOWS
    ]


PLAIN = tuple(ENTRANTS)[:8]
NARROW = "τ21 and τ32, quantiles"
BOTH_WIDE, WIDE = "τ21 and τ32, wide", "τ21 and τ32, wide, quantiles"
"""The second was chosen, and its null on the other samples ruled it out."""
HIST_GB = "HistGB"
QUOTED = (PRESET, WIDE, NARROW, "idealised")
TREES = ("shallow", "shallow, 60 rounds", "weight 20", "60 rounds", "20 members")
FIRST = ("wprime_3500_500_100", "wprime_3900_350_180", "wprime_4000_400_200", EQUAL, "zprime_tt_3600")
POINTS: list[Point] = [
    *separated(CHOICE, PLAIN, FIRST, (0.35,), [0]),
    *separated(CHOICE, PLAIN, FIRST[:3], (0.5,), [1]),
    *nulls(NULL, (PRESET, WIDE, BOTH_WIDE)),
    *separated(CHOICE, (PRESET, WIDE, NARROW), FIRST, (0.5,), [1]),
    *separated(CHOICE, (NARROW, "shallow"), FIRST, (0.35,), [0]),
    *(
        point
        for sample in range(5)
        for point in (
            *separated(QUOTE, QUOTED, FIRST, (0.35,), [sample]),
            *nulls(NULL_QUOTE, (PRESET, WIDE, NARROW), [sample]),
        )
    ),
    *nulls(NULL, (NARROW,)),
    *separated(QUOTE, (HIST_GB,), FIRST[:1], (0.35,)),
    *separated(QUOTE, QUOTED, FIRST, (0.5,)),
    *separated(QUOTE, QUOTED, FIRST[:1], (0.25, 1.0)),
    *separated(QUOTE, ("supervised",), FIRST, (0.35,)),
    *separated(CHOICE, (PRESET, WIDE, NARROW), FIRST, (0.35,), [2]),
    *separated(CHOICE, TREES, FIRST, (0.35,), [0]),
]
"""The choice, then the test of what was chosen; last what is left for whoever has more time."""


def log_sic(point: Point, key: str) -> float:
    """Log of SIC, where no signal event counts as one."""
    return float(np.log(max(point[key], 1 / point["n_held_out"] / float(key.removeprefix("sic_")) ** 0.5)))


def chosen(points: Sequence[Point], **values: Any) -> list[Point]:
    """Points with these values."""
    return [point for point in points if all(point.get(key) == value for key, value in values.items())]


def jackknife(values: Mapping[str, float]) -> tuple[float, float]:
    """Mean over the samples and its error, from leaving out every sample in turn."""
    found: NDArray[np.float64] = np.array(list(values.values()), np.float64)
    if len(found) < 2:
        return float(found.mean()), float("nan")
    left = (found.sum() - found) / (len(found) - 1)
    return float(found.mean()), float(np.sqrt((len(found) - 1) * left.var()))


def by_sample(points: Sequence[Point], value: Callable[[Point], float]) -> dict[str, float]:
    """Mean of a value, by sample."""
    files = dict.fromkeys(point["files"][0] for point in points)
    return {file: float(np.mean([value(p) for p in points if p["files"][0] == file])) for file in files}


def log_ratio(points: Sequence[Point], ours: str, theirs: str, key: str) -> tuple[float, float, int]:
    """Mean log of the SIC of one entrant over that of another on the same points, its error, and their number."""
    identity = lambda p: (p["files"][0], p["draw"], p["signal"], p["strength"])  # noqa: E731
    other = {identity(p): log_sic(p, key) for p in chosen(points, entrant=theirs)}
    both = [p for p in chosen(points, entrant=ours) if identity(p) in other]
    if not both:
        return float("nan"), float("nan"), 0
    return *jackknife(by_sample(both, lambda p: log_sic(p, key) - other[identity(p)])), len(both)


def discovery(points: Sequence[Point]) -> float | None:
    """Return the mean sigma_min over the draws."""
    return mean_discovery([point["sigma_min"] for point in points])


def null_z(points: Sequence[Point], selection: str) -> tuple[float, float, float, int]:
    """Mean z, its error from the spread of the samples, the spread of z, and the number of searches."""
    cells = [point for point in points if point["z"][selection] is not None]
    mean, error = jackknife(by_sample(cells, lambda p: float(p["z"][selection])))
    return mean, error, float(np.std([p["z"][selection] for p in cells], ddof=1)), len(cells)


def report(finished: Sequence[Point]) -> None:
    """Print SIC by cell, log ratios to `best`, and nulls."""
    for phase, name in product((CHOICE, QUOTE), ENTRANTS):
        points = chosen(finished, phase=phase)
        if not chosen(points, entrant=name):
            continue
        for signal, strength in (*product(WINDOWS, STRENGTHS), (None, None)):
            cell = points if signal is None else chosen(points, signal=signal, strength=strength)
            if chosen(cell, entrant=name):
                click.echo(f"{phase} {name} {signal or 'all'} {strength or ''}: {_line(cell, name)}")
    for phase, name in product((NULL, NULL_QUOTE), ENTRANTS):
        searches = chosen(finished, phase=phase, entrant=name)
        for selection in searches[0]["z"] if searches else ():
            mean, error, width, count = null_z(searches, selection)
            click.echo(f"{phase} {name} {selection}: {mean:+.2f} +- {error:.2f}, width {width:.2f}, {count} searches")


def _line(points: Sequence[Point], name: str) -> str:
    own, parts = chosen(points, entrant=name), []
    for key in (f"sic_{eps:g}" for eps in EPS_B):
        mean, error, count = log_ratio(points, name, PRESET, key)
        sic = np.exp(np.mean([log_sic(p, key) for p in own]))
        parts.append(f"{key} {sic:.2f}, log ratio {mean:+.2f} +- {error:.2f} ({count})")
    smallest = discovery(own)
    parts.append(f"sigma_min {'none' if smallest is None else f'{smallest:.2f}'}")
    return f"{'; '.join(parts)}; CPU {np.mean([p['cpu_fits'] for p in own]):.1f} s"


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print what it found."""
    finished = run(NAME, POINTS, measure, budget)
    report([p for p in finished if p["version"] == version(p["entrant"])])


if __name__ == "__main__":
    main()
