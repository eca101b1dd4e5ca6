"""What a notebook shows of a value is in the value, is text and not markup, and tells nothing that is blinded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.background import choose_order
from analysis.config import SearchConfig, load_config
from analysis.core.notebook import facts, grid, text_of
from analysis.events.dataset import Dataset
from analysis.learning import collect_folds, run_fold
from analysis.regions import RegionScan
from analysis.results import ResultsFolder
from analysis.results.numbers import z_value
from analysis.results.process_values import ProcessedDataset
from analysis.results.processed_events import ProcessedEvents
from analysis.results.values import Cut
from analysis.results.wording.significances import local_z_text, nominal_text
from analysis.search.values import SearchData, WindowResult
from analysis.search.window import fold_tasks, run_window
from analysis.stages.scan import ScanSummary
from analysis.statistics import DiscoveryResult, GlobalResult, LimitResult
from tests.builders.calibrations import calibrated
from tests.builders.html_page import Element, parse_page
from tests.builders.results import results_of
from tests.builders.toy_tables import dijet_masses, table_of

CONFIG = SearchConfig(
    scan={"windows": [(3300, 3700)], "fit_range": (3000, 6500)},
    learning={
        "features": ("x0",),
        "n_folds": 2,
        "n_members": 1,
        "efficiencies": (0.1,),
        "classifier": {"n_estimators": 5},
    },
)
SCAN = RegionScan.from_config(CONFIG.scan)


def shown(value: object) -> Element:
    return parse_page(f"<!doctype html>{value._repr_html_()}")


def cells(value: object) -> list[list[str]]:
    """Text of the rows of all tables; strict about nesting."""
    return [[one.text for one in row.everything() if one.tag in ("th", "td")] for row in shown(value).find_all("tr")]


def told(value: object) -> dict[str, str]:
    """Names and values of a table of facts."""
    return {row[0]: row[1] for row in cells(value)}


@pytest.fixture(scope="module")
def data() -> SearchData:
    rng = np.random.default_rng(3)
    mjj = dijet_masses(6000, rng)
    return SearchData(table_of(mjj, rng.normal(size=(len(mjj), 1)).astype(np.float32)))


@pytest.fixture(scope="module")
def opened(data: SearchData) -> WindowResult:
    return run_window(data, SCAN.windows[0], SCAN, CONFIG)


@pytest.fixture(scope="module")
def blinded(data: SearchData) -> WindowResult:
    return run_window(replace(data, blinded=True), SCAN.windows[0], SCAN, CONFIG)


def test_numbers_are_written_briefly():
    given = [None, True, 3, 8279.0, 0.0123456, 1e12, float("nan"), (1.0, 2.5), {"a": 0.1}, [], "x"]
    expected = ["–", "yes", "3", "8279", "0.01235", "1e+12", "nan", "1, 2.5", "a: 0.1", "–", "x"]
    assert [text_of(one) for one in given] == expected


def test_markup_in_values_stays_text():
    evil = "<script>alert('x')</script>&\""
    for html in (facts(evil, {evil: evil}), grid(evil, [evil], [[evil]])):
        page = parse_page(f"<!doctype html>{html}")
        assert not [*page.find_all("script")]
        assert page.text.count(evil) == 3
    dataset = Dataset(evil, "data", "nanoaod", ((evil, "Events"),))
    assert evil in shown(dataset).text
    assert not [*shown(dataset).find_all("script")]


def test_long_tables_and_cells_are_cut_short():
    page = parse_page(f"<!doctype html>{grid('', ['name', 'value'], [[k, 'x' * 1000] for k in range(100)])}")
    assert len([*page.find_all("tr")]) == 41
    assert "and 60 more" in page.text
    assert max(len(one.text) for one in page.find_all("td")) <= 101


def test_a_window_shows_its_numbers(opened):
    head, *rows = cells(opened)
    assert head[:6] == ["Selection", "Efficiency", "Observed", "Expected", "Calibrated z", "Nominal z"]
    assert head[6:] == ["Fit p", "Expected limit [events]"]
    assert [row[0] for row in rows] == ["inclusive", "eff_0.1"]
    for row, selection in zip(rows, opened.selections, strict=True):
        assert row[2] == str(int(selection.n_obs))
        value, error = row[3].split(" ± ")
        assert float(value) == pytest.approx(selection.background, rel=1e-3)
        assert float(error) == pytest.approx(selection.background_error, rel=1e-3)
        assert row[4] == "–"
        assert float(row[5]) == pytest.approx(selection.discovery.z, rel=1e-3)
        assert float(row[6]) == pytest.approx(selection.fit_p_value, rel=1e-2)
        assert float(row[7]) == pytest.approx(selection.limit.expected_events[2], rel=1e-3)
        assert cells(selection) == [head, row]
    (_, again) = cells(calibrated(opened))[1:]
    assert float(again[4]) == pytest.approx(calibrated(opened).selections[1].local_z, rel=1e-3)


def test_a_window_that_failed_shows_why():
    lost = WindowResult(SCAN.windows[0], SCAN.edges(SCAN.windows[0]), reason="no events <here>")
    assert "no events <here>" in shown(lost).text
    assert "no events" in repr(lost)


def test_nothing_of_the_counts_is_shown_while_blinded(data, opened, blinded):
    inside = int(opened.selections[0].n_obs)
    assert inside > 100
    summary = ScanSummary((blinded,), results_of(blinded=True))
    limits = [selection.limit for selection in blinded.selections]
    for value in (blinded, *blinded.selections, summary, *limits):
        for text in (shown(value).text, repr(value)):
            assert str(inside) not in text
            for one in opened.selections:
                assert text_of(one.discovery.z) not in text
                assert text_of(one.limit.observed_events) not in text
    assert [[row[2], *row[4:6]] for row in cells(blinded)[1:]] == [["–", "–", "–"]] * 2
    assert {row[1] for row in cells(summary)[1:2]} == {"–"}
    assert told(limits[0])["Observed"] == "–"
    assert told(limits[0])["Expected pre-fit, median"] == text_of(limits[0].expected_events[2])


def test_values_with_arrays_are_written_on_a_short_line(data, opened):
    folds = [run_fold(task, data.samples(task.method)) for task in fold_tasks(opened.window, opened.edges, CONFIG, 0)]
    fit = collect_folds(folds, data.table, fold_tasks(opened.window, opened.edges, CONFIG, 0)[0])
    many = Dataset("many", "data", "nanoaod", tuple((f"{k}.root", "Events") for k in range(1000)))
    values = (data.table, opened, *opened.selections, opened.selections[0].fit, *folds, fit, fit.scores, many)
    for value in values:
        assert len(repr(value)) < 300
        assert "\n" not in repr(value)
        assert "array" not in repr(value)
    assert "6000 events" in repr(data.table)


def test_a_table_shows_events_by_dataset_and_their_range(data):
    known = told(data.table)
    assert known["Events"].endswith(": 6000")
    low, high = (float(end) for end in known["m_jj"].removesuffix(" GeV").split("–"))
    assert (low, high) == pytest.approx((data.table.mjj.min(), data.table.mjj.max()), abs=0.06)
    assert known["Features"] == "x0"
    assert told(data.table.select(np.zeros(6000, bool)))["m_jj"] == "–"


def test_windows_of_a_scan():
    assert cells(SCAN)[1] == ["3300–3700 GeV", "3100–3300 GeV", "3700–3900 GeV", "3200–3800 GeV", "3000–6500 GeV"]
    assert told(SCAN.windows[0])["mask"] == "3200–3800 GeV"


def test_a_scan_shows_significances_by_window_and_selection(opened):
    found = GlobalResult(2.5, 0.0062, "bonferroni-upper-bound", n_trials=2)
    head, row, *below = cells(ScanSummary((opened,), results_of(global_=found)))
    assert head == ["Window [GeV]", "inclusive", "eff_0.1"]
    assert row == ["3300-3700", *(z_value(one.discovery.z) for one in opened.selections)]
    assert ["p0", "0.0062"] in below
    text = shown(ScanSummary((opened,), results_of())).text
    assert "z of trained selections is not calibrated with retraining" in text
    anew = shown(ScanSummary((calibrated(opened),), results_of())).text
    tight = calibrated(opened).selections[1]
    assert f"{local_z_text(tight)} ({nominal_text(tight)})" in anew
    assert "is calibrated with retraining, by searches of" in anew
    assert "blinded" in repr(ScanSummary((), results_of(global_=found, blinded=True)))


def test_a_configuration_shows_what_is_not_the_default():
    config = SearchConfig(random_state=7, learning={"n_members": 3}, scan={"width": 300.0})
    assert told(config) == {"random_state": "7", "scan.width": "300", "learning.n_members": "3"}
    assert (
        repr(config)
        == "SearchConfig(random_state=7, scan=ScanConfig(width=300.0), learning=LearningConfig(n_members=3))"
    )
    assert told(SearchConfig()) == {}


@pytest.mark.parametrize("name", ["demo", "best", "atlas-2025"])
def test_a_configuration_is_made_again_from_what_it_shows(name):
    config = load_config(preset=name)
    sections = {key: getattr(value, "changed", value) for key, value in config.changed.items()}
    assert SearchConfig.model_validate(sections) == config


def test_results_of_tests_and_fits():
    assert told(DiscoveryResult(2.0, 0.0228)) == {"z": "2", "p0": "0.0228", "Asymptotics": "yes"}
    assert told(DiscoveryResult(2.0, 0.0228, False, 0.03, 0.04))["p0 by toys"] == "0.03"
    limit = LimitResult("visible-events", "asymptotics", 25.0, (8.0, 11.0, 16.0, 23.0, 32.0))
    assert list(told(limit).values()) == ["25", "8", "11", "16", "23", "32"]
    edges = np.arange(3000.0, 6501.0, 100.0)
    counts = np.histogram(dijet_masses(6000, np.random.default_rng(3)), edges)[0]
    fit = choose_order(
        counts, edges, mask=SCAN.windows[0].mask, functions=("dijet2", "dijet3"), alpha=0.05, sqrt_s_gev=13000.0
    )
    known = told(fit)
    assert known["χ²/ndof"] == f"{fit.deviance:.1f}/{fit.ndof}"
    assert float(known["p1"]) == pytest.approx(fit.parameters["p1"], rel=1e-3)


def test_a_cutflow_is_shown_by_dataset():
    def processed(**events: int) -> ProcessedDataset:
        cuts = {name: Cut(one, float(one)) for name, one in events.items()}
        return ProcessedDataset(
            parts=(),
            n_entries=10,
            sum_of_weights=None,
            cutflow=cuts,
            n_minus_one={},
            sanity={},
            files=(),
            skipped_files=(),
            dataset={},
        )

    records = {"a": processed(all=10, jet_pt=5), "b": processed(all=7, trigger=3)}
    events = ProcessedEvents({name: Dataset(name, "data", "nanoaod", ()) for name in records}, records, "", {})
    assert cells(events) == [["Cut", "a", "b"], ["all", "10", "7"], ["jet_pt", "5", "–"], ["trigger", "–", "3"]]
    assert repr(events) == "ProcessedEvents(a, b)"


def test_a_folder_shows_what_is_in_it(tmp_path: Path):
    folder = ResultsFolder(tmp_path / "results", create=True)
    assert told(folder)["Search"] == "no"
    (folder.path / "windows" / "3300-3700").mkdir(parents=True)
    (folder.path / "windows" / "3300-3700" / "window.json").write_text(json.dumps({}))
    (folder.path / "results.json").write_text("{}")
    assert (told(folder)["Search"], told(folder)["Windows [GeV]"]) == ("yes", "3300-3700")
