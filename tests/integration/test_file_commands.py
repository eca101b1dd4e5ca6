"""`cwola inspect` and `cwola convert lhco` as they are called."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import uproot

from tests.builders import toys
from tests.builders.toy_search import Cwola


def test_inspect_for_people_and_machines(cwola: Cwola, tmp_path: Path) -> None:
    path = toys.write_delphes(tmp_path / "toy.root", [toys.dijet()] * 3)
    shown = cwola("inspect", path)
    assert shown.code == 0
    for text in (
        "delphes, tree Delphes, 3 events",
        "FatJet (used)",
        "FatJet.Tau[5]",
        "FatJet.SoftDroppedP4[5]",
        "n_gen",
    ):
        assert text in shown.out
    report = json.loads(cwola("inspect", path, "--json").out)
    assert shown.out.rstrip().endswith(json.dumps(report["datasets"], indent=2))
    assert report["collections"] == [{"name": "FatJet", "jets": 6, "mean": 2.0, "two_or_more": 3}]


def test_entry_of_inspect_can_be_pasted(cwola: Cwola, tmp_path: Path) -> None:
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()] * 3, run=1)
    document = tmp_path / "datasets.json"
    document.write_text(json.dumps(json.loads(cwola("inspect", path, "--json").out)["datasets"]))
    assert cwola("process", "--datasets", document, "--output", tmp_path / "results", "--jobs", 1).code == 0


def test_inspect_of_a_file_that_cannot_be_processed(cwola: Cwola, tmp_path: Path) -> None:
    path = toys.write_nanoaod(tmp_path / "toy.root", [toys.dijet()], drop=["luminosityBlock"])
    outcome = cwola("inspect", path)
    assert outcome.code == 1
    assert "luminosity_block" in outcome.out
    assert outcome.err.startswith(f"error: {path}: the branch luminosityBlock is missing")
    outcome = cwola("inspect", path, "--json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["problem"].startswith("the branch luminosityBlock is missing")


@pytest.mark.parametrize("name", ["delphes_truncated_download", "delphes_still_being_written", "nanoaod_zero_events"])
def test_inspect_of_a_file_that_is_none(cwola: Cwola, data: Callable[[str], Path], name: str) -> None:
    path = data(f"edge/{name}.root")
    outcome = cwola("inspect", path)
    assert outcome.code == 1
    assert not outcome.out
    assert outcome.err.startswith(f"error: {path}")
    assert outcome.err.count("\n") == 1


def test_convert(cwola: Cwola, tmp_path: Path) -> None:
    names = ("px", "py", "pz", "m", "tau1", "tau2", "tau3")
    row = dict(zip(names, (800.0, 0.0, 10.0, 90.0, 0.3, 0.2, 0.1), strict=True))
    frame = pd.DataFrame({f"{name}{jet}": [value] * 4 for jet in ("j1", "j2") for name, value in row.items()})
    frame["pxj2"] = [-700.0, -900.0, -700.0, -900.0]
    table = tmp_path / "events.h5"
    frame.assign(truth=[0, 1, 0, 1]).to_hdf(table, key="df")
    output = tmp_path / "events.root"
    outcome = cwola("convert", "lhco", table, "--output", output, "--label-column", "truth")
    assert outcome.code == 0
    assert outcome.out == f"4 events in {output}\n"
    with uproot.open(output) as file:
        assert file["Events/truth_label"].array().tolist() == [0, 1, 0, 1]
        np.testing.assert_allclose(file["Events/FatJet_pt"].array()[1].tolist(), [900, 800])
    failed = cwola("convert", "lhco", table, "--output", tmp_path / "other.root", "--label-column", "signal")
    assert failed.code == 1
    assert failed.err.startswith(f"error: {table}: there is no label column 'signal'")
    assert not (tmp_path / "other.root").exists()
