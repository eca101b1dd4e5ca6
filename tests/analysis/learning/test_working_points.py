from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.config import ClassifierConfig
from analysis.identity import event_hash
from analysis.learning import (
    BoostedTrees,
    FoldTask,
    PassWeights,
    Samples,
    Scores,
    assign_folds,
    choose_working_points,
    collect_folds,
    run_fold,
    selection_name,
)
from analysis.methods import CWoLa
from tests.toy_tables import WINDOW, dijet_masses, feature_names, table_of

N = 5003
N_FOLDS = 4
EFFICIENCIES = (0.5, 0.1, 0.013, 0.001)
EVENT_ID = event_hash(7, np.arange(N))
FOLD = assign_folds(EVENT_ID, N_FOLDS, random_state=2)
ALL = np.ones(N, bool)


def normal_scores(n_members: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(N, n_members)).astype(np.float32)


def cut(values: NDArray[Any], reference: NDArray[np.bool_] = ALL, **changes: Any) -> PassWeights:
    scores = Scores(values.astype(np.float32), changes.pop("fold", FOLD), "toy")
    options: dict[str, Any] = {"event_id": EVENT_ID, "weight": np.ones(len(values)), "random_state": 2}
    return choose_working_points(scores, reference, EFFICIENCIES, **(options | changes))


@pytest.mark.parametrize(
    "values",
    [
        normal_scores(),
        np.zeros((N, 1)),
        np.random.default_rng(1).integers(0, 3, (N, 1)),  # three leaves
        np.where(np.random.default_rng(2).random((N, 1)) < 0.977, 0.49911904, 0.6),  # arXiv:2009.02205, footnote 2
    ],
    ids=["continuous", "constant", "three values", "collapsed"],
)
def test_each_fold_keeps_the_nominal_fraction_to_one_event(values: NDArray[Any]) -> None:
    passes = cut(values)
    for fold in range(N_FOLDS):
        rows = fold == FOLD
        kept = passes.values[rows].sum(axis=0)
        np.testing.assert_allclose(kept, np.array((1.0, *EFFICIENCIES)) * rows.sum(), atol=0.51)
    np.testing.assert_allclose(passes.achieved, (1.0, *EFFICIENCIES), atol=N_FOLDS * 0.51 / N)
    np.testing.assert_allclose(passes.achieved, passes.values.mean(axis=0))


def test_the_highest_scores_pass() -> None:
    values = normal_scores()
    mean = values.mean(axis=1)
    passes = cut(values)
    for fold in range(N_FOLDS):
        rows = np.flatnonzero(fold == FOLD)
        ranked = rows[np.argsort(-mean[rows], kind="stable")]
        for index in range(1, len(EFFICIENCIES) + 1):
            kept = np.flatnonzero(passes.values[:, index] * (fold == FOLD))
            assert set(kept) == set(ranked[: len(kept)])


@pytest.mark.parametrize("values", [np.zeros((N, 1)), normal_scores(1).round(1)], ids=["constant", "many ties"])
def test_ties_are_broken_by_the_event_and_not_by_its_row(values: NDArray[Any]) -> None:
    passes = cut(values)
    order = np.random.default_rng(3).permutation(N)
    mixed = cut(values[order], fold=FOLD[order], event_id=EVENT_ID[order])
    np.testing.assert_array_equal(mixed.values, passes.values[order])
    np.testing.assert_array_equal(mixed.thresholds, passes.thresholds)


def test_tie_breaks_are_random_and_seeded() -> None:
    first, second = (cut(np.zeros((N, 1)), random_state=seed).values[:, 1] == 1 for seed in (2, 3))
    # Independent halves share a quarter; the row order says nothing of who passes.
    assert (first & second).mean() == pytest.approx(0.25, abs=4 * 0.43 / np.sqrt(N))
    assert stats.mannwhitneyu(np.flatnonzero(first), np.flatnonzero(~first)).pvalue > 1e-3


