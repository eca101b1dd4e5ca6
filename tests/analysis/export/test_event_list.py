"""Lists of events from results in memory."""

from __future__ import annotations

import numpy as np

from analysis.export.event_list import pick_events
from analysis.regions import RegionScan
from analysis.search.values import SearchData
from analysis.search.window import search_window, window_task
from tests.builders.toy_tables import WINDOW, toy_config, toy_table


def test_the_score_of_an_event_that_only_trained_is_null_and_last() -> None:
    config = toy_config(learning={"cross_fitting": "sequential", "efficiencies": (0.1,)})
    table = toy_table(4000, 50, random_state=2)
    task = window_task(WINDOW, RegionScan((WINDOW,), 100.0), config)
    result = search_window(task, SearchData(table), limits=False)
    assert result.scores is not None
    scored = np.isfinite(result.scores[WINDOW.in_signal(table.mjj)])
    everything, cut = (pick_events(table, result, name, result.scores)["score"] for name in ("inclusive", "eff_0.1"))
    assert everything.null_count == (~scored).sum() > 100
    assert everything.is_null().to_pylist() == sorted(everything.is_null().to_pylist())
    assert cut.null_count == 0
