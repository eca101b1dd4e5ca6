"""A spectrum that no function describes is marked wherever its numbers are shown; one that is described, nowhere."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.builders.toy_search import Cwola, Outcome, ToySearch, background_event
from tests.builders.toys import write_nanoaod

pytestmark = pytest.mark.thorough

FIGURES = ("limits_inclusive", "significance", "significance_3900-4300", "spectrum_3900-4300_inclusive")


@pytest.fixture
def line(toy: ToySearch, tmp_path: Path) -> ToySearch:
    """The toy search with a narrow line, of background that no classifier tells apart, at 4.75 TeV in all sidebands."""
    folder = tmp_path / "line"
    shutil.copytree(toy.folder, folder)
    rng = np.random.default_rng(3)
    events = [background_event(rng.normal(4750, 25), rng) for _ in range(300)]
    write_nanoaod(folder / "qcd_3.root", events, run=9)
    return ToySearch(folder)


def run(cwola: Cwola, search: ToySearch, output: Path) -> Outcome:
    config = search.configured("figures", "", figures=FIGURES)
    outcome = cwola("run", "--datasets", search.datasets, "--config", config, "--output", output, "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert cwola("export", "hepdata", "--output", output, "--to", output / "hepdata").code == 0
    return outcome


def inclusive(output: Path) -> list[dict[str, Any]]:
    windows = json.loads((output / "results.json").read_text())["windows"]
    return [window["selections"][0] for window in windows]


def test_a_line_in_the_sidebands_is_marked_everywhere(cwola: Cwola, line: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    outcome = run(cwola, line, output)
    # Some 60 events are expected in the bin of the line, so that the fits miss by more than ten standard deviations.
    assert all(one["fit"]["p_value"] < 1e-20 for one in inclusive(output))
    assert all(one["fit"]["p_value_method"] == "asymptotics" for one in inclusive(output))
    # A deficit too: the line pulls the fits up.
    deficit = inclusive(output)[1]["z"]
    assert deficit < -2
    assert f"z = {deficit:.1f}!" in outcome.out
    printed = " ".join(outcome.out.split())
    assert "! Bad background fit (p < 0.01)" in printed
    assert "with bad fits taken as good." in printed
    assert "It takes every background fit as good." in printed
    page = (output / "report.html").read_text()
    assert f"−{-deficit:.1f}!" in page
    assert "! Bad background fit (p &lt; 0.01)" in page
    described = set(re.findall(r'alt="([^"]*)"', page))
    assert len(described) >= len(FIGURES)
    assert all("bad" in text for text in described)
    assert "Background, z, p₀ and limits of these are not to be trusted." in yaml_text(output)
    assert cwola("fit", *spectrum(output)).out.count("!") >= 4


def test_good_fits_are_marked_nowhere(cwola: Cwola, toy: ToySearch, tmp_path: Path) -> None:
    output = tmp_path / "results"
    outcome = run(cwola, toy, output)
    assert all(one["fit"]["p_value"] > 0.01 for one in inclusive(output))
    for text in (outcome.out, (output / "report.html").read_text().split('id="glossary"')[0], yaml_text(output)):
        assert not re.search(r"\d!|bad (background )?fit", text, re.IGNORECASE)
    found = cwola("fit", *spectrum(output))
    assert found.code == 0
    assert "!" not in found.out


def spectrum(output: Path) -> list[str]:
    (file,) = (output / "windows").glob("3900-4300*/spectrum.json")
    return [str(file), "--selection", "inclusive", "--window", "3900:4300", "--mask", "3800:4400"]


def yaml_text(output: Path) -> str:
    submission = (output / "hepdata" / "submission" / "submission.yaml").read_text()
    return " ".join(str(part.get("description", "")) for part in yaml.safe_load_all(submission) if part)