def test_every_fold_is_cut_on_its_own_scores() -> None:
    values = normal_scores(1)
    passes = cut(values)
    stretched = values * (1.0 + FOLD[:, None]) + 100.0 * FOLD[:, None]
    np.testing.assert_array_equal(cut(stretched).values, passes.values)
    changed = np.where(FOLD[:, None] == 2, normal_scores(2)[:, 1:], values)
    others = FOLD != 2
    np.testing.assert_array_equal(cut(changed).values[others], passes.values[others])
    assert (cut(changed).values[~others] != passes.values[~others]).any()


def test_only_reference_events_fix_the_thresholds() -> None:
    values, reference = normal_scores(), np.random.default_rng(4).random(N) < 0.3
    moved = values + 5.0 * ~reference[:, None]
    passes, other = cut(values, reference), cut(moved, reference)
    np.testing.assert_array_equal(other.thresholds, passes.thresholds)
    np.testing.assert_array_equal(other.values[reference], passes.values[reference])
    assert other.values[~reference, 2].mean() > 0.9
    np.testing.assert_allclose(passes.achieved, (1.0, *EFFICIENCIES), atol=N_FOLDS * 0.51 / reference.sum())


def test_thresholds_are_weighted_quantiles() -> None:
    values = normal_scores(1)
    weight = np.random.default_rng(5).uniform(0.01, 3.0, N)
    passes = cut(values, weight=weight)
    for fold in range(N_FOLDS):
        rows = fold == FOLD
        score, w = values[rows, 0], weight[rows]
        for index, efficiency in enumerate(EFFICIENCIES, start=1):
            # Brute force: the weight above each possible cut, and the cut that comes closest to the nominal share.
            above = np.array([w[score > threshold].sum() for threshold in np.append(score, -np.inf)])
            best = np.abs(above - efficiency * w.sum()).min()
            kept = weight[rows] @ passes.values[rows, index]
            assert abs(kept - efficiency * w.sum()) == pytest.approx(best, abs=1e-9)
    share = (weight @ passes.values) / weight.sum()
    np.testing.assert_allclose(passes.achieved, share)


def test_events_without_a_score_pass_the_inclusive_selection_alone() -> None:
    values = normal_scores()
    values[:700] = np.nan
    passes = cut(values, np.arange(N) >= 700)
    np.testing.assert_array_equal(passes.values[:700], np.eye(1, len(EFFICIENCIES) + 1).repeat(700, axis=0))


def test_names() -> None:
    assert selection_name(1.0) == "inclusive"
    assert cut(normal_scores()).names == ("inclusive", "eff_0.5", "eff_0.1", "eff_0.013", "eff_0.001")


def test_a_classifier_trained_on_noise_selects_window_and_sidebands_alike() -> None:
    """Features independent of m_jj, real training: any excess in the window would be a fake signal.

    With the total number of selected events fixed by the quantile, the numbers in window, sidebands and rest are
    multivariate hypergeometric, so Pearson's statistic of the 2 x 4 table has 3 degrees of freedom a trial.
    """
    config = ClassifierConfig(n_estimators=20, max_depth=4, min_child_weight=1.0, learning_rate=0.3)
    n_trials, chi2 = 8, 0.0
    for seed in range(n_trials):
        rng = np.random.default_rng(1000 + seed)
        table = table_of(dijet_masses(6000, rng), rng.normal(size=(6000, 2)))
        task = FoldTask(WINDOW, 0, 3, feature_names(2), CWoLa(), BoostedTrees(config, 1), seed)
        crossfit = collect_folds([run_fold(replace(task, fold=k), Samples(table)) for k in range(3)], table, task)
        passes = choose_working_points(
            crossfit.scores,
            WINDOW.in_fit_range(table.mjj),
            (0.2,),
            event_id=table.event_id,
            weight=table.weight,
            random_state=seed,
        )
        region = WINDOW.in_signal(table.mjj) + 2 * WINDOW.in_lower(table.mjj) + 3 * WINDOW.in_upper(table.mjj)
        selected = passes.values[:, 1] == 1
        counts = [np.bincount(region[rows], minlength=4) for rows in (selected, ~selected)]
        chi2 += stats.chi2_contingency(np.array(counts), correction=False).statistic
    assert 1e-3 < stats.chi2.sf(chi2, 3 * n_trials) < 1 - 1e-3
