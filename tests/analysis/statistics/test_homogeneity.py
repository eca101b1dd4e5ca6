"""The shape tests against published numbers, and against what chance gives."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.homogeneity import compare_shapes, homogeneity, sparse_groups


def test_simulation_without_error_gives_pearsons_chi_squared():
    rng = np.random.default_rng(1)
    shape = np.exp(-np.arange(12) / 4.0)
    counts = rng.poisson(200 * shape).astype(float)
    expected = stats.chisquare(counts, counts.sum() * shape / shape.sum())
    found = homogeneity(counts, counts, shape, 1e-12 * shape)
    assert found.chi2 == pytest.approx(expected.statistic, rel=1e-6)
    assert found.ndof == 11
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)


def test_unit_weights_on_both_sides_give_nearly_the_chi_squared_of_a_contingency_table():
    rng = np.random.default_rng(2)
    one, two = rng.poisson(500.0, 12).astype(float), rng.poisson(1500.0, 12).astype(float)
    expected = stats.chi2_contingency(np.stack([one, two]), correction=False)
    found = homogeneity(one, one, two, two)
    assert found.chi2 == pytest.approx(expected.statistic, rel=0.02)
    assert found.ndof == expected.dof


@pytest.mark.parametrize("data_weight", [1.0, 0.5])
@pytest.mark.parametrize("n_heavy", [0, 60])
def test_p_values_of_equal_shapes_are_uniform_with_weights_that_vary(data_weight, n_heavy):
    rng = np.random.default_rng(5)
    shape = np.exp(-np.arange(15) / 3.0)
    p_values = []
    for _ in range(600):
        counts = rng.poisson(400 * shape).astype(float)
        light, heavy = rng.poisson(600 * shape), rng.poisson(n_heavy * shape)
        model, variances = 0.5 * light + 4.0 * heavy, 0.25 * light + 16.0 * heavy
        found = compare_shapes(data_weight * counts, data_weight**2 * counts, model, variances)
        p_values.append(found.p_value)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01


def test_a_wrong_shape_is_seen_and_a_wrong_normalisation_is_not():
    rng = np.random.default_rng(6)
    shape = np.exp(-np.arange(20) / 6.0)
    model = 9000.0 * shape
    same, other = (
        rng.poisson(1000 * shape).astype(float),
        rng.poisson(1000 * np.exp(-np.arange(20) / 5.0)).astype(float),
    )
    assert compare_shapes(same, same, model, model).p_value > 0.01
    assert compare_shapes(other, other, model, model).p_value < 1e-6


def test_sparse_bins_are_merged_with_their_neighbours_and_nothing_is_dropped():
    model = np.array([0.0, 3.0, 10.0, 10.0, -1.0, 2.0, 1.0])
    variances = np.array([0.0, 3.0, 10.0, 100.0, 1.0, 2.0, 1.0])
    starts = sparse_groups(25.0, model, variances)
    # Bins 0-2 hold 13 events; the heavy weights of bin 3 count as one event, and the rest does not make up for that.
    assert starts.tolist() == [0]
    assert np.add.reduceat(model, starts).tolist() == [25.0]
    assert compare_shapes(np.array([0, 3.0, 10, 10, 0, 2, 0]), np.ones(7), model, variances) is None


def test_no_simulation_gives_no_test():
    nothing = np.zeros(5)
    assert compare_shapes(np.ones(5), np.ones(5), nothing, nothing) is None
