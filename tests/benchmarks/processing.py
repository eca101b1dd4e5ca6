"""CPU and memory of the processor against plain uproot + numpy: same branches, cuts, columns and parquet output.

Every figure comes from a process of its own that has run the job once on a small file before it is timed. The two
sides of a ratio take turns, and the ratio is that of their medians: quote it, not the seconds. The plain side is
checked to select the same events with the same m_jj.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot
from numpy.typing import NDArray

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.events.dataset import Dataset
from processors.runner.run import CHUNKSIZE, load_table, process_datasets
from tests.builders.toys import counter_name, field_name
from tests.studies.runner import data_folder

Columns = dict[str, NDArray[Any]]

BLOCK = 100_000
DELPHES_EVENTS = 300_000
NANOAOD = {
    **{name: f"FatJet_{name}" for name in ("pt", "eta", "phi", "mass")},
    **{f"tau{n}": f"FatJet_tau{n}" for n in (1, 2, 3)},
}
DELPHES = {
    "pt": "FatJet/FatJet.PT",
    "eta": "FatJet/FatJet.Eta",
    "phi": "FatJet/FatJet.Phi",
    "mass": "FatJet/FatJet.Mass",
}
TREES = {"nanoaod": "Events", "delphes": "Delphes"}


def write_events(path: Path, n_events: int) -> None:
    """Write NanoAOD-like events: three fat jets each, nine branches of them, LZ4, clusters of 100 000."""
    rng = np.random.default_rng(1)
    with uproot.recreate(path, compression=uproot.LZ4(4)) as file:
        tree = None
        for start in range(0, n_events, BLOCK):
            columns = _block(rng, min(BLOCK, n_events - start), start)
            if tree is None:
                tree = file.mktree(
                    "Events", {k: v.type if isinstance(v, ak.Array) else v.dtype for k, v in columns.items()}
                )
            tree.extend(columns)


def write_delphes(path: Path, n_events: int) -> None:
    """Write Delphes-like events: three fat jets each, with `Tau[5]`, in one go."""
    block = _block(np.random.default_rng(1), n_events, 0)
    jets, once = block["FatJet"], np.ones(n_events, np.int64)
    taus = np.stack([ak.to_numpy(ak.flatten(jets[f"tau{min(n, 4)}"])) for n in range(1, 6)], axis=1)
    columns = {
        "FatJet": ak.zip({name: jets[name.lower()] for name in ("PT", "Eta", "Phi", "Mass")}),
        # A flat list of five numbers per jet: "[5]" in the name says how to read it.
        "FatJet/FatJet.Tau[5]": ak.unflatten(taus.ravel(), 15 * once),
        "Event": ak.zip({"Number": ak.unflatten(np.arange(n_events), once)}),
    }
    with uproot.recreate(path, compression=uproot.LZ4(4)) as file:
        types = {name: values.type for name, values in columns.items()}
        file.mktree("Delphes", types, counter_name=counter_name, field_name=field_name).extend(columns)


def _block(rng: np.random.Generator, n: int, start: int) -> dict[str, Any]:
    shape = (n, 3)
    pt = -np.sort(-(rng.exponential(300, shape) + np.array([900, 800, 150])), axis=1)
    phi = rng.uniform(-np.pi, np.pi, shape)
    phi[:, 1] = (phi[:, 0] + rng.normal(2 * np.pi, 0.1, n)) % (2 * np.pi) - np.pi
    jets = {"pt": pt, "eta": rng.normal(0, 1, shape), "phi": phi, "mass": rng.exponential(80, shape) + 10}
    jets["msoftdrop"] = jets["mass"] * rng.uniform(0, 1, shape)
    jets["tau1"] = rng.beta(2, 6, shape)
    for order in (2, 3, 4):
        jets[f"tau{order}"] = jets[f"tau{order - 1}"] * rng.beta(7, 3, shape)
    numbers = np.arange(start, start + n)
    return {
        "FatJet": ak.zip({name: ak.from_regular(ak.Array(v.astype(np.float32))) for name, v in jets.items()}),
        "run": np.ones(n, np.uint32),
        "luminosityBlock": (numbers // 1000).astype(np.uint32),
        "event": numbers.astype(np.uint64),
    }


def plain(path: Path, layout: str, folder: Path) -> tuple[int, float]:
    """Do the job without coffea or this package; returns the number of events and the sum of their m_jj."""
    count, total = 0, 0.0
    for number, (flat, counts, events) in enumerate(_chunks(path, layout)):
        columns = _select(flat, counts, events)
        pq.write_table(
            pa.table(columns), folder / f"{number}.parquet", compression="zstd", use_dictionary=["dataset", "region"]
        )
        count, total = count + len(columns["mjj"]), total + float(columns["mjj"].sum())
    return count, total


def _chunks(path: Path, layout: str) -> Iterator[tuple[Columns, NDArray[Any], Columns]]:
    jets, numbers = (NANOAOD, ["run", "luminosityBlock", "event"]) if layout == "nanoaod" else (DELPHES, [])
    with uproot.open(path) as file:
        tree = file[TREES[layout]]
        for start in range(0, tree.num_entries, CHUNKSIZE):
            window = {"entry_start": start, "entry_stop": start + CHUNKSIZE}
            arrays = {name: tree[branch].array(**window) for name, branch in jets.items()}
            counts = ak.to_numpy(ak.num(arrays["pt"]))
            flat = {name: ak.to_numpy(ak.flatten(one)) for name, one in arrays.items()}
            if layout == "delphes":
                taus = ak.to_numpy(ak.flatten(tree["FatJet/FatJet.Tau[5]"].array(**window)))
                flat |= {f"tau{n}": taus[:, n - 1] for n in (1, 2, 3)}
                entries = np.arange(start, start + len(counts), dtype=np.uint64)
                yield flat, counts, {"run": np.zeros_like(entries), "lumi": np.zeros_like(entries), "event": entries}
            else:
                yield flat, counts, {name: tree[name].array(library="np", **window) for name in numbers}


def _select(flat: Columns, counts: NDArray[Any], events: Columns) -> dict[str, Any]:
    entry = np.flatnonzero(counts >= 2)
    first = (np.cumsum(counts) - counts)[entry]
    one, two = ({name: values[first + i].astype(np.float64) for name, values in flat.items()} for i in (0, 1))
    p4 = [_four_vector(jet) for jet in (one, two)]
    energy, px, py, pz = (a + b for a, b in zip(*p4, strict=True))
    mjj = np.sqrt(energy**2 - px**2 - py**2 - pz**2)
    abs_dy = np.abs(np.arctanh(p4[0][3] / p4[0][0]) - np.arctanh(p4[1][3] / p4[1][0]))
    finite = np.logical_and.reduce(
        [np.isfinite(jet[name]) for jet in (one, two) for name in ("pt", "eta", "phi", "mass")]
    )
    central = (np.abs(one["eta"]) <= 2.5) & (np.abs(two["eta"]) <= 2.5)
    keep = finite & (one["pt"] >= 500) & (two["pt"] >= 200) & central & (abs_dy < 2) & (mjj >= 1000)
    one, two = ({name: values[keep] for name, values in jet.items()} for jet in (one, two))
    swap = two["mass"] > one["mass"]
    one, two = ({k: np.where(swap, b[k], a[k]) for k in a} for a, b in ((one, two), (two, one)))
    mjj, abs_dy = mjj[keep], abs_dy[keep]
    numbers = {name: values[entry][keep] for name, values in events.items()}
    return {
        "event_id": _hash(*numbers.values()),
        **numbers,
        "dataset": _labels(np.full(len(mjj), "sample", object)),
        "region": _labels(np.where(abs_dy < 1.2, "search", "validation").astype(object)),
        "mjj": mjj,
        "abs_dy": abs_dy,
        "weight": np.ones(len(mjj)),
        **_features(one, two, mjj),
    }


def _four_vector(jet: Columns) -> tuple[NDArray[np.float64], ...]:
    px, py, pz = jet["pt"] * np.cos(jet["phi"]), jet["pt"] * np.sin(jet["phi"]), jet["pt"] * np.sinh(jet["eta"])
    return np.sqrt(px**2 + py**2 + pz**2 + jet["mass"] ** 2), px, py, pz


def _features(one: Columns, two: Columns, mjj: NDArray[np.float64]) -> Columns:
    columns = {"mj1": one["mass"], "mj2": two["mass"], "delta_mj": one["mass"] - two["mass"]}
    with np.errstate(all="ignore"):
        for n, jet in ((1, one), (2, two)):
            columns[f"tau21_j{n}"] = np.minimum(jet["tau2"] / jet["tau1"], 1)
            columns[f"tau32_j{n}"] = np.minimum(jet["tau3"] / jet["tau2"], 1)
            columns[f"mj{n}_over_mjj"] = jet["mass"] / mjj
    return {name: values.astype(np.float32) for name, values in columns.items()}


def _hash(*columns: NDArray[Any]) -> NDArray[np.uint64]:
    """Mix three numbers and a label to one, as SplitMix64 does: an identity costs the plain side something as well."""
    state = np.zeros(len(columns[0]), np.uint64)
    for column in (*columns, np.uint64(7)):
        mixed = state ^ (np.asarray(column, np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = mixed ^ (mixed >> np.uint64(31))
    return state


def _labels(values: NDArray[Any]) -> pa.Array:
    return pa.array(values, pa.string()).dictionary_encode()


def ours(path: Path, layout: str, folder: Path, max_entries: int | None = None) -> tuple[int, float]:
    """Do the job with the processor; returns the number of events and the sum of their m_jj."""
    sample = {"sample": Dataset("sample", "pseudodata", layout, ((str(path), TREES[layout]),), max_entries=max_entries)}
    result = process_datasets(sample, SearchConfig(), folder, Serial())
    return result.datasets["sample"].cutflow["mjj_min"].events, 0.0


def measure(side: str, path: Path, layout: str) -> dict[str, Any]:
    """CPU seconds and peak memory (MB) of one side, in this process, and what was selected."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("warm", "timed")]
        for folder in folders:
            folder.mkdir()
        job = plain if side == "plain" else ours
        ours(path, layout, folders[0], max_entries=1000)  # imports and caches of both sides
        start = time.process_time()
        events, total = job(path, layout, folders[1])
        seconds = time.process_time() - start
    return {"seconds": seconds, "peak_mb": _peak_mb(), "events": events, "sum_mjj": total}


