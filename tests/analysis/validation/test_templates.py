"""Windows against the template of a method: what is compared, and its error without signal."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from analysis.errors import TableError
from analysis.events.table import EventTable
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import WindowTask, window_task
from analysis.statistics.two_sample import PermutationTest
from analysis.validation.templates import TemplateTest, closure_of, measure_closure, window_and_template
from tests.builders.toy_tables import WINDOW, dijet_masses, table_of, toy_config


def drifting(n_events: int, seed: int, per_tev: float) -> EventTable:
    """Background whose first feature moves with m_jj."""
    rng = np.random.default_rng(seed)
    mjj = dijet_masses(n_events, rng)
    X = rng.normal(size=(n_events, 2))
    X[:, 0] += per_tev * (mjj - 3500) / 1000
    return table_of(mjj, X.astype(np.float32), event_id=rng.integers(0, 2**63, n_events).astype(np.uint64))


def task_of(method: str = "cwola", **learning: Any) -> WindowTask:
    config = toy_config(learning={"method": method, **learning})
    scan = RegionScan.from_config(config.scan)
    assert scan.windows == (WINDOW,)
    return window_task(WINDOW, scan, config)


def test_the_sidebands_of_cwola_are_not_the_window_under_a_drift_and_simulation_is() -> None:
    data, simulation = drifting(8000, 1, 5.0), drifting(20_000, 2, 5.0)
    searched = SearchData(data, simulation=simulation)
    for method, closes in (("cwola", False), ("salad", True), ("data_vs_simulation", True)):
        found = measure_closure(task_of(method), searched, "toy").tests[0]
        assert (found.p > 0.02) == closes
        assert (found.value < found.mean + 4 * found.spread) == closes


def test_each_sideband_counts_as_half_of_the_template() -> None:
    data = drifting(20_000, 3, 0.0)
    where = data.replaced({"x0": data.mjj.astype(np.float32)})
    union = window_and_template(task_of(), SearchData(where), most=10**6)
    masses, template = union.X[union.is_first, 0], union.X[~union.is_first, 0]
    assert union.sizes[0] == len(masses) == WINDOW.in_signal(data.mjj).sum()
    assert WINDOW.in_signal(masses.astype(np.float64)).all()
    upper = (template >= WINDOW.signal[1]).sum()
    assert upper == WINDOW.in_upper(data.mjj).sum()
    assert abs(2 * upper - len(template)) < 4 * len(template) ** 0.5


def test_percentiles_are_compared_where_classifiers_see_percentiles() -> None:
    union = window_and_template(task_of(decorrelation="percentile"), SearchData(drifting(8000, 1, 5.0)), most=10**6)
    assert union.X.min() >= 0
    assert union.X.max() <= 1


def test_what_cannot_be_compared_is_said() -> None:
    few = measure_closure(task_of(), SearchData(drifting(300, 1, 0.0)), "toy")
    assert few.reason is not None
    assert "fewer than 50" in few.reason

    empty = drifting(3000, 1, 0.0)
    empty = empty.select(empty.mjj < WINDOW.signal[1])
    lacking = measure_closure(task_of(), SearchData(empty), "toy")
    assert lacking.reason is not None
    assert "no events to train on in the upper sideband" in lacking.reason

    @dataclass(frozen=True)
    class NoContrast:
        name: str = "density"
        uses_truth: bool = False
        needs_simulation: bool = False

        def fit(self) -> None: ...

    task = task_of()
    other = replace(task, folds=tuple(replace(fold, method=NoContrast()) for fold in task.folds))
    with pytest.raises(TableError, match="method density makes no sample to compare the window with"):
        window_and_template(other, SearchData(drifting(3000, 1, 0.0)), most=100)


def test_draws_are_averaged_and_their_p_is_twice_the_median() -> None:
    def of(value: float, p: float) -> TemplateTest:
        test = PermutationTest(name="divergence", value=value, mean=0.1, spread=0.2, p=p, permutations=99)
        return TemplateTest(window="a", sample="b", method="c", n_window=5, n_template=6, tests=(test,))

    failed = TemplateTest(window="a", sample="b", method="c", reason="none")
    found = closure_of([of(0.2, 0.5), failed, of(0.4, 0.1), of(0.6, 0.3)])
    assert found is not None
    assert (found.divergence, found.spread, found.p) == (pytest.approx(0.3), pytest.approx(0.2), pytest.approx(0.6))
    assert (found.draws, found.n_window, found.n_template) == (3, 5, 6)
    single = closure_of([of(0.2, 0.4)])
    assert single is not None
    assert single.p == 0.4
    assert closure_of([failed]) is None
