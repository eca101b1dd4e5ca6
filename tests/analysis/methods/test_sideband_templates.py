"""Templates made of sideband events: `curtains` and `interpolated_sidebands`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.config import ClassifierConfig
from analysis.errors import WindowError
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, Samples, TrainingSet
from analysis.learning.training_set import Rows
from analysis.methods import METHODS, Curtains, InterpolatedSidebands
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import run_window
from tests.builders.toy_tables import WINDOW, dijet_masses, table_of, toy_config

SEED = np.random.SeedSequence(1)
SCAN = RegionScan.from_config(toy_config().scan)
NAMES = ("x0", "x1")
TEMPLATES = ("curtains", "interpolated_sidebands")

every_template = pytest.mark.parametrize("name", TEMPLATES)


def drifting(n_events: int = 4000, seed: int = 1, **columns: Any) -> EventTable:
    """Background whose first feature moves by one width in 400 GeV."""
    rng = np.random.default_rng(seed)
    mass = dijet_masses(n_events, rng)
    X = np.stack([rng.normal((mass - 3500) / 400), rng.normal(size=n_events)], axis=1)
    return table_of(mass, X.astype(np.float32), **columns)


def with_bump(table: EventTable, n_events: int) -> EventTable:
    """The same events, and others in the window."""
    rng = np.random.default_rng(9)
    mjj = np.concatenate([table.mjj, rng.normal(3500, 30, n_events)])
    X = np.concatenate([table.matrix(NAMES), rng.normal(2.0, 0.1, (n_events, 2)).astype(np.float32)])
    weight = np.concatenate([table.weight, np.ones(n_events)])
    identity = np.concatenate([table.event_id, np.arange(n_events, dtype=np.uint64)])
    return table_of(mjj, X, event_id=identity, weight=weight)


def contrast(method: Any, table: EventTable) -> TrainingSet:
    found: TrainingSet = method.contrast(Samples(table), WINDOW, NAMES, random_state=SEED)
    return found


def held_out_template(method: Any, training: EventTable, held_out: EventTable) -> Rows:
    found: Rows = method.template(Samples(training), Samples(held_out), WINDOW, NAMES, random_state=SEED)
    return found


def beside(table: EventTable) -> set[int]:
    return set(table.event_id[WINDOW.in_lower(table.mjj) | WINDOW.in_upper(table.mjj)].tolist())


@every_template
def test_signal_in_the_window_changes_no_bit_of_the_template(name: str) -> None:
    table, method = drifting(), METHODS[name]
    parts = [contrast(method, one) for one in (table, with_bump(table, 500))]
    first, second = (part.rows(part.y == 0) for part in parts)
    assert (parts[1].y == 1).sum() == (parts[0].y == 1).sum() + 500
    np.testing.assert_array_equal(first.X, second.X)
    np.testing.assert_array_equal(first.group, second.group)
    shares = [part.sample_weight / part.sample_weight.sum() for part in (first, second)]
    np.testing.assert_allclose(shares[0], shares[1], rtol=1e-13)
    rows = [held_out_template(method, one, drifting(seed=2)) for one in (table, with_bump(table, 500))]
    np.testing.assert_array_equal(rows[0].X, rows[1].X)
    np.testing.assert_array_equal(rows[0].weight, rows[1].weight)


@every_template
def test_the_template_is_made_of_sideband_events_with_half_the_weight_each(name: str) -> None:
    table = drifting()
    training = contrast(METHODS[name], table)
    template = training.rows(training.y == 0)
    assert set(template.group.tolist()) == beside(table)
    low = np.isin(template.group, table.event_id[WINDOW.in_lower(table.mjj)])
    assert template.sample_weight[low].sum() == pytest.approx(template.sample_weight[~low].sum())


def test_moved_events_have_the_features_of_the_window() -> None:
    table = drifting(40_000)
    training = contrast(Curtains(), table)
    data, template = (training.rows(training.y == k) for k in (1, 0))
    mean = np.average(template.X, axis=0, weights=template.sample_weight)
    np.testing.assert_allclose(mean, data.X.mean(axis=0), atol=0.04)
    width = np.sqrt(np.average((template.X - mean) ** 2, axis=0, weights=template.sample_weight))
    np.testing.assert_allclose(width, data.X.std(axis=0), atol=0.04)
    assert table.matrix(NAMES)[:, 0].std() > 1.3 * width[0]


def test_copies_share_the_weight_of_their_event_and_go_to_different_masses() -> None:
    table = drifting()
    once, often = (contrast(Curtains(copies=copies), table) for copies in (1, 4))
    shares = []
    for training in (once, often):
        template = training.rows(training.y == 0)
        assert template.sample_weight.sum() == pytest.approx(training.sample_weight[training.y == 1].sum())
        events, row = np.unique(template.group, return_inverse=True)
        shares.append(np.bincount(row, template.sample_weight) / template.sample_weight.sum())
        assert (np.bincount(row) == (1 if training is once else 4)).all()
        assert set(events.tolist()) == beside(table)
    np.testing.assert_allclose(shares[0], shares[1])
    template = often.rows(often.y == 0)
    first = template.X[template.group == template.group[0], 0]
    assert len(set(first.tolist())) == 4


@every_template
def test_a_held_out_template_holds_events_of_the_held_out_sidebands_alone(name: str) -> None:
    rest = drifting(1000, seed=3, event_id=np.arange(1000, dtype=np.uint64))
    rows = held_out_template(METHODS[name], drifting(), rest)
    assert set(rows.group.tolist()) == beside(rest)
    assert rows.weight.sum() == pytest.approx(1)
    nothing = rest.select(WINDOW.in_signal(rest.mjj))
    assert held_out_template(METHODS[name], drifting(), nothing).weight.size == 0


@every_template
def test_undefined_constant_and_extreme_values_break_nothing(name: str) -> None:
    table = drifting(3000)
    X = table.matrix(NAMES).copy()
    X[:, 0] = np.clip(X[:, 0], 0, 1)
    X[::7, 0] = np.nan
    X[:, 1] = 5.0
    training = contrast(METHODS[name], table_of(table.mjj, X))
    assert np.isnan(training.X[training.y == 0, 0]).mean() == pytest.approx(1 / 7, abs=0.04)
    known = training.X[np.isfinite(training.X[:, 0]), 0]
    assert known.min() == 0
    assert known.max() == 1
    assert (training.X[:, 1] == 5).all()


@every_template
def test_negative_weights_keep_the_sums(name: str) -> None:
    weight = np.where(np.random.default_rng(4).random(4000) < 0.1, -0.5, 1.0)
    training = contrast(METHODS[name], drifting(weight=weight))
    assert training.sample_weight.min() > 0
    sums = [training.sample_weight[training.y == k].sum() for k in (0, 1)]
    assert sums[0] == pytest.approx(sums[1])


@every_template
def test_too_few_events_beside_the_window_are_one_clear_error(name: str) -> None:
    table = drifting()
    few = np.flatnonzero(WINDOW.in_upper(table.mjj))[12:]
    poor = table.select(~np.isin(np.arange(len(table)), few))
    message = "window 3300-3700 GeV: 12 events of data to train on in the upper sideband, 3700-3900 GeV, are too few"
    with pytest.raises(WindowError, match=message):
        contrast(METHODS[name], poor)
    result = run_window(SearchData(poor), WINDOW, SCAN, toy_config(learning={"method": name}))
    assert result.reason is not None
    assert "of data to train on in the upper sideband, 3700-3900 GeV, are too few" in result.reason


def test_interpolated_weights_are_those_of_the_log_linear_density() -> None:
    """Cells with densities exp(±0.2 cell) in the sidebands: flat in the middle, but for the spread of the masses."""
    rng, n_events, cells = np.random.default_rng(5), 20_000, np.arange(6)
    mjj, x = [], []
    for mass, slope in ((3200.0, 0.2), (3500.0, 0.0), (3800.0, -0.2)):
        density = np.exp(slope * cells)
        mjj.append(np.full(n_events, mass))
        x.append(rng.choice(cells, n_events, p=density / density.sum()))
    table = table_of(np.concatenate(mjj), np.concatenate(x)[:, None].astype(np.float32))
    method = InterpolatedSidebands(
        BoostedTrees(ClassifierConfig(n_estimators=60, max_depth=3, min_child_weight=1.0), 1)
    )
    training = method.contrast(Samples(table), WINDOW, ("x0",), random_state=SEED)
    template = training.rows(training.y == 0)
    share = np.bincount(template.X[:, 0].astype(int), template.sample_weight) / template.sample_weight.sum()
    np.testing.assert_allclose(share, 1 / 6, rtol=0.08)
