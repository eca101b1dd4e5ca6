"""The tail from moments against distributions of known shape."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tests.studies.tail_moments import Shape


@pytest.mark.parametrize("threshold", [3.0, 3.5])
def test_the_tail_of_a_slightly_skewed_distribution(threshold: float) -> None:
    """A gamma distribution with many degrees of freedom has both cumulants, and a known tail."""
    degrees = 4000
    z = np.sqrt(degrees) * (stats.gamma(degrees).rvs((400_000, 1), random_state=1) / degrees - 1)
    shape = Shape.of(z)
    true = stats.gamma(degrees).sf(degrees + threshold * degrees**0.5) / stats.norm.sf(threshold)
    assert shape.skewness[0] == pytest.approx(2 / degrees**0.5, abs=3 * shape.skewness[1])
    ratio, error = shape.tail(threshold)
    assert true > 1.1
    assert ratio == pytest.approx(true, abs=3 * error)
    assert error < 0.07


def test_errors_count_searches_and_not_correlated_tests() -> None:
    z = np.random.default_rng(2).normal(size=(2000, 1))
    once, thrice = Shape.of(z), Shape.of(np.repeat(z, 3, axis=1))
    assert once.tail(3.0) == pytest.approx(thrice.tail(3.0))
    assert once.tail(3.0)[1] == pytest.approx((once + once).tail(3.0)[1] * 2**0.5, rel=1e-3)


def test_missing_values_are_left_out() -> None:
    z = np.random.default_rng(3).normal(size=(500, 2))
    z[::2, 1] = np.nan
    shape = Shape.of(z)
    assert len(shape) == 500
    assert np.isfinite(shape.tail(4.0)).all()
