"""Names, files and terminals as they are outside: any script, a byte order mark, an output that is not UTF-8."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.builders import toys
from tests.builders.toy_search import Cwola

NAMES = ("tt̄", "josé", "データ", "Ω′→ωω", "a b", "😀")
DATASET = {"metadata": {"kind": "pseudodata", "format": "nanoaod"}}


@pytest.mark.parametrize(("name", "jobs"), [*((name, 1) for name in NAMES), (NAMES[0], 2)])
def test_names_in_any_script_are_processed(cwola: Cwola, tmp_path: Path, name: str, jobs: int) -> None:
    folder = tmp_path / name
    folder.mkdir()
    plain = toys.write_nanoaod(folder / "a.root", [toys.dijet()] * 5, run=1)
    path = plain.rename(folder / f"{name}.root")
    datasets = folder / "datasets.json"
    datasets.write_text(json.dumps({name: {"files": {str(path): "Events"}, **DATASET}}), encoding="utf-8")
    done = cwola("process", "--datasets", datasets, "--output", folder / "results", "--jobs", jobs)
    assert done.code == 0, done.err
    stored = json.loads((folder / "results" / "process.json").read_text(encoding="utf-8"))
    assert {one: record["n_entries"] for one, record in stored["datasets"].items()} == {name: 5}
    assert cwola("inspect", path).code == 0


@pytest.mark.parametrize("mark", ["", "\N{BYTE ORDER MARK}"])
def test_a_byte_order_mark_changes_nothing(cwola: Cwola, tmp_path: Path, mark: str) -> None:
    path = toys.write_nanoaod(tmp_path / "a.root", [toys.dijet()] * 5, run=1)
    texts = {
        "datasets.json": json.dumps({"d": {"files": {str(path): "Events"}, **DATASET}}),
        "search.toml": "random_state = 7\n",
        "search.json": '{"random_state": 7}',
        "spectrum.csv": "low,high,count\n" + "".join(f"{x},{x + 100},{4100 - x}\n" for x in range(3000, 4000, 100)),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(mark + text, encoding="utf-8")
    for config in ("search.toml", "search.json"):
        where = ["--config", tmp_path / config, "--output", tmp_path / "results", "--jobs", 1]
        done = cwola("process", "--datasets", tmp_path / "datasets.json", *where)
        assert done.code == 0, done.err
        assert json.loads((tmp_path / "results" / "config.json").read_text())["random_state"] == 7
    assert cwola("fit", tmp_path / "spectrum.csv", "--window", "3400:3600", "--function", "dijet2").code == 0


@pytest.mark.thorough
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("command", [["fit", "spectrum.csv", "--window", "3400:3600"], ["performance", "--help"]])
def test_any_encoding_of_the_output_will_do(tmp_path: Path, encoding: str, command: list[str]) -> None:
    counts = np.random.default_rng(1).poisson(1000 * np.exp(-np.arange(20) / 6))
    lines = [f"{3000 + 50 * i},{3050 + 50 * i},{count}\n" for i, count in enumerate(counts)]
    (tmp_path / "spectrum.csv").write_text("low,high,count\n" + "".join(lines))
    done = subprocess.run(
        [sys.executable, "-m", "cwola", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    if command[0] == "fit":  # click writes help in UTF-8 where the output claims ASCII, as of an unset locale
        text = "".join(done.stdout.decode(encoding).split())
        assert "?" not in text
        assert {"ascii": "chi2/ndof", "utf-8": "χ²/ndof"}.get(encoding, "chi²/ndof") in text
