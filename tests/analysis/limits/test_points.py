"""Windows, strengths and documents of signal samples, without training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from analysis.config import SearchConfig
from analysis.errors import TableError, WindowError
from analysis.events.identity import event_hash
from analysis.events.table import EventTable
from analysis.limits import (
    FinalTask,
    LimitPoint,
    candidates,
    injection_limits,
    naive_selection,
    prepare_point,
    strength_of_significance,
    with_uncertainties,
)
from analysis.limits.injection import InjectionData
from analysis.limits.injection_values import InjectedSelection, Injection, InjectionResult, StoredSystematic
from analysis.regions import MassWindow
from analysis.search.values import SearchData
from analysis.signals.yields import SignalSample
from analysis.statistics import Counting, LimitResult, counting_workspace, discovery, upper_limit
from tests.builders.toy_tables import dijet_masses, table_of, toy_config

WINDOW = MassWindow((3400.0, 3600.0), (3200.0, 3400.0), (3600.0, 3800.0), (3300.0, 3700.0), (3000.0, 6500.0))


def sample_of(mass: float = 3500.0, width: float = 80.0, n_events: int = 4000) -> SignalSample:
    rng = np.random.default_rng(1)
    table = table_of(
        rng.normal(mass, width, n_events), np.zeros((n_events, 2)), event_id=event_hash(5, 1, np.arange(n_events))
    )
    return SignalSample("toy", (("A", mass),), {"nominal": table}, 2.0 * n_events, 0.01, 30.0, False, ())


def data_of(n_events: int = 20_000) -> EventTable:
    return table_of(dijet_masses(n_events, np.random.default_rng(2)), np.zeros((n_events, 2)))


def config_of(**limits: object) -> SearchConfig:
    return toy_config(
        scan={"windows": [[3300.0, 3700.0], [4000.0, 4400.0]]},
        statistics={"calculator": "asymptotics"},
        limits=limits,
    )


def shared_of(config: SearchConfig, table: EventTable, sample: SignalSample | None = None) -> InjectionData:
    return InjectionData(SearchData(table), {"toy": sample or sample_of()}, config)


def test_the_window_is_at_the_reconstructed_peak_and_does_not_know_its_counts() -> None:
    table = data_of()
    found = prepare_point("toy", shared_of(config_of(), table))
    low, high = found.window.signal
    assert low < 3500 < high
    assert found.window.mask[0] <= low
    assert found.window.lower == (low - 200, low)
    inside = (table.mjj >= found.window.mask[0]) & (table.mjj < found.window.mask[1])
    thinned = prepare_point("toy", shared_of(config_of(), table.select(~inside | (np.arange(len(table)) % 3 > 0))))
    assert thinned.window == found.window
    assert thinned.background == pytest.approx(found.background, rel=1e-9)
    assert thinned.strengths == found.strengths


def test_sidebands_of_a_window_can_take_the_whole_fit_range() -> None:
    config = config_of()
    wide = config.model_copy(update={"scan": config.scan.model_copy(update={"sideband_width": "fit-range"})})
    near, found = (prepare_point("toy", shared_of(one, data_of())).window for one in (config, wide))
    assert (found.signal, found.mask) == (near.signal, near.mask)
    assert (found.lower[0], found.upper[1]) == found.fit_range == wide.scan.fit_range


def test_windows_of_the_search_are_used_where_asked_for() -> None:
    found = prepare_point("toy", shared_of(config_of(window="scan"), data_of(), sample_of(mass=4150.0)))
    assert found.window.signal == (4000.0, 4400.0)
    inside = (sample_of(mass=4150.0).tables["nominal"].mjj >= 4000).mean()
    assert found.net == pytest.approx(inside, rel=0.2)


def test_strengths_are_parts_of_the_inclusive_limit_and_stop_at_half_the_sample() -> None:
    found = prepare_point("toy", shared_of(config_of(strengths=[0.1, 1.0, 0.5]), data_of()))
    limit = found.inclusive.expected_events[2]
    assert found.strengths == pytest.approx((0.0, 0.1 * limit, 0.5 * limit, limit), rel=1e-3)
    small = sample_of(n_events=120)
    few = prepare_point("toy", shared_of(config_of(strengths=[0.1, 1.0, 0.5]), data_of(), small))
    assert max(few.strengths) <= 60 < min(few.left_out)
    with pytest.raises(TableError, match=r"signal toy: the weakest injection needs .* and 30 are simulated"):
        prepare_point("toy", shared_of(config_of(strengths=[1.0]), data_of(), sample_of(n_events=30)))


def test_a_signal_outside_is_refused() -> None:
    with pytest.raises(WindowError, match=r"signal toy has no event in 3000-6500 GeV"):
        prepare_point("toy", shared_of(config_of(), data_of(), sample_of(mass=2000.0)))
    with pytest.raises(WindowError, match="signal toy peaks in"):
        prepare_point("toy", shared_of(config_of(), data_of(), sample_of(mass=3020.0, width=10.0)))


def test_three_sigma_are_three_sigma() -> None:
    found = prepare_point("toy", shared_of(config_of(), data_of()))
    n = found.background + strength_of_significance(found, 3.0) * found.net
    workspace = counting_workspace(Counting(n, found.background, found.background_error), channel="c", measurement="m")
    assert discovery(workspace).z == pytest.approx(3.0, abs=2e-3)


def selection(name: str, signal: float, events: Sequence[float], n_obs: float = 100.0) -> InjectedSelection:
    """Limits of `events` (expected -2 ... 2) selected events over an efficiency."""
    expected = tuple(value / signal for value in events)
    return InjectedSelection(
        name, 0.1, n_obs, 100.0, 5.0, 1.0, signal, 0.0, expected=expected, observed=1.2 * expected[2]
    )


def results_of(efficiency: dict[float, list[float]]) -> list[InjectionResult]:
    """One tight selection with the given efficiencies by strength and sampling; 20 events are excluded."""
    events = (10.0, 14.0, 20.0, 28.0, 38.0)
    found = []
    for strength, values in efficiency.items():
        for sampling, value in enumerate(values):
            tight = selection("eff_0.1", value, events)
            all_ = (
                (selection("inclusive", 0.8, np.multiply(8.0, events).tolist()),) if strength == sampling == 0 else ()
            )
            injection = Injection("toy", WINDOW, strength, sampling, "cwola", ("x0",))
            found.append(InjectionResult(injection, round(strength), (*all_, tight)))
    return found


def point() -> LimitPoint:
    inclusive = LimitResult("visible-events", "asymptotics", 1.0, (1.0,) * 5)
    return LimitPoint("toy", WINDOW, inclusive, 1000.0, 30.0, 0.8, (0.0, 40.0, 100.0))


def test_all_rules_from_one_set_of_injections() -> None:
    """20 events over 0.1, 0.25 and 0.5: limits 200, 80 and 40 at strengths 0, 40 and 100."""
    results = results_of({0.0: [0.1, 0.1, 0.1], 40.0: [0.25, 0.25, 0.25], 100.0: [0.5, 0.5, 0.5]})
    sample = sample_of()
    found = {
        one.rule: one
        for one in injection_limits(point(), sample, results, finish=lambda tasks: [t.selection for t in tasks])
    }
    assert found["inclusive"].expected_selected == pytest.approx([100, 140, 200, 280, 380])
    assert found["atlas-2020"].expected_selected[2] == pytest.approx(80.0)
    assert found["atlas-2020"].strength == 40.0
    assert found["atlas-2020"].observed_selected == pytest.approx(96.0)
    x = np.log([40.0, 100.0])
    y = np.log([80.0, 40.0])
    t = (y[0] - x[0]) / ((y[0] - x[0]) - (y[1] - x[1]))
    assert found["atlas-2025"].expected_selected[2] == pytest.approx(np.exp(x[0] + t * (x[1] - x[0])))
    assert found["fixed-efficiency"].expected_selected[2] == pytest.approx(20.0 / 0.5)
    per_event = 2.0 * 4000 / (4000 * 30.0)
    assert all(one.fb_per_selected == pytest.approx(per_event) for one in found.values())
    assert found["atlas-2020"].observed_fb == pytest.approx(96.0 * per_event)


def test_one_failed_training_does_not_hide_the_others() -> None:
    results = results_of({0.0: [0.1, 0.1, 0.1], 40.0: [0.25, 0.25, 0.25]})
    failed = replace(results[-1], selections=(), reason="no events")
    (inclusive, tight) = candidates([*results[:-1], failed])
    assert [one is None for one in tight.found[40.0]] == [False, False, True]
    assert inclusive.selection == "inclusive"
    assert naive_selection(tight) is not None
    only = replace(tight, found={0.0: (None, None, None), 40.0: tight.found[40.0]})
    assert naive_selection(only) is None


def test_nothing_to_limit_is_said_for_every_rule() -> None:
    failed = [
        replace(one, selections=(), reason="no events in the window") for one in results_of({0.0: [0.1], 40.0: [0.2]})
    ]
    found = injection_limits(point(), sample_of(), failed, finish=lambda tasks: [t.selection for t in tasks])
    assert [one.rule for one in found] == ["inclusive", "fixed-efficiency", "atlas-2020", "atlas-2025"]
    assert all(one.reason for one in found)


def test_uncertainties_of_the_signal_enter_the_final_limit() -> None:
    one = replace(
        selection("eff_0.1", 0.4, (1.0,) * 5, n_obs=112.0),
        modifiers=(StoredSystematic("jms", "normsys", 1.3, 0.75), StoredSystematic("lumi", "lumi", 0.02, None)),
    )
    settings = config_of().statistics
    found = with_uncertainties(FinalTask("toy", one), settings)
    plain = with_uncertainties(FinalTask("toy", replace(one, modifiers=())), settings)
    workspace = counting_workspace(
        Counting(112.0, 100.0, 5.0),
        channel="c",
        measurement="m",
        signal_systematics=[stored.systematic for stored in one.modifiers],
    )
    expected = upper_limit(workspace, calculator="asymptotics").observed_events
    assert found.observed == pytest.approx((expected or 0.0) / 0.4, rel=1e-3)
    assert found.expected[2] > 1.01 * plain.expected[2]
    assert found.expected[2] != pytest.approx(found.observed, rel=0.1)
