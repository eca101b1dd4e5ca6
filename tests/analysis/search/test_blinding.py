"""A window that is blinded afterwards is the one that would have been made blinded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from analysis.histograms.spectra import selection_counts
from analysis.regions import RegionScan
from analysis.search.blinding import blind_window
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import run_window
from tests.builders.toy_tables import WINDOW, toy_config, toy_table

CONFIG = toy_config(learning={"efficiencies": (0.1,)})
SCAN = RegionScan.from_config(CONFIG.scan)
DATA = SearchData(toy_table(8_000, 200, random_state=5), signal_datasets=("signal",))
NEIGHBOUR = (3900.0, 4400.0)


@pytest.fixture(scope="module")
def opened() -> WindowResult:
    return run_window(DATA, WINDOW, SCAN, CONFIG)


@pytest.fixture(scope="module")
def blinded() -> WindowResult:
    return run_window(replace(DATA, blinded=True, hidden=(NEIGHBOUR,)), WINDOW, SCAN, CONFIG)


def test_it_is_the_window_that_was_made_blinded(opened: WindowResult, blinded: WindowResult) -> None:
    found = blind_window(opened, [NEIGHBOUR])
    assert found.hidden == blinded.hidden == (WINDOW.mask, NEIGHBOUR)
    assert (found.passes, found.scores, found.truth, found.scalings, found.choices) == (None, None, None, (), ())
    for one, other in zip(found.selections, blinded.selections, strict=True):
        assert replace(one, fit=None) == replace(other, fit=None)
        assert selection_counts(found.spectrum, one.name) == pytest.approx(
            selection_counts(blinded.spectrum, one.name), abs=0
        )


def test_expected_limits_are_those_without_the_counts(opened: WindowResult, blinded: WindowResult) -> None:
    """With an observation their background is fitted to it, which would tell the counts."""
    for open_, hidden in zip(opened.selections, blinded.selections, strict=True):
        assert open_.limit.expected_events != hidden.limit.expected_events
        assert hidden.limit.observed_events is None


def test_a_window_that_hides_its_own_mask_alone_hides_the_others_too(opened: WindowResult) -> None:
    own = blind_window(opened, [])
    assert own.hidden == (WINDOW.mask,)
    both = blind_window(own, [NEIGHBOUR])
    assert both.hidden == (WINDOW.mask, NEIGHBOUR)
    inside = (both.edges[:-1] >= NEIGHBOUR[0]) & (both.edges[1:] <= NEIGHBOUR[1])
    assert selection_counts(own.spectrum, "inclusive")[inside].sum() > 0
    assert not selection_counts(both.spectrum, "inclusive")[inside].any()
    assert not both.shown_bins[inside].any()
    assert np.array_equal(blind_window(both, [NEIGHBOUR]).spectrum.values(), both.spectrum.values())
