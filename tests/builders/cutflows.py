"""Cutflows of two datasets."""

from __future__ import annotations

from analysis.results.values import Cut


def cuts(**weights: float) -> dict[str, Cut]:
    return {name: Cut(1, weight) for name, weight in weights.items()}


CUTFLOW = {
    "qcd": cuts(all=200.0, two_jets=100.0, jet_pt=50.0, mjj_min=10.0, search=5.0),
    "data": cuts(all=80.0, two_jets=60.0, trigger=40.0, jet_pt=20.0, mjj_min=0.0, search=0.0),
}

N_MINUS_ONE = {"qcd": cuts(jet_pt=40.0, mjj_min=50.0), "data": cuts(trigger=0.0, jet_pt=5.0, mjj_min=8.0)}
