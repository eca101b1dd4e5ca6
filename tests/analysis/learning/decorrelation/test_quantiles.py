"""Ranks given m_jj, learned beside the window, against the closed form of toys."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.errors import TableError
from analysis.events.table import EventTable
from analysis.learning.decorrelation import QuantileMap, QuantileScaling
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import fold_tasks, run_window, train_folds
from analysis.validation.drift import area_under_curve
from tests.builders.toy_tables import WINDOW, dijet_masses, table_of, toy_config

SCAN = RegionScan((WINDOW,), 100.0)
SCALING = QuantileScaling.of_window(WINDOW)
RANGES = ((3000, 3300), (3300, 3500), (3500, 3700), (3700, 4500), (4500, 6500))


def background(n_events: int, kind: str, *, random_state: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Masses, a feature that follows them, and its exact rank given the mass (NaN if it is not continuous)."""
    rng = np.random.default_rng(random_state)
    mjj = dijet_masses(n_events, rng)
    u = rng.random(n_events)
    if kind == "location and width":
        return mjj, stats.norm.ppf(u) * mjj / 5000 + mjj / 1000, u
    if kind == "strong location":  # 17 standard deviations over the fit range
        return mjj, stats.norm.ppf(u) + mjj / 200, u
    if kind == "skewed, quadratic":
        return mjj, stats.gamma.ppf(u, 2) * (mjj / 3000) ** 2, u
    if kind == "integers":
        return mjj, stats.poisson.ppf(u, 60 * (mjj / 3500) ** 0.7), np.full(n_events, np.nan)
    if kind == "peak and tail":  # as groomed masses: a narrow peak that stays, and a tail that grows with the mass
        return mjj, np.where(u < 0.6, rng.gamma(3, 1.0, n_events), rng.exponential(mjj / 10)), np.full(n_events, np.nan)
    atom = rng.random(n_events) < 0.05 + 0.05 * (mjj - 3000) / 3500
    return mjj, np.where(atom, 1.0, stats.beta.ppf(u, 3, 2)), np.full(n_events, np.nan)


KINDS = ("location and width", "strong location", "skewed, quadratic", "integers", "atom", "peak and tail")


def table(n_events: int, kind: str, *, random_state: int) -> EventTable:
    mjj, x, _ = background(n_events, kind, random_state=random_state)
    return table_of(mjj, x[:, None])


@pytest.mark.parametrize("kind", KINDS)
def test_new_events_are_uniform_at_every_mass_also_in_the_window(kind: str) -> None:
    """At 1 % the error of the bound is the one of 60,000 training events and of the tested ones."""
    scaling = SCALING.fit(table(60_000, kind, random_state=1), ("x0",))
    tested = table(60_000, kind, random_state=2)
    ranks = scaling.apply(tested).column("x0")
    for low, high in RANGES:
        inside = ranks[(tested.mjj >= low) & (tested.mjj < high)]
        assert stats.kstest(inside, "uniform").statistic < 0.012 + 1.63 / np.sqrt(len(inside))
        if high <= 3700:
            assert (inside < 0.01).mean() == pytest.approx(0.01, abs=0.005)
            assert (inside > 0.99).mean() == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize("kind", KINDS[:3])
def test_ranks_are_those_of_the_closed_form(kind: str) -> None:
    scaling = SCALING.fit(table(60_000, kind, random_state=3), ("x0",))
    mjj, x, exact = background(20_000, kind, random_state=4)
    found = scaling.apply(table_of(mjj, x[:, None])).column("x0")
    inside = WINDOW.in_signal(mjj)
    assert np.abs(found - exact)[inside].max() < 0.03
    assert np.abs(found - exact)[inside].mean() < 0.008


def test_events_inside_the_mask_shape_nothing() -> None:
    mjj, x, _ = background(8000, "atom", random_state=5)
    masked = (mjj >= WINDOW.mask[0]) & (mjj < WINDOW.mask[1])
    changed = np.where(masked, 7.0, x)
    weight = np.where(masked, 5.0, 1.0)
    first = SCALING.fit(table_of(mjj, x[:, None]), ("x0",))
    second = SCALING.fit(table_of(mjj, changed[:, None], weight=weight), ("x0",))
    third = SCALING.fit(table_of(mjj, x[:, None]).select(~masked), ("x0",))
    for other in (second, third):
        for name in QuantileMap.PARTS:
            np.testing.assert_array_equal(getattr(other, name), getattr(first, name))
    beside = np.where(masked, x, 7.0)
    assert not np.array_equal(SCALING.fit(table_of(mjj, beside[:, None]), ("x0",)).curves, first.curves)


