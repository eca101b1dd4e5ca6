"""Does a flipped byte change a number? 200 in each kind of input file, and in the selected events on disk.

Every copy of a file has another value at one random byte, and is processed: the numbers are equal, or there is one
error that names the file, or numbers have changed and nobody was told. Anything else is a failure of the program, and
so is a copy that takes more than a minute. Where the byte is matters: pages of branches (baskets) are compressed or
not, and the rest of a file describes them.
"""

from __future__ import annotations

import resource
import shutil
import signal
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import awkward as ak
import click
import numpy as np
import uproot

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.events.table import EventTable
from analysis.results import ResultsFolder, load_events
from analysis.stages.process import process
from processors.runner import executor
from tests.builders.flips import flips, outcome
from tests.builders.running import dataset, run
from tests.builders.toys import JetValues, write_delphes
from tests.studies.runner import Budget, Point, data_folder, study
from tests.studies.runner import run as run_points

NAME = "flipped_bytes"
BATCHES, FLIPS = 8, 25
PATIENCE_S = 60
MEMORY_BYTES = 8 << 30
"""Address space while damaged files are read."""

COMPRESSED = "compressed"
UNCOMPRESSED = "not compressed"
DESCRIPTION = "description"

PYTHIA = "pythia/wprime_3500_500_100.root"
DELPHES = "delphes/wprime_3500_500_100_r10_small.root"
LOOSE = {"pt_min": 0, "leading_pt_min": 0, "mjj_min": 0, "abs_eta_max": 10}


class TooSlow(BaseException):
    """A copy has taken too long; no `Exception`, which the program would explain."""


def write_nanoaod(path: Path, compression: uproot.compression.Compression | None) -> None:
    """1500 events of Pythia in NanoAOD layout."""
    with uproot.open(data_folder() / PYTHIA) as file:
        names = file["Events"].keys(filter_name=lambda name: name != "nFatJet")
        arrays = file["Events"].arrays(names, entry_stop=1500)
    jets = [name for name in names if name.startswith("FatJet_")]
    columns: dict[str, Any] = {"FatJet": ak.zip({name.removeprefix("FatJet_"): arrays[name] for name in jets})}
    columns |= {name: arrays[name].to_numpy() for name in names if name not in jets}
    types = {name: v.type if isinstance(v, ak.Array) else v.dtype for name, v in columns.items()}
    with uproot.recreate(path, compression=compression) as file:
        file.mktree("Events", types).extend(columns)


def write_uncompressed_delphes(path: Path) -> None:
    """300 events of Delphes."""
    branches = {"pt": "PT", "eta": "Eta", "phi": "Phi", "mass": "Mass"}
    with uproot.open(data_folder() / DELPHES) as file:
        tree = file["Delphes"]
        jets = {name: tree[f"FatJet/FatJet.{branch}"].array() for name, branch in branches.items()}
        tau = tree["FatJet/FatJet.Tau[5]"].array()
    columns = jets | {f"tau{n}": tau[:, :, n - 1] for n in range(1, 5)}
    events: list[list[JetValues]] = ak.to_list(ak.zip(columns))
    write_delphes(path, events, compressed=False)


def copy_of(name: str, path: Path) -> None:
    """A file as the program that owns the format wrote it."""
    shutil.copyfile(data_folder() / name, path)


@dataclass(frozen=True)
class Kind:
    """A kind of file: how to write one, its format, and settings of the selection."""

    write: Callable[[Path], None]
    layout: str
    selection: dict[str, Any]


PARTS = "selected events"
KINDS = {
    **{
        f"NanoAOD, {name}": Kind(partial(write_nanoaod, compression=compression), "nanoaod", {"jet_mass": "softdrop"})
        for name, compression in {
            "LZMA": uproot.LZMA(5),
            "LZ4": uproot.LZ4(4),
            "zlib": uproot.ZLIB(1),
            "ZSTD": uproot.ZSTD(5),
            "not compressed": None,
        }.items()
    },
    "Delphes, not compressed": Kind(write_uncompressed_delphes, "delphes", {"jet_mass": "ungroomed"}),
    "Delphes 3.5, written by ROOT": Kind(partial(copy_of, DELPHES), "delphes", LOOSE),
    PARTS: Kind(partial(write_nanoaod, compression=None), "nanoaod", {"jet_mass": "softdrop"}),
}
POINTS = [{"file": kind, "batch": batch} for kind in KINDS for batch in range(BATCHES)]


