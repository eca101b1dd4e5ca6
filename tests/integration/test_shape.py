"""`statistics.model = "shape"`: signals by their shape beside the counts, through the command line and the export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyhf
import pytest
from pyhf.infer import hypotest

from analysis import cli
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough


def run(*arguments: object) -> None:
    cli.cli.main(list(map(str, arguments)), standalone_mode=False)


@pytest.fixture(scope="module")
def searched(limits: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder scanned by counts, then again by shape."""
    folder = tmp_path_factory.mktemp("shape")
    text = limits.config.read_text().replace("[statistics]", '[statistics]\nmodel = "counting"')
    assert "model" in text
    output = folder / "results"
    for model in ("counting", "shape"):
        path = folder / f"{model}.toml"
        path.write_text(text.replace('model = "counting"', f'model = "{model}"'))
        if model == "counting":
            run("process", "--datasets", limits.datasets, "--config", path, "--output", output, "--jobs", 1)
        run("scan", "--config", path, "--output", output, "--jobs", 1)
        (folder / f"{model}.json").write_text((output / "results.json").read_text())
        windows = sorted((output / "windows").rglob("*.json"))
        (folder / f"{model}.times").write_text(
            str([path.stat().st_mtime_ns for path in windows if path.stem != "window"])
        )
    return output


def selections(searched: Path, name: str) -> list[dict[str, Any]]:
    (signal,) = json.loads((searched.parent / f"{name}.json").read_text())["signals"]
    return list(signal["selections"])


def test_the_counts_stay_as_they_are_and_no_window_is_searched_again(searched: Path) -> None:
    counted, by_shape = selections(searched, "counting"), selections(searched, "shape")
    assert [one["limit"] for one in counted] == [one["limit"] for one in by_shape]
    assert not any("shape" in one for one in counted)
    assert all(one["shape"]["reason"] is None for one in by_shape)
    times = [(searched.parent / f"{name}.times").read_text() for name in ("counting", "shape")]
    assert times[0] == times[1]


def test_shapes_expect_better_limits_than_counts(searched: Path) -> None:
    """The classifiers of the toy reject the signal, which the bins of the failing events show all the same."""
    found = selections(searched, "shape")
    inclusive = found[0]["shape"]["limit"]["expected_strength"][2]
    assert 0.5 < inclusive / found[0]["limit"]["expected_strength"][2] < 1.0
    for one in found:
        assert one["shape"]["limit"]["expected_strength"][2] < min(2 * inclusive, one["limit"]["expected_strength"][2])
        assert one["shape"]["n_bins"] > 10
        groups = [group["name"] for group in one["shape"]["impacts"]["expected"]["groups"]]
        assert groups[0] == "statistical"
        assert {"background fit", "simulated events"} < set(groups)


def test_limits_follow_from_the_exported_workspaces(searched: Path, tmp_path: Path) -> None:
    run("export", "pyhf", "--output", searched, "--to", tmp_path / "pyhf")
    one = selections(searched, "shape")[1]
    low, high = one["window"]
    place = tmp_path / "pyhf" / f"{low:g}-{high:g}_{one['selection']}_shape"
    patches = pyhf.PatchSet(json.loads((place / "patchset.json").read_text()))
    background = json.loads((place / "BkgOnly.json").read_text())
    assert pyhf.Workspace(background).model().config.poi_index is None
    workspace = patches.apply(background, (3500, 400, 150))
    notes, model = patches[3500, 400, 150].metadata, workspace.model()
    assert len(workspace.data(model, include_auxdata=False)) == one["shape"]["n_bins"]
    limit, data = one["shape"]["limit"], workspace.data(model)
    for unit in ("strength", "events"):
        mu = limit[f"observed_{unit}"] / notes[f"{unit}_per_mu"]
        assert float(hypotest(mu, data, model)) == pytest.approx(0.05, rel=0.005)
    mu = limit["expected_strength"][2] / notes["strength_per_mu"]
    assert float(hypotest(mu, data, model, return_expected=True)[1]) == pytest.approx(0.05, rel=0.005)


def test_patch_sets_say_what_must_not_be_combined(searched: Path, tmp_path: Path) -> None:
    """Selections of a window share events; the windows of this search lie apart, and share sidebands."""
    run("export", "pyhf", "--output", searched, "--to", tmp_path / "pyhf")
    patches = json.loads((tmp_path / "pyhf" / "3300-3700_eff_0.1" / "patchset.json").read_text())
    notes = patches["metadata"]
    assert notes["window_gev"] == [3300.0, 3700.0]
    assert set(notes["shares_events_with"]) == {"3300-3700_inclusive", "3300-3700_eff_0.03"}
    others = {"3900-4300_inclusive", "3900-4300_eff_0.1", "3900-4300_eff_0.03"}
    assert set(notes["shares_sidebands_with"]) == others
    assert "must not be combined" in notes["combination"]


def test_the_terminal_shows_both(searched: Path, cwola: Cwola) -> None:
    outcome = cwola("impacts", "--output", searched)
    assert outcome.code == 0
    assert "by shape in all bins of the fit" in outcome.out
    assert "Expected uncertainty of μ: statistical" in outcome.out
