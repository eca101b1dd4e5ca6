"""CPU of the processor with calibrated jets against plain uproot + numpy, without and with the same calibration.

Energy scale and smearing of simulation, with corrections of the published schema (`tests.builders.jerc`). The plain
side with calibration calls correctionlib for the same jets, matches generator jets and smears with numpy alone. Its
random numbers are numpy's, so that it selects slightly different events.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import awkward as ak
import click
import correctionlib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import uproot

from analysis.compute import Serial
from analysis.config import SearchConfig
from analysis.events.dataset import Dataset
from processors.runner.run import CHUNKSIZE, process_datasets
from tests.benchmarks import processing
from tests.builders import jerc

CALIBRATION = {
    "jec": f"{jerc.TAG}_L1L2L3Res_AK8PFPuppi",
    "jer_resolution": f"{jerc.TAG}_PtResolution_AK8PFPuppi",
    "jer_scale_factor": f"{jerc.TAG}_ScaleFactor_AK8PFPuppi",
}
SIDES = ("plain", "cwola", "plain calibrated", "cwola calibrated")


def write_events(path: Path, n_events: int) -> None:
    """Write the events of `processing` with what a calibration needs; a tenth of the generator jets is missing."""
    rng = np.random.default_rng(1)
    with uproot.recreate(path, compression=uproot.LZ4(4)) as file:
        tree = None
        for start in range(0, n_events, processing.BLOCK):
            columns = _block(rng, min(processing.BLOCK, n_events - start), start)
            if tree is None:
                kinds = {k: v.type if isinstance(v, ak.Array) else v.dtype for k, v in columns.items()}
                tree = file.mktree("Events", kinds)
            tree.extend(columns)


def _block(rng: np.random.Generator, n: int, start: int) -> dict[str, Any]:
    columns = processing._block(rng, n, start)
    jets = columns["FatJet"]
    flat = {name: ak.to_numpy(ak.flatten(jets[name])) for name in ("pt", "eta", "phi", "mass")}
    kept = rng.random(3 * n) < 0.9
    counts = kept.reshape(n, 3).sum(axis=1)
    shifts = {"pt": flat["pt"] * rng.normal(0.97, 0.05, 3 * n), "eta": flat["eta"] + rng.normal(0, 0.05, 3 * n)}
    generated = {name: ak.unflatten(one[kept].astype(np.float32), counts) for name, one in (flat | shifts).items()}
    extra = {"rawFactor": rng.uniform(0.02, 0.1, 3 * n), "area": rng.uniform(1.9, 2.1, 3 * n)}
    whole = {name: jets[name] for name in jets.fields}
    whole |= {name: ak.unflatten(values.astype(np.float32), 3) for name, values in extra.items()}
    return {
        **columns,
        "FatJet": ak.zip({name: ak.from_regular(values) for name, values in whole.items()}),
        "GenJetAK8": ak.zip(generated),
        "fixedGridRhoFastjetAll": rng.uniform(10, 40, n).astype(np.float32),
    }


def plain_calibrated(path: Path, corrections: Path, folder: Path) -> tuple[int, float]:
    """Do the job without coffea or this package; returns the number of events and the sum of their m_jj."""
    found = correctionlib.CorrectionSet.from_file(str(corrections))
    count, total = 0, 0.0
    with uproot.open(path) as file:
        tree = file["Events"]
        for number, start in enumerate(range(0, tree.num_entries, CHUNKSIZE)):
            flat, counts, events = _calibrated(tree, found, {"entry_start": start, "entry_stop": start + CHUNKSIZE})
            columns = processing._select(flat, counts, events)
            labels = ["dataset", "region"]
            pq.write_table(pa.table(columns), folder / f"{number}.parquet", compression="zstd", use_dictionary=labels)
            count, total = count + len(columns["mjj"]), total + float(columns["mjj"].sum())
    return count, total


def _calibrated(tree: Any, found: correctionlib.CorrectionSet, window: dict[str, int]):
    def read(name: str) -> Any:
        return tree[name].array(**window)

    arrays = {name: read(branch) for name, branch in processing.NANOAOD.items()}
    arrays |= {name: read(f"FatJet_{name}") for name in ("rawFactor", "area")}
    counts = ak.to_numpy(ak.num(arrays["pt"]))
    flat = {name: ak.to_numpy(ak.flatten(one)).astype(np.float64) for name, one in arrays.items()}
    generated = {name: read(f"GenJetAK8_{name}") for name in ("pt", "eta", "phi")}
    gen_counts = ak.to_numpy(ak.num(generated["pt"]))
    generated = {name: ak.to_numpy(ak.flatten(one)).astype(np.float64) for name, one in generated.items()}
    rho = np.repeat(ak.to_numpy(read("fixedGridRhoFastjetAll")).astype(np.float64), counts)
    raw, eta = 1 - flat["rawFactor"], np.clip(flat["eta"], -5.19, 5.19)
    scale = raw * found.compound[CALIBRATION["jec"]].evaluate(flat["area"], eta, flat["pt"] * raw, rho)
    pt = flat["pt"] * scale
    width = found[CALIBRATION["jer_resolution"]].evaluate(eta, pt, rho)
    factor = found[CALIBRATION["jer_scale_factor"]].evaluate(eta, "nom")
    partner = _match(flat | {"pt": pt}, counts, generated, gen_counts, 3 * width * pt)
    normal = np.random.default_rng(0).normal(size=int(np.isnan(partner).sum()))
    smear = 1 + (factor - 1) * (pt - partner) / pt
    lone = np.isnan(partner)
    smear[lone] = 1 + width[lone] * normal * np.sqrt(np.maximum(factor[lone] ** 2 - 1, 0))
    flat |= {"pt": pt * smear, "mass": flat["mass"] * scale * smear}
    return _by_pt(flat, counts), counts, {name: tree[name].array(library="np", **window) for name in NUMBERS}


NUMBERS = ("run", "luminosityBlock", "event")


def _match(jets: dict[str, Any], counts: Any, generated: dict[str, Any], gen_counts: Any, tolerance: Any) -> Any:
    event = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(gen_counts) - gen_counts
    partner, nearest = np.full(len(event), np.nan), np.full(len(event), 0.16)
    for k in range(gen_counts.max()):
        rows = np.flatnonzero(gen_counts[event] > k)
        place = starts[event[rows]] + k
        near = np.abs(generated["pt"][place] - jets["pt"][rows]) < tolerance[rows]
        rows, place = rows[near], place[near]
        phi = np.abs(jets["phi"][rows] - generated["phi"][place])
        phi = np.where(phi > np.pi, 2 * np.pi - phi, phi)
        square = (jets["eta"][rows] - generated["eta"][place]) ** 2 + phi**2
        closer = square < nearest[rows]
        partner[rows[closer]], nearest[rows[closer]] = generated["pt"][place[closer]], square[closer]
    return partner


def _by_pt(flat: dict[str, Any], counts: Any) -> dict[str, Any]:
    """The jets of every event with the largest p_T first: `processing._select` takes the first two."""
    order = np.lexsort((-flat["pt"], np.repeat(np.arange(len(counts)), counts)))
    return {name: values[order] for name, values in flat.items()}


def ours(path: Path, folder: Path, corrections: Path | None, max_entries: int | None = None) -> tuple[int, float]:
    """Do the job with the processor; returns the number of events."""
    sample = {"sample": Dataset("sample", "pseudodata", "nanoaod", ((str(path), "Events"),), max_entries=max_entries)}
    selection = {} if corrections is None else {"calibration": {"file": corrections, **CALIBRATION}}
    result = process_datasets(sample, SearchConfig(selection=selection), folder, Serial())
    return result.datasets["sample"].cutflow["mjj_min"].events, 0.0


def measure(side: str, path: Path, corrections: Path) -> dict[str, Any]:
    """CPU seconds of one side, in this process, and the number of selected events."""
    used = corrections if side.endswith("calibrated") else None
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / name for name in ("warm", "timed")]
        for folder in folders:
            folder.mkdir()
        ours(path, folders[0], used, max_entries=1000)  # imports and caches of both sides
        start = time.process_time()
        if side.startswith("cwola"):
            events, _ = ours(path, folders[1], used)
        elif used is None:
            events, _ = processing.plain(path, "nanoaod", folders[1])
        else:
            events, _ = plain_calibrated(path, corrections, folders[1])
        return {"seconds": time.process_time() - start, "events": events}


def in_process(side: str, path: Path, corrections: Path) -> dict[str, Any]:
    """Measure in a fresh process."""
    command = [sys.executable, "-m", "tests.benchmarks.calibrated", "--one", side, str(path), str(corrections)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return found


@click.command()
@click.option("--events", default=1_000_000, show_default=True)
@click.option("--repeats", default=3, show_default=True)
@click.option("--one", nargs=3, hidden=True)
def main(events: int, repeats: int, one: tuple[str, str, str] | None) -> None:
    """Measure the four sides in turns, and print medians and ratios."""
    if one is not None:
        click.echo(json.dumps(measure(one[0], Path(one[1]), Path(one[2]))))
        return
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as scratch:
        path, corrections = Path(scratch) / "events.root", Path(scratch) / "jerc.json.gz"
        write_events(path, events)
        jerc.write_corrections(corrections)
        for _ in range(repeats):
            for side, found in runs.items():
                found.append(in_process(side, path, corrections))
    cpu = {side: statistics.median(run["seconds"] for run in found) * 1e6 / events for side, found in runs.items()}
    click.echo(f"{'':20s} {'CPU s per million':>18s} {'/ plain':>8s} {'events':>9s}")
    for side, seconds in cpu.items():
        click.echo(f"{side:20s} {seconds:18.2f} {seconds / cpu['plain']:8.2f} {runs[side][0]['events']:9d}")
    click.echo(f"with calibration on both sides: {cpu['cwola calibrated'] / cpu['plain calibrated']:.2f}")


if __name__ == "__main__":
    main()
