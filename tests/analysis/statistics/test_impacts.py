"""Impacts and pulls against cabinetry, and modifiers against ratios worked out by hand."""

from __future__ import annotations

from typing import Any

import cabinetry
import numpy as np
import pyhf
import pytest

from analysis.errors import StatisticsError
from analysis.statistics import (
    Counting,
    Shape,
    SignalSystematic,
    combined_modifier,
    counting_workspace,
    impacts,
    shape_workspace,
    signal_statistics,
    upper_limit,
    yield_modifier,
)

NAMES = {"channel": "window", "measurement": "search"}

SIGNAL = [
    yield_modifier("jms", 50.0, 56.0, 45.0),
    yield_modifier("jmr", 50.0, 48.0),
    signal_statistics(500.0, 800.0),
    SignalSystematic("lumi", "lumi", 0.02),
]


def counting(n_obs: float | None) -> dict[str, Any]:
    return counting_workspace(Counting(n_obs, 200.0, 15.0), signal_systematics=SIGNAL, **NAMES)


def shape() -> dict[str, Any]:
    x = np.arange(10.0)
    background, signal = 300.0 * np.exp(-x / 4), 40 * np.exp(-0.5 * ((x - 4) / 1.2) ** 2)
    slope = 0.05 * background * (x / 5 - 1)
    observed = np.random.default_rng(3).poisson(background + signal).astype(float)
    jes = SignalSystematic("jes", "histosys", 1.1 * np.roll(signal, 1), 0.9 * np.roll(signal, -1))
    spectrum = Shape(observed, background, np.outer(slope, slope), signal, signal_systematics=[*SIGNAL, jes])
    return shape_workspace(spectrum, **NAMES).workspace


@pytest.mark.parametrize("workspace", [counting(290.0), shape()], ids=["counting", "shape"])
def test_ranking_of_cabinetry(workspace):
    """Its fits are Minuit's, with errors from HESSE. In the model of pyhf's default interpolation."""
    parsed = pyhf.Workspace(workspace)
    model = parsed.model()
    data = parsed.data(model)
    fit = cabinetry.fit.fit(model, data)
    ranking = cabinetry.fit.ranking(model, data, fit_results=fit)
    found = impacts(workspace)
    poi = fit.labels.index("mu")
    assert found.strength == pytest.approx(fit.bestfit[poi], rel=2e-3)
    assert found.strength_error == pytest.approx(fit.uncertainty[poi], rel=5e-3)
    by_name = {one.name: one for one in found.parameters}
    assert set(by_name) == set(ranking.labels)
    tolerance = 5e-3 * found.strength_error
    widths = {name: 0.02 if name == "lumi" else 1.0 for name in by_name}
    for index, name in enumerate(ranking.labels):
        one, centre = by_name[name], 1.0 if name == "lumi" else 0.0
        assert one.pull == pytest.approx((ranking.bestfit[index] - centre) / widths[name], abs=5e-3)
        assert one.error == pytest.approx(ranking.uncertainty[index] / widths[name], rel=1e-2)
        assert one.up == pytest.approx(ranking.postfit_up[index], abs=tolerance)
        assert one.down == pytest.approx(ranking.postfit_down[index], abs=tolerance)
    assert [one.size for one in found.parameters] == sorted((one.size for one in found.parameters), reverse=True)


def test_the_expectation_pulls_nothing_and_impacts_are_those_of_the_formula():
    """n = b + mu s f: with b moved by its error e the fit moves mu s by -e; with a yield factor f, mu by 1 / f."""
    found = impacts(counting(None), strength=3.0)
    scale = upper_limit_scale()
    assert found.strength == pytest.approx(3.0, abs=1e-3)
    by_name = {one.name: one for one in found.parameters}
    for one in found.parameters:
        assert one.pull == pytest.approx(0.0, abs=1e-3)
        assert one.error == pytest.approx(1.0, abs=2e-3)  # one count constrains none of them
    assert by_name["background_fit"].up == pytest.approx(-15.0 / scale, rel=3e-3)
    assert by_name["background_fit"].down == pytest.approx((200 - 200 / 1.075) / scale, rel=3e-3)
    assert by_name["jms"].up == pytest.approx(3.0 * (50 / 56 - 1), rel=3e-3)
    assert by_name["jms"].down == pytest.approx(3.0 * (50 / 45 - 1), rel=3e-3)
    assert by_name["jmr"].up == pytest.approx(3.0 * (50 / 48 - 1), rel=3e-3)
    assert by_name["lumi"].up == pytest.approx(3.0 * (1 / 1.02 - 1), rel=3e-3)


def upper_limit_scale() -> float:
    """Signal events at mu = 1: the nominal signal of the workspace."""
    (sample,) = [one for one in counting(None)["channels"][0]["samples"] if one["name"] == "signal"]
    return float(sample["data"][0])


def test_a_deficit_may_pull_the_strength_below_zero():
    found = impacts(counting(150.0))
    assert found.strength * upper_limit_scale() == pytest.approx(-50.0, rel=0.02)


def test_a_larger_systematic_weakens_the_limit():
    def limit(size: float) -> float:
        systematics = [SignalSystematic("jms", "normsys", 1 + size, 1 / (1 + size))]
        return upper_limit(counting_workspace(Counting(None, 200.0, 15.0), signal_systematics=systematics, **NAMES))

    small, large = (limit(size).expected_events[2] for size in (0.01, 0.3))
    assert 1.03 * small < large < 1.3 * small


def test_modifiers_are_ratios_of_yields():
    pair = yield_modifier("a", 40.0, 44.0, 30.0)
    assert (pair.kind, pair.up, pair.down) == ("normsys", 1.1, 0.75)
    assert yield_modifier("a", 40.0, 44.0).down is None
    envelope = combined_modifier("a", 40.0, [38.0, 41.0, 44.0, 39.0], "envelope")
    assert (envelope.up, envelope.down) == (1.1, 0.95)
    assert combined_modifier("a", 40.0, [36.0, 38.0], "envelope").up == 1.0
    assert combined_modifier("a", 40.0, [37.0, 44.0], "hessian").up == pytest.approx(1 + 5.0 / 40.0)
    assert combined_modifier("a", 40.0, [39.0, 41.0, 43.0], "replicas").up == pytest.approx(1 + 2.0 / 40.0)


def test_yields_that_are_not_positive_are_refused():
    with pytest.raises(StatisticsError, match="'jms' needs positive yields, found 40, 44, 0"):
        yield_modifier("jms", 40.0, 44.0, 0.0)
    with pytest.raises(StatisticsError, match="at least two replicas"):
        combined_modifier("pdf", 40.0, [41.0], "replicas")
