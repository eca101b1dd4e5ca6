"""Methods without labels: how much they find of a hidden signal."""

from __future__ import annotations

from typing import Any

from docs._ext.page_tables import signed, table_of
from tests.studies import declusterings, unsupervised
from tests.studies.runner import Point, load

_SETS = {
    ("lhco", "GeV"): "LHC Olympics, GeV",
    ("lhco", "shifted"): "LHC Olympics, shifted",
    ("lhco", "over m_jj"): "LHC Olympics, over m_jj",
    ("pythia", "over m_jj"): "Pythia, over m_jj",
}


def unsupervised_table() -> str:
    """Medians of every method on every sample, with the quantiles 0.16 and 0.84 of the draws."""
    points = load(unsupervised.NAME)
    rows = [
        [name, f"`{method}`", *_cells(points, sample=sample, features=features, method=method)]
        for (sample, features), name in _SETS.items()
        for method in (*unsupervised.WITHOUT_LABELS, *unsupervised.REFERENCES[sample])
    ]
    return table_of(["sample, masses", "method", "AUC", "SIC(0.5)", "SIC(1e-2)", "draws"], rows)


def declusterings_table() -> str:
    """Medians of every method in declusterings, and in masses and N-subjettiness of the same events."""
    points = [point for point in load(declusterings.NAME) if "method" in point]
    names = {"declusterings": "declusterings", "over m_jj": "masses over m_jj, τ21"}
    rows = [
        [name, f"`{method}`", *_cells(points, features=features, method=method)]
        for features, name in names.items()
        for method in declusterings.METHODS
    ]
    return table_of(["features", "method", "AUC", "SIC(0.5)", "SIC(1e-2)", "draws"], rows)


def topics_table() -> str:
    """Time and quality of the topics of each solver, start by start."""
    points = [point for point in load(declusterings.NAME) if "solver" in point]
    rows = []
    for solver in declusterings.SOLVERS:
        found = sorted((point for point in points if point["solver"] == solver), key=lambda point: point["draw"])
        seconds = sum(point["seconds"] for point in found) / len(found)
        cells = (
            ", ".join(signed(point[key], digits) for point in found)
            for key, digits in (("likelihood", 3), ("change", 3), ("auc", 2))
        )
        rows.append([solver, f"{seconds:.2f}", *cells])
    return table_of(["solver", "CPU s", "log likelihood per word", "change", "AUC"], rows)


def _cells(points: list[Point], **chosen: Any) -> list[str]:
    found = [unsupervised.summary(points, key, **chosen) for key in ("auc", "sic_half", "sic_0.01")]
    return [*("{:.2f} [{:.2f}, {:.2f}]".format(*one[:3]) for one in found), str(found[0][3])]
