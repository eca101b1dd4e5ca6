"""Generator weights of the parts of a dataset, added up: by file, and the largest of all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from processors.runner.consistency import FileWeights
from processors.runner.normalisation import GeneratorSums
from processors.runner.plan import Plan
from processors.weighting import Weights

__all__ = ["ExtremeWeights", "extreme_weights", "weights_by_file"]

Parts = Sequence[tuple[str, Mapping[str, Any]]]
"""Name of the input file and record of each part."""


@dataclass(frozen=True)
class ExtremeWeights:
    """Largest generator weight of some events.

    Attributes
    ----------
    events : int
        Number of events.
    effective_events : float
        (Σw)² / Σw², the number of events of equal weights that are as precise.
    largest : float
        Largest |w|.
    share : float
        Largest |w| over Σ|w|.
    file : str
        File with the largest weight.
    """

    events: int
    effective_events: float
    largest: float
    share: float
    file: str


def extreme_weights(parts: Parts) -> dict[str, ExtremeWeights]:
    """Find the largest weight in each row of the cutflow that the parts have weights of, if it has events."""
    by_row: dict[str, list[tuple[Weights, str]]] = defaultdict(list)
    for file, info in parts:
        for row, document in info["weights"].items():
            by_row[row].append((Weights.from_json(document), file))
    return {row: _extreme(found) for row, found in by_row.items() if any(one.absolute for one, _ in found)}


def _extreme(found: Sequence[tuple[Weights, str]]) -> ExtremeWeights:
    total = sum((weights for weights, _ in found), Weights())
    file = next(file for weights, file in found if weights.largest == total.largest)
    return ExtremeWeights(
        total.events, total.total**2 / total.squared, total.largest, total.largest / total.absolute, file
    )


def weights_by_file(plan: Plan, sums: GeneratorSums, parts: Parts) -> list[FileWeights]:
    """Add up the weights of the events read from each file of simulation, and the part of its sum that belongs to them.

    Parameters
    ----------
    plan : Plan
    sums : mapping of FileRecord to Generated or None
    parts : sequence of (str, mapping)

    Returns
    -------
    list of FileWeights
        Of all files of the plan, also of those without events; empty for observed events, whose weights are 1.
    """
    if plan.dataset.is_observed:
        return []
    read: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for file, info in parts:
        read[file].append(info)
    found = []
    for record in plan.files:
        infos, generated = read[record.filename], sums.get(record)
        weights = sum((Weights.from_json(info["weights"]["all"]) for info in infos), Weights())
        part = weights.events / record.n_entries if record.n_entries else 1.0
        total = None if generated is None else generated.weight * part
        found.append(FileWeights(record.filename, any(info["weighted"] for info in infos), weights, total))
    return found
