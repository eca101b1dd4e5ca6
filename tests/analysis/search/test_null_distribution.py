"""Calibrated significances against the known distribution of toys."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from analysis.search.null_distribution import NullDistribution


@pytest.mark.parametrize(("mean", "width"), [(0.0, 1.0), (0.1, 1.15), (-0.2, 1.3)])
def test_calibrated_p_values_are_the_true_ones_with_errors_that_cover_them(mean: float, width: float) -> None:
    pulls = []
    for seed in range(400):
        null = NullDistribution.of(np.random.default_rng(seed).normal(mean, width, 300).tolist())
        assert null is not None
        found = null.calibration(4.0, "searches")
        pulls.append((found.z - (4.0 - mean) / width) / found.z_error)
        assert found.p0 == pytest.approx(norm.sf(found.z))
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.2)
    assert np.std(pulls) == pytest.approx(1.0, abs=0.12)


def test_the_error_of_the_width_grows_with_the_tails() -> None:
    rng = np.random.default_rng(1)
    samples = rng.standard_t(8, (2000, 400))
    nulls = [NullDistribution.of(sample.tolist()) for sample in samples]
    widths, errors = np.array([(null.width, null.width_error) for null in nulls if null is not None]).T
    assert errors.mean() == pytest.approx(widths.std(), rel=0.1)
    assert widths.std() > 1.15 * widths.mean() / np.sqrt(2 * 400)


def test_failed_fits_are_left_out_and_few_searches_say_nothing() -> None:
    z: list[float | None] = np.random.default_rng(2).normal(size=30).tolist()
    null = NullDistribution.of([*z, None, None])
    assert null is not None
    assert null.searches == 30
    assert NullDistribution.of([*z[:19], None, None]) is None
