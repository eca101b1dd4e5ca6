from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyhf
import pytest

from analysis.errors import StatisticsError
from analysis.statistics import Counting, Shape, counting_workspace, discovery, shape_workspace, upper_limit
from analysis.statistics.samples import SPURIOUS
from tests.builders.closed_forms import signed_z


def write(n: float | None, b: float = 100.0, sigma: float = 5.0) -> dict[str, Any]:
    return counting_workspace(Counting(n, b, sigma), channel="window_3300-3700_eff_0.1", measurement="search")


@pytest.mark.parametrize("n", [None, 0, 150.0])
def test_follows_the_histfactory_schema(n: float | None) -> None:
    document = json.loads(json.dumps(write(n), allow_nan=False))
    pyhf.schema.validate(document, "workspace.json")


def test_rates_are_linear_in_signal_and_nuisance() -> None:
    # Pois(n | b + theta + mu s): with theta in units of sigma, everywhere inside the bounds.
    spec = write(150.0)
    model = pyhf.Workspace(spec).model()
    s = spec["channels"][0]["samples"][0]["data"][0]
    names = model.config.par_names
    for mu in (0.0, 0.7, 5.0):
        for pull in (-9.9, -1.0, 0.0, 0.4, 3.0, 9.9):
            parameters = {"mu": mu, "background_fit": pull}
            rate = model.expected_actualdata([parameters[name] for name in names])
            assert rate.tolist() == pytest.approx([100 + 5 * pull + mu * s])


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
    assert result.observed_significance == pytest.approx(4.1257, abs=1e-3)  # closed form


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
def test_a_spurious_signal_adds_in_quadrature_to_the_error_of_the_background(
    n: float, error: float, spurious: float
) -> None:
    options = {"channel": "window", "measurement": "search"}
    single = counting_workspace(Counting(n, 100.0, error), spurious_signal=spurious, **options)
    one = Shape(np.array([n]), np.array([100.0]), np.array([[error**2]]), np.ones(1), spurious_signal=spurious)
    truth = signed_z(n, 100.0, np.hypot(error, spurious))
    for spec in (single, shape_workspace(one, **options).workspace):
        assert discovery(spec).z == pytest.approx(truth, abs=1e-4)
        assert (SPURIOUS in pyhf.Workspace(spec).model().config.par_names) == (spurious > 0)
    limits = [upper_limit(spec).expected_events for spec in (single, write(n, 100.0, float(np.hypot(error, spurious))))]
    assert limits[0] == pytest.approx(limits[1], rel=2e-3)


BAD_BACKGROUNDS = [(0.0, 1.0), (-1.0, 1.0), (1.0, 0.0), (1.0, np.nan), (np.nan, 1.0), (1.0, np.inf)]


@pytest.mark.parametrize(("b", "sigma"), BAD_BACKGROUNDS)
def test_a_background_without_value_or_error_is_refused(b: float, sigma: float) -> None:
    with pytest.raises(StatisticsError, match="positive background and error"):
        Counting(10, b, sigma)
