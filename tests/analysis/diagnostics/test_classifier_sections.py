"""Numbers about classifiers: closed forms, brute force, and what the search itself counted."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm

from analysis.compute import Backend
from analysis.config import ClassifierConfig
from analysis.core.documents import to_json
from analysis.diagnostics import ScoredWindow
from analysis.diagnostics.ensemble import ensemble, jaccard
from analysis.diagnostics.importance import importance
from analysis.diagnostics.members import member_scores
from analysis.diagnostics.performance import performance
from analysis.diagnostics.region_events import event_folds
from analysis.diagnostics.sections import ImportanceSection, SeedSignificances
from analysis.events.identity import uniform
from analysis.events.table import EventTable
from analysis.learning import BoostedTrees, FittedEnsemble
from analysis.learning.ensemble import gain_shares, without_counts
from analysis.learning.training_set import TrainingSet
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.search.classifiers import Classifier, load_classifiers
from analysis.search.scan import run_scan
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.statistics import DiscoveryResult
from tests.builders.manifest import write_manifest
from tests.builders.toy_tables import FIT_RANGE, WINDOW, feature_names, table_of, toy_config, toy_table

N_FOLDS, SEED = 3, 5
EDGES = np.arange(FIT_RANGE[0], FIT_RANGE[1] + 1, 100.0)
SCAN = RegionScan((WINDOW,), 100.0)


@dataclass(frozen=True)
class Columns:
    """A model whose members are the features, moved by a number of its own."""

    shift: float = 0.0
    members: tuple[bytes, ...] = ()

    def predict(self, X: Any) -> Any:
        return X + np.float32(self.shift)

    def pick(self, member: int) -> Any:
        raise NotImplementedError


def selection(name: str, efficiency: float, **values: Any) -> SelectionResult:
    return SelectionResult(name, "cwola", feature_names(2), efficiency, efficiency, None, **values)


def classifier(n_features: int, thresholds: Any, efficiencies: tuple[float, ...] = (1.0, 0.1)) -> Classifier:
    """Folds whose scores differ by a constant, so that mistaking one for another shows."""
    return Classifier(
        WINDOW,
        feature_names(n_features),
        tuple(Columns(10.0 * fold) for fold in range(N_FOLDS)),
        (),
        ("inclusive", *(f"eff_{one:g}" for one in efficiencies[1:])),
        efficiencies,
        efficiencies,
        np.asarray(thresholds, np.float64),
        SEED,
    )


def thresholds(*scores: float) -> Any:
    """Cuts on the mean score, the same in all folds but for their constants."""
    cuts = [[(-np.inf, -np.inf), *((10.0 * fold + score, 0.0) for score in scores)] for fold in range(N_FOLDS)]
    return np.array(cuts)[:, None]


def scored(table: EventTable, one: Classifier | None, **values: Any) -> ScoredWindow:
    given: dict[str, Any] = {"scores": np.zeros(len(table), np.float32), "signal_datasets": ("signal",)}
    result = values.pop("result", WindowResult(WINDOW, EDGES))
    return ScoredWindow(result, table, classifier=one, random_state=SEED, **(given | values))


class TestPerformance:
    SHIFT = 1.5

    def window(self, n_signal: int = 3000, n_background: int = 30_000) -> ScoredWindow:
        """Gaussian scores with a scale of their own in every fold, and events beside the window that say nothing."""
        rng = np.random.default_rng(3)
        labels = np.repeat(
            np.array(["signal", "background", "signal", "background"], object),
            sizes := (n_signal, n_background, 500, 500),
        )
        score = np.concatenate(
            [rng.normal(mean, 1, n) for mean, n in zip((self.SHIFT, 0.0, -9.0, 9.0), sizes, strict=True)]
        )
        mjj = np.repeat([3500.0, 3500.0, 3200.0, 3200.0], sizes)
        table = table_of(mjj, np.zeros((len(mjj), 2), np.float32), dataset=labels)
        model = classifier(2, thresholds(0.0))
        bare = scored(table, model)
        passes = np.stack([np.ones(len(table), bool), score > 1.0], axis=1)
        result = WindowResult(WINDOW, EDGES, (selection("inclusive", 1.0), selection("eff_0.1", 0.1)), passes=passes)
        fold = event_folds(bare, model)
        scores = (score * (1 + fold) + 100 * fold).astype(np.float32)
        return replace(bare, result=result, scores=scores)

    def test_is_that_of_gaussians_in_closed_form_with_every_fold_cut_at_its_own_quantile(self):
        window = self.window()
        found = performance(window)
        assert found is not None
        background, signal, low, high = (
            np.array(values, float)
            for values in (found.background_efficiency, found.signal_efficiency, found.low, found.high)
        )
        assert len(background) <= 200
        tail = norm.ppf(background[:-1])
        exact = np.append(norm.cdf(tail + self.SHIFT), 1.0)
        # Hsieh and Turnbull, Ann. Stat. 24 (1996) 25: variance of an empirical ROC curve.
        slope = norm.pdf(tail + self.SHIFT) / norm.pdf(tail)
        variance = (exact * (1 - exact))[:-1] / 3000 + (slope**2 * background[:-1] * (1 - background[:-1])) / 30_000
        known = (background[:-1] > 0.003) & (background[:-1] < 0.9)
        pull = (signal - exact)[:-1][known] / np.sqrt(variance)[known]
        assert np.abs(pull).max() < 3.5
        width = ((high - low)[:-1] / 2 / np.sqrt(variance))[known]
        assert width.mean() == pytest.approx(1, abs=0.15)
        area = norm.cdf(self.SHIFT / 2**0.5)
        assert found.auc[1] == pytest.approx(area, abs=0.01)
        assert found.auc[0] < found.auc[1] < found.auc[2]
        assert found.floor is not None
        assert found.max_sic is not None
        assert found.floor == pytest.approx(25 / 30_000)
        best = (exact / np.sqrt(background))[background > found.floor].max()
        assert found.max_sic[0] == pytest.approx(best, rel=0.15)
        assert (found.n_signal, found.n_background) == (3000, 30_000)

    def test_working_points_are_what_passed(self):
        window = self.window()
        found = performance(window)
        assert found is not None
        inclusive, cut = found.selections
        assert (inclusive.signal_efficiency, inclusive.background_efficiency) == (1.0, 1.0)
        assert cut.background_efficiency == pytest.approx(norm.sf(1.0), abs=0.0065)
        assert cut.signal_efficiency == pytest.approx(norm.sf(1.0 - self.SHIFT), abs=0.03)

    def test_weights_count(self):
        """All weight on one half of the background, which scores like signal: nothing is told apart."""
        window = self.window(n_background=3000)
        assert window.scores is not None
        rng = np.random.default_rng(2)
        background = window.table.column("dataset") == "background"
        heavy = background & (rng.random(len(window.table)) < 0.5)
        scores = window.scores.copy()
        fold = event_folds(window, classifier(2, thresholds(0.0)))
        scores[heavy] = rng.normal(self.SHIFT, 1, heavy.sum()) * (1 + fold[heavy]) + 100 * fold[heavy]
        weight = np.where(background & ~heavy, 1e-9, 1.0)
        X = window.table.matrix(feature_names(2))
        table = table_of(window.table.mjj, X, dataset=window.table.column("dataset"), weight=weight)
        found = performance(replace(window, table=table, scores=scores))
        assert found is not None
        assert found.auc[1] == pytest.approx(0.5, abs=0.03)

    def test_does_not_depend_on_chance(self):
        assert performance(self.window(300, 500)) == performance(self.window(300, 500))

    def test_there_is_none_without_truth_scores_models_or_signal(self):
        window = self.window(300, 500)
        assert performance(window) is not None
        for change in ({"signal_datasets": None}, {"scores": None}, {"classifier": None}, {"signal_datasets": ()}):
            assert performance(replace(window, **change)) is None
        assert performance(self.window(9, 500)) is None
        assert performance(self.window(10, 500)) is not None

    def test_too_few_background_events_have_no_best_cut(self):
        found = performance(self.window(50, 20))
        assert found is not None
        assert found.floor is None
        assert found.max_sic is None
        json.dumps(to_json(found), allow_nan=False)


class TestEnsemble:
    RHO = 0.6

    def table(self, n: int = 24_000) -> EventTable:
        rng = np.random.default_rng(4)
        X = rng.multivariate_normal([0, 0], [[1, self.RHO], [self.RHO, 1]], n).astype(np.float32)
        return table_of(rng.uniform(*FIT_RANGE, n), X)

    def test_spread_and_correlation_of_two_members_in_closed_form(self):
        found = ensemble(scored(self.table(), classifier(2, thresholds(1.0))))
        assert found is not None
        # The folds, which differ by 10, are taken one by one.
        spearman = 6 / np.pi * np.arcsin(self.RHO / 2)
        assert found.rank_correlation is not None
        assert found.rank_correlation.mean == pytest.approx(spearman, abs=0.015)
        # Mean and difference of two Gaussians of the same variance are independent.
        flat = np.sqrt(1 - self.RHO) * np.sqrt(2 / np.pi)
        assert found.profile is not None
        for profile, band in (
            (found.profile.window, found.scores.window),
            (found.profile.sidebands, found.scores.sidebands),
        ):
            assert profile is not None
            assert band is not None
            values = np.array([value for value in profile if value is not None])
            assert_allclose(values[2:-2], flat, rtol=0.25)
            assert values.mean() == pytest.approx(flat, rel=0.05)
            assert np.sum(np.array(band.mean, float)) == pytest.approx(1, abs=1e-5)
        assert (found.n_members, found.n_events, found.fraction) == (2, 24_000, 1.0)

    def test_members_are_cut_where_they_keep_as_much_of_each_fold(self):
        table, model = self.table(3000), classifier(2, thresholds(1.0, 1.5), (1.0, 0.1, 0.05))
        window = scored(table, model)
        found = ensemble(window)
        assert found is not None
        assert [selected.name for selected in found.selections] == ["eff_0.1", "eff_0.05"]
        fold, tie = event_folds(window, model), uniform(table.event_id, SEED, "tie-break")
        X = table.matrix(feature_names(2))
        mean = X.mean(axis=1, dtype=np.float64).astype(np.float32)
        for cut, selected in zip((1.0, 1.5), found.selections, strict=True):
            kept = {
                "ensemble": np.zeros(len(table), bool),
                0: np.zeros(len(table), bool),
                1: np.zeros(len(table), bool),
            }
            for k in range(N_FOLDS):
                rows = np.flatnonzero(fold == k)
                kept["ensemble"][rows] = mean[rows] > cut
                n_kept = int(kept["ensemble"][rows].sum())
                for member in (0, 1):
                    order = sorted(rows, key=lambda row, m=member: (X[row, m], tie[row]))
                    kept[member][order[len(order) - n_kept :]] = True
            inside = WINDOW.in_signal(table.mjj)
            assert selected.window is not None
            assert selected.window.ensemble == pytest.approx((kept["ensemble"] & inside).sum(), abs=2)
            assert_allclose(
                np.array(selected.window.members, float), [(kept[m] & inside).sum() for m in (0, 1)], atol=2
            )
            overlap = (kept[0] & kept[1]).sum() / (kept[0] | kept[1]).sum()
            assert selected.jaccard_members is not None
            assert selected.jaccard_members[0] == pytest.approx(overlap, abs=0.02)
            both = [(kept[m] & kept["ensemble"]).sum() / (kept[m] | kept["ensemble"]).sum() for m in (0, 1)]
            assert_allclose(np.array(selected.jaccard_ensemble, float), both, atol=0.02)

    def test_jaccard_by_hand(self):
        first = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0]], bool)
        second = np.array([[0, 1, 1, 1, 0], [0, 0, 0, 0, 0]], bool)
        found = jaccard(first, second, np.array([1.0, 1.0, 2.0, 4.0, 9.0]))
        assert_allclose(found, [[3 / 8, 0], [0, np.nan]])
        assert_allclose(jaccard(np.array([[0.5, 1.0]]), np.array([[True, False]]), np.ones(2)), [[0.5 / 2.0]])

    def test_blinded_nothing_of_the_window_is_there(self):
        table, model = self.table(4000), classifier(2, thresholds(1.0))
        low, high = WINDOW.mask
        beside = table.select((table.mjj < low) | (table.mjj >= high))
        found = ensemble(scored(beside, model, scores=None))
        assert found is not None
        assert found.n_events == len(beside) < len(table)
        assert found.scores.window is None
        assert found.scores.sidebands is not None
        assert found.profile is not None
        assert found.profile.window is None
        (selected,) = found.selections
        assert selected.window is None
        assert selected.sidebands is not None
        assert selected.sidebands.ensemble

    def test_seeds_are_those_of_the_selections_and_none_while_blinded(self):
        z = [1.5, 0.5, 2.5]
        found = [DiscoveryResult(p0=0.1, z=one, p0_toys=None) for one in z[:2]]
        repeats = (selection("eff_0.1", 0.1, discovery=found[1]), selection("eff_0.1", 0.1))
        result = WindowResult(
            WINDOW, EDGES, (selection("inclusive", 1.0), selection("eff_0.1", 0.1, discovery=found[0], seeds=repeats))
        )
        window = scored(self.table(500), classifier(2, thresholds(1.0)), result=result)
        shown, hidden = ensemble(window), ensemble(replace(window, scores=None))
        assert shown is not None
        assert hidden is not None
        assert shown.seeds == (SeedSignificances("eff_0.1", (1.5, 0.5, None)),)
        assert hidden.seeds == ()

    def test_a_part_of_many_events_is_chosen_by_identity_alone(self):
        table, model = self.table(6000), classifier(2, thresholds(1.0))
        order = np.random.default_rng(0).permutation(len(table))
        mixed = EventTable(table.table.take(order), table.features)
        used = []
        for one in (table, mixed):
            found = member_scores(scored(one, model), model, max_events=2000)
            assert found.fraction == pytest.approx(1 / 3)
            used.append(one.event_id[found.rows])
        assert_array_equal(np.sort(used[0]), np.sort(used[1]))
        assert len(used[0]) == pytest.approx(2000, abs=5 * 2000**0.5)
        summary = ensemble(scored(table, model), max_events=2000)
        assert summary is not None
        assert summary.n_events == len(used[0])

    def test_one_member_and_no_model(self):
        found = ensemble(scored(self.table(500), classifier(1, thresholds(1.0))))
        assert found is not None
        assert found.profile is None
        assert found.rank_correlation is None
        (one,) = found.selections
        assert one.jaccard_members is None
        assert one.jaccard_ensemble == (1.0,)
        assert one.window is not None
        assert one.window.members == (one.window.ensemble,)
        assert ensemble(scored(self.table(500), None)) is None


@pytest.mark.parametrize(
    "learning",
    [
        {"n_members": 2},
        {"n_members": 3, "ensemble": "mean-count"},
        {"cross_fitting": "nested", "n_candidates": 2},
        {"n_members": 2, "decorrelation": "percentile"},
        {"cross_fitting": "sequential", "n_members": 2, "decorrelation": "percentile"},
        {"cross_fitting": "half", "n_folds": 2},
    ],
    ids=lambda learning: "-".join(map(str, learning.values())),
)
def test_members_of_a_search_give_its_scores_and_counts(
    tmp_path: Path, serial: Backend, learning: dict[str, Any]
) -> None:
    config = toy_config(learning=learning)
    table = toy_table(5000, 100, random_state=1)
    folder = ResultsFolder(tmp_path / "results", create=True)
    ((key, result),) = run_scan(SearchData(table, signal_datasets=("signal",)), SCAN, config, serial)
    folder.save_config(config)
    folder.save_window(key, result)
    write_manifest(folder.path, config)
    _, (model,) = load_classifiers(folder.path)
    window = ScoredWindow(result, table, result.scores, model, ("signal",), config.random_state)
    assert result.scores is not None
    scores = member_scores(window, model)
    assert_array_equal(scores.mean(), result.scores[scores.rows])
    assert len(scores.rows) == np.isfinite(result.scores).sum()
    found = ensemble(window)
    assert found is not None
    for counted, selected in zip(result.selections[1:], found.selections, strict=True):
        assert counted.name == selected.name
        assert selected.window is not None
        assert selected.window.ensemble == pytest.approx(counted.n_obs, rel=1e-5)
        if config.learning.ensemble == "mean-count":
            assert np.mean(np.array(selected.window.members, float)) == pytest.approx(counted.n_obs, rel=1e-5)
    curve = performance(window)
    assert curve is not None
    inside, is_signal = WINDOW.in_signal(table.mjj), table.in_datasets(("signal",))
    pairs = zip(result.selections[1:], curve.selections[1:], strict=True)
    for index, (counted, passing) in enumerate(pairs, 1):
        tested = inside & model.tested(index)[event_folds(window, model)]
        assert passing.signal_efficiency is not None
        assert passing.background_efficiency is not None
        n_signal = (tested & is_signal).sum() * passing.signal_efficiency
        n_background = (tested & ~is_signal).sum() * passing.background_efficiency
        assert n_signal + n_background == pytest.approx(counted.n_obs)
    shares = importance(window)
    assert shares is not None
    assert shares.n_models == sum(len(fold) for fold in result.models)
    assert shares.features == config.learning.features
    assert importance(replace(window, scores=None)) is None
    assert importance(replace(window, classifier=None)) is None


class TestImportance:
    def trained(self, shift: tuple[float, ...], n: int = 6000, seed: int = 7) -> FittedEnsemble:
        rng = np.random.default_rng(seed)
        y = np.arange(2 * n) % 2
        X = (rng.normal(size=(2 * n, len(shift))) + np.outer(y, shift)).astype(np.float32)
        training = TrainingSet(X, y.astype(np.int8), np.ones(2 * n), np.arange(2 * n, dtype=np.uint64))
        trees = BoostedTrees(ClassifierConfig(n_estimators=20, max_depth=3, min_child_weight=40.0), 3)
        return trees.fit(training, random_state=np.random.SeedSequence(1))

    def section(self, shift: tuple[float, ...], n_draws: int = 1) -> ImportanceSection:
        models = tuple(self.trained(shift, 2000, seed) for seed in range(n_draws))
        one = replace(classifier(len(shift), thresholds(0.0)), models=models)
        found = importance(scored(table_of(np.full(3, 3500.0), np.zeros((3, len(shift)))), one))
        assert found is not None
        assert np.sum(np.array(found.mean, float)) == pytest.approx(1)
        return found

    def test_is_the_gain_that_the_trees_themselves_record(self):
        (document, *_) = self.trained((0.5, 0.0, 0.2)).members
        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray(document))
        gains = np.zeros(3)
        for tree in json.loads(bytes(booster.save_raw("json")))["learner"]["gradient_booster"]["model"]["trees"]:
            split = np.array(tree["left_children"]) >= 0
            np.add.at(gains, np.array(tree["split_indices"])[split], np.array(tree["loss_changes"])[split])
        assert_allclose(gain_shares(document, 3), gains / gains.sum(), rtol=1e-5)

    def test_features_of_pure_noise_share_equally_and_the_only_one_that_tells_has_most(self):
        noise = self.section((0.0, 0.0, 0.0, 0.0), n_draws=16)
        # Members of one draw share its fluctuations: 16 shares, which vary by about 0.07.
        std = np.array(noise.std, float)
        assert_allclose(np.array(noise.mean, float), 0.25, atol=4 * std.max() / 4)
        assert std.max() < 0.1
        assert noise.n_models == 48
        mean = np.array(self.section((0.0, 1.0, 0.0, 0.0)).mean, float)
        assert mean[1] > 0.9
        assert mean[[0, 2, 3]].max() < 0.05

    def test_models_without_counts_have_no_gain(self):
        (document, *_) = self.trained((0.5, 0.0)).members
        assert gain_shares(without_counts(document), 2) is None
