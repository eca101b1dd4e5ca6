"""The settings on the page about the ATLAS papers are those of the presets, and its names exist."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest

from analysis.config import load_config
from analysis.limits.rules import RULES
from docs._ext.configuration import keys
from tests.builders.pages import DOCS

TEXT = (DOCS / "atlas.md").read_text(encoding="utf-8")
STEPS = {"atlas-2020": "## The first search, step by step", "atlas-2025": "## The second search, step by step"}


def steps(preset: str) -> str:
    """The section of a preset, on one line."""
    return " ".join(TEXT.partition(STEPS[preset])[2].partition("\n## ")[0].split())


def settings(preset: str) -> dict[str, Any]:
    """Settings that the section of a preset states, by key."""
    found = re.findall(r"`([a-z_]+\.[a-z_]+) = ([^`]+)`", steps(preset))
    return {key: tomllib.loads(f"value = {value}")["value"] for key, value in found}


def value_of(preset: str, key: str) -> Any:
    """Value in a preset, as TOML has it."""
    section, name = key.split(".")
    found = getattr(getattr(load_config(preset=preset), section), name)
    return list(found) if isinstance(found, tuple) else found


@pytest.mark.parametrize("preset", STEPS)
def test_the_stated_settings_are_those_of_the_preset(preset: str) -> None:
    stated = settings(preset)
    assert len(stated) >= 12
    assert {key: value_of(preset, key) for key in stated} == stated


@pytest.mark.parametrize("preset", STEPS)
def test_settings_of_ours_are_marked(preset: str) -> None:
    """As the comments in the file of the preset mark them."""
    lines = (DOCS.parent / "analysis" / "presets" / f"{preset}.toml").read_text(encoding="utf-8").splitlines()
    ours = {line.split(" = ")[0] for line in lines if re.search(r"#.*\bours\b", line) and " = " in line}
    marked = set(re.findall(r"`([a-z_]+\.[a-z_]+) = [^`]+`†", steps(preset)))
    assert marked == {key for key in settings(preset) if key.split(".")[1] in ours}


def test_every_setting_of_the_words_exists() -> None:
    """Keys with their section; the others in a row are of the same section."""
    table = TEXT.partition("## The words")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:selection|scan|learning|background|statistics|validation|limits)\.[a-z_]+)", table))
    assert len(named) > 15
    assert named <= {*keys(), "learning.classifier"}
    assert {"atlas-2020", "atlas-2025", "inclusive"} <= RULES.keys()
