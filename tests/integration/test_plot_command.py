"""`cwola plot`: some figures of a search, in another style and place, and several searches over one another."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from numpy.typing import NDArray

from analysis import cli
from analysis.cli.plot import STYLES
from analysis.config import SearchConfig, StyleName, load_config
from analysis.errors import ConfigError
from analysis.plots.compared.figures import draw_compared_limits, draw_compared_scan, draw_varied
from analysis.plots.compared.spectra_overlaid import draw_spectra
from analysis.results import ResultsFolder
from analysis.results.blinding import blind_windows
from analysis.results.compared.searches import (
    ComparedSearch,
    Varied,
    distinct_labels,
    require_common_windows,
    varied_setting,
)
from tests.builders.compared import make_results
from tests.builders.toy_search import FEW_FIGURES, Cwola, ToySearch

pytestmark = pytest.mark.thorough

MEMBERS = (1, 3)
WINDOWS = ("3300-3700", "3900-4300")
SELECTIONS = ("inclusive", "eff_0.1", "eff_0.03")


@pytest.fixture(scope="module")
def folders(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two searches of the toy that differ in the number of members, the first with all figures; do not change them."""
    found = []
    for members in MEMBERS:
        text = toy.config.read_text().replace("n_members = 2", f"n_members = {members}")
        if members == MEMBERS[0]:
            text = text.replace(FEW_FIGURES, "")
        config = toy.folder / f"members_{members}.toml"
        config.write_text(
            text + '\n[statistics]\ncalculator = "asymptotics"\npseudo_experiments = 0\n[validation]\nin_run = []\n'
        )
        output = tmp_path_factory.mktemp("compare") / f"members_{members}"
        options = ["--datasets", toy.datasets, "--config", config, "--output", output, "--jobs", "1"]
        cli.cli.main(["run", *map(str, options)], standalone_mode=False)
        found.append(output)
    return found


@pytest.fixture
def searches(folders: list[Path]) -> list[ComparedSearch]:
    return [
        ComparedSearch.of(folder.name, *ResultsFolder(folder).load_results(), load_config(path=folder / "config.json"))
        for folder in folders
    ]


def heights(points: ErrorbarContainer) -> NDArray[np.float64]:
    return np.asarray(points.lines[0].get_ydata(), np.float64)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.png")}


