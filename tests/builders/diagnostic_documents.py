"""Sections of `diagnostics.json` about events: features, jet masses and efficiency against m_jj."""

from __future__ import annotations

from typing import Any

from analysis.core.documents import from_json
from analysis.diagnostics.sections import (
    DiagnosedWindow,
    FeatureShapes,
    MassesSection,
    RegionHistogram,
    SculptingSection,
)
from analysis.regions import MassWindow

Document = dict[str, Any]

WINDOW = MassWindow((3300.0, 3700.0), (3100.0, 3300.0), (3700.0, 3900.0), (3200.0, 3800.0), (3000.0, 6500.0))


def histogram(*values: float, scale: float = 1.0) -> RegionHistogram:
    return from_json(RegionHistogram, _histogram(*values, scale=scale))


def feature(name: str = "m", *, blinded: bool = False, scaled: bool = False) -> FeatureShapes:
    return from_json(FeatureShapes, _feature(name, blinded=blinded, scaled=scaled))


def masses(*, blinded: bool = False) -> MassesSection:
    return from_json(MassesSection, _masses(blinded=blinded))


def sculpting(*, blinded: bool = False) -> SculptingSection:
    return from_json(SculptingSection, _sculpting(blinded=blinded))


def window(*, blinded: bool = False, features: int = 2, scaled: bool = False) -> DiagnosedWindow:
    items = [_feature(f"x{i}", blinded=blinded, scaled=scaled, trained=i != features - 1) for i in range(features)]
    document = {
        "window": WINDOW.to_json(),
        "blinded": blinded,
        "features": {"features": items},
        "masses": _masses(blinded=blinded),
        "sculpting": _sculpting(blinded=blinded),
    }
    return from_json(DiagnosedWindow, document)


def _histogram(*values: float, scale: float = 1.0) -> Document:
    return {"values": list(values), "variances": [scale * one for one in values], "outside": 1.0}


def _shapes(*, blinded: bool = False) -> Document:
    regions = {"lower": _histogram(100, 300, 400, 0), "upper": _histogram(20, 60, 80, 0)}
    window = {} if blinded else {"window": _histogram(50, 100, 50, 0)}
    cuts = {"eff_0.1": _histogram(0, 0, 30, 10), "eff_0.01": _histogram(0, 1, 2, 0)}
    return {
        "edges": [0.0, 100.0, 200.0, 300.0, 400.0],
        "regions": regions | window,
        "selections": {} if blinded else cuts,
        "difference": None if blinded else {"chi2": 3.21, "ndof": 2, "p_value": 0.2},
    }


def _feature(name: str, *, blinded: bool = False, scaled: bool = False, trained: bool = True) -> Document:
    return {
        "name": name,
        "label": "$m_{j_1}$",
        "unit": "GeV",
        "trained": trained,
        "original": _shapes(blinded=blinded),
        "scaled": _shapes() | {"edges": [0.0, 0.25, 0.5, 0.75, 1.0]} if scaled else None,
    }


def _masses(*, blinded: bool = False) -> Document:
    lower, upper, window = [[4.0, 0.0], [1.0, 5.0]], [[2.0, 0.0], [1.0, 1.0]], [[6.0, 1.0], [2.0, 3.0]]
    shown = {
        "pull": [[0.5, 1.0], [-7.0, None]],
        "score": [[0.4, 0.6], [0.5, 0.5]],
        "passing": {"eff_0.1": [[0.5, 0.0], [0.1, 0.2]], "eff_0.01": [[0.1, 0.0], [0.0, 0.0]]},
    }
    hidden: Document = {"pull": None, "score": None, "passing": {}}
    return {
        "edges": [[0.0, 100.0, 200.0], [0.0, 50.0, 100.0]],
        "regions": {"lower": lower, "upper": upper} | ({} if blinded else {"window": window}),
        "expected": 12.0,
        "combined": [[6.0, 0.0], [2.0, 4.0]],
        **(hidden if blinded else shown),
    }


def _sculpting(*, blinded: bool = False) -> Document:
    inside = None if blinded else 0.3
    first = {"name": "eff_0.1", "edges": [3000.0, 3200.0, 3800.0, 6500.0], "average": 0.1, "chi2": 1.5, "ndof": 1}
    first |= {"efficiency": [0.1, inside, 0.12], "error": [0.01, inside and 0.01, 0.02], "p_value": 0.22}
    rare = {**first, "name": "eff_0.001", "ndof": 0, "p_value": None}
    hidden = [[3200.0, 3800.0], [3600.0, 4200.0]] if blinded else []
    return {"hidden": hidden, "selections": [first, rare, {**first, "name": "eff_1e-09", "average": 0.0}]}
