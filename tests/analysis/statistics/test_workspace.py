from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyhf
import pytest

from analysis.errors import StatisticsError
from analysis.statistics import Counting, Shape, counting_workspace, discovery, shape_workspace, upper_limit
from analysis.statistics.samples import SPURIOUS
from tests.builders.closed_forms import quadrature, signed_z


def write(n: float | None, b: float = 100.0, sigma: float = 5.0) -> dict[str, Any]:
    return counting_workspace(Counting(n, b, sigma), channel="window_3300-3700_eff_0.1", measurement="search")


@pytest.mark.parametrize("n", [None, 0, 150.0])
def test_follows_the_histfactory_schema(n: float | None) -> None:
    document = json.loads(json.dumps(write(n), allow_nan=False))
    pyhf.schema.validate(document, "workspace.json")


@pytest.mark.parametrize("likelihood", ["profile", "gaussian"])
def test_the_background_is_exponential_or_linear_in_its_nuisance(likelihood: str) -> None:
    # Everywhere inside the bounds.
    counting = Counting(150.0, 100.0, 5.0, likelihood)
    spec = counting_workspace(counting, channel="window", measurement="search")
    model = pyhf.Workspace(spec).model()
    s = spec["channels"][0]["samples"][0]["data"][0]
    names = model.config.par_names
    for mu in (0.0, 0.7, 5.0):
        for pull in (-9.9, -1.0, 0.0, 0.4, 3.0, 9.9):
            parameters = {"mu": mu, "background_fit": pull}
            rate = model.expected_actualdata([parameters[name] for name in names])
            background = 100 + 5 * pull if likelihood == "gaussian" else 100 * 1.05**pull
            assert rate.tolist() == pytest.approx([background + mu * s])


def test_the_constraint_is_a_unit_normal() -> None:
    model = pyhf.Workspace(write(150.0)).model()
    index = model.config.par_map["background_fit"]["slice"].start
    parameters = np.zeros((2, len(model.config.par_names)))
    parameters[1, index] = 2.0
    at_zero, at_two = (float(model.constraint_logpdf(np.array([0.0]), row)) for row in parameters)
    assert at_zero - at_two == pytest.approx(2.0)


def test_cabinetry_opens_it_and_agrees() -> None:
    import cabinetry

    spec = write(150.0)
    model, data = cabinetry.model_utils.model_and_data(spec)
    result = cabinetry.fit.significance(model, data)
    assert result.observed_significance == pytest.approx(discovery(spec).z, rel=1e-3)
    assert result.observed_significance == pytest.approx(signed_z(150, 100, 5), abs=1e-3)


def test_a_blinded_workspace_knows_nothing_of_the_window() -> None:
    spec = write(None)
    assert spec["observations"][0]["data"] == [100.0]
    assert spec == write(100.0)


def test_the_template_depends_on_the_background_alone() -> None:
    templates = [write(n)["channels"] for n in (None, 0.0, 150.0, 1e5)]
    assert all(template == templates[0] for template in templates)
    assert templates[0][0]["samples"][0]["data"] == pytest.approx([np.hypot(10, 5)])
    assert write(None, 0.01, 0.01)["channels"][0]["samples"][0]["data"] == [1.0]


@pytest.mark.parametrize(("error", "spurious"), [(3.0, 4.0), (4.0, 3.0), (0.3, 5.0), (5.0, 0.0)])
@pytest.mark.parametrize("n", [150, 80])
@pytest.mark.parametrize("likelihood", ["profile", "gaussian"])
def test_a_spurious_signal_adds_in_quadrature_to_the_error_of_the_background(
    n: float, error: float, spurious: float, likelihood: str
) -> None:
    options = {"channel": "window", "measurement": "search"}
    single = counting_workspace(Counting(n, 100.0, error, likelihood), spurious_signal=spurious, **options)
    bins = {"background": np.array([100.0]), "covariance": np.array([[error**2]]), "signal": np.ones(1)}
    one = Shape(observed=np.array([n]), spurious_signal=spurious, likelihood=likelihood, **bins)
    total = quadrature(100.0, likelihood, error, spurious)
    # A covariance is of first order: the logarithm of the background has the relative error as its own.
    of_shape = total if likelihood == "gaussian" else 100.0 * np.expm1(np.hypot(error, spurious) / 100.0)
    for spec, sigma in ((single, total), (shape_workspace(one, **options).workspace, of_shape)):
        assert discovery(spec).z == pytest.approx(signed_z(n, 100.0, sigma, likelihood), abs=1e-4)
        assert (SPURIOUS in pyhf.Workspace(spec).model().config.par_names) == (spurious > 0)
    plain = counting_workspace(Counting(n, 100.0, total, likelihood), **options)
    limits = [upper_limit(spec).expected_events for spec in (single, plain)]
    assert limits[0] == pytest.approx(limits[1], rel=2e-3)


BAD_BACKGROUNDS = [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, np.nan), (np.nan, 1.0), (1.0, np.inf)]


@pytest.mark.parametrize(("b", "sigma"), BAD_BACKGROUNDS)
def test_a_background_without_value_or_error_is_refused(b: float, sigma: float) -> None:
    with pytest.raises(StatisticsError, match="positive background and error"):
        Counting(10, b, sigma)
