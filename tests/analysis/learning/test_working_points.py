from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from analysis.config import ClassifierConfig
from analysis.events.identity import event_hash
from analysis.learning import (
    BoostedTrees,
    FoldTask,
    PassWeights,
    Samples,
    Scores,
    Template,
    assign_folds,
    choose_working_points,
    collect_folds,
    run_fold,
    selection_name,
)
from analysis.methods import CWoLa
from tests.builders.toy_tables import WINDOW, dijet_masses, feature_names, table_of

N = 5003
N_FOLDS = 4
EFFICIENCIES = (0.5, 0.1, 0.013, 0.001)
EVENT_ID = event_hash(7, np.arange(N))
FOLD = assign_folds(EVENT_ID, N_FOLDS, random_state=2)
ALL = np.ones(N, bool)


def normal_scores(n_members: int = 2) -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(N, n_members)).astype(np.float32)


def cut(values: NDArray[Any], reference: NDArray[np.bool_] | Template = ALL, **changes: Any) -> PassWeights:
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


@pytest.mark.parametrize("ensemble", ["mean-score", "mean-count"])
def test_events_of_a_fold_without_scores_fail_and_fix_no_threshold(ensemble: str) -> None:
    values = normal_scores()
    values[FOLD == 3] = np.nan
    passes, all_scored = cut(values, ensemble=ensemble), cut(normal_scores(), ensemble=ensemble)
    np.testing.assert_array_equal(passes.thresholds[:3], all_scored.thresholds[:3])
    assert (passes.thresholds[3, :, 1:] == np.inf).all()
    np.testing.assert_array_equal(passes.values[FOLD < 3], all_scored.values[FOLD < 3])
    assert (passes.values[FOLD == 3] == (1, 0, 0, 0, 0)).all()
    np.testing.assert_allclose(passes.achieved, passes.values.mean(axis=0))
    argos = cut(values, ensemble=ensemble, chosen=(1, 0, 1))
    assert argos.names == ("inclusive", "argos")
    expected = np.where(FOLD == 1, all_scored.values[:, 1], all_scored.values[:, 2]) * (FOLD < 3)
    np.testing.assert_array_equal(argos.values[:, 1], expected)


def test_a_template_of_scored_folds_counts_the_others_as_failing() -> None:
    values, rng = normal_scores(1), np.random.default_rng(4)
    values[FOLD == 3] = np.nan
    scored = rng.normal(size=(3000, 1)).astype(np.float32)
    fold = np.repeat(np.arange(3, dtype=np.int8), 1000)
    template = Template(Scores(scored, fold, "toy"), event_hash(9, np.arange(3000)), np.ones(3000))
    passes = cut(values, template)
    np.testing.assert_allclose(passes.achieved[1:], 0.75 * np.array(EFFICIENCIES), atol=1e-3)
    assert passes.achieved[0] == 1
    np.testing.assert_allclose(passes.achieved, passes.values.mean(axis=0), atol=0.02)


@pytest.mark.parametrize("ensemble", ["mean-score", "mean-count"])
def test_halves_are_selections_of_their_own_with_the_cuts_of_two_folds(ensemble: str) -> None:
    fold = (FOLD % 2).astype(np.int8)
    both = cut(normal_scores(), fold=fold, ensemble=ensemble)
    apart = cut(normal_scores(), fold=fold, ensemble=ensemble, apart=True)
    assert apart.names == ("inclusive", *(f"{selection_name(e)}_{half}" for e in EFFICIENCIES for half in "ab"))
    assert apart.efficiencies == (1.0, *np.repeat(EFFICIENCIES, 2))
    for half in (0, 1):
        np.testing.assert_array_equal(apart.values[:, 1 + half :: 2], both.values[:, 1:] * (fold == half)[:, None])
        np.testing.assert_array_equal(apart.thresholds[half, :, 1 + half :: 2], both.thresholds[half, :, 1:])
        assert (apart.thresholds[1 - half, :, 1 + half :: 2] == np.inf).all()
    np.testing.assert_allclose(apart.achieved, apart.values.mean(axis=0))
    if both.members is not None:
        assert apart.members is not None
        np.testing.assert_allclose(apart.members.mean(axis=1), apart.values)
    argos = cut(normal_scores(), fold=fold, ensemble=ensemble, apart=True, chosen=(2, 1))
    assert argos.names == ("inclusive", "argos_a", "argos_b")
    assert argos.efficiencies == (1.0, EFFICIENCIES[2], EFFICIENCIES[1])
    np.testing.assert_array_equal(argos.values[:, 1], both.values[:, 3] * (fold == 0))
    np.testing.assert_array_equal(argos.values[:, 2], both.values[:, 2] * (fold == 1))


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


