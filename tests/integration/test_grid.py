"""`cwola grid`: signals of a grid of masses, from simulation to limits, resumed and extended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import uproot

from analysis.demo import DEMO
from analysis.errors import ConfigError
from analysis.events.dataset import Dataset
from analysis.stages.grid import mass_points, with_signals
from tests.builders.toy_search import Cwola

CONFIG = """
[learning]
n_folds = 2
n_members = 1
efficiencies = [0.1]

[learning.classifier]
n_estimators = 10

[limits]
window = "scan"
strengths = [0.1]
samplings = 1
"""


def test_masses_are_all_combinations() -> None:
    assert mass_points(["4000/4600,200/400,80", "4000,200,80", "5000,1,2"]) == [
        (4000.0, 200.0, 80.0),
        (4000.0, 400.0, 80.0),
        (4600.0, 200.0, 80.0),
        (4600.0, 400.0, 80.0),
        (5000.0, 1.0, 2.0),
    ]


@pytest.mark.parametrize("text", ["4000", "4000,200", "4000,200,x", "4000,,80", "1,2,3,4"])
def test_masses_of_another_form_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected m_A,m_B,m_C"):
        mass_points([text])


def test_signals_of_the_datasets_file_are_left_out_and_names_are_unique() -> None:
    data, old, new = (
        Dataset(name, kind, "nanoaod", ()) for name, kind in (("d", "data"), ("s", "signal"), ("n", "signal"))
    )
    assert with_signals({"d": data, "s": old}, {"n": new}) == {"d": data, "n": new}
    with pytest.raises(ConfigError, match="the dataset d has the name"):
        with_signals({"d": data}, {"d": new})


@pytest.mark.thorough
def test_a_grid_is_limited_resumed_and_extended(cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pythia8mc", reason="needs the extra `simulate`")
    pytest.importorskip("fastjet", reason="needs the extra `simulate`")
    monkeypatch.chdir(tmp_path)
    Path("search.toml").write_text(CONFIG)
    document = {"qcd": json.loads((DEMO / "datasets.json").read_text())["qcd"]}
    document["qcd"]["files"] = {str(DEMO / "qcd.root"): "Events"}
    Path("datasets.json").write_text(json.dumps(document))
    options = ["--process", "a0", "--lumi", 33.26, "--events", 600, "--no-scan", "--config", "search.toml", "--jobs", 1]
    first = cwola("grid", *options, "--masses", "4000,400,200")
    assert first.code == 0, first.err
    assert "a0_4000_400_200" in first.out
    sample = Path("signals/a0_4000_400_200.root")
    made = sample.stat().st_mtime_ns
    injections = {path.name for path in Path("results/injections").iterdir()}
    second = cwola("grid", *options, "--masses", "4000,400/300,200")
    assert second.code == 0, second.err
    assert sample.stat().st_mtime_ns == made
    assert injections < {path.name for path in Path("results/injections").iterdir()}
    limits = json.loads(Path("results/limits.json").read_text())["limits"]
    by_signal = {one["dataset"]: one for one in limits if one["rule"] == "inclusive"}
    assert set(by_signal) == {"a0_4000_400_200", "a0_4000_300_200"}
    assert by_signal["a0_4000_300_200"]["masses"] == {"A": 4000.0, "B": 300.0, "C": 200.0}
    for one in by_signal.values():  # σ = N / (L A): at least the events over the luminosity
        assert one["expected_fb"][2] >= one["expected_selected"][2] / 33.26
    with uproot.open(sample) as one, uproot.open("signals/a0_4000_300_200.root") as other:
        assert one["Events/run"].array()[0] != other["Events/run"].array()[0]


def test_a_grid_without_sense_is_refused_before_anything_is_made(
    cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pythia8mc", reason="needs the extra `simulate`")
    monkeypatch.chdir(tmp_path)
    Path("datasets.json").write_text((DEMO / "datasets.json").read_text())
    outcome = cwola("grid", "--process", "a0", "--lumi", 1, "--masses", "4000,400,200", "--masses", "300,200,200")
    assert outcome.code == 1
    assert "mass_a must lie between" in outcome.err
    assert not Path("signals").exists()
