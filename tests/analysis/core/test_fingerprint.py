"""What a result depends on: every part that is named counts, and so does all code that its modules import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from analysis.config import SearchConfig
from analysis.core import code_digest as code
from analysis.core.fingerprint import fingerprint

STAGES = [
    "analysis.calibration.searches",
    "analysis.diagnostics.engine",
    "analysis.limits.injection",
    "analysis.search.look_elsewhere",
    "analysis.search.window",
    "analysis.signals.points",
    "analysis.stages.limit",
    "analysis.stages.methods",
    "analysis.stages.performance",
    "analysis.stages.signals",
    "analysis.stages.validation.two_sample",
    "analysis.validation.drift",
    "analysis.validation.run",
    "processors.dijet",
    "processors.simulate.blocks",
    "processors.simulate.run",
    "processors.tables.events",
]
"""The modules that the stages name as their code."""

ONE: dict[str, Any] = {"code": ["analysis.errors"]}


FRESH = """
import importlib, os, sys
import coffea.nanoevents, hist, numba, pyhf, scipy.stats, xgboost  # once, since most of the time goes there

for module in sys.argv[1:]:
    if os.fork() == 0:
        importlib.import_module(module)
        print(module, *(name for name in sys.modules if name.split(".")[0] in ("analysis", "processors")), flush=True)
        os._exit(0)
    os.wait()
"""
"""Imports each module in a process that holds no other of this project."""


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """Modules of this project that are imported with each stage."""
    command = [sys.executable, "-W", "ignore", "-c", FRESH, *STAGES]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {stage: set(names) for stage, *names in map(str.split, done.stdout.splitlines())}


@pytest.mark.thorough
@pytest.mark.parametrize("module", STAGES)
def test_no_module_that_a_stage_imports_is_left_out(module: str, imported: dict[str, set[str]]) -> None:
    assert module in imported[module]
    assert imported[module] <= code.import_closure(module)


def test_the_modules_are_those_that_the_stages_name() -> None:
    root, named = Path(code.__file__).parents[2], set()
    for path in (path for package in ("analysis", "processors") for path in (root / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        for listed in re.findall(r"(?:code=|_CODE = )[\[(]([^\])]*)[\])]", text):
            named |= set(re.findall(r'"([\w.]+)"', listed))
            if "__name__" in listed:
                named.add(".".join(path.relative_to(root).with_suffix("").parts))
    assert named == set(STAGES)


@pytest.mark.parametrize(
    ("stage", "deep"),
    [
        ("analysis.search.window", "analysis.background.likelihood"),
        ("analysis.stages.limit", "analysis.statistics.newton"),
        ("analysis.stages.performance", "analysis.learning.protocols"),
        ("processors.dijet", "processors.selection.veto_map"),
    ],
)
def test_a_change_of_a_module_deep_in_the_imports_counts(
    stage: str, deep: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, other = fingerprint(code=[stage]), fingerprint(code=["analysis.errors"])
    find, changed = code._file, tmp_path / "changed.py"
    changed.write_text(find(deep).read_text(encoding="utf-8") + "\nCHANGED = True\n", encoding="utf-8")
    monkeypatch.setattr(code, "_file", lambda name: changed if name == deep else find(name))
    code.code_digest.cache_clear()
    try:
        assert fingerprint(code=[stage]) != before
        assert fingerprint(code=["analysis.errors"]) == other
    finally:
        code.code_digest.cache_clear()


def test_every_part_counts() -> None:
    config, other = SearchConfig(), SearchConfig(learning={"n_folds": 3})
    found = [
        fingerprint(**ONE | part)
        for part in (
            {},
            {"code": ["analysis.errors", "analysis.regions"]},
            {"events": "a"},
            {"config": (config, "learning")},
            {"config": (other, "learning")},
            {"config": (config, "learning", "scan")},
            {"seed": 1},
            {"corrections": {"3300-3700": {"eff_0.1": (0.1, 0.02)}}},
            {"corrections": {"3300-3700": {"eff_0.1": (0.2, 0.02)}}},
            {"upstream": ["a"]},
            {"upstream": ["a", "b"]},
            {"window": "a"},
            {"draw": "a"},
        )
    ]
    assert len(set(found)) == len(found)
    assert fingerprint(**ONE, config=(config, "scan")) == fingerprint(**ONE, config=(other, "scan"))
