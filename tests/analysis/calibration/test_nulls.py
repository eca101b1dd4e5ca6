"""Pseudo-data without signal: spectrum, features, independence, reproducibility."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from analysis.background import require_functions
from analysis.calibration.nulls import NullEvents, null_events
from analysis.config import SearchConfig
from analysis.errors import WindowError
from analysis.events.table import EventTable
from analysis.validation.samples import Setting
from tests.builders.toy_tables import WINDOW, toy_table

EDGES = np.arange(3000.0, 6501.0, 100.0)
CONFIG = SearchConfig()
SETTING = Setting(WINDOW, EDGES, CONFIG, require_functions(("dijet3",), "events"), needs_simulation=False)
TABLE = toy_table(20_000, 600, random_state=4)


def beside() -> np.ndarray:
    return (TABLE.mjj < WINDOW.mask[0]) | (TABLE.mjj >= WINDOW.mask[1])


@pytest.fixture(scope="module")
def nulls() -> NullEvents:
    return null_events(TABLE, SETTING)


def test_no_event_inside_the_mask_is_used(nulls: NullEvents) -> None:
    moved = TABLE.mjj.copy()
    inside = ~beside()
    moved[inside] = 3500.0
    features = np.where(inside, 99.0, TABLE.column("x0"))
    other = null_events(TABLE.replaced({"mjj": moved, "x0": features}), SETTING)
    drawn, same = (one.draw(0, 3).table for one in (nulls, other))
    assert drawn.table.equals(same.table)
    assert drawn.column("x0").max() < 50


def test_the_spectrum_is_the_smooth_one_with_as_many_events_as_without_the_signal(nulls: NullEvents) -> None:
    assert nulls.expected == pytest.approx(20_000, rel=0.03)
    drawn = [nulls.draw(0, number).table.mjj for number in range(20)]
    assert np.mean([len(masses) for masses in drawn]) == pytest.approx(nulls.expected, rel=0.01)
    expected = nulls.fit.expected(EDGES)[0]
    counts = np.histogram(np.concatenate(drawn), EDGES)[0]
    assert stats.chisquare(counts, expected / expected.sum() * counts.sum()).pvalue > 1e-3


def test_features_know_nothing_of_the_mass_and_are_those_beside_the_mask(nulls: NullEvents) -> None:
    table = nulls.draw(0, 1).table
    inside = WINDOW.in_signal(table.mjj)
    for name in ("x0", "x1"):
        assert stats.ks_2samp(table.column(name)[inside], table.column(name)[~inside]).pvalue > 1e-3
        assert set(table.column(name)) <= set(TABLE.column(name)[beside()])


def test_sets_differ_by_number_and_by_seed_and_are_repeated_exactly(nulls: NullEvents) -> None:
    first = nulls.draw(0, 0).table
    assert first.table.equals(nulls.draw(0, 0).table.table)
    for other in (nulls.draw(0, 1), nulls.draw(1, 0)):
        assert not first.table.equals(other.table.table)
    assert len(np.unique(first.event_id)) == len(first)


def test_simulation_gets_masses_of_the_same_spectrum_and_keeps_its_events() -> None:
    simulation = toy_table(9000, random_state=5)
    drawn = null_events(TABLE, SETTING, simulation).draw(0, 0).simulation
    assert isinstance(drawn, EventTable)
    np.testing.assert_array_equal(drawn.column("x0"), simulation.column("x0"))
    assert stats.ks_2samp(drawn.mjj, null_events(TABLE, SETTING).draw(0, 9).table.mjj).pvalue > 1e-3


def test_weighted_events_give_a_spectrum_of_weights() -> None:
    halves = TABLE.replaced({"weight": np.full(len(TABLE), 0.5)})
    drawn = null_events(halves, SETTING)
    assert drawn.expected == pytest.approx(20_000, rel=0.03)
    assert set(drawn.draw(0, 0).table.weight) == {0.5}


def test_further_masks_take_events_away_but_not_the_spectrum(nulls: NullEvents) -> None:
    masked = null_events(TABLE, SETTING, masks=[(3000.0, 3200.0)])
    assert masked.expected == nulls.expected
    assert masked.events.mjj.min() >= 3200.0


def test_too_few_events_beside_the_masks_are_an_error_with_a_remedy() -> None:
    with pytest.raises(WindowError, match=r"only \d+ events lie beside the masks .* --window NAME"):
        null_events(TABLE, SETTING, masks=[(3000.0, 5500.0)])


def test_an_exact_null_has_standard_normal_counts_for_a_cut_that_is_not_trained(nulls: NullEvents) -> None:
    lighter = replace(nulls, expected=4000.0)
    low, high = nulls.fit.estimate(*WINDOW.signal).value, nulls.fit.expected(EDGES)[0].sum()
    probability = low / high
    z = []
    for number in range(300):
        table = lighter.draw(0, number).table
        chosen = table.column("x0") > 1.0
        inside = WINDOW.in_signal(table.mjj[chosen])
        z.append((inside.sum() - probability * len(inside)) / np.sqrt(len(inside) * probability * (1 - probability)))
    assert np.mean(z) == pytest.approx(0.0, abs=0.2)
    assert np.std(z) == pytest.approx(1.0, abs=0.15)
