"""Searches that are laid over one another: which figures there are, and that blinded ones show no counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis.background import GoodnessOfFit
from analysis.plots.compared.figures import _contents, draw_compared_scan, draw_varied
from analysis.plots.compared.spectra_overlaid import draw_spectra
from analysis.plots.style import figure_style
from analysis.results.blinding import blind_windows
from analysis.results.compared.searches import ComparedSearch, FolderLooks, Varied
from analysis.search.values import WindowResult
from tests.builders.compared import make_search
from tests.builders.windows import EDGES, EFFICIENCIES, failed, make_result

NAME = "3300-3700"


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with figure_style():
        yield


def counts() -> dict[str, NDArray[np.int64]]:
    falling = (800.0 * np.exp(-(EDGES[:-1] - 3000.0) / 350.0)).astype(np.int64) + 1
    return dict.fromkeys(EFFICIENCIES, falling)


def search(label: str) -> ComparedSearch:
    return make_search(label, [make_result(counts()), make_result(counts(), low=3900.0)])


def blinded(label: str) -> ComparedSearch:
    made_blinded = [make_result(counts(), low=low, observed=False) for low in (3300.0, 3900.0)]
    return make_search(label, blind_windows(made_blinded))


def stems(*searches: ComparedSearch) -> list[str]:
    return sorted({sketch.stem.split("_")[0] for sketch in _contents(searches)})


def heights(points: ErrorbarContainer) -> NDArray[np.float64]:
    return np.asarray(points.lines[0].get_ydata(), np.float64)


def test_significances_are_drawn_of_two_searches_that_have_them() -> None:
    assert stems(search("a"), search("b")) == ["limits", "scan", "spectrum"]
    assert stems(search("a"), blinded("b")) == ["limits", "spectrum"]
    assert stems(search("a"), make_search("b", [failed(3300.0), failed(3900.0)])) == []


def test_blinded_searches_are_left_out_of_the_scan() -> None:
    sketches = {sketch.stem: sketch for sketch in _contents([search("a"), blinded("b"), search("c")])}
    figure, _ = sketches["scan_inclusive"].draw()
    (legend,) = [ax.get_legend() for ax in figure.axes]
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a", "c"]


def test_the_scan_counts_the_looks_of_all_folders_that_show_them() -> None:
    looks = [FolderLooks(name, "", 25 * (i + 1), 4.0 + i, 1e-4) for i, name in enumerate("ab")]
    counted = [replace(search(one.label), looks=one) for one in looks]
    ax = Figure().subplots()
    draw_compared_scan([*counted, search("c")], "inclusive", ax=ax)
    found = ax.get_xlabel().splitlines()[2]
    assert found.startswith("75 looks in 2 folders: global ")
    assert r"\leq 2.0\times 10^{-4}" in found
    draw_compared_scan([counted[0], search("c")], "inclusive", ax=ax)
    assert "looks" not in ax.get_xlabel()


def test_a_search_without_the_selection_stays_in_the_legend_of_the_scan() -> None:
    other = make_search("b", [replace(one, selections=one.selections[:1]) for one in search("b").windows])
    drawn = draw_compared_scan([search("a"), other], "eff_0.01", ax=Figure().subplots())
    assert list(drawn.points) == ["a", "b"]
    assert np.isnan(heights(drawn.points["b"])).all()


def test_blinded_spectra_are_hidden_in_the_masks_of_all_windows() -> None:
    ax, ax_ratio = Figure().subplots(2, 1)
    drawn = draw_spectra([search("a"), blinded("b")], NAME, "inclusive", ax=ax, ax_ratio=ax_ratio)
    assert np.isfinite(heights(drawn.data["a"])).all()
    hidden = [3200 <= low < 4400 for low in EDGES[:-1]]
    np.testing.assert_array_equal(np.isnan(heights(drawn.data["b"])), hidden)
    assert np.isfinite(drawn.fits["b"].get_ydata()).all()


def test_blinded_searches_have_a_limit_but_no_significance_along_a_setting() -> None:
    ax, ax_limit = Figure().subplots(2, 1)
    varied = Varied("learning.n_members", (2.0, 1.0))
    z, limits = draw_varied([search("a"), blinded("b")], varied, NAME, ax=ax, ax_limit=ax_limit)
    np.testing.assert_array_equal(z[0].get_ydata(), [np.nan, 0.5])
    np.testing.assert_array_equal(limits[0].get_ydata(), [16.0, 16.0])


def with_p_value(result: WindowResult, p_value: float) -> WindowResult:
    """The window with this p-value for all its fits."""
    selections = (replace(one, goodness=GoodnessOfFit(p_value, 50.0, 30, "asymptotics")) for one in result.selections)
    return replace(result, selections=tuple(selections))


def test_points_of_bad_fits_have_a_ring() -> None:
    first, second = (with_p_value(make_result(counts(), low=low), 0.5) for low in (3300.0, 3900.0))
    good, mixed = make_search("a", [first, second]), make_search("b", [first, with_p_value(second, 1e-9)])
    for searches, n_rings in (([good, good], 0), ([good, mixed], 1)):
        ax = Figure().subplots()
        draw_compared_scan(searches, "inclusive", ax=ax)
        rings = [line for line in ax.lines if str(line.get_label()).startswith("Bad background fit")]
        assert [len(line.get_xdata()) for line in rings] == [1] * n_rings  # type: ignore[arg-type]
    varied = Varied("learning.n_members", (1.0, 2.0))
    ax, ax_limit = Figure().subplots(2, 1)
    draw_varied([good, mixed], varied, second.window.name, ax=ax, ax_limit=ax_limit)
    for axes in (ax, ax_limit):
        (rings,) = [line for line in axes.lines if str(line.get_label()).startswith("Bad background fit")]
        assert list(rings.get_xdata()) == [2.0, 2.0]  # type: ignore[arg-type]  # both selections of the second search
