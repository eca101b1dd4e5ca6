"""Files are whole or as before, also if the process is killed while it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.core.atomic import remnants, replacing_file

KILLED = """
import json, os, resource, signal, sys
from functools import partial
from pathlib import Path

import awkward as ak
import hist
import numpy as np
import pyarrow as pa
from matplotlib import rcParams
from matplotlib.figure import Figure

from analysis.demo import DEMO, _copy
from analysis.export.event_list import write_events
from analysis.plots.drawing import save_figure
from analysis.results import ResultsFolder
from analysis.results.files import write_json, write_spectrum, write_text
from processors.files.convert import _write as write_converted
from processors.simulate.blocks import CrossSection, _write as write_block
from processors.simulate.jets import JET_FIELDS

folder = Path(sys.argv[1])
rcParams["savefig.dpi"] = 100
figure = Figure()
figure.subplots().plot([1, 2])
events = pa.table({"run": np.arange(100), "luminosity_block": np.arange(100), "event": np.arange(100)})
jets = ak.Array({name: [[1.0] * 100] for name in JET_FIELDS})
results = ResultsFolder(folder / "results", create=True)
columns = {"x": np.arange(100.0)}
WRITERS = {
    "figure.pdf": lambda path: save_figure(figure, path.parent, "figure", ["pdf"]),
    "figure.png": lambda path: save_figure(figure, path.parent, "figure", ["png"]),
    "results/report.html": lambda path: results.save_report("text" * 1000),
    "document.json": lambda path: write_json(path, list(range(1000))),
    "spectrum.json": lambda path: write_spectrum(path, hist.Hist.new.Reg(100, 0, 1).Weight()),
    "table.csv": lambda path: write_text(path, "1,2" * 1000),
    "events.csv": partial(write_events, events),
    "events.txt": partial(write_events, events),
    "events.parquet": partial(write_events, events),
    "block.npz": lambda path: write_block(path, jets, CrossSection(1.0, 1.0), "stamp"),
    "converted.root": lambda path: write_converted(path, iter([columns]), 100),
    "copy.root": lambda path: _copy(next(DEMO.glob("*.root")), path),
}
found = {}
for name, write in WRITERS.items():
    path = folder / name
    path.write_text("as before")
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300, 300))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        write(path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    before = path.read_text() == "as before"
    left = sorted(one.name for one in path.parent.glob(".*.tmp"))
    write(path)
    found[name] = {
        "signal": os.WTERMSIG(status) == signal.SIGXFSZ,
        "as before": before,
        "a remnant": len(left) == 1,
        "written later": path.stat().st_size > 300,
        "no remnant": not list(path.parent.glob(".*.tmp")),
    }
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bool]]:
    """Each writer is killed by the system as its file grows, then writes again."""
    command = [sys.executable, "-c", KILLED, str(tmp_path_factory.mktemp("killed"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, bool]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    "name",
    [
        *("figure.pdf", "figure.png", "results/report.html", "document.json", "spectrum.json", "table.csv"),
        *("events.csv", "events.txt", "events.parquet", "block.npz", "converted.root", "copy.root"),
    ],
)
def test_a_killed_writer_leaves_the_file_as_it_was(killed: dict[str, dict[str, bool]], name: str) -> None:
    checks = ("signal", "as before", "a remnant", "written later", "no remnant")
    assert killed[name] == dict.fromkeys(checks, True)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (f".file.{2**22 + 1}-0a.tmp", True),
        (f".file.{os.getpid()}-0a.tmp", False),
        (".file.x-0a.tmp", False),
        (".file.tmp", False),
        ("file", False),
    ],
    ids=["ended", "running", "no process", "short", "the file"],
)
def test_only_files_of_ended_processes_are_remnants(tmp_path: Path, name: str, *, expected: bool) -> None:
    (tmp_path / name).touch()
    assert remnants(tmp_path / "file") == [tmp_path / name] * expected


def test_an_error_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("as before")
    with pytest.raises(ZeroDivisionError), replacing_file(path) as temporary:
        temporary.write_text(str(1 / (temporary.write_text("partly") - 6)))
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "as before"
