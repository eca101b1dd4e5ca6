"""Efficiencies as functions of the mass."""

from analysis.statistics.efficiencies.turn_on import (
    Efficiency,
    TurnOn,
    TurnOnFit,
    clopper_pearson,
    measure_efficiency,
    measure_turn_on,
    turn_on,
)

__all__ = [
    "Efficiency",
    "TurnOn",
    "TurnOnFit",
    "clopper_pearson",
    "measure_efficiency",
    "measure_turn_on",
    "turn_on",
]
