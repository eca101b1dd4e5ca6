"""Expected limits on the three Pythia signals by all rules, against the inclusive search; background alone is searched.

Named before the first run: for W'(3500) the expected limit is at least twice as tight as the inclusive one, and no
signal is worse than inclusive by more than 10 %. Data are the Pythia QCD samples as they are; settings of `best`, alone
and with tau32 of both jets as a second set of features, six strengths and none, five samplings. Strengths are numbers
of signal events that the event selection keeps.
"""

from __future__ import annotations

from functools import cache

import click

from analysis.config import load_config
from analysis.limits import prepare_point
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import Injection
from analysis.search.values import SearchData
from analysis.signals.yields import SignalSample
from tests.studies.limit_rules import summary
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "limit_signals"

SIGNALS = ("wprime_3500_500_100", "wprime_3900_350_180", "zprime_tt_3600")
BEST = load_config(preset="best").learning.features
FEATURES = {"best": BEST, "best+tau32": (*BEST, "tau32_j1", "tau32_j2")}

POINTS = [{"signal": signal} for signal in SIGNALS]


@cache
def shared() -> InjectionData:
    """Events and signals."""
    tables = selected_events({"qcd": ("qcd_a", "qcd_b"), **{name: (name,) for name in SIGNALS}}, 0.0)
    samples = {name: SignalSample(name, (), {"nominal": tables[name]}, None, None, None, False, ()) for name in SIGNALS}
    return InjectionData(SearchData(tables["qcd"]), samples, load_config(preset="best"))


def measure(point: Point) -> Point:
    """Limits with each set of features, and with the choice among both."""
    signal, data = point["signal"], shared()
    ready = prepare_point(signal, data)
    results = {
        name: [
            inject(Injection(signal, ready.window, strength, sampling, "cwola", features), data)
            for strength in ready.strengths
            for sampling in range(data.config.limits.samplings)
        ]
        for name, features in FEATURES.items()
    }
    found = {name: summary(of) for name, of in results.items()}
    both = summary([one for of in results.values() for one in of])
    return {"window": list(ready.window.signal), "strengths": list(ready.strengths), "limits": {**found, "both": both}}


@study(minutes=60.0)
def main(budget: Budget) -> None:
    """Run the study and print the limits and their ratios to the inclusive one."""
    for point in run(NAME, POINTS, measure, budget):
        click.echo(f"{point['signal']}, window {point['window'][0]:g}-{point['window'][1]:g} GeV:")
        for features, limits in point["limits"].items():
            inclusive = limits["inclusive"]["expected"][2]
            for rule, one in limits.items():
                expected = one["expected"]
                where = f", {one['selection']}" if "selection" in one else ""
                click.echo(
                    f"  {features:10s} {rule:16s} expected {expected[2]:.0f} ({expected[1]:.0f} to {expected[3]:.0f}), "
                    f"inclusive / expected {inclusive / expected[2]:.2f}, observed {one['observed']:.0f}{where}"
                )


if __name__ == "__main__":
    main()
