"""Counting against the template of a method, without a fit of the selected events."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.background import choose_order
from analysis.background.from_template import PassingFraction, count_in_template, draw_fractions
from analysis.core.documents import from_json, to_json
from analysis.errors import ConfigError, FitError
from analysis.learning import Scores, Template, choose_working_points
from analysis.regions import RegionScan
from analysis.results.documents import window_document, window_from_document
from analysis.results.values import WindowDocument
from analysis.search.requirements import require_known
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import run_window
from tests.builders.toy_tables import WINDOW, dijet_masses, toy_config, toy_table

CURTAINS: dict[str, Any] = {
    "learning": {"method": "curtains"},
    "background": {"strategy": "template"},
    "statistics": {"calculator": "asymptotics"},
}
CONFIG = toy_config(**CURTAINS)
SCAN = RegionScan.from_config(CONFIG.scan)
DATA = SearchData(toy_table(16_000, 240, random_state=21), signal_datasets=("signal",))


@pytest.fixture(scope="module")
def found() -> WindowResult:
    return run_window(DATA, WINDOW, SCAN, CONFIG)


@pytest.mark.parametrize(("likelihood", "fraction", "error"), [("profile", 0.1, 0.01), ("gaussian", 0.02, 0.0)])
def test_the_background_is_a_fraction_of_all_events_with_both_errors(
    likelihood: str, fraction: float, error: float
) -> None:
    edges = np.arange(3000.0, 6501.0, 100.0)
    counts = np.histogram(dijet_masses(10_000, np.random.default_rng(1)), edges)[0].astype(float)
    options: dict[str, Any] = {"functions": ["dijet2", "dijet3"], "alpha": 0.05, "sqrt_s_gev": 13000.0}
    fit = choose_order(counts, edges, mask=WINDOW.mask, **options)
    expected = fit.estimate(*WINDOW.signal)
    counted = count_in_template(fit, WINDOW.signal, PassingFraction(fraction, error), likelihood)
    assert counted.value == pytest.approx(fraction * expected.value)
    relative = np.log1p(expected.error(likelihood) / expected.value)
    assert np.log1p(counted.error / counted.value) == pytest.approx(np.hypot(relative, error / fraction))
    with pytest.raises(FitError, match="no event of the background template passes"):
        count_in_template(fit, WINDOW.signal, PassingFraction(0.0, 0.0), likelihood)


def test_copies_of_an_event_are_one_in_the_error_of_the_fraction() -> None:
    rng = np.random.default_rng(2)
    scores, fold = rng.random((3000, 1)).astype(np.float32), rng.integers(0, 3, 3000).astype(np.int8)
    identity = np.arange(3000, dtype=np.uint64)
    fractions = []
    for copies in (1, 4):
        rows = np.tile(np.arange(3000), copies)
        template = Template(Scores(scores[rows], fold[rows], "x"), identity[rows], np.full(len(rows), 1 / copies))
        passes = choose_working_points(
            Scores(scores, fold, "x"), np.ones(3000, bool), (0.1,), event_id=identity, weight=np.ones(3000),
            random_state=1, template=template,
        )  # fmt: skip
        fractions.append(passes.template)
    np.testing.assert_allclose(fractions[1], fractions[0])
    np.testing.assert_allclose(fractions[0], [[1, 0], [0.1, np.sqrt(0.09 / 3000)]], rtol=0.01)


def test_a_signal_is_found_without_a_fit_of_the_selection(found: WindowResult) -> None:
    inclusive, loose, tight = found.selections
    assert inclusive.fit is not None
    assert (loose.fit, tight.fit, loose.goodness) == (None, None, None)
    assert loose.discovery is not None
    assert tight.discovery is not None
    assert max(loose.discovery.z, tight.discovery.z) > 5
    assert loose.limit is not None
    assert found.status == "ok"


def test_the_background_is_that_of_all_events_times_the_fraction_of_the_template(found: WindowResult) -> None:
    inclusive, loose, _ = found.selections
    background = DATA.table.column("dataset") == "background"
    assert found.passes is not None
    passing = found.passes[WINDOW.in_signal(DATA.table.mjj) & background, 1].sum()
    assert loose.background == pytest.approx(passing, abs=4 * np.hypot(np.sqrt(passing), loose.background_error or 0))
    assert (loose.background_error or 0) / (loose.background or 1) > (inclusive.background_error or 0) / (
        inclusive.background or 1
    )


def test_a_stored_window_has_the_same_numbers(found: WindowResult) -> None:
    document = from_json(WindowDocument, to_json(window_document(found)))
    stored, shown = window_from_document(document, None, {}, None).selections[1], found.selections[1]
    assert (stored.background, stored.template) == (shown.background, shown.template)
    assert shown.template is not None
    assert shown.template.value == pytest.approx(0.1, rel=0.5)


def test_further_trainings_are_counted_against_the_fit_of_all_events_too() -> None:
    config = toy_config(**CURTAINS | {"learning": {"method": "curtains", "n_seeds": 2}})
    again = run_window(DATA, WINDOW, SCAN, config, training_seed=1)
    assert again.status == "ok"
    inclusive = run_window(DATA, WINDOW, SCAN, config).selections[0]
    for one in again.selections:
        assert one.template is not None
        assert one.background == pytest.approx((inclusive.background or 0) * one.template.value)


def test_fluctuating_fractions_are_binomial_and_correlated_as_nested_cuts() -> None:
    """Against events of templates drawn one by one."""
    rng, n_events, f = np.random.default_rng(4), 400, np.array([0.1, 0.02, 0.5])
    cuts = [PassingFraction(value, np.sqrt(value * (1 - value) / n_events)) for value in f]
    drawn, error = draw_fractions(rng.normal(size=(20_000, 3)), cuts)
    uniforms = rng.random((4000, n_events))
    events = np.stack([(uniforms < value).mean(axis=1) for value in f], axis=1)
    np.testing.assert_allclose(drawn.mean(axis=0), f, rtol=0.01)
    np.testing.assert_allclose(drawn.std(axis=0), events.std(axis=0), rtol=0.05)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.corrcoef(events.T), atol=0.05)
    levels = np.arange(16) / n_events
    below = [(few[:, None] <= levels + 1e-9).mean(axis=0) for few in (drawn[:, 1], events[:, 1])]
    np.testing.assert_allclose(below[0], below[1], atol=0.03)
    np.testing.assert_allclose(error, np.sqrt(drawn * (1 - drawn) / n_events))


def test_a_fraction_without_an_error_does_not_fluctuate() -> None:
    drawn, error = draw_fractions(np.ones((5, 2)), [PassingFraction(0.1, 0.0), PassingFraction(1.0, 0.0)])
    np.testing.assert_array_equal(drawn, np.tile([0.1, 1.0], (5, 1)))
    assert not error.any()


def test_a_method_without_a_template_is_refused_before_any_work() -> None:
    config = toy_config(background={"strategy": "template"})
    with pytest.raises(ConfigError, match=r"method cwola has no template .*: set background\.strategy to transfer-fac"):
        require_known(config)


def test_blinded_windows_have_the_same_background(found: WindowResult) -> None:
    hidden = run_window(replace(DATA, blinded=True), WINDOW, SCAN, CONFIG)
    assert hidden.selections[1].n_obs is None
    assert hidden.selections[1].background == found.selections[1].background


def test_the_fraction_is_right_for_other_events_where_few_of_the_template_pass() -> None:
    """Thresholds at one's own quantile are too low on average: k events above one, but (k + 1) / (N + 1) of others."""
    rng, identity = np.random.default_rng(3), np.arange(4000, dtype=np.uint64)
    ratios = []
    for _ in range(200):
        template, data = (
            Scores(rng.random((n, 1)).astype(np.float32), (np.arange(n) % 3).astype(np.int8), "x") for n in (900, 4000)
        )
        made = Template(template, identity[:900], np.ones(900))
        options: dict[str, Any] = {"event_id": identity, "weight": np.ones(4000), "random_state": 1}
        passes = choose_working_points(data, made, (0.01,), template=made, **options)
        assert passes.template is not None
        ratios.append((passes.values[:, 1].mean(), passes.template[1, 0]))
    passing, fraction = np.mean(ratios, axis=0)
    error = np.std([a - b for a, b in ratios]) / np.sqrt(len(ratios))
    assert passing == pytest.approx(fraction, abs=3 * error + fraction / 900)
    assert error < 0.05 * fraction
