"""`cwola limit`, `cwola inject` and `cwola plot` draw what was found of injected signals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis import cli
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough

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


@pytest.fixture(scope="module")
def output(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder with events and a signal sample, which nobody has searched."""
    folder = tmp_path_factory.mktemp("limits")
    document = json.loads(toy.datasets.read_text())
    document["qcd"]["files"] = {str(toy.folder / "qcd_*.root"): "Events"}
    metadata = {"kind": "signal", "format": "nanoaod", "masses": {"A": 3500, "B": 400, "C": 150}}
    document["bump"] = {"files": {str(toy.folder / "bump.root"): "Events"}, "metadata": metadata}
    (folder / "datasets.json").write_text(json.dumps(document))
    config = toy.configured("limits", LIMITS, figures=("limits_signals", "efficiency", "map", "sensitivity"))
    options = ["--config", str(config), "--output", str(folder / "results"), "--jobs", "1"]
    cli.cli.main(["process", "--datasets", str(folder / "datasets.json"), *options], standalone_mode=False)
    return folder / "results"


def test_figures_are_drawn_with_the_results_and_again(cwola: Cwola, toy: ToySearch, output: Path) -> None:
    options = ["--config", toy.folder / "limits.toml", "--output", output, "--jobs", 1]
    limits = {"limits_signals_atlas-2020.png", "limits_signals_atlas-2025.png", "efficiency_bump.png"}
    limits |= {f"map_bump_eff_{efficiency}.png" for efficiency in (0.1, 0.03)}
    plots = output / "plots"

    assert cwola("limit", *options).code == 0
    assert {path.name for path in plots.iterdir()} == limits
    assert cwola("inject", *options).code == 0
    drawn = {path.name: path.read_bytes() for path in plots.iterdir()}
    assert set(drawn) == {*limits, "sensitivity_bump.png"}

    for path in plots.iterdir():
        path.unlink()
    (plots / "map_gone_eff_0.1.png").touch()
    outcome = cwola("plot", *options)
    assert outcome.code == 0, outcome.err
    assert {path.name: path.read_bytes() for path in plots.iterdir()} == drawn
    document = json.loads((output / "limits.json").read_text())
    assert {one["level"] for one in document["limits"]} == {0.05}
    (curve,) = [one for one in document["sensitivity"][0]["curves"] if one["selection"] == "inclusive"]
    assert curve["z_with_signal"][0] > curve["z_without_signal"][0]
