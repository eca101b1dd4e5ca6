"""Unions of two samples: one row per event, unit weights, any order."""

from __future__ import annotations

import numpy as np

from analysis.learning import TrainingSet
from analysis.statistics.two_sample import Union


def training(n: int, weight: np.ndarray | float = 1.0, group: np.ndarray | None = None) -> TrainingSet:
    rng = np.random.default_rng(4)
    X = rng.normal(size=(n, 2)).astype(np.float32)
    ids = np.arange(n, dtype=np.uint64) if group is None else group.astype(np.uint64)
    return TrainingSet.build(X, np.arange(n) % 2, np.broadcast_to(weight, n).astype(np.float64), ids)


def test_equal_weights_keep_every_event() -> None:
    assert Union.of(training(1000), seed=1).sizes == (500, 500)


def test_unequal_weights_keep_events_in_proportion() -> None:
    n = 40_000
    column = training(n).X[:, 0]
    weight = np.where(column > 0, 1.0, 0.25)
    union = Union.of(training(n, weight), seed=1)
    heavy = (union.X[:, 0] > 0).sum()
    assert heavy == (column > 0).sum()
    light = len(union.X) - heavy
    assert abs(light - 0.25 * (column <= 0).sum()) < 4 * (0.25 * 0.75 * n / 2) ** 0.5


def test_copies_of_an_event_count_as_one_event_of_their_total_weight() -> None:
    n = 40_000
    group = np.arange(n) // 4  # copies of both classes: two each
    union = Union.of(training(n, group=group), seed=1)
    assert sum(union.sizes) == n // 4
    assert abs(union.sizes[0] - n // 8) < 4 * (n / 16) ** 0.5
    single = np.concatenate([np.arange(n // 2) // 2, np.arange(n // 2) + n])  # half the rows: pairs, one row a class
    assert sum(Union.of(training(n, group=single), seed=1).sizes) == n // 4 + n // 2


def test_copies_of_one_class_weigh_more() -> None:
    n = 30_000
    rng = np.random.default_rng(3)
    X = rng.normal(size=(n, 1)).astype(np.float32)
    y = np.ones(n, np.int8)
    y[: n // 3] = 0
    group = np.arange(n)
    group[n // 3 : 2 * n // 3] = np.arange(n // 3) // 2 + n  # pairs in class 1; the rest of it are single
    union = Union.of(TrainingSet.build(X, y, np.ones(n), group.astype(np.uint64)), seed=2)
    expected = n / 6 + n / 6  # all pairs, and half of the n / 3 single events
    assert union.sizes[1] == n // 3
    assert abs(union.sizes[0] - expected) < 4 * (n / 12) ** 0.5


def test_a_union_does_not_depend_on_the_order_of_rows() -> None:
    rows = training(2000, group=np.arange(2000) // 3)
    order = np.random.default_rng(0).permutation(2000)
    shuffled = TrainingSet.build(rows.X[order], rows.y[order], rows.sample_weight[order], rows.group[order])
    one, other = (Union.of(part, seed=7, most=200) for part in (rows, shuffled))
    assert (one.X == other.X).all()
    assert (one.is_first == other.is_first).all()
    assert one.sizes == (200, 200)
