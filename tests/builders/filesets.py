"""Filesets in the forms that other tools write, as their sources and documentation have them.

coffea 2026.9 (`DataGroupSpec.model_dump`, `preprocess`), PocketCoffea (`build-datasets`, docs/datasets.md), columnflow
(`GetDatasetLFNs`), dasgoclient (`-json`) and rucio (`GET /replicas`).
"""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Sequence
from typing import Any

__all__ = ["FORM", "coffea", "das", "das_file", "pocket_coffea", "rucio_file"]

FORM = base64.b64encode(gzip.compress(random.Random(1).randbytes(12_000), mtime=0)).decode()
"""As long as the form of NanoAOD, which is longer than any other text of a datasets file."""


def coffea(paths: Sequence[str], entries: int, **metadata: Any) -> dict[str, Any]:
    """Output of `preprocess` for one dataset, two steps a file."""
    files = {
        path: {
            "object_path": "Events",
            "steps": [[0, entries // 2], [entries // 2, entries]],
            "num_entries": entries,
            "format": "root",
            "lfn": None,
            "pfn": None,
            "uuid": "0efacd8e-e6a7-11f1-b0d7-02fc00000001",
            "num_selected_entries": entries,
        }
        for path in paths
    }
    return {"files": files, "metadata": metadata, "format": "root", "compressed_form": FORM, "did": None}


def pocket_coffea(paths: Sequence[str], *, simulated: bool) -> dict[str, Any]:
    """A dataset as `pocket-coffea build-datasets` writes it: all metadata are texts."""
    metadata = {
        "das_names": "['/QCD_Pt-1400to1800_TuneCP5_13TeV_pythia8/RunIISummer20UL18NanoAODv9-v1/NANOAODSIM']",
        "sample": "QCD",
        "year": "2018",
        "isMC": str(simulated),
        "nevents": "9710000",
        "size": "9115860727",
    }
    further = {"xsec": "0.6419", "part": "Pt-1400to1800"} if simulated else {"primaryDataset": "JetHT", "era": "A"}
    return {"metadata": {**metadata, **further}, "files": list(paths)}


def das_file(name: str, *, dataset: str, valid: int = 1, service: str = "dbs3:files") -> dict[str, Any]:
    """A record of `dasgoclient -query="file dataset=..." -json`."""
    block = f"{dataset}#7d06c1b2-ddf8-4e4f-b414-31edc184ea7f"
    das = {"expire": 1744035502, "instance": "prod/global", "primary_key": "file.name", "record": 1}
    file = {"adler32": "85bc6977", "block.name": block, "block_id": 24151964, "block_name": block, "md5": None}
    file |= {"check_sum": "3566413521", "dataset": dataset, "file_id": 704099266, "is_file_valid": valid}
    file |= {"name": name, "nevents": 162072, "size": 3776716506, "type": "EDM"}
    return {"das": {**das, "services": [service]}, "file": [file], "qhash": "60f0caf6313aa766d4917ef60cc543c6"}


def das(records: Sequence[dict[str, Any]]) -> str:
    """The text that dasgoclient prints: a list with one record a line."""
    return "[\n" + " ,\n".join(json.dumps(record, separators=(",", ":")) for record in records) + "\n]\n"


def rucio_file(name: str, pfns: dict[str, dict[str, Any]], scope: str = "cms", **states: str) -> dict[str, Any]:
    """A record of the replicas of a file; `pfns` has the differences from a usual one."""
    usual = {"domain": "wan", "priority": 1, "volatile": False, "client_extract": False, "type": "DISK"}
    places = {pfn: {**usual, "rse_id": "f7d61f9d3a6e48159421a20a1a17389d", **place} for pfn, place in pfns.items()}
    rses: dict[str, list[str]] = {}
    for pfn, place in places.items():
        rses.setdefault(str(place["rse"]), []).append(pfn)
    found = {"adler32": "e2e05678", "name": name, "rses": rses, "bytes": 3531471567, "md5": None, "scope": scope}
    return {**found, "states": {rse: states.get(rse, "AVAILABLE") for rse in rses}, "pfns": places}
