"""Methods without labels: how much they find of a hidden signal."""

from __future__ import annotations

from typing import Any

from docs._ext.page_tables import table_of
from tests.studies import unsupervised
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


def _cells(points: list[Point], **chosen: Any) -> list[str]:
    found = [unsupervised.summary(points, key, **chosen) for key in ("auc", "sic_half", "sic_0.01")]
    return [*("{:.2f} [{:.2f}, {:.2f}]".format(*one[:3]) for one in found), str(found[0][3])]
