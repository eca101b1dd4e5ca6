"""`cwola export`: what was exported gives the results again when the results folder is gone."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pyhf
import pytest
import yaml
from hepdata_validator.full_submission_validator import FullSubmissionValidator
from pyhf.infer.intervals.upper_limits import toms748_scan
from scipy import stats

from analysis import cli
from tests.builders.toy_search import N_GENERATED, Cwola, ToySearch

LUMI = 20.0
WINDOW, MASK, SELECTION = "3300-3700", (3200.0, 3800.0), "eff_0.1"
EXPORTS = ("hepdata", "pyhf", "classifiers")


def run(*arguments: object) -> None:
    cli.cli.main(list(map(str, arguments)), standalone_mode=False)


@pytest.fixture(scope="module")
def searched(limits: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder of a search with a signal sample and its limits; do not change it."""
    output = tmp_path_factory.mktemp("searched") / "results"
    run("process", *limits.options(output))
    run("limit", "--output", output, "--jobs", 1)
    run("scan", "--output", output, "--jobs", 1)
    return output


@dataclass(frozen=True)
class Exported:
    """The three exports, and what the results folder said before it was deleted."""

    folder: Path
    results: dict[str, Any]
    injections: list[dict[str, Any]]
    spectrum: dict[str, Any]
    scored: Path

    def table(self, name: str) -> dict[str, Any]:
        path = self.folder / "hepdata" / "submission" / f"{name}.yaml"
        found: dict[str, Any] = yaml.safe_load(path.read_text())
        return found

    def selection(self, window: int, name: str) -> dict[str, Any]:
        return next(one for one in self.results["windows"][window]["selections"] if one["name"] == name)