def test_only_what_is_asked_for_is_drawn(cwola: Cwola, folders: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "results"
    shutil.copytree(folders[0], folder)
    before = digests(folder / "plots")
    for name in ("scan", "spectrum_3300-3700_inclusive"):
        (folder / "plots" / f"{name}.png").write_bytes(b"old")
    (folder / "plots" / "gone_3300.png").touch()
    outcome = cwola("plot", folder, "--only", "scan", "--jobs", 1)
    assert (outcome.code, outcome.out) == (0, f"1 files in {folder / 'plots'}\n")
    after = digests(folder / "plots")
    assert after == before | {"spectrum_3300-3700_inclusive.png": hashlib.sha256(b"old").hexdigest()}
    assert cwola("plot", folder, "--only", "spectrum_*_incl*", "--jobs", 1).code == 0
    assert digests(folder / "plots") == before


def test_a_figure_that_is_not_there_is_refused_with_those_that_are(cwola: Cwola, folders: list[Path]) -> None:
    before = digests(folders[0] / "plots")
    outcome = cwola("plot", folders[0], "--only", "scan", "--only", "spectrun", "--jobs", 1)
    assert outcome.code == 1
    assert "--only spectrun: there is no such figure" in outcome.err
    assert "cutflow, spectrum" in " ".join(outcome.err.split())
    assert digests(folders[0] / "plots") == before


def test_styles_differ_and_claim_nothing(cwola: Cwola, folders: list[Path], tmp_path: Path) -> None:
    assert get_args(StyleName) == STYLES
    drawn = {}
    before = digests(folders[0] / "plots")
    for style in STYLES:
        assert (
            cwola("plot", folders[0], "--only", "scan", "--style", style, "--to", tmp_path / style, "--jobs", 1).code
            == 0
        )
        drawn[style] = digests(tmp_path / style)
    assert list(drawn["plain"]) == ["scan.png"]
    assert drawn["plain"]["scan.png"] == before["scan.png"]
    assert drawn["atlas"] != drawn["plain"]
    assert drawn["cms"] != drawn["plain"]
    assert digests(folders[0] / "plots") == before


def test_several_searches_are_compared(cwola: Cwola, folders: list[Path], tmp_path: Path) -> None:
    outcome = cwola("plot", *folders, "--to", tmp_path, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    totals = [json.loads((folder / "results.json").read_text())["trials"]["total"] for folder in folders]
    assert f"{sum(totals)} looks in {len(folders)} folders are compared" in outcome.out
    assert f"({folders[0].name}: {totals[0]} looks" in outcome.out
    assert "does not pay for the choice among folders" in outcome.out
    assert {path.stem for path in tmp_path.glob("*.png")} == {
        *(f"{kind}_{name}" for kind in ("scan", "limits") for name in SELECTIONS),
        *(f"spectrum_{window}_{name}" for window in WINDOWS for name in SELECTIONS),
        *(f"setting_{window}" for window in WINDOWS),
        "performance_3300-3700",  # the hidden signal is there alone
    }
    outcome = cwola("plot", folders[0], folders[0], "--to", tmp_path)
    assert outcome.code == 1
    assert "more than once" in outcome.err


def test_blinded_comparisons_show_no_counts(cwola: Cwola, folders: list[Path], tmp_path: Path) -> None:
    only = ["--only", "scan", "--only", "spectrum_3300-3700_eff_0.1"]
    outcome = cwola("plot", *folders, "--blind", *only, "--to", tmp_path)
    assert outcome.code == 1
    assert "--only scan: there is no such figure" in outcome.err


def test_compared_numbers_are_those_of_the_results(searches: list[ComparedSearch], folders: list[Path]) -> None:
    figure = Figure()
    ax, ax_ratio = figure.subplots(2, 1)
    z = draw_compared_scan(searches, "eff_0.1", ax=ax).points
    limits = draw_compared_limits(searches, "eff_0.1", ax=ax, ax_ratio=ax_ratio).points
    expected = []
    for folder in folders:
        windows = json.loads((folder / "results.json").read_text())["windows"]
        found = [next(one for one in window["selections"] if one["name"] == "eff_0.1") for window in windows]
        np.testing.assert_allclose(heights(z[folder.name]), [one["z"] for one in found], rtol=1e-12)
        expected.append([one["limit"]["expected_events"][2] for one in found])
        np.testing.assert_allclose(heights(limits[folder.name]), expected[-1])
    np.testing.assert_allclose(heights(ax_ratio.containers[1]), np.array(expected[1]) / expected[0])
    positions = [points.lines[0].get_xdata() for points in z.values()]
    assert positions[0][0] < 3500 < positions[1][0]


def test_the_setting_that_differs_is_found_and_drawn_in_order(searches: list[ComparedSearch]) -> None:
    varied = varied_setting(searches[::-1])
    assert varied == Varied("learning.n_members", (3.0, 1.0))
    ax, ax_limit = Figure().subplots(2, 1)
    z, limits = draw_varied(searches[::-1], varied, WINDOWS[0], ax=ax, ax_limit=ax_limit)
    for index, name in enumerate(SELECTIONS):
        found = [search.find(WINDOWS[0], name) for search in searches]
        assert z[index].get_xdata().tolist() == [1.0, 3.0]
        assert z[index].get_ydata().tolist() == [one.discovery.z for one in found if one and one.discovery]
        assert limits[index].get_ydata().tolist() == [
            one.limit.expected_events[2] for one in found if one and one.limit
        ]


def test_a_setting_is_only_named_where_it_is_the_only_one() -> None:
    def of(label: str, **learning: object) -> ComparedSearch:
        config = SearchConfig(learning=learning, plots={"style": label})
        return ComparedSearch.of(label, make_results(), [], config)

    assert varied_setting([of("cms", n_members=2), of("atlas", n_members=4)]) == Varied("learning.n_members", (2, 4))
    assert varied_setting([of("cms"), of("atlas")]) is None
    assert varied_setting([of("cms", n_members=2), of("atlas", n_members=4, n_folds=3)]) is None
    assert varied_setting([of("cms", n_members=2), of("atlas", n_members=4), of("plain", n_members=2)]) is None
    assert varied_setting([of("cms", method="cwola"), of("atlas", method="supervised")]) is None


def test_spectra_are_densities_and_hidden_where_blinded(searches: list[ComparedSearch]) -> None:
    pair = [searches[0], replace(searches[1], windows=tuple(blind_windows(searches[1].windows)))]
    ax, ax_ratio = Figure().subplots(2, 1)
    drawn = draw_spectra(pair, WINDOWS[0], "eff_0.1", ax=ax, ax_ratio=ax_ratio)
    result = searches[0].windows[0]
    assert result.spectrum is not None
    counts = result.spectrum[:, "eff_0.1", "nominal"].values()
    shown = heights(drawn.data[pair[0].label])
    np.testing.assert_allclose(shown, counts * 100 / np.diff(result.edges))
    hidden = np.isnan(heights(drawn.data[pair[1].label]))
    centres = (result.edges[1:] + result.edges[:-1]) / 2
    masks = [one.window.mask for one in searches[1].windows]
    inside = np.any([(centres > low) & (centres < high) for low, high in masks], axis=0)
    np.testing.assert_array_equal(hidden, inside)
    np.testing.assert_allclose(drawn.ratios[pair[0].label].get_ydata(), 1)


def test_names_of_folders_are_as_short_as_they_may_be() -> None:
    assert distinct_labels([Path("/a/x"), Path("/b/y")]) == ["x", "y"]
    assert distinct_labels([Path("/a/x/results"), Path("/b/y/results")]) == ["x/results", "y/results"]
    with pytest.raises(ConfigError, match="given more than once"):
        distinct_labels([Path("/a/x"), Path("/a/x")])


def test_searches_of_other_windows_are_refused(searches: list[ComparedSearch]) -> None:
    first, second = (replace(one, windows=one.windows[i : i + 1]) for i, one in enumerate(searches))
    with pytest.raises(ConfigError, match="members_1: 3300-3700; members_3: 3900-4300"):
        require_common_windows([first, second])
