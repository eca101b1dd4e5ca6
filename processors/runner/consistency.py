"""Generator weights and their sums, compared file by file: files of a sample have weights of one kind."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

from analysis.errors import InputFileError
from processors.weighting import STEPS_PER_OCTAVE, Weights

__all__ = ["FileWeights", "require_one_kind"]

TOLERATED_STEPS = STEPS_PER_OCTAVE - 1
"""Sizes of weights that differ by less than a factor of two are alike; jobs know their cross-section to few percent."""

MIN_DISTANCE = 0.25
"""Smallest difference of two cumulative distributions, beyond the tolerated one, that counts."""

MAX_PROBABILITY = 1e-6
"""Largest probability, for files of one kind, of the difference between a file and the others."""

MIN_EVENTS = 4
"""Smallest number of events that can be of another kind than those of all other files."""

MAX_RATIO = 10.0
"""Largest ratio of the shares of the generated weight that two files of a sample keep."""

MIN_EXPECTED = 30.0
"""Number of events that a file has, or should have, where its share is compared."""


@dataclass(frozen=True)
class FileWeights:
    """Generator weights of one file.

    Attributes
    ----------
    filename : str
    weighted : bool
        Whether the file has generator weights.
    weights : Weights
        Of all events read.
    generated : float or None
        Sum of the weights of all generated events in the same part of the file, as the file records it.
    """

    filename: str
    weighted: bool
    weights: Weights
    generated: float | None = None


def require_one_kind(dataset: str, files: Sequence[FileWeights]) -> None:
    """Refuse a dataset if the weights of a file are of another kind than those of its other files.

    The sizes and signs of the weights are compared with those in the other files, without any assumption on their
    distribution (two-sample Kolmogorov-Smirnov test), so that wide or partly negative weights are no reason to refuse.

    Parameters
    ----------
    dataset : str
    files : sequence of FileWeights

    Raises
    ------
    InputFileError
        Naming the file.
    """
    read = [file for file in files if file.weights.events]
    _require_all_weighted(dataset, read)
    _require_alike(dataset, read)
    _require_alike_shares(dataset, files)


def _require_all_weighted(dataset: str, files: Sequence[FileWeights]) -> None:
    weighted, lacking = ([file for file in files if file.weighted is found] for found in (True, False))
    if weighted and lacking:
        msg = (
            f"{lacking[0].filename} (dataset {dataset}): the file has no generator weights, but {weighted[0].filename} "
            "has. Events with and without them cannot be added: make the file again with its weights, or leave it out."
        )
        raise InputFileError(msg)


def _require_alike(dataset: str, files: Sequence[FileWeights]) -> None:
    total = sum((file.weights for file in files), Weights())
    compared = [(file, _without(total, file.weights)) for file in files]
    found = [(_distance(file.weights, others), -file.weights.events) for file, others in compared]
    if not any(distance for distance, _ in found):
        return
    file, others = compared[found.index(max(found))]
    msg = (
        f"{file.filename} (dataset {dataset}): its generator weights are of another kind than those of the other "
        f"files: {_describe(file.weights)}, against {_describe(others)}. Files of a dataset share process, generator "
        "settings and unit of the weights: make the file again, or give it a dataset of its own."
    )
    raise InputFileError(msg)


def _describe(weights: Weights) -> str:
    return f"{weights.absolute / weights.events:.3g} on average, {weights.negative / weights.events:.0%} negative"


def _require_alike_shares(dataset: str, files: Sequence[FileWeights]) -> None:
    known = [(file, total) for file in files if (total := file.generated) is not None and total > 0]
    held, generated = math.fsum(file.weights.absolute for file, _ in known), math.fsum(total for _, total in known)
    odd: list[tuple[float, FileWeights, float, float]] = []
    for file, total in known:
        others, rest = held - file.weights.absolute, generated - total
        if others <= 0 or rest <= total * sys.float_info.epsilon:
            continue
        share, usual = file.weights.absolute / total, others / rest
        ratio = max(share, usual) / min(share, usual) if share else math.inf
        if ratio > MAX_RATIO and max(file.weights.events, usual * total / _mean(file, files)) >= MIN_EXPECTED:
            odd.append((ratio, file, share, usual))
    if odd:
        # Of two files, the one whose sum is farther from the weights of its events.
        _, file, share, usual = max(odd, key=lambda one: (one[0], abs(math.log(one[2])) if one[2] else math.inf))
        msg = (
            f"{file.filename} (dataset {dataset}): its events hold {share:.2g} of the weight that its tree Runs states "
            f"for all generated events, those of the other files {usual:.2g}. Either the sum is not one of these "
            "weights, such as a number of events, or events were lost: make the file again, or leave it out."
        )
        raise InputFileError(msg)


def _mean(file: FileWeights, files: Sequence[FileWeights]) -> float:
    """Mean |w| of the events of a file; of all files for one without events."""
    weights = file.weights if file.weights.absolute else sum((one.weights for one in files), Weights())
    return weights.absolute / weights.events


def _without(total: Weights, part: Weights) -> Weights:
    sizes = {step: count - part.sizes.get(step, 0) for step, count in total.sizes.items()}
    return replace(
        total,
        events=total.events - part.events,
        negative=total.negative - part.negative,
        total=total.total - part.total,
        absolute=total.absolute - part.absolute,
        sizes={step: count for step, count in sizes.items() if count},
    )


def _distance(one: Weights, other: Weights) -> float:
    """Largest difference between two samples of weights in size or sign; 0 if it is tolerable or may be chance."""
    if min(one.events, other.events) < MIN_EVENTS:
        return 0.0
    signs = abs(one.negative / one.events - other.negative / other.events)
    distance = max(signs, _excess(one, other), _excess(other, one))
    if distance < MIN_DISTANCE:
        return 0.0
    chance = 2 * math.exp(-2 * distance**2 * one.events * other.events / (one.events + other.events))
    return distance if distance == 1.0 or chance < MAX_PROBABILITY else 0.0


def _excess(small: Weights, large: Weights) -> float:
    """Largest fraction of `small` up to a size, minus that of `large` up to a tolerably larger size."""
    found, below, above = 0.0, 0, 0
    rest = sorted(large.sizes)
    position = 0
    for step in sorted(small.sizes):
        below += small.sizes[step]
        while position < len(rest) and rest[position] <= step + TOLERATED_STEPS:
            above += large.sizes[rest[position]]
            position += 1
        found = max(found, below / small.events - above / large.events)
    return found