@pytest.fixture(scope="module")
def exported(searched: Path, toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("exported")
    results = shutil.copytree(searched, folder / "results")
    for kind in EXPORTS:
        run("export", kind, "--output", results, "--to", folder / kind)
    scored = folder / "scored.parquet"
    run("score", toy.folder / "bump.root", "--models", results, "--output", scored, "--jobs", 1)
    found = Exported(
        folder,
        json.loads((results / "results.json").read_text()),
        json.loads((results / "limits.json").read_text())["injections"],
        json.loads((results / "windows" / WINDOW / "spectrum.json").read_text()),
        scored,
    )
    shutil.rmtree(results)
    return found


def column(table: dict[str, Any], name: str, **qualifiers: object) -> dict[str, Any]:
    def fits(one: dict[str, Any]) -> bool:
        of_column = {item["name"]: item["value"] for item in one["qualifiers"]}
        return bool(one["header"]["name"] == name and qualifiers.items() <= of_column.items())

    (found,) = (one for one in table["dependent_variables"] if fits(one))
    return found


def values(one: dict[str, Any]) -> list[Any]:
    return [item["value"] for item in one["values"]]


def errors(one: dict[str, Any], label: str) -> list[Any]:
    return [next((e for e in item.get("errors", []) if e["label"] == label), None) for item in one["values"]]


def numbers(content: Any) -> list[float]:
    if isinstance(content, dict | list):
        inside = content.values() if isinstance(content, dict) else content
        return [number for one in inside for number in numbers(one)]
    return [] if isinstance(content, str) else [float(content)]


def test_limits_on_the_signal_follow_from_the_workspaces_alone(exported: Exported) -> None:
    (signal,) = exported.results["signals"]
    assert len(signal["selections"]) == 3
    for found in signal["selections"]:
        low, high = found["window"]
        place = exported.folder / "pyhf" / f"{low:g}-{high:g}_{found['selection']}"
        patches = pyhf.PatchSet(json.loads((place / "patchset.json").read_text()))
        background = json.loads((place / "BkgOnly.json").read_text())
        assert patches.labels == ["m_A", "m_B", "m_C"]
        notes = patches[3500, 400, 150].metadata
        workspace = patches.apply(background, (3500, 400, 150))
        model = workspace.model()
        mu, bands = toms748_scan(workspace.data(model), model, 0.01, 50, level=0.05, rtol=1e-5)
        limit = found["limit"]
        assert mu * notes["events_per_mu"] == pytest.approx(limit["observed_events"], rel=2e-4)
        np.testing.assert_allclose(np.array(bands) * notes["fb_per_mu"], limit["expected_fb"], rtol=2e-4)
        assert mu * notes["strength_per_mu"] == pytest.approx(limit["observed_strength"], rel=2e-4)


@pytest.mark.thorough
def test_background_only_workspaces_open_without_signal_and_hold_the_counts(exported: Exported) -> None:
    for number, window in enumerate(exported.results["windows"]):
        low, high = window["signal"]
        for one in window["selections"]:
            path = exported.folder / "pyhf" / f"{low:g}-{high:g}_{one['name']}" / "BkgOnly.json"
            workspace = pyhf.Workspace(json.loads(path.read_text()))
            model = workspace.model()
            assert model.config.samples == ["background"]
            assert model.config.poi_index is None
            assert workspace.data(model)[0] == exported.selection(number, one["name"])["n_obs"]
            rate = model.expected_actualdata([1.0])[0]
            assert rate == pytest.approx(one["background"] + one["background_error"])


def test_the_patch_of_another_background_is_refused(exported: Exported) -> None:
    place = exported.folder / "pyhf" / f"{WINDOW}_{SELECTION}"
    patches = pyhf.PatchSet(json.loads((place / "patchset.json").read_text()))
    other = json.loads((place / "BkgOnly.json").read_text())
    other["observations"][0]["data"][0] += 1
    with pytest.raises(pyhf.exceptions.PatchSetVerificationError):
        patches.verify(other)


def test_the_submission_passes_the_validator_of_hepdata(exported: Exported) -> None:
    validator = FullSubmissionValidator()
    archive = exported.folder / "hepdata" / "submission.tar.gz"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # it leaves files to the garbage collector
        assert validator.validate(archive=str(archive)), validator.get_messages()
    first, *tables = yaml.safe_load_all((archive.parent / "submission" / "submission.yaml").read_text())
    assert exported.results["config_digest"] in first["comment"]
    assert len({table["data_file"] for table in tables}) == len(tables) == 20
    for table in tables:
        keywords = {item["name"]: item["values"] for item in table["keywords"]}
        assert keywords["cmenergies"] == [13000.0]
        assert set(keywords) == {"cmenergies", "reactions", "observables", "phrases"}
        content = yaml.safe_load((archive.parent / "submission" / table["data_file"]).read_text())
        assert all(np.isfinite(number) for number in numbers(content))
        for one in content["dependent_variables"]:
            of_column = {item["name"]: (item["value"], item.get("units")) for item in one["qualifiers"]}
            assert of_column["SQRT(S)"] == (13000.0, "GeV")
            assert of_column["LUMINOSITY"] == (LUMI, "fb$^{-1}$")


def test_a_spectrum_is_read_back(exported: Exported) -> None:
    table = exported.table(f"spectrum_{WINDOW}_{SELECTION}")
    (axis,) = table["independent_variables"]
    edges = exported.spectrum["axes"][0]["edges"]
    assert [(item["low"], item["high"]) for item in axis["values"]] == list(pairwise(edges))
    assert axis["header"]["units"] == "GeV"
    index = exported.spectrum["axes"][1]["categories"].index(SELECTION)
    counts = np.array(exported.spectrum["storage"]["values"])[1:-1, index, 0]  # without under- and overflow
    data, fit, region = (column(table, name) for name in ("Data", "Background fit", "Region"))
    np.testing.assert_array_equal(values(data), counts)
    for count, error in zip(counts, errors(data, "stat"), strict=True):
        low = stats.gamma.ppf(stats.norm.cdf(-1), count) if count else 0.0
        high = stats.gamma.ppf(stats.norm.cdf(1), count + 1)
        found = error["asymerror"]
        assert (count + found["minus"], count + found["plus"]) == pytest.approx((low, high))
    inside = [mark == "window" for mark in values(region)]
    result = exported.selection(0, SELECTION)
    assert counts[inside].sum() == result["n_obs"]
    assert np.array(values(fit))[inside].sum() == pytest.approx(result["background"], rel=0.02)
    masked = [mark != "fitted" for mark in values(region)]
    assert [(low >= MASK[0]) & (low < MASK[1]) for low in edges[:-1]] == masked
    assert all(error["symerror"] > 0 for error in errors(fit, "fit"))


def test_counts_p_values_and_visible_limits_are_read_back(exported: Exported) -> None:
    counts, tests, visible = map(exported.table, ("events_in_windows", "p-values", "limits_on_visible_events"))
    for name in ("inclusive", SELECTION, "eff_0.03"):
        found = [exported.selection(number, name) for number in (0, 1)]
        assert values(column(counts, "Observed", Selection=name)) == [one["n_obs"] for one in found]
        background = column(counts, "Expected background", Selection=name)
        assert values(background) == pytest.approx([one["background"] for one in found])
        fitted = [error["symerror"] for error in errors(background, "fit")]
        assert fitted == pytest.approx([one["background_error"] for one in found])
        assert values(column(tests, "Local p-value", Selection=name)) == pytest.approx([one["p0"] for one in found])
        limits = [one["limit"] for one in found]
        observed = column(visible, "Observed limit", Selection=name)
        assert values(observed) == pytest.approx([one["observed_events"] for one in limits])
        expected = column(visible, "Expected limit", Selection=name)
        for reach, label in ((1, "1 s.d."), (2, "2 s.d.")):
            for median, error, limit in zip(values(expected), errors(expected, label), limits, strict=True):
                ends = (median + error["asymerror"]["minus"], median + error["asymerror"]["plus"])
                truth = limit["expected_events"]
                assert ends == pytest.approx((truth[2 - reach], truth[2 + reach]), rel=1e-6)


def test_limits_on_the_mass_grid_are_read_back(exported: Exported) -> None:
    for limit in exported.results["limits"]:
        table = exported.table(f"limits_{limit['rule']}")
        masses = {axis["header"]["name"]: axis["values"][0]["value"] for axis in table["independent_variables"]}
        assert masses == {"$m_{A}$": 3500.0, "$m_{B}$": 400.0, "$m_{C}$": 150.0, "Signal sample": "point"}
        cross_section = column(table, "Observed limit on the cross-section")
        assert cross_section["header"]["units"] == "fb"
        assert values(cross_section) == pytest.approx([limit["observed_fb"]])
        assert values(column(table, "Expected limit on selected signal events")) == pytest.approx(
            [limit["expected_selected"][2]]
        )
        assert values(column(table, "Selection")) == [limit["selection"]]
    fixed = exported.table("limits_with_the_classifiers_of_the_search")
    for found in exported.results["signals"][0]["selections"]:
        one = column(fixed, "Observed limit on the cross-section", Selection=found["selection"])
        assert values(one) == pytest.approx([found["limit"]["observed_fb"]])


def test_efficiencies_and_maps_are_read_back(exported: Exported) -> None:
    table = exported.table("acceptance_times_efficiency")
    found = column(table, "Acceptance times efficiency", Selection="inclusive")
    events = exported.results["signals"][0]["yields"][0]["events"]
    weight = 10.0 * LUMI / N_GENERATED  # 10 fb
    assert values(found)[0] == pytest.approx(events / (10.0 * LUMI))
    passed = events / weight
    assert errors(found, "stat")[0]["symerror"] == pytest.approx(np.sqrt(passed) / N_GENERATED)
    (injected,) = exported.injections
    candidate = injected["candidates"][1]
    of_strength = column(exported.table("efficiency_and_strength_point"), "Efficiency", Selection=SELECTION)
    assert values(of_strength) == pytest.approx([np.mean(pair) for pair in candidate["efficiency"]])  # of two samplings
    one = injected["maps"][0]
    table = exported.table(f"efficiency_map_point_at_{one['strength']:g}")
    kept = column(table, "Efficiency", Selection=SELECTION, Events="data")
    total = column(table, "Before the classifier", Events="data")
    pairs = zip(values(kept), values(total), strict=True)
    assert sum(n * e for e, n in pairs if n) == pytest.approx(np.sum(one["data"][SELECTION]))
    assert sum(values(total)) == pytest.approx(np.sum(one["data"]["inclusive"]))
    place = next(i for i, n in enumerate(values(total)) if n > 3)
    m_1, m_2 = (axis["values"][place] for axis in table["independent_variables"])
    i, j = one["edges"][0].index(m_1["low"]), one["edges"][1].index(m_2["low"])
    assert values(total)[place] == one["data"]["inclusive"][i][j]


def test_undefined_values_are_dashes(exported: Exported) -> None:
    of_strength = column(exported.table("efficiency_and_strength_point"), "Efficiency", Selection="inclusive")
    assert values(of_strength)[1:] == ["-", "-"]
    assert not any(item.get("errors") for item in of_strength["values"][1:])


def test_classifiers_score_as_those_of_the_search(
    exported: Exported, toy: ToySearch, cwola: Cwola, tmp_path: Path
) -> None:
    models, output = exported.folder / "classifiers", tmp_path / "scored.parquet"
    assert cwola("score", toy.folder / "bump.root", "--models", models, "--output", output, "--jobs", 1).code == 0
    again, before = pq.read_table(output), pq.read_table(exported.scored)
    assert again.num_rows > 100
    assert again.equals(before)
    refused = cwola("score", toy.folder / "qcd_1.root", "--models", models, "--output", output, "--jobs", 1)
    assert (refused.code, "models that saw an event must not score it" in refused.err) == (1, True)


def test_the_classifiers_hold_nothing_else(exported: Exported) -> None:
    models = exported.folder / "classifiers"
    names = {path.relative_to(models).as_posix() for path in models.rglob("*") if path.is_file()}
    manifest = json.loads((models / "manifest.json").read_text())
    assert names == {"README.md", "config.json", "manifest.json", *manifest["sha256"]}
    assert {Path(name).suffix for name in manifest["sha256"]} == {".ubj", ".json"}
    assert {Path(name).name for name in manifest["sha256"] if name.endswith(".json")} == {"classifier.json"}
    assert set(manifest["inputs"][0]) == {"dataset", "kind", "uuid", "content"}
    assert str(exported.folder.parent) not in "".join(path.read_text() for path in models.glob("*.json"))


@pytest.fixture(scope="module")
def blind(searched: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports of the same search, blinded."""
    folder = tmp_path_factory.mktemp("blind")
    results = shutil.copytree(searched, folder / "results")
    run("scan", "--blind", "--output", results, "--jobs", 1)
    for kind in EXPORTS:
        run("export", kind, "--output", results, "--to", folder / kind)
    return folder


def test_blinded_exports_show_no_count_inside_the_masks(blind: Path, searched: Path) -> None:
    submission = blind / "hepdata" / "submission"
    names = {path.stem for path in submission.iterdir()}
    assert "p-values" not in names
    assert not {name for name in names if "map" in name}  # limits of the search that was not blinded
    counts = yaml.safe_load((submission / "events_in_windows.yaml").read_text())
    assert "Observed" not in {one["header"]["name"] for one in counts["dependent_variables"]}
    before = json.loads((searched / "results.json").read_text())["windows"]
    low, high = 3200, 4400  # the masks of both windows, 3200-3800 and 3800-4400 GeV
    for window in ("3300-3700", "3900-4300"):
        for name in ("inclusive", SELECTION):
            table = yaml.safe_load((submission / f"spectrum_{window}_{name}.yaml").read_text())
            bins = table["independent_variables"][0]["values"]
            data = values(column(table, "Data"))
            assert [value == "-" for value in data] == [low <= one["low"] < high for one in bins]
            assert not any(item.get("errors") for item in column(table, "Data")["values"] if item["value"] == "-")
            workspace = json.loads((blind / "pyhf" / f"{window}_{name}" / "BkgOnly.json").read_text())
            (sample,) = workspace["channels"][0]["samples"]
            assert workspace["observations"][0]["data"] == sample["data"]
            assert sample["data"][0] not in [one["n_obs"] for of in before for one in of["selections"]]
    assert "The search is blinded" in (blind / "pyhf" / "README.md").read_text()


def test_without_the_extra_one_line_says_what_to_install(
    searched: Path, cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hepdata_lib", None)
    outcome = cwola("export", "hepdata", "--output", searched, "--to", tmp_path / "hepdata")
    assert (outcome.code, outcome.err.count("\n")) == (1, 1)
    assert "pip install 'cwola-dijet[hepdata]'" in outcome.err
    assert not list(tmp_path.iterdir())


def test_mistakes_are_one_clear_line_and_leave_nothing(searched: Path, cwola: Cwola, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    for kind in EXPORTS:
        outcome = cwola("export", kind, "--output", searched, "--to", full)
        assert (outcome.code, outcome.err.count("\n")) == (1, 1)
        assert "nothing in it is replaced" in outcome.err
    outcome = cwola("export", "pyhf", "--output", searched, "--to", tmp_path / "new", "--hepdata", "1234567")
    assert "expected `ins` and seven digits" in outcome.err
    model = next((shutil.copytree(searched, tmp_path / "changed") / "windows" / WINDOW / "models").iterdir())
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    outcome = cwola("export", "classifiers", "--output", tmp_path / "changed", "--to", tmp_path / "new")
    assert f"{model} is not the file that the search wrote" in outcome.err
    assert {path.name for path in tmp_path.iterdir()} == {"full", "changed"}
    assert [path.name for path in full.iterdir()] == ["mine.txt"]


def test_counts_covary_with_themselves_as_poisson_counts_do(exported: Exported) -> None:
    """Unweighted data: the variance of a count is the count, and a tighter cut shares all of its events."""
    content = exported.table("covariance_of_the_counts")
    axes = [
        [item.get("value", f"{item.get('low', 0):g}-{item.get('high', 0):g}") for item in one["values"]]
        for one in content["independent_variables"]
    ]
    found = dict(zip(zip(*axes, strict=True), values(content["dependent_variables"][0]), strict=True))
    tight = exported.selection(0, SELECTION)["n_obs"]
    assert found[WINDOW, SELECTION, WINDOW, SELECTION] == tight
    assert found[WINDOW, "inclusive", WINDOW, SELECTION] == tight
    assert (WINDOW, SELECTION, "3900-4300", SELECTION) not in found
