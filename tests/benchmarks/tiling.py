"""Searches of many selected events: a million of `write_events`, tiled, and given to one command after the other.

Tiled events have the features and masses of their original and an identity of their own. Every command works in a
process of its own, on one window and with one draw of random samples: its peak memory, and its CPU seconds. The command
`run` makes of the selected events what `cwola run` makes of them, with nothing else on disk; `diagnose` and `plot` need
a scan before them. Memory hardly depends on the number of classifiers, time does. docs/scale.md.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np

from analysis.compute import Serial
from analysis.config import load_config
from analysis.events.dataset import Dataset
from analysis.events.identity import event_hash
from analysis.events.parts import Part, write_part
from analysis.events.table import EventTable
from analysis.results import ResultsFolder
from analysis.search.cells import Binning
from analysis.stages.bump3d import bump3d
from analysis.stages.calibrate import calibrate
from analysis.stages.diagnose import diagnose
from analysis.stages.figures import plot, report
from analysis.stages.inputs import SearchInputs
from analysis.stages.process import process
from analysis.stages.scan import scan
from analysis.stages.validation.drift import measure_drifts
from analysis.stages.validation.two_sample import TwoSampleSettings, compare_templates
from analysis.stages.validation.validate import validate
from tests.benchmarks.processing import write_events
from tests.benchmarks.scale import PRESET, WINDOW, peak_mb

SELECTED = 0.6
"""Fraction of the events of `write_events` that are selected."""


def make_million(folder: Path, members: int) -> None:
    """Select a million events."""
    path = folder / "events.root"
    write_events(path, int(1e6 / SELECTED))
    settings = {"scan": WINDOW, "learning": {"n_members": members}, "validation": {"draws": 1}}
    config = load_config(preset=PRESET, overrides=settings)
    sample = Dataset("sample", "pseudodata", "nanoaod", ((str(path), "Events"),))
    process({"sample": sample}, config, ResultsFolder(folder / "search", create=True), Serial())


def tile(folder: Path, copies: int) -> None:
    """Add copies of the selected events, up to a total number of copies, as parts of the same dataset."""
    search = ResultsFolder(folder / "search")
    record = search.path / "process.json"
    document = json.loads(record.read_text(encoding="utf-8"))
    paths = [Path(str(path)) for path in SearchInputs.load(search).events.part_paths("sample", search)]
    names = [path.name for path in paths]
    for path in [path for path in paths if "_copy" not in path.stem]:
        info, table = Part.open(path).document["info"], EventTable.from_parts([path])
        for copy in range(1, copies):
            target = path.with_name(f"{path.stem}_copy{copy}{path.suffix}")
            if target.name not in names:
                columns = {"event_id": event_hash(table.event_id, copy), "run": table.column("run") + np.uint32(copy)}
                write_part(target, table.replaced(columns), info)
                names.append(target.name)
    document["datasets"]["sample"]["parts"] = names
    record.write_text(json.dumps(document), encoding="utf-8")


def _run(inputs: SearchInputs) -> None:
    """Do what `cwola run` does after the selection."""
    for path in inputs.folder.path.iterdir():
        if path.name not in ("parts", "process.json", "events.json", "config.json", ".lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    validate(inputs, Serial(), sources=inputs.config.validation.in_run)
    scan(inputs, Serial())
    diagnose(inputs, Serial())
    plot(inputs.folder, inputs.config, Serial())
    report(inputs.folder)


COMMANDS: dict[str, Callable[[SearchInputs], object]] = {
    "read": lambda inputs: inputs.fitted,
    "drift": lambda inputs: measure_drifts(inputs, Serial()),
    "validate": lambda inputs: validate(inputs, Serial()),
    "scan": lambda inputs: scan(inputs, Serial()),
    "diagnose": lambda inputs: diagnose(inputs, Serial()),
    "plot": lambda inputs: plot(inputs.folder, inputs.config, Serial()),
    "calibrate": lambda inputs: calibrate(inputs, Serial(), searches=1),
    "twosample": lambda inputs: compare_templates(inputs, Serial(), TwoSampleSettings(trainings=0)),
    "bump3d": lambda inputs: bump3d(inputs, [Binning("tau21_j1", 2), Binning("tau21_j2", 2)], Serial()),
    "run": _run,
}
"""Stages of the commands, in the order in which they find what they need."""


def measure(folder: Path, command: str) -> dict[str, Any]:
    """Execute a command in this process."""
    inputs = SearchInputs.load(folder / "search")
    before, start = peak_mb(), time.process_time()
    COMMANDS[command](inputs)
    return {"cpu_s": time.process_time() - start, "libraries_mb": before, "peak_mb": peak_mb()}


@click.command()
@click.option("--millions", multiple=True, type=int, default=(1, 10), show_default=True, help="Increasing.")
@click.option("--members", default=10, show_default=True, help="Classifiers per fold.")
@click.option("--command", "commands", multiple=True, type=click.Choice(list(COMMANDS)), default=("read", "scan"))
@click.option("--one", nargs=2, hidden=True)
def main(millions: tuple[int, ...], members: int, commands: tuple[str, ...], one: tuple[str, str] | None) -> None:
    """Measure; one JSON line for each number of selected events and command. A million takes 75 MB on disk."""
    if one is not None:
        click.echo(json.dumps(measure(Path(one[0]), one[1])))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_million(folder, members)
        for count in millions:
            tile(folder, count)
            for command in (name for name in COMMANDS if name in commands):
                process_ = [sys.executable, "-m", "tests.benchmarks.tiling", "--one", scratch, command]
                found = json.loads(subprocess.run(process_, check=True, stdout=subprocess.PIPE).stdout)
                rounded = {name: float(f"{value:.4g}") for name, value in found.items()}
                click.echo(json.dumps({"millions": count, "members": members, "command": command, **rounded}))


if __name__ == "__main__":
    main()
