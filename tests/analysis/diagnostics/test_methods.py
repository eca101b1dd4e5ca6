"""Comparison of methods: which numbers are compared."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.diagnostics.methods import (
    Measured,
    MethodEvents,
    MethodTask,
    closure,
    compared_selection,
    measure_method,
)
from analysis.errors import TableError
from analysis.learning.metrics import RocCurve
from analysis.regions import RegionScan
from analysis.search.values import SearchData, SelectionResult, WindowResult
from analysis.search.window import WindowTask, window_task
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

DIAGONAL = RocCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))


def task_of(method: str = "cwola") -> WindowTask:
    config = toy_config(learning={"method": method})
    scan = RegionScan.from_config(config.scan)
    return window_task(scan.windows[0], scan, config)


def counted(n_obs: float, background: float | None, error: float | None) -> WindowResult:
    """A window whose selections have equal counts."""
    selections = tuple(
        SelectionResult(
            name="inclusive" if efficiency == 1 else f"eff_{efficiency:g}",
            method="cwola",
            features=("x0",),
            efficiency=efficiency,
            efficiency_achieved=efficiency,
            n_obs=n_obs,
            background=background,
            background_error=error,
            discovery=None,
            s_over_sqrt_b=None,
        )
        for efficiency in (1.0, 0.1, 0.02, 0.001)
    )
    return WindowResult(WINDOW, np.arange(3000.0, 6501.0, 100.0), selections)


def test_the_selection_nearest_to_one_per_cent_is_compared() -> None:
    found = compared_selection(counted(1.0, 1.0, 1.0))
    assert found is not None
    assert found.name == "eff_0.02"
    assert compared_selection(WindowResult(WINDOW, np.arange(3000.0, 6501.0, 100.0), reason="no events")) is None


def test_the_closure_is_the_relative_excess_with_the_errors_of_count_and_background() -> None:
    found = closure(counted(110.0, 100.0, 12.0))
    assert found is not None
    assert (found.delta, found.source) == (pytest.approx(0.1), "no signal")
    assert found.error == pytest.approx((110 + 144) ** 0.5 / 100)
    assert closure(counted(110.0, None, None)) is None


def test_hidden_signal_is_found_and_is_not_there_where_it_is_left_out() -> None:
    data = SearchData(toy_table(12_000, 150, random_state=1), signal_datasets=("signal",))
    # Other identities: nothing of it is among the data.
    held_out = toy_table(0, 500, random_state=2).select(np.ones(500, bool))
    shifted = held_out.replaced({"event_id": held_out.event_id + np.uint64(1)})
    events = MethodEvents(data, {"point": shifted})
    found = measure_method(MethodTask(task_of(), ("point",)), events)
    empty = measure_method(MethodTask(task_of()), events)
    assert isinstance(found, Measured)
    assert isinstance(empty, Measured)
    assert found.trained["point"].auc > 0.85
    assert found.trained["point"].sic[0] > 3
    z = compared_selection(found.search)
    assert z is not None
    assert z.discovery is not None
    assert z.discovery.z > 4
    closed = closure(empty.search)
    assert closed is not None
    assert abs(closed.delta) < 3 * closed.error
    assert empty.trained == {}
    assert found.search.models == ()


def test_an_error_of_one_method_is_returned() -> None:
    events = MethodEvents(
        SearchData(toy_table(3000, random_state=1), signal_datasets=()), {"point": toy_table(10, random_state=2)}
    )
    assert isinstance(measure_method(MethodTask(task_of("data_vs_simulation"), ("point",)), events), TableError)
