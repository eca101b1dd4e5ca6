"""The means of the study of the correlated null, against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from tests.builders.toy_tables import table_of
from tests.studies.correlated_null import DRIFT, WINDOWS, chosen, difference, drifted, summary
from tests.studies.runner import Point


def point(data: str, window: int, z: float | None, n: float = 110.0, b: float = 100.0, setup: str = "cwola") -> Point:
    selection = {"z": z, "n": n, "b": b, "b_error": 5.0, "flat": [12.0, 10]}
    return {"setup": setup, "data": data, "window": list(WINDOWS[window]), "selections": {"eff_0.1": selection}}


def test_windows_of_a_sample_are_averaged_before_the_spread_of_samples_is_the_error() -> None:
    """Samples with mean z 1, 2 and 3, however their windows scatter; δ = (150 + 110) / (100 + 100) - 1 in each."""
    values = {"qcd_1": (0.0, 2.0), "qcd_2": (-3.0, 7.0), "qcd_3": (3.0, 3.0)}
    points = [
        point(data, window, z, n=(150.0, 110.0)[window])
        for data, pair in values.items()
        for window, z in enumerate(pair)
    ]
    found = summary(points, "eff_0.1")
    assert found is not None
    assert (found.z, found.z_error) == (pytest.approx(2.0), pytest.approx(1 / 3**0.5))
    assert (found.delta, found.delta_error) == (pytest.approx(0.3), pytest.approx(0.0))
    assert (found.samples, found.searches, found.failed) == (3, 6, 0)
    assert (found.chi2, found.ndof) == (72.0, 60.0)


def test_a_search_without_a_fit_is_counted_and_left_out() -> None:
    points = [point("qcd_1", 0, 1.0), point("qcd_1", 1, None), point("qcd_2", 0, 3.0)]
    found = summary(points, "eff_0.1")
    assert found is not None
    assert (found.z, found.searches, found.failed) == (2.0, 2, 1)
    assert summary(points[:2], "eff_0.1") is None
    assert summary([{**points[0], "selections": {}}] * 2, "eff_0.1") is None


def test_points_are_chosen_by_set_up_sample_and_window() -> None:
    points = [point("qcd_1", 0, 1.0), point("qcd_1", 1, 1.0), point("qcd_2", 0, 1.0), point("all", 0, 1.0)]
    assert chosen(points, "cwola", ("qcd_1", "all"), WINDOWS[:1]) == [points[0], points[3]]
    assert chosen(points, "salad", ("qcd_1",)) == []


def test_a_difference_takes_the_fluctuation_out_that_both_share() -> None:
    fluctuations = {"qcd_1": -2.0, "qcd_2": 0.5, "qcd_3": 1.0}
    points = [point(data, 0, z) for data, z in fluctuations.items()]
    points += [point(data, 0, z + 0.25, n=120.0, setup="salad") for data, z in fluctuations.items()]
    points.append(point("qcd_4", 0, 9.0))
    z, delta = difference(points, "salad", "cwola", "eff_0.1")
    assert z == pytest.approx([0.25, 0.0])
    assert delta == pytest.approx([0.1, 0.0])


def test_a_drift_adds_its_part_of_the_mass() -> None:
    mjj = np.array([3000.0, 4000.0])
    table = table_of(mjj, np.zeros((2, len(DRIFT))))
    names = dict(zip(table.feature_names, DRIFT, strict=True))
    table = type(table)(
        table.table.rename_columns([names.get(name, name) for name in table.table.column_names]), table.features
    )
    moved = drifted(table, 0.5)
    for name, expected in {"mj1": 0.1 * mjj, "mj2": 0.05 * mjj, "delta_mj": 0.05 * mjj, "mj1_over_mjj": 0.1}.items():
        np.testing.assert_allclose(moved.column(name), expected, rtol=1e-6)
