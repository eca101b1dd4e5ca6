from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.events.identity import event_hash, uniform
from analysis.learning import assign_folds, stratified_folds

SEQUENTIAL = np.arange(20_000, dtype=np.uint64)
HASHED = event_hash(360_000, 12, SEQUENTIAL)


@pytest.mark.parametrize("identity", [SEQUENTIAL, HASHED, SEQUENTIAL << np.uint64(40)])
@pytest.mark.parametrize("n_folds", [2, 5, 7])
def test_folds_are_balanced(identity: np.ndarray, n_folds: int) -> None:
    counts = np.bincount(assign_folds(identity, n_folds, random_state=1), minlength=n_folds)
    assert len(counts) == n_folds
    assert stats.chisquare(counts).pvalue > 1e-3


def test_the_fold_of_an_event_depends_on_nothing_beside_it() -> None:
    fold = assign_folds(HASHED, 5, random_state=1)
    order = np.random.default_rng(0).permutation(len(HASHED))
    np.testing.assert_array_equal(assign_folds(HASHED[order], 5, random_state=1), fold[order])
    np.testing.assert_array_equal(assign_folds(HASHED[777:900], 5, random_state=1), fold[777:900])
    copies = assign_folds(np.repeat(HASHED[:50], 3), 5, random_state=1).reshape(50, 3)
    assert (copies == copies[:, :1]).all()


@pytest.mark.parametrize("other", [0, 2, 2**40])
def test_seeds_give_independent_folds(other: int) -> None:
    first, second = (assign_folds(HASHED, 4, random_state=seed) for seed in (1, other))
    table = np.histogram2d(first, second, bins=[np.arange(5), np.arange(5)])[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3


@pytest.mark.parametrize("purpose", ["tie-break", "validation"])
def test_folds_say_nothing_of_tie_breaks_and_validation_splits(purpose: str) -> None:
    fold = assign_folds(HASHED, 4, random_state=1)
    other = uniform(HASHED, 1, purpose)
    assert stats.kruskal(*(other[fold == k] for k in range(4))).pvalue > 1e-3


def test_the_largest_number_of_folds_still_counts_up() -> None:
    fold = assign_folds(HASHED, 127, random_state=1)
    assert (fold.min(), fold.max()) == (0, 126)


EDGES = (3000.0, 3200.0, 3500.0, 4500.0)
MASSES = np.random.default_rng(3).uniform(2900, 5000, 4003)


def test_stratified_folds_are_equally_large_in_every_bin() -> None:
    fold = stratified_folds(HASHED[:4003], MASSES, EDGES, 5, random_state=1)
    bins = np.digitize(MASSES, EDGES)
    counts = np.histogram2d(bins, fold, bins=[np.arange(6), np.arange(6)])[0]
    assert (np.ptp(counts, axis=1) <= 1).all()
    assert (counts.sum(axis=0) > 4003 / 5 - len(counts)).all()


def test_stratified_folds_do_not_depend_on_the_order_of_events_but_on_the_seed() -> None:
    fold = stratified_folds(HASHED[:4003], MASSES, EDGES, 5, random_state=1)
    order = np.random.default_rng(0).permutation(4003)
    mixed = stratified_folds(HASHED[:4003][order], MASSES[order], EDGES, 5, random_state=1)
    np.testing.assert_array_equal(mixed, fold[order])
    other = stratified_folds(HASHED[:4003], MASSES, EDGES, 5, random_state=2)
    table = np.histogram2d(fold, other, bins=[np.arange(6), np.arange(6)])[0]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_copies_share_a_stratified_fold_wherever_their_masses_are() -> None:
    copies = np.repeat(HASHED[:1000], 3)
    fold = stratified_folds(copies, MASSES[:3000], EDGES, 5, random_state=1).reshape(1000, 3)
    assert (fold == fold[:, :1]).all()
    assert stats.chisquare(np.bincount(fold[:, 0], minlength=5)).pvalue > 1e-3
