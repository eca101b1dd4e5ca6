"""A search tells where it does not look, and where nothing ensures that the spectrum is smooth."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.config import ScanConfig
from analysis.regions import RegionScan
from analysis.search.coverage import coverage_notes

MASSES = np.exp(np.random.default_rng(1).triangular(np.log(1500), np.log(1501), np.log(8000), 100_000))
TURN_ON = MASSES[np.random.default_rng(2).random(MASSES.size) < 1 / (1 + np.exp((3300 - MASSES) / 100))]
WIDE = {"windows": tuple((low, low + 400.0) for low in np.arange(1700.0, 6500.0, 200.0)), "fit_range": (1500.0, 8000.0)}


def notes(mjj: np.ndarray, edge: float | None, scan: dict[str, Any] | None = None, **options: Any) -> tuple[str, ...]:
    blocks = np.array_split(mjj, 7)
    return coverage_notes(blocks, RegionScan.from_config(ScanConfig(**(scan or {}))), edge, **options)


@pytest.mark.parametrize(
    ("edge", "scan", "words"),
    [
        (
            1500.0,
            None,
            ["Most of the smooth spectrum is not searched", "from 1500 GeV, the start", "out 1500-3300 and 4500-7"],
        ),
        (1500.0, {"windows": ((1800.0, 2200.0),), "fit_range": (1500.0, 6500.0)}, ["leave out 1500-1800 and 2200-7"]),
        (1500.0, WIDE, []),
        (3000.0, {"last": 7300.0, "fit_range": (3000.0, 8000.0)}, []),
        (8000.0, None, []),  # above all events
    ],
)
def test_what_is_not_searched_is_told(edge: float, scan: dict[str, Any] | None, words: list[str]) -> None:
    found = notes(MASSES, edge, scan)
    assert len(found) == bool(words)
    assert [word for word in words if word not in found[0]] == []


def test_the_range_ends_where_a_hundred_events_are_left() -> None:
    (note,) = notes(MASSES, 1500.0)
    top = np.sort(MASSES)[-100]
    assert f"to {top:.0f} GeV, above which there are 100 events" in note
    assert f"cover {np.log(4500 / 3300) / np.log(top / 1500):.0%} of" in note
    assert "above which there are 50 events" in notes(MASSES[:50], 500.0)[0]


def test_hidden_events_are_not_looked_at() -> None:
    (note,) = notes(MASSES, 1500.0, hidden=[(3500.0, 9000.0)])
    assert f"to {np.sort(MASSES[MASSES < 3500])[-100]:.0f} GeV" in note
    assert notes(MASSES, None, hidden=[(0.0, 9000.0)]) == ()


def test_an_unknown_edge_and_a_maximum_in_the_fit_range_are_told() -> None:
    unknown, unsearched = notes(MASSES, None)
    assert "nothing checks that the fit range, from 3000 GeV, begins there. A fit" in unknown
    assert "the maximum of the spectrum" in unsearched
    turn_on = notes(TURN_ON, None)[0]
    assert "The spectrum has its maximum near 3" in turn_on
    assert "scan.smooth_edge" in turn_on
    assert notes(TURN_ON, 3000.0, WIDE) == ()
