"""`cwola simulate` from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from fsspec.implementations.memory import MemoryFileSystem

from tests.builders.pages import printed_files
from tests.builders.toy_search import Cwola

pytest.importorskip("pythia8mc", reason="needs the extra `simulate`")
pytest.importorskip("fastjet", reason="needs the extra `simulate`")


def test_a_sample_goes_through_the_selection(cwola: Cwola, tmp_path: Path) -> None:
    sample = tmp_path / "wprime.root"
    options = ["--process", "wprime", "--masses", "3500,500,100", "--events", 120, "--seed", 3, "--jobs", 1]
    outcome = cwola("simulate", *options, "--output", sample)
    assert outcome.code == 0
    assert "120 events" in outcome.out
    datasets = tmp_path / "datasets.json"
    datasets.write_text(
        '{"wprime": {"files": {"wprime.root": "Events"}, "metadata": {"kind": "signal", "format": "nanoaod"}}}'
    )
    processed = cwola("process", "--datasets", datasets, "--output", tmp_path / "results", "--jobs", 1)
    assert processed.code == 0
    assert "120" in processed.out


def test_blocks_are_kept_in_parts_until_the_sample_is_complete(
    cwola: Cwola, tmp_path: Path, memory: MemoryFileSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first attempt fails when all blocks are there, the second reads them; the events are those made locally."""
    options = ["--process", "wprime", "--masses", "3500,500,100", "--events", 30, "--seed", 3, "--jobs", 1]
    sample, local = tmp_path / "sample.root", tmp_path / "local.root"
    with monkeypatch.context() as broken:
        broken.setattr("processors.simulate.run.create_root", None)
        assert cwola("simulate", *options, "--parts", "memory://blocks", "--output", sample).code != 0
    assert memory.find("") == ["/blocks/sample.root.blocks/000000.npz"]
    with monkeypatch.context() as without:
        without.setattr("processors.simulate.blocks.Generator", None)
        assert cwola("simulate", *options, "--parts", "memory://blocks", "--output", sample).code == 0
    assert not memory.find("")
    assert cwola("simulate", *options, "--output", local).code == 0
    with uproot.open(sample) as one, uproot.open(local) as other:
        events = one["Events"].arrays()
        assert len(events) == 30
        assert ak.array_equal(events, other["Events"].arrays())


def test_pseudodata_as_in_the_demo(cwola: Cwola, tmp_path: Path) -> None:
    sample = tmp_path / "hidden.root"
    options = ["--process", "wprime", "--masses", "3500,500,100", "--events", 60, "--jobs", 1, "--jets", 2]
    pseudodata = ["--pseudodata", "--lumi", 30, "--xsec", 0.001, "--mantissa-bits", 10]
    assert cwola("simulate", *options, *pseudodata, "--output", sample).code == 0
    with uproot.open(sample) as file:
        momenta = file["Events"]["FatJet_pt"].array(library="np")
        assert file.file.compression == uproot.LZMA(9)  # as NanoAOD
    assert 8 < len(momenta) < 60  # 30 expected
    assert max(map(len, momenta)) == 2
    assert not any((values.view(np.uint32) & np.uint32(2**13 - 1)).any() for values in momenta)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--masses", "3500"], "mass_b"),
        (["--masses", "3500,500,100", "--pseudodata"], "--lumi"),
        (["--masses", "3500,500,100", "--pseudodata", "--lumi", 1e6, "--events", 50], "Raise n_events"),
    ],
)
def test_what_does_not_fit_is_refused(cwola: Cwola, tmp_path: Path, options: list[object], text: str) -> None:
    output = tmp_path / "sample.root"
    outcome = cwola("simulate", "--process", "wprime", "--jobs", 1, *options, "--output", output)
    assert outcome.code == 1
    assert outcome.err.startswith("error: ")
    assert text in outcome.err
    assert not output.exists()


def test_a_command_file_and_a_detector_make_a_sample(cwola: Cwola, tmp_path: Path) -> None:
    command_file, detector, sample = (tmp_path / name for name in ("four.cmnd", "detector.toml", "four.root"))
    command_file.write_text(printed_files("simulate.md")["four-prong.cmnd"])
    detector.write_text("charged = 0.02\neta_max = 2.5\n")
    options = ["--cmnd", command_file, "--detector", detector, "--events", 40, "--jobs", 1]
    outcome = cwola("simulate", *options, "--output", sample)
    assert outcome.code == 0, outcome.err
    with uproot.open(sample) as file:
        events, made = file["Events"].arrays(["FatJet_eta", "FatJet_mass"]), json.loads(str(file["cwola_simulation"]))
    assert made["settings"]["cmnd"] == command_file.read_text()
    assert made["settings"]["detector"]["eta_max"] == 2.5
    assert 80 < np.median(events["FatJet_mass"][:, 0].to_numpy()) < 500  # of H(400) or Z, and not of quarks


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], "name a process, or give"),
        (["--process", "qcd", "--cmnd", "some.cmnd"], "and not both"),
        (["--cmnd", "missing.cmnd"], "cannot read"),
        (["--process", "qcd", "--detector", "some.toml"], "detector.smear"),
    ],
)
def test_files_of_settings_that_do_not_fit_are_refused(
    cwola: Cwola, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[object], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("some.cmnd").write_text("Top:all = on\n")
    Path("some.toml").write_text("smear = 0.1\n")
    outcome = cwola("simulate", *options, "--jobs", 1, "--output", tmp_path / "sample.root")
    assert outcome.code != 0
    assert text in outcome.err
    assert not (tmp_path / "sample.root").exists()


def test_declusterings_become_counts_of_words(cwola: Cwola, tmp_path: Path) -> None:
    sample, plugin, results = tmp_path / "qcd.root", tmp_path / "lund.py", tmp_path / "results"
    plugin.write_text(printed_files("simulate.md")["lund.py"])
    options = ["--process", "qcd", "--events", 40, "--seed", 3, "--jobs", 1, "--declusterings"]
    assert cwola("simulate", *options, "--output", sample).code == 0
    datasets = tmp_path / "datasets.json"
    datasets.write_text(
        '{"qcd": {"files": {"qcd.root": "Events"}, "metadata": {"kind": "pseudodata", "format": "nanoaod"}}}'
    )
    made = cwola("process", "--datasets", datasets, "--output", results, "--jobs", 1, "--plugin", plugin)
    assert made.code == 0, made.err
    (part,) = (results / "parts").rglob("*.parquet")
    table = pq.read_table(part)
    words = np.array([table[name].to_numpy() for name in table.column_names if name.startswith("lund_")])
    assert len(words) == 25
    assert 8 < words.sum(axis=0).mean() <= 24
    with uproot.open(sample) as file:
        kt = file["Events"].arrays([f"FatJet_lundKt{n}" for n in range(1, 13)])
    assert words.sum(axis=0).max() <= max(sum((kt[name][:, :2] > 0).to_numpy().sum(axis=1) for name in kt.fields))
