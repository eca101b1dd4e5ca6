from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from analysis.config import ScanConfig
from analysis.errors import ConfigError, WindowError
from analysis.regions import MassWindow, RegionScan, smooth_edge
from tests.builders.toy_tables import WINDOW


def scan_of(**values: Any) -> RegionScan:
    return RegionScan.from_config(ScanConfig(**values))


@pytest.mark.parametrize(
    ("method", "interval"),
    [
        ("in_signal", WINDOW.signal),
        ("in_lower", WINDOW.lower),
        ("in_upper", WINDOW.upper),
        ("in_fit_range", WINDOW.fit_range),
    ],
)
def test_intervals_are_half_open(method: str, interval: tuple[float, float]) -> None:
    low, high = interval
    points = np.array([np.nextafter(low, 0), low, np.nextafter(high, 0), high])
    assert getattr(WINDOW, method)(points).tolist() == [False, True, True, False]


def test_window_and_sidebands_tile_their_range() -> None:
    mass = np.concatenate([np.random.default_rng(1).uniform(2900, 6600, 5000), [3100, 3300, 3700, 3900]])
    labels = np.stack([WINDOW.in_lower(mass), WINDOW.in_signal(mass), WINDOW.in_upper(mass)])
    np.testing.assert_array_equal(labels.sum(axis=0), (mass >= 3100) & (mass < 3900))


def test_default_ladder() -> None:
    signal = [window.signal for window in scan_of().windows]
    assert signal == [(3300, 3700), (3500, 3900), (3700, 4100), (3900, 4300), (4100, 4500)]


def test_sidebands_touch_the_window() -> None:
    (window,) = scan_of(first=3300, last=3700, sideband_width=250).windows
    assert (window.lower, window.upper) == ((3050, 3300), (3700, 3950))


def test_sidebands_can_take_the_whole_fit_range() -> None:
    first, second = scan_of(windows=((3300, 3700), (4100, 4500)), sideband_width="fit-range").windows
    assert (first.lower, first.upper) == ((3000, 3300), (3700, 6500))
    assert (second.lower, second.upper) == ((3000, 4100), (4500, 6500))


@pytest.mark.parametrize("window", [(2900.0, 3300.0), (6300.0, 6700.0)])
def test_a_window_beyond_the_fit_range_is_refused_with_wide_sidebands(window: tuple[float, float]) -> None:
    with pytest.raises(ConfigError, match="leave the fit range"):
        scan_of(windows=(window,), sideband_width="fit-range")


@pytest.mark.parametrize(
    ("width", "step", "last", "count"),
    [
        (400.0, 200.0, 4500.0, 5),
        (400.0, 200.0, 4499.0, 4),
        (200.0, 66.6, 3899.6, 7),  # in floating point, one GeV in 1e13 short of the seventh
        (200.0, 66.6, 3899.5, 6),
        (100.0, 33.3, 3533.2, 5),
    ],
)
def test_ladder_ends_at_last_in_spite_of_rounding(width: float, step: float, last: float, count: int) -> None:
    regions = ScanConfig(first=3300, last=last, width=width, step=step).signal_regions()
    assert len(regions) == count
    assert regions[-1][1] <= last + 1e-6


def test_listed_windows_replace_the_ladder() -> None:
    atlas = ((3280.0, 3940.0), (3940.0, 4730.0))  # two regions of ATLAS, arXiv:2005.02983
    assert tuple(window.signal for window in scan_of(windows=atlas).windows) == atlas


@pytest.mark.parametrize(
    ("signal", "margin", "mask"),
    [
        ((3333.0, 3711.0), 0.0, (3300.0, 3800.0)),
        ((3333.0, 3711.0), 100.0, (3200.0, 3900.0)),
        ((3300.0, 3700.0), 0.0, (3300.0, 3700.0)),  # an edge on the grid is not widened
        ((3300.0, 3700.0), 100.0, (3200.0, 3800.0)),
    ],
)
def test_mask_lies_on_the_grid_though_the_window_does_not(
    signal: tuple[float, float], margin: float, mask: tuple[float, float]
) -> None:
    (window,) = scan_of(windows=(signal,), mask_margin=margin).windows
    assert window.signal == signal
    assert window.mask == mask


