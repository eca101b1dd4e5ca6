"""Combination of two halves, summaries of the study of cross-fitting, and which folds train which in its toy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tests.studies import cell_folds, cross_fitting


def test_the_smaller_p_value_counts_twice() -> None:
    assert norm.sf(cross_fitting.combined(2.0, 0.5)) == pytest.approx(2 * norm.sf(2.0))
    assert cross_fitting.combined(0.5, 2.0) == cross_fitting.combined(2.0, -4.0)
    assert cross_fitting.combined(-1.0, -2.0) == -3.0


def test_medians_are_over_all_draws_and_errors_from_samples() -> None:
    values = {0: (1.0, 3.0), 1: (5.0, 7.0), 2: (2.0, None)}
    points = [
        {"scheme": cross_fitting.KFOLD, "strength": 1.0, "sample": sample, "z": {"eff_0.1": z}}
        for sample, of_sample in values.items()
        for z in of_sample
    ]
    found = cross_fitting.found(points, cross_fitting.KFOLD, 1.0, 0.1)
    assert found is not None
    assert (found.median, found.n) == (3.0, 5)
    assert found.error == pytest.approx(np.std([2.0, 6.0, 2.0], ddof=1) / 3**0.5)
    assert cross_fitting.found(points, cross_fitting.HALF, 1.0, 0.1) is None


def test_frequencies_are_relative_to_the_level() -> None:
    points = [{"scheme": "half", "n_folds": 2, "below": [300, 100, 0, 0], "toys": 2000}] * 2
    found = cell_folds.ratios(points, "half", 2)
    assert [ratio for ratio, _ in found] == [3.0, 5.0, 0.0, 0.0]
    assert found[0][1] == pytest.approx(600**0.5 / 200)
    assert found[2][1] == pytest.approx(5.4**0.5 / 5.4)  # what is expected, where nothing is found


@pytest.mark.parametrize(("scheme", "n_folds", "tested"), [("kfold", 5, 1.0), ("half", 2, 0.5), ("sequential", 5, 0.8)])
def test_the_toy_keeps_its_fraction_of_the_events_that_are_tested(scheme: str, n_folds: int, tested: float) -> None:
    _, kept = np.array([cell_folds.counts(scheme, n_folds, np.random.default_rng(i)) for i in range(20)]).T
    assert kept.mean() == pytest.approx(tested * cell_folds.EFFICIENCY * cell_folds.N_EVENTS, rel=0.03)
