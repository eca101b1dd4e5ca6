"""The numbers of the figures of `diagnostics.json` as CSV, with units in the header."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from analysis.report.data import Row

__all__ = [
    "all_windows",
    "classifier_map_rows",
    "ensemble_rows",
    "feature_rows",
    "importance_rows",
    "mass_rows",
    "performance_rows",
    "sculpting_rows",
    "seed_rows",
]

Document = Mapping[str, Any]


def feature_rows(section: Document) -> Iterator[Row]:
    """Rows of the distributions of all features: one per feature, region or selection, and bin."""
    yield "feature", "unit", "decorrelated", "events", "bin low", "bin high", "sum of weights", "sum of squared weights"
    for feature in section["features"]:
        for scaled, found in ((False, feature["original"]), (True, feature["scaled"])):
            if found is None:
                continue
            for name, histogram in (found["regions"] | found["selections"]).items():
                bins = zip(
                    found["edges"], found["edges"][1:], histogram["values"], histogram["variances"], strict=False
                )
                for row in bins:
                    yield feature["name"], "" if scaled else feature["unit"], scaled, name, *row


def mass_rows(section: Document) -> Iterator[Row]:
    """Rows of the densities in the plane of the jet masses, one per cell."""
    names = list(section["regions"])
    yield (
        *("m_1 low [GeV]", "m_1 high [GeV]", "m_2 low [GeV]", "m_2 high [GeV]"),
        *(f"{name} [sum of weights]" for name in names),
        *("expected from both sidebands [events]", "window minus expected, over its error"),
    )
    grids = [*(section["regions"][name] for name in names), section["combined"], section["pull"]]
    yield from _cells(section["edges"], grids)


def classifier_map_rows(section: Document) -> Iterator[Row]:
    """Rows of mean score and part that passes in the plane of the jet masses, one per cell."""
    names = list(section["passing"])
    yield (
        *("m_1 low [GeV]", "m_1 high [GeV]", "m_2 low [GeV]", "m_2 high [GeV]", "mean score"),
        *(f"part that passes {name}" for name in names),
    )
    yield from _cells(section["edges"], [section["score"], *(section["passing"][name] for name in names)])


def _cells(edges: Sequence[Sequence[float]], grids: Sequence[Any]) -> Iterator[Row]:
    first, second = edges
    for i in range(len(first) - 1):
        for j in range(len(second) - 1):
            values = (None if grid is None else grid[i][j] for grid in grids)
            yield *first[i : i + 2], *second[j : j + 2], *values


def sculpting_rows(section: Document) -> Iterator[Row]:
    """Rows of the efficiency of every selection against m_jj, one per bin."""
    yield "selection", "m_jj low [GeV]", "m_jj high [GeV]", "efficiency", "error if flat", "average efficiency"
    for one in section["selections"]:
        for row in zip(one["edges"], one["edges"][1:], one["efficiency"], one["error"], strict=False):
            yield one["name"], *row, one["average"]


def performance_rows(section: Document) -> Iterator[Row]:
    """Rows of the ROC curve, one per background efficiency."""
    yield "background efficiency", "signal efficiency", "low (16 %)", "high (84 %)"
    columns = (section[key] for key in ("background_efficiency", "signal_efficiency", "low", "high"))
    yield from zip(*columns, strict=True)


def ensemble_rows(section: Document) -> Iterator[Row]:
    """Rows of the events that each member selects, one per selection and region."""
    yield "selection", "events", "ensemble", *(f"member {i}" for i in range(section["n_members"]))
    for one in section["selections"]:
        for region in ("window", "sidebands"):
            if (counts := one.get(region)) is not None:
                yield one["name"], region, counts["ensemble"], *counts["members"]


def seed_rows(section: Document) -> Iterator[Row]:
    """Rows of z of each selection, one per training."""
    yield "selection", "training seed", "z"
    for one in section["seeds"]:
        for seed, z in enumerate(one["z"]):
            yield one["name"], seed, z


def importance_rows(section: Document) -> Iterator[Row]:
    """Rows of the part of the total gain, one per feature."""
    yield "feature", "part of the total gain", "standard deviation over trainings"
    yield from zip(section["features"], section["mean"], section["std"], strict=True)


def all_windows(rows: Callable[[Document], Iterator[Row]], sections: Mapping[str, Document]) -> Iterator[Row]:
    """Put the rows of several windows below one another, with the window in front."""
    for index, (window, section) in enumerate(sections.items()):
        found = rows(section)
        header = next(found)
        if index == 0:
            yield "window [GeV]", *header
        yield from ((window, *row) for row in found)