def test_order_at_a_mass_undefined_values_and_other_columns_are_kept() -> None:
    mjj, x, _ = background(5000, "skewed, quadratic", random_state=6)
    x[::10] = np.nan
    given = table_of(np.where(np.arange(5000) < 500, 3456.0, mjj), np.stack([x, x], axis=1))
    scaling = QuantileScaling.of_window(WINDOW, only=("x1",)).fit(given, ("x0", "x1"))
    assert scaling.features == ("x1",)
    found = scaling.apply(given)
    np.testing.assert_array_equal(found.column("x0"), given.column("x0"))
    np.testing.assert_array_equal(np.isnan(found.column("x1")), np.isnan(x))
    same = found.column("x1")[:500], given.column("x1")[:500]
    known = ~np.isnan(same[0])
    assert (np.diff(same[0][known][np.argsort(same[1][known])]) >= 0).all()
    assert 0 < np.nanmin(found.column("x1")) < np.nanmax(found.column("x1")) < 1


def test_equal_values_are_spread_by_the_event_alone() -> None:
    given = table(4000, "integers", random_state=7)
    scaling = SCALING.fit(given, ("x0",))
    ranks = scaling.apply(given).column("x0")
    assert len(np.unique(ranks)) > 3900
    rows = np.arange(4000)[::-7]
    some = EventTable(given.table.take(rows), given.features)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(scaling)).apply(some).column("x0"), ranks[rows])


def test_negative_weights_cancel_events() -> None:
    """Events with x1 > 3 cancel in pairs of weights of both signs."""
    mjj, x, _ = background(20_000, "location and width", random_state=8)
    more = np.concatenate([x, x[:4000], x[:4000]])
    masses = np.concatenate([mjj, mjj[:4000], mjj[:4000]])
    weight = np.repeat([1.0, 1.0, -1.0], [20_000, 4000, 4000])
    plain = SCALING.fit(table_of(mjj, x[:, None]), ("x0",))
    signed = SCALING.fit(table_of(masses, more[:, None], weight=weight), ("x0",))
    tested = table(2000, "location and width", random_state=9)
    difference = plain.apply(tested).column("x0") - signed.apply(tested).column("x0")
    assert np.abs(difference).mean() < 0.01


@pytest.mark.parametrize(("kept", "side"), [(lambda mjj: mjj < 3700, "above"), (lambda mjj: mjj > 3300, "below")])
def test_a_side_without_events_is_an_error_with_the_remedy(kept: Any, side: str) -> None:
    given = table(3000, "strong location", random_state=10)
    with pytest.raises(TableError, match=rf"0 training events {side} the mask.*learning\.decorrelation"):
        SCALING.fit(given.select(kept(given.mjj)), ("x0",))


def searched(n_signal: int, *, random_state: int) -> EventTable:
    """Two features that drift by a standard deviation in 200 GeV, and signal two standard deviations below both."""
    rng = np.random.default_rng(random_state)
    mjj = np.concatenate([dijet_masses(20_000, rng), rng.normal(3500, 80, n_signal)])
    X = rng.normal(mjj[:, None] / 200, 1.0, (len(mjj), 2))
    X[20_000:] = rng.normal(3500 / 200 - 2.2, 0.4, (n_signal, 2))
    origin = np.repeat(np.array(["background", "signal"], object), [20_000, n_signal])
    return table_of(mjj, X, dataset=origin)


def settings(decorrelation: str) -> Any:
    return toy_config(learning={"decorrelation": decorrelation, "n_members": 2})


def separation(given: EventTable, decorrelation: str) -> tuple[float, float]:
    """Area under the curve of window against sidebands with the out-of-fold scores, and its error."""
    tasks = fold_tasks(WINDOW, SCAN.edges(WINDOW), settings(decorrelation), 0)
    scores = train_folds(tasks, SearchData(given)).scores.mean()
    inside, beside = WINDOW.in_signal(given.mjj), WINDOW.in_lower(given.mjj) | WINDOW.in_upper(given.mjj)
    weight = np.ones(len(given))
    return area_under_curve(scores[inside], scores[beside], weight[inside], weight[beside])


def test_a_classifier_of_pure_background_no_longer_knows_the_window() -> None:
    given = searched(0, random_state=11)
    before, error = separation(given, "none")
    after, _ = separation(given, "quantiles")
    assert before > 0.5 + 20 * error
    assert after == pytest.approx(0.5, abs=3 * error)


def test_a_signal_is_found_that_the_drift_hid() -> None:
    given = searched(250, random_state=12)
    efficiency, z = {}, {}
    for kind in ("none", "quantiles"):
        result = run_window(SearchData(given), WINDOW, SCAN, settings(kind))
        assert result.passes is not None
        signal = (given.column("dataset") == "signal") & WINDOW.in_signal(given.mjj)
        efficiency[kind] = float(result.passes[signal, -1].mean())
        z[kind] = result.selections[-1].discovery
    assert efficiency["none"] < 0.15
    assert efficiency["quantiles"] > 0.5
    assert z["quantiles"] is not None
    assert z["quantiles"].z > 4


def test_maps_of_a_blinded_search_are_kept() -> None:
    """They hold no event of the window, unlike percentiles."""
    given = searched(0, random_state=13)
    result = run_window(SearchData(given, blinded=True), WINDOW, SCAN, settings("quantiles"))
    assert result.status == "ok"
    assert len(result.scalings) == 3
