"""`cwola report`: its numbers are those of the results, it stands alone, and browsers have nothing to complain of."""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from analysis import cli
from tests.builders.browser import Browser, open_browser
from tests.builders.html_page import (
    Element,
    by_id,
    check_structure,
    column,
    csv_table,
    decoded,
    downloads,
    parse_page,
    table_values,
)
from tests.builders.toy_search import FEW_FIGURES, Cwola, ToySearch

LIMITS = """
[statistics]
pseudo_experiments = 0
calculator = "asymptotics"

[limits]
samplings = 1
strengths = [0.2]
display_significance = 0.5
display_efficiencies = [0.1]
"""
SCRIPT = "<script>alert('&\"')</script>"


@dataclass(frozen=True)
class Report:
    folder: Path
    page: Element

    def json(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text())

    @property
    def results(self) -> Any:
        return self.json("results.json")

    @property
    def windows(self) -> list[tuple[str, dict[str, Any]]]:
        """Windows by the name that the page gives them."""
        return [("–".join(f"{mass:g}" for mass in one["signal"]), one) for one in self.results["windows"]]


def read_report(folder: Path) -> Report:
    return Report(folder, parse_page((folder / "report.html").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def report(limits: ToySearch, toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Report of a search with a signal sample, its limits and its sensitivity; do not change the folder."""
    folder = tmp_path_factory.mktemp("report")
    (folder / "search.toml").write_text(toy.config.read_text().replace(FEW_FIGURES, "") + LIMITS)
    options = ["--config", folder / "search.toml", "--output", folder / "results", "--jobs", 1]
    for command in (
        ["run", "--limits", "--datasets", limits.datasets, *options],
        ["inject", *options],
        ["report", "--output", folder / "results"],
    ):
        cli.cli.main([str(one) for one in command], standalone_mode=False)
    return read_report(folder / "results")


def test_tables_of_the_windows_hold_the_numbers_of_the_results(report: Report) -> None:
    assert len(report.windows) == 2
    for name, window in report.windows:
        caption = f"Selections in {name}\N{NO-BREAK SPACE}GeV"
        selections = window["selections"]
        assert len(selections) == 3
        for heading, key in {
            "Kept": "efficiency_achieved",
            "Observed [events]": "n_obs",
            "Background [events]": "background",
            "Local z": "z",
            "Local p₀": "p0",
        }.items():
            assert column(report.page, caption, heading) == [one[key] for one in selections]
        found = column(report.page, caption, "Observed limit [events]")
        assert found == [one["limit"]["observed_events"] for one in selections]
        found = column(report.page, caption, "Expected limit [events]")
        assert found == [one["limit"]["expected_events"][2] for one in selections]
        assert column(report.page, caption, "Fit p") == [one["fit"]["p_value"] for one in selections]


def test_the_verdict_and_the_overview_tell_the_largest_excess(report: Report) -> None:
    looks = [(one["z"], name, one["name"]) for name, window in report.windows for one in window["selections"]]
    z, window, selection = max(looks)
    efficiency = f"efficiency {100 * float(selection.removeprefix('eff_')):g} %" if "_" in selection else selection
    (headline,) = (one for one in report.page.find_all("p") if one.attributes.get("class") == "headline")
    text = headline.text.replace("\N{NO-BREAK SPACE}", " ").replace("−", "-")
    note = " (not calibrated with retraining)" * (selection != "inclusive")
    assert f"largest local z = {z:.1f}{note} in {window} GeV at {efficiency}," in text
    assert f"z ≥ {report.results['global']['z']:.1f} (Bonferroni upper bound)" in text
    overview = table_values(report.page, "Local significance z; below it observed / expected events")
    shown = [
        cell[0] for name, cells in overview.items() if name not in ("Window [GeV]", "Validation") for cell in cells
    ]
    assert sorted(shown) == sorted(one for one, _, _ in looks)  # type: ignore[type-var]


def test_it_begins_with_what_was_searched(report: Report) -> None:
    first = next(by_id(report.page, "verdict").find_all("p")).text
    events = list(report.results["cutflow"]["qcd"].values())[-1]["events"]
    assert first.startswith(f"Searched {events} events of simulated pseudodata (qcd): 2 windows of m_jj in ")


def test_limits_and_impacts_are_those_of_the_results(report: Report) -> None:
    results = report.results
    by_rule = "CLs upper limits, expected ones pre-fit; classifiers are trained again for injected signal"
    found = [one for one in results["limits"] if one["reason"] is None]
    assert len(found) >= 3
    assert column(report.page, by_rule, "Expected [fb]") == [one["expected_fb"][2] for one in found]
    assert column(report.page, by_rule, "Observed [selected events]") == [one["observed_selected"] for one in found]
    fixed = "CLs upper limits at the efficiency of these classifiers; μ in units of the sample"
    fixed += "; expected limits are post-fit, expected z is pre-fit"
    (signal,) = results["signals"]
    limits = [one["limit"] for one in signal["selections"]]
    assert {one["expectation"] for one in limits} == {"post-fit"}
    assert column(report.page, fixed, "Observed μ") == [one["observed_strength"] for one in limits]
    assert column(report.page, fixed, "Expected μ") == [one["expected_strength"][2] for one in limits]
    hidden = "What the search sees of hidden signals; median, and 16 to 84 % of the difference"
    assert column(report.page, hidden, "z with signal") == [
        one["z_with_signal"][0] for one in results["sensitivity"][0]["curves"]
    ]
    captions = [one.text.strip() for one in by_id(report.page, "impacts").find_all("caption")]
    assert len(captions) == len(signal["selections"])
    for caption, one in zip(captions, signal["selections"], strict=True):
        ups = {item["name"]: item["up"] for item in one["impacts"]["observed"]["parameters"]}
        names = [item["name"] for item in one["impacts"]["expected"]["parameters"]]  # the largest expected impact first
        assert column(report.page, caption, "Δμ, +1σ") == [ups[name] for name in names]


def test_cutflow_configuration_and_provenance(report: Report) -> None:
    results, manifest = report.results, report.json("manifest.json")
    caption = "Events left after each cut; below them the fraction of those before it"
    for dataset, cuts in results["cutflow"].items():
        assert [one for one in column(report.page, caption, dataset) if one is not None] == [
            left["events"] for left in cuts.values()
        ]
    changed = by_id(report.page, "configuration").text
    assert "learning.n_folds" in changed[: changed.index("All settings")]
    assert "statistics.cls_level" not in changed[: changed.index("All settings")]
    assert "statistics.cls_level" in changed
    told = by_id(report.page, "provenance").text
    for one in (
        *results["versions"].values(),
        *(file["uuid"] for file in results["inputs"]),
        *manifest["window_keys"],
        *manifest["sha256"].values(),
        manifest["unblinding"][0]["event"],
        results["config_digest"],
    ):
        assert one in told


def pixels(content: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size, image.convert("RGB").tobytes()


def test_every_figure_on_disk_is_in_the_page_with_its_data(report: Report) -> None:
    drawn = {path.read_bytes(): path.stem for path in (report.folder / "plots").glob("*.png")}
    images = [decoded(image.attributes["src"]) for image in report.page.find_all("img")]
    assert len(images) == len(drawn) > 12
    assert all(
        len(image) < len(content)
        for image, content in zip(sorted(images, key=len), sorted(drawn, key=len), strict=True)
    )
    assert set(map(pixels, images)) == set(map(pixels, drawn))
    stems = {"scan", "cutflow", "efficiency_point", "sensitivity_point", "limits_signals_atlas-2025", "limits_eff_0.1"}
    assert stems <= set(drawn.values())
    files = downloads(report.page)
    for content, stem in drawn.items():
        assert files[f"{stem}.png"] == content
        assert len(csv_table(files[f"{stem}.csv"])) > 0
    for image in report.page.find_all("img"):
        alt = image.attributes["alt"] or ""
        assert len(re.findall(r"\d", alt)) > 3, alt
        assert not re.search(r"None|nan|\{|\}", alt), alt


def test_data_of_figures_are_those_of_the_results(report: Report) -> None:
    files, results = downloads(report.page), report.results
    for _, window in report.windows:
        low, high = window["signal"]
        for one in window["selections"]:
            rows = csv_table(files[f"spectrum_{low:g}-{high:g}_{one['name']}.csv"])
            inside = [row for row in rows if low <= float(row["m_jj low [GeV]"]) < high]
            assert sum(float(row["observed [events]"]) for row in inside) == one["n_obs"]
            fit = sum(float(row["fit [events]"]) for row in inside)
            assert fit == pytest.approx(one["background"], rel=0.1, abs=2)
    scan = csv_table(files["scan.csv"])
    assert [float(row["nominal p0"]) for row in scan] == [
        one["p0"] for window in results["windows"] for one in window["selections"]
    ]
    limits = csv_table(files["limits_eff_0.1.csv"])
    found = [one["limit"] for window in results["windows"] for one in window["selections"] if one["name"] == "eff_0.1"]
    assert [float(row["expected +2 sigma [visible events]"]) for row in limits] == [
        one["expected_events"][4] for one in found
    ]
    signals = csv_table(files["limits_signals_atlas-2025.csv"])
    (read,) = (float(row["observed [fb]"]) for row in signals if row["rule"] == "atlas-2025")
    (told,) = (one["observed_fb"] for one in results["limits"] if one["rule"] == "atlas-2025")
    assert read == told
    (scanned,) = report.json("limits.json")["injections"]
    rows = csv_table(files["efficiency_point.csv"])
    first = scanned["candidates"][0]
    assert [float(row["signal efficiency"]) for row in rows[: len(first["strengths"])]] == [
        one[0] for one in first["efficiency"]
    ]
    cutflow = csv_table(files["cutflow.csv"])
    assert {(row["dataset"], row["cut"]): int(row["events left"]) for row in cutflow} == {
        (dataset, cut): left["events"] for dataset, cuts in results["cutflow"].items() for cut, left in cuts.items()
    }


def test_data_of_classifiers_are_those_of_the_diagnostics(report: Report) -> None:
    files = downloads(report.page)
    windows = report.json("diagnostics.json")["windows"]
    assert len(windows) == 2
    for one in windows:
        name = "{:g}-{:g}".format(*one["window"]["signal"])
        rows = csv_table(files[f"features_{name}.csv"])
        for feature in one["features"]["features"]:
            shown = [row for row in rows if (row["feature"], row["decorrelated"]) == (feature["name"], "False")]
            assert [float(row["bin low"]) for row in shown] == feature["original"]["edges"][:-1]
            for region, found in feature["original"]["regions"].items():
                assert [float(row[f"{region} [sum of weights]"]) for row in shown] == found["values"]
                assert [float(row[f"{region} [sum of squared weights]"]) for row in shown] == found["variances"]
        rows = csv_table(files[f"sculpting_{name}.csv"])
        for selection in one["sculpting"]["selections"]:
            shown = [row for row in rows if row["selection"] == selection["name"]]
            assert [float(row["m_jj low [GeV]"]) for row in shown] == selection["edges"][:-1]
            assert [float(row["efficiency"]) for row in shown] == pytest.approx(selection["efficiency"], nan_ok=True)
        rows = csv_table(files[f"ensemble_{name}.csv"])
        (first,) = (row for row in rows if (row["selection"], row["events"]) == ("eff_0.1", "window"))
        members = one["ensemble"]["selections"][0]["window"]["members"]
        assert [float(first[f"member {i}"]) for i in range(2)] == members
        rows = csv_table(files[f"importance_{name}.csv"])
        assert sum(float(row["fraction of the total gain"]) for row in rows) == pytest.approx(1, abs=1e-5)
        assert {row["feature"] for row in rows} == set(one["importance"]["features"])
    everything = csv_table(files["importance.csv"])
    assert len(everything) == sum(len(one["importance"]["features"]) for one in windows)
    assert len({row["window [GeV]"] for row in everything}) == 2


def test_the_page_is_valid_and_stands_alone(report: Report) -> None:
    check_structure(report.page)
    text = (report.folder / "report.html").read_text(encoding="utf-8")
    own = "".join(one.text for tag in ("style", "script") for one in report.page.find_all(tag))
    assert not re.search(r"https?:|url\(|@import|fetch|XMLHttp|import\(", own)
    figures = sum(path.stat().st_size for path in (report.folder / "plots").glob("*.png"))
    assert len(text) < 2 * (4 / 3) * figures + 500_000  # each shown and to be saved; all else is small


def rewritten(report: Report, folder: Path, change: Mapping[str, Any]) -> Report:
    """Report of the same results with other texts in their documents."""
    shutil.copytree(report.folder, folder)
    for name in ("results.json", "process.json", "manifest.json", "limits.json"):
        text = (folder / name).read_text()
        for old, new in change.items():
            text = text.replace(json.dumps(old), json.dumps(new))
        (folder / name).write_text(text)
    cli.cli.main(["plot", "--output", str(folder), "--jobs", "1"], standalone_mode=False)
    cli.cli.main(["report", "--output", str(folder)], standalone_mode=False)
    return read_report(folder)


def test_texts_of_users_are_never_markup(report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analysis.plots.save_figures", lambda *_, **__: [])  # they are there
    uuid = report.results["inputs"][0]["uuid"]
    attribute = '"><img src=x onerror="alert(1)">{{ 7 * 7 }}'
    found = rewritten(report, tmp_path / "evil", {"qcd": SCRIPT, uuid: attribute})
    check_structure(found.page)
    assert SCRIPT in by_id(found.page, "cutflow").text
    assert attribute in by_id(found.page, "provenance").text
    for tag in ("script", "img", "table", "figure"):
        assert len(list(found.page.find_all(tag))) == len(list(report.page.find_all(tag)))


def test_a_window_that_failed_is_named_with_its_reason(report: Report, tmp_path: Path) -> None:
    from analysis.report import ReportSources, render_report, report_context
    from analysis.results import ResultsFolder

    shutil.copytree(report.folder, tmp_path / "failed")
    document = report.results
    failed = document["windows"][1]
    failed |= {"status": "failed", "reason": "no events to train on <b>", "selections": []}
    (tmp_path / "failed" / "results.json").write_text(json.dumps(document))
    page = parse_page(render_report(report_context(ReportSources.read(ResultsFolder(tmp_path / "failed")))))
    verdict = by_id(page, "verdict").text
    assert "1 of 2 windows failed or are incomplete" in verdict
    assert "3900–4300\N{NO-BREAK SPACE}GeV: no events to train on <b>" in verdict
    section = by_id(page, "window-3900-4300")
    assert "no events to train on" in section.text
    assert not list(section.find_all("img"))
    check_structure(page)


def test_stages_that_are_missing_are_named(cwola: Cwola, report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    assert "there is no results folder" in cwola("report", "--output", folder).err
    folder.mkdir()
    outcome = cwola("report", "--output", folder)
    assert (outcome.code, outcome.out) == (1, "")
    assert f"Run `cwola scan --output {folder}`." in outcome.err
    shutil.copytree(report.folder, folder, dirs_exist_ok=True)
    outcome = cwola("report", "--output", folder, "--to", tmp_path / "page.html")
    assert (outcome.code, outcome.out) == (0, f"Report: {tmp_path / 'page.html'}\n")
    assert (tmp_path / "page.html").read_bytes() == (report.folder / "report.html").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_text())
    for drawn, state in ((None, "have not been drawn"), ("another", "are of other results")):
        kept = {key: value for key, value in manifest.items() if key != "drawn"}
        (folder / "manifest.json").write_text(json.dumps(kept if drawn is None else {**kept, "drawn": drawn}))
        outcome = cwola("report", "--output", folder)
        assert outcome.code == 1
        assert f"{state}. Run `cwola plot --output {folder}`." in outcome.err
    outcome = cwola("report", "--output", report.folder, "--to", tmp_path / "nowhere" / "page.html")
    assert outcome.code == 1
    assert "nowhere" in outcome.err


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("browser") / "profile") as found:
        yield found


def background(browser: Browser) -> str:
    return str(browser.evaluate("getComputedStyle(document.body).backgroundColor"))


def test_a_browser_shows_everything_without_complaint(report: Report, browser: Browser) -> None:
    browser.open(report.folder / "report.html")
    images = browser.evaluate("[...document.images].map(one => [one.complete, one.naturalWidth])")
    assert len(images) == len(list(report.page.find_all("img")))
    assert all(complete and width > 500 for complete, width in images)
    for scheme, color in (("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 26)")):
        browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        assert background(browser) == color
    browser.evaluate("document.getElementById('theme').click()")
    assert background(browser) == "rgb(255, 255, 255)"
    browser.evaluate("document.getElementById('theme').click()")
    assert background(browser) == "rgb(20, 23, 26)"
    for width in (1400, 900, 420):
        browser.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=False)
        assert browser.evaluate("document.scrollingElement.scrollWidth") <= width
        assert browser.evaluate(
            "[...document.querySelectorAll('td, th')].every(one => one.scrollWidth <= one.offsetWidth)"
        )
    browser.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert browser.complaints() == []
    assert {url.split(":")[0] for url in browser.requests()} == {"file", "data"}


def test_the_browser_would_tell_of_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.html"
    wrong.write_text("<!DOCTYPE html><title>.</title><img src='gone.png' alt=''><script>nowhere()</script>")
    browser.events.clear()
    browser.open(wrong)
    assert browser.evaluate("document.images[0].naturalWidth") == 0
    assert len(browser.complaints()) >= 1
    browser.events.clear()
