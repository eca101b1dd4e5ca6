"""A figure that a plugin registers is drawn, shown and described like every other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from analysis import cli
from analysis.results import ResultsFolder
from tests.builders.html_page import by_id, csv_table, downloads, parse_page
from tests.builders.pages import printed_files
from tests.builders.toy_search import Cwola, ToySearch

PLUGIN = printed_files("plugins.md")["my_figure.py"]


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "counting.py"
    path.write_text(PLUGIN)
    return path


@pytest.fixture(scope="module")
def searched(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("searched") / "results"
    cli.cli.main([str(one) for one in ["run", *toy.options(folder)]], standalone_mode=False)
    return folder


@pytest.fixture
def results(searched: Path, tmp_path: Path) -> Path:
    return shutil.copytree(searched, tmp_path / "results")


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_registered_figure_is_drawn_and_shown_with_its_text_and_rows(
    cwola: Cwola, results: Path, plugin: Path, jobs: int
) -> None:
    counts = [one.selections[0].n_obs for one in ResultsFolder(results).load_results()[1]]
    options = ["--output", results, "--plugin", plugin]
    outcome = cwola("plot", *options, "--only", "counts", "--jobs", jobs)
    assert (outcome.code, outcome.out) == (0, f"1 files in {results / 'plots'}\n"), outcome.err
    assert (results / "plots" / "counts_of_windows.png").stat().st_size > 1000
    assert cwola("report", *options).code == 0
    page = parse_page((results / "report.html").read_text(encoding="utf-8"))
    (image,) = (one for one in by_id(page, "windows").find_all("img") if "hold" in one.attributes.get("alt", ""))
    assert image.attributes["alt"] == f"{len(counts)} windows hold {sum(counts):.0f} events."
    assert "Counts <of> all windows" in by_id(page, "windows").text
    table = csv_table(downloads(page)["counts_of_windows.csv"])
    assert [float(row["observed [events]"]) for row in table] == counts


def test_without_its_plugin_the_figure_is_not_known(cwola: Cwola, results: Path, plugin: Path) -> None:
    assert cwola("plot", "--output", results, "--plugin", plugin, "--only", "counts", "--jobs", 1).code == 0
    outcome = cwola("plot", "--output", results, "--only", "counts", "--jobs", 1)
    assert outcome.code != 0
    assert "there is no such figure" in outcome.err
    assert cwola("report", "--output", results).code == 0
    assert "counts_of_windows" not in (results / "report.html").read_text(encoding="utf-8")


def test_two_figures_of_one_name_are_refused(cwola: Cwola, results: Path, plugin: Path) -> None:
    plugin.write_text(PLUGIN.replace('"counts_of_windows",', '"scan",'))
    outcome = cwola("plot", "--output", results, "--plugin", plugin, "--jobs", 1)
    assert outcome.code != 0
    assert "the figures counts have a second 'scan'" in outcome.err


def test_its_rows_are_a_table_of_the_hepdata_submission(
    cwola: Cwola, results: Path, plugin: Path, tmp_path: Path
) -> None:
    counts = [one.selections[0].n_obs for one in ResultsFolder(results).load_results()[1]]
    outcome = cwola("export", "hepdata", "--output", results, "--plugin", plugin, "--to", tmp_path / "hepdata")
    assert outcome.code == 0, outcome.err
    submission = tmp_path / "hepdata" / "submission"
    documents = list(yaml.safe_load_all((submission / "submission.yaml").read_text()))
    (entry,) = (one for one in documents if one.get("name") == "Counts -of- all windows")
    assert f"hold {sum(counts):.0f} events" in entry["description"]
    table = yaml.safe_load((submission / entry["data_file"]).read_text())
    (column,) = table["dependent_variables"]
    assert column["header"] == {"name": "observed", "units": "events"}
    assert [float(one["value"]) for one in column["values"]] == counts