def brute_force_members(values: NDArray[Any]) -> NDArray[np.float64]:
    """(N, 1 + efficiencies): fraction of members that rank an event high enough in its fold."""
    result = np.zeros((N, len(EFFICIENCIES) + 1))
    result[:, 0] = 1
    for fold in range(N_FOLDS):
        rows = np.flatnonzero(fold == FOLD)
        for member in values.T:
            ranked = rows[np.argsort(-member[rows], kind="stable")]
            for index, efficiency in enumerate(EFFICIENCIES, start=1):
                n_pass = int(np.abs(np.arange(len(rows) + 1) - efficiency * len(rows)).argmin())
                result[ranked[:n_pass], index] += 1 / values.shape[1]
    return result


def test_counts_are_averaged_over_members_each_cut_at_its_own_threshold() -> None:
    values = normal_scores(3) * np.array([1.0, 0.25, 32.0])  # powers of two make no ties
    passes = cut(values, ensemble="mean-count")
    np.testing.assert_allclose(passes.values, brute_force_members(values))
    np.testing.assert_allclose(passes.achieved, (1.0, *EFFICIENCIES), atol=N_FOLDS * 0.51 / N)
    assert passes.members is not None
    np.testing.assert_allclose(passes.members.mean(axis=1), passes.values)
    # Members that know nothing of each other: an event passes k of 3 as in a binomial distribution.
    k = np.bincount(np.rint(3 * passes.values[:, 2]).astype(int), minlength=4) / N
    expected = stats.binom.pmf(range(4), 3, 0.1)
    np.testing.assert_allclose(k, expected, atol=4 * np.sqrt(0.25 / N))


def test_equal_members_give_the_same_by_score_and_by_count() -> None:
    values = normal_scores(1).round(1).repeat(4, axis=1)
    by_score, by_count = cut(values), cut(values, ensemble="mean-count")
    np.testing.assert_array_equal(by_count.values, by_score.values)
    assert by_count.achieved == by_score.achieved
    assert by_score.members is None


@pytest.mark.parametrize("ensemble", ["mean-score", "mean-count"])
def test_a_template_fixes_the_thresholds_by_its_own_weights(ensemble: str) -> None:
    values, rng = normal_scores(3), np.random.default_rng(8)
    n = 6000
    template = Template(
        Scores(rng.normal(0.3, 1.0, (n, 3)).astype(np.float32), rng.integers(0, N_FOLDS, n).astype(np.int8), "toy"),
        event_hash(8, np.arange(n)),
        rng.uniform(0.0, 2.0, n),
    )
    passes = cut(values, template, ensemble=ensemble)
    np.testing.assert_allclose(passes.achieved, (1.0, *EFFICIENCIES), atol=N_FOLDS * 2.01 / n)
    # The template is shifted by 0.3, so fewer of the data pass: of one member Phi(z - 0.3), of the mean of three
    # members, whose width is 1 / sqrt(3), Phi(z - 0.3 sqrt(3)).
    shift = 0.3 if ensemble == "mean-count" else 0.3 * np.sqrt(3)
    expected = stats.norm.sf(stats.norm.isf(EFFICIENCIES) + shift)
    error = np.sqrt(2 * expected / N) * 4 + 4 * np.sqrt(4 / 3 * expected / n)
    assert (np.abs(passes.values[:, 1:].mean(axis=0) - expected) < error).all()
    again = replace(template, weight=7.0 * template.weight)
    np.testing.assert_array_equal(cut(values, again, ensemble=ensemble).values, passes.values)


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


@pytest.mark.parametrize("seed", range(30))
def test_everything_that_passes_is_no_more_than_everything(seed: int) -> None:
    """The sums of weights are taken in different orders; their ratio was 1.0000000000000009 for half of the seeds."""
    rng = np.random.default_rng(seed)
    passes = cut(normal_scores(3), weight=rng.exponential(size=N), ensemble="mean-count")
    assert passes.achieved[0] <= 1.0
    assert passes.achieved[0] == pytest.approx(1.0, abs=1e-14)
    assert all(0 <= value <= 1 for value in passes.achieved)
