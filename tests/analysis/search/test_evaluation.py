"""What follows the cut, for selections that keep a part of an event, as averaged ensembles do."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analysis.learning import PassWeights
from analysis.regions import RegionScan
from analysis.search import evaluation
from analysis.search.evaluation import evaluate_window
from analysis.search.values import SearchData, SelectionResult
from analysis.statistics import LimitResult, discovery, upper_limit
from tests.builders.toy_tables import WINDOW, dijet_masses, table_of, toy_config

Array = NDArray[np.float64]

CONFIG = toy_config()
EDGES = RegionScan.from_config(CONFIG.scan).edges(WINDOW)


def evaluated(mjj: Array, weight: Array, *, blinded: bool = False) -> SelectionResult:
    """The selection of events with these pass weights."""
    data = SearchData(table_of(mjj, np.zeros((len(mjj), 1), np.float32)), blinded=blinded)
    values = np.stack([np.ones(len(mjj)), weight], axis=1)
    passes = PassWeights((1.0, 0.1), (1.0, float(weight.mean())), values, np.zeros((1, 2, 2)))
    return evaluate_window(data, WINDOW, EDGES, passes, (), CONFIG).selections[1]


def test_half_of_every_event_halves_all_events_and_changes_no_p_value() -> None:
    rng = np.random.default_rng(1)
    mjj = dijet_masses(15_000, rng)
    passing = (rng.random(len(mjj)) < 0.1).astype(float)
    whole, half = evaluated(mjj, passing), evaluated(mjj, 0.5 * passing)
    assert (whole.weight, half.weight) == (1.0, pytest.approx(0.5))
    assert half.n_obs == pytest.approx(0.5 * (whole.n_obs or 0))
    # The other halves are among the events that fail, and move their shape a little.
    assert half.background == pytest.approx(0.5 * (whole.background or 0), rel=1e-3)
    assert half.background_error == pytest.approx(0.5 * (whole.background_error or 0), rel=1e-2)
    assert whole.discovery is not None
    assert half.discovery is not None
    assert half.discovery.z == pytest.approx(whole.discovery.z, abs=0.005)
    assert whole.limit is not None
    assert half.limit is not None
    assert half.limit.observed_events == pytest.approx(0.5 * (whole.limit.observed_events or 0), rel=1e-2)
    assert half.limit.expected_events == pytest.approx(0.5 * np.array(whole.limit.expected_events), rel=1e-2)


def test_the_workspace_is_in_effective_events() -> None:
    rng = np.random.default_rng(2)
    mjj = dijet_masses(6000, rng)
    found = evaluated(mjj, rng.choice([0.0, 0.2, 1.0], size=len(mjj), p=[0.8, 0.1, 0.1]))
    # sum w^2 / sum w = (0.04 + 1) / (0.2 + 1)
    assert found.weight == pytest.approx(1.04 / 1.2, rel=0.05)
    assert found.workspace is not None
    assert found.workspace["observations"][0]["data"] == [pytest.approx((found.n_obs or 0) / found.weight)]
    assert discovery(found.workspace) == found.discovery
    limit = upper_limit(found.workspace).observed_events or 0
    assert found.limit is not None
    assert found.limit.observed_events == pytest.approx(limit * found.weight)


def test_the_weight_is_that_of_the_sidebands() -> None:
    # Twice the events in the window alone: nothing but the count changes, and a blinded window tells the same.
    rng = np.random.default_rng(4)
    mjj = dijet_masses(6000, rng)
    weight = rng.choice([0.0, 0.2, 1.0], size=len(mjj), p=[0.8, 0.1, 0.1])
    inside = WINDOW.in_signal(mjj)
    more = np.concatenate([mjj, mjj[inside]]), np.concatenate([weight, np.ones(inside.sum())])
    seen, changed, hidden = evaluated(mjj, weight), evaluated(*more), evaluated(mjj, weight, blinded=True)
    assert {one.weight for one in (changed, hidden)} == {seen.weight}
    assert {one.background for one in (changed, hidden)} == {seen.background}
    assert seen.limit is not None
    assert hidden.limit is not None
    assert hidden.limit.expected_events[2] == pytest.approx(seen.limit.expected_events[2], rel=0.1)


@pytest.mark.thorough
@pytest.mark.parametrize("n_events", [4000, 20_000])
def test_fractions_of_events_give_z_of_unit_width(n_events: int, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = LimitResult("visible-events", "none", None, (1.0,) * 5)
    monkeypatch.setattr(evaluation, "upper_limit", lambda workspace, **options: limit)
    rng, n_toys = np.random.default_rng(6), 150
    z = []
    for _ in range(n_toys):
        mjj = dijet_masses(rng.poisson(n_events), rng)
        weight = rng.choice([0.0, 0.1, 1.0], size=len(mjj), p=[0.8, 0.15, 0.05])
        found = evaluated(mjj, weight).discovery
        assert found is not None
        z.append(found.z)
    # Taken for plain counts they would have a width of sqrt(sum w^2 / sum w) = sqrt(0.0515 / 0.065) = 0.89.
    assert abs(np.mean(z)) < 3 / np.sqrt(n_toys)
    assert abs(np.std(z) - 1) < 3 / np.sqrt(2 * n_toys)


def both(mjj: NDArray[np.float64], loose: NDArray[np.bool_], tight: NDArray[np.bool_]) -> list[SelectionResult]:
    """Two selections, the tighter one first."""
    data = SearchData(table_of(mjj, np.zeros((len(mjj), 1), np.float32)))
    values = np.stack([np.ones(len(mjj)), tight, loose], axis=1).astype(float)
    passes = PassWeights((1.0, 0.02, 0.1), (1.0, 0.02, 0.1), values, np.zeros((1, 2, 3)))
    return list(evaluate_window(data, WINDOW, EDGES, passes, (), CONFIG, limits=False).selections)


def test_a_selection_tighter_than_one_that_is_no_smooth_fraction_is_fitted_alone_too() -> None:
    rng = np.random.default_rng(4)
    mjj = dijet_masses(30_000, rng)
    uniform, bump = rng.random(len(mjj)), np.exp(-0.5 * ((mjj - 3500.0) / 300.0) ** 2)
    smooth = both(mjj, uniform < 0.1, uniform < 0.02)
    sculpted = both(mjj, uniform < 0.05 + 0.15 * bump, uniform < 0.02)
    functions = [[one.fit.function.n_ratio for one in found if one.fit is not None] for found in (smooth, sculpted)]
    assert functions == [[0, 2, 2], [0, 0, 0]]
    assert [one.name for one in sculpted] == ["inclusive", "eff_0.02", "eff_0.1"]
    # The false excess of a smooth fraction: the bump doubles the selected events of the window.
    assert sculpted[2].discovery is not None
    assert abs(sculpted[2].discovery.z) < 5
