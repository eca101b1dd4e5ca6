"""Any names of datasets and systematics: all files stay in the results folder, and nothing is mixed up or lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.core.quoting import quoted
from analysis.results import ResultsFolder
from tests.builders.toy_search import Cwola, ToySearch

SIGNALS = [
    *("../escaped", "/WprimeTo4q_M3500/NANOAODSIM", "..", "", "point", "POINT", "signals.json"),
    *("W[3500] $\\frac{$ [/]", "é" * 100 + "x" * 200, "a\\b:c*?"),
]
OBSERVED, LONG = "/JetHT/../Run2018", "scale" * 60

CONFIG = f"""
[scan]
windows = [[3300, 3700]]
[learning]
n_folds = 2
efficiencies = [0.1]
classifier = {{n_estimators = 5}}
[background]
functions = ["dijet3"]
[statistics]
pseudo_experiments = 0
calculator = "asymptotics"
[validation]
in_run = []
[plots]
formats = ["png"]
only = ["impacts_%*", "impacts_W*"]
[[systematics]]
name = "{LONG}"
kind = "jet-mass-scale"
value = 0.1
datasets = ["", "../escaped"]
"""


def test_names_of_any_kind_stay_inside_the_folder_and_apart(cwola: Cwola, limits: ToySearch, tmp_path: Path) -> None:
    document = json.loads(limits.datasets.read_text())
    point, observed = document["point"], document["qcd"]
    for i, name in enumerate(SIGNALS):
        document[name] = {**point, "metadata": {**point["metadata"], "xsec_pb": 0.01 * (i + 1)}}
    document = {OBSERVED: observed} | {name: document[name] for name in SIGNALS}
    (tmp_path / "datasets.json").write_text(json.dumps(document))
    (tmp_path / "search.toml").write_text(CONFIG)
    output = tmp_path / "made" / "results"
    options = ["--config", tmp_path / "search.toml", "--output", output, "--jobs", 1]
    outcome = cwola("run", "--datasets", tmp_path / "datasets.json", *options)
    assert outcome.code == 0, outcome.err
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("datasets.json", "search.toml")] == ["made"]
    assert [path.name for path in (tmp_path / "made").iterdir()] == ["results"]

    folder = ResultsFolder(output)
    results = folder.load_results()[0]
    assert [signal.dataset for signal in results.signals] == SIGNALS
    spectra = folder.load_signal_spectra()
    assert set(spectra) == set(SIGNALS)
    scales = []
    for signal in results.signals:
        (found,) = [one for one in signal.yields if one.selection == "inclusive"]
        scales.append(found.events / results.signals[0].yields[0].events)
        workspace = folder.load_signal_workspace(signal.dataset, "3300-3700_inclusive")
        names = {modifier["name"] for sample in workspace["channels"][0]["samples"] for modifier in sample["modifiers"]}
        assert (LONG in names) == (signal.dataset in ("", "../escaped"))
    assert scales == pytest.approx([i + 1 for i in range(len(SIGNALS))])
    drawn = {path.name for path in folder.plots.iterdir()}
    assert drawn == {f"impacts_{quoted(name)}.png" for name in SIGNALS if quoted(name)[0] in "%W"}
