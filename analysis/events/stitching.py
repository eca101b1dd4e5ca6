"""Stitching of samples that together form one spectrum: consistency of slices in a generator variable."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from analysis.errors import DatasetError
from analysis.events.dataset import Dataset

__all__ = ["generator_threshold", "require_tiling"]


def require_tiling(datasets: Iterable[Dataset]) -> None:
    """Raise if the datasets of a stitched group do not fit together.

    The datasets of a group must be of one kind, and either all normalised to one luminosity or none. If one has a
    slice, all must have one, in the same variable, and the slices must neither overlap nor leave a gap.

    Raises
    ------
    DatasetError
        If datasets do not fit together; names two of them.
    """
    groups: dict[str, list[Dataset]] = {}
    for dataset in datasets:
        if dataset.stitch is not None:
            groups.setdefault(dataset.stitch, []).append(dataset)
    for name, group in groups.items():
        for other in group[1:]:
            _require_alike(name, group[0], other)
        if group[0].slice is not None:
            _require_no_gap(name, group)


def _require_alike(group: str, first: Dataset, other: Dataset) -> None:
    for what, remedy in (
        ("kind", "Give both the same kind."),
        ("variable", "Give every dataset of the group a slice in the same variable, or none of them."),
        ("luminosity", "Give both xsec_pb and the same lumi_ifb, or neither of them."),
    ):
        one, two = _stitching(first)[what], _stitching(other)[what]
        if one != two:
            msg = (
                f"datasets {first.name} and {other.name} are stitched (group '{group}') but differ in {what}: "
                f"{one} and {two}. {remedy}"
            )
            raise DatasetError(msg)


def _stitching(dataset: Dataset) -> dict[str, Any]:
    return {
        "kind": dataset.kind,
        "variable": None if dataset.slice is None else dataset.slice.variable,
        "luminosity": dataset.lumi_ifb if dataset.is_normalised else None,
    }


def _require_no_gap(name: str, group: Iterable[Dataset]) -> None:
    ordered = sorted(((one.slice, one.name) for one in group if one.slice is not None), key=lambda pair: pair[0].low)
    for (below, first), (above, second) in pairwise(ordered):
        if below.high != above.low:
            low, high = sorted((below.high, above.low))
            problem = "overlap between" if below.high > above.low else "leave a hole between"
            msg = (
                f"datasets {first} and {second} are stitched (group '{name}') but their slices in {below.variable} "
                f"{problem} {low:g} and {high:g}. Correct metadata.slice.range, so that one ends where the next begins."
            )
            raise DatasetError(msg)


def generator_threshold(datasets: Iterable[Dataset]) -> float | None:
    """Find the p̂_T below which the generator threshold shapes the spectrum of the searched datasets.

    Parameters
    ----------
    datasets : iterable of Dataset
        Datasets that are searched; signals are ignored.

    Returns
    -------
    float or None
        Highest `pt_hat_min` of the backgrounds, GeV; a stitched group counts with its lowest value, and is ignored if
        one of its datasets has no threshold. None without any threshold.
    """
    groups: dict[str, list[float | None]] = {}
    for dataset in datasets:
        if not dataset.is_signal:
            # "/" distinguishes a single dataset from a group of the same name
            groups.setdefault(dataset.stitch or f"/{dataset.name}", []).append(dataset.pt_hat_min)
    lowest = [
        min(known) for group in groups.values() if len(known := [one for one in group if one is not None]) == len(group)
    ]
    return max(lowest, default=None)
