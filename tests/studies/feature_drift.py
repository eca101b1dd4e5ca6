"""How far does each feature follow m_jj in simulated QCD, and what do quantiles given m_jj leave of it?

400,000 QCD events (p_T-hat above 1.2 TeV) with the selection of `best`, or, for the number of constituents, the
200,000 whose files have it: events below the mask of a window against events above it, as `cwola validate` measures it.
"Alone" is the signed drift of a feature by its size; "trees" are boosted trees of this feature only, which see changes
of its shape as well. Maps of the decorrelation are learned from one half of the events and measured with the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import click

from analysis.config import LearningConfig, load_config
from analysis.events.table import EventTable
from analysis.regions import RegionScan
from analysis.validation.drift import measure_drift
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "feature_drift"
WINDOWS = ((3300, 3700), (3900, 4300))
DECORRELATIONS = ("none", "quantiles")
OPTIONAL = tuple(
    f"{name}_{jet}" for name in ("tau43", "n_constituents", "groomed_mass", "groomed_fraction") for jet in ("j1", "j2")
)
THIRD = ("third_jet_pt", "third_jet_pt_over_mjj")
SINGLE = (
    *("mj1", "mj2", "delta_mj", "mj1_over_mjj", "mj2_over_mjj"),
    *(f"{name}_{jet}" for name in ("tau21", "tau32") for jet in ("j1", "j2")),
    *OPTIONAL,
    *THIRD,
)
DEMO = ("mj1_over_mjj", "mj2_over_mjj", "tau21_j1", "tau21_j2")
SETS = {
    "masses over m_jj, τ21": DEMO,
    "the same and τ32": (*DEMO, "tau32_j1", "tau32_j2"),
    "the same, τ43 and constituents": (*DEMO, "tau32_j1", "tau32_j2", *OPTIONAL[:4]),
    "masses, τ21": ("mj1", "mj2", *DEMO[2:]),
}


@cache
def events(*, constituents: bool) -> EventTable:
    """Selected events above 3 TeV, with all features that the samples have branches for."""
    names = ["qcd_a", "qcd_b"] if constituents else [f"qcd_{number}" for number in range(1, 5)]
    optional = [name for name in (*OPTIONAL, *THIRD) if constituents or not _needs_constituents((name,))]
    overrides = {"selection": {"optional_features": optional}}
    return selected_events({"qcd": names}, 3000.0, 6500.0, overrides=overrides)["qcd"]


def _needs_constituents(features: Sequence[str]) -> bool:
    return any(name.startswith("n_constituents") for name in features)


def measure(point: Point) -> Point:
    """Drift around one window of one feature, or of a set of features."""
    config = load_config(preset="best", overrides={"scan": {"windows": [point["window"]]}})
    features = SETS.get(point["features"], (point["features"],))
    learning = LearningConfig(features=features, decorrelation=point["decorrelation"])
    table = events(constituents=_needs_constituents(features))
    found = measure_drift(table, RegionScan.from_config(config.scan).windows[0], learning)
    assert found.together is not None
    trees = [found.together.drift, found.together.drift_error]
    if len(features) > 1:
        return {"trees": trees}
    (alone,) = found.features
    return {"trees": trees, "alone": [alone.drift, alone.drift_error]}


POINTS: list[Point] = [
    {"window": list(window), "features": features, "decorrelation": decorrelation}
    for window in WINDOWS
    for features in (*SINGLE, *SETS)
    for decorrelation in DECORRELATIONS
]


@study(minutes=9.0)
def main(budget: Budget) -> None:
    """Run the study and print the drifts."""
    for point in run(NAME, POINTS, measure, budget):
        alone = "" if "alone" not in point else "{:+.3f} ± {:.3f}".format(*point["alone"])
        trees = "{:.3f} ± {:.3f}".format(*point["trees"])
        click.echo(f"{point['window'][0]} {point['features']:32} {point['decorrelation']:10} {alone:18} {trees}")


if __name__ == "__main__":
    main()
