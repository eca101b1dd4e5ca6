from __future__ import annotations

import numpy as np
import pytest

from analysis.errors import TableError
from analysis.learning import TrainingSet

X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([1, 1, 0, 0, 1, 0])
GROUP = np.arange(6, dtype=np.uint64) + 100


def test_weights_have_mean_one_and_keep_their_ratios() -> None:
    weight = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 9.0]) * 1e-6
    built = TrainingSet.build(X, Y, weight, GROUP)
    np.testing.assert_allclose(built.sample_weight, np.array([1, 2, 3, 4, 5, 9]) / 4)


def test_rows_of_weight_zero_are_dropped_whole() -> None:
    built = TrainingSet.build(X, Y, np.array([1.0, 0.0, 1.0, 0.0, 2.0, 0.0]), GROUP)
    np.testing.assert_array_equal(built.X, X[[0, 2, 4]])
    assert built.y.tolist() == [1, 0, 1]
    assert built.group.tolist() == [100, 102, 104]
    np.testing.assert_allclose(built.sample_weight, [0.75, 0.75, 1.5])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite_are_refused_and_counted(bad: float) -> None:
    with pytest.raises(TableError, match="1 training weights are not finite, in class 0"):
        TrainingSet.build(X, Y, np.array([1.0, 1.0, 1.0, bad, 1.0, 1.0]), GROUP)


def test_events_of_negative_weight_are_left_out_and_the_classes_keep_their_sums() -> None:
    """Class 1 weighs 2 + 3 - 1 = 4, class 0 weighs 6 - 2 + 4 = 8: the ratio of the classes stays 1 : 2."""
    built = TrainingSet.build(X, Y, np.array([2.0, 3.0, 6.0, -2.0, -1.0, 4.0]), GROUP)
    assert built.group.tolist() == [100, 101, 102, 105]
    np.testing.assert_allclose(built.sample_weight, np.array([2 * 0.8, 3 * 0.8, 6 * 0.8, 4 * 0.8]) / 3)


def test_negative_weights_that_are_not_outweighed_are_refused() -> None:
    with pytest.raises(TableError, match=r"weights of class 0 add up to -1: its 1 events .* other 2"):
        TrainingSet.build(X, Y, np.array([1.0, 1.0, 2.0, -4.0, 1.0, 1.0]), GROUP)


def test_an_undefined_feature_is_kept_and_an_infinite_one_refused() -> None:
    holes = X.copy()
    holes[0, 0] = np.nan
    assert np.isnan(TrainingSet.build(holes, Y, np.ones(6), GROUP).X[0, 0])
    holes[[1, 2], 1] = np.inf, -np.inf
    with pytest.raises(TableError, match="2 training rows hold an infinite feature"):
        TrainingSet.build(holes, Y, np.ones(6), GROUP)


@pytest.mark.parametrize("label", [0, 1])
def test_a_class_without_weight_is_refused(label: int) -> None:
    with pytest.raises(TableError, match=f"no row of class {label}"):
        TrainingSet.build(X, Y, np.where(label == Y, 0.0, 1.0), GROUP)
