from __future__ import annotations

import numpy as np
import pyhf
import pytest

from analysis.errors import StatisticsError
from analysis.statistics import Counting, counting_workspace, upper_limit
from analysis.statistics.crossings import crossings


def test_finds_all_zeros_of_functions_that_share_points() -> None:
    roots = np.array([0.02, 1.0, 3.7, 250.0])
    found = crossings(lambda x: np.log(roots / x[:, None]), np.array([0.5, 1.5, 2.0]), tolerance=1e-6)
    assert found == pytest.approx(roots, rel=1e-5)


def test_steps_end_in_a_narrow_bracket() -> None:
    found = crossings(lambda x: np.where(x[:, None] < np.pi, 1.0, -1.0), np.array([1.0, 2.0]), tolerance=1e-5)
    assert found == pytest.approx([np.pi], rel=2e-5)


def test_what_is_negative_everywhere_crosses_at_zero() -> None:
    assert crossings(lambda x: -1.0 - x[:, None], np.array([1.0]), tolerance=1e-3).tolist() == [0.0]


def test_what_never_falls_is_an_error() -> None:
    with pytest.raises(StatisticsError, match="does not cross its level between"):
        crossings(lambda x: 1.0 + 0 * x[:, None], np.array([1.0]), tolerance=1e-3)


def test_pyhf_returns_the_edge_of_its_grid_and_ignores_the_level() -> None:
    # The two traps that make this module: where one of these fails, pyhf is mended.
    spec = counting_workspace(Counting(100, 100.0, 5.0), channel="window", measurement="search")
    truth = upper_limit(spec, level=0.32)
    loaded = pyhf.Workspace(spec)
    model = loaded.model()
    events = spec["channels"][0]["samples"][0]["data"][0]
    pyhf.set_backend("numpy", pyhf.optimize.scipy_optimizer())
    edge, _ = pyhf.infer.intervals.upper_limits.upper_limit(loaded.data(model), model, scan=np.linspace(0, 0.5, 3))
    assert float(edge) == 0.5
    ignored, _ = pyhf.infer.intervals.upper_limits.upper_limit(loaded.data(model), model, level=0.32, rtol=1e-3)
    assert truth.observed_events is not None
    assert float(ignored) * events > 1.7 * truth.observed_events
    assert float(ignored) * events == pytest.approx(upper_limit(spec, level=0.05).observed_events, rel=5e-3)
