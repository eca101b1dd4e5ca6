"""A search of many selected events: a million of `write_events`, tiled, and searched as `cwola scan` does.

Tiled events have the features and masses of their original and an identity of their own. Every number of events is
searched in a process of its own, with one window: peak memory, and CPU seconds of the whole scan and of reading the
events. Memory hardly depends on the number of classifiers, time does. docs/scale.md.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
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
from analysis.stages.inputs import SearchInputs
from analysis.stages.process import process
from analysis.stages.scan import scan
from tests.benchmarks.processing import write_events
from tests.benchmarks.scale import PRESET, WINDOW, peak_mb

SELECTED = 0.6
"""Fraction of the events of `write_events` that are selected."""


def make_million(folder: Path, members: int) -> None:
    """Select a million events."""
    path = folder / "events.root"
    write_events(path, int(1e6 / SELECTED))
    config = load_config(preset=PRESET, overrides={"scan": WINDOW, "learning": {"n_members": members}})
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


def search_tiled(folder: Path) -> dict[str, Any]:
    """Search the window of the folder in this process."""
    inputs = SearchInputs.load(folder / "search")
    before, start = peak_mb(), time.process_time()
    fitted = len(inputs.fitted.table)
    reading = time.process_time() - start
    after_reading = peak_mb()
    (result,) = scan(inputs, Serial()).results
    return {
        "in_fit_range": fitted,
        "cpu_s": time.process_time() - start,
        "cpu_read_s": reading,
        "libraries_mb": before,
        "peak_read_mb": after_reading,
        "peak_mb": peak_mb(),
        "n_obs": [selection.n_obs for selection in result.selections],
    }


@click.command()
@click.option("--millions", multiple=True, type=int, default=(1, 10), show_default=True, help="Increasing.")
@click.option("--members", default=10, show_default=True, help="Classifiers per fold.")
@click.option("--one", type=click.Path(path_type=Path), hidden=True)
def main(millions: tuple[int, ...], members: int, one: Path | None) -> None:
    """Measure; one JSON line for each number of selected events. A million takes 75 MB on disk."""
    if one is not None:
        click.echo(json.dumps(search_tiled(one)))
        return
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make_million(folder, members)
        for count in millions:
            tile(folder, count)
            command = [sys.executable, "-m", "tests.benchmarks.tiling", "--one", scratch]
            found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            click.echo(json.dumps({"millions": count, "members": members, **found}))


if __name__ == "__main__":
    main()
