"""A small search on toy NanoAOD files, run through the command line in this process."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis import cli
from analysis.core.plugins import unload_plugins
from tests.builders.toy_search import (
    LIMITS,
    N_GENERATED,
    Cwola,
    Outcome,
    ToySearch,
    make_toy,
    signal_event,
)
from tests.builders.toys import write_nanoaod


@pytest.fixture
def cwola(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cwola:
    """Call the command line as the console script does, which starts without plugins."""

    def call(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["cwola", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "120")
        monkeypatch.setenv("PYTHONSAFEPATH", "1")  # as the command sets them, until the end of the test
        monkeypatch.setenv("MPLBACKEND", "agg")
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        finally:
            unload_plugins()
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> ToySearch:
    return make_toy(tmp_path_factory.mktemp("toy"), [5000, 4000])


@pytest.fixture(scope="session")
def limits(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> ToySearch:
    """The toy search with a signal sample and settings for its limits."""
    folder = tmp_path_factory.mktemp("limits")
    rng = np.random.default_rng(3)
    events = [signal_event(rng.normal(3500, 80), rng) for _ in range(N_GENERATED)]
    write_nanoaod(folder / "point.root", events, run=17)
    document = json.loads(toy.datasets.read_text())
    document["qcd"]["files"] = {str(toy.folder / "qcd_*.root"): "Events"}
    del document["bump"]
    masses = {"A": 3500.0, "B": 400.0, "C": 150.0}
    common = {"kind": "signal", "format": "nanoaod", "masses": masses, "n_generated": N_GENERATED}
    document["point"] = {
        "files": {str(folder / "point.root"): "Events"},
        "metadata": common | {"xsec_pb": 0.01, "lumi_ifb": 20.0},
    }
    (folder / "datasets.json").write_text(json.dumps(document))
    (folder / "search.toml").write_text(toy.config.read_text() + LIMITS)
    return ToySearch(folder)


@pytest.fixture(scope="session")
def finished(toy: ToySearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results folder of the toy search, made once; do not change it."""
    output = tmp_path_factory.mktemp("finished") / "results"
    cli.cli.main(["run", *map(str, toy.options(output))], standalone_mode=False)
    return output
