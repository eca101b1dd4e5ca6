"""Efficiency against m_jj, and the test that it is constant."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.learning import PassWeights
from analysis.validation.sculpting import Sculpting, sculpting
from tests.builders.toy_tables import FIT_RANGE, WINDOW, dijet_masses, table_of

EDGES = np.arange(FIT_RANGE[0], FIT_RANGE[1] + 1, 250.0)


def measured(
    mjj: np.ndarray, passes: np.ndarray, edges: np.ndarray = EDGES, weight: np.ndarray | None = None
) -> Sculpting:
    """Report of one selection with the given pass weights."""
    table = table_of(mjj, np.zeros((len(mjj), 1)), weight=np.ones(len(mjj)) if weight is None else weight)
    values = np.stack([np.ones(len(mjj)), passes.astype(float)], axis=1)
    weights = PassWeights((1.0, 0.1), (1.0, 0.1), values, np.zeros((1, 2, 2)))
    (found,) = sculpting(table, weights, edges, window=WINDOW)
    assert found.selection == "eff_0.1"
    return found


def filled(counts: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges, masses and passes of bins of 100 GeV that hold (passing, failing) events."""
    mjj = np.concatenate([np.full(sum(pair), 3050.0 + 100 * i) for i, pair in enumerate(counts)])
    passes = np.concatenate([np.repeat([1.0, 0.0], pair) for pair in counts])
    return 3000.0 + 100 * np.arange(len(counts) + 1), mjj, passes


def test_chi2_and_likelihood_ratio_are_those_of_a_contingency_table() -> None:
    counts = [(40, 360), (25, 275), (30, 170), (8, 92)]
    edges, mjj, passes = filled(counts)
    found = measured(mjj, passes, edges)
    pearson = stats.chi2_contingency(np.array(counts), correction=False)
    wilks = stats.chi2_contingency(np.array(counts), correction=False, lambda_="log-likelihood")
    assert found.chi2 == pytest.approx(pearson.statistic)
    assert found.likelihood_ratio == pytest.approx(wilks.statistic)
    assert found.p_value == pytest.approx(pearson.pvalue)
    assert (found.ndof, found.average) == (3, pytest.approx(103 / 1000))
    np.testing.assert_allclose(found.efficiency, [0.1, 25 / 300, 0.15, 0.08])
    np.testing.assert_allclose(found.error, np.sqrt(0.103 * 0.897 / np.array([400, 300, 200, 100])))


def test_a_common_weight_changes_nothing() -> None:
    edges, mjj, passes = filled([(40, 360), (25, 275), (30, 170)])
    plain, scaled = measured(mjj, passes, edges), measured(mjj, passes, edges, np.full(len(mjj), 0.01))
    assert scaled.chi2 == pytest.approx(plain.chi2)
    assert scaled.likelihood_ratio == pytest.approx(plain.likelihood_ratio)
    np.testing.assert_allclose(scaled.error, plain.error)


def test_sparse_bins_are_merged_with_the_next_and_empty_ones_have_no_efficiency() -> None:
    edges, mjj, passes = filled([(40, 360), (0, 0), (1, 20), (4, 30), (50, 350), (0, 3)])
    found = measured(mjj, passes, edges)
    merged = stats.chi2_contingency(np.array([(40, 360), (5, 50), (50, 353)]), correction=False)
    assert found.ndof == 2
    assert found.chi2 == pytest.approx(merged.statistic)
    assert np.isnan(found.efficiency[1])
    assert found.efficiency[5] == 0


def test_without_enough_events_there_is_no_test() -> None:
    edges, mjj, passes = filled([(2, 20), (1, 10)])
    found = measured(mjj, passes, edges)
    assert (found.ndof, found.p_value, found.chi2) == (0, 1.0, 0.0)
    assert found.non_closure is None


@pytest.mark.parametrize("kind", ["events", "weighted events", "votes of five members"])
def test_p_values_are_uniform_where_nothing_is_sculpted(kind: str) -> None:
    rng = np.random.default_rng(3)
    p_values, pulls = [], []
    for _ in range(250):
        mjj = dijet_masses(6000, rng)
        weight = rng.choice([0.5, 1.0, 3.0], 6000) if kind == "weighted events" else np.ones(6000)
        passes = (rng.random(6000) < 0.1).astype(float)
        if kind.startswith("votes"):
            level = rng.beta(0.3, 2.7, 6000)  # members agree in part
            passes = rng.binomial(5, level) / 5
        found = measured(mjj, passes, weight=weight)
        assert found.non_closure is not None
        p_values.append(found.p_value)
        pulls.append(found.non_closure.value / found.non_closure.error)
    assert stats.kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(pulls) == pytest.approx(0, abs=0.2)
    assert np.std(pulls) == pytest.approx(1, abs=0.12)


def test_an_efficiency_that_rises_with_mass_is_seen() -> None:
    rng = np.random.default_rng(4)
    mjj = dijet_masses(50_000, rng)
    found = measured(mjj, rng.random(50_000) < 0.1 * (mjj / 3500) ** 2)
    assert found.p_value < 1e-6
    assert found.likelihood_ratio == pytest.approx(found.chi2, rel=0.1)


def test_non_closure_is_the_excess_over_the_mean_of_the_sidebands() -> None:
    mjj = np.repeat([3200.0, 3500.0, 3800.0], [2000, 1000, 500])
    passes = np.concatenate([np.repeat([1.0, 0.0], pair) for pair in ((160, 1840), (120, 880), (60, 440))])
    found = measured(mjj, passes)
    beside = (0.08 + 0.12) / 2
    assert found.non_closure is not None
    assert found.non_closure.value == pytest.approx(0.12 / beside - 1)
    errors = [np.sqrt(e * (1 - e) / n) for e, n in ((0.08, 2000), (0.12, 1000), (0.12, 500))]
    expected = 1.2 * np.hypot(errors[1] / 0.12, np.hypot(errors[0], errors[2]) / 2 / beside)
    assert found.non_closure.error == pytest.approx(expected)


def test_a_linear_efficiency_closes() -> None:
    rng = np.random.default_rng(5)
    mjj = rng.uniform(3100, 3900, 400_000)
    found = measured(mjj, rng.random(len(mjj)) < 0.1 * (1 + (mjj - 3500) / 1000))
    assert found.non_closure is not None
    assert found.non_closure.value == pytest.approx(0, abs=3 * found.non_closure.error)
    assert found.non_closure.error < 0.01
