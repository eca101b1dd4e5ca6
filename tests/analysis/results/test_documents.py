"""Stored fits are the fits: functions that depend on the fitted bins come back from their tables."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from analysis.core.documents import from_json, to_json
from analysis.regions import RegionScan
from analysis.results.documents import window_document, window_from_document
from analysis.results.values import WindowDocument
from analysis.search import evaluation
from analysis.search.values import SearchData
from analysis.search.window import run_window
from analysis.statistics import LimitResult
from tests.builders.toy_tables import WINDOW, toy_config, toy_table


@pytest.mark.parametrize("function", ["power-laws4", "gaussian-process"])
def test_a_fit_that_depends_on_its_bins_is_read_back(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = LimitResult("visible-events", "none", None, (1.0,) * 5)
    monkeypatch.setattr(evaluation, "upper_limit", lambda workspace, *, level, blinded, calculator: limit)
    config = toy_config(
        background={"functions": [function]},
        learning={"efficiencies": (0.2,), "classifier": {"n_estimators": 3, "max_depth": 2}},
    )
    data = SearchData(toy_table(16_000, 0, random_state=21), signal_datasets=("signal",))
    result = run_window(data, WINDOW, RegionScan.from_config(config.scan), config)
    document = json.loads(json.dumps(to_json(window_document(result))))
    again = window_from_document(from_json(WindowDocument, document), None, {}, None)
    for one, other in zip(result.selections, again.selections, strict=True):
        assert one.fit is not None
        assert other.fit is not None
        assert other.fit.function.name == (function if one.name == "inclusive" else f"{function}*ratio1")
        assert other.fit.parameters == pytest.approx(one.fit.parameters, rel=1e-12)
        for edges in (result.edges, np.array([3310.0, 3555.5, 4096.0, 6420.0])):
            for stored, full in zip(other.fit.expected(edges), one.fit.expected(edges), strict=True):
                np.testing.assert_allclose(stored, full, rtol=2e-5)
            np.testing.assert_allclose(other.fit.expected_rest(edges), one.fit.expected_rest(edges), rtol=2e-5)
        here = replace(one.fit, data=None).estimate(*WINDOW.signal)
        assert other.fit.estimate(*WINDOW.signal).value == pytest.approx(here.value, rel=1e-7)
    twice = json.loads(json.dumps(to_json(window_document(again))))
    assert twice["selections"][0]["fit"]["parameters"] == document["selections"][0]["fit"]["parameters"]