def measure(point: Point) -> Point:
    """Outcomes of one batch of copies, by the place of the byte; the slowest copy, and growth of the memory in MB."""
    executor.PAUSE = 0.0
    kind = KINDS[point["file"]]
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "damaged.root"
        kind.write(source)
        path, read, place = reader(point["file"], kind, source)
        content, expected = path.read_bytes(), read(path)
        found: dict[str, Counter[str]] = defaultdict(Counter)
        slowest, before = 0.0, peak_memory()
        with limited_memory():
            for position, copy in flips(content, FLIPS, seed=point["batch"]):
                path.write_bytes(copy)
                start = time.perf_counter()
                found[place(position)][outcome_in_time(read, path, expected)] += 1
                slowest = max(slowest, time.perf_counter() - start)
    return {
        "bytes": len(content),
        "outcomes": {name: dict(counts) for name, counts in sorted(found.items())},
        "slowest_s": round(slowest, 1),
        "memory_mb": round((peak_memory() - before) / 1024),
    }


def reader(name: str, kind: Kind, source: Path) -> tuple[Path, Callable[[Path], Any], Callable[[int], str]]:
    """File to damage, a function from it to all numbers, and one from a position to where it is."""
    if name != PARTS:
        return source, partial(numbers, kind), places(source)
    folder = ResultsFolder(source.parent / "results", create=True)
    one = dataset(source, layout=kind.layout)
    process({one.name: one}, SearchConfig(selection=kind.selection), folder, Serial())
    (part,) = folder.parts.rglob("*.parquet")
    return part, lambda _: columns(load_events(folder)), lambda _: DESCRIPTION


def numbers(kind: Kind, path: Path) -> dict[str, Any]:
    """Events, cutflow and sum of weights of a file."""
    shutil.rmtree(path.parent / "parts", ignore_errors=True)
    result, table = run(dataset(path, layout=kind.layout), path.parent / "parts", kind.selection)
    return {**columns(table), "cutflow": result.cutflow, "sum": result.sum_of_weights}


def columns(table: EventTable) -> dict[str, Any]:
    """Values of all columns, so that equal ones compare equal."""
    return {name: repr(table.column(name).tolist()) for name in table.table.column_names}


def places(path: Path) -> Callable[[int], str]:
    """Return a function from a position to the kind of content at it."""
    found = np.full(path.stat().st_size, DESCRIPTION, dtype=object)
    with uproot.open(path) as file:
        (tree,) = (file[name] for name in ("Events", "Delphes") if name in file)
        for branch in tree.itervalues():
            for number, seek in enumerate(branch.member("fBasketSeek")[: branch.num_baskets]):
                if seek == 0:  # a basket inside the description of the tree
                    continue
                key = branch.basket_key(number)
                stored = key.fObjlen == key.fNbytes - key.fKeylen
                found[seek + key.fKeylen : seek + key.fNbytes] = UNCOMPRESSED if stored else COMPRESSED
    return lambda position: str(found[position])


def outcome_in_time(read: Callable[[Path], Any], path: Path, expected: Any) -> str:
    """Outcome of `tests.builders.flips.outcome`, or that it took too long."""

    def stop(*_: object) -> None:
        raise TooSlow

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(PATIENCE_S)
    try:
        return outcome(read, path, lambda found: bool(found == expected))
    except TooSlow:
        return "too slow"
    finally:
        signal.alarm(0)


@contextmanager
def limited_memory() -> Iterator[None]:
    """No more address space than `MEMORY_BYTES`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def peak_memory() -> int:
    """Largest memory of this process so far, kB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@dataclass(frozen=True)
class Summary:
    """Outcomes of all copies of a kind of file, in total and by place."""

    outcomes: Counter[str]
    by_place: dict[str, Counter[str]]
    slowest_s: float
    memory_mb: int


def summary(points: list[Point], kind: str) -> Summary:
    """Add up the batches of one kind of file."""
    chosen = [point for point in points if point["file"] == kind]
    by_place: dict[str, Counter[str]] = defaultdict(Counter)
    for point in chosen:
        for place, counts in point["outcomes"].items():
            by_place[place].update(counts)
    total = sum(by_place.values(), Counter())
    return Summary(
        total, by_place, max(point["slowest_s"] for point in chosen), max(point["memory_mb"] for point in chosen)
    )


@study(minutes=10.0)
def main(budget: Budget) -> None:
    """Run the study and print the outcomes."""
    points = run_points(NAME, POINTS, measure, budget)
    for kind in dict.fromkeys(point["file"] for point in points):
        found = summary(points, kind)
        click.echo(f"{kind}: {dict(found.outcomes)}, slowest {found.slowest_s} s, memory +{found.memory_mb} MB")
        for place, counts in found.by_place.items():
            click.echo(f"    {place}: {dict(counts)}")


if __name__ == "__main__":
    main()
