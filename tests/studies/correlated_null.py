"""What do features that know of m_jj do to z where there is no signal? Pythia QCD as it is, by method and features.

The chain runs with the settings of `best`, three members, and one training seed in five windows side by side, on
samples of 100k events that share no event. The windows of a sample share sidebands, so they are averaged first, and the
spread of these averages over the samples is the error: it holds the fluctuation of the background events. All million
events together show a shift that is too small for one sample. The other tune, qcd_alt, is simulation; with "same tune"
it is the next sample. A drift adds 0.2 m_jj to the mass of one jet and 0.1 m_jj to that of the other, in data and
simulation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from analysis.config import SearchConfig, load_config
from analysis.events.table import EventTable
from analysis.learning import PassWeights
from analysis.regions import RegionScan
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import run_window
from analysis.validation.sculpting import sculpting
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "correlated_null"

FRESH = tuple(f"qcd_{number}" for number in range(1, 9))
"""No setting was ever chosen on them."""
SAMPLES = (*FRESH, "qcd_a", "qcd_b")
MILLION = "all"
OTHER_TUNE, SAME_TUNE = "other tune", "same tune"
WINDOWS = tuple((low, low + 400.0) for low in (3300.0, 3700.0, 4100.0, 4500.0, 4900.0))
MILLION_WINDOWS = WINDOWS[:3]
N_MEMBERS = 3
DRIFT = {"mj1": 0.2, "mj2": 0.1, "delta_mj": 0.1, "mj1_over_mjj": 0.2, "mj2_over_mjj": 0.1}
"""What a drift adds: times m_jj, and once to masses over m_jj."""

TAU21 = ["tau21_j1", "tau21_j2"]
RELATIVE = ["mj1_over_mjj", "mj2_over_mjj", *TAU21]
GEV = ["mj2", "delta_mj", *TAU21]
FEATURES: dict[str, list[str]] = {
    "masses over m_jj, τ21": RELATIVE,
    "m_2, Δm in GeV, τ21": GEV,
    "m_1, m_2 in GeV, τ21": ["mj1", "mj2", *TAU21],
    "masses over m_jj, τ21, τ32": [*RELATIVE, "tau32_j1", "tau32_j2"],
    "masses over m_jj": RELATIVE[:2],
    "masses in GeV": ["mj1", "mj2"],
}
"""The first set is that of the presets `best` and `demo`."""
PERCENTILE = {"decorrelation": "percentile"}
SA_CWOLA = {"method": "sa_cwola", "simulation_weight": 0.5}
DEFAULT_TREES: dict[str, Any] = {
    "classifier": {"n_estimators": 60, "max_depth": 4, "min_child_weight": 50.0, "max_bin": 256}
}


@dataclass(frozen=True)
class Setup:
    """One way to search.

    Attributes
    ----------
    features : str
        Name in `FEATURES`.
    learning : mapping
        What differs from `best` otherwise.
    simulation : str
    drift : bool
    """

    features: str
    learning: Mapping[str, Any] = field(default_factory=dict)
    simulation: str = OTHER_TUNE
    drift: bool = False


BEST, PLAIN = tuple(FEATURES)[:2]
SETUPS: dict[str, Setup] = {
    "cwola": Setup(BEST),
    "cwola, GeV": Setup(PLAIN),
    "cwola, m1": Setup("m_1, m_2 in GeV, τ21"),
    "cwola, tau32": Setup("masses over m_jj, τ21, τ32"),
    "cwola, masses": Setup("masses over m_jj"),
    "cwola, masses in GeV": Setup("masses in GeV"),
    "cwola, percentile": Setup(BEST, PERCENTILE),
    "cwola, percentile, GeV": Setup(PLAIN, PERCENTILE),
    "cwola, counts averaged": Setup(BEST, {"ensemble": "mean-count"}),
    "cwola, default trees": Setup(BEST, DEFAULT_TREES),
    "cwola, default trees, GeV": Setup(PLAIN, DEFAULT_TREES),
    "salad": Setup(BEST, {"method": "salad"}),
    "salad, GeV": Setup(PLAIN, {"method": "salad"}),
    "salad, same tune": Setup(BEST, {"method": "salad"}, SAME_TUNE),
    "sa_cwola": Setup(BEST, SA_CWOLA),
    "sa_cwola, GeV": Setup(PLAIN, SA_CWOLA),
    "data_vs_simulation": Setup(BEST, {"method": "data_vs_simulation"}),
    "data_vs_simulation, GeV": Setup(PLAIN, {"method": "data_vs_simulation"}),
    "data_vs_simulation, same tune": Setup(BEST, {"method": "data_vs_simulation"}, SAME_TUNE),
    "cwola, drift": Setup(PLAIN, drift=True),
    "cwola, percentile, drift": Setup(PLAIN, PERCENTILE, drift=True),
    "salad, drift": Setup(PLAIN, {"method": "salad"}, drift=True),
    "sa_cwola, drift": Setup(PLAIN, SA_CWOLA, drift=True),
}
ON_MILLION = ("cwola", "cwola, GeV", "cwola, percentile")

LATER = ("salad, same tune", "data_vs_simulation, same tune")
"""Measured last."""
FEW = FRESH[:4]
"""Samples with a drift, whose effect is large."""

_MAIN = [name for name, setup in SETUPS.items() if name not in LATER and not setup.drift]
POINTS: list[Point] = [
    {"setup": setup, "data": data, "window": list(window)}
    for samples, setups, windows in (
        (FRESH, _MAIN, WINDOWS),
        (FEW, [name for name, setup in SETUPS.items() if setup.drift], WINDOWS),
        ([MILLION], ON_MILLION, MILLION_WINDOWS),
        (SAMPLES[len(FRESH) :], _MAIN, WINDOWS),
        (SAMPLES, LATER, WINDOWS),
    )
    for setup in setups
    for data in samples
    for window in windows
]


@cache
def events(drift: bool) -> dict[str, EventTable]:
    """Selected events in the fit range, by sample."""
    low, high = load_config(preset="best").scan.fit_range
    samples = {name: (name,) for name in (*SAMPLES, "qcd_alt")} | {MILLION: SAMPLES}
    tables = selected_events(samples, low, high)
    return {name: drifted(table) if drift else table for name, table in tables.items()}


def drifted(table: EventTable, multiple: float = 1.0) -> EventTable:
    """Add a multiple of 0.2 m_jj to the mass of the first jet, and of 0.1 m_jj to that of the second."""
    added = {name: slope * (1.0 if name.endswith("over_mjj") else table.mjj) for name, slope in DRIFT.items()}
    return table.replaced({name: table.column(name) + multiple * value for name, value in added.items()})


def configure(setup: Setup, window: Sequence[float], **sections: Any) -> SearchConfig:
    """Configuration of a search of one window, with further sections."""
    overrides = {
        "learning": {"n_members": N_MEMBERS, "features": FEATURES[setup.features], **setup.learning},
        "scan": {"windows": [list(window)]},
        "statistics": {"calculator": "asymptotics"},
        **sections,
    }
    return load_config(preset="best", overrides=overrides)


def simulation_of(setup: Setup, data: str) -> str:
    """Sample that serves as simulation."""
    if setup.simulation == OTHER_TUNE:
        return "qcd_alt"
    return SAMPLES[(SAMPLES.index(data) + 1) % len(SAMPLES)]


def measure(point: Point) -> Point:
    """Search one window of one sample."""
    setup = SETUPS[point["setup"]]
    config, tables = configure(setup, point["window"]), events(setup.drift)
    table, simulation = tables[point["data"]], tables[simulation_of(setup, point["data"])]
    scan = RegionScan.from_config(config.scan)
    result = run_window(SearchData(table, simulation=simulation), scan.windows[0], scan, config)
    if result.reason is not None or result.passes is None:
        return {"selections": {}, "reason": result.reason}
    flatness = _flatness(result, table, config)
    return {
        "selections": {
            one.name: {
                "z": None if one.discovery is None else _rounded(one.discovery.z),
                "n": _rounded(one.n_obs),
                "b": _rounded(one.background),
                "b_error": _rounded(one.background_error),
                "flat": flatness.get(one.name),
            }
            for one in result.selections
        }
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _flatness(result: WindowResult, table: EventTable, config: SearchConfig) -> dict[str, list[float]]:
    """Chi-squared of a flat efficiency in the fit bins and its degrees of freedom, by selection."""
    assert result.passes is not None
    assert result.thresholds is not None
    achieved = tuple(one.efficiency_achieved for one in result.selections)
    efficiencies = (1.0, *config.learning.efficiencies)
    passes = PassWeights(efficiencies, achieved, np.asarray(result.passes, np.float64), result.thresholds)
    found = sculpting(table, passes, result.edges, window=result.window)
    return {one.selection: [round(one.chi2, 2), one.ndof] for one in found}


@dataclass(frozen=True)
class Null:
    """One selection of one set-up, on average.

    Attributes
    ----------
    z, z_error : float
        Mean over windows and samples; the error from the spread of the samples.
    delta, delta_error : float
        (n - b) / b of the sums over the windows, in the same way.
    width : float
        Standard deviation of z over all windows and samples.
    chi2, ndof : float
        Of a flat efficiency.
    samples, searches, failed : int
        Samples, and searches with z and without.
    """

    z: float
    z_error: float
    delta: float
    delta_error: float
    width: float
    chi2: float
    ndof: float
    samples: int
    searches: int
    failed: int


def chosen(
    points: Sequence[Point], setup: str, samples: Sequence[str], windows: Sequence[Sequence[float]] = WINDOWS
) -> list[Point]:
    """Points of one set-up."""
    wanted = [list(window) for window in windows]
    return [p for p in points if p["setup"] == setup and p["data"] in samples and p["window"] in wanted]


def by_sample(points: Sequence[Point], selection: str) -> NDArray[np.float64]:
    """Mean z, and (n - b) / b of the sums, of each sample over the windows with a fit, (n_samples, 2)."""
    found = []
    for data in dict.fromkeys(point["data"] for point in points):
        cells = _fitted([point for point in points if point["data"] == data], selection)
        if cells:
            z, n, b = (np.array([one[key] for one in cells]) for key in ("z", "n", "b"))
            found.append((float(z.mean()), float(n.sum() / b.sum() - 1)))
    return np.array(found, np.float64).reshape(-1, 2)


def _fitted(points: Sequence[Point], selection: str) -> list[dict[str, Any]]:
    cells = [point["selections"].get(selection) for point in points]
    return [one for one in cells if one is not None and one["z"] is not None]


def summary(points: Sequence[Point], selection: str) -> Null | None:
    """Average one selection over windows and samples; None without two samples."""
    means, cells = by_sample(points, selection), _fitted(points, selection)
    if len(means) < 2:
        return None
    error = means.std(axis=0, ddof=1) / len(means) ** 0.5
    flat = np.array([one["flat"] for one in cells if one["flat"] is not None]).reshape(-1, 2)
    return Null(
        z=float(means[:, 0].mean()),
        z_error=float(error[0]),
        delta=float(means[:, 1].mean()),
        delta_error=float(error[1]),
        width=float(np.std([one["z"] for one in cells], ddof=1)),
        chi2=float(flat[:, 0].sum()),
        ndof=float(flat[:, 1].sum()),
        samples=len(means),
        searches=len(cells),
        failed=len(points) - len(cells),
    )


def pooled_spread(points: Sequence[Point], selection: str) -> NDArray[np.float64]:
    """(2,) float64: spread of mean z and δ between samples, pooled over the set-ups without a drift."""
    found = [by_sample(chosen(points, name, SAMPLES), selection) for name, one in SETUPS.items() if not one.drift]
    variances: NDArray[np.float64] = np.array([one.var(axis=0, ddof=1) for one in found if len(one) > 1])
    spread: NDArray[np.float64] = np.sqrt(variances.mean(axis=0))
    return spread


def difference(points: Sequence[Point], setup: str, other: str, selection: str) -> NDArray[np.float64]:
    """(2, 2) float64: differences of mean z and of δ of two set-ups on the same samples, each with its error."""
    samples = [name for name in SAMPLES if chosen(points, setup, [name]) and chosen(points, other, [name])]
    values = by_sample(chosen(points, setup, samples), selection) - by_sample(chosen(points, other, samples), selection)
    return np.stack([values.mean(axis=0), values.std(axis=0, ddof=1) / len(values) ** 0.5], axis=1)


SELECTIONS = ("inclusive", "eff_0.1", "eff_0.05", "eff_0.02", "eff_0.01")


@study(minutes=30.0)
def main(budget: Budget) -> None:
    """Run the study and print the means by set-up and selection."""
    finished = run(NAME, POINTS, measure, budget)
    for setup in SETUPS:
        for selection in SELECTIONS:
            null = summary(chosen(finished, setup, SAMPLES), selection)
            if null is not None:
                click.echo(
                    f"{setup:28s} {selection:9s} z {null.z:+.2f} +- {null.z_error:.2f} (width {null.width:.2f}), "
                    f"delta {null.delta:+.3f} +- {null.delta_error:.3f}, flat {null.chi2:.0f}/{null.ndof:.0f}, "
                    f"{null.searches} searches, {null.failed} without a fit"
                )


if __name__ == "__main__":
    main()