def _peak_mb() -> float:
    """Peak memory of this process alone (Linux); `getrusage` would count what its parent held when it forked."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def in_process(side: str, path: Path, layout: str) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.processing", "--one", side, layout, str(path)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


def check_same(path: Path, layout: str) -> None:
    """Refuse to compare two jobs that select other events."""
    with tempfile.TemporaryDirectory() as scratch:
        sample = {"sample": Dataset("sample", "pseudodata", layout, ((str(path), TREES[layout]),))}
        table = load_table(process_datasets(sample, SearchConfig(), Path(scratch), Serial()), sample, sample)
        count, total = plain(path, layout, Path(scratch))
    assert count == len(table), (count, len(table))
    np.testing.assert_allclose(total, table.mjj.sum(), rtol=1e-12)


def compare(name: str, path: Path, layout: str, n_events: int, repeats: int) -> None:
    """Measure both sides in turns and print a line."""
    check_same(path, layout)
    found = {"plain": [], "cwola": []}  # type: dict[str, list[dict[str, Any]]]
    for _ in range(repeats):
        for side, runs in found.items():
            runs.append(in_process(side, path, layout))
    cpu = {side: statistics.median(run["seconds"] for run in runs) for side, runs in found.items()}
    one, two = (cpu[side] * 1e6 / n_events for side in cpu)
    peaks = [max(run["peak_mb"] for run in runs) for runs in found.values()]
    click.echo(f"{name:28s} {one:8.2f} {two:8.2f} {two / one:7.2f} {peaks[0]:10.0f} {peaks[1]:8.0f}")


@click.command()
@click.option("--events", default=1_000_000, show_default=True, help="NanoAOD-like events.")
@click.option("--large", default=0, show_default=True, help="Events of a second, larger file, for memory.")
@click.option("--repeats", default=3, show_default=True)
@click.option("--one", nargs=3, hidden=True)
def main(events: int, large: int, repeats: int, one: tuple[str, str, str] | None) -> None:
    """Measure and print one table."""
    if one is not None:
        click.echo(json.dumps(measure(one[0], Path(one[2]), one[1])))
        return
    click.echo(f"{'':28s} {'CPU s per million':>17s} {'':7s} {'peak memory, MB':>19s}")
    click.echo(f"{'events':28s} {'plain':>8s} {'cwola':>8s} {'ratio':>7s} {'plain':>10s} {'cwola':>8s}")
    with tempfile.TemporaryDirectory() as scratch:
        for count in filter(None, (events, large)):
            path = Path(scratch) / f"{count}.root"
            write_events(path, count)
            compare(f"NanoAOD-like, {count / 1e6:g} million", path, "nanoaod", count, repeats if count == events else 1)
        path = Path(scratch) / "delphes.root"
        write_delphes(path, DELPHES_EVENTS)
        compare(f"Delphes-like, {DELPHES_EVENTS / 1e6:g} million", path, "delphes", DELPHES_EVENTS, repeats)
    delphes = data_folder() / "delphes" / "qcd_r10.root"
    compare("Delphes, a file of 20 000", delphes, "delphes", 20_000, repeats)


if __name__ == "__main__":
    main()
