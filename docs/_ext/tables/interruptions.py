"""Remains of searches whose processes are killed."""

from __future__ import annotations

from collections import Counter

from docs._ext.page_tables import table_of
from docs._ext.tables.shared import matching
from tests.studies import kills
from tests.studies.runner import load

NAMES = {
    ("processes", "client"): "the command, two local workers",
    ("processes", "workers"): "all local workers",
    ("dask", "client"): "the command, on dask",
    ("dask", "workers"): "all dask workers; others come 2 s later",
    ("dask", "scheduler"): "the dask scheduler",
}


def kills_table() -> str:
    """Tell the ends of the killed command, results after the same command ran again, and remains, by victim."""
    points, rows = load(kills.NAME), []
    for (where, victim), name in NAMES.items():
        found = matching(points, where=where, victim=victim)
        codes = Counter(point["code"] for point in found)
        left = [sum(point[key] for point in found) for key in ("tracebacks", "processes")]
        files = sum(point["folders"] + point["remnants"] for point in found)
        rows.append(
            [
                name,
                str(len(found)),
                ", ".join(f"{code}: {codes[code]}" for code in sorted(codes)).replace("-", "−"),
                f"{sum(point['equal'] for point in found)} of {len(found)}",
                *map(str, (*left, files)),
            ]
        )
    head = ["killed", "trials", "exit code: trials", "equal results", "tracebacks", "processes left", "files left"]
    return table_of(head, rows)
