"""Several trainings of a window: what differs between them, what is told of them, and what they cost in looks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost as xgb
from numpy.typing import NDArray
from scipy import stats

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.events.identity import string_hash, uniform
from analysis.learning import BoostedTrees, Samples, assign_folds
from analysis.methods import get_method
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.results.documents import window_document
from analysis.search.look_elsewhere import global_result
from analysis.search.scan import n_trials, run_scan, trainings, window_key
from analysis.search.seeds import join_seeds, seed_spread
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import run_window
from analysis.statistics import DiscoveryResult
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

N_SEEDS = 3


def config_with(n_seeds: int, **learning: Any) -> SearchConfig:
    return toy_config(learning={"n_seeds": n_seeds} | learning, statistics={"calculator": "asymptotics"})


CONFIG = config_with(N_SEEDS)
SCAN = RegionScan.from_config(CONFIG.scan)
DATA = SearchData(toy_table(9000, 120, random_state=21), signal_datasets=("signal",))


def searched(data: SearchData, config: SearchConfig) -> list[WindowResult]:
    found = dict(run_scan(data, SCAN, config, Serial()))
    keys = [window_key(window, SCAN, config, "", training_seed=seed) for window, seed in trainings(SCAN, config)]
    return [found[key] for key in keys]


@pytest.fixture(scope="module")
def trained() -> list[WindowResult]:
    return searched(DATA, CONFIG)


def numbers(result: WindowResult) -> dict[str, tuple[Any, ...]]:
    return {one.name: (one.n_obs, one.background, one.background_error, one.discovery) for one in result.selections}


# Trainings


def passing(seed: int) -> NDArray[np.bool_]:
    """Train, score and cut by hand with the folds and the tie-break of the search, at an efficiency of 2 %."""
    table, features = DATA.table, ("x0", "x1")
    fold = assign_folds(table.event_id, 3, random_state=0)
    tie = uniform(table.event_id, 0, "tie-break")
    passes = np.zeros(len(table), bool)
    for k in range(3):
        key = (string_hash("training seed"), seed, string_hash("3300-3700"), k)
        random_state = np.random.SeedSequence(0, spawn_key=key)
        samples = Samples(table.select(fold != k))
        contrast = get_method("cwola").contrast(samples, WINDOW, features, random_state=random_state)
        model = BoostedTrees(CONFIG.learning.classifier, 1).fit(contrast, random_state=random_state)
        rows = np.flatnonzero(fold == k)
        booster = xgb.Booster(model_file=bytearray(model.members[0]))
        score = booster.predict(xgb.DMatrix(table.matrix(features)[rows]))
        ranked = rows[np.lexsort((tie[rows], score))[::-1]]
        passes[ranked[: round(0.02 * len(rows))]] = True
    return passes


@pytest.mark.parametrize("seed", [1, 2])
def test_a_training_differs_in_nothing_but_what_is_trained(seed: int, trained: list[WindowResult]) -> None:
    by_hand = passing(seed)
    passes = trained[seed].passes
    assert passes is not None
    np.testing.assert_array_equal(passes[:, 1], by_hand)
    assert trained[seed].selections[1].n_obs == by_hand[WINDOW.in_signal(DATA.table.mjj)].sum()
    assert (passes[:, 1] != trained[0].passes[:, 2]).any()  # type: ignore[index]


def test_each_training_is_that_of_its_window_alone(trained: list[WindowResult]) -> None:
    assert [result.training_seed for result in trained] == [0, 1, 2]
    for seed, result in enumerate(trained):
        assert numbers(run_window(DATA, WINDOW, SCAN, CONFIG, training_seed=seed)) == numbers(result)


def test_the_first_training_is_the_only_one_of_a_search_without_seeds(trained: list[WindowResult]) -> None:
    (alone,) = searched(DATA, config_with(1))
    assert alone.models == trained[0].models
    assert [replace(one, fit=None) for one in alone.selections] == [
        replace(one, fit=None) for one in trained[0].selections
    ]
    assert window_document(alone) == window_document(trained[0])
    assert join_seeds([alone])[0].selections == alone.selections


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["two_processes", "two_dask_workers"])
def test_trainings_are_the_same_elsewhere(
    name: str, trained: list[WindowResult], request: pytest.FixtureRequest
) -> None:
    results = [result for _, result in run_scan(DATA, SCAN, CONFIG, request.getfixturevalue(name))]
    results.sort(key=lambda result: result.training_seed)
    assert [numbers(result) for result in results] == [numbers(result) for result in trained]


def test_trainings_that_are_done_are_not_made_again(trained: list[WindowResult]) -> None:
    # Those of a scan with fewer seeds count as done.
    done = [window_key(WINDOW, SCAN, config_with(2), "", training_seed=seed) for seed in range(2)]
    ((key, result),) = run_scan(DATA, SCAN, CONFIG, Serial(), done=done)
    assert key == window_key(WINDOW, SCAN, CONFIG, "", training_seed=2)
    assert numbers(result) == numbers(trained[2])


# What is told


def test_the_spread_is_that_of_the_trainings(trained: list[WindowResult]) -> None:
    (joined,) = join_seeds(reversed(trained))
    tables = [numbers(result) for result in trained]
    assert numbers(joined) == tables[0]
    for selection in joined.selections[1:]:
        n_obs = [table[selection.name][0] for table in tables]
        spread = seed_spread(selection, "n_obs")
        assert spread is not None
        assert spread.values == tuple(n_obs)
        # Linear between the ordered values at 0, 1/2 and 1.
        low, middle, high = sorted(n_obs)
        assert spread.median == middle
        assert spread.low == pytest.approx(low + 0.32 * (middle - low))
        assert spread.high == pytest.approx(high - 0.32 * (high - middle))
        z = seed_spread(selection, "z")
        assert z is not None
        assert z.values == tuple(table[selection.name][3].z for table in tables)
    assert seed_spread(joined.selections[0], "z") is None


def test_trainings_without_a_number_leave_a_hole(trained: list[WindowResult]) -> None:
    failed = replace(trained[1], selections=(), reason="no events")
    (joined,) = join_seeds([trained[0], failed, trained[2]])
    spread = seed_spread(joined.selections[2], "n_obs")
    assert spread is not None
    first, missing, third = spread.values
    assert missing is None
    assert (spread.median, joined.selections[2].seeds[0].reason) == (np.mean([first, third]), "no events")


def test_no_training_tells_a_count_while_blinded(trained: list[WindowResult], tmp_path: Path) -> None:
    results = searched(replace(DATA, blinded=True, signal_datasets=None), CONFIG)
    folder = ResultsFolder(tmp_path)
    for seed, (hidden, shown) in enumerate(zip(results, trained, strict=True)):
        folder.save_window(str(seed), hidden)
        assert (hidden.passes, hidden.scores, hidden.spectrum is None) == (None, None, False)
        for selection in hidden.selections:
            assert (selection.n_obs, selection.discovery) == (None, None)
            assert selection.workspace is not None
            assert selection.workspace["observations"][0]["data"] == [selection.background]
        masked = (hidden.edges[:-1] >= 3200) & (hidden.edges[1:] <= 3800)
        assert (hidden.spectrum.values()[masked] == 0).all()  # type: ignore[union-attr]
        assert (shown.spectrum.values()[masked][:, 0] > 0).all()  # type: ignore[union-attr]
    (joined,) = join_seeds(folder.load_windows(["0", "1", "2"]).values())
    for selection, shown in zip(joined.selections[1:], join_seeds(trained)[0].selections[1:], strict=True):
        assert (seed_spread(selection, "z"), seed_spread(selection, "n_obs")) == (None, None)
        assert seed_spread(selection, "background") == seed_spread(shown, "background")
    assert not list(tmp_path.rglob("passes.npz"))


# Looks


def test_every_training_is_a_look_and_the_inclusive_spectrum_is_one() -> None:
    ladder = toy_config(scan={"first": 3300.0, "last": 4500.0}, learning={"n_seeds": 4})
    assert n_trials(RegionScan.from_config(ladder.scan), ladder) == 5 * (2 * 4 + 1)


def p_value(results: list[WindowResult], n_seeds: int, toys: int = 200) -> Any:
    config = config_with(n_seeds)
    statistics = config.statistics.model_copy(update={"pseudo_experiments": toys})
    return global_result(BACKGROUND, results, SCAN, config.model_copy(update={"statistics": statistics}), Serial())


BACKGROUND = SearchData(toy_table(6000, random_state=4))


@pytest.fixture(scope="module")
def nothing() -> list[WindowResult]:
    return searched(BACKGROUND, CONFIG)


def copied(first: WindowResult, seed: int) -> WindowResult:
    """A training that selects the same events as the first."""
    assert first.passes is not None
    return replace(first, training_seed=seed, selections=first.selections[1:], passes=first.passes[:, 1:])


def test_trainings_that_are_all_the_same_cost_nothing(nothing: list[WindowResult]) -> None:
    first = nothing[0]
    alone, many = p_value([first], 1), p_value([first, copied(first, 1), copied(first, 2)], 3)
    assert many.method == alone.method == "pseudo-experiments"
    assert (many.n_trials, alone.n_trials) == (7, 3)
    # The same toys; of independent looks twice as many would reach it.
    assert many.p0 == pytest.approx(alone.p0, abs=0.02)
    assert many.p0 < 1.0 - (1.0 - alone.p0) ** (7 / 3) - 0.1
    # The bound knows nothing of that.
    bounds = [p_value([first], 1, toys=0).p0, p_value([first, copied(first, 1)], 2, toys=0).p0]
    smallest = min(one.discovery.p0 for one in first.selections if one.discovery)
    assert bounds == [min(1, 3 * smallest), min(1, 5 * smallest)]


def test_the_largest_excess_is_sought_in_all_trainings(nothing: list[WindowResult]) -> None:
    z = [one.discovery.z for result in nothing for one in result.selections if one.discovery]
    found = p_value(nothing, N_SEEDS)
    assert found.method == "pseudo-experiments"
    assert stats.norm.sf(max(z)) < found.p0 + 0.05
    assert found.p0 < len(z) * stats.norm.sf(max(z))
    assert 1 < found.effective_trials < len(z)
    # An excess of a further training alone counts as much as one of the first.
    last = nothing[2]
    excess = replace(last.selections[1], discovery=DiscoveryResult(6.0, float(stats.norm.sf(6.0))))
    raised = p_value([*nothing[:2], replace(last, selections=(last.selections[0], excess))], N_SEEDS)
    assert raised.p0 == pytest.approx(7 * stats.norm.sf(6.0))


def test_more_looks_do_not_make_the_same_excess_more_significant(nothing: list[WindowResult]) -> None:
    # The same largest z, put into the first training: with further trainings as many toys reach it, or more.
    first = nothing[0]
    excess = replace(first.selections[1], discovery=DiscoveryResult(2.0, float(stats.norm.sf(2.0))))
    planted = replace(first, selections=(first.selections[0], excess, first.selections[2]))
    flat = DiscoveryResult(0.0, 0.5)
    low = [
        replace(result, selections=tuple(replace(one, discovery=flat) for one in result.selections))
        for result in nothing[1:]
    ]
    alone, many = p_value([planted], 1, toys=1000), p_value([planted, *low], N_SEEDS, toys=1000)
    assert alone.p0 < many.p0 < 3 * alone.p0
