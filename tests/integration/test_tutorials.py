"""The tutorials as the documentation prints them, on toy files under the names of the demo.

`cwola simulate` makes fewer events than printed; everything else is run as it stands.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from analysis.config import load_config
from tests.builders.pages import printed_commands, printed_files
from tests.builders.toy_search import Cwola, Outcome, ToySearch

pytestmark = pytest.mark.thorough

N_SIMULATED = 150


@pytest.fixture
def home(toy: ToySearch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a tutorial is in, with the toy in place of the demo."""
    folder = Path(shutil.copytree(toy.folder, tmp_path / "mine"))
    monkeypatch.chdir(folder)
    return folder


def write_files(page: str) -> dict[str, str]:
    """Write the printed files of a tutorial into the current folder."""
    files = printed_files(f"tutorials/{page}")
    for name, text in files.items():
        Path(name).write_text(text)
    return files


def follow(page: str, cwola: Cwola) -> dict[str, Outcome]:
    """Run the printed commands of a tutorial in order; what they print, by command."""
    found = {}
    for command in printed_commands(f"tutorials/{page}"):
        short = [
            str(N_SIMULATED) if before == "--events" else one
            for before, one in zip(["", *command], command, strict=False)
        ]
        outcome = cwola(*short, *(["--jobs", 1] if command[0] in ("simulate", "limit") else []))
        assert outcome.code == 0, (command, outcome.err)
        found[command[0]] = outcome
    return found


def my_limit(folder: Path) -> str:
    """Run the printed script."""
    script = [sys.executable, "my_limit.py"]
    return subprocess.run(script, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_a_signal_point_gets_limits_and_the_published_classifiers_score_another(home: Path, cwola: Cwola) -> None:
    """Both tutorials, the second on the results of the first."""
    entry = json.loads(write_files("signal-point.md")["my_signal.json"])
    document = json.loads(Path("datasets.json").read_text()) | entry
    Path("datasets.json").write_text(json.dumps(document))
    printed = follow("signal-point.md", cwola)
    assert f"{N_SIMULATED} events" in printed["inspect"].out
    assert "my_signal, eff_0.01, 3500-3900 GeV" in printed["impacts"].out
    limits = json.loads(Path("results/limits.json").read_text())["limits"]
    assert {one["rule"] for one in limits} == {"inclusive", "fixed-efficiency", "atlas-2020", "atlas-2025"}
    assert all(one["reason"] is None for one in limits)
    # N = sigma L A with L = 33.26 / fb and A = selected / generated.
    record = json.loads(Path("results/process.json").read_text())["datasets"]["my_signal"]
    selected = list(record["cutflow"].values())[-1]["events"]
    (inclusive,) = (one for one in limits if one["rule"] == "inclusive")
    assert inclusive["observed_fb"] * 33.26 * selected / N_SIMULATED == pytest.approx(inclusive["observed_selected"])

    files = write_files("limit-on-your-model.md")
    follow("limit-on-your-model.md", cwola)
    Path("my_limit.py").write_text(files["my_limit.py"].replace("GENERATED = 3000", f"GENERATED = {N_SIMULATED}"))
    check_limit(my_limit(home))


def check_limit(printed: str) -> None:
    """The printed line against events counted here, and the published numbers."""
    (window,) = json.loads(Path("results/results.json").read_text())["windows"]
    table = pq.read_table("scored.parquet").to_pandas()
    table = table[(table.mjj >= 3500) & (table.mjj < 3900)]
    limits = {}
    for one in window["selections"]:
        kept = 1.0 if one["name"] == "inclusive" else table[f"pass_3500-3900_{one['name']}"]
        acceptance = float((table.weight * kept).sum()) / N_SIMULATED
        if acceptance > 0:
            limits[one["name"]] = (one["limit"]["expected_events"][2] / (33.26 * acceptance), acceptance, one["limit"])
    best = min(limits, key=lambda name: limits[name][0])
    expected, acceptance, limit = limits[best]
    head, _, observed = printed.removesuffix(" fb\n").rpartition(" ")
    assert head == f"3500-3900_{best}: acceptance x efficiency {acceptance:.4f}, expected {expected:.2f} fb, observed"
    assert float(observed) == pytest.approx(limit["observed_events"] / (33.26 * acceptance), abs=0.005)


def test_the_printed_cluster_gives_the_same_bytes(home: Path, cwola: Cwola, monkeypatch: pytest.MonkeyPatch) -> None:
    write_files("dask-cluster.md")
    monkeypatch.delitem(sys.modules, "my_site", raising=False)
    follow("dask-cluster.md", cwola)
    for name in ("results.json", *(path.relative_to("serial") for path in Path("serial").rglob("*.ubj"))):
        assert (Path("on-dask") / name).read_bytes() == (Path("serial") / name).read_bytes()
    assert len(list(Path("serial").rglob("*.ubj"))) == 2 * 3 * 2  # windows, folds, members of the toy
    monkeypatch.delitem(sys.modules, "my_site", raising=False)


def test_the_printed_overlay_keeps_the_rest_of_the_preset(home: Path, cwola: Cwola) -> None:
    """Four of five folds each choose one of five restarts: 20 classifiers a window (arXiv:2005.02983)."""
    write_files("preset.md")
    mine, preset = load_config(path=Path("published.toml")), load_config(preset="atlas-2020")
    changed = ("windows", "sidebands", "masks", "fit_range")
    same = {name: getattr(preset, name) for name in ("scan", "selection", "statistics")}
    assert mine.model_copy(update=same) == preset
    assert mine.scan.model_copy(update={name: getattr(preset.scan, name) for name in changed}) == preset.scan
    assert mine.selection.model_copy(update={"jet_mass": "trimmed"}) == preset.selection
    follow("preset.md", cwola)
    assert len(list(Path("published/windows/3940-4730/models").glob("*.ubj"))) == 20
    (window,) = json.loads(Path("published/results.json").read_text())["windows"]
    (inclusive, *_) = window["selections"]
    table = pq.read_table(list(Path("published/parts").rglob("*.parquet")))
    inside = (table["mjj"].to_numpy() >= 3940) & (table["mjj"].to_numpy() < 4730)
    searched = np.array(table["rapidity_region"].to_pylist()) == "search"
    assert inclusive["n_obs"] == (inside & searched).sum() > 100
