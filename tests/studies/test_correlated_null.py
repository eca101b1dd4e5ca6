"""The means of the study of the correlated null, against closed forms."""

import pytest

from analysis.validation.averages import combine
from tests.studies.correlated_null import cell


def test_the_mean_of_two_values_is_that_of_the_closed_form() -> None:
    # Two values: chi-squared is the squared difference over the sum of the variances.
    mean = combine([1.0, 4.0], [1.0, 2.0])
    assert mean.value == pytest.approx((1.0 + 4.0 / 4) / (1 + 1 / 4))
    assert mean.chi2 == pytest.approx(9.0 / 5.0)
    assert mean.error == pytest.approx((9.0 / 5.0) ** 0.5 / (1 + 1 / 4) ** 0.5)


def test_values_that_lie_closer_than_their_errors_say_do_not_shrink_the_error() -> None:
    mean = combine([2.0, 2.1, 1.9, 2.0], [1.0] * 4)
    assert mean.value == pytest.approx(2.0)
    assert mean.error == pytest.approx(0.5)


def test_more_training_seeds_do_not_make_the_events_more() -> None:
    selection = {"n": 120.0, "b": 100.0, "b_error": 5.0, "z": 1.8, "non_closure": [0.2, 0.1], "chi2": 30.0, "ndof": 20}
    one, five = (cell([{"selections": {"eff_0.1": selection}}] * n, "eff_0.1") for n in (1, 5))
    assert one is not None
    assert one.delta == pytest.approx(0.2)
    assert one.delta_error == pytest.approx((1 / 100 + 0.05**2) ** 0.5)
    assert five is not None
    assert five.delta_error == pytest.approx(one.delta_error)


def test_a_seed_without_a_fit_is_left_out() -> None:
    selection = {"n": 90.0, "b": 100.0, "b_error": 5.0, "z": -0.9, "non_closure": [0.0, 0.1], "chi2": 9.0, "ndof": 9}
    failed = selection | {"b": None, "b_error": None, "z": None}
    repeats = [{"selections": {"eff_0.1": one}} for one in (selection, failed)]
    found = cell(repeats, "eff_0.1")
    assert found is not None
    assert found.z == -0.9
    assert cell(repeats[1:], "eff_0.1") is None
