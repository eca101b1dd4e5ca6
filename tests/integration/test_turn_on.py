"""`cwola turnon` on files with trigger decisions of a known turn-on, and the note of the search below it."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import uproot
from click.testing import CliRunner
from scipy import stats

from analysis.cli.commands import cli
from analysis.config import SearchConfig
from analysis.errors import CwolaError
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.results.turn_on import turn_on_notes
from tests.builders.triggered import MIDPOINT, PLATEAU, REFERENCE, TRIGGER, WIDTH, write_triggered

SEARCH = f"""
[selection]
triggers = ["{TRIGGER}"]
mjj_min = 1900
[scan]
fit_range = [{{start}}, 4000]
first = 2400
last = 2800
"""


@pytest.fixture(scope="module")
def datasets(tmp_path_factory) -> Path:
    return write_triggered(tmp_path_factory.mktemp("triggered"), 4000, seed=1)


def measure(datasets: Path, output: Path, *options: object, start: int = 2000) -> str:
    config = output.parent / "search.toml"
    config.write_text(SEARCH.format(start=start))
    arguments = ["turnon", "--datasets", datasets, "--config", config, "--output", output, "--jobs", 1, *options]
    result = CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=True)
    if result.exception is not None:
        raise result.exception
    return result.output


@pytest.fixture(scope="module")
def results(datasets, tmp_path_factory) -> tuple[Path, str]:
    output = tmp_path_factory.mktemp("out") / "results"
    return output, measure(datasets, output, "--reference", REFERENCE)


def test_events_are_those_of_the_reference_and_passing_ones_fire_both(datasets, results) -> None:
    with uproot.open({datasets.parent / "data.root": None}) as file:
        tree = file["Events"]
        reference, fired = (tree[name].array(library="np") for name in (REFERENCE, TRIGGER))
    found = json.loads((results[0] / "turnon.json").read_text())["measured"]["efficiency"]

    assert sum(found["total"]) == reference.sum()
    assert sum(found["passed"]) == (reference & fired).sum()


def test_the_known_turn_on_comes_back(results) -> None:
    measured = json.loads((results[0] / "turnon.json").read_text())["measured"]
    fit = measured["fit"]
    edge = MIDPOINT + WIDTH * stats.norm.ppf(0.99)

    for name, truth in (("midpoint", MIDPOINT), ("width", WIDTH), ("plateau", PLATEAU)):
        assert abs(fit[name] - truth) < 4 * fit[f"{name}_error"], name
    assert abs(measured["flat_from"] - edge) < 4 * measured["flat_from_error"]
    assert measured["smooth_edge"] % 100 == 0
    assert 0 <= measured["smooth_edge"] - measured["flat_from"] - measured["flat_from_error"] < 100


def test_table_figure_and_proposal_are_there(results) -> None:
    output, printed = results
    edge = json.loads((output / "turnon.json").read_text())["measured"]["smooth_edge"]

    assert f"smooth_edge = {edge:g}" in printed
    assert f"Efficiency of {TRIGGER} in events of {REFERENCE}" in printed
    assert {path.name for path in (output / "plots").iterdir()} >= {"turn_on.pdf", "turn_on.png"}


def test_a_search_that_begins_below_the_edge_is_warned(results, datasets, tmp_path) -> None:
    found = ResultsFolder(results[0]).load_turn_on()
    assert found is not None
    edge = found.measured.smooth_edge

    def notes(start: float, *triggers: str) -> tuple[str, ...]:
        scan = {"fit_range": (start, 4000.0), "first": 2400.0, "last": 2800.0}
        return turn_on_notes(found, triggers, RegionScan.from_config(SearchConfig(scan=scan).scan))

    assert notes(edge, TRIGGER) == ()
    assert f"begins at {edge - 100:g} GeV, below {edge:g} GeV" in notes(edge - 100, TRIGGER)[0]
    assert f"set scan.smooth_edge = {edge:g}" in notes(edge - 100, TRIGGER)[0]
    assert f"is that of {TRIGGER}, not of the triggers of this search" in notes(edge, "HLT_Other")[0]
    assert turn_on_notes(None, (), RegionScan.from_config(SearchConfig().scan)) == ()

    printed = measure(datasets, tmp_path / "results", "--reference", REFERENCE, start=1500)
    assert "can shift z by several" in printed


def test_masks_of_data_that_are_not_unblinded_are_left_out(tmp_path) -> None:
    datasets = write_triggered(tmp_path, 1000, seed=2, kind="data")

    measure(datasets, tmp_path / "results", "--reference", REFERENCE, "--bin-width", "100")

    document = json.loads((tmp_path / "results" / "turnon.json").read_text())
    efficiency = document["measured"]["efficiency"]
    masked = [high > 2300 and low < 2900 for low, high in pairwise(efficiency["edges"])]
    assert document["hidden"] == [[2300, 2900]]
    assert np.sum(masked) == 6
    assert np.array(efficiency["total"])[masked].sum() == 0
    assert np.array(efficiency["total"])[~np.array(masked)].sum() > 500


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--reference", TRIGGER], "is one of selection.triggers"),
        (["--reference", "HLT_Reff"], f"branch HLT_Reff is missing. Similar branches: {REFERENCE}"),
        (["--reference", REFERENCE, "--sample", "nothing"], "there is no dataset 'nothing'. Datasets: data"),
        (["--reference", REFERENCE, "--range", "1000:1400"], "above the last reference events"),
        (["--reference", REFERENCE, "--range", "9000:9500"], "0 reference events between 9000 and 9500"),
    ],
)
def test_what_cannot_be_measured_is_one_error(options, message, datasets, tmp_path) -> None:
    with pytest.raises(CwolaError) as caught:
        measure(datasets, tmp_path / "results", *options)

    assert message in str(caught.value)
