from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from analysis.statistics import bonferroni


def test_smallest_p_value_times_looks() -> None:
    result = bonferroni([0.2, 1e-4, 0.7], 30)
    assert result.p0 == pytest.approx(3e-3)
    assert result.z == pytest.approx(norm.isf(3e-3)) == pytest.approx(2.7478, abs=1e-4)


def test_one_look_costs_nothing() -> None:
    assert bonferroni([0.01], 1).z == pytest.approx(norm.isf(0.01))


def test_a_certain_outcome_has_no_significance() -> None:
    result = bonferroni([0.3, 0.4], 10)
    assert (result.p0, result.z) == (1.0, None)


def test_without_p_values_nothing_is_known() -> None:
    result = bonferroni([], 30)
    assert (result.p0, result.z) == (None, None)


def test_a_p_value_below_all_floats_has_no_significance_rather_than_an_infinite_one() -> None:
    result = bonferroni([float(norm.sf(50.0)), 0.5], 30)
    assert (result.p0, result.z) == (0.0, None)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 0.95])
def test_covers_under_any_correlation(correlation: float) -> None:
    n_toys, n_looks, level = 20_000, 12, 0.05
    rng = np.random.default_rng(1)
    common, own = rng.normal(size=(n_toys, 1)), rng.normal(size=(n_toys, n_looks))
    p_values = norm.sf(np.sqrt(correlation) * common + np.sqrt(1 - correlation) * own)
    found = np.mean([bonferroni(row.tolist(), n_looks).p0 < level for row in p_values])
    assert found < level + 4 * np.sqrt(level / n_toys)
    if correlation == 0:
        assert found == pytest.approx(1 - (1 - level / n_looks) ** n_looks, abs=4 * np.sqrt(level / n_toys))
