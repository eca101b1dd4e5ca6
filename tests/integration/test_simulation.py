"""Simulated background on its way from the datasets file to the method that needs it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.learning import Samples, TrainingSet
from analysis.methods import METHODS, CWoLa, FromContrast
from tests.builders.toy_search import Cwola, ToySearch

pytestmark = pytest.mark.thorough


@dataclass(frozen=True)
class Recorder(FromContrast):
    """CWoLa that asks for simulation and keeps what it gets."""

    name: str = "recorder"
    uses_truth: bool = False
    needs_simulation: bool = True
    given: list[Samples] = field(default_factory=list)

    def contrast(self, samples: Samples, window: Any, features: Any, *, random_state: Any) -> TrainingSet:
        self.given.append(samples)
        return CWoLa().contrast(samples, window, features, random_state=random_state)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    method = Recorder()
    monkeypatch.setitem(METHODS, "recorder", method)
    return method


def configured(toy: ToySearch) -> Path:
    text = toy.config.read_text()
    assert "[learning]\n" in text
    path = toy.folder / "recorder.toml"
    only_scan = "\n[validation]\nin_run = []\n"
    path.write_text(text.replace("[learning]\n", '[learning]\nmethod = "recorder"\n') + only_scan)
    return path


def with_background(toy: ToySearch, **metadata: Any) -> Path:
    document = json.loads(toy.datasets.read_text())
    document["mc"] = {
        "files": {"qcd_1.root": "Events"},
        "metadata": {"kind": "background", "format": "nanoaod", "n_generated": 10_000, **metadata},
    }
    path = toy.folder / "datasets_with_background.json"
    path.write_text(json.dumps(document))
    return path


def test_simulation_arrives_normalised_and_only_that_of_the_training_folds(
    cwola: Cwola, toy: ToySearch, recorder: Recorder, tmp_path: Path
) -> None:
    datasets, output = with_background(toy, xsec_pb=0.02, lumi_ifb=30.0), tmp_path / "out"
    options = ["--datasets", datasets, "--config", configured(toy), "--output", output, "--jobs", 1]
    assert cwola("run", *options).code == 0
    n_folds = json.loads((output / "config.json").read_text())["learning"]["n_folds"]
    assert len(recorder.given) % n_folds == 0
    first = recorder.given[:n_folds]
    tables = [samples.require_simulation() for samples in first]
    events = [set(table.event_id.tolist()) for table in tables]
    everything = set.union(*events)
    assert 4000 < len(everything) <= 5000
    assert sum(len(everything - one) for one in events) == len(everything)  # each is left out once
    assert not everything & set(first[0].data.event_id.tolist())
    # 1000 x 0.02 pb x 30 / fb over 10,000 generated
    np.testing.assert_allclose(tables[0].weight, 0.06)
    n_calls = len(recorder.given)
    assert cwola("run", *options).code == 0
    assert len(recorder.given) == n_calls
    # Another luminosity of the simulation is another result.
    with_background(toy, xsec_pb=0.02, lumi_ifb=60.0)
    assert cwola("run", *options).code == 0
    np.testing.assert_allclose(recorder.given[-1].require_simulation().weight, 0.12)


def test_without_background_the_method_is_refused(
    cwola: Cwola, toy: ToySearch, recorder: Recorder, tmp_path: Path
) -> None:
    options = ["--datasets", toy.datasets, "--config", configured(toy), "--output", tmp_path / "out", "--jobs", 1]
    outcome = cwola("run", *options)
    assert outcome.code != 0
    assert "method recorder needs datasets of kind background, and there are none" in outcome.err
    assert not recorder.given
