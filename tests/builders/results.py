"""Contents of `results.json`."""

from __future__ import annotations

from typing import Any

from analysis.core.documents import from_json, to_json
from analysis.results.values import Results


def results_of(**parts: Any) -> Results:
    """Results of a search without windows, where `parts`, as values or JSON, do not replace a field."""
    document = {
        "config_digest": "",
        "versions": {},
        "random_state": 0,
        "inputs": [],
        "cutflow": {},
        "trials": {"windows": 1, "selections": 1, "total": 1},
        "blinded": False,
        "windows": [],
        "global": {"p0": None, "z": None, "method": "bonferroni-upper-bound"},
    }
    return from_json(Results, document | {name.rstrip("_"): value for name, value in to_json(parts).items()})
