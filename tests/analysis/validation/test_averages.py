"""Means of values with errors, against closed forms."""

import pytest

from analysis.validation.averages import combine


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
