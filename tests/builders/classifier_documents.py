"""Sections of `diagnostics.json` about classifiers: ROC curves, ensemble members and importance."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis.core.documents import from_json
from analysis.diagnostics.sections import EnsembleSection, ImportanceSection, PerformanceSection

Document = dict[str, Any]

BACKGROUND = np.array([1e-3, 1e-2, 1e-1, 1.0])

SIGNAL = np.array([0.1, 0.3, 0.7, 1.0])


def curve(shift: float = 0.0, n_signal: int = 100) -> PerformanceSection:
    document = {
        "n_signal": n_signal,
        "n_background": 5000,
        "background_efficiency": BACKGROUND.tolist(),
        "signal_efficiency": (SIGNAL - shift * (SIGNAL < 1)).tolist(),
        "low": (SIGNAL * 0.9).tolist(),
        "high": np.minimum(SIGNAL * 1.1, 1).tolist(),
        "auc": [0.8, 0.85, 0.9],
        "floor": 0.005,
        "max_sic": [3.0, 0.01],
        "selections": [
            {"name": "inclusive", "signal_efficiency": 1.0, "background_efficiency": 1.0},
            {"name": "eff_0.1", "signal_efficiency": 0.64, "background_efficiency": 0.16},
            {"name": "eff_0.001", "signal_efficiency": 0.0, "background_efficiency": 0.0},
        ],
    }
    return from_json(PerformanceSection, document)


def members(*, blinded: bool = False, n_members: int = 3) -> EnsembleSection:
    regions = ("sidebands",) if blinded else ("window", "sidebands")
    histogram = {"mean": [0.5, 0.5, 0.0], "low": [0.4, 0.4, 0.0], "high": [0.6, 0.6, 0.2]}
    several = n_members > 1
    document: Document = {
        "n_members": n_members,
        "n_events": 600,
        "fraction": 1.0,
        "scores": {"edges": [0.3, 0.4, 0.5, 0.6]} | dict.fromkeys(regions, histogram),
        "profile": {"edges": [0.3, 0.5, 0.6]} | {key: [0.02, None] for key in regions} if several else None,
        "rank_correlation": {"mean": 0.8, "low": 0.7, "high": 0.9} if several else None,
        "selections": [
            {
                "name": "eff_0.1",
                "efficiency": 0.1,
                "window": None,
                **{region: {"ensemble": 50.0, "members": [40.0, 50.0, 75.0][:n_members]} for region in regions},
                "jaccard_members": [0.5, 0.4, 0.6] if several else None,
                "jaccard_ensemble": [0.7, 0.8, 0.9][:n_members],
            },
            {
                "name": "eff_0.01",
                "efficiency": 0.01,
                "window": None,
                **{region: {"ensemble": 0.0, "members": [0.0] * n_members} for region in regions},
                "jaccard_members": [None] * 3 if several else None,
                "jaccard_ensemble": [None] * n_members,
            },
        ],
        "seeds": [] if blinded else [{"name": "eff_0.1", "z": [1.0, 3.0, None, 2.5]}],
    }
    return from_json(EnsembleSection, document)


def shares(
    *names: str, mean: tuple[float, ...] = (0.6, 0.4), std: tuple[float | None, ...] = (0.1, 0.05)
) -> ImportanceSection:
    labels = ["$m_{j_1}$" if name == "mj1" else "" for name in names]
    document = {"features": list(names), "labels": labels, "mean": list(mean), "std": list(std), "n_models": 6}
    return from_json(ImportanceSection, document)
