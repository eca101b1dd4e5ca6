"""Drift of features with m_jj: closed forms, toys with and without one, and what is never looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.config import LearningConfig, SearchConfig
from analysis.events.table import EventTable
from analysis.validation.drift import (
    MAX_DRIFT,
    Separation,
    WindowDrift,
    area_under_curve,
    drift_notes,
    measure_drift,
    slices,
)
from tests.builders.toy_tables import FIT_RANGE, WINDOW, dijet_masses, feature_names, table_of


def configured(**learning: Any) -> SearchConfig:
    return SearchConfig.model_validate({"learning": learning})


def learning(**settings: Any) -> LearningConfig:
    return LearningConfig(**({"features": feature_names(2)} | settings))


def toy(n_events: int, seed: int, *, per_200_gev: float = 0.0, **columns: Any) -> EventTable:
    """Normal features, of which the first moves by so many of its standard deviations in 200 GeV."""
    rng = np.random.default_rng(seed)
    mjj = dijet_masses(n_events, rng)
    X = rng.normal(size=(n_events, 2))
    X[:, 0] += per_200_gev * mjj / 200
    return table_of(mjj, X.astype(np.float32), **columns)


def test_the_area_is_that_of_mann_and_whitney() -> None:
    rng = np.random.default_rng(1)
    above, below = rng.integers(2, 9, 300).astype(float), rng.integers(0, 7, 500).astype(float)
    area, _ = area_under_curve(above, below, np.ones(300), np.ones(500))
    assert area == pytest.approx(stats.mannwhitneyu(above, below).statistic / (300 * 500))


def test_the_error_of_the_area_is_its_spread_and_weights_count() -> None:
    rng = np.random.default_rng(2)
    found = []
    for _ in range(400):
        above, below = rng.normal(0.7, 1.0, 120), rng.normal(0.0, 1.0, 200)
        found.append(area_under_curve(above, below, rng.choice([1.0, 4.0], 120), np.ones(200)))
    areas, errors = np.array(found).T
    assert areas.mean() == pytest.approx(stats.norm.cdf(0.7 / 2**0.5), abs=0.005)
    assert errors.mean() == pytest.approx(areas.std(), rel=0.1)


@pytest.mark.parametrize("above", [[1.0] * 50, [2.0] * 50], ids=["equal scores", "no overlap"])
def test_an_area_always_has_an_error(above: list[float]) -> None:
    """That of the rank test without ties, √((1/50 + 1/100) / 12)."""
    _, error = area_under_curve(np.array(above), np.ones(100), np.ones(50), np.ones(100))
    assert error == pytest.approx((0.03 / 12) ** 0.5)


def test_a_linear_drift_is_found_at_its_size_in_its_feature() -> None:
    """0.2 standard deviations in 200 GeV are 0.6 over the 600 GeV between the centres of the sidebands.

    The masses spread by 100 GeV in a slice, which widens the feature by 1 %.
    """
    found = measure_drift(toy(60_000, 3, per_200_gev=0.2), WINDOW, learning())
    moving, still = found.features
    assert (moving.name, still.name) == ("x0", "x1")
    assert moving.drift == pytest.approx(0.6, abs=4 * moving.drift_error)
    assert moving.drift_error < 0.03
    assert still.drift == pytest.approx(0.0, abs=3 * still.drift_error)
    assert found.together is not None
    assert found.together.drift == pytest.approx(0.6, abs=0.1)
    falling = measure_drift(toy(60_000, 3, per_200_gev=-0.2), WINDOW, learning()).features[0]
    assert falling.drift == pytest.approx(-0.6, abs=4 * falling.drift_error)


@pytest.mark.parametrize(("decorrelation", "offset"), [("none", 0.0), ("percentile", 0.0), ("quantiles", 1.0)])
def test_features_without_a_drift_give_one_half_within_errors_of_the_right_size(
    decorrelation: str, offset: float
) -> None:
    """Quantiles of 2000 events have errors of their own, which add about one standard error."""
    settings = learning(decorrelation=decorrelation)
    found = [measure_drift(toy(4000, seed), WINDOW, settings, seed=seed) for seed in range(40)]
    pulls = np.array([(one.together.auc - 0.5) / one.together.auc_error for one in found if one.together])
    assert len(pulls) == 40
    assert abs(pulls.mean() - offset) < 3 / 40**0.5
    assert 0.7 < pulls.std(ddof=1) < 1.35
    assert [one for one in found if one.is_large] == []


def test_percentiles_take_away_the_drift_of_a_single_feature() -> None:
    table = toy(30_000, 4, per_200_gev=1.0)
    plain, scaled = (measure_drift(table, WINDOW, learning(decorrelation=one)) for one in ("none", "percentile"))
    assert plain.is_large
    assert scaled.together is not None
    assert abs(scaled.together.auc - 0.5) < 4 * scaled.together.auc_error
    assert scaled.features == ()


def test_quantiles_take_away_the_drift_of_the_features_that_are_named() -> None:
    table = toy(30_000, 4, per_200_gev=1.0)
    (first,) = learning().features[:1]
    scaled = measure_drift(table, WINDOW, learning(decorrelation="quantiles"))
    assert scaled.together is not None
    assert abs(scaled.together.auc - 0.5) < 4 * scaled.together.auc_error
    assert all(abs(one.drift) < 4 * one.drift_error for one in scaled.features)
    assert len(scaled.features) == len(learning().features)
    some = measure_drift(table, WINDOW, learning(decorrelation="quantiles", decorrelated_features=(first,)))
    drifts = {one.name: abs(one.drift) / one.drift_error for one in some.features}
    assert drifts.pop(first) < 4
    plain = {one.name: abs(one.drift) / one.drift_error for one in measure_drift(table, WINDOW, learning()).features}
    assert plain.pop(first) > 10
    assert [name for name, pull in plain.items() if pull > 10] == [name for name, pull in drifts.items() if pull > 7]


def test_too_few_events_to_decorrelate_are_a_reason() -> None:
    found = measure_drift(toy(60, 6), WINDOW, learning(decorrelation="quantiles"))
    assert found.together is None
    assert "fewer than 50" in str(found.reason)


@pytest.mark.parametrize("decorrelation", ["none", "quantiles"])
def test_nothing_inside_the_mask_or_hidden_is_looked_at(decorrelation: str) -> None:
    settings = learning(decorrelation=decorrelation)
    table = toy(30_000, 5, per_200_gev=0.3)
    hidden = ((3200.0, 3800.0), (3700.0, 4300.0))
    for intervals, (low, high) in {(): WINDOW.mask, hidden: (3200.0, 4300.0)}.items():
        inside = (table.mjj >= low) & (table.mjj < high)
        other = table.replaced({"x0": np.where(inside, 50.0, table.column("x0"))})
        found = [measure_drift(one, WINDOW, settings, hidden=intervals) for one in (table, other)]
        assert found[0] == found[1]
        assert found[0].together is not None


@pytest.mark.parametrize(
    ("mask", "hidden", "expected"),
    [
        (WINDOW.mask, (), ((3000.0, 3200.0), (3800.0, 4200.0))),
        ((3800.0, 4400.0), (), ((3400.0, 3800.0), (4400.0, 4800.0))),
        (WINDOW.mask, ((3700.0, 4300.0), (4200.0, 4800.0)), ((3000.0, 3200.0), (4800.0, 5200.0))),
        ((4700.0, 5300.0), ((3700.0, 4300.0), (4200.0, 4800.0)), ((3300.0, 3700.0), (5300.0, 5700.0))),
        (WINDOW.mask, ((5000.0, 5600.0),), ((3000.0, 3200.0), (3800.0, 4200.0))),
        ((3000.0, 3800.0), (), ((3000.0, 3000.0), (3800.0, 4200.0))),
        ((6000.0, 6500.0), (), ((5600.0, 6000.0), (6500.0, 6500.0))),
    ],
    ids=["fit range", "both sides", "chain above", "chain below", "elsewhere", "none below", "none above"],
)
def test_slices_lie_beside_all_that_is_hidden_around_the_window(
    mask: tuple[float, float], hidden: tuple[tuple[float, float], ...], expected: tuple[tuple[float, float], ...]
) -> None:
    assert FIT_RANGE == (3000.0, 6500.0)
    assert slices(replace(WINDOW, mask=mask), hidden) == expected


def test_too_few_events_are_said_to_be_too_few() -> None:
    found = measure_drift(toy(600, 6), WINDOW, learning())
    assert (found.together, found.features, found.is_large) == (None, (), False)
    assert found.reason == "fewer than 100 events in 3000-3200 GeV or 3800-4200 GeV, beside the mask."


def test_a_feature_that_is_hardly_defined_is_left_out_alone() -> None:
    table = toy(6000, 7)
    table = table.replaced({"x1": np.where(np.arange(6000) % 100 == 0, table.column("x1"), np.nan)})
    found = measure_drift(table, WINDOW, learning())
    assert [one.name for one in found.features] == ["x0"]
    assert found.together is not None


def test_events_of_negative_weight_are_left_out_and_a_common_weight_changes_nothing() -> None:
    table = toy(8000, 8, per_200_gev=0.5)
    negative = np.arange(8000) % 10 == 0
    kept = measure_drift(table.select(~negative), WINDOW, learning())
    assert measure_drift(table.replaced({"weight": np.where(negative, -3.0, 7.0)}), WINDOW, learning()) == kept


def drift_of(value: float, error: float, window: str = "3300-3700") -> WindowDrift:
    alone = (Separation("mj1", 0.8, 0.01, 0.9, 0.02), Separation("mj2", 0.7, 0.01, 0.4, 0.02))
    together = Separation("all", 0.9, 0.01, value, error)
    interval = (3000.0, 3200.0)
    return WindowDrift(window=window, sample="data", below=interval, above=interval, features=alone, together=together)


@pytest.mark.parametrize("method", ["cwola", "sa_cwola", "of_a_plugin"])
def test_methods_that_may_compare_different_masses_are_warned_of(method: str) -> None:
    assert len(drift_notes([drift_of(MAX_DRIFT + 0.21, 0.1)], configured(method=method))) == 1


def test_moved_sidebands_need_a_background_from_the_template_where_features_drift() -> None:
    """A fit of scores that sculpt the sidebands has z of -6 where the template has 0.2: docs/studies/templates.md."""
    (note,) = drift_notes([drift_of(2.0, 0.1)], configured(method="curtains"))
    assert 'Set background.strategy = "template".' in note
    assert '"salad"' not in note
    by_template = SearchConfig.model_validate(
        {"learning": {"method": "curtains"}, "background": {"strategy": "template"}}
    )
    assert drift_notes([drift_of(2.0, 0.1)], by_template) == ()


def test_the_note_names_windows_features_and_remedies() -> None:
    drifts = [drift_of(1.4, 0.1), drift_of(1.6, 0.1, "3500-3900"), drift_of(0.1, 0.1, "3700-4100")]
    (note,) = drift_notes(drifts, configured())
    for text in (
        "in 3300-3700, 3500-3900 GeV",
        "1.60 ± 0.10",
        "mj1 +0.9, mj2 +0.4",
        "mj1_over_mjj",
        '"percentile"',
        '"salad"',
        '"curtains"',
    ):
        assert text in note
    (note,) = drift_notes(drifts, configured(decorrelation="percentile"))
    assert '"percentile"' not in note


@pytest.mark.parametrize("method", ["curtains_flow", "anode", "r_anode", "pca"])
def test_scores_that_were_not_trained_in_the_sidebands_sculpt_them(method: str) -> None:
    (note,) = drift_notes([drift_of(2.0, 0.1)], configured(method=method))
    assert f"the scores of {method} sculpt the sidebands, which they were not trained on" in note
    assert "Divide features that grow with m_jj by it" in note


@pytest.mark.parametrize(
    ("drift", "method"),
    [
        (drift_of(MAX_DRIFT + 0.19, 0.1), "cwola"),
        (drift_of(0.1, 0.01), "cwola"),
        (drift_of(2.0, 0.1), "salad"),
        (drift_of(2.0, 0.1), "data_vs_simulation"),
        (drift_of(2.0, 0.1), "supervised"),
        (drift_of(2.0, 0.1), "lacathode"),
    ],
    ids=["not established", "small", "reweighted simulation", "simulation", "truth", "latent space"],
)
def test_no_note_without_need(drift: WindowDrift, method: str) -> None:
    assert drift_notes([drift], configured(method=method)) == ()
