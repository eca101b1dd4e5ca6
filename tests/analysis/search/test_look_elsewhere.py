"""The global p-value of a scan: by pseudo-experiments where that is possible, else by Bonferroni's bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.regions import RegionScan
from analysis.search.look_elsewhere import global_key, global_result
from analysis.search.null_distribution import NullDistribution
from analysis.search.scan import run_scan
from analysis.search.values import SearchData, WindowResult
from tests.builders.toy_tables import table_of, toy_config, toy_table

LADDER = {"first": 3300.0, "last": 4100.0, "step": 200.0}


def config_with(toys: int) -> SearchConfig:
    return toy_config(scan=LADDER, statistics={"pseudo_experiments": toys, "calculator": "asymptotics"})


SCAN = RegionScan.from_config(config_with(0).scan)
BACKGROUND = SearchData(toy_table(9000, random_state=4))
SIGNAL = SearchData(toy_table(9000, 300, random_state=4), signal_datasets=("signal",))


@pytest.fixture(scope="module")
def nothing() -> list[WindowResult]:
    return [result for _, result in run_scan(BACKGROUND, SCAN, config_with(0), Serial())]


@pytest.fixture(scope="module")
def something() -> list[WindowResult]:
    return [result for _, result in run_scan(SIGNAL, SCAN, config_with(0), Serial())]


def z_of(results: list[WindowResult]) -> list[float]:
    return [one.discovery.z for result in results for one in result.selections if one.discovery is not None]


def p_value(data: SearchData, results: list[WindowResult], toys: int) -> Any:
    return global_result(data, results, SCAN, config_with(toys), Serial())


def test_without_signal_it_lies_between_one_look_and_all_of_them(nothing: list[WindowResult]) -> None:
    found = p_value(BACKGROUND, nothing, 400)
    local = stats.norm.sf(max(z_of(nothing)))
    assert found.method == "pseudo-experiments"
    assert (found.n_trials, found.n_toys) == (9, 400)
    assert local < found.p0 + 0.05
    assert found.p0 < 9 * local
    assert found.interval[0] < found.p0 < found.interval[1]
    assert 1 < found.effective_trials < 9


def test_of_a_strong_signal_only_a_bound_is_known(something: list[WindowResult]) -> None:
    found = p_value(SIGNAL, something, 200)
    assert max(z_of(something)) > 5
    assert found.method == "bonferroni-upper-bound"
    assert found.p0 == pytest.approx(9 * stats.norm.sf(max(z_of(something))), rel=1e-6)


def test_without_toys_it_is_the_bound_of_bonferroni(nothing: list[WindowResult]) -> None:
    found = p_value(BACKGROUND, nothing, 0)
    assert found.method == "bonferroni-upper-bound"
    assert found.p0 == pytest.approx(min(1, 9 * stats.norm.sf(max(z_of(nothing)))))
    assert found.n_toys is None


def test_weighted_events_are_not_drawn_as_if_they_were_whole(nothing: list[WindowResult]) -> None:
    table = BACKGROUND.table
    weighted = table_of(table.mjj, table.matrix(("x0", "x1")), weight=np.full(len(table), 0.5))
    assert p_value(replace(BACKGROUND, table=weighted), nothing, 50).method == "bonferroni-upper-bound"


def test_blinded_windows_give_none() -> None:
    config = config_with(50)
    blinded = replace(BACKGROUND, blinded=True, signal_datasets=None)
    results = [result for _, result in run_scan(blinded, SCAN, config, Serial())]
    found = global_result(blinded, results, SCAN, config, Serial())
    assert (found.p0, found.z) == (None, None)


def test_it_is_made_again_when_windows_toys_or_seed_change() -> None:
    base = global_key(["a", "b"], config_with(10))
    assert base == global_key(["a", "b"], config_with(10))
    reseeded = config_with(10).model_copy(update={"random_state": 9})
    others = [(["a"], config_with(10)), (["a", "b"], config_with(20)), (["a", "b"], reseeded)]
    assert len({base, *(global_key(*one) for one in others)}) == 4


def test_calibrated_significances_are_the_ones_that_are_compared(nothing: list[WindowResult]) -> None:
    null = NullDistribution(1000, 0.0, 1.5, 0.0, 0.0)
    calibrated = [
        replace(
            result,
            selections=tuple(
                replace(one, calibration=null.calibration(one.discovery.z, "searches")) if one.discovery else one
                for one in result.selections
            ),
        )
        for result in nothing
    ]
    plain, found = p_value(BACKGROUND, nothing, 200), p_value(BACKGROUND, calibrated, 200)
    assert found.p0 > plain.p0
    bound = p_value(BACKGROUND, calibrated, 0)
    assert bound.p0 == pytest.approx(min(1.0, bound.n_trials * stats.norm.sf(max(z_of(nothing)) / 1.5)))
    assert global_key(["a"], config_with(10), [1.0]) != global_key(["a"], config_with(10), [1.1])
