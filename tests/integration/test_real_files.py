"""The search on the Pythia NanoAOD and Delphes samples, whose truth is known."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.builders.toy_search import Cwola

pytestmark = pytest.mark.thorough

Find = Callable[[str], Path]

REPOSITORY = Path(__file__).parents[2]

LIGHT = """
[learning]
n_members = 3
efficiencies = [0.1, 0.02]
"""


PYTHIA = {
    "qcd": {
        "files": {"pythia/qcd_[ab].root": "Events"},
        "metadata": {"kind": "pseudodata", "format": "nanoaod", "pt_hat_min": 1200},
    },
    "wprime": {
        "files": {"pythia/wprime_3500_500_100.root": "Events"},
        "metadata": {"kind": "pseudodata", "format": "nanoaod", "masses": {"A": 3500}, "max_entries": 600},
    },
}


def relocated(document: dict[str, Any], data: Find, folder: Path) -> Path:
    """A datasets file whose paths point to where the data are."""
    text = copy.deepcopy(document)
    for dataset in text.values():
        files = {}
        for path, tree in dataset["files"].items():
            sample = Path(path).parent.name
            files[str(data(sample) / Path(path).name)] = tree
        dataset["files"] = files
    path = folder / "datasets.json"
    path.write_text(json.dumps(text))
    return path


def windows(output: Path) -> dict[str, dict[str, dict[str, Any]]]:
    document = json.loads((output / "results.json").read_text())
    return {
        "{:g}-{:g}".format(*window["signal"]): {one["name"]: one for one in window["selections"]}
        for window in document["windows"]
    }


def test_pythia_signal_is_found_where_it_is_and_nothing_is_found_without_it(
    cwola: Cwola, data: Find, tmp_path: Path
) -> None:
    # 600 generated W'(3500) events leave about 320 in 3.3-3.7 TeV on 16k QCD events: 2.5 times their Poisson error, and
    # less than the error of a five-parameter background at the edge of the spectrum.
    config = tmp_path / "light.toml"
    config.write_text(LIGHT)
    output, options = tmp_path / "results", ["--config", config, "--jobs", 2, "--output", tmp_path / "results"]
    datasets = relocated(PYTHIA, data, tmp_path)
    assert cwola("process", *options, "--datasets", datasets).code == 0
    assert cwola("scan", *options).code == 0
    found = windows(output)
    assert len(found) >= 4
    peak = found["3300-3700"]
    assert 0 < peak["inclusive"]["z"] < 2
    assert 2.2 < peak["inclusive"]["s_over_sqrt_b"] < 2.8
    assert max(peak[name]["z"] for name in ("eff_0.1", "eff_0.02")) > 5
    assert max(abs(one["efficiency"] - one["efficiency_achieved"]) for one in peak.values()) < 1e-3
    assert cwola("scan", *options, "--exclude", "wprime").code == 0
    assert all(abs(one["z"]) < 3 for window in windows(output).values() for one in window.values())


def test_delphes_files_go_through_the_same_chain(cwola: Cwola, data: Find, tmp_path: Path) -> None:
    example = REPOSITORY / "docs" / "examples" / "delphes"
    output, config = tmp_path / "delphes", tmp_path / "config.toml"
    light = (example / "config.toml").read_text().replace("last = 4000.0", "last = 3400.0")
    config.write_text(f'{light}n_members = 2\n\n[plots]\nformats = ["pdf"]\nonly = ["scan"]\n')
    datasets = relocated(json.loads((example / "datasets.json").read_text()), data, tmp_path)
    outcome = cwola("run", "--datasets", datasets, "--config", config, "--output", output, "--jobs", 2)
    assert outcome.code == 0
    found = windows(output)
    assert len(found) == 2
    for window in found.values():
        for selection in window.values():
            assert selection["background"] > 0
            assert selection["limit"]["expected_events"] == sorted(selection["limit"]["expected_events"])
    assert (output / "plots" / "scan.pdf").exists()
