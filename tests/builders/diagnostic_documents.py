"""Sections of `diagnostics.json` about events: features, jet masses and efficiency against m_jj."""

from __future__ import annotations

from typing import Any

from analysis.regions import MassWindow

Document = dict[str, Any]

WINDOW = MassWindow((3300.0, 3700.0), (3100.0, 3300.0), (3700.0, 3900.0), (3200.0, 3800.0), (3000.0, 6500.0))


def histogram(*values: float, scale: float = 1.0) -> Document:
    return {"values": list(values), "variances": [scale * one for one in values], "outside": 1.0}


def shapes(*, blinded: bool = False) -> Document:
    regions = {"lower": histogram(100, 300, 400, 0), "upper": histogram(20, 60, 80, 0)}
    window = {} if blinded else {"window": histogram(50, 100, 50, 0)}
    cuts = {"eff_0.1": histogram(0, 0, 30, 10), "eff_0.01": histogram(0, 1, 2, 0)}
    return {
        "edges": [0.0, 100.0, 200.0, 300.0, 400.0],
        "regions": regions | window,
        "selections": {} if blinded else cuts,
        "difference": None if blinded else {"chi2": 3.21, "ndof": 2, "p_value": 0.2},
    }


def feature(name: str = "m", *, blinded: bool = False, scaled: bool = False, trained: bool = True) -> Document:
    return {
        "name": name,
        "label": "$m_{j_1}$",
        "unit": "GeV",
        "trained": trained,
        "original": shapes(blinded=blinded),
        "scaled": shapes() | {"edges": [0.0, 0.25, 0.5, 0.75, 1.0]} if scaled else None,
    }


def masses(*, blinded: bool = False) -> Document:
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


def sculpting(*, blinded: bool = False) -> Document:
    inside = None if blinded else 0.3
    first = {"name": "eff_0.1", "edges": [3000.0, 3200.0, 3800.0, 6500.0], "average": 0.1, "chi2": 1.5, "ndof": 1}
    first |= {"efficiency": [0.1, inside, 0.12], "error": [0.01, inside and 0.01, 0.02], "p_value": 0.22}
    rare = {**first, "name": "eff_0.001", "ndof": 0, "p_value": None}
    hidden = [[3200.0, 3800.0], [3600.0, 4200.0]] if blinded else []
    return {"hidden": hidden, "selections": [first, rare, {**first, "name": "eff_1e-09", "average": 0.0}]}


def window(*, blinded: bool = False, features: int = 2, scaled: bool = False) -> Document:
    items = [feature(f"x{i}", blinded=blinded, scaled=scaled, trained=i != features - 1) for i in range(features)]
    return {
        "window": WINDOW.to_json(),
        "blinded": blinded,
        "features": {"features": items},
        "masses": masses(blinded=blinded),
        "sculpting": sculpting(blinded=blinded),
    }