@pytest.mark.parametrize("n_bins", [11, 23, 35, 61, 140])
def test_mask_edges_are_fit_edges_to_the_last_bit(n_bins: int) -> None:
    width = 3500 / n_bins
    scan = scan_of(windows=((3511.0, 3905.5),), bin_width=width)
    (window,) = scan.windows
    edges = scan.edges(window)
    assert len(edges) == n_bins + 1
    assert set(window.mask) <= set(edges.tolist())
    assert 0 <= 3411.0 - window.mask[0] < width
    assert 0 <= window.mask[1] - 4005.5 < width


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"first": 3100, "last": 3500, "mask_margin": 0}, ("3100-3500", "2900", "3000-6500", "scan.fit_range")),
        ({"windows": ((6000, 6400),)}, ("6000-6400", "6600", "3000-6500", "scan.fit_range")),
        ({"sideband_width": 10, "mask_margin": 400}, ("3300-3700", "2900", "3000-6500")),
        ({"sideband_width": 10, "mask_margin": 300}, ("3300-3700", "3000-4000", "below", "scan.mask_margin")),
        ({"sideband_width": 10, "windows": ((6000, 6400),)}, ("5900-6500", "above", "scan.mask_margin")),
    ],
)
def test_window_outside_the_fit_range_is_refused(values: dict[str, Any], words: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        scan_of(**values)
    assert [word for word in words if word not in str(caught.value)] == []


def test_smooth_edge() -> None:
    assert smooth_edge(1200.0) == 3000.0  # physics: p̂_T > 1.2 TeV is smooth above 3.0 TeV
    assert smooth_edge(1000.0) == 2500.0


def test_windows_below_the_smooth_edge_are_refused() -> None:
    scan = scan_of()
    scan.require_smooth(1200.0)
    with pytest.raises(WindowError) as caught:
        scan.require_smooth(1201.0)
    words = ("3300-3700", "3000 GeV", "3002.5 GeV", "pt_hat_min = 1201", "scan.first", "scan.smooth_edge")
    assert [word for word in words if word not in str(caught.value)] == []


def test_a_stated_smooth_edge_replaces_the_derived_one() -> None:
    scan = scan_of()
    scan.require_smooth(2000.0, edge=3000.0)
    scan.require_smooth(None)
    with pytest.raises(WindowError, match=r"only from 3100 GeV \(scan\.smooth_edge\)"):
        scan.require_smooth(None, edge=3100.0)


def test_the_fit_range_alone_can_break_smoothness() -> None:
    scan = scan_of(first=4000, last=4400)
    assert scan.windows[0].lower[0] == 3800
    with pytest.raises(WindowError, match="starts at 3000 GeV"):
        scan.require_smooth(1400.0)


def test_window_survives_json() -> None:
    window = MassWindow((3333.5, 3711.0), (3133.5, 3333.5), (3711.0, 3911.0), (3200.0, 3900.0), (3000.0, 6500.0))
    assert MassWindow.from_json(window.to_json()) == window
    assert window.name == "3333.5-3711"


LISTED = {"windows": [(3000.0, 3600.0), (3600.0, 4400.0)], "fit_range": (2000.0, 6000.0)}


def test_windows_may_have_sidebands_and_masks_of_their_own() -> None:
    first, second = scan_of(
        **LISTED, sidebands=[(2500, 4400), (3000, 5300)], masks=[(2800, 3800), (3390, 4600)]
    ).windows
    assert (first.lower, first.upper, first.mask) == ((2500, 3000), (3600, 4400), (2800, 3800))
    assert (second.lower, second.upper) == ((3000, 3600), (4400, 5300))
    assert second.mask == (3300, 4600)  # widened to the grid of the fit


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (LISTED | {"masks": [(2800, 3800)]}, "masks must list one interval for each of windows"),
        ({"sidebands": [(2800, 3800)]}, "sidebands must list one interval for each of windows"),
        (
            LISTED | {"masks": [(3100, 3800), (3300, 4600)]},
            r"masks must reach beyond .*\[3100, 3800\] for \[3000, 3600\]",
        ),
        (LISTED | {"sidebands": [(3000, 3800), (3300, 4600)]}, "sidebands must reach beyond"),
    ],
)
def test_lists_that_do_not_fit_the_windows_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScanConfig(**values)


def test_masks_may_equal_their_windows() -> None:
    assert [w.mask for w in scan_of(**LISTED, masks=LISTED["windows"]).windows] == LISTED["windows"]
