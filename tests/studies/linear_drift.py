"""What a linear drift tells a CWoLa classifier: a feature whose mean rises with m_jj, without any signal.

Toy background of the three-parameter dijet function with one normal feature, whose mean rises by a fixed number of its
standard deviations for every 200 GeV, and one that does not drift. The classifiers, cuts and fits are those of the
preset `demo`. Lower and upper sideband weigh the same, so the drift leaves no difference of means between window and
sidebands; it leaves a difference of shapes, since the window lies in the middle.

The ideal classifier knows the densities: the fraction of the window that it keeps is computed without any training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import click
import numpy as np
from numpy.typing import NDArray

from analysis.config import load_config
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import run_window
from tests.builders.toy_tables import FIT_RANGE, WINDOW, dijet_density, dijet_masses, feature_names, table_of
from tests.studies.runner import Budget, Point, run, study

NAME = "linear_drift"
DRIFTS = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Standard deviations of the feature for every 200 GeV."""
EVENTS = 100_000
TOYS = 3
EFFICIENCIES = (0.1, 0.01)
POINTS = [{"drift": drift, "toy": toy} for toy in range(TOYS) for drift in DRIFTS]


def mean_of(mjj: NDArray[np.float64], drift: float) -> NDArray[np.float64]:
    """Mean of the feature at these masses, in its standard deviations."""
    return drift * (mjj - np.mean(WINDOW.signal)) / 200.0


def measure(point: Point) -> Point:
    """Counts of a toy, and the fraction of its window that passes, by selection."""
    rng = np.random.default_rng([point["toy"], round(100 * point["drift"])])
    mjj = dijet_masses(EVENTS, rng)
    X = rng.normal(size=(EVENTS, 2))
    X[:, 0] += mean_of(mjj, point["drift"])
    overrides = {
        "random_state": point["toy"],
        "scan": {"first": WINDOW.signal[0], "last": WINDOW.signal[1]},
        "learning": {"features": feature_names(2), "efficiencies": EFFICIENCIES},
    }
    config = load_config(preset="demo", overrides=overrides)
    scan = RegionScan.from_config(config.scan)
    result = run_window(SearchData(table_of(mjj, X.astype(np.float32))), scan.windows[0], scan, config)
    in_window = int(WINDOW.in_signal(mjj).sum())
    found = {}
    for one in result.selections:
        found[one.name] = {"reason": one.reason}
        if one.n_obs is not None:
            found[one.name] |= {"n": one.n_obs, "kept": round(one.n_obs / in_window, 5)}
        if one.background is not None and one.background_error is not None and one.discovery is not None:
            fitted = {"background": one.background, "error": one.background_error, "z": one.discovery.z}
            found[one.name] |= {key: round(value, 2) for key, value in fitted.items()}
    return {"selections": found}


@cache
def densities(drift: float) -> dict[str, NDArray[np.float64]]:
    """Density of the feature in the regions, on a grid, (14001,) each, up to a common factor."""
    x = np.linspace(-35.0, 35.0, 14_001)
    regions = {"window": WINDOW.signal, "lower": WINDOW.lower, "upper": WINDOW.upper, "all": FIT_RANGE}
    density = {}
    for name, interval in regions.items():
        mjj = np.linspace(*interval, 701)
        weight = dijet_density(mjj, 9.0, 5.0)
        density[name] = weight / weight.sum() @ np.exp(-((x[None] - mean_of(mjj, drift)[:, None]) ** 2) / 2)
    return density


def ideal(drift: float, efficiency: float) -> float:
    """Fraction of the window that the best possible classifier keeps, at an efficiency over the fit range."""
    density = densities(drift)
    odds = density["window"] / np.maximum((density["lower"] + density["upper"]) / 2, 1e-300)
    order = np.argsort(-odds)
    passed = np.cumsum(density["all"][order]) / density["all"].sum()
    kept = np.cumsum(density["window"][order]) / density["window"].sum()
    return float(np.interp(efficiency, passed, kept))


@dataclass(frozen=True)
class Sculpting:
    """One drift and selection, over the toys; kept and ideal are fractions of the window.

    Attributes
    ----------
    kept, kept_error : float
        By the trees: mean, and its error from the scatter of the toys.
    ideal : float
        By the classifier that knows the densities.
    fitted : int
        Toys whose spectrum can be fitted beside the mask.
    relative_error : float or None
        Median error of the background, relative to it; None without a fit.
    z : float or None
        Mean.
    """

    kept: float
    kept_error: float
    ideal: float
    fitted: int
    relative_error: float | None
    z: float | None


def summary(points: Sequence[Point], drift: float, efficiency: float) -> Sculpting:
    """Average the toys of one drift at one efficiency."""
    toys = [point["selections"][f"eff_{efficiency:g}"] for point in points if point["drift"] == drift]
    fitted = [toy for toy in toys if "z" in toy]
    kept = np.array([toy["kept"] for toy in toys])
    return Sculpting(
        kept=float(kept.mean()),
        kept_error=float(kept.std(ddof=1) / len(kept) ** 0.5),
        ideal=ideal(drift, efficiency),
        fitted=len(fitted),
        relative_error=float(np.median([toy["error"] / toy["background"] for toy in fitted])) if fitted else None,
        z=float(np.mean([toy["z"] for toy in fitted])) if fitted else None,
    )


@study(minutes=10.0)
def main(budget: Budget) -> None:
    """Run the study and print what the trees keep of the window, and what the fit makes of it."""
    points = run(NAME, POINTS, measure, budget)
    for drift in DRIFTS:
        for efficiency in EFFICIENCIES:
            click.echo(f"{drift:g} per 200 GeV, efficiency {efficiency:g}: {summary(points, drift, efficiency)}")


if __name__ == "__main__":
    main()
