"""Synthetic events as a dataset of a results folder, which later stages read like any other."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from analysis.events.dataset import Dataset
from analysis.events.parts import write_part
from analysis.events.schema import SEARCH_REGION
from analysis.events.table import EventTable
from analysis.results import ResultsFolder
from analysis.validation.synthetic import SYNTHETIC

__all__ = ["synthetic_record", "write_synthetic"]

_FORMAT = "table"
_FILE = f"{SYNTHETIC}.parquet"


def write_synthetic(folder: ResultsFolder, digest: str, table: EventTable) -> tuple[Path, str]:
    """Write synthetic events as the only part of their dataset.

    Parameters
    ----------
    folder : ResultsFolder
    digest : str
        Name of the folder of the selection.
    table : EventTable

    Returns
    -------
    path : pathlib.Path
    content : str
        Digest of the file.
    """
    path = folder.parts / digest / SYNTHETIC / _FILE
    write_part(path, table, {"format": _FORMAT, "dataset": SYNTHETIC, "kind": "pseudodata"})
    return path, sha256(path.read_bytes()).hexdigest()[:16]


def synthetic_record(table: EventTable, part: str, content: str, pt_hat_min: float | None) -> dict[str, Any]:
    """Return the record of the dataset in `process.json`.

    Parameters
    ----------
    table : EventTable
    part : str
        Name of the part.
    content : str
        Digest of the part.
    pt_hat_min : float or None
        Generator threshold of the events that they stand for, GeV.

    Returns
    -------
    dict
        See `analysis.results.process_values.ProcessedDataset`.
    """
    n = len(table)
    count = {"events": n, "weight": float(n)}
    dataset = Dataset(SYNTHETIC, "pseudodata", _FORMAT, ((_FILE, ""),), pt_hat_min=pt_hat_min)
    file = {
        "dataset": SYNTHETIC,
        "filename": _FILE,
        "treename": "",
        "uuid": content,
        "n_entries": n,
        "content": content,
    }
    return {
        "parts": [part],
        "n_entries": n,
        "sum_of_weights": None,
        "normalisation": "none",
        "cutflow": {"all": count, SEARCH_REGION: count},
        "n_minus_one": {},
        "sanity": {},
        "files": [file],
        "skipped_files": [],
        "systematics": None,
        "variations": [],
        "varied_sums": {},
        "weights": {},
        "dataset": asdict(dataset),
    }
