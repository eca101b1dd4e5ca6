"""Contents of `limits.json`: limits, injections, efficiency maps and sensitivities."""

from __future__ import annotations

import numpy as np

from analysis.core.documents import from_json
from analysis.limits.values import FailedLimit, InjectionLimit, InjectionScan, PlaneCounts, Sensitivity

RULE, OTHER = "atlas-2025", "atlas-2020"

BAND = np.array([0.5, 0.7, 1.0, 1.4, 1.9])

FACTORS = {"inclusive": 8.0, "fixed-efficiency": 0.6, OTHER: 1.25, RULE: 1.0}

FB = 0.25


def signal(
    name: str, value: float, masses: dict[str, float] | None = None, *, observed: float | None = None, fb: bool = True
) -> list[InjectionLimit]:
    """Limits by all rules; the expected limit by RULE is `value`, the observed one `observed` times that."""
    items = []
    for rule, factor in FACTORS.items():
        expected = (factor * value * BAND).tolist()
        seen = None if observed is None else factor * value * observed
        items.append(
            {
                "dataset": name,
                "masses": masses or {},
                "rule": rule,
                "window": [3300.0, 3700.0],
                "mask": [3200.0, 3800.0],
                "method": "cwola",
                "features": ["x"],
                "selection": "eff_0.1",
                "strength": value,
                "level": 0.05,
                "expected_selected": expected,
                "observed_selected": seen,
                "spread_selected": 0.0,
                "fb_per_selected": FB if fb else None,
                "expected_fb": [FB * one for one in expected] if fb else None,
                "observed_fb": FB * seen if fb and seen is not None else None,
                "reason": None,
            }
        )
    return from_json(list[InjectionLimit], items)


def failed(name: str, masses: dict[str, float], rule: str | None = RULE) -> FailedLimit:
    return FailedLimit(dataset=name, masses=masses, rule=rule, reason="nothing passes")


def masses(a: float, b: float = 400.0, c: float = 200.0) -> dict[str, float]:
    return {"A": a, "B": b, "C": c}


def scan_of(name: str = "s") -> InjectionScan:
    """Three strengths and two samplings; one selection failed at one strength."""
    common = {"method": "cwola", "features": ["x"]}
    document = {
        "dataset": name,
        "signal": [3300.0, 3700.0],
        "lower": [3100.0, 3300.0],
        "upper": [3700.0, 3900.0],
        "mask": [3200.0, 3800.0],
        "fit_range": [3000.0, 6500.0],
        "candidates": [
            {
                **common,
                "selection": "inclusive",
                "strengths": [0.0],
                "efficiency": [[0.7]],
                "expected": [[150.0]],
            },
            {
                **common,
                "selection": "eff_0.1",
                "strengths": [0.0, 10.0, 100.0],
                "efficiency": [[0.01, 0.03], [0.1, 0.3], [0.5, 0.6]],
                "expected": [[3000.0, 1000.0], [300.0, 100.0], [60.0, 50.0]],
            },
            {
                **common,
                "selection": "eff_0.01",
                "strengths": [0.0, 10.0, 100.0],
                "efficiency": [[None, 0.002], [None, None], [0.4, 0.5]],
                "expected": [[None, 9000.0], [None, None], [40.0, 30.0]],
            },
        ],
        "maps": [],
    }
    return from_json(InjectionScan, document)


def map_of(strength: float) -> PlaneCounts:
    inclusive = [[4.0, 0.0], [10.0, 2.0], [1.0, 5.0]]
    data = {"inclusive": inclusive, "eff_0.1": [[1.0, 0.0], [5.0, 0.0], [1.0, 4.0]], "eff_0.01": [[0.0] * 2] * 3}
    peak = {"inclusive": [[0.0, 0.0], [90.0, 3.0], [5.0, 2.0]], "eff_0.1": [[0.0] * 2, [45.0, 0.0], [0.0] * 2]}
    peak["eff_0.01"] = [[0.0] * 2, [9.0, 0.0], [0.0] * 2]
    edges = [[0.0, 100.0, 200.0, 300.0], [0.0, 100.0, 200.0]]
    return from_json(PlaneCounts, {"strength": strength, "edges": edges, "data": data, "signal": peak})


def sensitivity_of(name: str = "s") -> Sensitivity:
    curve = {"method": "cwola", "features": ["x"], "selection": "eff_0.01", "efficiency": 0.01}
    document = {
        "dataset": name,
        "masses": {},
        "window": [3300.0, 3700.0],
        "strength": 240.0,
        "curves": [
            {
                **curve,
                "selection": "inclusive",
                "efficiency": 1.0,
                "z_with_signal": [4.0, 5.0, None],
                "z_without_signal": [1.0, 1.5, 1.2],
                "z_added": [2.9, 3.1, 3.3],
            },
            {
                **curve,
                "selection": "eff_0.1",
                "efficiency": 0.1,
                "z_with_signal": [8.0, 9.0, 7.0],
                "z_without_signal": [2.0, None, 1.0],
                "z_added": [5.5, 6.0, 6.5],
            },
            {**curve, "z_with_signal": [12.0, None, 14.0], "z_without_signal": [None] * 3, "z_added": None},
            {
                **curve,
                "method": "salad",
                "z_with_signal": [10.0],
                "z_without_signal": [0.5],
                "z_added": [9.0, 9.5, 10.0],
            },
        ],
        "reason": None,
    }
    return from_json(Sensitivity, document)


LIMIT = InjectionLimit(
    dataset="point",
    masses={},
    rule="atlas-2025",
    window=(3300.0, 3700.0),
    mask=(3200.0, 3800.0),
    method="cwola",
    features=("x",),
    selection="eff_0.1",
    strength=20.0,
    level=0.05,
    observed_selected=57.5,
    expected_selected=(10.0, 14.0, 20.0, 28.5, 38.0),
    spread_selected=0.0,
    fb_per_selected=0.05,
    observed_fb=2.875,
    expected_fb=(0.5, 0.7, 1.0, 1.43, 1.9),
)
"""Limit in one window."""
