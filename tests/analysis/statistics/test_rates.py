"""Expectations as matrix products, against pyhf's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyhf
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.statistics import Counting, Shape, SignalSystematic, counting_workspace, shape_workspace
from analysis.statistics.likelihood import Likelihood

Array = NDArray[np.float64]

X = np.arange(12.0)
BACKGROUND = 200.0 * np.exp(-X / 5)
SIGNAL = np.exp(-0.5 * ((X - 5) / 1.2) ** 2)
JACOBIAN = np.stack([BACKGROUND * (X / 6 - 1) ** k for k in range(3)], axis=1)
COVARIANCE = JACOBIAN @ np.diag([0.03, 0.04, 0.05]) ** 2 @ JACOBIAN.T
NAMES = {"channel": "window", "measurement": "search"}

SYSTEMATICS = {
    "none": [],
    "normsys": [SignalSystematic("jms", "normsys", 1.1, 0.92)],
    "one-sided normsys": [SignalSystematic("jms", "normsys", 1.2)],
    "lumi": [SignalSystematic("lumi", "lumi", 0.02)],
    "histosys": [SignalSystematic("jes", "histosys", np.roll(SIGNAL, 1), np.roll(SIGNAL, -1))],
    "all": [
        SignalSystematic("jms", "normsys", 1.1, 0.92),
        SignalSystematic("jer", "normsys", 0.9, 1.3),
        SignalSystematic("jes", "histosys", np.roll(SIGNAL, 1), np.roll(SIGNAL, -1)),
        SignalSystematic("lumi", "lumi", 0.02),
    ],
}


def workspace(systematics: list[SignalSystematic], likelihood: str = "profile") -> dict[str, Any]:
    spectrum = {"observed": BACKGROUND, "background": BACKGROUND, "covariance": COVARIANCE, "signal": SIGNAL}
    further = {"spurious_signal": 2.0, "signal_systematics": tuple(systematics), "likelihood": likelihood}
    return shape_workspace(Shape(**spectrum, **further), **NAMES).workspace  # type: ignore[arg-type]


def points(likelihood: Likelihood, n_points: int = 40) -> Array:
    rng = np.random.default_rng(2)
    found = likelihood.start + rng.uniform(-3, 3, (n_points, len(likelihood.start)))
    names = likelihood.model.config.par_names
    if "lumi" in names:
        found[:, names.index("lumi")] = 1 + rng.uniform(-0.06, 0.06, n_points)
    return np.clip(found, np.maximum(likelihood.bounds[:, 0], -3), likelihood.bounds[:, 1])


@pytest.mark.parametrize("systematics", SYSTEMATICS.values(), ids=SYSTEMATICS.keys())
def test_expectation_and_likelihood_are_those_of_pyhf(systematics: list[SignalSystematic]) -> None:
    likelihood = Likelihood(workspace(systematics))
    assert likelihood.rates is not None
    parameters = points(likelihood)
    data = likelihood.draw(likelihood.start, np.random.default_rng(3).random((len(parameters), len(likelihood.data))))
    twice_nll, expected = likelihood.evaluate(parameters, data)
    pyhf.set_backend("numpy")
    for row, value, mine, theirs in zip(parameters, data, twice_nll, expected, strict=True):
        assert theirs == pytest.approx(np.asarray(likelihood.model.expected_data(row)), rel=1e-9)
        assert mine == pytest.approx(float(-2 * likelihood.model.logpdf(row, value)[0]), rel=1e-9)


@pytest.mark.parametrize("systematics", SYSTEMATICS.values(), ids=SYSTEMATICS.keys())
def test_slopes_are_finite_differences(systematics: list[SignalSystematic]) -> None:
    likelihood = Likelihood(workspace(systematics))
    parameters = points(likelihood)
    slopes = likelihood.slopes(parameters, likelihood.expected(parameters))
    for k in range(parameters.shape[1]):
        step = 1e-5 * np.eye(parameters.shape[1])[k]
        both = [likelihood.expected(parameters + sign * step) for sign in (1, -1)]
        np.testing.assert_allclose(slopes[:, :, k], (both[0] - both[1]) / 2e-5, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("model", ["profile", "gaussian"])
def test_one_bin_is_recognised_too(model: str) -> None:
    systematics = [SignalSystematic("jms", "normsys", 1.1, 0.92)]
    spec = counting_workspace(
        Counting(15, 10.0, 3.0, model), spurious_signal=2.0, signal_systematics=systematics, **NAMES
    )
    likelihood = Likelihood(spec)
    assert likelihood.rates is not None
    parameters = points(likelihood)
    for row, mine in zip(parameters, likelihood.expected(parameters), strict=True):
        assert mine == pytest.approx(np.asarray(likelihood.model.expected_data(row)), rel=1e-6)
    slopes = likelihood.slopes(parameters, likelihood.expected(parameters))
    for k in range(parameters.shape[1]):
        step = 1e-5 * np.eye(parameters.shape[1])[k]
        both = [likelihood.expected(parameters + sign * step) for sign in (1, -1)]
        np.testing.assert_allclose(slopes[:, :, k], (both[0] - both[1]) / 2e-5, rtol=1e-4, atol=1e-4)


def test_another_form_is_left_to_pyhf() -> None:
    # Two-sided histosys of unequal sides bend at zero.
    spec = workspace([], "gaussian")
    spec["channels"][0]["samples"][1]["modifiers"][0]["data"]["hi_data"] = (1.4 * BACKGROUND).tolist()
    likelihood = Likelihood(spec)
    assert likelihood.rates is None
    parameters = points(likelihood, 5)
    for row, mine in zip(parameters, likelihood.expected(parameters), strict=True):
        assert mine == pytest.approx(np.asarray(likelihood.model.expected_data(row)))


@pytest.mark.parametrize("rate", [1e-9, 0.3, 7.0, 400.0, 1e6])
def test_counts_are_drawn_as_by_scipy(rate: float) -> None:
    likelihood = Likelihood(counting_workspace(Counting(1, max(rate, 1e-8), 1e-9), **NAMES))
    uniform = np.random.default_rng(5).random((2000, 2))
    uniform[:2] = [[1e-12, 0.5], [1 - 1e-12, 0.5]]
    truth = stats.poisson.ppf(uniform[:, 0], likelihood.background()[0])
    np.testing.assert_array_equal(likelihood.draw(likelihood.start, uniform)[:, 0], truth)
