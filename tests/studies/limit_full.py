"""The limit rules at full size, on Pythia events: twenty pseudo-experiments with a known signal.

Background are the Pythia QCD samples with m_jj drawn anew from a smooth fit, as in `tests.studies.exact_null`; signal
is W'(3500) -> B(500) C(100). One half of the simulated signal is nature, of which a Poisson number is hidden in the
data; the other half is the simulation that is injected and measures the efficiency. Settings of `best`, six strengths
and none, five samplings. Strengths are numbers of signal events that the event selection keeps.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import click
import numpy as np

from analysis.config import SearchConfig, load_config
from analysis.events.table import EventTable
from analysis.limits import LimitPoint, prepare_point
from analysis.limits.injection import InjectionData, inject
from analysis.limits.injection_values import Injection
from analysis.limits.signal_events import add_signal, sample_signal
from analysis.search.values import SearchData
from analysis.signals.yields import SignalSample
from tests.studies.exact_null import events as background_events
from tests.studies.exact_null import shuffled
from tests.studies.limit_rules import summary
from tests.studies.pythia import selected_events
from tests.studies.runner import Budget, Point, run, study

NAME = "limit_full"

SIGNAL = "wprime_3500_500_100"
TRUE = 60.0

POINTS = [{"true": TRUE, "draw": draw} for draw in range(20)]


@cache
def signal_events() -> tuple[EventTable, EventTable]:
    """What nature has, and what is simulated."""
    table = selected_events({"signal": (SIGNAL,)}, 0.0)["signal"]
    nature = np.arange(len(table)) % 2 == 0
    return table.select(nature), table.select(~nature)


def prepared(draw: int) -> tuple[LimitPoint, InjectionData, SearchConfig]:
    """One pseudo-experiment with its window and strengths."""
    config = load_config(preset="best", overrides={"random_state": draw})
    background = SearchData(shuffled(background_events()["qcd"], np.random.default_rng([draw, 7])))
    nature, simulated = signal_events()
    hidden = sample_signal(nature, TRUE, draw, purpose="nature", random_state=11)
    data = add_signal(background, hidden, "hidden")
    sample = SignalSample(SIGNAL, (), {"nominal": simulated}, None, None, None, False, ())
    shared = InjectionData(data, {SIGNAL: sample}, config)
    return prepare_point(SIGNAL, shared), shared, config


def measure(point: Point) -> Point:
    """Set the limits on one pseudo-experiment, by all rules."""
    ready, shared, config = prepared(point["draw"])
    learning = config.learning
    results = [
        inject(Injection(SIGNAL, ready.window, strength, sampling, learning.method, learning.features), shared)
        for strength in ready.strengths
        for sampling in range(config.limits.samplings)
    ]
    found: dict[str, Any] = {"window": list(ready.window.signal), "strengths": list(ready.strengths)}
    return found | {"limits": summary(results)}


@study(minutes=60.0)
def main(budget: Budget) -> None:
    """Run the study and print the limits by rule."""
    finished = run(NAME, POINTS, measure, budget)
    for rule in finished[0]["limits"] if finished else ():
        observed = np.array([point["limits"][rule]["observed"] for point in finished], np.float64)
        expected = np.array([point["limits"][rule]["expected"][2] for point in finished], np.float64)
        click.echo(
            f"{rule}: {int((observed >= TRUE).sum())} of {len(finished)} limits cover {TRUE:g} events; observed median "
            f"{np.median(observed):.0f} ({observed.min():.0f} to {observed.max():.0f}), expected median "
            f"{np.median(expected):.0f}"
        )


if __name__ == "__main__":
    main()
