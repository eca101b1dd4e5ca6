"""Names and cells that tables of several studies share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.studies.runner import Point

CUTS = {"eff_0.1": "10 %", "eff_0.05": "5 %", "eff_0.02": "2 %", "eff_0.01": "1 %"}
SIGNALS = {"wprime_3500_500_100": "W′(3500)", "wprime_3900_350_180": "W′(3900)", "zprime_tt_3600": "Z′ → tt̄"}
LAMBDA = {"sa_cwola": "`sa_cwola`, λ = 0.5"}


def matching(points: Sequence[Point], **values: Any) -> list[Point]:
    """Points with these values."""
    return [point for point in points if all(point[key] == value for key, value in values.items())]


def current(points: Sequence[Point], wanted: Sequence[Mapping[str, Any]]) -> list[Point]:
    """Keep the stored points that a study asks for, the last of each, of any version of the settings."""
    keys = sorted(wanted[0].keys() - {"version"})
    asked = {tuple(point[key] for key in keys) for point in wanted}
    last = {tuple(point[key] for key in keys): point for point in points}
    return [point for identity, point in last.items() if identity in asked]
