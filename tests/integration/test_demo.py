"""The packaged demo: what it is, and that `cwola run` finds its signal, and nothing without it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from analysis.config import load_config
from analysis.demo import DEMO
from analysis.events.datasets import load_datasets
from analysis.regions import smooth_edge
from processors.simulate import read_provenance
from processors.simulate.demo import hidden_signal, qcd, samples
from tests.builders.toy_search import Cwola

LUMI_IFB = 33.26


def windows(output: Path) -> dict[str, dict[str, dict[str, Any]]]:
    document = json.loads((output / "results.json").read_text())
    return {
        "{:g}-{:g}".format(*window["signal"]): {one["name"]: one for one in window["selections"]}
        for window in document["windows"]
    }


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from analysis.demo import copy_demo

    folder = tmp_path_factory.mktemp("demo") / "copy"
    copy_demo(folder)
    return folder


@pytest.mark.thorough
def test_one_command_finds_the_hidden_signal_and_nothing_without_it(cwola: Cwola, copy: Path) -> None:
    config = copy / "few.toml"  # tests/packaging runs the demo with its figures and signal-free samples
    few = '[validation]\nin_run = []\n\n[plots]\nformats = ["png"]\nonly = ["scan"]\n'
    scan = "[scan]\nwindows = [[3300.0, 3700.0], [3500.0, 3900.0], [4100.0, 4500.0]]\n"
    config.write_text((copy / "search.toml").read_text().replace("[scan]\n", scan) + f"\n{few}")
    options = ["--datasets", copy / "datasets.json", "--config", config, "--jobs", 2]
    assert cwola("run", *options, "--output", copy / "results").code == 0
    found = windows(copy / "results")
    peak = found["3300-3700"]
    assert abs(peak["inclusive"]["z"]) < 2
    tight = [peak[name]["z"] for name in ("eff_0.1", "eff_0.05", "eff_0.02", "eff_0.01")]
    assert min(tight) > peak["inclusive"]["z"]
    assert max(tight) > 5
    assert (copy / "results" / "plots" / "scan.png").exists()
    scan = ["scan", "--config", config, "--output", copy / "results", "--jobs", 2]
    assert cwola(*scan, "--exclude", "hidden_signal").code == 0
    assert all(abs(one["z"]) < 3 for window in windows(copy / "results").values() for one in window.values())


def test_the_copy_is_kept_and_what_is_not_ours_is_not_overwritten(cwola: Cwola, tmp_path: Path) -> None:
    folder = tmp_path / "a b"
    made = cwola("demo", folder)
    assert made.code == 0
    assert f"cd '{folder}' && cwola run" in made.out
    assert cwola("demo", folder).code == 0
    assert {path.name for path in folder.iterdir()} == {
        *(path.name for path in DEMO.glob("*.root")),
        "datasets.json",
        "search.toml",
    }
    (folder / "search.toml").write_text("random_state = 7\n")
    refused = cwola("demo", folder)
    assert refused.code == 1
    assert refused.err.startswith("error: ")
    assert str(folder / "search.toml") in refused.err
    assert (folder / "search.toml").read_text() == "random_state = 7\n"


def test_a_full_disk_leaves_no_half_copy(cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def copyfile(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("analysis.demo.shutil.copyfile", copyfile)
    outcome = cwola("demo", tmp_path / "demo")
    assert outcome.code == 1
    assert "No space left on device" in outcome.err
    assert not list((tmp_path / "demo").iterdir())


def test_the_demo_is_small_and_what_its_recipe_says() -> None:
    assert sum(path.stat().st_size for path in DEMO.iterdir() if path.is_file()) < 8e6
    datasets = load_datasets(DEMO / "datasets.json")
    recipe = {"qcd": ("pseudodata", qcd())} | samples(LUMI_IFB)
    assert list(datasets) == list(recipe)
    for name, (kind, settings) in recipe.items():
        provenance = read_provenance(DEMO / f"{name}.root")
        assert provenance is not None
        assert type(settings).model_validate(provenance["settings"]) == settings
        assert datasets[name].kind == kind
    made = read_provenance(DEMO / "qcd.root")
    assert made is not None
    assert datasets["qcd_alternative"].lumi_ifb == pytest.approx(100_000 / made["xsec_pb"] / 1000, abs=0.005)


def test_the_scan_starts_where_the_demo_is_smooth() -> None:
    datasets, scan = load_datasets(DEMO / "datasets.json"), load_config(preset="demo").scan
    assert datasets["qcd"].pt_hat_min == qcd().pt_hat_min
    assert min(scan.fit_range[0], scan.first - scan.sideband_width) >= smooth_edge(qcd().pt_hat_min)


def test_the_numbers_of_the_demo_are_rounded_and_physical() -> None:
    with uproot.open(DEMO / "qcd.root") as file:
        jets = file["Events"].arrays(filter_name="FatJet_*", library="np")
    assert all(len(jet) == 2 for jet in jets["FatJet_pt"])
    for name, values in jets.items():
        flat = np.concatenate(values)
        assert flat.dtype == np.float32
        assert not (flat.view(np.uint32) & np.uint32(2**13 - 1)).any(), name
        assert np.isfinite(flat).all()
    assert np.concatenate(jets["FatJet_pt"]).min() > 150 * (1 - 2**-10)


@pytest.mark.thorough
def test_the_hidden_signal_can_be_drawn_again(tmp_path: Path) -> None:
    pytest.importorskip("pythia8mc", reason="needs the extra `simulate`")
    pytest.importorskip("fastjet", reason="needs the extra `simulate`")
    from analysis.compute import Serial
    from processors.simulate import simulate

    packaged = read_provenance(DEMO / "hidden_signal.root")
    assert packaged is not None
    again = simulate(hidden_signal(LUMI_IFB), tmp_path / "again.root", Serial())
    made = read_provenance(again)
    assert made is not None
    if made["versions"] != packaged["versions"]:
        pytest.skip(f"the demo was made with {packaged['versions']}, here are {made['versions']}")
    with uproot.open(again) as new, uproot.open(DEMO / "hidden_signal.root") as old:
        assert new["Events"].arrays().to_list() == old["Events"].arrays().to_list()


def test_the_repository_lists_the_packaged_files() -> None:
    top = Path(__file__).parents[2] / "datasets.json"
    here = load_datasets(DEMO / "datasets.json")
    document = json.loads(top.read_text())
    assert list(document) == list(here)
    for name, entry in document.items():
        files = [os.path.relpath(path, DEMO) for path, _ in here[name].files]
        assert [Path(path).relative_to("analysis/demo").as_posix() for path in entry["files"]] == files
    packaged = json.loads((DEMO / "datasets.json").read_text())
    assert {name: entry["metadata"] for name, entry in document.items()} == {
        name: entry["metadata"] for name, entry in packaged.items()
    }
