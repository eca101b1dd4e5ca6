"""The workflow of `packaging/`, run by Snakemake: the demo with the numbers of `cwola run`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.servers

pytest.importorskip("snakemake", reason="needs snakemake: .ci/servers installs it")

ROOT = Path(__file__).parents[3]
SNAKEFILE = ROOT / "packaging" / "workflows" / "Snakefile"
STORED = ROOT / "tests" / "packaging" / "demo.json"


def test_the_workflow_runs_and_has_nothing_left_to_do(tmp_path: Path) -> None:
    binaries = Path(sys.executable).parent
    command = [sys.executable, "-m", "snakemake", "-s", SNAKEFILE, "--cores", "2", "-d", tmp_path]
    environment = {**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results" / "results.json").read_text())["windows"]
    stored = json.loads(STORED.read_text())["windows"]
    assert len(found) == len(stored) == 5
    for window in found:
        expected = stored["{:g}-{:g}".format(*window["signal"])]
        z = {selection["name"]: selection["z"] for selection in window["selections"]}
        assert z == pytest.approx({name: numbers["z"] for name, numbers in expected.items()}, rel=1e-6)
    assert (tmp_path / "results" / "report.html").stat().st_size > 100_000
    again = subprocess.run([*command, "-n"], env=environment, capture_output=True, text=True, check=False)
    assert "Nothing to be done" in again.stdout + again.stderr
